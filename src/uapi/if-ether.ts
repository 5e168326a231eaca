/*
 * Ethernet sizes and ethertypes (Linux: linux/if_ether.h). Read first: IEEE 802.3 clause 3, RFC 894.
 */

/** Bytes of an Ethernet address. */
export const ETH_ALEN = 6;
/** Bytes of the header. */
export const ETH_HLEN = 14;
/** Shortest frame without the frame check sequence. */
export const ETH_ZLEN = 60;
/** Most bytes of payload. */
export const ETH_DATA_LEN = 1500;
/** Longest frame without the frame check sequence. */
export const ETH_FRAME_LEN = 1514;
/** Bytes of the frame check sequence. */
export const ETH_FCS_LEN = 4;
/** Smallest MTU IPv4 works with (RFC 791). */
export const ETH_MIN_MTU = 68;
export const ETH_MAX_MTU = 0xffff;

export const ETH_P_LOOP = 0x0060;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_TEB = 0x6558;
export const ETH_P_RARP = 0x8035;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_PAUSE = 0x8808;
export const ETH_P_SLOW = 0x8809;
export const ETH_P_MPLS_UC = 0x8847;
export const ETH_P_PPP_DISC = 0x8863;
export const ETH_P_PPP_SES = 0x8864;
export const ETH_P_8021AD = 0x88a8;
export const ETH_P_LLDP = 0x88cc;
export const ETH_P_LOOPBACK = 0x9000;
/** Smallest value that is an ethertype; below it the field is an 802.3 length. */
export const ETH_P_802_3_MIN = 0x0600;

/** Not on the wire: dummy protocols of the stack. */
export const ETH_P_802_3 = 0x0001;
export const ETH_P_ALL = 0x0003;
export const ETH_P_802_2 = 0x0004;
