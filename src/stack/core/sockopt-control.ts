/**
 * The options of level SOL_SOCKET that a program through ECMA-419 does not use, of the part socketControl. Linux: sock_setsockopt()
 * and sock_getsockopt() of net/core/sock.c; read first socket(7). Owns the upper limits of the socket buffers (net.core.rmem_max,
 * wmem_max).
 */
import { words } from "../../lib/table.ts";
import { EDOM, EINVAL, ENODEV, ENOPROTOOPT, EPERM } from "../../uapi/errno.ts";
import { IFNAMSIZ } from "../../uapi/if.ts";
import {
  SO_ACCEPTCONN, SO_ATTACH_FILTER, SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_BROADCAST, SO_DETACH_FILTER, SO_DOMAIN,
  SO_GET_FILTER, SO_KEEPALIVE, SO_LINGER, SO_LOCK_FILTER, SO_MARK, SO_MAX_PACING_RATE, SO_NO_CHECK, SO_OOBINLINE, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF,
  SO_RCVBUFFORCE, SO_RCVLOWAT, SO_RCVTIMEO,
  SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDBUFFORCE, SO_SNDLOWAT, SO_SNDTIMEO, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TYPE,
} from "../../uapi/socket.ts";
import { TCP_LISTEN } from "../../uapi/tcp.ts";
import type { Net } from "./net.ts";
import type { NetDevice } from "./net-device.ts";
import { bindToIndex, deviceByIndex, sockValboolFlag } from "./sockopt.ts";
import { SKB_OVERHEAD_BYTES, skbBufferBytes } from "./skbuff.ts";
import {
  SK_FAMILY, SK_LINGERTIME_MS, SK_MARK, SK_MAX_PACING_RATE, SK_PRIORITY, SK_PROTOCOL, SK_RCVLOWAT, SK_RCVTIMEO_MS,
  SK_SNDTIMEO_MS, SK_TYPE, SK_USERLOCKS, skDstReset, type SkFilterOps, skFilterOps, skWriteSpace, type Sock, SOCK_BROADCAST,
  SOCK_FILTER_LOCK, SOCK_KEEPOPEN, SOCK_LINGER, SOCK_NO_CHECK, SOCK_RCVBUF_LOCK, SOCK_REUSE, SOCK_REUSEPORT, SOCK_SNDBUF_LOCK, SOCK_TIMESTAMP,
  SOCK_TIMESTAMPNS, SOCK_URGINLINE,
} from "./sock.ts";

const MSEC_PER_SEC = 1000;
const USEC_PER_MSEC = 1000;
const USEC_PER_SEC = 1000000;
/** Longest timeout or linger time kept, in seconds; longer ones count as this (it fits the int32 of ms). */
const MAX_TIMEO_SEC = 2147483;

let rmemMax = 0;
let wmemMax = 0;

/** Boot: the largest values SO_RCVBUF and SO_SNDBUF accept before doubling, in bytes. */
export function sockControlInit(rcvbufMax: number, sndbufMax: number): void {
  rmemMax = rcvbufMax;
  wmemMax = sndbufMax;
}

/** The program's size is doubled for the overhead of each packet; one packet must always fit. */
function bufferSize(value: number, max: number, packets: number): number {
  const wanted = (value < 0 || value > max ? max : value) << 1;
  const least = packets * (skbBufferBytes + SKB_OVERHEAD_BYTES);
  return wanted < least ? least : wanted;
}

/** The device whose name stands in the bytes, up to a NUL or their end; or null. */
function deviceByNameBytes(net: Net, name: Uint8Array | Int32Array): NetDevice | null {
  let length = 0;
  while (length < name.length && length < IFNAMSIZ - 1 && name[length] !== 0) length++;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    const text = dev.name;
    if (text.length !== length) continue;
    let i = 0;
    while (i < length && text.charCodeAt(i) === name[i]) i++;
    if (i === length) return dev;
  }
  return null;
}

/** SO_BINDTODEVICE by name bytes; an empty name unbinds. */
function sockSetbindtodevice(sk: Sock, opt: Uint8Array): number {
  if (opt.length === 0 || opt[0] === 0) return bindToIndex(sk, 0);
  const dev = deviceByNameBytes(sk.net, opt);
  return dev === null ? -ENODEV : bindToIndex(sk, dev.ifindex);
}

/** A timeout in ms: -1 for none (0, 0), 0 for a negative one, else rounded up. -EDOM for impossible microseconds. */
function timeoutMs(seconds: number, usec: number): number {
  if (seconds < 0) return 0;
  if (seconds === 0 && usec === 0) return -1;
  if (seconds >= MAX_TIMEO_SEC) return -1;
  return seconds * MSEC_PER_SEC + (((usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC) | 0);
}

/** The options of socket filters: a filter that is locked stays, and stays locked. */
function setFilter(sk: Sock, ops: SkFilterOps, name: number, on: boolean, opt: Uint8Array | Int32Array | null): number {
  const locked = (words[sk.cold + SK_USERLOCKS]! & SOCK_FILTER_LOCK) !== 0;
  if (locked && !(name === SO_LOCK_FILTER && on)) return -EPERM;
  if (name === SO_ATTACH_FILTER) return opt instanceof Int32Array ? ops.attach(sk, opt) : -EINVAL;
  if (name === SO_DETACH_FILTER) return ops.detach(sk);
  if (on) words[sk.cold + SK_USERLOCKS]! |= SOCK_FILTER_LOCK;
  return 0;
}

/**
 * Sets one of these options.
 * @param value the int; SO_LINGER: on or off; timeouts: seconds
 * @param value2 SO_LINGER: seconds; timeouts: microseconds
 * @param opt SO_BINDTODEVICE: the device's name as bytes; SO_ATTACH_FILTER: the program, four numbers an instruction
 * @returns 0, -EINVAL, -EDOM (microseconds out of range), -ENODEV, -EPERM (the filter is locked), -ENOPROTOOPT (unknown, or only to be read)
 */
export function sockControlSet(
  sk: Sock, name: number, value: number, value2: number, opt: Uint8Array | Int32Array | null,
): number {
  const on = value !== 0;
  switch (name) {
    case SO_REUSEPORT:
      sockValboolFlag(sk, SOCK_REUSEPORT, on);
      return 0;
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      words[sk.cold + SK_USERLOCKS]! |= SOCK_SNDBUF_LOCK;
      sk.sndbuf = bufferSize(value, wmemMax, 2);
      skWriteSpace(sk);
      return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      words[sk.cold + SK_USERLOCKS]! |= SOCK_RCVBUF_LOCK;
      sk.rcvbuf = bufferSize(value, rmemMax, 1);
      return 0;
    case SO_OOBINLINE:
      sockValboolFlag(sk, SOCK_URGINLINE, on);
      return 0;
    case SO_NO_CHECK:
      sockValboolFlag(sk, SOCK_NO_CHECK, on);
      return 0;
    case SO_TIMESTAMP:
    case SO_TIMESTAMPNS:
      sockValboolFlag(sk, SOCK_TIMESTAMP, on);
      sockValboolFlag(sk, SOCK_TIMESTAMPNS, on && name === SO_TIMESTAMPNS);
      return 0;
    case SO_PRIORITY:
      words[sk.cold + SK_PRIORITY] = value;
      return 0;
    case SO_MARK:
      if (words[sk.cold + SK_MARK]! !== value) {
        words[sk.cold + SK_MARK] = value;
        skDstReset(sk);
      }
      return 0;
    case SO_MAX_PACING_RATE:
      // As 32 bits: all ones are no limit.
      words[sk.cold + SK_MAX_PACING_RATE] = value | 0;
      return 0;
    case SO_LINGER:
      if (on) words[sk.cold + SK_LINGERTIME_MS] = (value2 < 0 || value2 > MAX_TIMEO_SEC ? MAX_TIMEO_SEC : value2) * MSEC_PER_SEC;
      sockValboolFlag(sk, SOCK_LINGER, on);
      return 0;
    case SO_RCVLOWAT:
      words[sk.cold + SK_RCVLOWAT] = value < 0 ? 0x7fffffff : value === 0 ? 1 : value;
      return 0;
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
      if (value2 < 0 || value2 >= USEC_PER_SEC) return -EDOM;
      if (name === SO_RCVTIMEO) words[sk.cold + SK_RCVTIMEO_MS] = timeoutMs(value, value2);
      else words[sk.cold + SK_SNDTIMEO_MS] = timeoutMs(value, value2);
      return 0;
    case SO_BINDTODEVICE:
      return opt instanceof Uint8Array ? sockSetbindtodevice(sk, opt) : bindToIndex(sk, value);
    case SO_BINDTOIFINDEX:
      return bindToIndex(sk, value);
    case SO_ATTACH_FILTER:
    case SO_DETACH_FILTER:
    case SO_LOCK_FILTER:
      return skFilterOps === null ? -ENOPROTOOPT : setFilter(sk, skFilterOps, name, on, opt);
    default:
      return -ENOPROTOOPT;
  }
}

function flagOf(sk: Sock, bit: number): number {
  return (sk.flags & bit) !== 0 ? 1 : 0;
}

function putTimeout(ms: number, out: Uint8Array | Int32Array): number {
  if (out.length < 2) return -EINVAL;
  const known = ms < 0 ? 0 : ms;
  const seconds = (known / MSEC_PER_SEC) | 0;
  out[0] = seconds;
  out[1] = (known - seconds * MSEC_PER_SEC) * USEC_PER_MSEC;
  return 2;
}

/** The bound device: its name and a NUL as bytes, its ifindex as an int. Nothing when none is bound. */
function putDevice(sk: Sock, out: Uint8Array | Int32Array): number {
  if (out instanceof Int32Array) {
    out[0] = sk.boundDevIf;
    return 1;
  }
  if (sk.boundDevIf === 0) return 0;
  const dev = deviceByIndex(sk.net, sk.boundDevIf);
  if (dev === null) return -ENODEV;
  const name = dev.name;
  if (out.length < IFNAMSIZ) return -EINVAL;
  for (let i = 0; i < name.length; i++) out[i] = name.charCodeAt(i);
  out[name.length] = 0;
  return name.length + 1;
}

/**
 * Reads an option into `out`: one int; SO_LINGER and the timeouts two, SO_GET_FILTER the program, as setting
 * them takes.
 * @returns elements written, -EINVAL when `out` is too short, or -ENOPROTOOPT
 */
export function sockControlGet(sk: Sock, name: number, out: Uint8Array | Int32Array): number {
  let value = 0;
  switch (name) {
    case SO_REUSEADDR: value = (sk.flags & SOCK_REUSE) !== 0 ? 1 : 0; break;
    case SO_REUSEPORT: value = (sk.flags & SOCK_REUSEPORT) !== 0 ? 1 : 0; break;
    case SO_BROADCAST: value = flagOf(sk, SOCK_BROADCAST); break;
    case SO_SNDBUF: value = sk.sndbuf; break;
    case SO_RCVBUF: value = sk.rcvbuf; break;
    case SO_KEEPALIVE: value = flagOf(sk, SOCK_KEEPOPEN); break;
    case SO_OOBINLINE: value = flagOf(sk, SOCK_URGINLINE); break;
    case SO_NO_CHECK: value = flagOf(sk, SOCK_NO_CHECK); break;
    case SO_TIMESTAMP: value = (sk.flags & (SOCK_TIMESTAMP | SOCK_TIMESTAMPNS)) === SOCK_TIMESTAMP ? 1 : 0; break;
    case SO_TIMESTAMPNS: value = flagOf(sk, SOCK_TIMESTAMPNS); break;
    case SO_PRIORITY: value = words[sk.cold + SK_PRIORITY]!; break;
    case SO_MARK: value = words[sk.cold + SK_MARK]!; break;
    case SO_MAX_PACING_RATE: value = words[sk.cold + SK_MAX_PACING_RATE]!; break;
    case SO_TYPE: value = words[sk.cold + SK_TYPE]!; break;
    case SO_PROTOCOL: value = words[sk.cold + SK_PROTOCOL]!; break;
    case SO_DOMAIN: value = words[sk.cold + SK_FAMILY]!; break;
    case SO_ACCEPTCONN: value = sk.state === TCP_LISTEN ? 1 : 0; break;
    case SO_RCVLOWAT: value = words[sk.cold + SK_RCVLOWAT]!; break;
    case SO_SNDLOWAT: value = 1; break;
    case SO_BINDTOIFINDEX: value = sk.boundDevIf; break;
    case SO_LINGER:
      if (out.length < 2) return -EINVAL;
      out[0] = flagOf(sk, SOCK_LINGER);
      out[1] = (words[sk.cold + SK_LINGERTIME_MS]! / MSEC_PER_SEC) | 0;
      return 2;
    case SO_RCVTIMEO: return putTimeout(words[sk.cold + SK_RCVTIMEO_MS]!, out);
    case SO_SNDTIMEO: return putTimeout(words[sk.cold + SK_SNDTIMEO_MS]!, out);
    case SO_BINDTODEVICE: return putDevice(sk, out);
    case SO_LOCK_FILTER:
      if (skFilterOps === null) return -ENOPROTOOPT;
      value = (words[sk.cold + SK_USERLOCKS]! & SOCK_FILTER_LOCK) !== 0 ? 1 : 0;
      break;
    case SO_GET_FILTER:
      return skFilterOps === null ? -ENOPROTOOPT : out instanceof Int32Array ? skFilterOps.get(sk, out) : -EINVAL;
    default: return -ENOPROTOOPT;
  }
  out[0] = value;
  return 1;
}
