/**
 * TCP segments of the wire: built from their fields for injection, and read back from bytes for comparison. Written from
 * RFC 9293, 7323, 2018 and 7413, not from the stack's code. Option fields are those of packet-spec.ts, with live numbers.
 */
import { createHash } from "node:crypto";
import { internetChecksum } from "../lib/frames.ts";
import type { TcpOption } from "./packet-spec.ts";
import { transportChecksum } from "./tun.ts";

/** Letters of the flags from bit 0 up: FIN SYN RST PSH ACK URG ECE CWR, and AE of the byte before. */
const FLAG_LETTERS = "FSRP.UEWA";
const IP_LENGTH = 20;
const TCP_LENGTH = 20;
const KINDS: Readonly<Record<TcpOption["name"], number>> = {
  eol: 0, nop: 1, mss: 2, wscale: 3, sackOK: 4, sack: 5, TS: 8, md5: 19, FO: 34, FOEXP: 254,
};
const FOEXP_MAGIC = [0xf9, 0x89];
const NO_BYTES = new Uint8Array(0);
const MD5_LENGTH = 16;

/** A segment with the addresses it goes between. */
export interface Segment {
  readonly saddr: number;
  readonly daddr: number;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: string;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
  readonly length: number;
  readonly tos: number;
  readonly ttl: number;
}

function word(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
}

function optionBody({ name, words, bytes }: TcpOption): number[] {
  if (name === "mss") return [(words[0]! >> 8) & 255, words[0]! & 255];
  if (name === "wscale") return [words[0]!];
  // A digest by key is filled in when the segment is complete.
  if (name === "md5" && bytes.length === 0) return new Array<number>(MD5_LENGTH).fill(0);
  if (name === "FO" || name === "md5") return [...bytes];
  if (name === "FOEXP") return [...FOEXP_MAGIC, ...bytes];
  return words.flatMap(word);
}

function optionBytes(options: readonly TcpOption[]): number[] {
  const out: number[] = [];
  for (const option of options) {
    const kind = KINDS[option.name];
    if (kind <= 1) out.push(kind);
    else {
      const body = optionBody(option);
      out.push(kind, 2 + body.length, ...body);
    }
  }
  while (out.length % 4 !== 0) out.push(0);
  return out;
}

/** An IPv4 packet of any protocol, its own header checksum done. */
export function ipv4Packet(
  { saddr, daddr, tos, ttl }: { saddr: number; daddr: number; tos: number; ttl: number }, protocol: number, body: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(IP_LENGTH + body.length);
  const view = new DataView(packet.buffer);
  packet[0] = 0x45;
  packet[1] = tos;
  view.setUint16(2, packet.length);
  packet[8] = ttl;
  packet[9] = protocol;
  view.setInt32(12, saddr);
  view.setInt32(16, daddr);
  view.setUint16(10, internetChecksum(packet.subarray(0, IP_LENGTH)));
  packet.set(body, IP_LENGTH);
  return packet;
}

/** Where the digest of a packet's MD5 option begins; -1 when it has none. */
function md5At(packet: Uint8Array): number {
  const th = (packet[0]! & 15) * 4;
  const end = th + (packet[th + 12]! >> 4) * 4;
  for (let at = th + TCP_LENGTH; at + 1 < end;) {
    const kind = packet[at]!;
    if (kind === KINDS.md5) return at + 2;
    at += kind <= 1 ? 1 : Math.max(packet[at + 1]!, 2);
  }
  return -1;
}

/** The digest that RFC 2385 section 2.0 asks of an IPv4 packet. */
function md5Digest(packet: Uint8Array, key: string): Uint8Array {
  const th = (packet[0]! & 15) * 4;
  const length = packet.length - th;
  const header = packet.slice(th, th + TCP_LENGTH);
  header[16] = header[17] = 0;
  const data = packet.subarray(th + (packet[th + 12]! >> 4) * 4);
  return createHash("md5").update(packet.subarray(12, 20)).update(Uint8Array.of(0, 6, length >> 8, length & 255))
    .update(header).update(data).update(key).digest();
}

/** Has the packet the digest that this key makes? */
export function md5IsRight(packet: Uint8Array, key: string): boolean {
  const at = md5At(packet);
  return at >= 0 && Buffer.compare(packet.subarray(at, at + MD5_LENGTH), md5Digest(packet, key)) === 0;
}

/** The segment as an IPv4 packet; its data are zeros. */
export function encodeSegment(segment: Segment): Uint8Array {
  const options = optionBytes(segment.options);
  const body = new Uint8Array(TCP_LENGTH + options.length + segment.length);
  const view = new DataView(body.buffer);
  view.setUint16(0, segment.sport);
  view.setUint16(2, segment.dport);
  view.setInt32(4, segment.seq | 0);
  view.setInt32(8, segment.ack | 0);
  let flags = 0;
  for (const letter of segment.flags) flags |= 1 << FLAG_LETTERS.indexOf(letter);
  view.setUint16(12, (((TCP_LENGTH + options.length) >> 2) << 12) | flags);
  view.setUint16(14, segment.window);
  view.setUint16(18, segment.urgent);
  body.set(options, TCP_LENGTH);
  const packet = ipv4Packet(segment, 6, body);
  const key = segment.options.find(({ name }) => name === "md5")?.key ?? null;
  if (key !== null) packet.set(md5Digest(packet, key), md5At(packet));
  new DataView(packet.buffer).setUint16(IP_LENGTH + 16, transportChecksum(packet, IP_LENGTH));
  return packet;
}

const NAMES = new Map(Object.entries(KINDS).map(([name, kind]) => [kind, name as TcpOption["name"]]));

function decodeOption(kind: number, body: Uint8Array): TcpOption | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const name = NAMES.get(kind);
  if (name === undefined) return null;
  if (name === "mss") return { name, words: [view.getUint16(0)], bytes: NO_BYTES };
  if (name === "wscale") return { name, words: [view.getUint8(0)], bytes: NO_BYTES };
  if (name === "FO" || name === "md5") return { name, words: [], bytes: body };
  if (name === "FOEXP") return { name, words: [], bytes: body.subarray(2) };
  const words: number[] = [];
  for (let at = 0; at + 4 <= body.length; at += 4) words.push(view.getUint32(at));
  return { name, words, bytes: NO_BYTES };
}

function decodeOptions(bytes: Uint8Array): TcpOption[] {
  const options: TcpOption[] = [];
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at]!;
    if (kind <= 1) {
      options.push({ name: kind === 0 ? "eol" : "nop", words: [], bytes: NO_BYTES });
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2) break;
    const option = decodeOption(kind, bytes.subarray(at + 2, at + length));
    if (option !== null) options.push(option);
    at += length;
  }
  return options;
}

/** Reads a TCP packet. @throws Error naming a wrong length or checksum */
export function decodeSegment(packet: Uint8Array): Segment {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  checkPacket(packet);
  const th = (packet[0]! & 15) * 4;
  const headerLength = (packet[th + 12]! >> 4) * 4;
  const bits = view.getUint16(th + 12) & 0x1ff;
  return {
    saddr: view.getInt32(12),
    daddr: view.getInt32(16),
    sport: view.getUint16(th),
    dport: view.getUint16(th + 2),
    seq: view.getInt32(th + 4),
    ack: view.getInt32(th + 8),
    flags: [...FLAG_LETTERS].filter((_, bit) => (bits & (1 << bit)) !== 0).join(""),
    window: view.getUint16(th + 14),
    urgent: view.getUint16(th + 18),
    options: decodeOptions(packet.subarray(th + TCP_LENGTH, th + headerLength)),
    length: packet.length - th - headerLength,
    tos: packet[1]!,
    ttl: packet[8]!,
  };
}

/** Lengths and checksums of whatever the stack sends. */
export function checkPacket(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const ipLength = (packet[0]! & 15) * 4;
  if (packet[0]! >> 4 !== 4) throw new Error("sent what is no IPv4 packet");
  if (view.getUint16(2) !== packet.length) throw new Error(`sent ${packet.length} bytes with a length of ${view.getUint16(2)}`);
  if (internetChecksum(packet.subarray(0, ipLength)) !== 0) throw new Error("sent a wrong IPv4 checksum");
  const protocol = packet[9];
  if (protocol === 1 && internetChecksum(packet.subarray(ipLength)) !== 0) throw new Error("sent a wrong ICMP checksum");
  if (protocol === 17 && view.getUint16(ipLength + 6) === 0) return;
  if ((protocol === 6 || protocol === 17) && transportChecksum(packet, ipLength) !== 0) {
    throw new Error("sent a wrong TCP or UDP checksum");
  }
}

/** An option in the words of a script. */
export function formatOption({ name, words, bytes }: TcpOption): string {
  if (name === "TS") return `TS val ${words[0]} ecr ${words[1]}`;
  if (name === "sack") {
    return `sack ${words.flatMap((from, i) => (i % 2 === 0 ? [`${from}:${words[i + 1]}`] : [])).join(" ")}`;
  }
  if (name === "FO" || name === "FOEXP" || name === "md5") return `${name} ${Buffer.from(bytes).toString("hex")}`.trim();
  return [name, ...words].join(" ");
}
