/**
 * What the constructors of ECMA-419 check: options and their ranges, callbacks, buffers. ECMA-419 clauses 7 (base class), 9 (IO
 * class). Every exception names the class, the option, its value and what it may be. Owns nothing.
 *
 * Which exception: a value of another type is a TypeError, one out of range a RangeError, a missing one an Error, as Moddable's
 * tests of these classes ask for (the standard only asks for some exception).
 */
import { formatAddress, parseAddress } from "./address.ts";

/** What holds bytes: ArrayBuffer of any kind, or a view of bytes. */
export type ByteBuffer = ArrayBufferLike | Uint8Array | Uint8ClampedArray | Int8Array | DataView;

export const PORT_MAX = 65535;

/** The options object itself. @throws TypeError when it is none */
export function checkOptions<T extends object>(name: string, options: T): T {
  const given: unknown = options;
  if (typeof given !== "object" || given === null) throw new TypeError(`${name}: options are ${String(given)}; they must be an object`);
  return options;
}

/**
 * A whole number in a range; text is a number too, as everywhere in the language.
 * @throws Error when missing, TypeError for a symbol or an object that is no number, RangeError
 */
export function checkInteger(name: string, option: string, value: unknown, min: number, max: number): number {
  const range = `a whole number from ${min} to ${max}`;
  if (value === undefined) throw new Error(`${name}: option ${option} is missing; it must be ${range}`);
  if (typeof value === "symbol" || typeof value === "object" || typeof value === "function") {
    throw new TypeError(`${name}: option ${option} is ${describe(value)}; it must be ${range}`);
  }
  const number = Number(value);
  if (!(number >= min && number <= max) || number % 1 !== 0) {
    throw new RangeError(`${name}: option ${option} is ${String(value)}; it must be ${range}`);
  }
  return number;
}

/**
 * An IPv4 address, four decimal numbers, as an int32.
 * @throws Error when missing, TypeError when it is no text, RangeError when the text is no address
 */
export function checkAddress(name: string, option: string, value: unknown): number {
  if (value === undefined || value === null) {
    throw new Error(`${name}: option ${option} is missing; it must be an IPv4 address like ${formatAddress(0x0a000001)}`);
  }
  if (typeof value !== "string") throw new TypeError(`${name}: option ${option} is ${describe(value)}; it must be an IPv4 address`);
  const address = parseAddress(value);
  if (address === null) {
    throw new RangeError(`${name}: option ${option} is "${value}"; it must be an IPv4 address, four numbers from 0 to 255`);
  }
  return address;
}

/** A callback; null and a missing one are the same. @throws TypeError */
export function checkCallback<T>(name: string, option: string, value: T | null | undefined): T | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== "function") throw new TypeError(`${name}: option ${option} is ${describe(value)}; it must be a function or null`);
  return value;
}

/** A data format. @throws RangeError */
export function checkFormat<T extends string>(name: string, value: unknown, formats: readonly T[]): T {
  for (const format of formats) if (value === format) return format;
  throw new RangeError(`${name}: format is ${describe(value)}; it must be ${formats.map((format) => `"${format}"`).join(" or ")}`);
}

/**
 * The bytes of a buffer, in place. Buffers in flash (Moddable's HostBuffer) are bytes as well.
 * @throws TypeError for anything else, detached buffers included
 */
export function checkBytes(name: string, value: unknown): Uint8Array {
  const buffer = value as { readonly byteLength?: unknown; readonly BYTES_PER_ELEMENT?: number };
  if (ArrayBuffer.isView(value)) {
    if ((buffer.BYTES_PER_ELEMENT ?? 1) === 1) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  } else if (typeof value === "object" && value !== null && typeof buffer.byteLength === "number") {
    const bytes = new Uint8Array(value as ArrayBuffer);
    if (bytes.buffer === value) return bytes;
  }
  throw new TypeError(`${name}: data is ${describe(value)}; it must be an ArrayBuffer, Uint8Array, Int8Array or DataView`);
}

/** A value for a text: symbols and objects too. */
export function describe(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}

/** What a method of an instance that is closed, or of something else, throws; as XS does for its own host objects. */
export function closedError(name: string): SyntaxError {
  return new SyntaxError(`${name}: this is closed, or no ${name}`);
}
