/**
 * A Bloom filter: a set of numbers that takes a few bits for each. What was added is found again; what was not is taken for a
 * member now and then. Bloom, "Space/time trade-offs in hash coding with allowable errors" (1970); Linux has one with jhash and
 * seeds too, kernel/bpf/bloom_filter.c. The bits are a table of words that is the owner's.
 *
 * It forgets by generations, as bits cannot be taken out one by one: numbers go into the younger of two filters, and count as
 * members while they are in either. When the younger one takes the place of the older and begins empty, what was added or met since
 * the time before is still known.
 */
import { jhash1word } from "./jhash.ts";
import { words } from "./table.ts";

/** Words of one filter. @param bits how many it has, a power of two of at least 32 */
export function bloomWords(bits: number): number {
  return bits >> 5;
}

/**
 * Is the number a member? It is one of the younger filter from now on.
 * @param younger, older where in `words` the filters are, `bits` bits each @param seeds where `hashes` words are that nobody knows, or
 *   a sender could choose numbers that fill the filter or pass for members
 */
export function bloomMeet(younger: number, older: number, bits: number, seeds: number, hashes: number, number: number): boolean {
  let inYounger = true;
  let inOlder = true;
  for (let i = 0; i < hashes; i++) {
    const hash = jhash1word(number, words[seeds + i]!);
    const at = (hash & (bits - 1)) >> 5;
    const bit = 1 << hash;
    if ((words[older + at]! & bit) === 0) inOlder = false;
    if ((words[younger + at]! & bit) === 0) {
      inYounger = false;
      words[younger + at]! |= bit;
    }
  }
  return inYounger || inOlder;
}

/** Empties a filter. */
export function bloomClear(filter: number, bits: number): void {
  words.fill(0, filter, filter + bloomWords(bits));
}

/**
 * The probability that a number which was never added is taken for a member: (1 - (1 - 1/bits)^(hashes × members))^hashes.
 * @param members distinct numbers in the filter
 */
export function bloomFalsePositives(bits: number, hashes: number, members: number): number {
  return (1 - (1 - 1 / bits) ** (hashes * members)) ** hashes;
}
