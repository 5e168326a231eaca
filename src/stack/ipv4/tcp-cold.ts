/**
 * The cold fields of a connection's control block: a row of `words` for each, from `tp.cold` on (`icsk.cold` is the same), four
 * bytes each where a property takes sixteen. Linux: the rest of struct tcp_sock and struct inet_connection_sock. Flags are 0 or
 * 1. What every packet needs is in the objects of tcp-sock.ts.
 */

// Congestion window (tcp-cong.ts, tcp-output.ts).
/** Segments acknowledged since the window last grew. */
export const TP_SND_CWND_CNT = 0;
export const TP_SND_CWND_CLAMP = 1;
export const TP_MAX_PACKETS_OUT = 2;
export const TP_MAX_PACKETS_SEQ = 3;
export const TP_SND_CWND_STAMP = 4;
/** Most segments in flight since sndCwndStamp (RFC 2861). */
export const TP_SND_CWND_USED = 5;

// Round-trip time, RFC 6298 with Linux's rttvar; mdev and rttvar are 4 × ms (tcp-ack.ts).
export const TP_MDEV = 6;
export const TP_MDEV_MAX = 7;
export const TP_RTTVAR = 8;
export const TP_RTT_SEQ = 9;

// Windows, MSS and options agreed on (tcp-window.ts, tcp-options.ts, tcp-xmit.ts).
export const TP_MAX_WINDOW = 10;
export const TP_WINDOW_CLAMP = 11;
export const TP_WSCALE_OK = 12;
export const TP_SACK_OK = 13;
export const TP_ADVMSS = 14;
/** TCP_MAXSEG of the program; 0 for none. */
export const TP_USER_MSS = 15;
/** MSS option of the peer. */
export const TP_MSS_CLAMP = 16;
/** jiffies when tsRecent was stored. */
export const TP_TS_RECENT_STAMP = 17;

// Loss recovery (tcp-fastretrans.ts, tcp-retransmit.ts, tcp-prr.ts).
export const TP_HIGH_SEQ = 18;
export const TP_RETRANS_STAMP = 19;
export const TP_PRIOR_CWND = 20;
export const TP_REORDERING = 21;
export const TP_TOTAL_RETRANS = 22;
/** Segments delivered and segments marked lost since the start; their growth drives PRR (RFC 6937). */
export const TP_DELIVERED = 23;
export const TP_LOST = 24;
export const TP_PRR_DELIVERED = 25;
export const TP_PRR_OUT = 26;

// Connection setup, close, keepalive (tcp.ts, tcp-timer.ts, tcp-sockopt.ts).
export const TP_KEEPALIVE_TIME_MS = 27;
export const TP_KEEPALIVE_INTVL_MS = 28;
export const TP_KEEPALIVE_PROBES = 29;
/** FIN_WAIT2 time in ms; 0 = sysctl, negative = none. */
export const TP_LINGER2 = 30;
/** When a segment outside the window was last answered (0: never), for the limit of RFC 5961's challenge ACKs. */
export const TP_LAST_OOW_ACK_TIME = 31;
/** The FIN that close or shutdown asked for waits for a packet buffer. */
export const TP_FIN_PENDING = 32;
/** Closed by its program and counted among the orphans. */
export const TP_ORPHAN = 33;
/** When the neighbour was last told that the peer answers. */
export const TP_CONFIRM_STAMP = 34;
/** Unsent bytes from which on no more are taken (TCP_NOTSENT_LOWAT); 0 for no limit. */
export const TP_NOTSENT_LOWAT = 35;
/** TCP_INQ: recvmsg() tells what is left to read. */
export const TP_RECVMSG_INQ = 36;

// Fast Open (tcp-fastopen.ts, tcp-fastopen-client.ts).
/** Fast Open: most socks that may wait for their last ACK, how many do (listener); the listener while this one does. */
export const TP_FASTOPEN_MAX_QLEN = 37;
export const TP_FASTOPEN_QLEN = 38;
/** The client: FASTOPEN_REQ_*; TCP_FASTOPEN_CONNECT is set; connect() waits for the first write. */
export const TP_FASTOPEN_REQ = 39;
export const TP_FASTOPEN_CONNECT = 40;
export const TP_DEFER_CONNECT = 41;

// Of inet_connection_sock: timers, listeners (tcp-timer.ts, inet-connection-sock.ts, inet-bind-bucket.ts).
export const ICSK_ACK_LAST_SEG_SIZE = 42;
export const ICSK_SYN_RETRIES = 43;
export const ICSK_PROBES_OUT = 44;
/** TCP_USER_TIMEOUT in ms, 0 for none. */
export const ICSK_USER_TIMEOUT_MS = 45;
/** Start of unanswered zero-window probing. */
export const ICSK_PROBES_TSTAMP = 46;
/** Requests of this listener (SYN queue length). */
export const ICSK_REQSK_QLEN = 47;
/** Those of them whose SYN-ACK was not repeated yet. */
export const ICSK_REQSK_YOUNG = 48;
/** TCP_DEFER_ACCEPT as a number of SYN-ACK periods. */
export const ICSK_DEFER_ACCEPT = 49;
/** Bind bucket of the local port, -1 for none. */
export const ICSK_BIND_HASH = 50;

/*
 * Loss and reordering: from TP_REC to TP_REC_END, as new for each connection (tcpRecoveryReset).
 */
export const TP_REC = 51;

// What arrived out of order (tcp-sack.ts).
/** Blocks in `blocks`, the most recently changed first. */
export const TP_NUM_SACKS = 51;
/** A duplicate arrived; its range is told once (RFC 2883). */
export const TP_DSACK = 52;
export const TP_DUP_START = 53;
export const TP_DUP_END = 54;
/** Start and end of each block. */
export const TP_SACK_BLOCKS = 55;

// RACK (tcp-recovery.ts); times are jiffies or ms.
/** Something was delivered since the last look for losses. */
export const TP_RACK_ADVANCED = 63;
/** When the segment delivered that was sent last had been sent, its end, and its round trip. */
export const TP_RACK_MSTAMP = 64;
export const TP_RACK_END_SEQ = 65;
export const TP_RACK_RTT = 66;
/** Shortest round trip of the last tcp_min_rtt_wlen seconds, and when it was measured. */
export const TP_MIN_RTT = 67;
export const TP_MIN_RTT_STAMP = 68;
/** Times that reordering was seen. */
export const TP_REORD_SEEN = 69;
/** The reordering window in quarters of minRtt, and for how many recoveries it is kept. */
export const TP_REO_WND_STEPS = 70;
export const TP_REO_WND_PERSIST = 71;
/** A D-SACK asks for a wider window; and none is heard before sndUna reaches `reoWndSeq`. */
export const TP_RACK_DSACK_SEEN = 72;
export const TP_REO_WND_SEQ = 73;

// The scoreboard (tcp-sacktag.ts) and undoing (tcp-undo.ts).
/** End of the highest segment selectively acknowledged; valid while sackedOut is not 0. */
export const TP_HIGHEST_SACK_SEQ = 74;
/** sndUna when the window was reduced, 0 when that cannot be undone; retransmissions since then not known to be needless. */
export const TP_UNDO_MARKER = 75;
export const TP_UNDO_RETRANS = 76;
export const TP_PRIOR_SSTHRESH = 77;
/** Segments the peer reported as duplicates. */
export const TP_DSACK_DUPS = 78;

// Tail loss probe (tcp-tlp.ts), F-RTO (tcp-fastretrans.ts).
/** sndNxt when a probe was sent, 0 for none on its way; the probe was a retransmission. */
export const TP_TLP_HIGH_SEQ = 79;
export const TP_TLP_RETRANS = 80;
/** The timeout may have been spurious: RFC 5682 is finding out. */
export const TP_FRTO = 81;

export const TP_REC_END = 82;

/*
 * What counts for one connection of a sock: from TP_STATS to TP_STATS_END (tcpStatsReset).
 */
export const TP_STATS = 82;

// Urgent data (tcp-urgent.ts) and Fast Open of this connection.
/** Urgent data received: the byte with a TCP_URG_* bit, 0 for none, and its number; sent: the number behind the byte. */
export const TP_URG_DATA = 82;
export const TP_URG_SEQ = 83;
export const TP_SND_UP = 84;
/** Our SYN carried the option, in its experimental form, and data, so many bytes. */
export const TP_SYN_FASTOPEN = 85;
export const TP_SYN_FASTOPEN_EXP = 86;
export const TP_SYN_DATA = 87;
export const TP_SYN_DATA_COPIED = 88;
/** The data of a SYN was taken (TCPI_OPT_SYN_DATA). */
export const TP_SYN_DATA_ACKED = 89;

// TCP_INFO only (tcp-info.ts, tcp-chrono.ts).
export const TP_SEGS_IN = 90;
export const TP_SEGS_OUT = 91;
export const TP_DATA_SEGS_IN = 92;
export const TP_DATA_SEGS_OUT = 93;
export const TP_BYTES_RETRANS = 94;
export const TP_RCV_OOOPACK = 95;
export const TP_TOTAL_RTO = 96;
export const TP_TOTAL_RTO_RECOVERIES = 97;
export const TP_TOTAL_RTO_TIME = 98;
/** When the last series of timeouts began. */
export const TP_RTO_STAMP = 99;
/** The running TCP_CHRONO_* clock, since when, and the totals in ms. */
export const TP_CHRONO_TYPE = 100;
export const TP_CHRONO_START = 101;
export const TP_CHRONO_BUSY = 102;
export const TP_CHRONO_RWND = 103;
export const TP_CHRONO_SNDBUF = 104;

export const TP_STATS_END = 105;

/** State of the congestion control: CA_PRIV_WORDS words. */
export const ICSK_CA_PRIV = 105;
/** Words that an algorithm may have. */
export const CA_PRIV_WORDS = 17;

/** Words of a row. */
export const TP_WORDS = ICSK_CA_PRIV + CA_PRIV_WORDS;
