/**
 * What a sender waited for: TCP_INFO's busy_time, rwnd_limited and sndbuf_limited; it is measured where that part is. Linux: tcp_chrono_start() and
 * tcp_chrono_stop() of net/ipv4/tcp_output.c. One clock runs at a time: of the states that hold the highest counts.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { TP_CHRONO_START, TP_CHRONO_TOTALS, TP_CHRONO_TYPE } from "./tcp-cold.ts";
import type { TcpChronoOps } from "./tcp-parts.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** There is data in the write queue. */
export const TCP_CHRONO_BUSY = 1;
/** The peer's window is the limit. */
export const TCP_CHRONO_RWND_LIMITED = 2;
/** Our send buffer is the limit. */
export const TCP_CHRONO_SNDBUF_LIMITED = 3;

/** The running clock's time goes to its total; another starts. */
function tcpChronoSet(tp: TcpSock, type: number): void {
  const cold = tp.cold;
  const now = jiffies;
  const old = words[cold + TP_CHRONO_TYPE]!;
  if (old !== 0) words[cold + TP_CHRONO_TOTALS + old]! += (now - words[cold + TP_CHRONO_START]!) | 0;
  words[cold + TP_CHRONO_START] = now;
  words[cold + TP_CHRONO_TYPE] = type;
}

/** A reason to wait begins, unless a higher one holds. */
function tcpChronoStart(tp: TcpSock, type: number): void {
  if (type > words[tp.cold + TP_CHRONO_TYPE]!) tcpChronoSet(tp, type);
}

/** A reason ends; with data left the sender is still busy. */
function tcpChronoStop(sk: TcpSk, type: number): void {
  const tp = sk.tp;
  if (sk.writeQueue.head === null) tcpChronoSet(tp, 0);
  else if (type === words[tp.cold + TP_CHRONO_TYPE]!) tcpChronoSet(tp, TCP_CHRONO_BUSY);
}

/** Total time of a reason and of those above it counts busy: ms of one, the running clock included. */
export function tcpChronoMs(tp: TcpSock, type: number): number {
  const cold = tp.cold;
  const total = words[cold + TP_CHRONO_TOTALS + type]!;
  return type === words[cold + TP_CHRONO_TYPE] ? total + ((jiffies - words[cold + TP_CHRONO_START]!) | 0) : total;
}

/** What the rest of TCP finds of it, in tcp-parts.ts. */
export const tcpChronoOps: TcpChronoOps = Object.freeze({ start: tcpChronoStart, stop: tcpChronoStop });
