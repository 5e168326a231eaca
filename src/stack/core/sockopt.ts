/**
 * The options of level SOL_SOCKET that every board's program uses; the others are the part's socketControl (sockopt-control.ts).
 * Linux: sock_setsockopt() and sock_getsockopt() of net/core/sock.c; read first socket(7). Owns nothing.
 */
import { words } from "../../lib/table.ts";
import { EINVAL, ENODEV, ENOPROTOOPT } from "../../uapi/errno.ts";
import { SO_BINDTODEVICE, SO_BROADCAST, SO_ERROR, SO_KEEPALIVE, SO_REUSEADDR } from "../../uapi/socket.ts";
import type { Net } from "./net.ts";
import type { NetDevice } from "./net-device.ts";
import {
  SK_ERR_SOFT, skControlOps, skDstReset, skOptionOps, type Sock, SOCK_BROADCAST, SOCK_KEEPOPEN, SOCK_REUSE, sockError,
} from "./sock.ts";

export function sockValboolFlag(sk: Sock, bit: number, on: boolean): void {
  if (on) sk.flags |= bit;
  else sk.flags &= ~bit;
}

/** The device of that index, or null. */
export function deviceByIndex(net: Net, ifindex: number): NetDevice | null {
  let dev = net.devices;
  while (dev !== null && dev.ifindex !== ifindex) dev = dev.nextDev;
  return dev;
}

/** Binds a sock to the device of that index, with 0 to none: 0, -EINVAL, -ENODEV. */
export function bindToIndex(sk: Sock, ifindex: number): number {
  if (ifindex < 0) return -EINVAL;
  if (ifindex !== 0 && deviceByIndex(sk.net, ifindex) === null) return -ENODEV;
  sk.boundDevIf = ifindex;
  skDstReset(sk);
  return 0;
}

/**
 * Sets an option of level SOL_SOCKET.
 * @param value the int; SO_LINGER: on or off; timeouts: seconds; SO_BINDTODEVICE: ifindex, when no bytes are given
 * @param value2 SO_LINGER: seconds; timeouts: microseconds
 * @param opt SO_BINDTODEVICE: the device's name as bytes; SO_ATTACH_FILTER: the program, four numbers an instruction
 * @returns 0, -EINVAL, -EDOM (microseconds out of range), -ENODEV, -EPERM (the filter is locked), -ENOPROTOOPT (unknown, only to be read,
 *   or of a part that is not there)
 */
export function sockSetsockopt(
  sk: Sock, name: number, value: number, value2: number, opt: Uint8Array | Int32Array | null,
): number {
  const on = value !== 0;
  if (name === SO_REUSEADDR) sockValboolFlag(sk, SOCK_REUSE, on);
  else if (name === SO_BROADCAST) sockValboolFlag(sk, SOCK_BROADCAST, on);
  else if (name === SO_KEEPALIVE) {
    if (sk.prot.keepalive !== undefined) sk.prot.keepalive(sk, on);
    sockValboolFlag(sk, SOCK_KEEPOPEN, on);
  } else if (name === SO_BINDTODEVICE && opt === null) return bindToIndex(sk, value);
  else {
    const err = skControlOps === null ? -ENOPROTOOPT : skControlOps.set(sk, name, value, value2, opt);
    return err !== -ENOPROTOOPT || skOptionOps === null ? err : skOptionOps.set(sk, name, value);
  }
  return 0;
}

/**
 * Reads an option of level SOL_SOCKET into `out`: one int; SO_LINGER and the timeouts two, SO_GET_FILTER the program, as setting
 * them takes.
 * @returns elements written, -EINVAL when `out` is too short, or -ENOPROTOOPT
 */
export function sockGetsockopt(sk: Sock, name: number, out: Uint8Array | Int32Array): number {
  if (out.length < 1) return -EINVAL;
  if (name === SO_ERROR) {
    let value = -sockError(sk);
    if (value === 0) {
      value = words[sk.cold + SK_ERR_SOFT]!;
      words[sk.cold + SK_ERR_SOFT] = 0;
    }
    out[0] = value;
    return 1;
  }
  const got = skControlOps === null ? -ENOPROTOOPT : skControlOps.get(sk, name, out);
  return got !== -ENOPROTOOPT || skOptionOps === null ? got : skOptionOps.get(sk, name, out);
}
