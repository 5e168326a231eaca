/**
 * Fixed typed-array tables (hash heads, columns of slabs, counters), registered by name so that the memory budget sees
 * every byte. Boot time only. Linux: alloc_large_system_hash() and its boot messages.
 */
import { account } from "./account.ts";

export function uint8Table(name: string, length: number): Uint8Array {
  return account(name, new Uint8Array(length));
}

export function int16Table(name: string, length: number): Int16Array {
  return account(name, new Int16Array(length));
}

export function uint16Table(name: string, length: number): Uint16Array {
  return account(name, new Uint16Array(length));
}

export function int32Table(name: string, length: number): Int32Array {
  return account(name, new Int32Array(length));
}

export function uint32Table(name: string, length: number): Uint32Array {
  return account(name, new Uint32Array(length));
}
