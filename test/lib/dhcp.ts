/**
 * DHCP messages as plain records, and a server on a lab's wire that answers as a test says. It is frames and nothing else: it has
 * no stack, answers ARP for its own address, and keeps every message it heard with its time. Written from RFC 2131 and 2132 alone.
 */
import type { MacAddress } from "../../hal/mac.ts";
import { formatMac } from "../../hal/mac.ts";
import type { WirePort } from "../../hal/mock/wire.ts";
import {
  addressNumber, addressText, arpPacket, BROADCAST, ETHER_ARP, ETHER_IP, ethernetFrame, type Frame, ipPacket, parseFrame, PROTO_UDP,
  udpDatagram,
} from "./frames.ts";
import type { Lab } from "./lab.ts";

export const MESSAGES = Object.freeze(["", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"]);

export interface DhcpHeard {
  /** Whole ms since the lab's start. */
  readonly at: number;
  readonly type: string;
  readonly xid: number;
  readonly secs: number;
  readonly broadcast: boolean;
  readonly ciaddr: string;
  readonly saddr: string;
  readonly daddr: string;
  readonly chaddr: string;
  readonly mac: MacAddress;
  /** Raw bytes by option. */
  readonly options: ReadonlyMap<number, Uint8Array>;
  /** Options 50 and 54 as text. */
  readonly requested: string | undefined;
  readonly server: string | undefined;
}

export interface DhcpSaid {
  readonly type: string;
  readonly yiaddr?: string;
  readonly xid?: number;
  readonly chaddr?: MacAddress;
  /** Options beside type and server identifier, as bytes; null for the server identifier leaves that out. */
  readonly options?: readonly (readonly [code: number, bytes: readonly number[]])[];
  readonly noServerId?: boolean;
  /** Raw contents of the fields file and sname. */
  readonly file?: readonly number[];
  readonly sname?: readonly number[];
  /** To this address instead of the broadcast. */
  readonly unicast?: string;
  /** Changes the finished message. */
  readonly spoil?: (bytes: Uint8Array) => Uint8Array;
}

export const addr = (text: string): number[] => text.split(".").map(Number);
export const addrs = (...texts: readonly string[]): number[] => texts.flatMap(addr);
export const u32 = (value: number): number[] => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) & 255);
export const text = (word: string): number[] => [...Buffer.from(word, "latin1")];

function readOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = 240; at < bytes.length && bytes[at] !== 255;) {
    const code = bytes[at++]!;
    if (code === 0) continue;
    const length = bytes[at++]!;
    options.set(code, bytes.slice(at, at + length));
    at += length;
  }
  return options;
}

const dotted = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : [...bytes].join("."));

/** A message of a client, or null for another frame. */
export function readDhcp(frame: Frame): DhcpHeard | null {
  if (frame.udp?.dport !== 67 || frame.badChecksums.length > 0) return null;
  const bytes = frame.udp.payload;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const options = readOptions(bytes);
  const mac = { hi: view.getUint16(28), lo: view.getInt32(30) };
  return {
    at: Math.floor(frame.timeMs), type: MESSAGES[options.get(53)![0]!]!, xid: view.getInt32(4), secs: view.getUint16(8),
    broadcast: (view.getUint16(10) & 0x8000) !== 0, ciaddr: addressText(view.getInt32(12)), saddr: frame.ip!.saddr, daddr: frame.ip!.daddr,
    chaddr: formatMac(mac.hi, mac.lo), mac, options, requested: dotted(options.get(50)), server: dotted(options.get(54)),
  };
}

/** A message of a server. */
export function dhcpReply(asked: DhcpHeard, server: string, said: DhcpSaid): Uint8Array {
  const head = new Uint8Array(240);
  const view = new DataView(head.buffer);
  const { hi, lo } = said.chaddr ?? asked.mac;
  head.set([2, 1, 6, 0]);
  view.setInt32(4, said.xid ?? asked.xid);
  head.set(addr(said.yiaddr ?? "0.0.0.0"), 16);
  view.setUint16(28, hi);
  view.setInt32(30, lo);
  head.set(said.sname ?? [], 44);
  head.set(said.file ?? [], 108);
  view.setUint32(236, 0x63825363);
  const all: (readonly [number, readonly number[]])[] = [[53, [MESSAGES.indexOf(said.type)]]];
  if (said.noServerId !== true) all.push([54, addr(server)]);
  all.push(...(said.options ?? []));
  const message = Uint8Array.from([...head, ...all.flatMap(([code, bytes]) => [code, bytes.length, ...bytes]), 255]);
  return said.spoil === undefined ? message : said.spoil(message);
}

export type DhcpHandler = (message: DhcpHeard) => DhcpSaid | readonly DhcpSaid[] | null;

export class DhcpServerPeer {
  readonly heard: DhcpHeard[] = [];
  /** ARP that came: [ms, sender's address, target's address]. */
  readonly arps: (readonly [at: number, spa: string, tpa: string])[] = [];
  handler: DhcpHandler;
  readonly address: string;
  private readonly lab: Lab;
  private readonly port: WirePort;
  private readonly mac: MacAddress = { hi: 0x0200, lo: 0x00dc0001 };

  constructor(lab: Lab, address: string, handler: DhcpHandler) {
    this.lab = lab;
    this.address = address;
    this.handler = handler;
    this.port = lab.wire.attach("dhcpd", (bytes) => this.receive(parseFrame(bytes, lab.nowMs)));
  }

  private receive(frame: Frame): void {
    if (frame.arp !== undefined) {
      this.arps.push([Math.floor(frame.timeMs), frame.arp.spa, frame.arp.tpa]);
      if (frame.arp.op === 1 && frame.arp.tpa === this.address) this.claim(this.address, frame.arp.spa, frame.bytes);
      return;
    }
    const message = readDhcp(frame);
    if (message === null) return;
    this.heard.push(message);
    const said = this.handler(message);
    if (said === null) return;
    for (const one of Array.isArray(said) ? (said as readonly DhcpSaid[]) : [said as DhcpSaid]) this.say(message, one);
  }

  /** Says that an address is this station's, to whoever asked or to all. */
  claim(address: string, to = address, asked?: Uint8Array): void {
    const view = asked === undefined ? null : new DataView(asked.buffer, asked.byteOffset, asked.length);
    const tha = view === null ? BROADCAST : { hi: view.getUint16(22), lo: view.getInt32(24) };
    const packet = arpPacket({ op: 2, sha: this.mac, spa: addressNumber(address), tha, tpa: addressNumber(to) });
    this.port.send(ethernetFrame(tha, this.mac, ETHER_ARP, packet));
  }

  /** Probes for an address, as a host does that wants it. */
  probe(address: string): void {
    const packet = arpPacket({ op: 1, sha: this.mac, spa: 0, tpa: addressNumber(address) });
    this.port.send(ethernetFrame(BROADCAST, this.mac, ETHER_ARP, packet));
  }

  say(asked: DhcpHeard, said: DhcpSaid): void {
    const saddr = addressNumber(this.address);
    const daddr = said.unicast === undefined ? -1 : addressNumber(said.unicast);
    const payload = dhcpReply(asked, this.address, said);
    const packet = ipPacket({ saddr, daddr, protocol: PROTO_UDP }, udpDatagram(saddr, daddr, 67, 68, payload));
    this.port.send(ethernetFrame(said.unicast === undefined ? BROADCAST : asked.mac, this.mac, ETHER_IP, packet));
  }

  /** Types of what was heard. */
  get types(): string[] {
    return this.heard.map(({ type }) => type);
  }

  get last(): DhcpHeard {
    return this.heard.at(-1)!;
  }
}

/** A server that does its duty: one address, with these options. */
export function dutiful(yiaddr: string, options: DhcpSaid["options"]): DhcpHandler {
  return ({ type, ciaddr, requested }) => {
    if (type === "DISCOVER") return { type: "OFFER", yiaddr, options: options! };
    if (type !== "REQUEST") return null;
    const wanted = ciaddr !== "0.0.0.0" ? ciaddr : requested;
    return wanted === yiaddr ? { type: "ACK", yiaddr, options: options! } : { type: "NAK" };
  };
}
