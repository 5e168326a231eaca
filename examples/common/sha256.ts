/** SHA-256 of a stream of bytes (FIPS 180-4), for sketches that prove what they received. */

const BLOCK = 64;
const ROUNDS = 64;

/** The first 32 bits of the fractional part of a root of a prime. */
function rootBits(prime: number, power: number): number {
  const root = prime ** power;
  return ((root - Math.floor(root)) * 0x100000000) | 0;
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
}

export class Sha256 {
  private readonly state: Int32Array;
  private readonly constants: Int32Array;
  private readonly schedule = new Int32Array(ROUNDS);
  private readonly block = new Uint8Array(BLOCK);
  private used = 0;
  /** Bytes hashed so far. */
  length = 0;

  constructor() {
    const primes = firstPrimes(ROUNDS);
    this.state = Int32Array.from(primes.slice(0, 8), (prime) => rootBits(prime, 1 / 2));
    this.constants = Int32Array.from(primes, (prime) => rootBits(prime, 1 / 3));
  }

  update(bytes: Uint8Array, offset: number, length: number): void {
    const { block } = this;
    const end = offset + length;
    this.length += length;
    let at = offset;
    if (this.used > 0) {
      while (at < end && this.used < BLOCK) block[this.used++] = bytes[at++]!;
      if (this.used < BLOCK) return;
      this.compress(block, 0);
      this.used = 0;
    }
    for (; at + BLOCK <= end; at += BLOCK) this.compress(bytes, at);
    while (at < end) block[this.used++] = bytes[at++]!;
  }

  /** The hash as 64 hex digits; the object is used up. */
  hex(): string {
    const bits = this.length * 8;
    const { block } = this;
    block[this.used++] = 0x80;
    if (this.used > BLOCK - 8) {
      block.fill(0, this.used);
      this.compress(block, 0);
      this.used = 0;
    }
    block.fill(0, this.used);
    const view = new DataView(block.buffer);
    view.setUint32(BLOCK - 8, Math.floor(bits / 0x100000000));
    view.setUint32(BLOCK - 4, bits >>> 0);
    this.compress(block, 0);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  private compress(bytes: Uint8Array, at: number): void {
    const { state, schedule: w, constants } = this;
    for (let i = 0; i < 16; i++, at += 4) {
      w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    }
    for (let i = 16; i < ROUNDS; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
    let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
    for (let i = 0; i < ROUNDS; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0]! += a;
    state[1]! += b;
    state[2]! += c;
    state[3]! += d;
    state[4]! += e;
    state[5]! += f;
    state[6]! += g;
    state[7]! += h;
  }
}
