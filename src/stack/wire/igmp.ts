/*
 * IGMP messages on the wire, versions 1 to 3 (Linux: struct igmphdr, igmpv3_query, igmpv3_report, igmpv3_grec).
 *
 * Read first: RFC 2236 (v2), RFC 3376 section 4 (v3).
 * Offsets are relative to the first byte of the IGMP header.
 */

export const IGMPH_TYPE = 0;
/** Maximum response code: tenths of a second, from 128 on a float in version 3. */
export const IGMPH_CODE = 1;
export const IGMPH_CSUM = 2;
export const IGMPH_GROUP = 4;
/** Bytes of a version 1 or 2 message. */
export const IGMP_HLEN = 8;

export const IGMP_HOST_MEMBERSHIP_QUERY = 0x11;
export const IGMP_HOST_MEMBERSHIP_REPORT = 0x12;
export const IGMPV2_HOST_MEMBERSHIP_REPORT = 0x16;
export const IGMP_HOST_LEAVE_MESSAGE = 0x17;
export const IGMPV3_HOST_MEMBERSHIP_REPORT = 0x22;

/** Version 3 query: S bit and querier's robustness, querier's interval code, number of sources, sources. */
export const IGMPV3_QH_MISC = 8;
export const IGMPV3_QH_QQIC = 9;
export const IGMPV3_QH_NSRCS = 10;
export const IGMPV3_QH_SRCS = 12;
/** Bytes of a version 3 query without sources. */
export const IGMPV3_QUERY_HLEN = 12;
export const IGMPV3_QUERY_SUPPRESS = 0x08;
export const IGMPV3_QUERY_QRV_MASK = 0x07;

/** Version 3 report: number of group records, records. */
export const IGMPV3_RH_NGREC = 6;
export const IGMPV3_RH_GREC = 8;
/** Bytes of a version 3 report without records. */
export const IGMPV3_REPORT_HLEN = 8;

/** Group record: type, auxiliary words, number of sources, group, sources; relative to the record. */
export const IGMPV3_GREC_TYPE = 0;
export const IGMPV3_GREC_AUXWORDS = 1;
export const IGMPV3_GREC_NSRCS = 2;
export const IGMPV3_GREC_MCA = 4;
export const IGMPV3_GREC_SRC = 8;
/** Bytes of a record without sources. */
export const IGMPV3_GREC_HLEN = 8;

export const IGMPV3_MODE_IS_INCLUDE = 1;
export const IGMPV3_MODE_IS_EXCLUDE = 2;
export const IGMPV3_CHANGE_TO_INCLUDE = 3;
export const IGMPV3_CHANGE_TO_EXCLUDE = 4;
export const IGMPV3_ALLOW_NEW_SOURCES = 5;
export const IGMPV3_BLOCK_OLD_SOURCES = 6;
