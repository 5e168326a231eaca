/*
 * Why a packet was dropped (Linux: net/dropreason-core.h; Linux's names, our numbers, since Linux renumbers them from
 * version to version). The last argument of kfreeSkb; the counters are in stack/core.
 */

/** Not dropped; the value a receive function returns when all went well. */
export const SKB_NOT_DROPPED_YET = 0;
/** The packet reached its end: no drop. */
export const SKB_CONSUMED = 1;
/** Nobody said why. */
export const SKB_DROP_REASON_NOT_SPECIFIED = 2;
/** No socket takes it. */
export const SKB_DROP_REASON_NO_SOCKET = 3;
/** It waited in a socket that was closed. */
export const SKB_DROP_REASON_SOCKET_CLOSE = 4;
/** The socket's filter refused it. */
export const SKB_DROP_REASON_SOCKET_FILTER = 5;
/** The socket's receive buffer is full. */
export const SKB_DROP_REASON_SOCKET_RCVBUFF = 6;
/** The socket's backlog is full. */
export const SKB_DROP_REASON_SOCKET_BACKLOG = 7;
/** A unix datagram socket changed its peer. */
export const SKB_DROP_REASON_UNIX_DISCONNECT = 8;
/** Out-of-band data of a unix socket was skipped. */
export const SKB_DROP_REASON_UNIX_SKIP_OOB = 9;
/** Shorter than its header says. */
export const SKB_DROP_REASON_PKT_TOO_SMALL = 10;
/** Larger than the MTU and not to be fragmented. */
export const SKB_DROP_REASON_PKT_TOO_BIG = 11;
/** The header is cut off. */
export const SKB_DROP_REASON_HDR_TRUNC = 12;
/** A checksum over the whole packet is wrong. */
export const SKB_DROP_REASON_SKB_CSUM = 13;
/** Copying from or to the program failed. */
export const SKB_DROP_REASON_SKB_UCOPY_FAULT = 14;
/** Segmentation failed. */
export const SKB_DROP_REASON_SKB_GSO_SEG = 15;
/** A pool is empty. */
export const SKB_DROP_REASON_NOMEM = 16;
/** The protocol's memory limit is reached. */
export const SKB_DROP_REASON_PROTO_MEM = 17;
/** The device driver refused the header. */
export const SKB_DROP_REASON_DEV_HDR = 18;
/** The device is down or not ready. */
export const SKB_DROP_REASON_DEV_READY = 19;
/** A ring is full. */
export const SKB_DROP_REASON_FULL_RING = 20;
/** The backlog before the stack is full. */
export const SKB_DROP_REASON_CPU_BACKLOG = 21;
/** No handler for this ethertype. */
export const SKB_DROP_REASON_UNHANDLED_PROTO = 22;
/** Addressed to another host's link address. */
export const SKB_DROP_REASON_OTHERHOST = 23;
/** Ingress traffic control. */
export const SKB_DROP_REASON_TC_INGRESS = 24;
/** Egress traffic control. */
export const SKB_DROP_REASON_TC_EGRESS = 25;
/** The queueing discipline refused it. */
export const SKB_DROP_REASON_QDISC_DROP = 26;
/** The queueing discipline is full. */
export const SKB_DROP_REASON_QDISC_OVERLIMIT = 27;
/** The queueing discipline's congestion control. */
export const SKB_DROP_REASON_QDISC_CONGESTED = 28;
/** A burst beyond what the shaper lets through. */
export const SKB_DROP_REASON_QDISC_BURST_DROP = 29;
/** A filter of a tap. */
export const SKB_DROP_REASON_TAP_FILTER = 30;
/** A transmit filter of a tap. */
export const SKB_DROP_REASON_TAP_TXFILTER = 31;
/** The source link address is no unicast address. */
export const SKB_DROP_REASON_MAC_INVALID_SOURCE = 32;
/** A MAC control frame (IEEE 802.1D reserved group). */
export const SKB_DROP_REASON_MAC_IEEE_MAC_CONTROL = 33;
/** The bridge port does not receive in its state. */
export const SKB_DROP_REASON_BRIDGE_INGRESS_STP_STATE = 34;
/** The bridge knows no port for it. */
export const SKB_DROP_REASON_BRIDGE_NO_EGRESS_PORT = 35;
/** The VLAN is not known here. */
export const SKB_DROP_REASON_VLAN_FILTER = 36;
/** No neighbour entry to be had. */
export const SKB_DROP_REASON_NEIGH_CREATEFAIL = 37;
/** The neighbour does not answer. */
export const SKB_DROP_REASON_NEIGH_FAILED = 38;
/** Too many packets wait for the neighbour's address. */
export const SKB_DROP_REASON_NEIGH_QUEUEFULL = 39;
/** The neighbour entry went away. */
export const SKB_DROP_REASON_NEIGH_DEAD = 40;
/** The link header could not be made. */
export const SKB_DROP_REASON_NEIGH_HH_FILLFAIL = 41;
/** A proxy ARP request that is not answered. */
export const SKB_DROP_REASON_ARP_PROXY = 42;
/** The IP header checksum is wrong. */
export const SKB_DROP_REASON_IP_CSUM = 43;
/** The IP header is malformed. */
export const SKB_DROP_REASON_IP_INHDR = 44;
/** The reverse path filter (RFC 3704). */
export const SKB_DROP_REASON_IP_RPFILTER = 45;
/** No handler for this IP protocol. */
export const SKB_DROP_REASON_IP_NOPROTO = 46;
/** No route. */
export const SKB_DROP_REASON_IP_OUTNOROUTES = 47;
/** No route for a packet to be forwarded. */
export const SKB_DROP_REASON_IP_INNOROUTES = 48;
/** The destination is not ours and not to be forwarded. */
export const SKB_DROP_REASON_IP_INADDRERRORS = 49;
/** The source address is not allowed (a martian). */
export const SKB_DROP_REASON_IP_INVALID_SOURCE = 50;
/** The destination address is not allowed. */
export const SKB_DROP_REASON_IP_INVALID_DEST = 51;
/** A loopback address on a wire. */
export const SKB_DROP_REASON_IP_LOCALNET = 52;
/** The source address is one of ours. */
export const SKB_DROP_REASON_IP_LOCAL_SOURCE = 53;
/** A unicast address in a link-layer multicast (RFC 1122 section 3.3.6). */
export const SKB_DROP_REASON_UNICAST_IN_L2_MULTICAST = 54;
/** The time to live ran out. */
export const SKB_DROP_REASON_IP_TTL = 55;
/** A fragment that overlaps or repeats another. */
export const SKB_DROP_REASON_DUP_FRAG = 56;
/** The other fragments did not come in time. */
export const SKB_DROP_REASON_FRAG_REASM_TIMEOUT = 57;
/** Too many newer fragments of this peer in between. */
export const SKB_DROP_REASON_FRAG_TOO_FAR = 58;
/** It could not be fragmented. */
export const SKB_DROP_REASON_FRAG_FAILED = 59;
/** A netfilter rule. */
export const SKB_DROP_REASON_NETFILTER_DROP = 60;
/** An egress program. */
export const SKB_DROP_REASON_BPF_CGROUP_EGRESS = 61;
/** The ICMP checksum is wrong. */
export const SKB_DROP_REASON_ICMP_CSUM = 62;
/** The protocol number does not fit the socket. */
export const SKB_DROP_REASON_INVALID_PROTO = 63;
/** A malformed IGMP message. */
export const SKB_DROP_REASON_IGMP_INVALID = 64;
/** The UDP checksum is wrong. */
export const SKB_DROP_REASON_UDP_CSUM = 65;
/** The TCP checksum is wrong. */
export const SKB_DROP_REASON_TCP_CSUM = 66;
/** The time to live is below the socket's IP_MINTTL (RFC 5082). */
export const SKB_DROP_REASON_TCP_MINTTL = 67;
/** The authentication options are malformed. */
export const SKB_DROP_REASON_TCP_AUTH_HDR = 68;
/** A signature was expected and is missing. */
export const SKB_DROP_REASON_TCP_MD5NOTFOUND = 69;
/** A signature was not expected. */
export const SKB_DROP_REASON_TCP_MD5UNEXPECTED = 70;
/** The signature is wrong. */
export const SKB_DROP_REASON_TCP_MD5FAILURE = 71;
/** The flags make no sense in this state. */
export const SKB_DROP_REASON_TCP_FLAGS = 72;
/** Data for a socket that is closed. */
export const SKB_DROP_REASON_TCP_ABORT_ON_DATA = 73;
/** Data though our window is zero. */
export const SKB_DROP_REASON_TCP_ZEROWINDOW = 74;
/** All of it was received before. */
export const SKB_DROP_REASON_TCP_OLD_DATA = 75;
/** Beyond our window. */
export const SKB_DROP_REASON_TCP_OVERWINDOW = 76;
/** Already in the out-of-order queue. */
export const SKB_DROP_REASON_TCP_OFOMERGE = 77;
/** An old timestamp (RFC 7323 section 5). */
export const SKB_DROP_REASON_TCP_RFC7323_PAWS = 78;
/** An old timestamp on a pure acknowledgment. */
export const SKB_DROP_REASON_TCP_RFC7323_PAWS_ACK = 79;
/** An old timestamp in TIME-WAIT. */
export const SKB_DROP_REASON_TCP_RFC7323_TW_PAWS = 80;
/** A timestamp echo we never sent. */
export const SKB_DROP_REASON_TCP_RFC7323_TSECR = 81;
/** The accept queue is full. */
export const SKB_DROP_REASON_TCP_LISTEN_OVERFLOW = 82;
/** The queue of connection requests is full. */
export const SKB_DROP_REASON_TCP_REQQFULL = 83;
/** Entirely before the window. */
export const SKB_DROP_REASON_TCP_OLD_SEQUENCE = 84;
/** The sequence number is outside the window. */
export const SKB_DROP_REASON_TCP_INVALID_SEQUENCE = 85;
/** The end of the segment is outside the window. */
export const SKB_DROP_REASON_TCP_INVALID_END_SEQUENCE = 86;
/** The acknowledgment number fits no request. */
export const SKB_DROP_REASON_TCP_INVALID_ACK_SEQUENCE = 87;
/** A reset, obeyed. */
export const SKB_DROP_REASON_TCP_RESET = 88;
/** A SYN where none belongs. */
export const SKB_DROP_REASON_TCP_INVALID_SYN = 89;
/** The socket is closed. */
export const SKB_DROP_REASON_TCP_CLOSE = 90;
/** A fast open segment not wanted. */
export const SKB_DROP_REASON_TCP_FASTOPEN = 91;
/** An acknowledgment of what was acknowledged before. */
export const SKB_DROP_REASON_TCP_OLD_ACK = 92;
/** So old that it may be forged (RFC 5961 section 5). */
export const SKB_DROP_REASON_TCP_TOO_OLD_ACK = 93;
/** It acknowledges what was never sent. */
export const SKB_DROP_REASON_TCP_ACK_UNSENT_DATA = 94;
/** The out-of-order queue was emptied for want of memory. */
export const SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE = 95;
/** No memory for the out-of-order queue. */
export const SKB_DROP_REASON_TCP_OFO_DROP = 96;
/** A retransmission could not be made. */
export const SKB_DROP_REASON_TCP_RETRANSMIT = 97;
/** A packet socket could not take it. */
export const SKB_DROP_REASON_PACKET_SOCK_ERROR = 98;

/** Number of reasons. */
export const SKB_DROP_REASON_MAX = 99;

/** The name of each reason by its number, without the common prefix, as Linux's kfree_skb trace event prints it. */
export const SKB_DROP_REASON_NAMES: readonly string[] = Object.freeze([
  "NOT_DROPPED_YET", "CONSUMED", "NOT_SPECIFIED", "NO_SOCKET", "SOCKET_CLOSE", "SOCKET_FILTER", "SOCKET_RCVBUFF",
  "SOCKET_BACKLOG", "UNIX_DISCONNECT", "UNIX_SKIP_OOB", "PKT_TOO_SMALL", "PKT_TOO_BIG", "HDR_TRUNC", "CSUM",
  "UCOPY_FAULT", "GSO_SEG", "NOMEM", "PROTO_MEM", "DEV_HDR", "DEV_READY", "FULL_RING", "CPU_BACKLOG",
  "UNHANDLED_PROTO", "OTHERHOST", "TC_INGRESS", "TC_EGRESS", "QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED",
  "QDISC_BURST_DROP", "TAP_FILTER", "TAP_TXFILTER", "MAC_INVALID_SOURCE", "MAC_IEEE_MAC_CONTROL",
  "BRIDGE_INGRESS_STP_STATE", "BRIDGE_NO_EGRESS_PORT", "VLAN_FILTER", "NEIGH_CREATEFAIL", "NEIGH_FAILED",
  "NEIGH_QUEUEFULL", "NEIGH_DEAD", "NEIGH_HH_FILLFAIL", "ARP_PROXY", "IP_CSUM", "IP_INHDR", "IP_RPFILTER",
  "IP_NOPROTO", "IP_OUTNOROUTES", "IP_INNOROUTES", "IP_INADDRERRORS", "IP_INVALID_SOURCE", "IP_INVALID_DEST",
  "IP_LOCALNET", "IP_LOCAL_SOURCE", "UNICAST_IN_L2_MULTICAST", "IP_TTL", "DUP_FRAG", "FRAG_REASM_TIMEOUT",
  "FRAG_TOO_FAR", "FRAG_FAILED", "NETFILTER_DROP", "BPF_CGROUP_EGRESS", "ICMP_CSUM", "INVALID_PROTO", "IGMP_INVALID",
  "UDP_CSUM", "TCP_CSUM", "TCP_MINTTL", "TCP_AUTH_HDR", "TCP_MD5NOTFOUND", "TCP_MD5UNEXPECTED", "TCP_MD5FAILURE",
  "TCP_FLAGS", "TCP_ABORT_ON_DATA", "TCP_ZEROWINDOW", "TCP_OLD_DATA", "TCP_OVERWINDOW", "TCP_OFOMERGE",
  "TCP_RFC7323_PAWS", "TCP_RFC7323_PAWS_ACK", "TCP_RFC7323_TW_PAWS", "TCP_RFC7323_TSECR", "TCP_LISTEN_OVERFLOW",
  "TCP_REQQFULL", "TCP_OLD_SEQUENCE", "TCP_INVALID_SEQUENCE", "TCP_INVALID_END_SEQUENCE", "TCP_INVALID_ACK_SEQUENCE",
  "TCP_RESET", "TCP_INVALID_SYN", "TCP_CLOSE", "TCP_FASTOPEN", "TCP_OLD_ACK", "TCP_TOO_OLD_ACK",
  "TCP_ACK_UNSENT_DATA", "TCP_OFO_QUEUE_PRUNE", "TCP_OFO_DROP", "TCP_RETRANSMIT", "PACKET_SOCK_ERROR",
]);
