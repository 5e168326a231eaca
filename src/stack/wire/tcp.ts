/*
 * The TCP header and its options on the wire (Linux: struct tcphdr, TCPHDR_*, TCPOPT_*, TCPOLEN_*).
 *
 * Read first: RFC 9293 section 3.1, RFC 7323 (window scale, timestamps), RFC 2018 and 2883 (SACK), RFC 3168 (ECN),
 * RFC 7413 (fast open). Offsets are relative to the first byte of the header. Socket options are in uapi/tcp.ts.
 */

export const TH_SPORT = 0;
export const TH_DPORT = 2;
export const TH_SEQ = 4;
export const TH_ACK = 8;
/** 16 bits: header length in words in the high four, flags TCPHDR_* in the low twelve. */
export const TH_OFF_FLAGS = 12;
/** The byte whose high four bits are the header length in words. */
export const TH_DOFF = 12;
/** The byte of the eight classic flags. */
export const TH_FLAGS = 13;
export const TH_WIN = 14;
export const TH_SUM = 16;
export const TH_URP = 18;
/** Bytes of a header without options. */
export const TCP_HLEN = 20;
/** Bytes of the longest header. */
export const TCP_MAX_HLEN = 60;
/** First option byte. */
export const TH_OPTIONS = 20;

export const TCPHDR_FIN = 0x01;
export const TCPHDR_SYN = 0x02;
export const TCPHDR_RST = 0x04;
export const TCPHDR_PSH = 0x08;
export const TCPHDR_ACK = 0x10;
export const TCPHDR_URG = 0x20;
export const TCPHDR_ECE = 0x40;
export const TCPHDR_CWR = 0x80;
/** Accurate ECN (formerly nonce sum), bit 8 of the 16-bit word. */
export const TCPHDR_AE = 0x100;
/** A SYN that offers ECN. */
export const TCPHDR_SYN_ECN = 0xc2;
/** The flags without the header length, in the 16-bit word. */
export const TCPHDR_FLAGS_MASK = 0x0fff;
/** Shift from the 16-bit word to the header length in bytes, after masking with TCPHDR_DOFF_MASK. */
export const TCPHDR_DOFF_SHIFT = 10;
export const TCPHDR_DOFF_MASK = 0xf000;
/** In the 16-bit word, the header length of a header without options (5 words). */
export const TCPHDR_DOFF_PLAIN = 0x5000;

export const TCPOPT_EOL = 0;
export const TCPOPT_NOP = 1;
export const TCPOPT_MSS = 2;
export const TCPOPT_WINDOW = 3;
export const TCPOPT_SACK_PERM = 4;
export const TCPOPT_SACK = 5;
export const TCPOPT_TIMESTAMP = 8;
export const TCPOPT_MD5SIG = 19;
export const TCPOPT_FASTOPEN = 34;
/** Experimental kind (RFC 4727) and the magic with which fast open once used it (RFC 7413 appendix A). */
export const TCPOPT_EXP = 254;
export const TCPOPT_FASTOPEN_MAGIC = 0xf989;

export const TCPOLEN_MSS = 4;
export const TCPOLEN_WINDOW = 3;
export const TCPOLEN_SACK_PERM = 2;
export const TCPOLEN_TIMESTAMP = 10;
export const TCPOLEN_MD5SIG = 18;
/** Kind and length of a fast open option; the cookie follows. */
export const TCPOLEN_FASTOPEN_BASE = 2;
export const TCPOLEN_EXP_FASTOPEN_BASE = 4;
/** Kind and length of a SACK option, and one block. */
export const TCPOLEN_SACK_BASE = 2;
export const TCPOLEN_SACK_PERBLOCK = 8;

/** The same with their padding to whole words. */
export const TCPOLEN_TSTAMP_ALIGNED = 12;
export const TCPOLEN_WSCALE_ALIGNED = 4;
export const TCPOLEN_SACKPERM_ALIGNED = 4;
export const TCPOLEN_SACK_BASE_ALIGNED = 4;
export const TCPOLEN_MSS_ALIGNED = 4;
export const TCPOLEN_MD5SIG_ALIGNED = 20;
/** Most bytes of options a header holds. */
export const MAX_TCP_OPTION_SPACE = 40;

/** NOP NOP TIMESTAMP 10: the word before the two values of an aligned timestamp option (RFC 7323 appendix A). */
export const TCPOPT_TSTAMP_WORD = 0x0101080a;
