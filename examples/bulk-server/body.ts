/** The body that GET /bytes sends: pseudo-random, and any part of it can be made without the rest. */

/**
 * Fills the first `length` bytes with those at `position` of the endless body.
 * @param position a multiple of 4
 */
export function fillBody(into: Uint8Array, length: number, position: number): void {
  let word = position / 4;
  for (let at = 0; at < length; at += 4, word++) {
    let mixed = Math.imul(word ^ (word >>> 16), 0x45d9f3b);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
    mixed ^= mixed >>> 16;
    into[at] = mixed;
    into[at + 1] = mixed >> 8;
    into[at + 2] = mixed >> 16;
    into[at + 3] = mixed >> 24;
  }
}
