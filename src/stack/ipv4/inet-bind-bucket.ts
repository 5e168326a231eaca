/**
 * bhash: the local TCP ports in use. Linux: struct inet_bind_bucket of include/net/inet_hashtables.h and its functions
 * in net/ipv4/inet_hashtables.c. A bucket is one port of one namespace; it lives while a sock or a TIME_WAIT entry owns
 * it. Which owners may share a port is decided in inet-bind.ts.
 *
 * Layout: four words a bucket, beside the socks' own links (Sock.bindNext):
 *
 *     word 0 namespace << 16 + port | 1 first and last TIME_WAIT entry, 16 bits each | 2 next bucket of the chain
 *     word 3 first owner: Sock.index + 1, or 0; bit 31: made and used only by connect()
 */
import { POOL_FREE, type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { halfTable, halfWords, halves, words, wordTable } from "../../lib/table.ts";
import type { Net } from "../core/net.ts";
import { type Sock, sockByIndex } from "../core/sock.ts";
import { ICSK_BIND_HASH } from "./tcp-cold.ts";
import type { InetCsk } from "./tcp-sock.ts";

/** No TIME_WAIT entry. */
export const BIND_TW_NONE = 0xffff;

const TW_EMPTY = -1;
/** End of a chain. */
const END = 0xffff;
const CONNECT_ONLY = 0x80000000 | 0;
const OWNER_MASK = 0x7fffffff;

let slab: Slab;
/** Where in `words` the buckets are. */
let rows = 0;
/** Where in `halves` the first bucket of each chain is, or END. */
let heads = 0;
let headMask = 0;

function headCount(buckets: number): number {
  let size = 1;
  while (size < buckets) size <<= 1;
  return size;
}

/** Words of the table, and of those of inet-bind.ts that go with it. */
export function inetBindWords(buckets: number): number {
  const heads = headCount(buckets);
  return (buckets << 2) + slabWords(buckets) + halfWords(heads) + heads;
}

/** Builds the table. Boot time only. @param buckets ports in use at once */
export function inetBindBucketInit(buckets: number): void {
  slab = slabCreate("tcp_bind_bucket", buckets);
  rows = wordTable("tcp_bind_bucket", buckets << 2);
  const size = headCount(buckets);
  heads = halfTable("tcp_bind_bucket", size, END);
  headMask = size - 1;
}

/** Number of chains, a power of two: a measure for tables that go with this one. */
export function inetBindHeads(): number {
  return headMask + 1;
}

/** The bucket of a port, or -1. */
export function inetBindBucketFind(net: Net, port: number): number {
  const key = (net.id << 16) | port;
  let bucket = halves[heads + ((port + net.id) & headMask)]!;
  while (bucket !== END && words[rows + (bucket << 2)] !== key) bucket = words[rows + (bucket << 2) + 2]!;
  return bucket === END ? -1 : bucket;
}

/** No bucket is left. */
export function inetBindBucketsFull(): boolean {
  return words[slab + POOL_FREE]! < 0;
}

/**
 * A new bucket without an owner, which must get one at once; -1 when none is left. Linux: inet_bind_bucket_create().
 * @param connectOnly its port was chosen by connect(): other connections may share it while no one binds to it
 */
export function inetBindBucketCreate(net: Net, port: number, connectOnly: boolean): number {
  const bucket = slabAlloc(slab);
  if (bucket < 0) return -1;
  const at = rows + (bucket << 2);
  const head = (port + net.id) & headMask;
  words[at] = (net.id << 16) | port;
  words[at + 1] = TW_EMPTY;
  words[at + 2] = halves[heads + head]!;
  words[at + 3] = connectOnly ? CONNECT_ONLY : 0;
  halves[heads + head] = bucket;
  return bucket;
}

/** Gives the bucket back when the last owner is gone. Linux: inet_bind_bucket_destroy(). */
export function inetBindBucketDestroy(bucket: number): void {
  const at = rows + (bucket << 2);
  if ((words[at + 3]! & OWNER_MASK) !== 0 || words[at + 1] !== TW_EMPTY) return;
  const key = words[at]!;
  const head = ((key & 0xffff) + (key >>> 16)) & headMask;
  const next = words[at + 2]!;
  let previous = halves[heads + head]!;
  if (previous === bucket) {
    halves[heads + head] = next;
  } else {
    while (words[rows + (previous << 2) + 2] !== bucket) previous = words[rows + (previous << 2) + 2]!;
    words[rows + (previous << 2) + 2] = next;
  }
  slabFree(slab, bucket);
}

/** First sock that owns the port, or null; the others follow by Sock.bindNext. */
export function inetBindOwners(bucket: number): Sock | null {
  const owner = words[rows + (bucket << 2) + 3]! & OWNER_MASK;
  return owner === 0 ? null : sockByIndex(owner - 1);
}

function setOwners(bucket: number, first: Sock | null): void {
  const at = rows + (bucket << 2) + 3;
  words[at] = (words[at]! & CONNECT_ONLY) | (first === null ? 0 : first.index + 1);
}

/** Only connections whose port connect() chose own the bucket. Linux: tb->fastreuse < 0 && tb->fastreuseport < 0. */
export function inetBindConnectOnly(bucket: number): boolean {
  return words[rows + (bucket << 2) + 3]! < 0;
}

/** A program bound to the port by number: connect() does not choose it any more. */
export function inetBindClearConnectOnly(bucket: number): void {
  words[rows + (bucket << 2) + 3]! &= OWNER_MASK;
}

/** Makes the sock an owner. Linux: inet_bind_hash(). */
export function inetBindHash(sk: InetCsk, bucket: number, port: number): void {
  sk.inet.num = port;
  sk.bindNext = inetBindOwners(bucket);
  setOwners(bucket, sk);
  words[sk.icsk.cold + ICSK_BIND_HASH] = bucket;
}

/** The sock gives its port up; harmless when it has none. Linux: inet_put_port(). */
export function inetPutPort(sk: InetCsk): void {
  const bucket = words[sk.icsk.cold + ICSK_BIND_HASH]!;
  if (bucket < 0) return;
  let previous: Sock | null = null;
  for (let at = inetBindOwners(bucket); at !== sk; at = at!.bindNext) previous = at;
  if (previous === null) setOwners(bucket, sk.bindNext);
  else previous.bindNext = sk.bindNext;
  sk.bindNext = null;
  words[sk.icsk.cold + ICSK_BIND_HASH] = -1;
  sk.inet.num = 0;
  inetBindBucketDestroy(bucket);
}

/** First TIME_WAIT entry that owns the port, or BIND_TW_NONE. */
export function inetBindTwFirst(bucket: number): number {
  return words[rows + (bucket << 2) + 1]! >>> 16;
}

/** Last TIME_WAIT entry that owns the port, or BIND_TW_NONE. */
export function inetBindTwLast(bucket: number): number {
  return words[rows + (bucket << 2) + 1]! & 0xffff;
}

/** Sets both ends of the list of TIME_WAIT entries. */
export function inetBindTwSet(bucket: number, first: number, last: number): void {
  words[rows + (bucket << 2) + 1] = (first << 16) | last;
}
