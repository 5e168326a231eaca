/*
 * The 802.1Q tag on the wire (Linux: struct vlan_hdr, struct vlan_ethhdr).
 *
 * Read first: IEEE 802.1Q clause 9.
 * VLANH_* are relative to the tag's first byte, which follows the tag's ethertype; VLAN_ETHH_* to the frame.
 */

/** Tag control information: priority, drop bit, VLAN number. */
export const VLANH_TCI = 0;
/** Ethertype of what the tag encloses. */
export const VLANH_ENCAP_PROTO = 2;
/** Bytes of a tag without the ethertype before it. */
export const VLAN_HLEN = 4;

/** In a whole tagged frame: the ethertype 0x8100, the tag, the inner ethertype. */
export const VLAN_ETHH_PROTO = 12;
export const VLAN_ETHH_TCI = 14;
export const VLAN_ETHH_ENCAP_PROTO = 16;
/** Bytes of a tagged Ethernet header. */
export const VLAN_ETH_HLEN = 18;

/** VLAN number, 0 = priority tag only, 4095 reserved. */
export const VLAN_VID_MASK = 0x0fff;
/** Drop eligible (formerly canonical format) bit. */
export const VLAN_CFI_MASK = 0x1000;
/** Priority code point. */
export const VLAN_PRIO_MASK = 0xe000;
export const VLAN_PRIO_SHIFT = 13;
export const VLAN_N_VID = 4096;
