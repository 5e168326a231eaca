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
export const PACKET_AUXDATA = 8;
export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_PROMISC = 1;
export const PACKET_MR_ALLMULTI = 2;
