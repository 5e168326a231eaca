/*
 * Type of service, precedence, ECN codepoints and packet priorities (Linux: linux/ip.h, linux/pkt_sched.h).
 *
 * Read first: RFC 1349 (TOS), RFC 2474 (DSCP), RFC 3168 section 5 (ECN).
 */

export const IPVERSION = 4;
export const MAXTTL = 255;
/** Default time to live (RFC 1700). */
export const IPDEFTTL = 64;

export const IPTOS_TOS_MASK = 0x1e;
export const IPTOS_LOWDELAY = 0x10;
export const IPTOS_THROUGHPUT = 0x08;
export const IPTOS_RELIABILITY = 0x04;
export const IPTOS_MINCOST = 0x02;
/** What of the TOS a route lookup regards. */
export const IPTOS_RT_MASK = 0x1c;

export const IPTOS_PREC_MASK = 0xe0;
export const IPTOS_PREC_NETCONTROL = 0xe0;
export const IPTOS_PREC_INTERNETCONTROL = 0xc0;
export const IPTOS_PREC_CRITIC_ECP = 0xa0;
export const IPTOS_PREC_FLASHOVERRIDE = 0x80;
export const IPTOS_PREC_FLASH = 0x60;
export const IPTOS_PREC_IMMEDIATE = 0x40;
export const IPTOS_PREC_PRIORITY = 0x20;
export const IPTOS_PREC_ROUTINE = 0x00;

export const INET_ECN_NOT_ECT = 0;
export const INET_ECN_ECT_1 = 1;
export const INET_ECN_ECT_0 = 2;
export const INET_ECN_CE = 3;
export const INET_ECN_MASK = 3;

/** skb.priority by TOS, as queueing disciplines read it. */
export const TC_PRIO_BESTEFFORT = 0;
export const TC_PRIO_FILLER = 1;
export const TC_PRIO_BULK = 2;
export const TC_PRIO_INTERACTIVE_BULK = 4;
export const TC_PRIO_INTERACTIVE = 6;
export const TC_PRIO_CONTROL = 7;
export const TC_PRIO_MAX = 15;
