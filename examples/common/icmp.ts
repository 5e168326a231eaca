/** ICMP echo requests as bytes, and which of them a message is about (RFC 792). */
import { ICMP_ECHO, ICMP_ECHOREPLY } from "linnet/raw";

export const ICMP_HEADER = 8;
const PROBE_BYTES = 32;
const IPPROTO_ICMP = 1;

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 255;
}

/** The ones'-complement checksum of an even number of bytes (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += word(bytes, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** An echo request with that identifier and number. */
export function echoRequest(identifier: number, number: number): Uint8Array {
  const bytes = new Uint8Array(PROBE_BYTES);
  bytes[0] = ICMP_ECHO;
  putWord(bytes, 4, identifier);
  putWord(bytes, 6, number);
  putWord(bytes, 2, checksum(bytes));
  return bytes;
}

function numberOf(type: number, bytes: Uint8Array, at: number, end: number, identifier: number): number {
  if (at + ICMP_HEADER > end || bytes[at] !== type || word(bytes, at + 4) !== identifier) return -1;
  return word(bytes, at + 6);
}

/** The number of the request that an echo reply answers; -1 when it was not ours. */
export function numberOfReply(bytes: Uint8Array, at: number, end: number, identifier: number): number {
  return numberOf(ICMP_ECHOREPLY, bytes, at, end, identifier);
}

/** The number of the request that an error quotes, whose IP header is at `at`; -1 when it was not ours. */
export function numberOfQuoted(bytes: Uint8Array, at: number, end: number, identifier: number): number {
  if (at + 20 > end || bytes[at + 9] !== IPPROTO_ICMP) return -1;
  return numberOf(ICMP_ECHO, bytes, at + (bytes[at]! & 15) * 4, end, identifier);
}
