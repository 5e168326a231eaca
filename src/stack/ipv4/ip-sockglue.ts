/**
 * Socket options of level SOL_IP: IP_TTL here, all others in parts (ip-control.ts and those behind it). Linux: net/ipv4/ip_sockglue.c;
 * read first ip(7). Owns nothing.
 */
import { EINVAL, ENOPROTOOPT } from "../../uapi/errno.ts";
import { IP_TTL } from "../../uapi/in.ts";
import {
  IPTOS_LOWDELAY, IPTOS_THROUGHPUT, TC_PRIO_BESTEFFORT, TC_PRIO_BULK, TC_PRIO_INTERACTIVE, TC_PRIO_INTERACTIVE_BULK,
} from "../../uapi/ip.ts";
import type { InetSk } from "./inet-sock.ts";
import { inetSockopts, ipControl, ipMulticast, ipSockopts } from "./ip-parts.ts";

/** What the control messages of sendmsg() ask for in one packet. Linux: struct ipcm_cookie. */
export class IpcmCookie {
  /** Source address, 0 for the socket's. */
  addr = 0;
  oif = 0;
  /** 0 for the socket's. */
  ttl = 0;
  /** -1 for the socket's. */
  tos = -1;
  mark = 0;
  /** Bytes of the IP options that are prepared for the packet: the call's, or the socket's. */
  optlen = 0;
}

/** The class of a packet by its TOS. Linux: rt_tos2priority(). */
export function rtTos2priority(tos: number): number {
  if ((tos & IPTOS_LOWDELAY) !== 0) {
    return (tos & IPTOS_THROUGHPUT) !== 0 ? TC_PRIO_INTERACTIVE_BULK : TC_PRIO_INTERACTIVE;
  }
  return (tos & IPTOS_THROUGHPUT) !== 0 ? TC_PRIO_BULK : TC_PRIO_BESTEFFORT;
}

/**
 * Sets an option of level SOL_IP: 0, -EINVAL (bad value), -ENOPROTOOPT (unknown, or of a part that is not there), -ENOBUFS. Linux:
 * ip_setsockopt().
 * @param bytes for IP_OPTIONS, where that part was listed at boot, and options of multicast
 */
export function ipSetsockopt(sk: InetSk, name: number, value: number, bytes: Uint8Array | Int32Array | null): number {
  if (name === IP_TTL) {
    if (value !== -1 && (value < 1 || value > 255)) return -EINVAL;
    sk.inet.ucTtl = value;
    return 0;
  }
  let err = ipControl === null ? -ENOPROTOOPT : ipControl.set(sk, name, value, bytes);
  if (err === -ENOPROTOOPT && inetSockopts !== null) err = inetSockopts.set(sk, name, value);
  if (err === -ENOPROTOOPT && ipMulticast !== null) err = ipMulticast.set(sk, name, value, bytes);
  return err !== -ENOPROTOOPT || ipSockopts === null ? err : ipSockopts.set(sk.net, name, bytes);
}

/**
 * Reads an option of level SOL_IP into `out`, one int except for IP_OPTIONS: the elements written, or -ENOTCONN (IP_MTU without a
 * route), -ENOPROTOOPT. Linux: ip_getsockopt().
 */
export function ipGetsockopt(sk: InetSk, name: number, out: Uint8Array | Int32Array): number {
  let got = ipControl === null ? -ENOPROTOOPT : ipControl.get(sk, name, out);
  if (got === -ENOPROTOOPT && inetSockopts !== null) got = inetSockopts.get(sk, name, out);
  if (got === -ENOPROTOOPT && ipMulticast !== null) got = ipMulticast.get(sk, name, out);
  return got !== -ENOPROTOOPT || ipSockopts === null ? got : ipSockopts.get(sk.net, name, out);
}
