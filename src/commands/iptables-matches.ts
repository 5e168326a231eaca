/**
 * The options of iptables' matches: how each is read from a command line, saved as one, and listed. iptables' counterpart is
 * extensions/libxt_*.c and libipt_icmp.c. Allocates.
 */
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../uapi/in.ts";
import {
  XT_CONNTRACK_AS_CONNTRACK, XT_LIMIT_SCALE, XT_MATCH_COMMENT, XT_MATCH_ICMP, XT_MATCH_LIMIT, XT_MATCH_MAC, XT_MATCH_MARK, XT_MATCH_MULTIPORT, XT_MATCH_STATE,
  XT_MATCH_TCP, XT_MATCH_UDP, XT_MULTI_PORTS, XT_MULTIPORT_DESTINATION, XT_MULTIPORT_EITHER, XT_MULTIPORT_SOURCE,
  XT_TCP_INV_DSTPT, XT_TCP_INV_FLAGS, XT_TCP_INV_OPTION, XT_TCP_INV_SRCPT,
} from "../uapi/ip-tables.ts";
import { parseNumber } from "./command.ts";
import { conntrack, state } from "./iptables-conntrack.ts";
import { missing, optionNumber, problem, quoted } from "./iptables-errors.ts";
import { ICMP_NAMES, icmpType } from "./iptables-icmp.ts";
import { parseLladdr } from "./inet-text.ts";
import { textOf, textWords } from "./iptables-set.ts";
import { portByName, serviceByPort } from "./netdb.ts";

/** A kind of match. `data` is its words. */
export interface MatchKind {
  readonly name: string;
  readonly type: number;
  /** Data words of one without options. */
  readonly empty: readonly number[];
  /** The protocol whose `-p` brings it along without `-m`, 0 for none. */
  readonly proto: number;
  /**
   * Takes an option. @param value gives the next word, which must be there @returns false when the option is not its own
   */
  parse(data: number[], option: string, inverted: boolean, value: () => string): boolean;
  /** All options are read. */
  finish?(data: number[], proto: number): void;
  /** As options. */
  save(data: readonly number[]): string;
  /** As -L has it. @param numeric -n @param proto the rule's */
  print(data: readonly number[], numeric: boolean, proto: number): string;
}

const PORT_MAX = 0xffff;

function port(word: string): number {
  const named = portByName(word);
  const value = named >= 0 || word === "" ? named : parseNumber(word, PORT_MAX);
  if (value < 0) problem(`invalid port/service \`${word}' specified`);
  return value;
}

/** "80", "80:90", "80:" as low | high << 16. */
function portRange(word: string): number {
  const [low, high] = word.split(":", 2) as [string, string | undefined];
  const from = low === "" && high !== undefined ? 0 : port(low);
  const to = high === undefined ? from : high === "" ? PORT_MAX : port(high);
  if (from > to) problem("invalid portrange (min > max)");
  return (from | (to << 16)) | 0;
}

const ANY_PORT = PORT_MAX << 16 | 0;

/** A range as "80" or "80:90". @param proto whose services' names stand for ports that have one; none's where it is 0 */
function rangeText(range: number, proto: number): string {
  const text = (at: number): string => serviceByPort(at, proto) ?? String(at);
  const low = range & 0xffff;
  const high = range >>> 16;
  return low === high ? text(low) : `${text(low)}:${text(high)}`;
}

function savePort(option: string, range: number, inverted: boolean): string {
  return range === ANY_PORT && !inverted ? "" : `${inverted ? " !" : ""} ${option} ${rangeText(range, 0)}`;
}

/** @param proto as rangeText() has it */
function printPort(name: string, range: number, inverted: boolean, proto: number): string {
  if (range === ANY_PORT && !inverted) return "";
  return ` ${name}${(range & 0xffff) === range >>> 16 ? "" : "s"}:${inverted ? "!" : ""}${rangeText(range, proto)}`;
}

/** The ports that tcp and udp share. */
function parsePorts(data: number[], option: string, inverted: boolean, value: () => string, flags: number): boolean {
  const source = option === "--sport" || option === "--source-port";
  if (!source && option !== "--dport" && option !== "--destination-port") return false;
  data[source ? 0 : 1] = portRange(value());
  if (inverted) data[2]! |= (source ? XT_TCP_INV_SRCPT : XT_TCP_INV_DSTPT) << flags;
  return true;
}

const TCP_FLAGS: readonly string[] = Object.freeze(["FIN", "SYN", "RST", "PSH", "ACK", "URG"]);

function tcpFlags(word: string): number {
  let flags = 0;
  for (const name of word.split(",")) {
    const bit = TCP_FLAGS.indexOf(name.toUpperCase());
    if (name.toUpperCase() === "ALL") flags |= 0x3f;
    else if (bit >= 0) flags |= 1 << bit;
    else if (name.toUpperCase() !== "NONE") problem(`Unknown TCP flag \`${name}'`);
  }
  return flags;
}

function tcpFlagNames(flags: number): string {
  return flags === 0 ? "NONE" : TCP_FLAGS.filter((_name, bit) => (flags & (1 << bit)) !== 0).join(",");
}

/** SYN of FIN, SYN, RST, ACK. */
const SYN_ONLY = 0x17 | (0x02 << 8);

const tcp: MatchKind = Object.freeze<MatchKind>({
  name: "tcp",
  type: XT_MATCH_TCP,
  empty: Object.freeze([ANY_PORT, ANY_PORT, 0]),
  proto: IPPROTO_TCP,
  parse(data, option, inverted, value) {
    if (parsePorts(data, option, inverted, value, 24)) return true;
    if (option === "--syn" || option === "--tcp-flags") {
      if ((data[2]! & 0xffff) !== 0) problem("Only one of `--syn' or `--tcp-flags'  allowed");
      const mask = option === "--syn" ? SYN_ONLY : tcpFlags(value());
      data[2]! |= option === "--syn" ? mask : mask | (tcpFlags(value()) << 8);
      if (inverted) data[2]! |= XT_TCP_INV_FLAGS << 24;
      return true;
    }
    if (option !== "--tcp-option") return false;
    const kind = value();
    const number = parseNumber(kind, 255);
    if (number < 1) problem(`Bad TCP option "${kind}"`);
    data[2]! |= (number << 16) | (inverted ? XT_TCP_INV_OPTION << 24 : 0);
    return true;
  },
  save(data) {
    const info = data[2]!;
    const inv = info >>> 24;
    let text = savePort("--sport", data[0]!, (inv & XT_TCP_INV_SRCPT) !== 0) + savePort("--dport", data[1]!, (inv & XT_TCP_INV_DSTPT) !== 0);
    const option = (info >> 16) & 255;
    if (option !== 0) text += `${(inv & XT_TCP_INV_OPTION) !== 0 ? " !" : ""} --tcp-option ${option}`;
    if ((info & 0xffff) === 0 && (inv & XT_TCP_INV_FLAGS) === 0) return text;
    return `${text}${(inv & XT_TCP_INV_FLAGS) !== 0 ? " !" : ""} --tcp-flags ${tcpFlagNames(info & 255)} ${tcpFlagNames((info >> 8) & 255)}`;
  },
  print(data, numeric) {
    const info = data[2]!;
    const inv = info >>> 24;
    const named = numeric ? 0 : IPPROTO_TCP;
    let text = ` tcp${printPort("spt", data[0]!, (inv & XT_TCP_INV_SRCPT) !== 0, named)}${printPort("dpt", data[1]!, (inv & XT_TCP_INV_DSTPT) !== 0, named)}`;
    const option = (info >> 16) & 255;
    if (option !== 0) text += ` option=${(inv & XT_TCP_INV_OPTION) !== 0 ? "!" : ""}${option}`;
    if ((info & 0xffff) === 0 && (inv & XT_TCP_INV_FLAGS) === 0) return text;
    const name = (flags: number): string => (numeric ? `0x${flags.toString(16).padStart(2, "0").toUpperCase()}` : tcpFlagNames(flags));
    return `${text} flags:${(inv & XT_TCP_INV_FLAGS) !== 0 ? "!" : ""}${name(info & 255)}/${name((info >> 8) & 255)}`;
  },
});

const udp: MatchKind = Object.freeze<MatchKind>({
  name: "udp",
  type: XT_MATCH_UDP,
  empty: Object.freeze([ANY_PORT, ANY_PORT, 0]),
  proto: IPPROTO_UDP,
  parse: (data, option, inverted, value) => parsePorts(data, option, inverted, value, 0),
  save: (data) =>
    savePort("--sport", data[0]!, (data[2]! & XT_TCP_INV_SRCPT) !== 0) + savePort("--dport", data[1]!, (data[2]! & XT_TCP_INV_DSTPT) !== 0),
  print(data, numeric) {
    const named = numeric ? 0 : IPPROTO_UDP;
    return ` udp${printPort("spt", data[0]!, (data[2]! & XT_TCP_INV_SRCPT) !== 0, named)}${printPort("dpt", data[1]!, (data[2]! & XT_TCP_INV_DSTPT) !== 0, named)}`;
  },
});

const icmp: MatchKind = Object.freeze<MatchKind>({
  name: "icmp",
  type: XT_MATCH_ICMP,
  empty: Object.freeze([255 | (255 << 16)]),
  proto: IPPROTO_ICMP,
  parse(data, option, inverted, value) {
    if (option !== "--icmp-type") return false;
    const word = value();
    const info = icmpType(word);
    if (info < 0) problem(`Invalid ICMP type \`${word}'\n`);
    data[0] = info | (inverted ? 1 << 24 : 0);
    return true;
  },
  save(data) {
    const type = data[0]! & 255;
    const low = (data[0]! >> 8) & 255;
    const code = low === ((data[0]! >> 16) & 255) ? `/${low}` : "";
    return `${data[0]! >>> 24 !== 0 ? " !" : ""} --icmp-type ${type === 255 ? "any" : `${type}${code}`}`;
  },
  print(data, numeric) {
    const type = data[0]! & 255;
    const low = (data[0]! >> 8) & 255;
    const high = (data[0]! >> 16) & 255;
    const inv = data[0]! >>> 24 !== 0 ? " !" : "";
    const name = ICMP_NAMES.find(([, t, from, to]) => t === type && from === low && to === high)?.[0];
    if (!numeric && name !== undefined) return ` icmp ${inv.trim()}${name}`;
    return ` icmp${inv}type ${type}${low === high ? ` code ${low}` : low === 0 && high === 255 ? "" : ` codes ${low}-${high}`}`;
  },
});

const SIDES: readonly string[] = Object.freeze(["sports", "dports", "ports"]);

const multiport: MatchKind = Object.freeze<MatchKind>({
  name: "multiport",
  type: XT_MATCH_MULTIPORT,
  empty: Object.freeze([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  proto: 0,
  parse(data, option, inverted, value) {
    const side = option === "--sports" || option === "--source-ports" ? XT_MULTIPORT_SOURCE
      : option === "--dports" || option === "--destination-ports" ? XT_MULTIPORT_DESTINATION
      : option === "--ports" ? XT_MULTIPORT_EITHER : -1;
    if (side < 0) return false;
    const ranges = value().split(",");
    const used = ranges.reduce((sum, word) => sum + (word.includes(":") ? 2 : 1), 0);
    if (used > XT_MULTI_PORTS) problem("too many ports specified");
    ranges.forEach((word, i) => {
      data[1 + i] = portRange(word);
    });
    data[0] = side | (ranges.length << 8) | (inverted ? 1 << 16 : 0);
    return true;
  },
  finish(data, proto) {
    if (![6, 17, 33, 132, 136].includes(proto)) {
      problem("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
    }
    if (((data[0]! >> 8) & 255) === 0) problem("multiport expection an option");
  },
  save(data) {
    const ranges = data.slice(1, 1 + ((data[0]! >> 8) & 255)).map((range) => rangeText(range, 0));
    return `${data[0]! >> 16 !== 0 ? " !" : ""} --${SIDES[data[0]! & 255]} ${ranges.join(",")}`;
  },
  print(data, numeric, proto) {
    const ranges = data.slice(1, 1 + ((data[0]! >> 8) & 255)).map((range) => rangeText(range, numeric ? 0 : proto));
    return ` multiport ${SIDES[data[0]! & 255]} ${data[0]! >> 16 !== 0 ? " !" : ""}${ranges.join(",")}`;
  },
});

function macText(data: readonly number[]): string {
  const bytes = [data[0]! >> 8, data[0]! & 255, data[1]! >>> 24, (data[1]! >> 16) & 255, (data[1]! >> 8) & 255, data[1]! & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

const mac: MatchKind = Object.freeze<MatchKind>({
  name: "mac",
  type: XT_MATCH_MAC,
  empty: Object.freeze([]),
  proto: 0,
  parse(data, option, inverted, value) {
    if (option !== "--mac-source") return false;
    const bytes = parseLladdr(value());
    if (bytes === null) return problem("Invalid MAC address specified.");
    const view = new DataView(bytes.buffer);
    data.splice(0, 3, view.getUint16(0), view.getInt32(2), inverted ? 1 : 0);
    return true;
  },
  finish(data) {
    if (data.length === 0) missing("mac", "--mac-source");
  },
  save: (data) => `${data[2] !== 0 ? " !" : ""} --mac-source ${macText(data)}`,
  print: (data) => ` MAC${data[2] !== 0 ? " !" : ""} ${macText(data)}`,
});

/** "0x1" or "0x1/0xff". */
export function markText(value: number, mask: number): string {
  const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
  return mask === -1 ? hex(value) : `${hex(value)}/${hex(mask)}`;
}

/** A value and a mask, all ones without one. */
export function parseMark(owner: string, option: string, word: string, max = 0xffffffff): [number, number] {
  const [value, mask] = word.split("/", 2) as [string, string | undefined];
  return [optionNumber(owner, option, value, max) | 0, mask === undefined ? max | 0 : optionNumber(owner, option, mask, max) | 0];
}

const mark: MatchKind = Object.freeze<MatchKind>({
  name: "mark",
  type: XT_MATCH_MARK,
  empty: Object.freeze([]),
  proto: 0,
  parse(data, option, inverted, value) {
    if (option !== "--mark") return false;
    data.splice(0, 3, ...parseMark("mark", option, value()), inverted ? 1 : 0);
    return true;
  },
  finish(data) {
    if (data.length === 0) missing("mark", "--mark");
  },
  save: (data) => `${data[2] !== 0 ? " !" : ""} --mark ${markText(data[0]!, data[1]!)}`,
  print: (data) => ` mark match ${data[2] !== 0 ? "! " : ""}${markText(data[0]!, data[1]!)}`,
});

const RATES: readonly (readonly [string, number])[] = Object.freeze([
  ["day", XT_LIMIT_SCALE * 86400], ["hour", XT_LIMIT_SCALE * 3600], ["min", XT_LIMIT_SCALE * 60], ["sec", XT_LIMIT_SCALE],
] as const);
const UNITS: readonly string[] = Object.freeze(["day", "hour", "minute", "second"]);
const DEFAULT_BURST = 5;

function rate(word: string): number {
  const [count, unit] = word.split("/", 2) as [string, string | undefined];
  const number = parseNumber(count);
  const at = unit === undefined ? 3 : unit === "" ? -1 : UNITS.findIndex((name) => name.startsWith(unit.toLowerCase()));
  if (number <= 0 || at < 0) problem(`bad rate "${word}"'`);
  const seconds = RATES[at]![1] / XT_LIMIT_SCALE;
  if (number / seconds > XT_LIMIT_SCALE) problem(`Rate too fast "${word}"`);
  return Math.floor(RATES[at]![1] / number);
}

function rateText(average: number): string {
  let at = 1;
  while (at < RATES.length && average <= RATES[at]![1] && Math.floor(RATES[at]![1] / average) >= RATES[at]![1] % average) at++;
  return `${Math.floor(RATES[at - 1]![1] / average)}/${RATES[at - 1]![0]}`;
}

const limit: MatchKind = Object.freeze<MatchKind>({
  name: "limit",
  type: XT_MATCH_LIMIT,
  empty: Object.freeze([RATES[1]![1] / 3, DEFAULT_BURST, 0, 0]),
  proto: 0,
  parse(data, option, inverted, value) {
    if (option !== "--limit" && option !== "--limit-burst") return false;
    if (inverted) problem(`limit: option "${option}" cannot be inverted.\n`);
    if (option === "--limit") data[0] = rate(value()) | 0;
    else data[1] = optionNumber("limit", option, value(), 10000);
    return true;
  },
  save: (data) => ` --limit ${rateText(data[0]! >>> 0)}${data[1] === DEFAULT_BURST ? "" : ` --limit-burst ${data[1]}`}`,
  print: (data) => ` limit: avg ${rateText(data[0]! >>> 0)} burst ${data[1]}`,
});

const COMMENT_MAX = 255;

const comment: MatchKind = Object.freeze<MatchKind>({
  name: "comment",
  type: XT_MATCH_COMMENT,
  empty: Object.freeze([]),
  proto: 0,
  parse(data, option, _inverted, value) {
    if (option !== "--comment") return false;
    const text = value();
    if (text.length > COMMENT_MAX) problem(`comment: Option --comment's argument is too long (max ${COMMENT_MAX} chars)`);
    data.push(...textWords(text, (text.length >> 2) + 1));
    return true;
  },
  save: (data) => ` --comment ${quoted(textOf(data, 0, data.length))}`,
  print: (data) => ` /* ${textOf(data, 0, data.length)} */`,
});

/** All kinds by name. */
export const MATCH_KINDS: readonly MatchKind[] = Object.freeze([
  tcp, udp, icmp, multiport, mac, mark, limit, state, conntrack, comment,
]);

/** The kind of a match of a rule. */
export function matchKind(type: number, data: readonly number[]): MatchKind {
  return MATCH_KINDS.find((kind) => kind.type === type && (type !== XT_MATCH_STATE || kind.empty[1] === (data[1]! & XT_CONNTRACK_AS_CONNTRACK)))!;
}
