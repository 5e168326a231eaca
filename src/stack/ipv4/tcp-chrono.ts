/**
 * What a sender waited for: TCP_INFO's busy_time, rwnd_limited and sndbuf_limited. Linux: tcp_chrono_start() and
 * tcp_chrono_stop() of net/ipv4/tcp_output.c. One clock runs at a time: of the states that hold the highest counts.
 */
import { jiffies } from "../../lib/timer.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** There is data in the write queue. */
export const TCP_CHRONO_BUSY = 1;
/** The peer's window is the limit. */
export const TCP_CHRONO_RWND_LIMITED = 2;
/** Our send buffer is the limit. */
export const TCP_CHRONO_SNDBUF_LIMITED = 3;

/** The running clock's time goes to its total; another starts. */
function tcpChronoSet(tp: TcpSock, type: number): void {
  const now = jiffies;
  const old = tp.chronoType;
  const elapsed = (now - tp.chronoStart) | 0;
  if (old === TCP_CHRONO_BUSY) tp.chronoBusy += elapsed;
  else if (old === TCP_CHRONO_RWND_LIMITED) tp.chronoRwnd += elapsed;
  else if (old === TCP_CHRONO_SNDBUF_LIMITED) tp.chronoSndbuf += elapsed;
  tp.chronoStart = now;
  tp.chronoType = type;
}

/** A reason to wait begins, unless a higher one holds. */
export function tcpChronoStart(tp: TcpSock, type: number): void {
  if (type > tp.chronoType) tcpChronoSet(tp, type);
}

/** A reason ends; with data left the sender is still busy. */
export function tcpChronoStop(sk: TcpSk, type: number): void {
  const tp = sk.tp;
  if (sk.writeQueue.head === null) tcpChronoSet(tp, 0);
  else if (type === tp.chronoType) tcpChronoSet(tp, TCP_CHRONO_BUSY);
}

/** Total time of a reason and of those above it counts busy: ms of one, the running clock included. */
export function tcpChronoMs(tp: TcpSock, type: number): number {
  const total = type === TCP_CHRONO_BUSY ? tp.chronoBusy : type === TCP_CHRONO_RWND_LIMITED ? tp.chronoRwnd : tp.chronoSndbuf;
  return type === tp.chronoType ? total + ((jiffies - tp.chronoStart) | 0) : total;
}
