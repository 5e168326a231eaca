/**
 * The options of iptables' targets: how each is read from a command line, saved as one, and listed. iptables' counterpart is
 * extensions/libipt_REJECT.c, libxt_LOG.c, libxt_MARK.c, libxt_TOS.c, libxt_CT.c. Allocates.
 */
import {
  IPT_LOG_IPOPT, IPT_LOG_TCPOPT, IPT_LOG_TCPSEQ, IPT_LOG_UID, IPT_REJECT_ADMIN_PROHIBITED, IPT_REJECT_HOST_PROHIBITED,
  IPT_REJECT_HOST_UNREACHABLE, IPT_REJECT_NET_PROHIBITED, IPT_REJECT_NET_UNREACHABLE, IPT_REJECT_PORT_UNREACHABLE,
  IPT_REJECT_PROT_UNREACHABLE, IPT_REJECT_TCP_RESET, XT_CT_HELPER_WORDS, XT_CT_NOTRACK, XT_CT_NOTRACK_ALIAS,
  XT_NAME_WORDS, XT_TARGET_CT, XT_TARGET_LOG, XT_TARGET_MARK, XT_TARGET_REJECT, XT_TARGET_TOS,
} from "../uapi/ip-tables.ts";
import { parseNumber } from "./command.ts";
import { optionNumber, problem, quoted } from "./iptables-errors.ts";
import { markText, parseMark } from "./iptables-matches.ts";
import { NAT_TARGETS } from "./iptables-nat.ts";
import { textOf, textWords } from "./iptables-set.ts";

/** A kind of target. `data` is its words. */
export interface TargetKind {
  readonly name: string;
  readonly type: number;
  /** Data words of one without options. */
  readonly empty: readonly number[];
  /** An option must be given: any of them, or this one. */
  readonly needsOption: boolean | string;
  /** Options that may be given once each, and by the beginning of their names. */
  readonly options?: readonly string[];
  /** Another name that this one was written by. */
  alias?(data: readonly number[]): string;
  /** Takes an option. @param proto protocol of the rule so far @returns false when it is not its own */
  parse(data: number[], option: string, value: () => string, proto: number): boolean;
  save(data: readonly number[]): string;
  print(data: readonly number[], numeric: boolean): string;
}

/** Name, alias, IPT_REJECT_*. */
const REJECTS: readonly (readonly [string, string, number])[] = Object.freeze([
  ["icmp-net-unreachable", "net-unreach", IPT_REJECT_NET_UNREACHABLE], ["icmp-host-unreachable", "host-unreach", IPT_REJECT_HOST_UNREACHABLE],
  ["icmp-proto-unreachable", "proto-unreach", IPT_REJECT_PROT_UNREACHABLE], ["icmp-port-unreachable", "port-unreach", IPT_REJECT_PORT_UNREACHABLE],
  ["icmp-net-prohibited", "net-prohib", IPT_REJECT_NET_PROHIBITED], ["icmp-host-prohibited", "host-prohib", IPT_REJECT_HOST_PROHIBITED],
  ["tcp-reset", "tcp-rst", IPT_REJECT_TCP_RESET], ["icmp-admin-prohibited", "admin-prohib", IPT_REJECT_ADMIN_PROHIBITED],
] as const);

const reject: TargetKind = Object.freeze<TargetKind>({
  name: "REJECT",
  type: XT_TARGET_REJECT,
  empty: Object.freeze([IPT_REJECT_PORT_UNREACHABLE]),
  needsOption: false,
  parse(data, option, value) {
    if (option !== "--reject-with") return false;
    const word = value();
    const kind = REJECTS.find(([name, alias]) => name.startsWith(word) || alias.startsWith(word));
    if (kind === undefined) problem(`unknown reject type "${word}"`);
    data[0] = kind[2];
    return true;
  },
  save: (data) => ` --reject-with ${REJECTS.find(([, , type]) => type === data[0])![0]}`,
  print: (data) => ` reject-with ${REJECTS.find(([, , type]) => type === data[0])![0]}`,
});

const LEVELS: readonly string[] = Object.freeze(["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"]);
const LOG_DEFAULT = 4;
const PREFIX_MAX = 29;
/** Option, IPT_LOG_*, as -L has it. */
const LOG_FLAGS: readonly (readonly [string, number, string])[] = Object.freeze([
  ["--log-tcp-sequence", IPT_LOG_TCPSEQ, "tcp-sequence"], ["--log-tcp-options", IPT_LOG_TCPOPT, "tcp-options"],
  ["--log-ip-options", IPT_LOG_IPOPT, "ip-options"], ["--log-uid", IPT_LOG_UID, "uid"],
] as const);

const log: TargetKind = Object.freeze<TargetKind>({
  name: "LOG",
  type: XT_TARGET_LOG,
  empty: Object.freeze([LOG_DEFAULT, ...textWords("", XT_NAME_WORDS)]),
  needsOption: false,
  parse(data, option, value) {
    const flag = LOG_FLAGS.find(([name]) => name === option);
    if (flag !== undefined) {
      data[0]! |= flag[1] << 8;
    } else if (option === "--log-level") {
      const word = value();
      const named = LEVELS.findIndex((name) => name === word.toLowerCase() || name.substring(0, word.length) === word.toLowerCase());
      const level = /^[0-9]/.test(word) ? parseNumber(word, 7) : named;
      if (level < 0) problem(`log level "${word}" unknown\n`);
      data[0] = (data[0]! & ~255) | level;
    } else if (option === "--log-prefix") {
      data.splice(1, XT_NAME_WORDS, ...textWords(value().substring(0, PREFIX_MAX), XT_NAME_WORDS));
    } else {
      return false;
    }
    return true;
  },
  save(data) {
    const prefix = textOf(data, 1, XT_NAME_WORDS);
    const level = data[0]! & 255;
    const flags = LOG_FLAGS.filter(([, bit]) => (data[0]! >> 8 & bit) !== 0).map(([option]) => ` ${option}`).join("");
    return `${prefix === "" ? "" : ` --log-prefix ${quoted(prefix)}`}${level === LOG_DEFAULT ? "" : ` --log-level ${level}`}${flags}`;
  },
  print(data, numeric) {
    const prefix = textOf(data, 1, XT_NAME_WORDS);
    const level = data[0]! & 255;
    const flags = numeric ? "" : LOG_FLAGS.filter(([, bit]) => (data[0]! >> 8 & bit) !== 0).map(([, , name]) => ` ${name}`).join("");
    const head = numeric ? ` LOG flags ${data[0]! >> 8} level ${level}` : ` LOG level ${level === LOG_DEFAULT ? "warn" : LEVELS[level]}${flags}`;
    return `${head}${prefix === "" ? "" : ` prefix "${prefix}"`}`;
  },
});

const mark: TargetKind = Object.freeze<TargetKind>({
  name: "MARK",
  type: XT_TARGET_MARK,
  empty: Object.freeze([0, 0]),
  needsOption: true,
  parse(data, option, value) {
    const one = (): number => optionNumber("MARK", option, value()) | 0;
    if (option === "--set-mark" || option === "--set-xmark") {
      const [set, mask] = parseMark("MARK", option, value());
      data.splice(0, 2, set, option === "--set-mark" ? mask | set : mask);
    } else if (option === "--and-mark") data.splice(0, 2, 0, ~one());
    else if (option === "--or-mark") data.fill(one());
    else if (option === "--xor-mark") data.splice(0, 2, one(), 0);
    else return false;
    return true;
  },
  save: (data) => ` --set-xmark ${hex(data[0]!)}/${hex(data[1]!)}`,
  print([value, mask]) {
    if (value === 0) return ` MARK and ${hex(~mask!)}`;
    if (value === mask) return ` MARK or ${hex(value!)}`;
    if (mask === 0) return ` MARK xor ${hex(value!)}`;
    return mask === -1 ? ` MARK set ${hex(value!)}` : ` MARK xset ${markText(value!, mask!)}`;
  },
});

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

const hex2 = (value: number): string => `0x${value.toString(16).padStart(2, "0")}`;

const TOS_NAMES: readonly (readonly [string, number])[] = Object.freeze([
  ["minimize-delay", 0x10], ["maximize-throughput", 0x08], ["maximize-reliability", 0x04], ["minimize-cost", 0x02], ["normal-service", 0],
] as const);

const tos: TargetKind = Object.freeze<TargetKind>({
  name: "TOS",
  type: XT_TARGET_TOS,
  empty: Object.freeze([0, 0]),
  needsOption: true,
  parse(data, option, value) {
    const one = (): number => optionNumber("TOS", option, value(), 255);
    if (option === "--set-tos") {
      const word = value();
      const named = TOS_NAMES.find(([name]) => name === word.toLowerCase());
      if (named !== undefined) data.splice(0, 2, named[1], 0x3f);
      else data.splice(0, 2, ...parseMark("TOS", option, word, 255));
    } else if (option === "--and-tos") data.splice(0, 2, 0, ~one() & 255);
    else if (option === "--or-tos") data.fill(one());
    else if (option === "--xor-tos") data.splice(0, 2, one(), 0);
    else return false;
    return true;
  },
  save: (data) => ` --set-tos ${hex2(data[0]!)}/${hex2(data[1]!)}`,
  print([value, mask], numeric) {
    const name = TOS_NAMES.find(([, known]) => known === value)?.[0];
    if (!numeric && mask === 0x3f && name !== undefined) return ` TOS set ${name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())}`;
    return ` TOS set ${hex2(value!)}/${hex2(mask!)}`;
  },
});

const CT_NAME_MAX = 15;

function parseCt(data: number[], option: string, value: () => string): boolean {
  if (option === "--notrack") data[0]! |= XT_CT_NOTRACK;
  else if (option === "--helper") data.splice(1, XT_CT_HELPER_WORDS, ...textWords(value().substring(0, CT_NAME_MAX), XT_CT_HELPER_WORDS));
  else return false;
  return true;
}

function ctOptions(data: readonly number[], dashes: string): string {
  if ((data[0]! & XT_CT_NOTRACK_ALIAS) !== 0) return "";
  const helper = textOf(data, 1, XT_CT_HELPER_WORDS);
  return `${(data[0]! & XT_CT_NOTRACK) !== 0 ? ` ${dashes}notrack` : ""}${helper === "" ? "" : ` ${dashes}helper ${helper}`}`;
}

const ct: TargetKind = Object.freeze<TargetKind>({
  name: "CT",
  type: XT_TARGET_CT,
  empty: Object.freeze([0, ...textWords("", XT_CT_HELPER_WORDS), 0]),
  needsOption: false,
  options: Object.freeze(["--notrack", "--helper"]),
  alias: (data) => ((data[0]! & XT_CT_NOTRACK_ALIAS) !== 0 ? "NOTRACK" : "CT"),
  parse: parseCt,
  save: (data) => ctOptions(data, "--"),
  print: (data) => ((data[0]! & XT_CT_NOTRACK_ALIAS) !== 0 ? " NOTRACK" : ` CT${ctOptions(data, "")}`),
});

const notrack: TargetKind = Object.freeze<TargetKind>({
  ...ct,
  name: "NOTRACK",
  empty: Object.freeze([XT_CT_NOTRACK | XT_CT_NOTRACK_ALIAS, ...ct.empty.slice(1)]),
  options: Object.freeze([]),
  parse: () => false,
});

/** All kinds; of those with the same number the one that lists them is first. */
export const TARGET_KINDS: readonly TargetKind[] = Object.freeze([reject, log, mark, tos, ct, notrack, ...NAT_TARGETS]);

export function targetKind(type: number): TargetKind {
  return TARGET_KINDS.find((kind) => kind.type === type)!;
}
