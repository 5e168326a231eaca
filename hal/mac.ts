/** Hardware addresses as text, and as the two numbers a NetDevice keeps: first 2 bytes, last 4. */

export interface MacAddress {
  readonly hi: number;
  readonly lo: number;
}

/** @throws TypeError when the text is not six hex bytes with colons, or the address a group's */
export function parseMac(text: string): MacAddress {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) {
    throw new TypeError(`mac is ${text}; it must be six bytes like 02:00:00:00:00:01`);
  }
  const digits = text.replaceAll(":", "");
  const hi = parseInt(digits.slice(0, 4), 16);
  if ((hi & 0x100) !== 0) throw new TypeError(`mac is ${text}; the lowest bit of its first byte must be 0 (not a group's)`);
  return { hi, lo: parseInt(digits.slice(4), 16) | 0 };
}

export function formatMac(hi: number, lo: number): string {
  const digits = hi.toString(16).padStart(4, "0") + (lo >>> 0).toString(16).padStart(8, "0");
  return digits.match(/../g)!.join(":");
}
