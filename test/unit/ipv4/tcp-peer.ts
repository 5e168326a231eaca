/** A peer played by hand, with one connection to it: what the segment-level tests of established connections share. */
import { initNet } from "../../../src/boot.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { accept4, bind, close, getsockopt, listen, setsockopt, socket } from "../../../src/stack/socket/index.ts";
import { AF_INET, SO_ERROR, SO_RCVBUF, SOCK_STREAM, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { ACK, inject, RST, run, type Segment, sentOne, SYN } from "./tcp-wire.ts";

export const ISN = 1_000_000;
const PORT = 5000;

export interface Conn {
  fd: number;
  /** Next number of ours, and of the peer's, as the test counts. */
  snd: number;
  rcv: number;
}

export interface PeerOptions {
  window?: number;
  /** Time the handshake takes, ms. */
  rtt?: number;
  /** Option bytes of the peer's SYN. */
  options?: number[];
  /** SO_RCVBUF of the listener. */
  rcvbuf?: number;
  /** Option bytes of the last ACK. */
  ackOptions?: number[];
  /** Made by listening() before, and closed here. */
  listener?: number;
}

/** A listener at port 80. */
export function listening(rcvbuf?: number): number {
  const listener = socket(AF_INET, SOCK_STREAM);
  if (rcvbuf !== undefined) setsockopt(listener, SOL_SOCKET, SO_RCVBUF, rcvbuf);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 4);
  return listener;
}

/** A connection the peer opened. */
export function accepted(o: PeerOptions = {}): Conn {
  const listener = o.listener ?? listening(o.rcvbuf);
  inject({ sport: PORT, dport: 80, seq: ISN, flags: SYN, options: o.options ?? [2, 4, 5, 0xb4] });
  run(o.rtt ?? 0);
  const reply = sentOne();
  const ack = (reply.seq + 1) | 0;
  inject({ sport: PORT, dport: 80, seq: ISN + 1, ack, flags: ACK, window: o.window ?? 65535, options: o.ackOptions ?? [] });
  const fd = accept4(listener, null);
  close(listener);
  if (fd < 0) throw new Error(`accept4: ${fd}`);
  return { fd, snd: ack, rcv: ISN + 1 };
}

/** Gives the connection a segment; what is not given is an ACK of nothing new. */
export function give(conn: Conn, s: Partial<Segment> = {}): void {
  inject({ sport: PORT, dport: 80, seq: conn.rcv, ack: conn.snd, flags: ACK, ...s });
}

/** The peer resets, the program closes. */
export function end(conn: Conn): void {
  give(conn, { flags: RST | ACK });
  close(conn.fd);
}

/** n bytes that tell their position. */
export function bytes(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) & 255);
}

export function mib(index: number): number {
  return initNet.mib[index]!;
}

/** SO_ERROR. */
export function pendingError(fd: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
  return out[0]!;
}
