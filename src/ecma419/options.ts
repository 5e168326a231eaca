/**
 * What the constructors of ECMA-419 check: options and their ranges, callbacks, buffers. ECMA-419 clauses 8 (base class), 9 (IO
 * class) and annex A. Every exception names the class, the option, its value and what it may be. Owns nothing.
 *
 * Numbers and texts are converted as everywhere in the language, and then looked at. Which exception: a value of another type is a
 * TypeError, one out of range a RangeError, a missing one an Error, as Moddable's tests of these classes ask for (the standard only
 * asks for some exception).
 */
import { parseAddress } from "./address.ts";

/** What holds bytes: ArrayBuffer of any kind, or a view of bytes. */
export type ByteBuffer = ArrayBufferLike | Uint8Array | Uint8ClampedArray | Int8Array | DataView;

/** @throws what is the matter with an option or an argument */
export function refuse(name: string, option: string, value: unknown, range: string, kind: ErrorConstructor = TypeError): never {
  throw new kind(`${name}: ${option} is ${describe(value)}; it must be ${range}`);
}

/** What is wrong with a value that would be converted: it is missing, its type (symbols cannot be), or its range. */
function kindOf(value: unknown): ErrorConstructor {
  return value === undefined ? Error : typeof value === "symbol" ? TypeError : RangeError;
}

/** The options object itself. @throws TypeError when it is none */
export function checkOptions<T extends object>(name: string, options: T): T {
  const given: unknown = options;
  if (typeof given === "object" && given !== null) return options;
  return refuse(name, "options", given, "an object");
}

/** A whole number in a range. @throws Error when missing, TypeError for a symbol, RangeError */
export function checkInteger(name: string, option: string, value: unknown, min: number, max: number): number {
  const number = typeof value === "symbol" ? NaN : Number(value);
  if (number >= min && number <= max && number % 1 === 0) return number;
  return refuse(name, option, value, `a whole number from ${min} to ${max}`, kindOf(value));
}

/** A number of bytes, or of ms: a positive integer. @throws as checkInteger() */
export function checkPositive(name: string, option: string, value: unknown): number {
  return checkInteger(name, option, value, 1, Number.MAX_SAFE_INTEGER);
}

/** A port. @throws as checkInteger() */
export function checkPort(name: string, value: unknown): number {
  return checkInteger(name, "port", value, 0, 65535);
}

/** An IPv4 address, four decimal numbers, as an int32. @throws Error when missing, TypeError for a symbol, RangeError */
export function checkAddress(name: string, option: string, value: unknown): number {
  return parseAddress(String(value)) ?? refuse(name, option, value, "an IPv4 address, four numbers from 0 to 255", kindOf(value));
}

/** A callback; null and a missing one are the same. @throws TypeError */
export function checkCallback<T>(name: string, option: string, value: T | null | undefined): T | null {
  if (value === undefined || value === null) return null;
  return typeof value === "function" ? value : refuse(name, option, value, "a function or null");
}

/** A data format. @throws TypeError for a symbol, RangeError */
export function checkFormat<T extends string>(name: string, value: unknown, formats: readonly T[]): T {
  for (const format of formats) if (format === String(value)) return format;
  return refuse(name, "format", value, `"${formats.join("\" or \"")}"`, kindOf(value));
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
  return refuse(name, "data", value, "an ArrayBuffer, Uint8Array, Int8Array or DataView");
}

/** A value for a text: symbols and objects too. */
function describe(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}

/** What a method of an instance that is closed, or of something else, throws; as XS does for its own host objects. */
export function closedError(name: string): SyntaxError {
  return new SyntaxError(`${name}: this is closed, or no ${name}`);
}
