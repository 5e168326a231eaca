/**
 * Which local ports a socket may be given: net.ipv4.ip_local_port_range, narrowed by the socket's own IP_LOCAL_PORT_RANGE. Linux:
 * inet_sk_get_local_port_range(). Owns the answer to the last question.
 */
import type { Sock } from "../core/sock.ts";
import { inetSockopts } from "./ip-parts.ts";

export let portLow = 0;
export let portHigh = 0;

/** Asks for the range: portLow and portHigh, both included. @returns whether the socket has one of its own */
export function inetSkPortRange(sk: Sock): boolean {
  const ipv4 = sk.net.ipv4;
  let low = ipv4.ipLocalPortRangeLow;
  let high = ipv4.ipLocalPortRangeHigh;
  const own = inetSockopts === null ? 0 : inetSockopts.ports(sk);
  if (own !== 0) {
    const ownLow = own & 0xffff;
    const ownHigh = own >>> 16;
    if (low <= ownLow && ownLow <= high) low = ownLow;
    if (low <= ownHigh && ownHigh <= high) high = ownHigh;
  }
  portLow = low;
  portHigh = high;
  return own !== 0;
}
