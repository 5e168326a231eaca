/**
 * DNS messages in the simplest way there is, as what the stack reads and writes is compared with: names are strings, records are
 * objects, and a message is taken apart whole before anything is asked of it. Written from RFC 1035 alone.
 */
import fc from "fast-check";
import { TYPES } from "./dns.ts";

/** A name without compression: each label behind its length, a zero at the end; a byte is a character. */
export type NaiveName = string;

export interface NaiveRecord {
  /** null where it is malformed. */
  readonly name: NaiveName | null;
  readonly type: number;
  readonly cls: number;
  readonly ttl: number;
  /** Where its data is in the message. */
  readonly from: number;
  readonly to: number;
}

export interface NaiveMessage {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly { readonly name: NaiveName | null; readonly type: number; readonly cls: number }[];
  /** Answers, authorities, additional records: as many as are whole. */
  readonly sections: readonly [NaiveRecord[], NaiveRecord[], NaiveRecord[]];
  /** How many records of each section the header says. */
  readonly counts: readonly [number, number, number];
}

const u16 = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;
const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** The name of a text like "www.example.org". */
export const nameOf = (text: string): NaiveName =>
  text === "" ? "\0" : `${text.split(".").map((label) => String.fromCharCode(label.length) + label).join("")}\0`;
/** Its text, whatever its bytes are. */
export function textOf(name: NaiveName): string {
  const labels: string[] = [];
  for (let at = 0; name.charCodeAt(at) !== 0; at += 1 + name.charCodeAt(at)) labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)));
  return labels.join(".");
}

/** Are they the same name? Letters of either case are the same. */
export const sameName = (a: NaiveName | null, b: NaiveName | null): boolean => a !== null && b !== null && lower(a) === lower(b);

/** A name, compressed or not: a pointer leads to before the part of the name that it ends. Null when it is malformed. */
export function readName(bytes: Uint8Array, from: number): { readonly name: NaiveName; readonly end: number } | null {
  let name = "";
  let end = -1;
  let part = from;
  for (let at = from; ;) {
    const length = bytes[at];
    if (length === undefined) return null;
    if (length >= 0xc0) {
      if (bytes[at + 1] === undefined) return null;
      if (end < 0) end = at + 2;
      const to = u16(bytes, at) & 0x3fff;
      if (to >= part) return null;
      at = part = to;
      continue;
    }
    if (length > 63 || at + 1 + length > bytes.length) return null;
    name += String.fromCharCode(...bytes.subarray(at, at + 1 + length));
    at += 1 + length;
    if (name.length > 255) return null;
    if (length === 0) return { name, end: end < 0 ? at : end };
  }
}

/** Where a name ends, wherever its pointer leads; null when it is not all there. */
function endOfName(bytes: Uint8Array, from: number): number | null {
  for (let at = from; at < bytes.length;) {
    const length = bytes[at]!;
    if (length >= 0xc0) return at + 2 <= bytes.length ? at + 2 : null;
    if (length > 63) return null;
    at += 1 + length;
    if (length === 0) return at;
  }
  return null;
}

/** Takes a message apart; null where its questions are not all there. */
export function readMessage(bytes: Uint8Array): NaiveMessage | null {
  if (bytes.length < 12) return null;
  let at = 12;
  const questions = [];
  for (let i = u16(bytes, 4); i > 0; i--) {
    const end = endOfName(bytes, at);
    if (end === null || end + 4 > bytes.length) return null;
    questions.push({ name: readName(bytes, at)?.name ?? null, type: u16(bytes, end), cls: u16(bytes, end + 2) });
    at = end + 4;
  }
  const counts = [u16(bytes, 6), u16(bytes, 8), u16(bytes, 10)] as const;
  const sections: [NaiveRecord[], NaiveRecord[], NaiveRecord[]] = [[], [], []];
  let whole = true;
  counts.forEach((count, section) => {
    for (let i = 0; i < count && whole; i++) {
      const end = endOfName(bytes, at);
      const to = end === null || end + 10 > bytes.length ? Infinity : end + 10 + u16(bytes, end + 8);
      whole = to <= bytes.length;
      if (!whole || end === null) return;
      const ttl = u16(bytes, end + 4) * 0x10000 + u16(bytes, end + 6);
      sections[section]!.push({ name: readName(bytes, at)?.name ?? null, type: u16(bytes, end), cls: u16(bytes, end + 2), ttl, from: end + 10, to });
      at = to;
    }
  });
  return { id: u16(bytes, 0), flags: u16(bytes, 2), questions, sections, counts };
}

/** The name that is a record's data, from so many bytes on, which has to fill it; null for none. */
export function nameData(bytes: Uint8Array, record: NaiveRecord, skip = 0): NaiveName | null {
  const read = readName(bytes, record.from + skip);
  return read !== null && read.end === record.to ? read.name : null;
}

/** A record to be written. Data: bytes as they are, or a name behind some bytes, which may be compressed. */
export interface NaiveEntry {
  readonly name: string;
  readonly type: number;
  readonly cls: number;
  readonly ttl: number;
  readonly bytes: readonly number[];
  readonly target: string | null;
}

export interface NaiveDraft {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly { readonly name: string; readonly type: number; readonly cls: number }[];
  readonly sections: readonly (readonly NaiveEntry[])[];
}

/** Writes a message; names are compressed against all that stand before them, as far as the dice says. */
export function writeMessage(draft: NaiveDraft, compress: (text: string) => boolean): Uint8Array {
  const out: number[] = [];
  const known = new Map<string, number>();
  const put16 = (...values: readonly number[]): void => values.forEach((value) => out.push((value >> 8) & 255, value & 255));
  const putName = (text: string): void => {
    for (let rest = text; rest !== "";) {
      const at = known.get(rest);
      if (at !== undefined && compress(rest)) {
        put16(0xc000 | at);
        return;
      }
      if (out.length < 0x4000) known.set(rest, out.length);
      const [label = ""] = rest.split(".", 1);
      out.push(label.length, ...Buffer.from(label, "latin1"));
      rest = rest.slice(label.length + 1);
    }
    out.push(0);
  };
  put16(draft.id, draft.flags, draft.questions.length, ...draft.sections.map(({ length }) => length));
  for (const { name, type, cls } of draft.questions) {
    putName(name);
    put16(type, cls);
  }
  for (const { name, type, cls, ttl, bytes, target } of draft.sections.flat()) {
    putName(name);
    put16(type, cls, Math.floor(ttl / 0x10000), ttl & 0xffff, 0);
    const from = out.length;
    out.push(...bytes);
    if (target !== null) putName(target);
    const length = out.length - from;
    out[from - 2] = length >> 8;
    out[from - 1] = length & 255;
  }
  return Uint8Array.from(out);
}

/** The data of an SOA behind its two names: minimum last. */
export const soaNumbers = (minimum: number): number[] => [...new Array<number>(16).fill(7), ...[24, 16, 8, 0].map((shift) => (minimum >>> shift) & 255)];

/** TTLs, those with their first bit set among them. */
export const ttls = fc.oneof(fc.nat(10), fc.nat(100_000), fc.integer({ min: 0, max: 0xffffffff }));

export { TYPES };
