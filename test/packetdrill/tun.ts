/**
 * A device without a link layer, as Linux's tun: IP packets in, IP packets out, no neighbours. What packetdrill's scripts
 * stand on. A segment larger than one packet buffer is cut into several, as a peer's TSO would be; of the ACKs that the
 * pieces cause only those of the last leave, as behind a network card that aggregates.
 */
import { mem8 } from "../../src/lib/memory.ts";
import { netifRx } from "../../src/netif/receive.ts";
import { NETDEV_TX_OK, NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, skbPutData, type SkBuff } from "../../src/stack/core/skbuff.ts";
import { IFF_NOARP, IFF_POINTOPOINT } from "../../src/uapi/if.ts";
import { ARPHRD_NONE } from "../../src/uapi/if-arp.ts";
import { ETH_P_IP } from "../../src/uapi/if-ether.ts";
import { internetChecksum, PROTO_TCP } from "../lib/frames.ts";

/** A packet the stack sent. */
export interface SentPacket {
  readonly timeUs: number;
  readonly bytes: Uint8Array;
}

const TCP_FLAGS_AT = 13;
const FIN = 0x01;
const PSH = 0x08;
const FIN_PSH = FIN | PSH;

export class Tun {
  readonly dev: NetDevice;
  /** What the stack sent and nobody took yet. */
  readonly sent: SentPacket[] = [];
  /** All that is sent is lost. */
  loseAll = false;
  private swallowAcks = false;
  private readonly nowUs: () => number;
  private readonly turn: () => void;

  /** @param turn lets the stack work on what came in */
  constructor(name: string, mtu: number, nowUs: () => number, turn: () => void) {
    this.nowUs = nowUs;
    this.turn = turn;
    this.dev = new NetDevice(name, ARPHRD_NONE, mtu, 0, { ndoStartXmit: (skb) => this.xmit(skb) });
    this.dev.flags = IFF_POINTOPOINT | IFF_NOARP;
  }

  private xmit(skb: SkBuff): number {
    const bytes = mem8.slice(skb.data, skb.tail);
    consumeSkb(skb);
    if (!this.loseAll && !(this.swallowAcks && isPureAck(bytes))) this.sent.push({ timeUs: this.nowUs(), bytes });
    return NETDEV_TX_OK;
  }

  /** A packet arrives. */
  receive(packet: Uint8Array): void {
    const pieces = packet.length > this.dev.mtu ? splitSegment(packet, this.dev.mtu) : [packet];
    pieces.forEach((piece, index) => {
      this.swallowAcks = index < pieces.length - 1;
      this.receiveOne(piece);
      this.turn();
    });
    this.swallowAcks = false;
  }

  private receiveOne(packet: Uint8Array): void {
    const skb = netdevAllocSkb(this.dev, packet.length);
    if (skb === null) throw new Error(`tun: no packet buffer for ${packet.length} bytes`);
    skbPutData(skb, packet);
    skb.mac = skb.data;
    skb.protocol = ETH_P_IP;
    netifRx(skb);
  }
}

function tcpOffset(packet: Uint8Array): number {
  return (packet[0]! & 15) * 4;
}

function isTcp(packet: Uint8Array): boolean {
  return packet[0]! >> 4 === 4 && packet[9] === PROTO_TCP;
}

function isPureAck(packet: Uint8Array): boolean {
  if (!isTcp(packet)) return false;
  const th = tcpOffset(packet);
  return packet[th + TCP_FLAGS_AT] === 0x10 && packet.length === th + (packet[th + 12]! >> 4) * 4;
}

/** Cuts a TCP segment into those that a sender with this MTU would have sent. Anything else stays whole. */
function splitSegment(packet: Uint8Array, mtu: number): Uint8Array[] {
  if (!isTcp(packet)) return [packet];
  const ipLength = tcpOffset(packet);
  const headers = ipLength + (packet[ipLength + 12]! >> 4) * 4;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const seq = view.getUint32(ipLength + 4);
  const payload = packet.subarray(headers);
  const room = mtu - headers;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += room) {
    const part = payload.subarray(at, at + room);
    const piece = new Uint8Array(headers + part.length);
    piece.set(packet.subarray(0, headers));
    piece.set(part, headers);
    const out = new DataView(piece.buffer);
    out.setUint16(2, piece.length);
    out.setUint16(10, 0);
    out.setUint16(10, internetChecksum(piece.subarray(0, ipLength)));
    out.setUint32(ipLength + 4, (seq + at) >>> 0);
    if (at + room < payload.length) piece[ipLength + TCP_FLAGS_AT]! &= ~FIN_PSH;
    out.setUint16(ipLength + 16, 0);
    out.setUint16(ipLength + 16, transportChecksum(piece, ipLength));
    pieces.push(piece);
  }
  return pieces;
}

/** The checksum of the segment or datagram of an IPv4 packet; 0 over one that has its right checksum. */
export function transportChecksum(packet: Uint8Array, ipLength: number): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const length = packet.length - ipLength;
  let pseudo = packet[9]! + length;
  for (let at = 12; at < 20; at += 2) pseudo += view.getUint16(at);
  return internetChecksum(packet.subarray(ipLength), pseudo);
}
