/**
 * inetsw: which protocol and operations serve a socket of AF_INET, by type and protocol number. Linux: inetsw[] and
 * inet_register_protosw() of net/ipv4/af_inet.c. Owns the table.
 */
import { account } from "../../lib/account.ts";
import { EINVAL, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT } from "../../uapi/errno.ts";
import { IPPROTO_IP } from "../../uapi/in.ts";
import { SOCK_MAX } from "../../uapi/socket.ts";
import type { Proto } from "../core/sock.ts";
import type { ProtoOps } from "../core/socket.ts";

/** The port rules treat sockets of this entry as if SO_REUSEADDR were set. */
export const INET_PROTOSW_REUSE = 1;
/** The entry can be neither overridden nor removed. */
export const INET_PROTOSW_PERMANENT = 2;
/** Connection-oriented (inet_connection_sock). */
export const INET_PROTOSW_ICSK = 4;

/** One entry. Linux: struct inet_protosw. */
export interface InetProtosw {
  /** SOCK_* */
  readonly type: number;
  /** IPPROTO_*; IPPROTO_IP serves every protocol number of the type (raw sockets). */
  readonly protocol: number;
  readonly prot: Proto;
  readonly ops: ProtoOps;
  /** INET_PROTOSW_* */
  readonly flags: number;
}

/** All entries; of one type those behind the permanent ones are the newest first. */
let inetsw: InetProtosw[];

/** Boot: no entry of any type. */
export function inetswInit(): void {
  inetsw = account("inetsw", []);
}

/**
 * Adds an entry: behind the permanent ones of its type, in front of the others, so that the newest of those is found first.
 * Boot time.
 * @returns 0, -EINVAL (no such type), -EPERM (a permanent entry has the protocol). Linux: inet_register_protosw()
 */
export function inetRegisterProtosw(entry: InetProtosw): number {
  if (entry.type < 0 || entry.type >= SOCK_MAX) return -EINVAL;
  let at = 0;
  for (let i = 0; i < inetsw.length; i++) {
    const other = inetsw[i]!;
    if (other.type !== entry.type || (other.flags & INET_PROTOSW_PERMANENT) === 0) continue;
    if (other.protocol === entry.protocol) return -EPERM;
    at = i + 1;
  }
  inetsw.splice(at, 0, entry);
  return 0;
}

/** Removes an entry: 0, or -EPERM for a permanent one. Linux: inet_unregister_protosw(). */
export function inetUnregisterProtosw(entry: InetProtosw): number {
  if ((entry.flags & INET_PROTOSW_PERMANENT) !== 0) return -EPERM;
  const at = inetsw.indexOf(entry);
  if (at >= 0) inetsw.splice(at, 1);
  return 0;
}

/**
 * The first entry that serves the request: it has the very protocol, or the request names none (IPPROTO_IP), or the
 * entry serves any. Null otherwise: inetswError() says why.
 */
export function inetswFind(type: number, protocol: number): InetProtosw | null {
  for (let i = 0; i < inetsw.length; i++) {
    const entry = inetsw[i]!;
    if (entry.type !== type) continue;
    if (entry.protocol === protocol) {
      if (protocol !== IPPROTO_IP) return entry;
    } else if (protocol === IPPROTO_IP || entry.protocol === IPPROTO_IP) {
      return entry;
    }
  }
  return null;
}

/** Why inetswFind() gave null: no entry of the type at all, or none for the protocol. */
export function inetswError(type: number): number {
  for (let i = 0; i < inetsw.length; i++) if (inetsw[i]!.type === type) return -EPROTONOSUPPORT;
  return -ESOCKTNOSUPPORT;
}
