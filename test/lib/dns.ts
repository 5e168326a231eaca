/**
 * DNS messages as plain records, and a name server that answers as a test says: over UDP and TCP on a host of a lab. Written from
 * RFC 1035 alone, not from the resolver's own code.
 */
import {
  accept4, AF_INET, bind, close, listen, recv, recvfrom, send, sendto, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn,
} from "../../src/index.ts";
import { addressNumber } from "./frames.ts";
import type { Lab, LabHost } from "./lab.ts";

export const TYPES = Object.freeze({ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 });
export type TypeName = keyof typeof TYPES;

export interface DnsRecord {
  readonly name: string;
  readonly type: TypeName;
  readonly ttl?: number;
  /** A: an address; CNAME, PTR, NS: a name; SOA: its minimum. */
  readonly data: string | number;
}

export interface DnsQuestion {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  /** Longest answer by EDNS0, 0 without it. */
  readonly udpBytes: number;
}

export interface DnsReply {
  readonly id?: number;
  readonly rcode?: number;
  readonly truncated?: boolean;
  readonly question?: { readonly name: string; readonly type: number };
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
}

export function encodeName(name: string): number[] {
  const labels = name === "" || name === "." ? [] : name.replace(/\.$/, "").split(".");
  return [...labels.flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]), 0];
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255];
const u32 = (value: number): number[] => [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

function encodeRecord({ name, type, ttl = 60, data }: DnsRecord): number[] {
  const rdata = type === "A" ? u32(addressNumber(String(data)))
    : type === "SOA" ? [...encodeName("ns.test"), ...encodeName("root.test"), ...u32(1), ...u32(2), ...u32(3), ...u32(4), ...u32(Number(data))]
      : encodeName(String(data));
  return [...encodeName(name), ...u16(TYPES[type]), ...u16(1), ...u32(ttl), ...u16(rdata.length), ...rdata];
}

/** An answer to a question. */
export function encodeReply(asked: DnsQuestion, reply: DnsReply): Uint8Array {
  const { answers = [], authorities = [], question = asked } = reply;
  const flags = 0x8180 | (reply.truncated === true ? 0x0200 : 0) | (reply.rcode ?? 0);
  return Uint8Array.from([
    ...u16(reply.id ?? asked.id), ...u16(flags), ...u16(1), ...u16(answers.length), ...u16(authorities.length), ...u16(0),
    ...encodeName(question.name), ...u16(question.type), ...u16(1), ...answers.flatMap(encodeRecord), ...authorities.flatMap(encodeRecord),
  ]);
}

/** A question as a server reads it. */
export function decodeQuestion(bytes: Uint8Array): DnsQuestion {
  const labels: string[] = [];
  let at = 12;
  for (let length = bytes[at++]!; length !== 0; length = bytes[at++]!) {
    labels.push(Buffer.from(bytes.subarray(at, at + length)).toString("latin1"));
    at += length;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = view.getUint16(at);
  const edns = view.getUint16(10) === 1 && view.getUint16(at + 5) === TYPES.OPT;
  return { id: view.getUint16(0), name: labels.join("."), type, udpBytes: edns ? view.getUint16(at + 7) : 0 };
}

/** What a server says to a question: a reply, raw bytes, several datagrams, or null for silence. */
export type DnsHandler = (question: DnsQuestion, tcp: boolean) => DnsReply | Uint8Array | readonly (DnsReply | Uint8Array)[] | null;

const bytesOf = (question: DnsQuestion, reply: DnsReply | Uint8Array): Uint8Array =>
  reply instanceof Uint8Array ? reply : encodeReply(question, reply);

/** A name server on a host of the lab. */
export class DnsServer {
  readonly questions: (DnsQuestion & { readonly tcp: boolean; readonly port: number })[] = [];
  handler: DnsHandler;
  private readonly udp: number;
  private readonly tcp: number;
  private readonly connections = new Set<number>();
  private readonly buffer = new Uint8Array(2048);
  private readonly from = new SockaddrIn();

  constructor(lab: Lab, host: LabHost, handler: DnsHandler) {
    this.handler = handler;
    this.udp = host.socket(AF_INET, SOCK_DGRAM);
    this.tcp = host.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    bind(this.udp, new SockaddrIn(host.addr, 53));
    bind(this.tcp, new SockaddrIn(host.addr, 53));
    listen(this.tcp, 8);
    lab.addStep(() => this.step());
  }

  private say(question: DnsQuestion, tcp: boolean): readonly Uint8Array[] {
    const reply = this.handler(question, tcp);
    if (reply === null) return [];
    const replies = Array.isArray(reply) ? reply as readonly (DnsReply | Uint8Array)[] : [reply as DnsReply | Uint8Array];
    return replies.map((one) => bytesOf(question, one));
  }

  private step(): boolean {
    const { buffer, from } = this;
    const count = recvfrom(this.udp, buffer, 0, buffer.length, 0, from);
    if (count > 0) {
      const question = decodeQuestion(buffer.subarray(0, count));
      this.questions.push({ ...question, tcp: false, port: from.port });
      for (const reply of this.say(question, false)) sendto(this.udp, reply, 0, reply.length, 0, from);
    }
    const fd = accept4(this.tcp, null, SOCK_NONBLOCK);
    if (fd >= 0) this.connections.add(fd);
    for (const connection of this.connections) this.serve(connection);
    return count > 0 || fd >= 0;
  }

  private serve(fd: number): void {
    const { buffer } = this;
    const count = recv(fd, buffer, 0, buffer.length, 0);
    if (count > 2) {
      const question = decodeQuestion(buffer.subarray(2, count));
      this.questions.push({ ...question, tcp: true, port: 0 });
      for (const reply of this.say(question, true)) {
        const framed = Uint8Array.from([...u16(reply.length), ...reply]);
        // In two pieces: a length may come without its message.
        send(fd, framed, 0, 1, 0);
        send(fd, framed, 1, framed.length - 1, 0);
      }
    } else if (count === 0) {
      close(fd);
      this.connections.delete(fd);
    }
  }
}

export interface DnsParsedRecord {
  readonly name: string;
  readonly type: number;
  /** Class and, in mDNS, the bit in front of it. */
  readonly cls: number;
  readonly ttl: number;
  readonly data: Uint8Array;
  /** The data as a name, for types that have one; of SRV the target. */
  readonly target: string;
}

export interface DnsParsed {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly { readonly name: string; readonly type: number; readonly cls: number }[];
  readonly answers: readonly DnsParsedRecord[];
  readonly authorities: readonly DnsParsedRecord[];
  readonly additional: readonly DnsParsedRecord[];
}

/** Takes a well-formed message apart, compressed or not; labels are UTF-8 and joined by dots. */
export function decodeMessage(bytes: Uint8Array): DnsParsed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 12;
  const nameAt = (from: number): [name: string, end: number] => {
    const labels: string[] = [];
    let end = -1;
    let here = from;
    for (let length = bytes[here]!; length !== 0; length = bytes[here]!) {
      if (length >= 0xc0) {
        if (end < 0) end = here + 2;
        here = view.getUint16(here) & 0x3fff;
        continue;
      }
      labels.push(Buffer.from(bytes.subarray(here + 1, here + 1 + length)).toString());
      here += 1 + length;
    }
    return [labels.join("."), end < 0 ? here + 1 : end];
  };
  const record = (): DnsParsedRecord => {
    const [name, end] = nameAt(at);
    const type = view.getUint16(end);
    const length = view.getUint16(end + 8);
    const data = bytes.slice(end + 10, end + 10 + length);
    const target = type === TYPES.PTR || type === TYPES.CNAME ? nameAt(end + 10)[0] : type === TYPES.SRV ? nameAt(end + 16)[0] : "";
    at = end + 10 + length;
    return { name, type, cls: view.getUint16(end + 2), ttl: view.getUint32(end + 4), data, target };
  };
  const questions = Array.from({ length: view.getUint16(4) }, () => {
    const [name, end] = nameAt(at);
    at = end + 4;
    return { name, type: view.getUint16(end), cls: view.getUint16(end + 2) };
  });
  const section = (count: number): DnsParsedRecord[] => Array.from({ length: count }, record);
  const answers = section(view.getUint16(6));
  const authorities = section(view.getUint16(8));
  return { id: view.getUint16(0), flags: view.getUint16(2), questions, answers, authorities, additional: section(view.getUint16(10)) };
}

export interface DnsMessage {
  readonly id?: number;
  readonly flags?: number;
  readonly questions?: readonly { readonly name: string; readonly type: number; readonly cls?: number }[];
  readonly answers?: readonly DnsRecord[];
  readonly authorities?: readonly DnsRecord[];
}

/** Any message. */
export function encodeMessage({ id = 0, flags = 0, questions = [], answers = [], authorities = [] }: DnsMessage): Uint8Array {
  return Uint8Array.from([
    ...u16(id), ...u16(flags), ...u16(questions.length), ...u16(answers.length), ...u16(authorities.length), ...u16(0),
    ...questions.flatMap(({ name, type, cls = 1 }) => [...encodeName(name), ...u16(type), ...u16(cls)]),
    ...answers.flatMap(encodeRecord), ...authorities.flatMap(encodeRecord),
  ]);
}
