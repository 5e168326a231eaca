/**
 * DHCP messages in the scratch buffer: what client and server both read and write. Read first: RFC 2131 section 2, RFC 2132,
 * RFC 3396 (an option in several parts). Owns nothing.
 *
 * A message is only looked into after dhcpCheck(). Behind it the buffer has room for one option put together of its parts.
 */
import { scratch, scratchView } from "./service.ts";

export const BOOTP_SERVER_PORT = 67;
export const BOOTP_CLIENT_PORT = 68;
export const BOOTREQUEST = 1;
export const BOOTREPLY = 2;

/** Fields of the fixed part. */
export const DHCP_OP = 0;
export const DHCP_HTYPE = 1;
export const DHCP_HLEN = 2;
export const DHCP_XID = 4;
export const DHCP_SECS = 8;
export const DHCP_FLAGS = 10;
export const DHCP_CIADDR = 12;
export const DHCP_YIADDR = 16;
export const DHCP_GIADDR = 24;
export const DHCP_CHADDR = 28;
const DHCP_SNAME = 44;
const DHCP_FILE = 108;
const DHCP_COOKIE = 236;
const DHCP_OPTIONS = 240;
const CHADDR_BYTES = 16;
const MAGIC_COOKIE = 0x63825363;
export const DHCP_FLAG_BROADCAST = 0x8000;

/** Longest message taken: that of a packet of 576 bytes, which everyone must take, and more. Shortest one sent (RFC 1542 section 2.1). */
export const DHCP_MESSAGE_BYTES = 576;
const LEAST_MESSAGE_BYTES = 300;
/** Longest option in several parts, which is put together behind the message. */
export const DHCP_OPTION_BYTES = 255;
export const DHCP_BUFFER_BYTES = DHCP_MESSAGE_BYTES + DHCP_OPTION_BYTES;

export const DHCPDISCOVER = 1;
export const DHCPOFFER = 2;
export const DHCPREQUEST = 3;
export const DHCPDECLINE = 4;
export const DHCPACK = 5;
export const DHCPNAK = 6;
export const DHCPRELEASE = 7;
export const DHCPINFORM = 8;

export const OPTION_PAD = 0;
export const OPTION_NETMASK = 1;
export const OPTION_ROUTERS = 3;
export const OPTION_DNS = 6;
export const OPTION_HOSTNAME = 12;
export const OPTION_DOMAIN = 15;
export const OPTION_MTU = 26;
export const OPTION_BROADCAST = 28;
export const OPTION_STATIC_ROUTES = 33;
export const OPTION_NTP = 42;
export const OPTION_REQUESTED = 50;
export const OPTION_LEASE_TIME = 51;
export const OPTION_OVERLOAD = 52;
export const OPTION_TYPE = 53;
export const OPTION_SERVER_ID = 54;
export const OPTION_PARAMETERS = 55;
export const OPTION_MAX_SIZE = 57;
export const OPTION_T1 = 58;
export const OPTION_T2 = 59;
export const OPTION_CLIENT_ID = 61;
export const OPTION_CLASSLESS_ROUTES = 121;
export const OPTION_END = 255;
const QUESTION_MARK = 0x3f;
const OVERLOAD_FILE = 1;
const OVERLOAD_SNAME = 2;

/** A lease without end. */
export const DHCP_FOREVER = 0xffffffff;

/** The length of the message that is read, the place and length of the option found last. */
let messageLength = 0;
let optionAt = 0;

/** Do the options from `at` to `end` all fit into it, the END among them that must be the last (RFC 2131 section 4.1)? */
function areaFits(at: number, end: number): boolean {
  while (at < end) {
    const code = scratch[at++]!;
    if (code === OPTION_END) return true;
    if (code === OPTION_PAD) continue;
    if (at >= end) return false;
    at += 1 + scratch[at]!;
  }
  return false;
}

/**
 * Is what has come a DHCP message, with its options all in their places? After it the functions below read that message.
 * @param length bytes in the buffer, of at most DHCP_MESSAGE_BYTES @param op BOOTREQUEST or BOOTREPLY
 */
export function dhcpCheck(length: number, op: number): boolean {
  if (length < DHCP_OPTIONS || length > DHCP_MESSAGE_BYTES) return false;
  if (scratch[DHCP_OP] !== op || scratchView.getInt32(DHCP_COOKIE) !== MAGIC_COOKIE || scratch[DHCP_HLEN]! > CHADDR_BYTES) return false;
  messageLength = length;
  if (!areaFits(DHCP_OPTIONS, length)) return false;
  const overload = overloaded();
  return ((overload & OVERLOAD_FILE) === 0 || areaFits(DHCP_FILE, DHCP_COOKIE))
    && ((overload & OVERLOAD_SNAME) === 0 || areaFits(DHCP_SNAME, DHCP_FILE));
}

/** Which of the fields file and sname hold options too. */
function overloaded(): number {
  const at = findIn(OPTION_OVERLOAD, DHCP_OPTIONS, messageLength);
  return at >= 0 && scratch[at] === 1 ? scratch[at + 1]! & (OVERLOAD_FILE | OVERLOAD_SNAME) : 0;
}

/** Where the length of the option is, from `at` on; -1 when it is not there. */
function findIn(wanted: number, at: number, end: number): number {
  while (at < end) {
    const code = scratch[at++]!;
    if (code === OPTION_END) return -1;
    if (code === OPTION_PAD) continue;
    if (code === wanted) return at;
    at += 1 + scratch[at]!;
  }
  return -1;
}

/** Puts every part of the option in an area behind what is there already: the new length. What is too much is left out. */
function gather(wanted: number, from: number, end: number, length: number): number {
  for (let at = findIn(wanted, from, end); at >= 0; at = findIn(wanted, at + 1 + scratch[at]!, end)) {
    for (let i = 1; i <= scratch[at]! && length < DHCP_OPTION_BYTES; i++) scratch[DHCP_MESSAGE_BYTES + length++] = scratch[at + i]!;
  }
  return length;
}

/**
 * Finds an option; in several parts they are put together. dhcpOptionAt() says where it is then.
 * @returns its length, -1 when it is not there
 */
export function dhcpOption(code: number): number {
  const overload = overloaded();
  const first = findIn(code, DHCP_OPTIONS, messageLength);
  const again = first >= 0 && findIn(code, first + 1 + scratch[first]!, messageLength) >= 0;
  if (first >= 0 && !again && overload === 0) {
    optionAt = first + 1;
    return scratch[first]!;
  }
  let length = first < 0 ? -1 : gather(code, DHCP_OPTIONS, messageLength, 0);
  if ((overload & OVERLOAD_FILE) !== 0 && findIn(code, DHCP_FILE, DHCP_COOKIE) >= 0) {
    length = gather(code, DHCP_FILE, DHCP_COOKIE, length < 0 ? 0 : length);
  }
  if ((overload & OVERLOAD_SNAME) !== 0 && findIn(code, DHCP_SNAME, DHCP_FILE) >= 0) {
    length = gather(code, DHCP_SNAME, DHCP_FILE, length < 0 ? 0 : length);
  }
  optionAt = DHCP_MESSAGE_BYTES;
  return length;
}

export function dhcpOptionAt(): number {
  return optionAt;
}

/** DHCPDISCOVER, …; 0 when the message says none. */
export function dhcpType(): number {
  return dhcpOption(OPTION_TYPE) === 1 ? scratch[optionAt]! : 0;
}

/** An option that is an address, the first of several; `otherwise` when it is not there. */
export function dhcpOptionAddr(code: number, otherwise: number): number {
  return dhcpOption(code) >= 4 ? scratchView.getInt32(optionAt) : otherwise;
}

/** An option that is a number of 32 bits, unsigned. */
export function dhcpOptionU32(code: number, otherwise: number): number {
  return dhcpOption(code) === 4 ? scratchView.getUint32(optionAt) : otherwise;
}

export function dhcpOptionU16(code: number, otherwise: number): number {
  return dhcpOption(code) === 2 ? scratchView.getUint16(optionAt) : otherwise;
}

/** The addresses of an option: how many were put into `out`. */
export function dhcpOptionAddrs(code: number, out: Int32Array): number {
  const count = dhcpOption(code) >> 2;
  let i = 0;
  for (; i < count && i < out.length; i++) out[i] = scratchView.getInt32(optionAt + (i << 2));
  return i;
}

/**
 * Copies a text, up to a zero byte, to `out` at `to`; what is not visible ASCII becomes a question mark.
 * @returns its length; 0 when the option is not there, or the text is longer than `room`
 */
export function dhcpOptionText(code: number, out: Uint8Array, to: number, room: number): number {
  const most = dhcpOption(code);
  let length = 0;
  for (; length < most; length++) {
    const byte = scratch[optionAt + length]!;
    if (byte === 0) break;
    if (length === room) return 0;
    out[to + length] = byte > 0x20 && byte < 0x7f ? byte : QUESTION_MARK;
  }
  return length;
}

/**
 * Begins a message: the fixed part with zeros where nothing else is said, and its type.
 * @returns where the next option goes
 */
export function dhcpBegin(op: number, type: number, xid: number, hwHi: number, hwLo: number): number {
  scratch.fill(0, 0, DHCP_OPTIONS);
  scratch[DHCP_OP] = op;
  scratch[DHCP_HTYPE] = 1;
  scratch[DHCP_HLEN] = 6;
  scratchView.setInt32(DHCP_XID, xid);
  scratchView.setUint16(DHCP_CHADDR, hwHi);
  scratchView.setInt32(DHCP_CHADDR + 2, hwLo);
  scratchView.setInt32(DHCP_COOKIE, MAGIC_COOKIE);
  return dhcpPutU8(DHCP_OPTIONS, OPTION_TYPE, type);
}

export function dhcpPutU8(at: number, code: number, value: number): number {
  scratch[at] = code;
  scratch[at + 1] = 1;
  scratch[at + 2] = value;
  return at + 3;
}

export function dhcpPutU16(at: number, code: number, value: number): number {
  scratch[at] = code;
  scratch[at + 1] = 2;
  scratchView.setUint16(at + 2, value);
  return at + 4;
}

/** A number of 32 bits, or an address. */
export function dhcpPutU32(at: number, code: number, value: number): number {
  scratch[at] = code;
  scratch[at + 1] = 4;
  scratchView.setInt32(at + 2, value | 0);
  return at + 6;
}

export function dhcpPutBytes(at: number, code: number, bytes: ArrayLike<number>): number {
  scratch[at] = code;
  scratch[at + 1] = bytes.length;
  for (let i = 0; i < bytes.length; i++) scratch[at + 2 + i] = bytes[i]!;
  return at + 2 + bytes.length;
}

export function dhcpPutAddrs(at: number, code: number, addrs: ArrayLike<number>, count: number): number {
  scratch[at] = code;
  scratch[at + 1] = count << 2;
  for (let i = 0; i < count; i++) scratchView.setInt32(at + 2 + (i << 2), addrs[i]!);
  return at + 2 + (count << 2);
}

/** A text of a program as bytes; a character beyond Latin-1 becomes another. Allocates. */
export function createTextBytes(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
}

/** Ends a message: its length. */
export function dhcpEnd(at: number): number {
  scratch[at++] = OPTION_END;
  while (at < LEAST_MESSAGE_BYTES) scratch[at++] = OPTION_PAD;
  return at;
}
