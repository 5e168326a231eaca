/**
 * Packets of a script as data: `< S 0:0(0) win 1000 <mss 1000>`, `> udp (10)`, `< icmp unreachable frag_needed mtu 1200`.
 */
import { integer, type Scanner } from "./scanner.ts";

export type Direction = "in" | "out";

/** One TCP option. `words` are its numbers: MSS, scale, TS value and echo, edges of SACK blocks. */
export interface TcpOption {
  readonly name: "mss" | "wscale" | "sackOK" | "nop" | "eol" | "TS" | "sack" | "FO" | "FOEXP" | "md5";
  readonly words: readonly number[];
  /** Cookie of FO and FOEXP, digest of md5. */
  readonly bytes: Uint8Array;
  /** md5 "key": the digest is the right one by this key (null: it is in `bytes`). */
  readonly key?: string | null;
}

/** What the IP header has to say; null where it does not matter. */
export interface IpSpec {
  readonly ecn: number | "ect01" | null;
  readonly tos: number | null;
  readonly ttl: number | null;
}

interface CommonSpec {
  readonly direction: Direction;
  readonly line: number;
  readonly ip: IpSpec;
  /** Ports named in the script, source first; null for those of the connection. */
  readonly ports: readonly [number, number] | null;
}

export interface TcpSpec extends CommonSpec {
  readonly protocol: "tcp";
  /** Letters of FSRPAUEW, "." for ACK. */
  readonly flags: string;
  readonly seq: number;
  readonly length: number;
  readonly ack: number | null;
  readonly window: number | null;
  readonly urgent: number | null;
  /** null: <...>, not looked at. */
  readonly options: readonly TcpOption[] | null;
}

export interface UdpSpec extends CommonSpec {
  readonly protocol: "udp";
  readonly length: number;
}

export interface IcmpSpec extends CommonSpec {
  readonly protocol: "icmp";
  readonly type: string;
  readonly code: string | null;
  readonly mtu: number | null;
  /** What of the connection the message quotes: TCP sequence number, length. */
  readonly quoted: { readonly protocol: "tcp" | "udp"; readonly seq: number; readonly length: number };
}

export type PacketSpec = TcpSpec | UdpSpec | IcmpSpec;

const ECN: Readonly<Record<string, number | "ect01">> = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: "ect01" };
const NO_BYTES = new Uint8Array(0);
const ANY_IP: IpSpec = { ecn: null, tos: null, ttl: null };

function parseIp(scanner: Scanner): IpSpec {
  const found = scanner.match(/[[(]\s*((?:noecn|ect01|ect0|ect1|ce|tos|ttl)\b[^\])]*)[\])]/y);
  if (found === null) return ANY_IP;
  const spec = { ecn: null as IpSpec["ecn"], tos: null as number | null, ttl: null as number | null };
  for (const part of found[1]!.split(",")) {
    const [word = "", value] = part.trim().split(/\s+/);
    if (word === "tos") spec.tos = Number(value);
    else if (word === "ttl") spec.ttl = Number(value);
    else spec.ecn = ECN[word] ?? scanner.fail(`unknown IP word ${word}`);
  }
  return spec;
}

function parsePorts(scanner: Scanner): readonly [number, number] | null {
  const found = scanner.match(/(\d+)\s*>\s*(\d+)(?=\s)/y);
  return found === null ? null : [Number(found[1]), Number(found[2])];
}

function hexBytes(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function parseBlocks(scanner: Scanner): number[] {
  const words: number[] = [];
  for (;;) {
    const block = scanner.match(/(\d+):(\d+)/y);
    if (block === null) return words;
    words.push(Number(block[1]), Number(block[2]));
  }
}

function parseOption(scanner: Scanner): TcpOption {
  const name = scanner.need(/mss|wscale|sackOK|nop|eol|TS|sack|FOEXP|FO|md5/y, "a TCP option")[0] as TcpOption["name"];
  let words: number[] = [];
  let bytes: Uint8Array = NO_BYTES;
  const key = name === "md5" ? (scanner.match(/"([^"]*)"/y)?.[1] ?? null) : null;
  if (key !== null) return { name, words, bytes, key };
  if (name === "mss" || name === "wscale") words = [integer(scanner)];
  else if (name === "sack") words = parseBlocks(scanner);
  else if (name === "TS") {
    scanner.expect("val");
    words.push(integer(scanner));
    scanner.expect("ecr");
    words.push(integer(scanner));
  } else if (name === "FO" || name === "FOEXP" || name === "md5") bytes = hexBytes(scanner.match(/[0-9a-fA-F]{2,}/y)?.[0] ?? "");
  return { name, words, bytes };
}

function parseOptions(scanner: Scanner, direction: Direction): readonly TcpOption[] | null {
  // The `<` of the next event never stands before a letter: a time is in between.
  if (!scanner.peek(/<\s*(?:\.\.\.|[a-zA-Z>])/y)) return [];
  scanner.expect("<");
  if (scanner.accept("...")) {
    scanner.expect(">");
    if (direction === "in") scanner.fail("<...> is for outbound packets only");
    return null;
  }
  const options: TcpOption[] = [];
  while (!scanner.accept(">")) {
    options.push(parseOption(scanner));
    scanner.accept(",");
  }
  return options;
}

function parseTcp(scanner: Scanner, common: CommonSpec): TcpSpec {
  const letters = scanner.need(/-|[FSRPUEWA.]+(?=\s)/y, "TCP flags")[0];
  const flags = letters === "-" ? "" : letters;
  const found = scanner.need(/(\d+):(\d+)\s*\((\d+)\)/y, "a sequence of bytes");
  const seq = Number(found[1]);
  const length = Number(found[3]);
  if (Number(found[2]) !== seq + length) scanner.fail("sequence numbers and length do not agree");
  const ack = scanner.accept("ack") ? integer(scanner) : null;
  const window = scanner.accept("win") ? integer(scanner) : null;
  const urgent = scanner.accept("urg") ? integer(scanner) : null;
  return { ...common, protocol: "tcp", flags, seq, length, ack, window, urgent, options: parseOptions(scanner, common.direction) };
}

function parseIcmp(scanner: Scanner, common: CommonSpec): IcmpSpec {
  const type = scanner.need(/[a-z_]+/y, "an ICMP type")[0];
  const code = scanner.peek(/mtu\b/y) ? null : (scanner.match(/[a-z_]+/y)?.[0] ?? null);
  const mtu = scanner.accept("mtu") ? integer(scanner) : null;
  const udp = scanner.match(/\[\s*udp\s*\((\d+)\)\s*\]/y);
  if (udp !== null) return { ...common, protocol: "icmp", type, code, mtu, quoted: { protocol: "udp", seq: 0, length: Number(udp[1]) } };
  const tcp = scanner.match(/\[\s*(\d+):\d+\s*\((\d+)\)\s*\]/y);
  const quoted = { protocol: "tcp" as const, seq: Number(tcp?.[1] ?? 0), length: Number(tcp?.[2] ?? 0) };
  return { ...common, protocol: "icmp", type, code, mtu, quoted };
}

/** Reads a packet; null when none stands here. */
export function parsePacket(scanner: Scanner): PacketSpec | null {
  const line = scanner.line;
  const arrow = scanner.match(/[<>]/y);
  if (arrow === null) return null;
  const direction: Direction = arrow[0] === "<" ? "in" : "out";
  const ip = parseIp(scanner);
  if (scanner.match(/icmp\b/y) !== null) return parseIcmp(scanner, { direction, line, ip, ports: null });
  if (scanner.match(/udp\b/y) !== null) {
    const ports = parsePorts(scanner);
    const length = Number(scanner.need(/\((\d+)\)/y, "a length")[1]);
    return { direction, line, ip, ports, protocol: "udp", length };
  }
  return parseTcp(scanner, { direction, line, ip, ports: parsePorts(scanner) });
}
