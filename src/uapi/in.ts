/*
 * IPv4 numbers a program sees: protocols, addresses, socket options (Linux: linux/in.h).
 *
 * Read first: ip(7), RFC 1122 section 3.2.1.3 (addresses), RFC 6890 (special blocks).
 * Addresses are signed int32 in host order.
 */

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_IPIP = 4;
export const IPPROTO_TCP = 6;
export const IPPROTO_EGP = 8;
export const IPPROTO_PUP = 12;
export const IPPROTO_UDP = 17;
export const IPPROTO_DCCP = 33;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_GRE = 47;
export const IPPROTO_ESP = 50;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_PIM = 103;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;
export const IPPROTO_RAW = 255;
/** One more than the highest protocol number of the IP header. */
export const IPPROTO_MAX = 256;

export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_OPTIONS = 4;
export const IP_ROUTER_ALERT = 5;
export const IP_RECVOPTS = 6;
export const IP_RETOPTS = 7;
export const IP_PKTINFO = 8;
export const IP_PKTOPTIONS = 9;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVTOS = 13;
export const IP_MTU = 14;
export const IP_FREEBIND = 15;
export const IP_PASSSEC = 18;
export const IP_TRANSPARENT = 19;
export const IP_RECVORIGDSTADDR = 20;
export const IP_ORIGDSTADDR = 20;
export const IP_MINTTL = 21;
export const IP_NODEFRAG = 22;
export const IP_CHECKSUM = 23;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IP_RECVFRAGSIZE = 25;
export const IP_MULTICAST_IF = 32;
export const IP_MULTICAST_TTL = 33;
export const IP_MULTICAST_LOOP = 34;
export const IP_ADD_MEMBERSHIP = 35;
export const IP_DROP_MEMBERSHIP = 36;
export const IP_UNBLOCK_SOURCE = 37;
export const IP_BLOCK_SOURCE = 38;
export const IP_ADD_SOURCE_MEMBERSHIP = 39;
export const IP_DROP_SOURCE_MEMBERSHIP = 40;
export const IP_MSFILTER = 41;
export const MCAST_JOIN_GROUP = 42;
export const MCAST_BLOCK_SOURCE = 43;
export const MCAST_UNBLOCK_SOURCE = 44;
export const MCAST_LEAVE_GROUP = 45;
export const MCAST_JOIN_SOURCE_GROUP = 46;
export const MCAST_LEAVE_SOURCE_GROUP = 47;
export const MCAST_MSFILTER = 48;
export const IP_MULTICAST_ALL = 49;
export const IP_UNICAST_IF = 50;
export const IP_LOCAL_PORT_RANGE = 51;

/** Values of IP_MTU_DISCOVER. */
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_WANT = 1;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_PROBE = 3;
export const IP_PMTUDISC_INTERFACE = 4;
export const IP_PMTUDISC_OMIT = 5;

export const IP_DEFAULT_MULTICAST_TTL = 1;
export const IP_DEFAULT_MULTICAST_LOOP = 1;
/** Modes of a multicast source filter. */
export const MCAST_EXCLUDE = 0;
export const MCAST_INCLUDE = 1;

/** 0.0.0.0, any local address. */
export const INADDR_ANY = 0;
/** 255.255.255.255, as int32. */
export const INADDR_BROADCAST = -1;
export const INADDR_NONE = -1;
/** 127.0.0.1 */
export const INADDR_LOOPBACK = 0x7f000001;
/** 192.0.0.8, source of ICMP errors from a host without an address (RFC 7600 section 4.8). */
export const INADDR_DUMMY = -1073741816;
/** 224.0.0.0 */
export const INADDR_UNSPEC_GROUP = -536870912;
/** 224.0.0.1, all systems on this link */
export const INADDR_ALLHOSTS_GROUP = -536870911;
/** 224.0.0.2, all routers on this link */
export const INADDR_ALLRTRS_GROUP = -536870910;
/** 224.0.0.22, IGMPv3 reports */
export const IGMPV3_ALL_MCR = -536870890;
/** 224.0.0.106, all snoopers */
export const INADDR_ALLSNOOPERS_GROUP = -536870806;
/** 224.0.0.251, multicast DNS */
export const INADDR_MDNS_GROUP = -536870661;
/** 224.0.0.255, last group that never leaves the link */
export const INADDR_MAX_LOCAL_GROUP = -536870657;
/** Network part of the loopback block 127.0.0.0/8, in the first byte. */
export const IN_LOOPBACKNET = 127;

/** Ports below this one need a privilege on Linux (net.ipv4.ip_unprivileged_port_start). */
export const PROT_SOCK = 1024;

/** First bit clear: a class A address. */
export function inClassA(a: number): boolean {
  return a >= 0;
}

/** First bits 10: a class B address. */
export function inClassB(a: number): boolean {
  return (a & -0x40000000) === -0x80000000;
}

/** First bits 110: a class C address. */
export function inClassC(a: number): boolean {
  return (a & -0x20000000) === -0x40000000;
}

/** First bits 1110: 224.0.0.0/4, a multicast group (Linux: IN_CLASSD, ipv4_is_multicast). */
export function inClassD(a: number): boolean {
  return (a & -0x10000000) === -0x20000000;
}

/** First bits 1111: 240.0.0.0/4, reserved, with the limited broadcast address. */
export function inClassE(a: number): boolean {
  return (a & -0x10000000) === -0x10000000;
}

/** 224.0.0.0/24, never forwarded (RFC 5771 section 4; Linux: ipv4_is_local_multicast). */
export function ipv4IsLocalMulticast(a: number): boolean {
  return (a & -256) === INADDR_UNSPEC_GROUP;
}

/** 0.0.0.0/8, "this network" (Linux: ipv4_is_zeronet; 0.0.0.0 alone since 5.3). */
export function ipv4IsZeronet(a: number): boolean {
  return a === 0;
}

/** 127.0.0.0/8 (Linux: ipv4_is_loopback). */
export function ipv4IsLoopback(a: number): boolean {
  return a >> 24 === IN_LOOPBACKNET;
}

/** 169.254.0.0/16 (RFC 3927; Linux: ipv4_is_linklocal_169). */
export function ipv4IsLinklocal(a: number): boolean {
  return a >> 16 === -22018;
}

/** 255.255.255.255 (Linux: ipv4_is_lbcast). */
export function ipv4IsLbcast(a: number): boolean {
  return a === -1;
}
