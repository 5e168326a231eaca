/**
 * What a new connection is translated to: an address of a range, and a port or identifier that nobody has. Linux: net/netfilter/
 * nf_nat_core.c, get_unique_tuple(), nf_nat_l4proto_unique_tuple(). Owns the tuple that is being made, and by whose source
 * which connections were translated.
 *
 * A port stays as it is where it can; else another one of its class is drawn (1..511, 600..1023, 1024..65535), so that what is
 * privileged stays so. What comes from one source goes on from one source, whomever it is for (RFC 4787 section 4.1).
 *
 * Read first: RFC 4787 sections 4.1 and 4.2, RFC 5382 section 4.1, RFC 5508 section 3.1.
 */
import { jhash3words, jhashAddress } from "../../lib/jhash.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { halfTable, halfWords, halves, words } from "../../lib/table.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import {
  NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PERSISTENT, NF_NAT_RANGE_PROTO_OFFSET, NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY, NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../../uapi/ip-tables.ts";
import { nfCtIcmpReplyPorts } from "./nf-conntrack-icmp.ts";
import {
  CT_L4, nfCtFind, nfCtIndex, nfCtNodeRow, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR, TUPLE_WORDS,
} from "./nf-conntrack-table.ts";

/** Which end of a packet is translated. Linux: enum nf_nat_manip_type. */
export const NF_NAT_MANIP_SRC = 0;
export const NF_NAT_MANIP_DST = 1;

/** The port is not to be guessed. */
const RANDOM_ALL = NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PROTO_RANDOM_FULLY;
/** Ports that are tried from one starting point. Linux: NF_NAT_MAX_ATTEMPTS. */
const ATTEMPTS = 128;
/** With fewer it is given up. */
const ATTEMPTS_LEAST = 16;
/** Classes of ports: the first of each, and how many there are. */
const LOW_PORTS = 512;
const PRIVILEGED_PORTS = 1024;
const NO_ROW = 0xffff;

/** The tuple: of the connection's first packet as it is to leave. */
export let natSaddr = 0;
export let natDaddr = 0;
export let natPorts = 0;
/** Whose it is. */
let owner = 0;
let l4 = 0;
let protocol = 0;
/** What it has to be in. Linux: struct nf_nat_range2. */
let rangeFlags = 0;
let minAddr = 0;
let maxAddr = 0;
let minPort = 0;
let maxPort = 0;
let basePort = 0;

/** Connections by their source: the first of each bucket, an index or NO_ROW, and the next one of each. Linux: nf_nat_bysource[]. */
let heads = 0;
let nexts = 0;
let bucketMask = 0;
let hashKey = 0;

function buckets(count: number): number {
  let size = 4;
  while (size << 1 <= count) size <<= 1;
  return size;
}

/** Words of what nfNatUniqueInit() makes. */
export function nfNatUniqueWords(count: number): number {
  return halfWords(buckets(count)) + halfWords(count);
}

/** Boot time. @param count connections of all namespaces */
export function nfNatUniqueInit(count: number): void {
  bucketMask = buckets(count) - 1;
  heads = halfTable("nf_nat_bysource", bucketMask + 1, NO_ROW);
  nexts = halfTable("nf_nat_bysource", count, NO_ROW);
  hashKey = getRandomU32();
}

/** Where in `halves` the bucket of a connection's source begins. Linux: hash_by_src(). */
function bucketOf(tuple: number): number {
  return heads + (jhash3words(words[tuple + TUPLE_SADDR]!, words[tuple + TUPLE_PORTS]! >>> 16, words[owner + CT_L4]!, hashKey) & bucketMask);
}

/** A connection whose source has been settled is to be found by it. */
export function nfNatSourceAdd(row: number): void {
  owner = row;
  const head = bucketOf(row);
  const index = nfCtIndex(row);
  halves[nexts + index] = halves[head]!;
  halves[head] = index;
}

/** The connection goes. */
export function nfNatSourceRemove(row: number): void {
  owner = row;
  const index = nfCtIndex(row);
  let at = bucketOf(row);
  while (halves[at] !== index) at = nexts + halves[at]!;
  halves[at] = halves[nexts + index]!;
}

/** The ports of the answer to a tuple's. Linux: nf_ct_invert_tuple(). */
export function nfNatInvertPorts(proto: number, ports: number): number {
  if (proto === IPPROTO_TCP || proto === IPPROTO_UDP) return (ports << 16) | (ports >>> 16);
  return proto === IPPROTO_ICMP ? nfCtIcmpReplyPorts(ports) : ports;
}

/**
 * Would the answers to the tuple be taken for another connection's? Not if that one is of the same packets: who comes first of both
 * will be right. Linux: nf_nat_used_tuple(), nf_conntrack_tuple_taken().
 */
function used(): boolean {
  const node = nfCtFind(natDaddr, natSaddr, nfNatInvertPorts(protocol, natPorts), l4);
  if (node < 0) return false;
  const other = nfCtNodeRow(node);
  return words[other + TUPLE_SADDR] !== words[owner + TUPLE_SADDR] || words[other + TUPLE_DADDR] !== words[owner + TUPLE_DADDR]
    || words[other + TUPLE_PORTS] !== words[owner + TUPLE_PORTS];
}

/** Is the key of the protocol the upper half of the ports? An identifier is both ends'. */
function keyIsUpper(manip: number): boolean {
  return manip === NF_NAT_MANIP_SRC || protocol === IPPROTO_ICMP;
}

function hasKey(): boolean {
  return protocol === IPPROTO_TCP || protocol === IPPROTO_UDP || protocol === IPPROTO_ICMP;
}

/** Linux: l4proto_in_range(). */
function keyInRange(manip: number): boolean {
  if (!hasKey()) return true;
  const key = keyIsUpper(manip) ? natPorts >>> 16 : natPorts & 0xffff;
  return key >= minPort && key <= maxPort;
}

/** Is the source within the range? Linux: nf_in_range(). */
function sourceInRange(): boolean {
  if ((rangeFlags & NF_NAT_RANGE_MAP_IPS) !== 0) {
    const addr = natSaddr >>> 0;
    if (addr < minAddr >>> 0 || addr > maxAddr >>> 0) return false;
  }
  return (rangeFlags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0 || keyInRange(NF_NAT_MANIP_SRC);
}

/**
 * What another connection of the same source was translated to, where that is within the range, becomes the tuple's source.
 * Linux: find_appropriate_src().
 */
function sameSource(): boolean {
  const saddr = natSaddr;
  const ports = natPorts;
  for (let at = halves[bucketOf(owner)]!; at !== NO_ROW; at = halves[nexts + at]!) {
    const row = nfCtNodeRow(at << 1);
    if (
      words[row + CT_L4] !== l4 || words[row + TUPLE_SADDR] !== saddr || words[row + TUPLE_PORTS]! >>> 16 !== ports >>> 16
    ) continue;
    const reply = row + TUPLE_WORDS;
    natSaddr = words[reply + TUPLE_DADDR]!;
    natPorts = (nfNatInvertPorts(protocol, words[reply + TUPLE_PORTS]!) & ~0xffff) | (ports & 0xffff);
    if (sourceInRange()) return true;
  }
  natSaddr = saddr;
  natPorts = ports;
  return false;
}

/** Network order as a machine of the other order reads it. */
function swap(addr: number): number {
  return (addr << 24) | ((addr & 0xff00) << 8) | ((addr >>> 8) & 0xff00) | (addr >>> 24);
}

/**
 * An address of the range, the same each time for the same two ends; PERSISTENT: for the same source. Linux: find_best_ips_proto(),
 * whose hash it is.
 */
function chooseAddress(manip: number): void {
  if ((rangeFlags & NF_NAT_RANGE_MAP_IPS) === 0) return;
  let addr = minAddr;
  if (minAddr !== maxAddr) {
    const hash = jhashAddress(swap(natSaddr), (rangeFlags & NF_NAT_RANGE_PERSISTENT) !== 0 ? 0 : swap(natDaddr)) >>> 0;
    addr = (minAddr + Math.floor((hash * ((maxAddr - minAddr + 1) >>> 0)) / 0x100000000)) | 0;
  }
  if (manip === NF_NAT_MANIP_SRC) natSaddr = addr;
  else natDaddr = addr;
}

/** Tries ports, or identifiers. Linux: nf_nat_l4proto_unique_tuple(). */
function chooseKey(manip: number): void {
  if (!hasKey()) return;
  const upper = keyIsUpper(manip);
  const key = upper ? natPorts >>> 16 : natPorts & 0xffff;
  let first = minPort;
  let size = maxPort - minPort + 1;
  if ((rangeFlags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0) {
    if (protocol === IPPROTO_ICMP) {
      first = 0;
      size = 65536;
    } else if (manip === NF_NAT_MANIP_DST) {
      return;
    } else if (key < LOW_PORTS) {
      first = 1;
      size = 511;
    } else if (key < PRIVILEGED_PORTS) {
      first = 600;
      size = 424;
    } else {
      first = PRIVILEGED_PORTS;
      size = 65536 - PRIVILEGED_PORTS;
    }
  } else if (size < 1) {
    first = maxPort;
    size = minPort - maxPort + 1;
  }
  let offset = 0;
  if ((rangeFlags & NF_NAT_RANGE_PROTO_OFFSET) !== 0) offset = key - basePort;
  else if ((rangeFlags & RANDOM_ALL) !== 0 || manip !== NF_NAT_MANIP_DST) offset = getRandomU32();
  let attempts = size < ATTEMPTS ? size : ATTEMPTS;
  for (;;) {
    for (let i = 0; i < attempts; i++) {
      const next = first + (((offset + i) & 0xffff) % size);
      natPorts = upper ? (next << 16) | (natPorts & 0xffff) : (natPorts & ~0xffff) | next;
      if (!used()) return;
    }
    if (attempts >= size || attempts < ATTEMPTS_LEAST) return;
    attempts >>= 1;
    offset = getRandomU32();
  }
}

/** Says what the next tuple has to be in. @param flags NF_NAT_RANGE_* @param base only with NF_NAT_RANGE_PROTO_OFFSET */
export function nfNatRange(flags: number, fromAddr: number, toAddr: number, fromPort: number, toPort: number, base: number): void {
  rangeFlags = flags;
  minAddr = fromAddr;
  maxAddr = toAddr;
  minPort = fromPort;
  maxPort = toPort;
  basePort = base;
}

/**
 * Makes the tuple of a connection's first packet one that the range allows and nobody has, if there is one: else a clash will be met
 * when the connection is confirmed. Linux: get_unique_tuple(). @param row of the connection, which is not confirmed
 * @returns whether the tuple is another one than before
 */
export function nfNatUniqueTuple(row: number, manip: number): boolean {
  const reply = row + TUPLE_WORDS;
  owner = row;
  l4 = words[row + CT_L4]!;
  protocol = l4 & 0xff;
  const saddr = words[reply + TUPLE_DADDR]!;
  const daddr = words[reply + TUPLE_SADDR]!;
  const ports = nfNatInvertPorts(protocol, words[reply + TUPLE_PORTS]!);
  natSaddr = saddr;
  natDaddr = daddr;
  natPorts = ports;
  findUnique(manip);
  return natSaddr !== saddr || natDaddr !== daddr || natPorts !== ports;
}

function findUnique(manip: number): void {
  if (manip === NF_NAT_MANIP_SRC && (rangeFlags & RANDOM_ALL) === 0) {
    if (sourceInRange()) {
      if (!used()) return;
    } else {
      const saddr = natSaddr;
      const ports = natPorts;
      if (sameSource()) {
        if (!used()) return;
        natSaddr = saddr;
        natPorts = ports;
      }
    }
  }
  chooseAddress(manip);
  if ((rangeFlags & RANDOM_ALL) === 0) {
    if ((rangeFlags & NF_NAT_RANGE_PROTO_SPECIFIED) === 0) {
      if (!used()) return;
    } else if ((rangeFlags & NF_NAT_RANGE_PROTO_OFFSET) === 0 && keyInRange(manip) && (minPort === maxPort || !used())) {
      return;
    }
  }
  chooseKey(manip);
}
