/*
 * Packet sockets and packet types (Linux: linux/if_packet.h). Read first: packet(7).
 */

/** To us. */
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
/** To somebody else, seen because the device is promiscuous. */
export const PACKET_OTHERHOST = 3;
/** Sent by us, seen by a tap. */
export const PACKET_OUTGOING = 4;
export const PACKET_LOOPBACK = 5;

export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_STATISTICS = 6;
/** With each frame a control message of AUXDATA_WORDS words: TP_STATUS_*, its length, how much of it the filter left, where its headers are, VLAN. */
export const PACKET_AUXDATA = 8;
/** What this host sends is not seen. */
export const PACKET_IGNORE_OUTGOING = 23;
export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_PROMISC = 1;
export const PACKET_MR_ALLMULTI = 2;
/** Frames to one more link address. */
export const PACKET_MR_UNICAST = 3;

/** The words of PACKET_AUXDATA: status, length, snaplen, offset of the network header in the upper half, and 0: tags stay in the frame. */
export const AUXDATA_WORDS = 5;
/** The frame is the program's. */
export const TP_STATUS_USER = 1;
/** Its checksum has been verified by the device. */
export const TP_STATUS_CSUM_VALID = 128;
