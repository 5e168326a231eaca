/*
 * TCP numbers a program sees: states and socket options (Linux: linux/tcp.h, net/tcp_states.h).
 *
 * Read first: tcp(7), RFC 9293 section 3.3.2 (states). Header offsets are in stack/wire/tcp.ts.
 */

export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;
/** A request not yet a socket; never seen by a program, TCP_SYN_RECV is shown instead. */
export const TCP_NEW_SYN_RECV = 12;
export const TCP_MAX_STATES = 13;

/** `1 << state`, for tests against a set of states. */
export const TCPF_ESTABLISHED = 0x2;
export const TCPF_SYN_SENT = 0x4;
export const TCPF_SYN_RECV = 0x8;
export const TCPF_FIN_WAIT1 = 0x10;
export const TCPF_FIN_WAIT2 = 0x20;
export const TCPF_TIME_WAIT = 0x40;
export const TCPF_CLOSE = 0x80;
export const TCPF_CLOSE_WAIT = 0x100;
export const TCPF_LAST_ACK = 0x200;
export const TCPF_LISTEN = 0x400;
export const TCPF_CLOSING = 0x800;
export const TCPF_NEW_SYN_RECV = 0x1000;

/** The name of each state, as tcp(7), ss and RFC 9293 have it. */
export const TCP_STATE_NAMES: readonly string[] = Object.freeze([
  "UNKNOWN", "ESTABLISHED", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE", "CLOSE-WAIT",
  "LAST-ACK", "LISTEN", "CLOSING", "NEW-SYN-RECV",
]);

export const TCP_NODELAY = 1;
export const TCP_MAXSEG = 2;
export const TCP_CORK = 3;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_SYNCNT = 7;
export const TCP_LINGER2 = 8;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_WINDOW_CLAMP = 10;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_CONGESTION = 13;
export const TCP_MD5SIG = 14;
export const TCP_THIN_LINEAR_TIMEOUTS = 16;
export const TCP_THIN_DUPACK = 17;
export const TCP_USER_TIMEOUT = 18;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_FASTOPEN = 23;
export const TCP_TIMESTAMP = 24;
export const TCP_NOTSENT_LOWAT = 25;
export const TCP_CC_INFO = 26;
export const TCP_SAVE_SYN = 27;
export const TCP_SAVED_SYN = 28;
export const TCP_REPAIR_WINDOW = 29;
export const TCP_FASTOPEN_CONNECT = 30;
export const TCP_ULP = 31;
export const TCP_MD5SIG_EXT = 32;
/** Size of struct tcp_md5sig, longest key, and flags of TCP_MD5SIG_EXT. */
export const TCP_MD5SIG_BYTES = 216;
export const TCP_MD5SIG_MAXKEYLEN = 80;
export const TCP_MD5SIG_FLAG_PREFIX = 1;
export const TCP_MD5SIG_FLAG_IFINDEX = 2;
export const TCP_FASTOPEN_KEY = 33;
export const TCP_FASTOPEN_NO_COOKIE = 34;
export const TCP_ZEROCOPY_RECEIVE = 35;
export const TCP_INQ = 36;
export const TCP_CM_INQ = 36;
export const TCP_TX_DELAY = 37;

/** Default maximum segment size when the peer names none (RFC 9293 section 3.7.1). */
export const TCP_MSS_DEFAULT = 536;
/** Congestion control states, tcpi_ca_state of TCP_INFO. */
export const TCP_CA_OPEN = 0;
export const TCP_CA_DISORDER = 1;
export const TCP_CA_CWR = 2;
export const TCP_CA_RECOVERY = 3;
export const TCP_CA_LOSS = 4;

/** Bits of tcpi_options of TCP_INFO. */
export const TCPI_OPT_TIMESTAMPS = 1;
export const TCPI_OPT_SACK = 2;
export const TCPI_OPT_WSCALE = 4;
export const TCPI_OPT_ECN = 8;
export const TCPI_OPT_ECN_SEEN = 16;
export const TCPI_OPT_SYN_DATA = 32;
