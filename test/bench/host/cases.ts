/** What `bench host` measures on both sides. */
export type CaseName = "tcp-bulk" | "udp-echo-64" | "tcp-pingpong-64" | "tcp-connclose";

/** Each case with its unit of work. */
export const CASES: readonly (readonly [CaseName, unit: string])[] = Object.freeze([
  ["tcp-bulk", "megabytes"],
  ["udp-echo-64", "datagrams there and back"],
  ["tcp-pingpong-64", "messages there and back"],
  ["tcp-connclose", "connections"],
]);

/** One unit of the bulk case. */
export const BULK_BYTES = 1_000_000;
/** Bytes of one send() or write(). */
export const CHUNK_BYTES = 65536;
export const MESSAGE_BYTES = 64;
