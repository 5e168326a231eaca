/**
 * The peer of the XS measurements: writes the frames of another host straight into the guest's inbox and reads what the
 * guest answered from its outbox. Nothing here allocates, so that every slot the engine counts is the stack's.
 */
import { csumFold, csumPartial, csumTcpudpNofold, ipFastCsum } from "../../src/lib/checksum.ts";
import { memView, memZero } from "../../src/lib/memory.ts";
import { ARPOP_REQUEST } from "../../src/uapi/if-arp.ts";
import { ETH_P_ARP, ETH_P_IP } from "../../src/uapi/if-ether.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../src/uapi/in.ts";
import { TCPHDR_ACK, TCPHDR_SYN, TCPOPT_TSTAMP_WORD } from "../../src/stack/wire/tcp.ts";
import { inboxOffset, outboxOffset } from "./device.ts";

export const BOARD_ADDR = 0x0a000002;
export const PEER_ADDR = 0x0a000001;
export const BOARD_HI = 0x0200;
export const BOARD_LO = 0x00000002;
export const BOARD_MAC = "02:00:00:00:00:02";
export const PEER_HI = 0x0200;
export const PEER_LO = 0x00000001;

const IP_AT = 14;
const L4_AT = 34;
const TCP_TS_HLEN = 32;
/** MSS 1460 and window scale 7, behind the timestamps: the options of the peer's SYN. */
const SYN_HLEN = 40;
const WINDOW = 0xfff0;

/** Sequence number, acknowledgement and timestamp of the guest's last segment (outbox). */
export function sentSeq(): number {
  return memView.getInt32(outboxOffset + L4_AT + 4);
}
export function sentAck(): number {
  return memView.getInt32(outboxOffset + L4_AT + 8);
}
export function sentFlags(): number {
  return memView.getUint8(outboxOffset + L4_AT + 13);
}
export function sentTsval(): number {
  return memView.getInt32(outboxOffset + L4_AT + 24);
}
/** Timestamp of the guest's SYN: it stands behind the MSS. */
export function sentSynTsval(): number {
  return memView.getInt32(outboxOffset + L4_AT + 28);
}
/** The port that the guest sent from. */
export function sentPort(): number {
  return memView.getUint16(outboxOffset + L4_AT);
}
export function sentPayload(): number {
  const header = (memView.getUint8(outboxOffset + L4_AT + 12) >> 4) << 2;
  return memView.getUint16(outboxOffset + IP_AT + 2) - 20 - header;
}

function writeEthernet(broadcast: boolean, protocol: number): void {
  const at = inboxOffset;
  memView.setUint16(at, broadcast ? 0xffff : BOARD_HI);
  memView.setInt32(at + 2, broadcast ? -1 : BOARD_LO);
  memView.setUint16(at + 6, PEER_HI);
  memView.setInt32(at + 8, PEER_LO);
  memView.setUint16(at + 12, protocol);
}

function writeIp(protocol: number, payload: number, daddr = BOARD_ADDR): void {
  const at = inboxOffset + IP_AT;
  memView.setInt32(at, 0x45000000 | (payload + 20));
  memView.setInt32(at + 4, 0x00004000);
  memView.setInt32(at + 8, 0x40000000 | (protocol << 16));
  memView.setInt32(at + 12, PEER_ADDR);
  memView.setInt32(at + 16, daddr);
  memView.setUint16(at + 10, ipFastCsum(at, 5));
}

/** An ARP packet to the board: a request for its address, or the answer to one of its own. */
export function writeArp(op: number): number {
  writeEthernet(op === ARPOP_REQUEST, ETH_P_ARP);
  const at = inboxOffset + IP_AT;
  memView.setInt32(at, 0x00010800);
  memView.setInt32(at + 4, 0x06040000 | op);
  memView.setUint16(at + 8, PEER_HI);
  memView.setInt32(at + 10, PEER_LO);
  memView.setInt32(at + 14, PEER_ADDR);
  memView.setUint16(at + 18, op === ARPOP_REQUEST ? 0 : BOARD_HI);
  memView.setInt32(at + 20, op === ARPOP_REQUEST ? 0 : BOARD_LO);
  memView.setInt32(at + 24, BOARD_ADDR);
  memZero(at + 28, 18);
  return 60;
}

/** An echo request whose IP packet is `length` bytes long. */
export function writePing(sequence: number, length: number): number {
  writeEthernet(false, ETH_P_IP);
  const icmp = length - 20;
  writeIp(IPPROTO_ICMP, icmp);
  const at = inboxOffset + L4_AT;
  memView.setInt32(at, 0x08000000);
  memView.setInt32(at + 4, 0x12340000 | (sequence & 0xffff));
  memView.setUint16(at + 2, csumFold(csumPartial(at, icmp)));
  return IP_AT + length;
}

/** A datagram to a port of the board, or of a group. */
export function writeUdp(port: number, payload: number, daddr = BOARD_ADDR): number {
  writeEthernet(false, ETH_P_IP);
  const length = payload + 8;
  writeIp(IPPROTO_UDP, length, daddr);
  const at = inboxOffset + L4_AT;
  memView.setInt32(at, (40000 << 16) | port);
  memView.setInt32(at + 4, length << 16);
  memView.setUint16(at + 6, csumFold(csumPartial(at, length) + csumTcpudpNofold(PEER_ADDR, daddr, length, IPPROTO_UDP)));
  return L4_AT + length;
}

/** The headers of a datagram whose payload stands there, its checksum left out. @param length of header and payload */
export function writeUdpHeaders(sport: number, dport: number, length: number, daddr: number): void {
  writeEthernet(false, ETH_P_IP);
  writeIp(IPPROTO_UDP, length, daddr);
  const at = inboxOffset + L4_AT;
  memView.setInt32(at, (sport << 16) | dport);
  memView.setInt32(at + 4, length << 16);
}

/** A datagram without a checksum for somebody behind the board. */
export function writeTransit(daddr: number, payload: number): number {
  writeEthernet(false, ETH_P_IP);
  const length = payload + 8;
  writeIp(IPPROTO_UDP, length, daddr);
  const at = inboxOffset + L4_AT;
  memView.setInt32(at, (40000 << 16) | 9);
  memView.setInt32(at + 4, length << 16);
  return L4_AT + length;
}

/** A segment with timestamps to a port of the board; with SYN it carries the options of a Linux peer. */
export function writeTcp(
  sport: number, dport: number, flags: number, seq: number, ack: number, tsval: number, tsecr: number, payload: number,
): number {
  writeEthernet(false, ETH_P_IP);
  const syn = (flags & TCPHDR_SYN) !== 0;
  const header = syn ? SYN_HLEN : TCP_TS_HLEN;
  const length = header + payload;
  writeIp(IPPROTO_TCP, length);
  const at = inboxOffset + L4_AT;
  memView.setInt32(at, (sport << 16) | dport);
  memView.setInt32(at + 4, seq);
  memView.setInt32(at + 8, (flags & TCPHDR_ACK) !== 0 ? ack : 0);
  memView.setInt32(at + 12, ((header >> 2) << 28) | (flags << 16) | WINDOW);
  memView.setInt32(at + 16, 0);
  memView.setInt32(at + 20, TCPOPT_TSTAMP_WORD);
  memView.setInt32(at + 24, tsval);
  memView.setInt32(at + 28, tsecr);
  if (syn) {
    memView.setInt32(at + 32, 0x020405b4);
    memView.setInt32(at + 36, 0x01030307);
  }
  memView.setUint16(at + 16, csumFold(csumPartial(at, length) + csumTcpudpNofold(PEER_ADDR, BOARD_ADDR, length, IPPROTO_TCP)));
  return L4_AT + length;
}
