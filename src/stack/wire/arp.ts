/*
 * The ARP packet on the wire, for Ethernet and IPv4 addresses (Linux: struct arphdr and what follows it).
 *
 * Read first: RFC 826, RFC 5227.
 * Offsets are relative to the first byte after the link header. Operations are in uapi/if-arp.ts.
 */

/** Hardware type, ARPHRD_ETHER on Ethernet. */
export const ARPH_HRD = 0;
/** Protocol type, ETH_P_IP. */
export const ARPH_PRO = 2;
/** Length of a hardware address, 6. */
export const ARPH_HLN = 4;
/** Length of a protocol address, 4. */
export const ARPH_PLN = 5;
/** Operation, ARPOP_*. */
export const ARPH_OP = 6;
/** Bytes of the fixed part. */
export const ARP_HLEN = 8;

/** Sender's hardware address, 6 bytes. */
export const ARPH_SHA = 8;
/** Sender's IPv4 address; not 4-byte aligned. */
export const ARPH_SIP = 14;
/** Target's hardware address, 6 bytes. */
export const ARPH_THA = 18;
/** Target's IPv4 address. */
export const ARPH_TIP = 24;
/** Bytes of an ARP packet for Ethernet and IPv4. */
export const ARP_ETH_LEN = 28;
