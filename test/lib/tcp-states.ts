/**
 * The legal changes of a TCP connection's state (RFC 9293 section 3.3.2, figure 5, and Linux's ways around it), as a table; ava
 * loads it before every test file (ava.config.mjs), so that each change in any test is checked against it.
 *
 * A sock enters TIME_WAIT by handing over to a small entry: then the entry's state is told, and the sock's change to CLOSE.
 */
import { setTcpStateObserver } from "../../src/stack/ipv4/tcp.ts";
import {
  TCP_CLOSE, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK, TCP_LISTEN,
  TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT,
} from "../../src/uapi/tcp.ts";

/** By the state left: the states that may follow. */
export const TCP_TRANSITIONS: ReadonlyMap<number, readonly number[]> = new Map([
  // connect(), listen(), a request that becomes a sock; and an end that is told twice.
  [TCP_CLOSE, [TCP_SYN_SENT, TCP_LISTEN, TCP_SYN_RECV, TCP_CLOSE]],
  [TCP_LISTEN, [TCP_CLOSE]],
  [TCP_SYN_SENT, [TCP_ESTABLISHED, TCP_SYN_RECV, TCP_CLOSE]],
  // With Fast Open data, and the end of it, may come before the last ACK of the handshake.
  [TCP_SYN_RECV, [TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_CLOSE_WAIT, TCP_CLOSE]],
  [TCP_ESTABLISHED, [TCP_FIN_WAIT1, TCP_CLOSE_WAIT, TCP_CLOSE]],
  [TCP_FIN_WAIT1, [TCP_FIN_WAIT2, TCP_CLOSING, TCP_CLOSE]],
  // An entry may stand for a sock in FIN_WAIT2 too.
  [TCP_FIN_WAIT2, [TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_CLOSE]],
  [TCP_CLOSING, [TCP_TIME_WAIT, TCP_CLOSE]],
  [TCP_CLOSE_WAIT, [TCP_LAST_ACK, TCP_CLOSE]],
  [TCP_LAST_ACK, [TCP_CLOSE]],
  [TCP_TIME_WAIT, []],
]);

/** @throws Error naming both states when one may not follow the other */
export function checkTcpTransition(from: number, to: number): void {
  if (TCP_TRANSITIONS.get(from)?.includes(to) !== true) throw new Error(`TCP state ${from} cannot become ${to}`);
}

setTcpStateObserver(checkTcpTransition);
