/**
 * Names of numbers in routes, as iproute2's tables in /etc/iproute2 have them: tables, origins, scopes, types. iproute2's
 * counterpart is lib/rt_names.c.
 */
import { RTN_BROADCAST } from "../uapi/rtnetlink.ts";
import { parseNumber } from "./command.ts";
import { protoByName } from "./netdb.ts";

const TABLES: readonly (readonly [number, string])[] = Object.freeze([
  [255, "local"], [254, "main"], [253, "default"], [0, "unspec"],
] as const);

const PROTOCOLS: readonly (readonly [number, string])[] = Object.freeze([
  [0, "unspec"], [1, "redirect"], [2, "kernel"], [3, "boot"], [4, "static"], [8, "gated"], [9, "ra"], [10, "mrt"],
  [11, "zebra"], [12, "bird"], [13, "dnrouted"], [14, "xorp"], [15, "ntk"], [16, "dhcp"], [18, "keepalived"],
  [42, "babel"], [99, "openr"], [186, "bgp"], [187, "isis"], [188, "ospf"], [189, "rip"], [192, "eigrp"],
] as const);

const SCOPES: readonly (readonly [number, string])[] = Object.freeze([
  [0, "global"], [255, "nowhere"], [254, "host"], [253, "link"], [200, "site"],
] as const);

const TYPES: readonly (readonly [number, string])[] = Object.freeze([
  [0, "none"], [1, "unicast"], [2, "local"], [3, "broadcast"], [4, "anycast"], [5, "multicast"], [6, "blackhole"],
  [7, "unreachable"], [8, "prohibit"], [9, "throw"], [10, "nat"], [11, "xresolve"],
] as const);

const GROUPS: readonly (readonly [number, string])[] = Object.freeze([[0, "default"]] as const);

function nameOf(table: readonly (readonly [number, string])[], value: number, numeric: boolean): string {
  if (!numeric) for (const [number, name] of table) if (number === value) return name;
  return String(value);
}

/** The number of a name or of a number's text up to `max`; -1 for neither. */
function numberOf(table: readonly (readonly [number, string])[], text: string, max: number): number {
  for (const [number, name] of table) if (name === text) return number;
  return parseNumber(text, max);
}

export function tableName(value: number, numeric = false): string {
  return nameOf(TABLES, value, numeric);
}

export function tableNumber(text: string): number {
  return numberOf(TABLES, text, 0xffffffff);
}

export function protocolName(value: number, numeric = false): string {
  return nameOf(PROTOCOLS, value, numeric);
}

export function protocolNumber(text: string): number {
  return numberOf(PROTOCOLS, text, 255);
}

export function scopeName(value: number, numeric = false): string {
  return nameOf(SCOPES, value, numeric);
}

export function scopeNumber(text: string): number {
  return numberOf(SCOPES, text, 255);
}

export function routeTypeName(value: number, numeric = false): string {
  return nameOf(TYPES, value, numeric);
}

/** Types by the order in which a beginning of the name finds them; others have to be written out. */
const ABBREVIATED: readonly string[] = Object.freeze([
  "broadcast", "anycast", "multicast", "prohibit", "unreachable", "blackhole", "xresolve", "unicast",
]);

/** The number of a route type's name, which may be cut short and cannot be "none"; -1 for none such. iproute2: rtnl_rtntype_a2n() */
export function routeTypeNumber(text: string): number {
  if (text === "brd") return RTN_BROADCAST;
  for (const name of ABBREVIATED) if (text !== "" && name.startsWith(text)) return numberOf(TYPES, name, 255);
  return text === "none" ? -1 : numberOf(TYPES, text, 255);
}

/** The number of a group of devices; -1 for none such. */
export function groupNumber(text: string): number {
  return numberOf(GROUPS, text, 0xffffffff);
}

export function groupName(value: number, numeric = false): string {
  return nameOf(GROUPS, value, numeric);
}

/** The number of a protocol over IP; -1 for none such. */
export function ipProtocolNumber(text: string): number {
  const known = protoByName(text);
  return known > 0 ? known : parseNumber(text, 255);
}

/** A TOS byte as iproute2 prints it. */
export function dsfieldName(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

/** A TOS byte, which is read as hexadecimal; -1 for no such. */
export function dsfieldNumber(text: string): number {
  const digits = text.replace(/^0[xX]/, "");
  const value = /^[0-9a-fA-F]+$/.test(digits) ? parseInt(digits, 16) : -1;
  return value > 255 ? -1 : value;
}
