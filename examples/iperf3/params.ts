/**
 * A test's settings: from the command line, and as the JSON that client and server exchange; and the JSON of results.
 * What comes from the other side is checked.
 */
import { streamId } from "./protocol.ts";

export const DEFAULT_PORT = 5201;
export const MOST_STREAMS = 8;
/** Bytes of one write or datagram at most: the test's one buffer. */
export const MOST_LENGTH = 16384;
const DEFAULT_SECONDS = 10;
/** What one packet carries. */
const DEFAULT_UDP_LENGTH = 1448;
const DEFAULT_UDP_RATE = 1_000_000;
const LEAST_UDP_LENGTH = 16;

/** What both sides agree on. */
export interface Settings {
  readonly udp: boolean;
  /** The server sends. */
  readonly reverse: boolean;
  readonly streams: number;
  /** How long, unless `bytes` or `blocks` say how much (of all streams together). */
  readonly seconds: number;
  readonly bytes: number;
  readonly blocks: number;
  /** Bytes of one write or datagram. */
  readonly length: number;
  /** Bits per second of each stream; 0: as fast as it goes. */
  readonly rate: number;
  /** Datagrams have counts of 64 bits. */
  readonly wide: boolean;
}

export interface Command {
  /** Address of the server as a signed number, or null: be the server. */
  readonly server: number | null;
  readonly port: number;
  readonly settings: Settings;
}

/** What one side says about a stream. */
export interface StreamResult {
  bytes: number;
  packets: number;
  lost: number;
  /** Seconds. */
  jitter: number;
}

export const USAGE = "iperf3 -s [-p PORT] | iperf3 -c ADDRESS [-p PORT] [-u] [-R] [-t SECONDS | -n BYTES] [-P STREAMS] "
  + "[-b BITS_PER_SECOND] [-l LENGTH]";

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** A number with a suffix: 64K, 1.5M. @throws TypeError */
function parseAmount(text: string | undefined, option: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text ?? "");
  if (match === null) throw new TypeError(`-${option} is ${text}; it must be a number, with K, M or G behind it\n${USAGE}`);
  return Number(match[1]) * FACTORS[match[2]!.toLowerCase()]!;
}

function parseAddress(text: string): number {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) throw new TypeError(`-c is ${text}; it must be an address like 10.0.0.1\n${USAGE}`);
  return match.slice(1).reduce((value, byte) => (value << 8) | Number(byte), 0);
}

function inRange(value: number, least: number, most: number, what: string): number {
  if (!(value >= least && value <= most)) throw new RangeError(`${what} is ${value}; it must be from ${least} to ${most}`);
  return Math.floor(value);
}

/** @throws TypeError or RangeError saying what is wrong */
export function parseCommand(args: readonly string[]): Command {
  const given = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const option = /^-([scpuRtnPbl])$/.exec(args[i]!)?.[1];
    if (option === undefined) throw new TypeError(`there is no option ${args[i]}\n${USAGE}`);
    given.set(option, "suR".includes(option) ? "" : (args[++i] ?? ""));
  }
  const amount = (option: string, otherwise: number): number =>
    given.has(option) ? parseAmount(given.get(option), option) : otherwise;
  const udp = given.has("u");
  const bytes = amount("n", 0);
  return {
    server: given.has("c") ? parseAddress(given.get("c")!) : null,
    port: inRange(amount("p", DEFAULT_PORT), 1, 65535, "-p"),
    settings: {
      udp,
      reverse: given.has("R"),
      streams: inRange(amount("P", 1), 1, MOST_STREAMS, "-P"),
      seconds: bytes > 0 ? 0 : inRange(amount("t", DEFAULT_SECONDS), 1, 86400, "-t"),
      bytes,
      blocks: 0,
      length: inRange(amount("l", udp ? DEFAULT_UDP_LENGTH : MOST_LENGTH), udp ? LEAST_UDP_LENGTH : 1, MOST_LENGTH, "-l"),
      rate: amount("b", udp ? DEFAULT_UDP_RATE : 0),
      wide: false,
    },
  };
}

export function formatParams({ udp, reverse, streams, seconds, bytes, blocks, length, rate, wide }: Settings): string {
  return JSON.stringify({
    ...(udp ? { udp: true } : { tcp: true }),
    omit: 0,
    time: seconds,
    num: bytes,
    blockcount: blocks,
    parallel: streams,
    ...(reverse ? { reverse: true } : {}),
    len: length,
    bandwidth: rate,
    ...(wide ? { udp_counters_64bit: 1 } : {}),
    client_version: "3.12",
  });
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string): Fields {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new TypeError("no JSON object");
  return value as Fields;
}

/** A number that is not there is 0. @throws TypeError, RangeError */
function numberOf(fields: Fields, name: string): number {
  const value = fields[name] ?? 0;
  if (typeof value !== "number") throw new TypeError(`${name} is no number`);
  if (!(value >= 0 && value < Infinity)) throw new RangeError(`${name} is ${value}`);
  return value;
}

/** What a client asks for. @throws Error (SyntaxError, TypeError, RangeError) when it cannot be had */
export function parseParams(text: string): Settings {
  const fields = parseObject(text);
  const udp = fields["udp"] === true;
  if (!udp && fields["tcp"] !== true) throw new TypeError("only TCP and UDP can be had");
  for (const name of ["omit", "bidirectional"]) {
    if (fields[name] !== undefined && fields[name] !== 0 && fields[name] !== false) throw new TypeError(`${name} cannot be had`);
  }
  const length = numberOf(fields, "len");
  return {
    udp,
    reverse: Boolean(fields["reverse"]),
    streams: inRange(numberOf(fields, "parallel"), 1, MOST_STREAMS, "parallel"),
    seconds: numberOf(fields, "time"),
    bytes: numberOf(fields, "num"),
    blocks: numberOf(fields, "blockcount"),
    // A stream of bytes may be written in smaller pieces, a datagram not.
    length: udp ? inRange(length, LEAST_UDP_LENGTH, MOST_LENGTH, "len") : Math.min(Math.max(length, 1), MOST_LENGTH),
    rate: numberOf(fields, "bandwidth"),
    wide: Boolean(fields["udp_counters_64bit"]),
  };
}

/** @param seconds how long the test ran */
export function formatResults(streams: readonly StreamResult[], seconds: number): string {
  return JSON.stringify({
    cpu_util_total: 0,
    cpu_util_user: 0,
    cpu_util_system: 0,
    sender_has_retransmits: 0,
    streams: streams.map(({ bytes, packets, lost, jitter }, index) => ({
      id: streamId(index),
      bytes,
      retransmits: 0,
      jitter,
      errors: lost,
      packets,
      start_time: 0,
      end_time: seconds,
    })),
  });
}

/** The results of `count` streams. @throws Error when they are not there */
export function parseResults(text: string, count: number): StreamResult[] {
  const { streams } = parseObject(text);
  if (!Array.isArray(streams)) throw new TypeError("streams is no array");
  const results: StreamResult[] = [];
  for (let index = 0; index < count; index++) {
    const stream = (streams as Fields[]).find(({ id }) => id === streamId(index));
    if (stream === undefined) throw new TypeError(`there is no stream ${streamId(index)}`);
    const [bytes, packets, lost] = ["bytes", "packets", "errors"].map((name) => numberOf(stream, name)) as [number, number, number];
    results.push({ bytes, packets, lost, jitter: numberOf(stream, "jitter") });
  }
  return results;
}
