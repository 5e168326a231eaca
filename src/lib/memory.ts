/**
 * The arena: one ArrayBuffer for every packet, and the views through which all of the stack reads and writes it.
 *
 * Linux's counterpart is the page allocator at boot (memblock) and copy_to_user/copy_from_user. Everything here is
 * addressed by absolute byte offset, so that no view is ever made after boot: XS pays four heap slots for a `subarray`.
 * The arena's first 64 bytes stay zero (to clear memory by `copyWithin`), then come 2 KB or less for staging copies, then
 * the memory `userBuffer` hands to programs, then what `memReserve` gives to the pools.
 *
 * The word view is read as little-endian, which every machine XS runs on is.
 */
import { account } from "./account.ts";

/** The arena as bytes. */
export let mem8: Uint8Array;
/** The arena as little-endian 32-bit words; index = offset / 4. */
export let mem32: Uint32Array;
/** The arena for header fields: `memView.getUint16(offset)` reads network byte order. */
export let memView: DataView;

/** A machine's own checksum: the big-endian ones'-complement sum of bytes, folded to 0..0xffff, not complemented. */
export type ChecksumHook = (bytes: Uint8Array, offset: number, length: number) => number;
/** A machine's own copy between two arrays; they never overlap. */
export type CopyHook = (
  dst: Uint8Array, dstOffset: number, src: Uint8Array, srcOffset: number, length: number,
) => void;

/** The installed checksum, or null: only src/lib/checksum.ts asks. */
export let memChecksumHook: ChecksumHook | null = null;
let copyHook: CopyHook | null = null;

const ZERO_BYTES = 64;
const STAGING = ZERO_BYTES;
/** Where the staging bytes are, for who has a view of them. */
export const MEM_STAGING = STAGING;
/** Bytes for copies to and from arrays of the program, unless `memoryInit` is given less. */
export const MEM_STAGING_BYTES = 2048;
/** What the arena needs for itself beside the staging bytes. */
export const MEM_ZERO_BYTES = ZERO_BYTES;
/** What the arena needs for itself in all; the total given to `memoryInit` includes it. */
export const MEM_OVERHEAD_BYTES = ZERO_BYTES + MEM_STAGING_BYTES;
/** log2 of the smallest staging view. */
const STAGE_MIN_SHIFT = 4;
/** Below this length a byte loop is as cheap as the calls it saves. */
const SHORT_COPY = 1 << STAGE_MIN_SHIFT;

const clz32 = Math.clz32;

let arena: ArrayBuffer;
/** Views of the staging area, each twice as long as the one before. */
let stageViews: Uint8Array[];
let stagingBytes = 0;
/** log2 of the largest staging view. */
let stageMaxShift = 0;
let memEnd = 0;
let memNext = 0;
let userEnd = 0;
let userNext = 0;

/**
 * Makes the arena. Boot time.
 * @param totalBytes size of the whole arena: MEM_OVERHEAD_BYTES + userBytes + all that is reserved later
 * @param userBytes how much of it `userBuffer` may hand out
 * @param staging bytes for copies to and from arrays of the program, a power of two, at least 16
 * @throws RangeError when the total is less than what the arena needs for itself
 */
export function memoryInit(totalBytes: number, userBytes = 0, staging = MEM_STAGING_BYTES): void {
  const total = (totalBytes + 3) & ~3;
  stagingBytes = staging;
  stageMaxShift = 31 - clz32(staging);
  userNext = ZERO_BYTES + staging;
  userEnd = (userNext + userBytes + 3) & ~3;
  if (userBytes < 0 || userEnd > total) throw new RangeError(`arena of ${totalBytes} bytes is too small`);
  memNext = userEnd;
  memEnd = total;
  arena = account("packet_memory", new ArrayBuffer(total));
  mem8 = account("packet_memory", new Uint8Array(arena));
  mem32 = account("packet_memory", new Uint32Array(arena));
  memView = account("packet_memory", new DataView(arena));
  stageViews = account("packet_memory", []);
  for (let shift = STAGE_MIN_SHIFT; shift <= stageMaxShift; shift++) {
    stageViews.push(account("packet_memory", new Uint8Array(arena, STAGING, 1 << shift)));
  }
}

/**
 * Installs what the machine does faster than JavaScript, or null for none.
 * @param checksum used by csumPartial
 * @param copy used by copyToUser and copyFromUser
 */
export function setMemoryHooks(checksum: ChecksumHook | null, copy: CopyHook | null): void {
  memChecksumHook = checksum;
  copyHook = copy;
}

/**
 * Takes bytes of the arena for good. Boot time.
 * @param align a power of two
 * @returns the absolute offset
 * @throws RangeError when the arena is used up
 */
export function memReserve(bytes: number, align: number): number {
  const offset = (memNext + align - 1) & -align;
  if (bytes < 0 || offset + bytes > memEnd) {
    throw new RangeError(`arena exhausted: ${bytes} bytes wanted, ${memEnd - memNext} left`);
  }
  memNext = offset + bytes;
  return offset;
}

/** Bytes of the arena not yet reserved. */
export function memAvailable(): number {
  return memEnd - memNext;
}

/** How many staging bytes there are. */
export function memStagingBytes(): number {
  return stagingBytes;
}

/**
 * A view of the first staging bytes, for a driver that hands them to a bus: what lies there is good until the next copy from
 * or to a program's array. Allocates; for use when a device is made.
 * @throws RangeError when there are not that many
 */
export function createStagingView(length: number): Uint8Array {
  if (length > stagingBytes) throw new RangeError(`option staging: ${length} bytes wanted of ${stagingBytes}`);
  return new Uint8Array(arena, STAGING, length);
}

/**
 * A buffer inside the arena for a program to keep: copies between it and the stack cost least. Allocates the view; for
 * use at boot, there is no way to give it back.
 * @throws RangeError when the memory set aside by the option `userMemory` is used up
 */
export function userBuffer(length: number): Uint8Array {
  if (length < 0 || userNext + length > userEnd) {
    throw new RangeError(`option userMemory: ${length} bytes wanted, ${userEnd - userNext} left`);
  }
  const view = new Uint8Array(arena, userNext, length);
  userNext = (userNext + length + 3) & ~3;
  return view;
}

/** Sets bytes to zero. XS's `fill` takes 3 ns per byte, a `copyWithin` of zeros next to nothing. */
export function memZero(offset: number, length: number): void {
  while (length > ZERO_BYTES) {
    mem8.copyWithin(offset, 0, ZERO_BYTES);
    offset += ZERO_BYTES;
    length -= ZERO_BYTES;
  }
  mem8.copyWithin(offset, 0, length);
}

/** Copies within the arena; the areas may overlap. */
export function memCopy(dst: number, src: number, length: number): void {
  if (((dst | src | length) & 3) === 0) mem32.copyWithin(dst >> 2, src >> 2, (src + length) >> 2);
  else mem8.copyWithin(dst, src, src + length);
}

/**
 * Copies within the arena between areas that do not overlap: in words where both begin at the same place of a word, as XS's meter
 * counts a copy by its elements; the copy itself is one memmove either way.
 */
function copyApart(dst: number, src: number, length: number): void {
  const bytes = ((dst | src) & 3) === 0 ? length & ~3 : 0;
  if (bytes !== 0) mem32.copyWithin(dst >> 2, src >> 2, (src + bytes) >> 2);
  if (bytes !== length) mem8.copyWithin(dst + bytes, src + bytes, src + length);
}

/**
 * Copies from the arena to a program's array, which may itself lie in the arena. The caller has checked that
 * `userOffset + length` is inside the array.
 */
export function copyToUser(user: Uint8Array, userOffset: number, src: number, length: number): void {
  if (user.buffer === arena) {
    const dst = user.byteOffset + userOffset;
    // copyApart(), spared a call where nothing is left over: a whole segment mostly.
    if (((dst | src | length) & 3) === 0) mem32.copyWithin(dst >> 2, src >> 2, (src + length) >> 2);
    else copyApart(dst, src, length);
    return;
  }
  if (length < SHORT_COPY) {
    for (let i = 0; i < length; i++) user[userOffset + i] = mem8[src + i]!;
    return;
  }
  if (copyHook !== null) {
    copyHook(user, userOffset, mem8, src, length);
    return;
  }
  let shift = 31 - clz32(length);
  if (shift > stageMaxShift) shift = stageMaxShift;
  const view = stageViews[shift - STAGE_MIN_SHIFT]!;
  const size = 1 << shift;
  const end = src + length;
  let at = src;
  for (; at + size <= end; at += size) {
    copyApart(STAGING, at, size);
    user.set(view, userOffset + at - src);
  }
  if (at === end) return;
  // The rest is shorter than the view: let the last copy overlap the one before it.
  copyApart(STAGING, end - size, size);
  user.set(view, userOffset + length - size);
}

/**
 * Copies from a program's array, which may itself lie in the arena, to the arena. The caller has checked that
 * `userOffset + length` is inside the array. Without a native copy, a part of an array larger than the staging bytes
 * outside the arena goes byte by byte, the only way without making a view: keep large buffers in `userBuffer`s.
 */
export function copyFromUser(dst: number, user: Uint8Array, userOffset: number, length: number): void {
  if (user.buffer === arena) {
    copyApart(dst, user.byteOffset + userOffset, length);
    return;
  }
  if (length >= SHORT_COPY) {
    if (copyHook !== null) {
      copyHook(mem8, dst, user, userOffset, length);
      return;
    }
    const whole = user.length;
    if (length === whole) {
      mem8.set(user, dst);
      return;
    }
    if (whole <= stagingBytes) {
      mem8.set(user, STAGING);
      mem8.copyWithin(dst, STAGING + userOffset, STAGING + userOffset + length);
      return;
    }
  }
  for (let i = 0; i < length; i++) mem8[dst + i] = user[userOffset + i]!;
}
