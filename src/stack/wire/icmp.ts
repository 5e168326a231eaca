/*
 * The ICMP header on the wire (Linux: struct icmphdr). Types and codes are in uapi/icmp.ts.
 *
 * Read first: RFC 792, RFC 1191 (next-hop MTU), RFC 4884 (extensions), RFC 1122 section 3.2.2.
 * Offsets are relative to the first byte of the header.
 */

export const ICMPH_TYPE = 0;
export const ICMPH_CODE = 1;
export const ICMPH_CHECKSUM = 2;
/** The second word: meaning by type. */
export const ICMPH_UN = 4;
/** Echo and timestamp: identifier and sequence number. */
export const ICMPH_ID = 4;
export const ICMPH_SEQUENCE = 6;
/** Redirect: the better gateway. */
export const ICMPH_GATEWAY = 4;
/** Parameter problem: offset of the byte at fault. */
export const ICMPH_POINTER = 4;
/** Destination unreachable: length of the quoted datagram in words when extensions follow (RFC 4884). */
export const ICMPH_EXT_LENGTH = 5;
/** Destination unreachable, fragmentation needed: MTU of the next hop (RFC 1191 section 4). */
export const ICMPH_MTU = 6;
/** Bytes of the header; what follows is data or the quoted datagram. */
export const ICMP_HLEN = 8;

/** Timestamp messages: three times in ms since midnight UT. */
export const ICMPH_TS_ORIGINATE = 8;
export const ICMPH_TS_RECEIVE = 12;
export const ICMPH_TS_TRANSMIT = 16;
/** Bytes of a timestamp message. */
export const ICMP_TIMESTAMP_LEN = 20;

/** Bytes of the offending datagram an error quotes in any case: header and 8 bytes (RFC 792). */
export const ICMP_QUOTE_MIN = 28;
/** Longest error message, IP header included (RFC 1812 section 4.3.2.3). */
export const ICMP_ERROR_MAX = 576;
