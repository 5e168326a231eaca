/**
 * Intrusive lists: a doubly linked ring with a head of its own (Linux: list_head), and chains of a hash table (hlist).
 *
 * A node is a small object made once with what it belongs to (`owner`, Linux's container_of), so an object can be on
 * as many lists as it has nodes, and linking allocates nothing. Walk a ring with
 * `for (let n = head.next; n !== head; n = n.next)`; take `n.next` first if the body may unlink `n`.
 */

/** A node of a ring, or the ring's head, whose owner is null. A node not on a ring points to itself. */
export class ListHead<T> {
  next: ListHead<T>;
  prev: ListHead<T>;
  readonly owner: T | null;

  constructor(owner: T | null = null) {
    this.next = this;
    this.prev = this;
    this.owner = owner;
  }
}

/** Makes a head empty, without touching what was on the ring. Linux: INIT_LIST_HEAD(). */
export function listInit<T>(head: ListHead<T>): void {
  head.next = head;
  head.prev = head;
}

/** Puts an unlinked node first (or behind the node given as head). */
export function listAdd<T>(node: ListHead<T>, head: ListHead<T>): void {
  const next = head.next;
  node.next = next;
  node.prev = head;
  next.prev = node;
  head.next = node;
}

/** Puts an unlinked node last (or before the node given as head). */
export function listAddTail<T>(node: ListHead<T>, head: ListHead<T>): void {
  const prev = head.prev;
  node.next = head;
  node.prev = prev;
  prev.next = node;
  head.prev = node;
}

/** Takes a node off its ring; nothing happens if it is on none. Linux: list_del_init(). */
export function listDel<T>(node: ListHead<T>): void {
  const next = node.next;
  const prev = node.prev;
  next.prev = prev;
  prev.next = next;
  node.next = node;
  node.prev = node;
}

/** Takes a node off its ring, if any, and puts it last on this one. */
export function listMoveTail<T>(node: ListHead<T>, head: ListHead<T>): void {
  listDel(node);
  listAddTail(node, head);
}

/** Is the ring empty? Of a node: is it on no ring? */
export function listEmpty<T>(head: ListHead<T>): boolean {
  return head.next === head;
}

/** What the first node belongs to; null when the ring is empty. */
export function listFirst<T>(head: ListHead<T>): T | null {
  return head.next.owner;
}

/** A node of a hash chain. */
export class HlistNode<T> {
  next: HlistNode<T> | null = null;
  prev: HlistNode<T> | null = null;
  /** The chain it is on, -1 = none. */
  bucket = -1;
  readonly owner: T;

  constructor(owner: T) {
    this.owner = owner;
  }
}

/** The first node of each chain. */
export type HlistTable<T> = (HlistNode<T> | null)[];

/** Makes a table of empty chains. Boot time. */
export function hlistTableCreate<T>(buckets: number): HlistTable<T> {
  const table: HlistTable<T> = [];
  for (let i = 0; i < buckets; i++) table.push(null);
  return table;
}

/** Puts an unlinked node first on a chain. */
export function hlistAddHead<T>(table: HlistTable<T>, bucket: number, node: HlistNode<T>): void {
  const first = table[bucket] as HlistNode<T> | null;
  node.next = first;
  node.prev = null;
  node.bucket = bucket;
  if (first !== null) first.prev = node;
  table[bucket] = node;
}

/** Takes a node off its chain; nothing happens if it is on none. */
export function hlistDel<T>(table: HlistTable<T>, node: HlistNode<T>): void {
  const bucket = node.bucket;
  if (bucket < 0) return;
  const next = node.next;
  const prev = node.prev;
  if (prev === null) table[bucket] = next;
  else prev.next = next;
  if (next !== null) next.prev = prev;
  node.next = null;
  node.prev = null;
  node.bucket = -1;
}

/** Is the node on no chain? */
export function hlistUnhashed<T>(node: HlistNode<T>): boolean {
  return node.bucket < 0;
}
