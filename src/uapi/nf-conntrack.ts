/** Numbers of connection tracking. Linux: linux/netfilter/nf_conntrack_common.h, nf_conntrack_tcp.h. */

/** What a packet is to its connection (ctinfo). The other direction's are IP_CT_IS_REPLY more. */
export const IP_CT_ESTABLISHED = 0;
export const IP_CT_RELATED = 1;
/** The first of its connection, or another one before the first answer. */
export const IP_CT_NEW = 2;
export const IP_CT_IS_REPLY = 3;
/** Not tracked yet: it is said how it is to be. */
export const IP_CT_TEMPLATE = 6;
/** Somebody does not want it to be tracked. */
export const IP_CT_UNTRACKED = 7;

/** Bits of a connection's status. */
export const IPS_EXPECTED = 1;
/** Packets went both ways. */
export const IPS_SEEN_REPLY = 2;
/** Not to be dropped early when the table is full. */
export const IPS_ASSURED = 4;
/** In the table: its first packet has left, or has arrived. */
export const IPS_CONFIRMED = 8;
export const IPS_SRC_NAT = 16;
export const IPS_DST_NAT = 32;
export const IPS_SEQ_ADJUST = 64;
export const IPS_SRC_NAT_DONE = 128;
export const IPS_DST_NAT_DONE = 256;
/** Out of the table; a packet is still on its way. */
export const IPS_DYING = 512;
/** A helper reads its packets. */
export const IPS_HELPER = 8192;

export const TCP_CONNTRACK_NONE = 0;
export const TCP_CONNTRACK_SYN_SENT = 1;
export const TCP_CONNTRACK_SYN_RECV = 2;
export const TCP_CONNTRACK_ESTABLISHED = 3;
export const TCP_CONNTRACK_FIN_WAIT = 4;
export const TCP_CONNTRACK_CLOSE_WAIT = 5;
export const TCP_CONNTRACK_LAST_ACK = 6;
export const TCP_CONNTRACK_TIME_WAIT = 7;
export const TCP_CONNTRACK_CLOSE = 8;
/** Both have sent a SYN. */
export const TCP_CONNTRACK_SYN_SENT2 = 9;
