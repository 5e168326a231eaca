/**
 * Addresses as people write them: dotted numbers, prefixes, link addresses. iproute2's counterpart is get_addr_1() and
 * get_prefix_1() of lib/utils.c, ll_addr_a2n() of lib/ll_addr.c.
 */
import { CommandEnd } from "./command.ts";

export interface Prefix {
  readonly addr: number;
  readonly length: number;
  /** A length was written behind a slash. */
  readonly given: boolean;
  /** An address, not "any", "all" or "default". */
  readonly inet: boolean;
}

/** "10.0.0.1" for an int32. */
export function formatAddr(addr: number): string {
  return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`;
}

/** The address in a text of one to four numbers, "10.1" being 10.1.0.0; null when it is none. */
export function parseAddr(text: string): number | null {
  const parts = text.split(".");
  if (parts.length > 4) return null;
  let addr = 0;
  for (let i = 0; i < 4; i++) {
    const part = parts[i];
    if (part === undefined) continue;
    if (!/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(part)) return null;
    const value = /^0[0-7]+$/.test(part) ? parseInt(part, 8) : Number(part);
    if (value > 255) return null;
    addr |= value << (24 - i * 8);
  }
  return addr | 0;
}

const ANY: readonly string[] = Object.freeze(["default", "all", "any"]);

/** The prefix in a text, or null: an address, a slash, and a length or a mask. */
export function parsePrefix(text: string): Prefix | null {
  if (ANY.includes(text)) return { addr: 0, length: 0, given: false, inet: false };
  const slash = text.indexOf("/");
  const addr = parseAddr(slash < 0 ? text : text.substring(0, slash));
  if (addr === null) return null;
  if (slash < 0) return { addr, length: 32, given: false, inet: true };
  const length = parseMask(text.substring(slash + 1));
  return length === null ? null : { addr, length, given: true, inet: true };
}

/** A prefix length, also written as a mask; null when it is neither. */
export function parseMask(text: string): number | null {
  if (/^[0-9]+$/.test(text)) return Number(text) <= 32 ? Number(text) : null;
  const mask = parseAddr(text);
  if (mask === null || text.split(".").length !== 4) return null;
  const length = Math.clz32(~mask);
  return mask === (length === 0 ? 0 : -1 << (32 - length)) ? length : null;
}

/** The prefix at hand, or the complaint. @param family the family it is known to be of, "inet" or "any valid" */
export function prefixArg(text: string, family = "any valid"): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) throw new CommandEnd(1, `Error: ${family} prefix is expected rather than "${text}".\n`);
  return prefix;
}

/** The address at hand, or the complaint. */
export function addrArg(text: string, family = "inet"): number {
  const addr = ANY.includes(text) ? 0 : text.includes("/") ? null : parseAddr(text);
  if (addr === null) throw new CommandEnd(1, `Error: ${family} address is expected rather than "${text}".\n`);
  return addr;
}

/** "02:00:00:00:00:01" for bytes. */
export function formatLladdr(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (text === "" ? "" : ":") + (byte < 16 ? "0" : "") + byte.toString(16);
  return text;
}

/** The bytes of a link address as iproute2 reads them, how many there may be. iproute2: ll_addr_a2n(). */
export function lladdrArg(text: string): Uint8Array {
  return Uint8Array.from(text.split(":"), (part) => {
    const value = parseInt(/^[0-9a-f]+/i.exec(part)?.[0] ?? "", 16);
    if (!(value <= 255)) throw new CommandEnd(255, `"${part}" is invalid lladdr.\n`);
    return value;
  });
}

/** The six bytes of a link address; null when it is none. */
export function parseLladdr(text: string): Uint8Array | null {
  const parts = text.split(":");
  const bytes = new Uint8Array(6);
  if (parts.length !== 6) return null;
  for (let i = 0; i < 6; i++) {
    if (!/^[0-9a-fA-F]{1,2}$/.test(parts[i]!)) return null;
    bytes[i] = parseInt(parts[i]!, 16);
  }
  return bytes;
}
