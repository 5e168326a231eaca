/**
 * The part of a connection's control block that is touched only around loss and reordering: one sub-object, so that the fields
 * of every packet's path stay in front. Linux: parts of struct tcp_sock (undo_*, rack, tlp_*, duplicate_sack, selective_acks).
 */

/** "Not measured yet", for minRtt. */
export const RTT_UNKNOWN = 0x7fffffff;
/** SACK blocks remembered at most (RFC 2018 section 3). Linux: TCP_NUM_SACKS. */
export const TCP_NUM_SACKS = 4;

export class TcpRecovery {
  // What arrived out of order (tcp-sack.ts).
  /** Blocks in `blocks`, the most recently changed first. */
  numSacks = 0;
  /** A duplicate arrived; its range is told once (RFC 2883). */
  dsack = false;
  dupStart = 0;
  dupEnd = 0;
  /** Start and end of each block. */
  blocks: Int32Array = new Int32Array(2 * TCP_NUM_SACKS);

  // RACK (tcp-recovery.ts); times are jiffies or ms.
  /** Something was delivered since the last look for losses. */
  rackAdvanced = false;
  /** When the segment delivered that was sent last had been sent, its end, and its round trip. */
  rackMstamp = 0;
  rackEndSeq = 0;
  rackRtt = 0;
  /** Shortest round trip of the last tcp_min_rtt_wlen seconds, and when it was measured. */
  minRtt = RTT_UNKNOWN;
  minRttStamp = 0;
  /** Times that reordering was seen. */
  reordSeen = 0;
  /** The reordering window in quarters of minRtt, and for how many recoveries it is kept. */
  reoWndSteps = 1;
  reoWndPersist = 0;
  /** A D-SACK asks for a wider window; and none is heard before sndUna reaches `reoWndSeq`. */
  rackDsackSeen = false;
  reoWndSeq = 0;

  // The scoreboard (tcp-sacktag.ts) and undoing (tcp-undo.ts).
  /** End of the highest segment selectively acknowledged; valid while sackedOut is not 0. */
  highestSackSeq = 0;
  /** sndUna when the window was reduced, 0 when that cannot be undone; retransmissions since then not known to be needless. */
  undoMarker = 0;
  undoRetrans = 0;
  priorSsthresh = 0;
  /** Segments the peer reported as duplicates. */
  dsackDups = 0;

  // Tail loss probe (tcp-tlp.ts), F-RTO (tcp-fastretrans.ts), ECN (tcp-ecn.ts).
  /** sndNxt when a probe was sent, 0 for none on its way; the probe was a retransmission. */
  tlpHighSeq = 0;
  tlpRetrans = false;
  /** The timeout may have been spurious: RFC 5682 is finding out. */
  frto = false;
}

/** Everything as for a new connection. */
export function tcpRecoveryReset(rec: TcpRecovery): void {
  rec.numSacks = rec.dupStart = rec.dupEnd = 0;
  rec.dsack = rec.rackAdvanced = rec.rackDsackSeen = rec.tlpRetrans = rec.frto = false;
  rec.rackMstamp = rec.rackEndSeq = rec.rackRtt = rec.minRttStamp = rec.reordSeen = 0;
  rec.minRtt = RTT_UNKNOWN;
  rec.reoWndSteps = 1;
  rec.reoWndPersist = rec.reoWndSeq = rec.highestSackSeq = 0;
  rec.undoMarker = rec.undoRetrans = rec.priorSsthresh = rec.dsackDups = rec.tlpHighSeq = 0;
}
