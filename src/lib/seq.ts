/**
 * Comparison of 32-bit sequence numbers, which wrap (Linux: before(), after(), between() of net/tcp.h).
 *
 * Read first: RFC 9293 section 3.4. Numbers are signed int32; on hot paths write the expression, not the call.
 */

/** Is `a` earlier than `b`? */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Is `a` later than `b`? */
export function after(a: number, b: number): boolean {
  return ((b - a) | 0) < 0;
}

/** Is `seq` within `low`..`high`, both included, going up from `low`? */
export function between(seq: number, low: number, high: number): boolean {
  return (high - low) >>> 0 >= (seq - low) >>> 0;
}
