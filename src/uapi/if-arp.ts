/*
 * ARP numbers: hardware types, operations, flags of the table (Linux: linux/if_arp.h). Read first: RFC 826, arp(7).
 */

export const ARPHRD_NETROM = 0;
export const ARPHRD_ETHER = 1;
export const ARPHRD_IEEE802 = 6;
export const ARPHRD_SLIP = 256;
export const ARPHRD_PPP = 512;
export const ARPHRD_RAWHDLC = 518;
export const ARPHRD_RAWIP = 519;
export const ARPHRD_TUNNEL = 768;
export const ARPHRD_LOOPBACK = 772;
export const ARPHRD_IPGRE = 778;
export const ARPHRD_VOID = 0xffff;
export const ARPHRD_NONE = 0xfffe;

export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;
export const ARPOP_RREQUEST = 3;
export const ARPOP_RREPLY = 4;
export const ARPOP_INREQUEST = 8;
export const ARPOP_INREPLY = 9;
export const ARPOP_NAK = 10;

/** Entry complete. */
export const ATF_COM = 0x02;
/** Permanent entry. */
export const ATF_PERM = 0x04;
/** Published (proxy) entry. */
export const ATF_PUBL = 0x08;
export const ATF_USETRAILERS = 0x10;
export const ATF_NETMASK = 0x20;
export const ATF_DONTPUB = 0x40;
