/**
 * Messages and attributes in packets: reading what a program sent without ever looking behind its end, and writing answers.
 * Linux: lib/nlattr.c, include/net/netlink.h. Owns the table of the attributes parsed last.
 *
 * Numbers are in the host's byte order (little-endian), addresses in network order. A message and each attribute begin at a
 * multiple of 4 bytes. Attribute positions are arena offsets of the attribute's header; 0 stands for "not there".
 */
import { mem8, memView } from "../../lib/memory.ts";
import { int32Table } from "../../lib/table.ts";
import { EINVAL, EMSGSIZE, ERANGE } from "../../uapi/errno.ts";
import { NLA_HDRLEN, NLA_TYPE_MASK, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import { nlErrMsgAttr } from "../core/extack.ts";
import { skbBufferBytes, type SkBuff, skbPut } from "../core/skbuff.ts";

/** nlmsghdr: offsets of its fields. */
export const NLH_LEN = 0;
export const NLH_TYPE = 4;
export const NLH_FLAGS = 6;
export const NLH_SEQ = 8;
export const NLH_PID = 12;

/** One more than the highest attribute type that nlaParse() keeps. */
const NLA_TABLE_SIZE = 64;
/** The fewest bytes of payload that an attribute of that type may have. Linux: struct nla_policy. */
export type NlaPolicy = (type: number) => number;

/** Attributes found by nlaParse(), by type. */
let attrs: Int32Array;

/** Boot time. */
export function nlattrInit(): void {
  attrs = int32Table("netlink", NLA_TABLE_SIZE);
}

/** Rounds up to a multiple of 4. Linux: NLMSG_ALIGN(), NLA_ALIGN(). */
export function nlAlign(length: number): number {
  return (length + 3) & ~3;
}

/** Is there a whole attribute between `at` and `end`? Linux: nla_ok(). */
export function nlaOk(at: number, end: number): boolean {
  if (end - at < NLA_HDRLEN) return false;
  const length = memView.getUint16(at, true);
  return length >= NLA_HDRLEN && length <= end - at;
}

/** Behind an attribute that is whole. Linux: nla_next(). */
export function nlaNext(at: number): number {
  return at + nlAlign(memView.getUint16(at, true));
}

/** Linux: nla_type(). */
export function nlaType(at: number): number {
  return memView.getUint16(at + 2, true) & NLA_TYPE_MASK;
}

/** Bytes of an attribute's payload. Linux: nla_len(). */
export function nlaLen(at: number): number {
  return memView.getUint16(at, true) - NLA_HDRLEN;
}

/**
 * Finds the attributes between `at` and `end`, which lie in one packet; nlaGet() answers them afterwards. Of several of one
 * type the last counts; types above `max` and what is left behind the last whole attribute are ignored, as Linux does for
 * the messages that are older than its strict rules.
 * @param policy shortest payload by type, up to `max`
 * @returns 0, or -ERANGE for an attribute that is too short. Linux: nla_parse_deprecated()
 */
export function nlaParse(at: number, end: number, max: number, policy: NlaPolicy): number {
  const table = attrs;
  for (let type = 0; type < NLA_TABLE_SIZE; type++) table[type] = 0;
  while (nlaOk(at, end)) {
    const type = nlaType(at);
    if (type !== 0 && type <= max && type < NLA_TABLE_SIZE) {
      if (nlaLen(at) < policy(type)) return nlErrMsgAttr(-ERANGE, at, "Attribute failed policy validation");
      table[type] = at;
    }
    at = nlaNext(at);
  }
  return 0;
}

/** As nlaParse(), but what Linux's strict checking refuses is refused: an unknown type, bytes left over. */
export function nlaParseStrict(at: number, end: number, max: number, policy: NlaPolicy): number {
  let from = at;
  while (nlaOk(from, end)) {
    if (nlaType(from) > max) return nlErrMsgAttr(-EINVAL, from, "Unknown attribute type");
    from = nlaNext(from);
  }
  if (from < end) return nlErrMsgAttr(-EINVAL, 0, "bytes leftover after parsing attributes");
  return nlaParse(at, end, max, policy);
}

/** The attribute of that type inside another, 0 for none. Linux: nla_find_nested(). */
export function nlaFindNested(nest: number, type: number): number {
  const end = nest + NLA_HDRLEN + nlaLen(nest);
  for (let at = nest + NLA_HDRLEN; nlaOk(at, end); at = nlaNext(at)) if (nlaType(at) === type) return at;
  return 0;
}

/** The attribute of that type which nlaParse() found, or 0. */
export function nlaGet(type: number): number {
  return attrs[type]!;
}

/** An attribute's unsigned 32-bit number, as int32. */
export function nlaGetU32(at: number): number {
  return memView.getInt32(at + NLA_HDRLEN, true);
}

export function nlaGetU16(at: number): number {
  return memView.getUint16(at + NLA_HDRLEN, true);
}

export function nlaGetU8(at: number): number {
  return mem8[at + NLA_HDRLEN]!;
}

/** An attribute's IPv4 address. */
export function nlaGetAddr(at: number): number {
  return memView.getInt32(at + NLA_HDRLEN);
}

/** The number of the attribute of that type, or `otherwise` when it is not there. */
export function nlaU32Or(type: number, otherwise: number): number {
  const at = attrs[type]!;
  return at === 0 ? otherwise : memView.getInt32(at + NLA_HDRLEN, true);
}

/** The address of the attribute of that type, or 0. */
export function nlaAddrOr0(type: number): number {
  const at = attrs[type]!;
  return at === 0 ? 0 : memView.getInt32(at + NLA_HDRLEN);
}

/** Bytes of the text in an attribute, without a final zero. */
export function nlaStrLen(at: number): number {
  const length = nlaLen(at);
  let count = 0;
  while (count < length && mem8[at + NLA_HDRLEN + count] !== 0) count++;
  return count;
}

/** Is that the text in the attribute? Linux: nla_strcmp(). */
export function nlaStrEquals(at: number, text: string): boolean {
  const length = nlaStrLen(at);
  if (length !== text.length) return false;
  for (let i = 0; i < length; i++) if (mem8[at + NLA_HDRLEN + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** The text in an attribute: configuration only, it makes a string. Linux: nla_strscpy(). */
export function createNlaString(at: number): string {
  let text = "";
  const length = nlaStrLen(at);
  for (let i = 0; i < length; i++) text += String.fromCharCode(mem8[at + NLA_HDRLEN + i]!);
  return text;
}

function room(skb: SkBuff): number {
  return skb.head + skbBufferBytes - skb.tail;
}

/**
 * Begins a message at the end of a packet: its header, and `payload` bytes of zeros for the family's own.
 * @returns the offset of the header, or -1 when there is no room. Linux: nlmsg_put()
 */
export function nlmsgPut(
  skb: SkBuff, portid: number, seq: number, type: number, payload: number, flags: number,
): number {
  const length = NLMSG_HDRLEN + payload;
  const padded = nlAlign(length);
  if (room(skb) < padded) return -1;
  const at = skbPut(skb, padded);
  const view = memView;
  view.setInt32(at + NLH_LEN, length, true);
  view.setUint16(at + NLH_TYPE, type, true);
  view.setUint16(at + NLH_FLAGS, flags, true);
  view.setInt32(at + NLH_SEQ, seq, true);
  view.setInt32(at + NLH_PID, portid, true);
  for (let i = at + NLMSG_HDRLEN; i < at + padded; i++) mem8[i] = 0;
  return at;
}

/** Ends a message: its length is what has been put since. Linux: nlmsg_end(). */
export function nlmsgEnd(skb: SkBuff, nlh: number): void {
  memView.setInt32(nlh + NLH_LEN, skb.tail - nlh, true);
}

/** Takes a message back that did not fit. Linux: nlmsg_cancel(). */
export function nlmsgCancel(skb: SkBuff, nlh: number): void {
  skb.len -= skb.tail - nlh;
  skb.tail = nlh;
}

/** Ends a message, or takes it back when something did not fit: 0 or -EMSGSIZE. */
export function nlmsgFinish(skb: SkBuff, nlh: number, fits: boolean): number {
  if (!fits) {
    nlmsgCancel(skb, nlh);
    return -EMSGSIZE;
  }
  nlmsgEnd(skb, nlh);
  return 0;
}

/** Adds an attribute: the offset of its payload, zeroed in the last word, or -1 when there is no room. Linux: nla_reserve(). */
export function nlaPut(skb: SkBuff, type: number, length: number): number {
  const padded = nlAlign(NLA_HDRLEN + length);
  if (room(skb) < padded) return -1;
  const at = skbPut(skb, padded);
  memView.setInt32(at + padded - 4, 0);
  memView.setUint16(at, NLA_HDRLEN + length, true);
  memView.setUint16(at + 2, type, true);
  return at + NLA_HDRLEN;
}

/** The same for a number; false when there is no room. */
export function nlaPutU32(skb: SkBuff, type: number, value: number): boolean {
  const at = nlaPut(skb, type, 4);
  if (at < 0) return false;
  memView.setInt32(at, value, true);
  return true;
}

export function nlaPutU16(skb: SkBuff, type: number, value: number): boolean {
  const at = nlaPut(skb, type, 2);
  if (at < 0) return false;
  memView.setUint16(at, value, true);
  return true;
}

export function nlaPutU8(skb: SkBuff, type: number, value: number): boolean {
  const at = nlaPut(skb, type, 1);
  if (at < 0) return false;
  mem8[at] = value;
  return true;
}

/** The same for an IPv4 address. Linux: nla_put_in_addr(). */
export function nlaPutAddr(skb: SkBuff, type: number, addr: number): boolean {
  const at = nlaPut(skb, type, 4);
  if (at < 0) return false;
  memView.setInt32(at, addr);
  return true;
}

/** The same for a text, with a final zero. */
export function nlaPutString(skb: SkBuff, type: number, text: string): boolean {
  const length = text.length;
  const at = nlaPut(skb, type, length + 1);
  if (at < 0) return false;
  for (let i = 0; i < length; i++) mem8[at + i] = text.charCodeAt(i);
  mem8[at + length] = 0;
  return true;
}

/** The same for a link address, given as its first 2 bytes and its last 4. */
export function nlaPutLladdr(skb: SkBuff, type: number, hi: number, lo: number): boolean {
  const at = nlaPut(skb, type, 6);
  if (at < 0) return false;
  memView.setUint16(at, hi);
  memView.setInt32(at + 2, lo);
  return true;
}

/** Begins an attribute that holds others: where it is, or -1. Linux: nla_nest_start_noflag(). */
export function nlaNestStart(skb: SkBuff, type: number): number {
  const at = nlaPut(skb, type, 0);
  return at < 0 ? -1 : at - NLA_HDRLEN;
}

/** Ends it. Linux: nla_nest_end(). */
export function nlaNestEnd(skb: SkBuff, nest: number): void {
  memView.setUint16(nest, skb.tail - nest, true);
}
