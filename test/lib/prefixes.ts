/**
 * Prefixes like those of the Internet's routing tables, from a seed, and addresses to look up: for benchmarks and long tests, on
 * Node and inside XS. Lengths are spread as in BGP's tables of 2024 (six of ten are /24); half of the prefixes follow the one
 * before, as allocations are announced in pieces.
 */

/** Per mille of each length from /8 on. */
const SHARE: readonly number[] = Object.freeze([0, 0, 0, 1, 1, 1, 2, 3, 13, 8, 14, 25, 43, 52, 110, 100, 627]);
const FIRST_LENGTH = 8;

/** A generator of 32-bit numbers (xorshift). */
export class Random32 {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 1;
  }

  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x;
  }

  /** 0..limit-1 */
  below(limit: number): number {
    return (this.next() >>> 0) % limit;
  }
}

export interface Prefixes {
  readonly dst: Int32Array;
  readonly len: Uint8Array;
}

function drawLength(random: Random32): number {
  let rest = random.below(1000);
  for (let i = 0; i < SHARE.length; i++) {
    rest -= SHARE[i]!;
    if (rest < 0) return FIRST_LENGTH + i;
  }
  return 24;
}

/** So many distinct prefixes in 1.0.0.0 to 223.255.255.255, without 10/8 and 127/8. */
export function makePrefixes(count: number, seed = 1): Prefixes {
  const random = new Random32(seed);
  const dst = new Int32Array(count);
  const len = new Uint8Array(count);
  const seen = new Set<number>();
  let before = 0;
  for (let i = 0; i < count; ) {
    const length = drawLength(random);
    const size = 2 ** (32 - length);
    const start = i > 0 && random.below(2) === 0 ? before : random.next() >>> 0;
    const prefix = (Math.ceil(start / size) * size) % 4294967296;
    const net = Math.floor(prefix / 16777216);
    const name = prefix * 64 + length;
    before = random.next() >>> 0;
    if (net === 0 || net === 10 || net === 127 || net >= 224 || seen.has(name)) continue;
    seen.add(name);
    dst[i] = prefix | 0;
    len[i] = length;
    before = prefix + size;
    i++;
  }
  return { dst, len };
}

/** Addresses to look up: three of four in one of the prefixes, the fourth anywhere. */
export function makeAddresses(prefixes: Prefixes, count: number, seed = 2): Int32Array {
  const random = new Random32(seed);
  const addresses = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    if (random.below(4) === 0) {
      addresses[i] = random.next();
      continue;
    }
    const at = random.below(prefixes.dst.length);
    addresses[i] = prefixes.dst[at]! | (random.next() >>> prefixes.len[at]!);
  }
  return addresses;
}
