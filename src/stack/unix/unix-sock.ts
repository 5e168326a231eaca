/**
 * A UNIX socket's own part, and the names. Linux: struct unix_sock, unix_bind() and unix_find_other() of net/unix/af_unix.c; read
 * first unix(7). Owns the pool of parts (option unixSocks) and the bytes of their names. There is no file system: a name that is a
 * path is one all the same, but goes with its socket.
 */
import { account } from "../../lib/account.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { words } from "../../lib/table.ts";
import { EADDRINUSE, ECONNREFUSED, EINVAL, ENOENT, EPROTOTYPE } from "../../uapi/errno.ts";
import { AF_UNIX } from "../../uapi/socket.ts";
import { SK_TYPE, type Sock, sockHold, sockPut } from "../core/sock.ts";
import { type SockaddrUn, UNIX_PATH_MAX } from "../core/sockaddr.ts";

/** Linux: struct unix_sock. */
export class UnixSock implements Pooled {
  /** The other end, held; it may be closed already. */
  peer: Sock | null = null;
  /** Listener: the connections that wait, linked by Sock.hashNext, oldest first, and their number. */
  waiting: Sock | null = null;
  waitingCount = 0;
  /** Bytes of the name, 0 for none. */
  nameLength = 0;
  /** The name is its own: it is found by it. A connection that was accepted has that of its listener. */
  bound = false;
  sk: Sock | null = null;
  readonly index: number;
  poolNext: Pooled | null = null;

  constructor(index: number) {
    this.index = index;
  }
}

/** A sock with its UNIX part. */
export type UnixSk = Sock & { inet: UnixSock };

let pool: Pool<UnixSock>;
let parts: UnixSock[];
let names: Uint8Array;
let found: UnixSk | null;

/** Boot. @param count UNIX sockets at most, those that wait to be accepted included */
export function unixSockInit(count: number): void {
  parts = account("unix_sock", []);
  names = account("unix_sock", new Uint8Array(count * UNIX_PATH_MAX));
  pool = poolCreate("unix_sock", count, (index) => (parts[index] = new UnixSock(index)));
  found = null;
}

export function unixSockAlloc(sk: Sock): UnixSock | null {
  const u = poolAlloc(pool);
  if (u === null) return null;
  u.peer = u.waiting = null;
  u.waitingCount = u.nameLength = 0;
  u.bound = false;
  u.sk = sk;
  return u;
}

export function unixSockFree(u: UnixSock): void {
  u.sk = null;
  poolFree(pool, u);
}

/** Joins one end to another, or with null to none. */
export function unixSetPeer(sk: UnixSk, peer: Sock | null): void {
  const old = sk.inet.peer;
  sk.inet.peer = peer === null ? null : sockHold(peer);
  if (old !== null) sockPut(old);
}

/** Is it a name? A path ends at its first NUL; one that begins with NUL is abstract, all its bytes count. */
function nameLength(addr: SockaddrUn): number {
  const length = addr.length;
  if (addr.family !== AF_UNIX || !(length > 0 && length <= UNIX_PATH_MAX)) return -EINVAL;
  if (addr.path[0] === 0) return length;
  let end = 0;
  while (end < length && addr.path[end] !== 0) end++;
  return end;
}

function sameName(u: UnixSock, addr: SockaddrUn, length: number): boolean {
  if (u.nameLength !== length) return false;
  const at = u.index * UNIX_PATH_MAX;
  for (let i = 0; i < length; i++) if (names[at + i] !== addr.path[i]) return false;
  return true;
}

/** The socket of a name. Abstract names of the two types are apart, a path is one for both. Linux: unix_socket_table. */
function lookup(sk: Sock, addr: SockaddrUn, length: number): UnixSk | null {
  const abstract = addr.path[0] === 0;
  const type = words[sk.cold + SK_TYPE];
  for (let i = 0; i < parts.length; i++) {
    const u = parts[i]!;
    const other = u.sk;
    if (!u.bound || other === null || other.net !== sk.net || !sameName(u, addr, length)) continue;
    if (!abstract || words[other.cold + SK_TYPE] === type) return other as UnixSk;
  }
  return null;
}

/** bind(): 0, -EINVAL (no name, or it has one), -EADDRINUSE. */
export function unixBindName(sk: UnixSk, addr: SockaddrUn): number {
  const length = nameLength(addr);
  if (length < 0) return length;
  const u = sk.inet;
  if (u.nameLength !== 0) return -EINVAL;
  if (lookup(sk, addr, length) !== null) return -EADDRINUSE;
  const at = u.index * UNIX_PATH_MAX;
  for (let i = 0; i < length; i++) names[at + i] = addr.path[i]!;
  u.nameLength = length;
  u.bound = true;
  return 0;
}

/** A connection has its listener's name. */
export function unixCopyName(from: UnixSock, to: UnixSock): void {
  const at = from.index * UNIX_PATH_MAX;
  names.copyWithin(to.index * UNIX_PATH_MAX, at, at + from.nameLength);
  to.nameLength = from.nameLength;
}

/** Fills an address with a socket's name. */
export function unixGetName(u: UnixSock, addr: SockaddrUn): void {
  const at = u.index * UNIX_PATH_MAX;
  addr.family = AF_UNIX;
  addr.length = u.nameLength;
  for (let i = 0; i < u.nameLength; i++) addr.path[i] = names[at + i]!;
}

/**
 * Looks a name up for a socket of the same type: 0, and unixFound() is it; -EINVAL, -ENOENT (no such path), -ECONNREFUSED (no such
 * abstract name of its type), -EPROTOTYPE. Linux: unix_find_other().
 */
export function unixFindOther(sk: Sock, addr: SockaddrUn): number {
  const length = nameLength(addr);
  if (length < 0) return length;
  const other = lookup(sk, addr, length);
  if (other === null) return addr.path[0] === 0 ? -ECONNREFUSED : -ENOENT;
  if (words[other.cold + SK_TYPE] !== words[sk.cold + SK_TYPE]) return -EPROTOTYPE;
  found = other;
  return 0;
}

export function unixFound(): UnixSk {
  return found!;
}

/** Calls with each socket whose other end this one is. */
export function unixForEachPeer(sk: Sock, visit: (peer: Sock) => void): void {
  for (let i = 0; i < parts.length; i++) {
    const u = parts[i]!;
    if (u.peer === sk && u.sk !== null) visit(u.sk);
  }
}
