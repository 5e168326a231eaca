/*
 * The Ethernet header on the wire (Linux: struct ethhdr).
 *
 * Read first: RFC 894 (IP over Ethernet), IEEE 802.3 clause 3.
 * Offsets are relative to the first byte of the frame. Numbers only, no behaviour.
 */

/** Destination address, 6 bytes. */
export const ETHH_DEST = 0;
/** Source address, 6 bytes. */
export const ETHH_SOURCE = 6;
/** Ethertype, or the length of an 802.3 frame when below 0x600. */
export const ETHH_PROTO = 12;

/** Bit of the first address byte: a group address (multicast or broadcast). */
export const ETH_ADDR_GROUP = 0x01;
/** Bit of the first address byte: locally administered. */
export const ETH_ADDR_LOCAL = 0x02;

/** First 16 bits of the addresses IPv4 multicast maps to, 01:00:5e (RFC 1112 section 6.4). */
export const ETH_IPV4_MCAST_HI = 0x0100;
/** Third byte of such an address. */
export const ETH_IPV4_MCAST_MID = 0x5e;
/** The bits of a group address that survive in the last 24 bits of the Ethernet address. */
export const ETH_IPV4_MCAST_MASK = 0x7fffff;

/** 802.2 LLC header after a length field: DSAP, SSAP, control. */
export const LLCH_DSAP = 14;
export const LLCH_SSAP = 15;
export const LLCH_CTRL = 16;
export const LLC_HLEN = 3;
/** DSAP and SSAP of the spanning tree protocol. */
export const LLC_SAP_BSPAN = 0x42;
/** DSAP and SSAP that announce a SNAP header. */
export const LLC_SAP_SNAP = 0xaa;
