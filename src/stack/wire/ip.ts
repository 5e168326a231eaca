/*
 * The IPv4 header and its options on the wire (Linux: struct iphdr).
 *
 * Read first: RFC 791 section 3.1, RFC 2474 (DSCP), RFC 3168 (ECN), RFC 2113 (router alert).
 * Offsets are relative to the first byte of the header.
 */

/** Version in the high four bits, header length in 32-bit words in the low four. */
export const IPH_VER_IHL = 0;
/** DSCP in the high six bits, ECN in the low two. */
export const IPH_TOS = 1;
/** Length of header and data in bytes. */
export const IPH_TOT_LEN = 2;
/** Identification, for reassembly. */
export const IPH_ID = 4;
/** IP_DF, IP_MF and the fragment offset in units of 8 bytes. */
export const IPH_FRAG_OFF = 6;
export const IPH_TTL = 8;
export const IPH_PROTOCOL = 9;
export const IPH_CHECK = 10;
export const IPH_SADDR = 12;
export const IPH_DADDR = 16;
/** Bytes of a header without options. */
export const IP_HLEN = 20;
/** Bytes of the longest header. */
export const IP_MAX_HLEN = 60;
/** First byte of a header without options. */
export const IP_VER_IHL_PLAIN = 0x45;
/** First two bytes of a header without options and with TOS 0. */
export const IP_VER_IHL_TOS_PLAIN = 0x4500;

/** The reserved bit of the fragment word ("congestion" in Linux). */
export const IP_CE = 0x8000;
/** Do not fragment. */
export const IP_DF = 0x4000;
/** More fragments follow. */
export const IP_MF = 0x2000;
/** Fragment offset in units of 8 bytes. */
export const IP_OFFSET = 0x1fff;
/** Non-zero in the fragment word of every fragment (more to come, or not the first). */
export const IP_FRAGMENT_BITS = 0x3fff;

/** Option kinds: copied bit, class and number in one byte (RFC 791 section 3.1; 8 bits, as Linux's IPOPT_*). */
export const IPOPT_END = 0;
export const IPOPT_NOOP = 1;
/** Record route. */
export const IPOPT_RR = 7;
export const IPOPT_TIMESTAMP = 68;
/** Basic security (RFC 1108). */
export const IPOPT_SEC = 130;
/** Loose source and record route. */
export const IPOPT_LSRR = 131;
/** Commercial security. */
export const IPOPT_CIPSO = 134;
/** Stream identifier. */
export const IPOPT_SID = 136;
/** Strict source and record route. */
export const IPOPT_SSRR = 137;
/** Router alert (RFC 2113). */
export const IPOPT_RA = 148;

/** The option is copied into every fragment. */
export const IPOPT_COPY = 0x80;
export const IPOPT_CLASS_MASK = 0x60;
export const IPOPT_NUMBER_MASK = 0x1f;

/** Within an option: kind, length of the whole option, pointer (first free byte, counted from 1). */
export const IPOPT_OPTVAL = 0;
export const IPOPT_OLEN = 1;
export const IPOPT_OFFSET = 2;
/** Smallest value of the pointer. */
export const IPOPT_MINOFF = 4;
/** Most bytes of options a header holds. */
export const MAX_IPOPTLEN = 40;

/** Fourth byte of a timestamp option: overflow count in the high four bits, one of these in the low four. */
export const IPOPT_TS_FLAGS = 3;
export const IPOPT_TS_TSONLY = 0;
export const IPOPT_TS_TSANDADDR = 1;
export const IPOPT_TS_PRESPEC = 3;
