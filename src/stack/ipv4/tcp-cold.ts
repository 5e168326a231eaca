/**
 * The cold fields of a connection's control block: a row of `words` for each, from `tp.cold` on (`icsk.cold` is the same), four
 * bytes each where a property takes sixteen. Linux: the rest of struct tcp_sock and struct inet_connection_sock. Flags are 0 or
 * 1. What every packet needs is in the objects of tcp-sock.ts.
 */
import { TIMER_WORDS } from "../../lib/timer.ts";

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
/** When the neighbour was last told that the peer answers. */
export const TP_CONFIRM_STAMP = 33;
/** Unsent bytes from which on no more are taken (TCP_NOTSENT_LOWAT); 0 for no limit. */
export const TP_NOTSENT_LOWAT = 34;

// Fast Open (tcp-fastopen.ts, tcp-fastopen-client.ts).
/** Fast Open: most socks that may wait for their last ACK, how many do (listener); the listener while this one does. */
export const TP_FASTOPEN_MAX_QLEN = 35;
export const TP_FASTOPEN_QLEN = 36;
/**
 * TP_FASTOPEN_REQ: connect() is to ask for a cookie or use one; a cookie (or leave without one) is there, so data may go; the SYN
 * took a part, and a program that waits (without O_NONBLOCK) has more.
 */
export const FASTOPEN_REQ_NONE = 0;
export const FASTOPEN_REQ_ASK = 1;
export const FASTOPEN_REQ_DATA = 2;
export const FASTOPEN_REQ_WAITS = 3;
/** The client: FASTOPEN_REQ_*; TCP_FASTOPEN_CONNECT is set; connect() waits for the first write. */
export const TP_FASTOPEN_REQ = 37;
export const TP_FASTOPEN_CONNECT = 38;
export const TP_DEFER_CONNECT = 39;

// Of inet_connection_sock: timers, listeners (tcp-timer.ts, inet-connection-sock.ts, inet-bind-bucket.ts).
export const ICSK_ACK_LAST_SEG_SIZE = 40;
export const ICSK_SYN_RETRIES = 41;
export const ICSK_PROBES_OUT = 42;
/** TCP_USER_TIMEOUT in ms, 0 for none. */
export const ICSK_USER_TIMEOUT_MS = 43;
/** Start of unanswered zero-window probing. */
export const ICSK_PROBES_TSTAMP = 44;
/** Requests of this listener (SYN queue length). */
export const ICSK_REQSK_QLEN = 45;
/** Those of them whose SYN-ACK was not repeated yet. */
export const ICSK_REQSK_YOUNG = 46;
/** TCP_DEFER_ACCEPT as a number of SYN-ACK periods. */
export const ICSK_DEFER_ACCEPT = 47;
/** Bind bucket of the local port, -1 for none. */
export const ICSK_BIND_HASH = 48;

/*
 * Loss and reordering: from TP_REC to TP_REC_END, as new for each connection (tcpRecoveryReset).
 */
export const TP_REC = 49;

// What arrived out of order (tcp-sack.ts).
/** Blocks in `blocks`, the most recently changed first. */
export const TP_NUM_SACKS = 49;
/** A duplicate arrived; its range is told once (RFC 2883). */
export const TP_DSACK = 50;
export const TP_DUP_START = 51;
export const TP_DUP_END = 52;
/** Start and end of each block. */
export const TP_SACK_BLOCKS = 53;

// RACK (tcp-recovery.ts); times are jiffies or ms.
/** Something was delivered since the last look for losses. */
export const TP_RACK_ADVANCED = 61;
/** When the segment delivered that was sent last had been sent, its end, and its round trip. */
export const TP_RACK_MSTAMP = 62;
export const TP_RACK_END_SEQ = 63;
export const TP_RACK_RTT = 64;
/** Shortest round trip of the last tcp_min_rtt_wlen seconds, and when it was measured. */
export const TP_MIN_RTT = 65;
export const TP_MIN_RTT_STAMP = 66;
/** Times that reordering was seen. */
export const TP_REORD_SEEN = 67;
/** The reordering window in quarters of minRtt, and for how many recoveries it is kept. */
export const TP_REO_WND_STEPS = 68;
export const TP_REO_WND_PERSIST = 69;
/** A D-SACK asks for a wider window; and none is heard before sndUna reaches `reoWndSeq`. */
export const TP_RACK_DSACK_SEEN = 70;
export const TP_REO_WND_SEQ = 71;

// The scoreboard (tcp-sacktag.ts) and undoing (tcp-undo.ts).
/** End of the highest segment selectively acknowledged; valid while sackedOut is not 0. */
export const TP_HIGHEST_SACK_SEQ = 72;
/** sndUna when the window was reduced, 0 when that cannot be undone; retransmissions since then not known to be needless. */
export const TP_UNDO_MARKER = 73;
export const TP_UNDO_RETRANS = 74;
export const TP_PRIOR_SSTHRESH = 75;
/** Segments the peer reported as duplicates. */
export const TP_DSACK_DUPS = 76;

// Tail loss probe (tcp-tlp.ts), F-RTO (tcp-fastretrans.ts).
/** sndNxt when a probe was sent, 0 for none on its way; the probe was a retransmission. */
export const TP_TLP_HIGH_SEQ = 77;
export const TP_TLP_RETRANS = 78;
/** The timeout may have been spurious: RFC 5682 is finding out. */
export const TP_FRTO = 79;

export const TP_REC_END = 80;

/*
 * What counts for one connection of a sock: from TP_STATS to TP_STATS_END (tcpStatsReset).
 */
export const TP_STATS = 80;

// Urgent data (tcp-urgent.ts) and Fast Open of this connection.
/** Urgent data received: the byte with a TCP_URG_* bit, 0 for none, and its number; sent: the number behind the byte. */
export const TP_URG_DATA = 80;
export const TP_URG_SEQ = 81;
export const TP_SND_UP = 82;
/** Our SYN carried the option, in its experimental form, and data, so many bytes. */
export const TP_SYN_FASTOPEN = 83;
export const TP_SYN_FASTOPEN_EXP = 84;
export const TP_SYN_DATA = 85;
export const TP_SYN_DATA_COPIED = 86;
/** The data of a SYN was taken (TCPI_OPT_SYN_DATA). */
export const TP_SYN_DATA_ACKED = 87;

// TCP_INFO only (tcp-info.ts, tcp-chrono.ts).
export const TP_SEGS_IN = 88;
export const TP_SEGS_OUT = 89;
export const TP_DATA_SEGS_IN = 90;
export const TP_DATA_SEGS_OUT = 91;
export const TP_BYTES_RETRANS = 92;
export const TP_RCV_OOOPACK = 93;
export const TP_TOTAL_RTO = 94;
export const TP_TOTAL_RTO_RECOVERIES = 95;
export const TP_TOTAL_RTO_TIME = 96;
/** When the last series of timeouts began. */
export const TP_RTO_STAMP = 97;
/** The running TCP_CHRONO_* clock, 0 for none, and since when it runs. */
export const TP_CHRONO_TYPE = 98;
export const TP_CHRONO_START = 99;
/** The total of each clock in ms: the word behind the last one plus TCP_CHRONO_* (from 1 on). */
export const TP_CHRONO_TOTALS = 99;

/*
 * The receive buffer's growth (tcp-rcvbuf.ts).
 */
/** Round trip as the receiver sees it, 8 × ms, 0 for not measured; when the measurement of it began, 0 for none. */
export const TP_RCV_RTT = 103;
export const TP_RCV_RTT_TIME = 104;
/** Bytes read in the last round trip, copiedSeq and the time at the begin of this one. */
export const TP_RCVQ_SPACE = 105;
export const TP_RCVQ_SEQ = 106;
export const TP_RCVQ_TIME = 107;

/* When the next segment may leave, where a rate is set (tcp-pacing.ts): jiffies, and µs beyond. */
export const TP_PACING_MS = 108;
export const TP_PACING_US = 109;

/** Payload sent, retransmissions included, modulo 2^32 (TCP_INFO). */
export const TP_BYTES_SENT = 110;

export const TP_STATS_END = 111;

/** State of the congestion control: CA_PRIV_WORDS words. */
export const ICSK_CA_PRIV = 111;
/** Words that an algorithm may have. */
export const CA_PRIV_WORDS = 17;

/** What a new connection finds cleared ends here. */
export const TP_RESET_END = 128;

/*
 * The timers (tcp-timer.ts), made once for each row; a timer is where it lies.
 */
export const ICSK_RETRANSMIT_TIMER = 128;
export const ICSK_DELACK_TIMER = 132;
/** Keepalive, FIN_WAIT2 and orphan timer (sk->sk_timer). */
export const ICSK_KEEPALIVE_TIMER = 136;
export const TP_PACING_TIMER = 140;

/** Words of a row. */
export const TP_WORDS = TP_PACING_TIMER + TIMER_WORDS;
