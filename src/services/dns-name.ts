/**
 * Domain names: text to the form they have in messages (labels, each behind its length, a zero at the end) and back, and the
 * reading of compressed ones. Read first: RFC 1035 sections 3.1 and 4.1.4, RFC 4343 (case), RFC 9267 (how parsers fail). Owns
 * nothing.
 *
 * A name is at most 255 bytes; a pointer may lead only to before where the name it is in has begun, so every name ends.
 */

/** Longest name in a message, lengths and final zero included. */
export const DNS_NAME_BYTES = 255;
const LABEL_BYTES = 63;
/** The two bits that make a length a pointer. */
const POINTER = 0xc0;
const DOT = 0x2e;
const CHAR_A = 0x41;
const CHAR_Z = 0x5a;
const TO_LOWER = 0x20;
/** "local". */
const LOCAL: readonly number[] = Object.freeze([0x6c, 0x6f, 0x63, 0x61, 0x6c]);

function lower(byte: number): number {
  return byte >= CHAR_A && byte <= CHAR_Z ? byte + TO_LOWER : byte;
}

/**
 * Writes a text as a name, in lower case, at `at`; a final dot makes no difference.
 * @returns its bytes, or -1 for no name: an empty or long label, too many bytes, or other than visible ASCII
 */
export function dnsNameFromText(text: string, bytes: Uint8Array, at: number): number {
  let length = text.length;
  if (length > 0 && text.charCodeAt(length - 1) === DOT) length--;
  if (length === 0 || length + 2 > DNS_NAME_BYTES) return -1;
  let count = at;
  let to = at + 1;
  for (let i = 0; i <= length; i++) {
    const char = i < length ? text.charCodeAt(i) : DOT;
    if (char !== DOT) {
      if (char <= 0x20 || char >= 0x7f) return -1;
      bytes[to++] = lower(char);
      continue;
    }
    const label = to - count - 1;
    if (label === 0 || label > LABEL_BYTES) return -1;
    bytes[count] = label;
    count = to++;
  }
  bytes[count] = 0;
  return to - at;
}

/** The text of a name that stands uncompressed at `at`. Makes a string. */
export function dnsNameText(bytes: Uint8Array, at: number): string {
  let text = "";
  for (let left = bytes[at++]!; left !== 0; left = bytes[at++]!) {
    if (text !== "") text += ".";
    for (; left > 0; left--) text += String.fromCharCode(bytes[at++]!);
  }
  return text;
}

/**
 * Reads a name of a message, compressed or not, and writes it at `to`, where 255 bytes are free.
 * @param keepCase as it is, and not in lower case
 * @returns the offset behind it in the message; -1 when it is malformed
 */
export function dnsNameRead(message: Uint8Array, length: number, at: number, out: Uint8Array, to: number, keepCase = false): number {
  let end = -1;
  let begun = at;
  let written = 0;
  for (;;) {
    if (at >= length) return -1;
    const count = message[at]!;
    if (count >= POINTER) {
      if (at + 1 >= length) return -1;
      if (end < 0) end = at + 2;
      at = ((count & ~POINTER) << 8) | message[at + 1]!;
      if (at >= begun) return -1;
      begun = at;
      continue;
    }
    if (count > LABEL_BYTES || at + 1 + count > length || written + 1 + count + (count === 0 ? 0 : 1) > DNS_NAME_BYTES) return -1;
    out[to + written++] = count;
    at++;
    if (count === 0) return end < 0 ? at : end;
    for (let i = 0; i < count; i++, at++) out[to + written++] = keepCase ? message[at]! : lower(message[at]!);
  }
}

/** Is the name in the message, compressed or not, the one that stands at `nameAt`, whatever their case? False for a malformed one. */
export function dnsNameIs(message: Uint8Array, length: number, at: number, name: Uint8Array, nameAt: number): boolean {
  let begun = at;
  for (;;) {
    if (at >= length) return false;
    const count = message[at]!;
    if (count >= POINTER) {
      if (at + 1 >= length) return false;
      at = ((count & ~POINTER) << 8) | message[at + 1]!;
      if (at >= begun) return false;
      begun = at;
      continue;
    }
    if (count !== name[nameAt] || at + 1 + count > length) return false;
    if (count === 0) return true;
    at++;
    nameAt++;
    for (let i = 0; i < count; i++) if (lower(message[at++]!) !== lower(name[nameAt++]!)) return false;
  }
}

/** The offset behind a name, -1 when it runs over the end of the message. What a pointer leads to is not looked at. */
export function dnsNameSkip(message: Uint8Array, length: number, at: number): number {
  for (;;) {
    if (at >= length) return -1;
    const count = message[at]!;
    if (count >= POINTER) return at + 2 <= length ? at + 2 : -1;
    if (count > LABEL_BYTES) return -1;
    at += 1 + count;
    if (count === 0) return at;
  }
}

/** Bytes of a name that stands uncompressed at `at`. */
export function dnsNameLength(bytes: Uint8Array, at: number): number {
  let end = at;
  while (bytes[end] !== 0) end += 1 + bytes[end]!;
  return end + 1 - at;
}

/** "local" as the last label of several: a name that is asked of everybody on the link (RFC 6762 section 3). */
export function dnsNameIsLocal(bytes: Uint8Array): boolean {
  let label = 0;
  for (let next = 0; bytes[next] !== 0; next += 1 + bytes[next]!) label = next;
  if (label === 0 || bytes[label] !== LOCAL.length) return false;
  for (let i = 0; i < LOCAL.length; i++) if (lower(bytes[label + 1 + i]!) !== LOCAL[i]) return false;
  return true;
}

/** Appends a second name (a search domain) to a first one that ends with its zero: bytes of both, or -1 when that is too long. */
export function dnsNameAppend(bytes: Uint8Array, at: number, more: Uint8Array): number {
  const length = dnsNameLength(bytes, at) - 1;
  const second = dnsNameLength(more, 0);
  if (length + second > DNS_NAME_BYTES) return -1;
  for (let i = 0; i < second; i++) bytes[at + length + i] = more[i]!;
  return length + second;
}
