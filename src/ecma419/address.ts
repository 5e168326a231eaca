/** IPv4 addresses as ECMA-419 writes them: four decimal numbers with points between (clause 5.2). Owns nothing. */

/** "10.0.0.1" for an int32. */
export function formatAddress(addr: number): string {
  return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`;
}

/** The address in a text as an int32, or null: exactly four numbers from 0 to 255, decimal, without leading zeros. */
export function parseAddress(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let addr = 0;
  for (const part of parts) {
    const value = Number(part);
    if (String(value) !== part || !(value >= 0 && value <= 255) || value % 1 !== 0) return null;
    addr = (addr << 8) | value;
  }
  return addr;
}
