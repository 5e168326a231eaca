/**
 * What an acknowledgment was and did: the bits that tcpAck() hands from step to step. Linux: FLAG_* of net/ipv4/tcp_input.c.
 */

/** The segment carried data. */
export const FLAG_DATA = 0x01;
/** It changed the peer's window. */
export const FLAG_WIN_UPDATE = 0x02;
/** It acknowledged new data, some of it retransmitted, our SYN. */
export const FLAG_DATA_ACKED = 0x04;
export const FLAG_RETRANS_DATA_ACKED = 0x08;
export const FLAG_SYN_ACKED = 0x10;
/** It selectively acknowledged new data. */
export const FLAG_DATA_SACKED = 0x20;
/** ECN-Echo: a router marked a segment of ours. */
export const FLAG_ECE = 0x40;
/** A retransmission turned out lost. */
export const FLAG_LOST_RETRANS = 0x80;
/** Not by header prediction. */
export const FLAG_SLOWPATH = 0x100;
/** Something that was sent once, before highSeq, arrived. */
export const FLAG_ORIG_SACK_ACKED = 0x200;
export const FLAG_SND_UNA_ADVANCED = 0x400;
/** It carried a D-SACK (RFC 2883). */
export const FLAG_DSACKING_ACK = 0x800;
/** The retransmission timer is to be set anew. */
export const FLAG_SET_XMIT_TIMER = 0x1000;
/** The first segment not acknowledged had been selectively acknowledged: the peer has dropped it. */
export const FLAG_SACK_RENEGING = 0x2000;
/** tsRecent may be taken from it. */
export const FLAG_UPDATE_TS_RECENT = 0x4000;
/** The caller answers unacceptable ones itself. */
export const FLAG_NO_CHALLENGE_ACK = 0x8000;
/** The D-SACK tells that a tail loss probe was not needed. */
export const FLAG_DSACK_TLP = 0x20000;
/** For the end of tcpAck(): retransmit what is lost; or first send new data (F-RTO). Linux: REXMIT_LOST, REXMIT_NEW. */
export const FLAG_REXMIT_LOST = 0x100000;
export const FLAG_REXMIT_NEW = 0x200000;

export const FLAG_ACKED = FLAG_DATA_ACKED | FLAG_SYN_ACKED;
/** What makes an ACK other than a duplicate. */
export const FLAG_NOT_DUP = FLAG_DATA | FLAG_WIN_UPDATE | FLAG_ACKED;
/** What congestion control must look at, even in Open. */
export const FLAG_CA_ALERT = FLAG_DATA_SACKED | FLAG_ECE | FLAG_DSACKING_ACK;
export const FLAG_FORWARD_PROGRESS = FLAG_ACKED | FLAG_DATA_SACKED;
