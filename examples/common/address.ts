/** Addresses as people write them: a signed 32-bit number to the stack, four numbers with dots in text. */

export function formatIp(addr: number): string {
  return `${addr >>> 24}.${(addr >> 16) & 255}.${(addr >> 8) & 255}.${addr & 255}`;
}

/** @throws TypeError for what is no address */
export function parseIp(text: string): number {
  const parts = text.split(".").map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  if (parts.length !== 4 || parts.some((part) => part > 255)) throw new TypeError(`${text} is no address; it must be like 10.0.0.1`);
  return parts.reduce((value, part) => (value << 8) | part, 0);
}
