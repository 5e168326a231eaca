/**
 * D-SACK, the sender's side: the peer tells which bytes it got twice. Linux: tcp_check_dsack() and tcp_dsack_seen() of
 * net/ipv4/tcp_input.c. Read first: RFC 2883 section 4, RFC 3708. It is part of tcp-undo.ts.
 */
import { memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  LINUX_MIB_TCPDSACKIGNOREDDUBIOUS, LINUX_MIB_TCPDSACKOFORECV, LINUX_MIB_TCPDSACKRECV, LINUX_MIB_TCPDSACKRECVSEGS,
} from "../../uapi/snmp.ts";
import { FLAG_DSACK_TLP, FLAG_DSACKING_ACK } from "./tcp-ack-flags.ts";
import {
  TP_DSACK_DUPS, TP_MAX_WINDOW, TP_RACK_DSACK_SEEN, TP_REORD_SEEN, TP_TLP_HIGH_SEQ, TP_TOTAL_RETRANS, TP_UNDO_MARKER,
  TP_UNDO_RETRANS,
} from "./tcp-cold.ts";
import { rxOpt } from "./tcp-options.ts";
import type { TcpSk, TcpSock } from "./tcp-sock.ts";

/** Segments that a D-SACK of the ACK told of: retransmissions that were needless, and arrived all the same. */
export let dsackDelivered = 0;

/** The peer got these bytes twice. @returns FLAG_*, without FLAG_DSACKING_ACK when it cannot be true. Linux: tcp_dsack_seen() */
function dsackSeen(tp: TcpSock, start: number, end: number): number {
  const length = (end - start) | 0;
  const rec = tp.cold;
  if (length <= 0 || length > words[tp.cold + TP_MAX_WINDOW]!) return 0;
  let segments = 1;
  let flag = 0;
  if (length > tp.mssCache) segments = ((length + tp.mssCache - 1) / tp.mssCache) | 0;
  else if (words[rec + TP_TLP_HIGH_SEQ] !== 0 && words[rec + TP_TLP_HIGH_SEQ] === end) flag |= FLAG_DSACK_TLP;
  words[rec + TP_DSACK_DUPS]! += segments;
  // More duplicates than retransmissions: the network made them.
  if (words[rec + TP_DSACK_DUPS]! > words[tp.cold + TP_TOTAL_RETRANS]!) return flag;
  if (words[rec + TP_REORD_SEEN] !== 0 && (flag & FLAG_DSACK_TLP) === 0) words[rec + TP_RACK_DSACK_SEEN] = 1;
  dsackDelivered = segments;
  return flag | FLAG_DSACKING_ACK;
}

/**
 * Is the first block a D-SACK: below the acknowledgment, or within the second block (RFC 2883 section 4)? Linux: tcp_check_dsack().
 * @returns FLAG_* of the ACK, FLAG_DSACKING_ACK when it is to be believed
 */
export function tcpCheckDsack(sk: TcpSk, ack: number, priorUna: number): number {
  const tp = sk.tp;
  const rec = tp.cold;
  const mib = sk.net.mib;
  const view = memView;
  const at = rxOpt.sackOffset;
  dsackDelivered = 0;
  const start = view.getInt32(at);
  const end = view.getInt32(at + 4);
  if (((start - ack) | 0) < 0) {
    mib[LINUX_MIB_TCPDSACKRECV]!++;
  } else {
    if (rxOpt.numSacks < 2) return 0;
    if (((end - view.getInt32(at + 12)) | 0) > 0 || ((start - view.getInt32(at + 8)) | 0) < 0) return 0;
    mib[LINUX_MIB_TCPDSACKOFORECV]!++;
  }
  const flag = dsackSeen(tp, start, end);
  if ((flag & FLAG_DSACKING_ACK) === 0) {
    mib[LINUX_MIB_TCPDSACKIGNOREDDUBIOUS]!++;
    return flag;
  }
  const segments = dsackDelivered;
  mib[LINUX_MIB_TCPDSACKRECVSEGS]! += segments;
  if (
    words[rec + TP_UNDO_MARKER] !== 0 && words[rec + TP_UNDO_RETRANS]! > 0 && ((end - priorUna) | 0) <= 0 && ((end - words[rec + TP_UNDO_MARKER]!) | 0) > 0
  ) {
    words[rec + TP_UNDO_RETRANS] = words[rec + TP_UNDO_RETRANS]! > segments ? words[rec + TP_UNDO_RETRANS]! - segments : 0;
  }
  return flag;
}
