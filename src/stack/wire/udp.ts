/*
 * The UDP header on the wire (Linux: struct udphdr).
 *
 * Read first: RFC 768, RFC 1122 section 4.1.
 * Offsets are relative to the first byte of the header.
 */

export const UH_SPORT = 0;
export const UH_DPORT = 2;
/** Length of header and data in bytes. */
export const UH_ULEN = 4;
/** Checksum over pseudo-header, header and data; 0 = none, a computed 0 is sent as 0xffff. */
export const UH_SUM = 6;
/** Bytes of the header. */
export const UDP_HLEN = 8;
/** What a computed checksum of 0 is sent as. */
export const CSUM_MANGLED_0 = 0xffff;
