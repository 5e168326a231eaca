/**
 * socket: what a descriptor refers to, and the registry of address families. Linux: struct socket and struct proto_ops
 * of include/linux/net.h, sock_register() of net/socket.c. The system calls over it are in stack/socket.
 */
import { account } from "../../lib/account.ts";
import type { Net } from "./net.ts";
import type { Sock } from "./sock.ts";
import type { Msghdr, Sockaddr } from "./sockaddr.ts";
import { WaitQueueHead } from "./wait.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../../lib/pool.ts";
import { EAFNOSUPPORT, EINVAL } from "../../uapi/errno.ts";
import { AF_MAX, SOCK_MAX } from "../../uapi/socket.ts";

/** socket_state. */
export const SS_FREE = 0;
export const SS_UNCONNECTED = 1;
export const SS_CONNECTING = 2;
export const SS_CONNECTED = 3;
export const SS_DISCONNECTING = 4;

/**
 * A family's view of the system calls for one socket type. Linux: struct proto_ops. 0 or a count, else a negative
 * errno.
 */
export interface ProtoOps {
  readonly family: number;
  release(sock: Socket): number;
  bind(sock: Socket, addr: Sockaddr): number;
  connect(sock: Socket, addr: Sockaddr, flags: number): number;
  socketpair(first: Socket, second: Socket): number;
  /** Grafts the next waiting connection onto `newsock`; -EAGAIN when none waits. */
  accept(sock: Socket, newsock: Socket, flags: number): number;
  /** @param peer 0: own address, 1: the peer's, 2: the peer's even when the connection is over already (accept) */
  getname(sock: Socket, addr: Sockaddr, peer: number): number;
  /** EPOLL* bits that hold now. */
  poll(sock: Socket): number;
  ioctl(sock: Socket, request: number, out: Int32Array): number;
  listen(sock: Socket, backlog: number): number;
  shutdown(sock: Socket, how: number): number;
  setsockopt(sock: Socket, level: number, name: number, value: number, opt: Uint8Array | Int32Array | null): number;
  getsockopt(sock: Socket, level: number, name: number, out: Uint8Array | Int32Array): number;
  sendmsg(sock: Socket, msg: Msghdr, length: number): number;
  recvmsg(sock: Socket, msg: Msghdr, length: number, flags: number): number;
}

export class Socket extends WaitQueueHead implements Pooled {
  sk: Sock | null = null;
  ops: ProtoOps | null = null;
  state = SS_FREE;
  type = 0;
  /** O_NONBLOCK as the program set it; calls never block either way, but F_GETFL answers it. */
  fileFlags = 0;
  /** A writer was refused and wants EPOLLOUT when there is room (SOCK_NOSPACE). */
  noSpace = false;
  /** Descriptors that refer to it. */
  fileRefs = 0;
  net: Net;
  poolNext: Pooled | null = null;

  constructor(net: Net) {
    super();
    this.net = net;
  }
}

/** A family's socket(): attaches ops and a sock to the new socket. Linux: struct net_proto_family. */
export type FamilyCreate = (net: Net, sock: Socket, protocol: number) => number;

/** By number; numbers without a family are holes, which XS keeps no slots for. */
let families: (FamilyCreate | undefined)[];

/** Boot: no family is known. */
export function familiesInit(): void {
  families = account("families", []);
}

/** Makes a family known to socket(). Linux: sock_register(). */
export function sockRegister(family: number, create: FamilyCreate): void {
  families[family] = create;
}

/** Can sockets of the family be made? */
export function familyKnown(family: number): boolean {
  return families[family] !== undefined;
}

let sockets: Pool<Socket>;

/** Builds the pool of sockets. Boot time only. */
export function socketPoolInit(count: number, net: Net): void {
  sockets = poolCreate("socket", count, () => new Socket(net));
}

/** A socket of that type without family and sock, or null (counted by the pool). Linux: sock_alloc(). */
export function sockAlloc(net: Net, type: number): Socket | null {
  const sock = poolAlloc(sockets);
  if (sock === null) return null;
  sock.sk = null;
  sock.ops = null;
  sock.state = SS_UNCONNECTED;
  sock.type = type;
  sock.fileFlags = 0;
  sock.noSpace = false;
  sock.fileRefs = 0;
  sock.net = net;
  return sock;
}

/** Ends a socket: its family lets go of the sock, the socket returns to the pool. Linux: sock_release(). */
export function sockRelease(sock: Socket): void {
  const ops = sock.ops;
  if (ops !== null) {
    sock.ops = null;
    ops.release(sock);
  }
  sock.sk = null;
  sock.state = SS_FREE;
  poolFree(sockets, sock);
}

/**
 * Creates through the family; the type is the socket's. Linux: __sock_create().
 * @returns 0, -EAFNOSUPPORT, -EINVAL (no such type number), or what the family answers
 */
export function sockCreateIn(net: Net, family: number, sock: Socket, protocol: number): number {
  if (!(family >= 0 && family < AF_MAX)) return -EAFNOSUPPORT;
  if (sock.type < 0 || sock.type >= SOCK_MAX) return -EINVAL;
  const create = families[family];
  if (create === undefined) return -EAFNOSUPPORT;
  return create(net, sock, protocol);
}
