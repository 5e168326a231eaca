/**
 * Frames as plain records: built for injection, parsed for checking. Addresses are text, flags are letters (SYN-ACK is
 * "SA"), sequence numbers unsigned. Written from the RFCs alone, not from the stack's own code: it is the second opinion.
 */
import type { MacAddress } from "../../hal/mac.ts";
import { formatMac } from "../../hal/mac.ts";

export const ETHER_IP = 0x0800;
export const ETHER_ARP = 0x0806;
export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const BROADCAST: MacAddress = { hi: 0xffff, lo: -1 };

const ETH_HEADER = 14;
const IP_HEADER = 20;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const ICMP_HEADER = 8;
const FLAG_LETTERS = "FSRPAUEC";

/** Bytes of ASCII text. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export function addressNumber(text: string): number {
  return text.split(".").reduce((value, byte) => (value << 8) | Number(byte), 0);
}

export function addressText(addr: number): string {
  return [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join(".");
}

/** RFC 1071, complemented; 0 over data that contains its right checksum. */
export function internetChecksum(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i]! << 8 : bytes[i]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

function pseudoHeaderSum(saddr: number, daddr: number, protocol: number, length: number): number {
  return (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff) + protocol + length;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export interface TcpOptions {
  readonly mss?: number;
  readonly wscale?: number;
  readonly sackPermitted?: boolean;
  readonly ts?: readonly [value: number, echo: number];
  readonly sack?: readonly (readonly [from: number, to: number])[];
}

export interface TcpFields {
  readonly sport: number;
  readonly dport: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags: string;
  readonly window?: number;
  readonly urgent?: number;
  readonly options?: TcpOptions;
  readonly payload?: Uint8Array;
}

function tcpOptionBytes(options: TcpOptions): Uint8Array {
  const bytes: number[] = [];
  const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  if (options.mss !== undefined) bytes.push(2, 4, options.mss >> 8, options.mss & 255);
  if (options.sackPermitted === true) bytes.push(4, 2);
  if (options.ts !== undefined) bytes.push(8, 10, ...word(options.ts[0]), ...word(options.ts[1]));
  if (options.wscale !== undefined) bytes.push(3, 3, options.wscale);
  if (options.sack !== undefined) {
    bytes.push(5, 2 + 8 * options.sack.length, ...options.sack.flatMap(([from, to]) => [...word(from), ...word(to)]));
  }
  while (bytes.length % 4 !== 0) bytes.push(1);
  return Uint8Array.from(bytes);
}

/** A TCP segment with its checksum. */
export function tcpSegment(saddr: number, daddr: number, fields: TcpFields): Uint8Array {
  const options = tcpOptionBytes(fields.options ?? {});
  const header = new Uint8Array(TCP_HEADER);
  const view = new DataView(header.buffer);
  view.setUint16(0, fields.sport);
  view.setUint16(2, fields.dport);
  view.setUint32(4, fields.seq ?? 0);
  view.setUint32(8, fields.ack ?? 0);
  header[12] = ((TCP_HEADER + options.length) / 4) << 4;
  for (const letter of fields.flags) header[13]! |= 1 << FLAG_LETTERS.indexOf(letter);
  view.setUint16(14, fields.window ?? 65535);
  view.setUint16(18, fields.urgent ?? 0);
  const segment = concat(header, options, fields.payload ?? new Uint8Array(0));
  const sum = internetChecksum(segment, pseudoHeaderSum(saddr, daddr, PROTO_TCP, segment.length));
  new DataView(segment.buffer).setUint16(16, sum);
  return segment;
}

/** A UDP datagram with its checksum. */
export function udpDatagram(saddr: number, daddr: number, sport: number, dport: number, payload: Uint8Array): Uint8Array {
  const datagram = concat(new Uint8Array(UDP_HEADER), payload);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, datagram.length);
  const sum = internetChecksum(datagram, pseudoHeaderSum(saddr, daddr, PROTO_UDP, datagram.length));
  view.setUint16(6, sum === 0 ? 0xffff : sum);
  return datagram;
}

/** An ICMP message with its checksum; `rest` is the second word of its header. */
export function icmpMessage(type: number, code: number, rest: number, payload: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), payload);
  const view = new DataView(message.buffer);
  view.setUint32(4, rest >>> 0);
  view.setUint16(2, internetChecksum(message));
  return message;
}

export interface IpFields {
  readonly saddr: number;
  readonly daddr: number;
  readonly protocol: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly id?: number;
  readonly df?: boolean;
}

/** An IPv4 packet with its header checksum. */
export function ipPacket(fields: IpFields, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(IP_HEADER);
  const view = new DataView(header.buffer);
  header[0] = 0x45;
  header[1] = fields.tos ?? 0;
  view.setUint16(2, IP_HEADER + payload.length);
  view.setUint16(4, fields.id ?? 0);
  view.setUint16(6, fields.df === false ? 0 : 0x4000);
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol;
  view.setInt32(12, fields.saddr);
  view.setInt32(16, fields.daddr);
  view.setUint16(10, internetChecksum(header));
  return concat(header, payload);
}

export interface ArpFields {
  readonly op: number;
  readonly sha: MacAddress;
  readonly spa: number;
  readonly tha?: MacAddress;
  readonly tpa: number;
}

/** An ARP packet for Ethernet and IPv4. */
export function arpPacket({ op, sha, spa, tha = { hi: 0, lo: 0 }, tpa }: ArpFields): Uint8Array {
  const packet = new Uint8Array(28);
  const view = new DataView(packet.buffer);
  packet.set([0, 1, 8, 0, 6, 4, 0, op]);
  view.setUint16(8, sha.hi);
  view.setInt32(10, sha.lo);
  view.setInt32(14, spa);
  view.setUint16(18, tha.hi);
  view.setInt32(20, tha.lo);
  view.setInt32(24, tpa);
  return packet;
}

export function ethernetFrame(dst: MacAddress, src: MacAddress, type: number, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(ETH_HEADER);
  const view = new DataView(header.buffer);
  view.setUint16(0, dst.hi);
  view.setInt32(2, dst.lo);
  view.setUint16(6, src.hi);
  view.setInt32(8, src.lo);
  view.setUint16(12, type);
  return concat(header, payload);
}

/** A parsed frame: the layers it has, and the checksums that are wrong. */
export interface Frame {
  /** When it was seen. */
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  readonly dst: string;
  readonly src: string;
  readonly type: number;
  readonly arp?: { op: number; sha: string; spa: string; tha: string; tpa: string };
  readonly ip?: {
    saddr: string; daddr: string; protocol: number; ttl: number; tos: number; id: number; df: boolean; mf: boolean;
    fragOffset: number; length: number;
  };
  readonly tcp?: {
    sport: number; dport: number; seq: number; ack: number; flags: string; window: number; urgent: number;
    options: TcpOptions; payload: Uint8Array;
  };
  readonly udp?: { sport: number; dport: number; payload: Uint8Array };
  readonly icmp?: { type: number; code: number; rest: number; payload: Uint8Array };
  /** Layers whose checksum is wrong. */
  readonly badChecksums: readonly string[];
}

function flagLetters(bits: number): string {
  // The letters in the order people write them: "SA", "FA", "PA".
  return [..."SFRPUECA"].filter((letter) => (bits & (1 << FLAG_LETTERS.indexOf(letter))) !== 0).join("");
}

function parseTcpOptions(bytes: Uint8Array): TcpOptions {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const options: { -readonly [K in keyof TcpOptions]: TcpOptions[K] } = {};
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    if (bytes[at] === 1) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    switch (bytes[at]) {
      case 2:
        options.mss = view.getUint16(at + 2);
        break;
      case 3:
        options.wscale = bytes[at + 2]!;
        break;
      case 4:
        options.sackPermitted = true;
        break;
      case 5: {
        const blocks: [number, number][] = [];
        for (let b = at + 2; b < at + length; b += 8) blocks.push([view.getUint32(b), view.getUint32(b + 4)]);
        options.sack = blocks;
        break;
      }
      case 8:
        options.ts = [view.getUint32(at + 2), view.getUint32(at + 6)];
        break;
      default:
    }
    at += length;
  }
  return options;
}

function parseTransport(protocol: number, data: Uint8Array, pseudo: number): Partial<Frame> & { bad?: string } {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (protocol === PROTO_TCP && data.length >= TCP_HEADER) {
    const header = (data[12]! >> 4) * 4;
    const tcp = {
      sport: view.getUint16(0), dport: view.getUint16(2), seq: view.getUint32(4), ack: view.getUint32(8),
      flags: flagLetters(data[13]!), window: view.getUint16(14), urgent: view.getUint16(18),
      options: parseTcpOptions(data.subarray(TCP_HEADER, header)), payload: data.slice(header),
    };
    return { tcp, ...(internetChecksum(data, pseudo) !== 0 && { bad: "tcp" }) };
  }
  if (protocol === PROTO_UDP && data.length >= UDP_HEADER) {
    const udp = { sport: view.getUint16(0), dport: view.getUint16(2), payload: data.slice(UDP_HEADER) };
    return { udp, ...(view.getUint16(6) !== 0 && internetChecksum(data, pseudo) !== 0 && { bad: "udp" }) };
  }
  if (protocol === PROTO_ICMP && data.length >= ICMP_HEADER) {
    const icmp = { type: data[0]!, code: data[1]!, rest: view.getUint32(4), payload: data.slice(ICMP_HEADER) };
    return { icmp, ...(internetChecksum(data) !== 0 && { bad: "icmp" }) };
  }
  return {};
}

/** Reads a frame as far as it is understood. Padding behind the IP packet is ignored. */
export function parseFrame(bytes: Uint8Array, timeMs = 0): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const mac = (at: number): string => formatMac(view.getUint16(at), view.getInt32(at + 2));
  const type = view.getUint16(12);
  const base = { timeMs, bytes, dst: mac(0), src: mac(6), type, badChecksums: [] };
  if (type === ETHER_ARP && bytes.length >= ETH_HEADER + 28) {
    const at = ETH_HEADER;
    const arp = {
      op: view.getUint16(at + 6), sha: mac(at + 8), spa: addressText(view.getInt32(at + 14)), tha: mac(at + 18),
      tpa: addressText(view.getInt32(at + 24)),
    };
    return { ...base, arp };
  }
  if (type !== ETHER_IP || bytes.length < ETH_HEADER + IP_HEADER) return base;
  const at = ETH_HEADER;
  const header = (bytes[at]! & 15) * 4;
  const length = view.getUint16(at + 2);
  const frag = view.getUint16(at + 6);
  const saddr = view.getInt32(at + 12);
  const daddr = view.getInt32(at + 16);
  const protocol = bytes[at + 9]!;
  const ip = {
    saddr: addressText(saddr), daddr: addressText(daddr), protocol, ttl: bytes[at + 8]!, tos: bytes[at + 1]!,
    id: view.getUint16(at + 4), df: (frag & 0x4000) !== 0, mf: (frag & 0x2000) !== 0, fragOffset: (frag & 0x1fff) * 8, length,
  };
  const data = bytes.subarray(at + header, at + length);
  const whole = !ip.mf && ip.fragOffset === 0;
  const { bad, ...transport } = whole
    ? parseTransport(protocol, data, pseudoHeaderSum(saddr, daddr, protocol, data.length))
    : { bad: undefined };
  const badChecksums = internetChecksum(bytes.subarray(at, at + header)) === 0 ? [] : ["ip"];
  if (bad !== undefined) badChecksums.push(bad);
  return { ...base, ip, ...transport, badChecksums };
}

/** A frame in one line, as tcpdump would. */
export function describeFrame(frame: Frame): string {
  const { arp, ip, tcp, udp, icmp } = frame;
  const at = `${frame.timeMs.toFixed(3)} ms`;
  if (arp !== undefined) return `${at} ARP ${arp.op === 1 ? "request" : "reply"} ${arp.spa} (${arp.sha}) for ${arp.tpa}`;
  if (ip === undefined) return `${at} ${frame.src} > ${frame.dst} type 0x${frame.type.toString(16)}, ${frame.bytes.length} bytes`;
  const bad = frame.badChecksums.map((layer) => `, bad ${layer} checksum`).join("");
  const { saddr, daddr } = ip;
  if (tcp !== undefined) {
    return `${at} ${saddr}:${tcp.sport} > ${daddr}:${tcp.dport} [${tcp.flags}] seq ${tcp.seq} ack ${tcp.ack} `
      + `win ${tcp.window} len ${tcp.payload.length} ${JSON.stringify(tcp.options)}${bad}`;
  }
  if (udp !== undefined) return `${at} ${saddr}:${udp.sport} > ${daddr}:${udp.dport} UDP ${udp.payload.length}${bad}`;
  if (icmp !== undefined) return `${at} ${saddr} > ${daddr} ICMP type ${icmp.type} code ${icmp.code} len ${icmp.payload.length}${bad}`;
  return `${at} ${saddr} > ${daddr} protocol ${ip.protocol} len ${ip.length} frag ${ip.fragOffset}${bad}`;
}
