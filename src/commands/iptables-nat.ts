/**
 * The options of iptables' targets SNAT, DNAT, MASQUERADE and REDIRECT. iptables' counterpart is extensions/libxt_NAT.c. Allocates.
 */
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../uapi/in.ts";
import {
  NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PERSISTENT, NF_NAT_RANGE_PROTO_OFFSET, NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY, NF_NAT_RANGE_PROTO_SPECIFIED, XT_TARGET_DNAT, XT_TARGET_MASQUERADE, XT_TARGET_REDIRECT,
  XT_TARGET_SNAT,
} from "../uapi/ip-tables.ts";
import { formatAddr, parseAddr } from "./inet-text.ts";
import { problem } from "./iptables-errors.ts";
import type { TargetKind } from "./iptables-targets.ts";
import { portByName } from "./netdb.ts";

const PORT_MAX = 0xffff;
const IPPROTO_SCTP = 132;
const IPPROTO_DCCP = 33;
/** Protocols that a rule may name a port with. */
const WITH_PORTS: readonly number[] = Object.freeze([IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_ICMP]);
/** Option, NF_NAT_RANGE_*. */
const FLAGS: readonly (readonly [string, number])[] = Object.freeze([
  ["random", NF_NAT_RANGE_PROTO_RANDOM], ["random-fully", NF_NAT_RANGE_PROTO_RANDOM_FULLY], ["persistent", NF_NAT_RANGE_PERSISTENT],
] as const);

/** Ports of a range: the lowest, the highest, and the one that the lowest stands for; -1 for none. */
type Ports = readonly [from: number, to: number, base: number];

/** The number that a text begins with, up to 65535, and what comes behind it; -1 for none. */
function leadingPort(text: string): [number, string] {
  const match = /^(?:0x[0-9a-f]+|\d+)/i.exec(text);
  const value = match === null ? -1 : Number(match[0]);
  return value < 0 || value > PORT_MAX ? [-1, text] : [value, text.substring(match![0].length)];
}

/** "80", "80-90", "80-90/8000", or the name of a service. */
function parsePorts(text: string, proto: number): Ports {
  if (!WITH_PORTS.includes(proto)) problem("Need TCP, UDP, SCTP or DCCP with port specification");
  const service = portByName(text);
  if (service >= 0) return [service, service, -1];
  const [from, rest] = leadingPort(text);
  if (from < 0) problem(`Port \`${text}' not valid`);
  if (rest === "") return [from, from, -1];
  if (!rest.startsWith("-")) problem(`Garbage after port value: \`${rest}'`);
  const last = rest.substring(1);
  const [to, behind] = leadingPort(last);
  if (to < 0) problem(`Port \`${last}' not valid`);
  if (to < from) problem(`Port range \`${last}' funky`);
  if (behind === "") return [from, to, -1];
  if (!behind.startsWith("/")) problem(`Garbage after port range: \`${behind}'`);
  const [base, end] = leadingPort(behind.substring(1));
  if (base < 1 || end !== "") problem(`Port \`${behind.substring(1)}' not valid`);
  return [from, to, base];
}

function address(text: string): number {
  const addr = text.split(".").length === 4 ? parseAddr(text) : null;
  return addr ?? problem(`Bad IP address "${text}"`);
}

function unshifted(ports: Ports): Ports {
  if (ports[2] >= 0) problem("Shifted portmap ranges not supported with this kernel");
  return ports;
}

/** Writes ports into a target's data. @param at of the lowest one */
function setPorts(data: number[], at: number, [from, to, base]: Ports): void {
  data[0]! |= NF_NAT_RANGE_PROTO_SPECIFIED;
  data[at] = from;
  data[at + 1] = to;
  if (base < 0) return;
  data[0]! |= NF_NAT_RANGE_PROTO_OFFSET;
  data[at + 2] = base;
}

/** "1.2.3.4", "1.2.3.4-1.2.3.9:80-90", ":80". */
function parseTo(data: number[], text: string, proto: number, shift: boolean): void {
  const colon = text.indexOf(":");
  const hasPorts = colon >= 0 && text.indexOf(":", colon + 1) < 0;
  if (hasPorts) {
    const ports = parsePorts(text.substring(colon + 1), proto);
    setPorts(data, 3, shift ? ports : unshifted(ports));
  }
  const addresses = hasPorts ? text.substring(0, colon) : text;
  if (addresses === "") return;
  const dash = addresses.indexOf("-");
  data[0]! |= NF_NAT_RANGE_MAP_IPS;
  data[1] = address(dash < 0 ? addresses : addresses.substring(0, dash));
  data[2] = dash < 0 ? data[1] : address(addresses.substring(dash + 1));
}

function parseFlag(data: number[], option: string, options: readonly string[]): boolean {
  const flag = FLAGS.find(([name]) => `--${name}` === option);
  if (flag === undefined || !options.includes(option)) return false;
  data[0]! |= flag[1];
  return true;
}

function portsText(flags: number, from: number, to: number, base: number): string {
  if ((flags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0) return "";
  const range = to === from ? String(from) : `${from}-${to}`;
  return (flags & NF_NAT_RANGE_PROTO_OFFSET) === 0 ? range : `${range}/${base}`;
}

function toText([flags, low, high, from, to, base]: readonly number[]): string {
  const addresses = (flags! & NF_NAT_RANGE_MAP_IPS) === 0 ? ""
    : high === low ? formatAddr(low!) : `${formatAddr(low!)}-${formatAddr(high!)}`;
  const ports = portsText(flags!, from!, to!, base ?? 0);
  return ports === "" ? addresses : `${addresses}:${ports}`;
}

function flagsText(flags: number, dashes: string): string {
  return FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => ` ${dashes}${name}`).join("");
}

/** A target whose rule names what is translated to. */
function translation(name: string, type: number, option: string, empty: readonly number[], flags: readonly string[]): TargetKind {
  const options = Object.freeze([option, ...flags]);
  return Object.freeze<TargetKind>({
    name,
    type,
    empty,
    needsOption: option,
    options,
    parse(data, given, value, proto) {
      if (given !== option) return parseFlag(data, given, options);
      parseTo(data, value(), proto, type === XT_TARGET_DNAT);
      return true;
    },
    save: (data) => ` ${option} ${toText(data)}${flagsText(data[0]!, "--")}`,
    print: (data) => ` to:${toText(data)}${flagsText(data[0]!, "")}`,
  });
}

/** A target whose rule names ports only. @param label in front of them in a list */
function portsOnly(name: string, type: number, label: string, flags: readonly string[]): TargetKind {
  const options = Object.freeze(["--to-ports", ...flags]);
  return Object.freeze<TargetKind>({
    name,
    type,
    empty: Object.freeze([0, 0, 0]),
    needsOption: false,
    options,
    parse(data, given, value, proto) {
      if (given !== "--to-ports") return parseFlag(data, given, options);
      setPorts(data, 1, unshifted(parsePorts(value(), proto)));
      return true;
    },
    save([given, from, to]) {
      const ports = portsText(given!, from!, to!, 0);
      return `${ports === "" ? "" : ` --to-ports ${ports}`}${flagsText(given!, "--")}`;
    },
    print([given, from, to]) {
      const ports = portsText(given!, from!, to!, 0);
      return `${ports === "" ? "" : ` ${label} ${ports}`}${flagsText(given!, "")}`;
    },
  });
}

export const NAT_TARGETS: readonly TargetKind[] = Object.freeze([
  translation(
    "SNAT", XT_TARGET_SNAT, "--to-source", Object.freeze([0, 0, 0, 0, 0]), Object.freeze(["--random", "--random-fully", "--persistent"]),
  ),
  translation(
    "DNAT", XT_TARGET_DNAT, "--to-destination", Object.freeze([0, 0, 0, 0, 0, 0]), Object.freeze(["--random", "--persistent"]),
  ),
  portsOnly("MASQUERADE", XT_TARGET_MASQUERADE, "masq ports:", Object.freeze(["--random", "--random-fully"])),
  portsOnly("REDIRECT", XT_TARGET_REDIRECT, "redir ports", Object.freeze(["--random"])),
]);
