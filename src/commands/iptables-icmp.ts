/** The names iptables has for ICMP types and codes. Its counterpart is extensions/libxt_icmp.h. */
import { parseNumber } from "./command.ts";

/** Name, type, lowest and highest code. */
export const ICMP_NAMES: readonly (readonly [string, number, number, number])[] = Object.freeze([
  ["any", 255, 0, 255], ["echo-reply", 0, 0, 255], ["pong", 0, 0, 255], ["destination-unreachable", 3, 0, 255],
  ["network-unreachable", 3, 0, 0], ["host-unreachable", 3, 1, 1], ["protocol-unreachable", 3, 2, 2], ["port-unreachable", 3, 3, 3],
  ["fragmentation-needed", 3, 4, 4], ["source-route-failed", 3, 5, 5], ["network-unknown", 3, 6, 6], ["host-unknown", 3, 7, 7],
  ["network-prohibited", 3, 9, 9], ["host-prohibited", 3, 10, 10], ["TOS-network-unreachable", 3, 11, 11],
  ["TOS-host-unreachable", 3, 12, 12], ["communication-prohibited", 3, 13, 13], ["host-precedence-violation", 3, 14, 14],
  ["precedence-cutoff", 3, 15, 15], ["source-quench", 4, 0, 255], ["redirect", 5, 0, 255], ["network-redirect", 5, 0, 0],
  ["host-redirect", 5, 1, 1], ["TOS-network-redirect", 5, 2, 2], ["TOS-host-redirect", 5, 3, 3], ["echo-request", 8, 0, 255],
  ["ping", 8, 0, 255], ["router-advertisement", 9, 0, 255], ["router-solicitation", 10, 0, 255], ["time-exceeded", 11, 0, 255],
  ["ttl-exceeded", 11, 0, 255], ["ttl-zero-during-transit", 11, 0, 0], ["ttl-zero-during-reassembly", 11, 1, 1],
  ["parameter-problem", 12, 0, 255], ["ip-header-bad", 12, 0, 0], ["required-option-missing", 12, 1, 1],
  ["timestamp-request", 13, 0, 255], ["timestamp-reply", 14, 0, 255], ["address-mask-request", 17, 0, 255],
  ["address-mask-reply", 18, 0, 255],
] as const);

/** A type by the beginning of its name or as TYPE[/CODE]: type | lowest code << 8 | highest code << 16; -1 for none or too many. */
export function icmpType(word: string): number {
  const named = ICMP_NAMES.filter(([name]) => name.toLowerCase().startsWith(word.toLowerCase()));
  const exact = named.find(([name]) => name.toLowerCase() === word.toLowerCase());
  if (word !== "" && (exact !== undefined || named.length === 1)) {
    const [, type, low, high] = exact ?? named[0]!;
    return type | (low << 8) | (high << 16);
  }
  const [type, code] = word.split("/", 2) as [string, string | undefined];
  const number = parseNumber(type, 255);
  const only = code === undefined ? 0 : parseNumber(code, 255);
  if (number < 0 || only < 0) return -1;
  return number | (only << 8) | ((code === undefined ? 255 : only) << 16);
}
