/**
 * A plain patricia tree of prefixes in typed arrays: the peer of the LC-trie in `bench route`. A node has a key, its length, a
 * value (-1: none) and two children; a lookup walks down and remembers the last value. As in the BSD radix tree, without
 * backtracking and without anything that a router needs beside the match.
 */
export class Patricia {
  private readonly key: Int32Array;
  private readonly length: Uint8Array;
  private readonly value: Int32Array;
  /** Children of node n at 2n and 2n + 1; 0: none. */
  private readonly child: Int32Array;
  private used = 1;

  constructor(prefixes: number) {
    const nodes = prefixes * 2 + 2;
    this.key = new Int32Array(nodes);
    this.length = new Uint8Array(nodes);
    this.value = new Int32Array(nodes).fill(-1);
    this.child = new Int32Array(nodes * 2);
  }

  private node(key: number, length: number): number {
    const n = this.used++;
    this.key[n] = length === 0 ? 0 : key & (-1 << (32 - length));
    this.length[n] = length;
    return n;
  }

  insert(key: number, length: number, value: number): void {
    // Node 0 is the default route.
    let n = 0;
    for (;;) {
      if (this.length[n] === length) {
        this.value[n] = value;
        return;
      }
      const slot = 2 * n + ((key >>> (31 - this.length[n]!)) & 1);
      const next = this.child[slot]!;
      if (next === 0) {
        const leaf = this.node(key, length);
        this.value[leaf] = value;
        this.child[slot] = leaf;
        return;
      }
      const nextLength = this.length[next]!;
      const same = Math.min(Math.clz32(key ^ this.key[next]!), nextLength, length);
      if (same === nextLength) {
        n = next;
        continue;
      }
      const fork = this.node(key, same);
      this.child[2 * fork + ((this.key[next]! >>> (31 - same)) & 1)] = next;
      this.child[slot] = fork;
      n = fork;
    }
  }

  /** The value of the longest prefix, -1 for none. */
  lookup(key: number): number {
    const { key: keys, length: lengths, value: values, child: children } = this;
    let best = values[0]!;
    let n = children[key >>> 31]!;
    while (n !== 0) {
      const length = lengths[n]!;
      if ((key ^ keys[n]!) >>> (32 - length) !== 0 && length !== 0) break;
      const value = values[n]!;
      if (value >= 0) best = value;
      if (length === 32) break;
      n = children[2 * n + ((key >>> (31 - length)) & 1)]!;
    }
    return best;
  }
}
