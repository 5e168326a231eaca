/**
 * What a script says of a connection in small numbers, and what it really is: both initial sequence numbers, ports, and the
 * values of timestamps. The script's numbers of one side begin where its SYN says; here they are moved to the live ones.
 */
import type { TcpOption, TcpSpec } from "./packet-spec.ts";
import { formatOption, type Segment } from "./wire-tcp.ts";

export interface Addresses {
  readonly local: number;
  readonly remote: number;
}

const DEFAULT_TTL = 64;
const ECT0 = 2;

function sum(a: number, b: number): number {
  return (a + b) | 0;
}

function unsigned(value: number): number {
  return value >>> 0;
}

export class Connection {
  /** -1 until the first packet of a connection that the side under test opens. */
  localPort: number;
  readonly remotePort: number;
  private readonly addresses: Addresses;
  /** Live sequence number that is the script's 0, of the side under test and of the peer. */
  private localBase: number | null = null;
  private readonly remoteBase: number;
  /** Timestamps of the side under test: the script's value to the live one. */
  private readonly stamps = new Map<number, number>();
  private firstStamp: readonly [script: number, live: number] | null = null;
  /** Microseconds per tick of the timestamps that are compared; 0 compares none. */
  private readonly tickUs: number;

  constructor(addresses: Addresses, localPort: number, remotePort: number, remoteBase: number, tickUs: number) {
    this.addresses = addresses;
    this.localPort = localPort;
    this.remotePort = remotePort;
    this.remoteBase = remoteBase;
    this.tickUs = tickUs;
  }

  /** A script's inbound packet with live numbers. */
  inbound(spec: TcpSpec): Segment {
    const local = this.localBase ?? 0;
    const options = (spec.options ?? []).map((option) => this.inboundOption(option, local));
    const tos = spec.ip.tos ?? (typeof spec.ip.ecn === "number" ? spec.ip.ecn : 0);
    return {
      saddr: this.addresses.remote,
      daddr: this.addresses.local,
      sport: this.remotePort,
      dport: this.localPort,
      seq: sum(spec.seq, this.remoteBase),
      ack: spec.ack === null ? 0 : sum(spec.ack, local),
      flags: spec.flags,
      window: spec.window ?? 0,
      urgent: spec.urgent ?? 0,
      options,
      length: spec.length,
      tos,
      ttl: spec.ip.ttl ?? DEFAULT_TTL,
    };
  }

  private inboundOption(option: TcpOption, local: number): TcpOption {
    const { name, words } = option;
    if (name === "sack") return { ...option, words: words.map((edge) => sum(edge, local)) };
    if (name === "TS") return { ...option, words: [words[0]!, this.liveStamp(words[1]!)] };
    return option;
  }

  private liveStamp(script: number): number {
    const known = this.stamps.get(script);
    if (known !== undefined) return known;
    if (this.tickUs > 0 && this.firstStamp !== null) return sum(this.firstStamp[1], script - this.firstStamp[0]);
    return script;
  }

  /** The ports of a packet sent: the first to the peer's port tells the local one. */
  adopt(localPort: number, remotePort: number): void {
    if (this.localPort < 0 && remotePort === this.remotePort) this.localPort = localPort;
  }

  owns(segment: Segment): boolean {
    return segment.sport === this.localPort && segment.dport === this.remotePort;
  }

  /** The live sequence number of a script's one of the side under test. */
  liveSeq(seq: number): number {
    return sum(seq, this.localBase ?? 0);
  }

  /** A live packet in the script's numbers; the first one tells the local initial sequence number. */
  toScript(segment: Segment, expected: TcpSpec | null): Segment {
    if (this.localBase === null) this.localBase = sum(segment.seq, -(expected?.seq ?? 0));
    const local = this.localBase;
    const hasAck = segment.flags.includes(".");
    const options = segment.options.map((option) =>
      option.name === "sack"
        ? { ...option, words: option.words.map((edge) => unsigned(sum(edge, -this.remoteBase))) }
        : option,
    );
    return {
      ...segment,
      seq: unsigned(sum(segment.seq, -local)),
      ack: hasAck ? unsigned(sum(segment.ack, -this.remoteBase)) : 0,
      options,
    };
  }

  /** Compares a packet in the script's numbers with what the script expects: null, or what differs. */
  mismatch(spec: TcpSpec, seen: Segment): string | null {
    const wrong: string[] = [];
    const check = (what: string, expected: number | string, found: number | string): void => {
      if (expected !== found) wrong.push(`${what} is ${found}, expected ${expected}`);
    };
    check("seq", spec.seq, seen.seq);
    check("length", spec.length, seen.length);
    check("flags", [...spec.flags].sort().join(""), [...seen.flags].sort().join(""));
    if (spec.ack !== null) check("ack", spec.ack, seen.ack);
    if (spec.window !== null) check("win", spec.window, seen.window);
    if (spec.urgent !== null) check("urg", spec.urgent, seen.urgent);
    if (spec.ip.tos !== null) check("tos", spec.ip.tos, seen.tos);
    if (spec.ip.ttl !== null) check("ttl", spec.ip.ttl, seen.ttl);
    if (spec.ip.ecn === "ect01") check("ECN", "ect01", (seen.tos & 3) === ECT0 || (seen.tos & 3) === 1 ? "ect01" : "noecn");
    else if (spec.ip.ecn !== null) check("ECN", spec.ip.ecn, seen.tos & 3);
    if (spec.options !== null) this.checkOptions(spec.options, seen.options, check);
    return wrong.length === 0 ? null : wrong.join("; ");
  }

  private checkOptions(
    expected: readonly TcpOption[], seen: readonly TcpOption[], check: (what: string, a: string, b: string) => void,
  ): void {
    // A digest by key was checked with the packet.
    const byKey = expected.some(({ key }) => typeof key === "string");
    const text = (options: readonly TcpOption[]): string =>
      options.map((option) => (option.name === "TS" ? "TS" : byKey && option.name === "md5" ? "md5" : formatOption(option))).join(",");
    check("options", `<${text(expected)}>`, `<${text(seen)}>`);
    const wanted = expected.find(({ name }) => name === "TS");
    const found = seen.find(({ name }) => name === "TS");
    if (wanted === undefined || found === undefined) return;
    if (this.tickUs > 0) this.checkStamp(wanted.words, found.words, check);
    this.stamps.set(wanted.words[0]!, found.words[0]!);
    this.firstStamp ??= [wanted.words[0]!, found.words[0]!];
  }

  private checkStamp(
    wanted: readonly number[], found: readonly number[], check: (what: string, a: string, b: string) => void,
  ): void {
    if (this.firstStamp !== null) {
      const [script, live] = this.firstStamp;
      check("TS val", String(wanted[0]! - script), String((found[0]! - live) | 0));
    }
    if (wanted[1] !== 0 || found[1] !== 0) check("TS ecr", String(wanted[1]), String(found[1]));
  }
}

/** A packet as a script would write it. */
export function formatSegment(arrow: string, segment: Segment): string {
  const { seq, length, ack, window, flags, urgent, options } = segment;
  const parts = [arrow, flags, `${seq}:${seq + length}(${length})`];
  if (flags.includes(".")) parts.push(`ack ${ack}`);
  parts.push(`win ${window}`);
  if (flags.includes("U")) parts.push(`urg ${urgent}`);
  if (options.length > 0) parts.push(`<${options.map(formatOption).join(",")}>`);
  return parts.join(" ");
}

/** A script's packet, back in its own words. */
export function formatSpec(spec: TcpSpec): string {
  const parts = [spec.direction === "in" ? "<" : ">", spec.flags, `${spec.seq}:${spec.seq + spec.length}(${spec.length})`];
  if (spec.ack !== null) parts.push(`ack ${spec.ack}`);
  if (spec.window !== null) parts.push(`win ${spec.window}`);
  if (spec.urgent !== null) parts.push(`urg ${spec.urgent}`);
  if (spec.options === null) parts.push("<...>");
  else if (spec.options.length > 0) parts.push(`<${spec.options.map(formatOption).join(",")}>`);
  return parts.join(" ");
}
