/**
 * The contract between the stack and the machine it runs on: what a platform lends to `boot()`.
 *
 * A platform is one object of this shape (`hal/node/platform.ts`, `hal/xs/platform.ts`, a test's virtual one). Device
 * drivers are not part of it: they are `NetDevice`s that register themselves with a namespace.
 */
export interface Hal {
  /** Monotonic time in whole milliseconds. Read once per turn; any start value; need not be an int32. */
  now(): number;
  /** Fills the buffer with unpredictable bytes. Called once, at boot, for the seed of the stack's generator. */
  entropy(into: Uint8Array): void;
  /**
   * Called when work arrived outside a turn (an interrupt raised a softirq): have `net.poll()` called soon.
   * May be called often; must be cheap and must not poll by itself.
   */
  wake(): void;
  /** Optional native one's-complement sum (RFC 1071) of a byte range: big-endian, folded to 16 bits, not complemented. */
  checksum?: ((bytes: Uint8Array, offset: number, length: number) => number) | undefined;
  /** Optional native memcpy between two different buffers. */
  copy?:
    | ((dst: Uint8Array, dstOffset: number, src: Uint8Array, srcOffset: number, length: number) => void)
    | undefined;
}
