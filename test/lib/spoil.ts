/** Messages that are not as they should be: some bytes are others, the end is missing. */
import fc from "fast-check";

/** A spoiled message: bytes are changed, and it is cut; what is behind its end is left there, as in a buffer that is used again. */
export interface Spoiled {
  readonly changes: readonly (readonly [at: number, value: number])[];
  /** Part of it that is kept. */
  readonly kept: number;
}

/** Values that mean something to a parser are likelier than others. */
const values = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 12, 63, 64, 0xbf, 0xc0, 0xc1, 0xff));
export const spoiling: fc.Arbitrary<Spoiled> = fc.record({
  changes: fc.oneof(fc.constant([]), fc.array(fc.tuple(fc.nat(1499), values), { maxLength: 4 })),
  kept: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }),
});

/** Spoils a message. @returns the whole of what is in the buffer, and how much of that is the message */
export function spoil(message: Uint8Array, { changes, kept }: Spoiled): { readonly bytes: Uint8Array; readonly length: number } {
  const bytes = message.slice();
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return { bytes, length: Math.floor(kept * bytes.length) };
}
