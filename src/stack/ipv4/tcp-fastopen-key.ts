/**
 * The keys that Fast Open cookies are made with. Linux: struct tcp_fastopen_context of net/ipv4/tcp_fastopen.c. Read first:
 * RFC 7413 section 4.1.2. Owns the contexts: that of initNet, random at boot, that of each other namespace, and that of a listener
 * that has its own.
 *
 * A context has one key or two: cookies are made with the first, and those of the second are still good, so that a key can be
 * changed without turning its clients away.
 */
import { getRandomU32 } from "../../lib/random.ts";
import { wordTable, words } from "../../lib/table.ts";
import { EINVAL, ENOMEM } from "../../uapi/errno.ts";
import { initNet, type Net, registerPernetSubsys } from "../core/net.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** Words of a key, and its bytes. */
const KEY_WORDS = 4;
const KEY_BYTES = 16;
const MAX_KEYS = 2;
/** Words of a context: its owner (0: free or common), number of keys, the keys as little-endian words. */
const OWNER = 0;
const COUNT = 1;
const KEYS = 2;
const CONTEXT_WORDS = KEYS + MAX_KEYS * KEY_WORDS;
/** Words of both contexts. */
export const TCP_FASTOPEN_KEY_WORDS = 2 * CONTEXT_WORDS;

/** Where in `words` the context of initNet is, and that of a listener. */
let common = 0;
let own = 0;

/** Every namespace has a key of its own. Linux: tcp_fastopen_init_key_once(). */
const fastopenPernet = Object.freeze({
  init(net: Net): void {
    if (net !== initNet) net.ipv4.tcpFastopenKey = Int32Array.from({ length: KEY_WORDS }, getRandomU32);
  },
});

/** Makes the key of initNet. Boot time only, after randomInit. */
export function tcpFastopenKeyInit(): void {
  common = wordTable("fastopen_key", TCP_FASTOPEN_KEY_WORDS);
  own = common + CONTEXT_WORDS;
  words[common + COUNT] = 1;
  for (let i = 0; i < KEY_WORDS; i++) words[common + KEYS + i] = getRandomU32();
  registerPernetSubsys(fastopenPernet);
}

/** Who owns a listener's context: never 0. */
function ownerOf(sk: TcpSk): number {
  return sk.index + 1;
}

/** The keys that count for a listener are in this array, from fastopenKeyAt() on. */
export function fastopenKeys(sk: TcpSk): Int32Array {
  return words[own + OWNER] === ownerOf(sk) ? words : sk.net.ipv4.tcpFastopenKey ?? words;
}

/** How many keys count for a listener. */
export function fastopenKeyCount(sk: TcpSk): number {
  if (words[own + OWNER] === ownerOf(sk)) return words[own + COUNT]!;
  const keys = sk.net.ipv4.tcpFastopenKey;
  return keys === null ? words[common + COUNT]! : keys.length / KEY_WORDS;
}

/** Where in fastopenKeys() a key is. @param index 0 for the one that cookies are made with */
export function fastopenKeyAt(sk: TcpSk, index: number): number {
  const at = index * KEY_WORDS;
  if (words[own + OWNER] === ownerOf(sk)) return own + KEYS + at;
  return sk.net.ipv4.tcpFastopenKey === null ? common + KEYS + at : at;
}

/**
 * Sets the keys of a namespace (sysctl net.ipv4.tcp_fastopen_key). Makes an array. Linux: tcp_fastopen_reset_cipher().
 * @param key four words for one key, eight for two @returns 0 or -EINVAL
 */
export function tcpFastopenSetKey(net: Net, key: ArrayLike<number>): number {
  const length = key.length;
  if (length !== KEY_WORDS && length !== MAX_KEYS * KEY_WORDS) return -EINVAL;
  net.ipv4.tcpFastopenKey = Int32Array.from(key);
  return 0;
}

/**
 * Sets the keys of a listener (TCP_FASTOPEN_KEY). @param key 16 or 32 bytes
 * @returns 0, -EINVAL, or -ENOMEM when another listener has the place
 */
export function fastopenSetListenerKey(sk: TcpSk, key: ArrayLike<number>): number {
  const length = key.length;
  if (length !== KEY_BYTES && length !== MAX_KEYS * KEY_BYTES) return -EINVAL;
  const owner = words[own + OWNER]!;
  if (owner !== 0 && owner !== ownerOf(sk)) return -ENOMEM;
  words[own + OWNER] = ownerOf(sk);
  words[own + COUNT] = length / KEY_BYTES;
  for (let i = 0; i < length; i += 4) {
    words[own + KEYS + (i >> 2)] = key[i]! | (key[i + 1]! << 8) | (key[i + 2]! << 16) | (key[i + 3]! << 24);
  }
  return 0;
}

/** Reads the keys of a listener as bytes, as far as there is room. @returns how many */
export function fastopenGetListenerKey(sk: TcpSk, out: Uint8Array | Int32Array): number {
  const keys = fastopenKeys(sk);
  const at = fastopenKeyAt(sk, 0);
  const bytes = fastopenKeyCount(sk) * KEY_BYTES;
  const length = bytes < out.length ? bytes : out.length;
  for (let i = 0; i < length; i++) out[i] = (keys[at + (i >> 2)]! >> ((i & 3) << 3)) & 255;
  return length;
}

/** The sock ends, and its keys with it. Linux: tcp_fastopen_destroy_cipher(). */
export function fastopenForgetKey(sk: TcpSk): void {
  if (words[own + OWNER] === ownerOf(sk)) words[own + OWNER] = 0;
}
