/**
 * The layout of iptables' rule sets as a program hands them to the stack and gets them back: words of an Int32Array. Linux:
 * linux/netfilter_ipv4/ip_tables.h and linux/netfilter/x_tables.h, of which this is the compact form: numbers instead of the names
 * of matches and targets, words instead of bytes, addresses as int32.
 *
 * A rule set is a row of entries. Each has a header, matches and one target. A built-in chain begins at its hook's entry and ends at
 * its underflow, the rule of its policy; a user's chain begins with an entry whose target is XT_TARGET_ERROR with the chain's name,
 * and ends with a RETURN; the whole ends with an entry named "ERROR".
 */

/** setsockopt(fd, SOL_IP, …): replaces a table's rule set; the words are the IPTR_ ones and the entries. */
export const IPT_SO_SET_REPLACE = 64;
/** getsockopt: a table's IPTI_ words; the table is in the first one before the call. */
export const IPT_SO_GET_INFO = 64;
/** getsockopt: a table's entries as they are now; the table is in the first word before the call. */
export const IPT_SO_GET_ENTRIES = 65;

/** Tables, in the order packets see them. */
export const IPT_TABLE_RAW = 0;
export const IPT_TABLE_MANGLE = 1;
export const IPT_TABLE_NAT = 2;
export const IPT_TABLE_FILTER = 3;
export const IPT_TABLES = 4;

/** IPT_SO_SET_REPLACE: table; number of entries; words of entries; for each hook its first entry, then its underflow (-1: none). */
export const IPTR_TABLE = 0;
export const IPTR_NUM_ENTRIES = 1;
export const IPTR_SIZE = 2;
export const IPTR_HOOK_ENTRY = 3;
export const IPTR_UNDERFLOW = 8;
export const IPTR_ENTRIES = 13;

/** IPT_SO_GET_INFO: table; bits of its hooks; then as IPTR_ from the number of entries on. */
export const IPTI_TABLE = 0;
export const IPTI_VALID_HOOKS = 1;
export const IPTI_NUM_ENTRIES = 2;
export const IPTI_SIZE = 3;
export const IPTI_HOOK_ENTRY = 4;
export const IPTI_UNDERFLOW = 9;
export const IPTI_WORDS = 14;

/** An entry: words to the next one, and to its own target. */
export const IPTE_NEXT = 0;
export const IPTE_TARGET = 1;
export const IPTE_SRC = 2;
export const IPTE_SMSK = 3;
export const IPTE_DST = 4;
export const IPTE_DMSK = 5;
/** Protocol (0 for any) in the low byte, IPT_F_* in the next, IPT_INV_* in the third. */
export const IPTE_PROTO = 6;
/** Bytes of the names below that count, the closing zero included for a whole name: of the in-device, of the out-device << 8. */
export const IPTE_IFLEN = 7;
/** Names: 16 bytes, zeros behind, the first character in the lowest byte. */
export const IPTE_IN = 8;
export const IPTE_OUT = 12;
/** Packets and bytes: low word, high word. */
export const IPTE_PACKETS = 16;
export const IPTE_BYTES = 18;
/** The stack's own, 0 in what a program hands over. */
export const IPTE_COMEFROM = 20;
export const IPTE_WORDS = 21;

/** Second and further fragments only. */
export const IPT_F_FRAG = 1;
/** The jump does not come back. */
export const IPT_F_GOTO = 2;

export const IPT_INV_VIA_IN = 1;
export const IPT_INV_VIA_OUT = 2;
export const IPT_INV_SRCIP = 8;
export const IPT_INV_DSTIP = 16;
export const IPT_INV_FRAG = 32;
export const IPT_INV_PROTO = 64;

/** Matches and targets: words of the whole with these two, its number, then its data. */
export const XT_SIZE = 0;
export const XT_TYPE = 1;
export const XT_DATA = 2;

/** TCP: source ports low | high << 16, destination ports, flag mask | flags << 8 | option << 16 | XT_TCP_INV_* << 24. */
export const XT_MATCH_TCP = 1;
/** UDP: source ports, destination ports, XT_UDP_INV_*. */
export const XT_MATCH_UDP = 2;
/** ICMP: type (255: any) | lowest code << 8 | highest code << 16 | 1 << 24 to invert. */
export const XT_MATCH_ICMP = 3;
/** Ports of TCP, UDP, UDP-Lite, SCTP, DCCP: XT_MULTIPORT_* | count << 8 | 1 << 16 to invert; 15 words low | high << 16. */
export const XT_MATCH_MULTIPORT = 4;
/** Source address of Ethernet: its upper two bytes, its lower four, 1 to invert. */
export const XT_MATCH_MAC = 5;
/** Mark: value, mask, 1 to invert. */
export const XT_MATCH_MARK = 6;
/** Limit: cost of a packet in XT_LIMIT_SCALE / s, burst in packets; then the stack's own: credit, and jiffies of the last packet. */
export const XT_MATCH_LIMIT = 7;
/** What the packet is to its connection: bits XT_STATE_*, with IPS_* << XT_CONNTRACK_STATUS_SHIFT; XT_CONNTRACK_*. */
export const XT_MATCH_STATE = 8;
/** A remark, of no effect: the characters, four in a word. */
export const XT_MATCH_COMMENT = 9;
export const XT_MATCHES = 10;

export const XT_TCP_INV_SRCPT = 1;
export const XT_TCP_INV_DSTPT = 2;
export const XT_TCP_INV_FLAGS = 4;
export const XT_TCP_INV_OPTION = 8;
export const XT_UDP_INV_SRCPT = 1;
export const XT_UDP_INV_DSTPT = 2;
export const XT_MULTIPORT_SOURCE = 0;
export const XT_MULTIPORT_DESTINATION = 1;
export const XT_MULTIPORT_EITHER = 2;
export const XT_MULTI_PORTS = 15;
export const XT_LIMIT_SCALE = 10000;
export const XT_STATE_INVALID = 1;
export const XT_STATE_ESTABLISHED = 2;
export const XT_STATE_RELATED = 4;
export const XT_STATE_NEW = 8;
export const XT_STATE_UNTRACKED = 64;
export const XT_STATE_SNAT = 128;
export const XT_STATE_DNAT = 256;
export const XT_STATE_MASK = 0xffff;
export const XT_CONNTRACK_STATUS_SHIFT = 16;
/** Which of state, status and direction are asked for, the former two inverted, the latter the reply's; how it was written (of no effect). */
export const XT_CONNTRACK_STATE = 1;
export const XT_CONNTRACK_STATUS = 2;
export const XT_CONNTRACK_DIRECTION = 4;
export const XT_CONNTRACK_INV_STATE = 8;
export const XT_CONNTRACK_INV_STATUS = 16;
export const XT_CONNTRACK_REPLY = 32;
export const XT_CONNTRACK_AS_CONNTRACK = 64;

/** Verdict: below 0 -NF_* - 1 or XT_RETURN, else the word of the entries to jump to. */
export const XT_TARGET_STANDARD = 0;
/** Name of a chain: 8 words. */
export const XT_TARGET_ERROR = 1;
/** IPT_REJECT_* */
export const XT_TARGET_REJECT = 2;
/** Level 0..7 | IPT_LOG_* << 8; prefix of up to 29 characters in 8 words. */
export const XT_TARGET_LOG = 3;
/** mark = (mark & ~mask) ^ value: value, mask. */
export const XT_TARGET_MARK = 4;
/** tos = (tos & ~mask) ^ value: value, mask. */
export const XT_TARGET_TOS = 5;
/** NF_NAT_RANGE_* flags, lowest and highest address, lowest and highest port. */
export const XT_TARGET_SNAT = 6;
/** The same, and the port that the lowest one stands for (NF_NAT_RANGE_PROTO_OFFSET). */
export const XT_TARGET_DNAT = 7;
/** NF_NAT_RANGE_* flags, lowest and highest port. */
export const XT_TARGET_MASQUERADE = 8;
export const XT_TARGET_REDIRECT = 9;
/** How the packet is tracked: XT_CT_*; name of a helper in 4 words; then the stack's own: the helper's number. */
export const XT_TARGET_CT = 10;
export const XT_TARGETS = 11;

export const XT_CT_NOTRACK = 1;
/** With it where it was written as NOTRACK (of no effect). */
export const XT_CT_NOTRACK_ALIAS = 2;
export const XT_CT_HELPER_WORDS = 4;

/** As a standard verdict: back to the caller, or to the chain's policy. */
export const XT_RETURN = -5;
/** Names: of chains, of characters and the closing zero. */
export const XT_NAME_BYTES = 32;
export const XT_NAME_WORDS = 8;

export const IPT_REJECT_NET_UNREACHABLE = 0;
export const IPT_REJECT_HOST_UNREACHABLE = 1;
export const IPT_REJECT_PROT_UNREACHABLE = 2;
export const IPT_REJECT_PORT_UNREACHABLE = 3;
export const IPT_REJECT_NET_PROHIBITED = 5;
export const IPT_REJECT_HOST_PROHIBITED = 6;
export const IPT_REJECT_TCP_RESET = 7;
export const IPT_REJECT_ADMIN_PROHIBITED = 8;

export const NF_NAT_RANGE_MAP_IPS = 1;
export const NF_NAT_RANGE_PROTO_SPECIFIED = 2;
export const NF_NAT_RANGE_PROTO_RANDOM = 4;
export const NF_NAT_RANGE_PERSISTENT = 8;
export const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 16;
/** The port of the range is as far from its lowest as the packet's is from another one. */
export const NF_NAT_RANGE_PROTO_OFFSET = 32;

export const IPT_LOG_TCPSEQ = 1;
export const IPT_LOG_TCPOPT = 2;
export const IPT_LOG_IPOPT = 4;
export const IPT_LOG_UID = 8;
