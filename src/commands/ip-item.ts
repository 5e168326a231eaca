/**
 * One thing that a listing of `ip` shows, told once: as text, and as the object that `-json` prints. iproute2's counterpart is
 * lib/json_print.c, whose keys, order and layout of `-pretty` these are.
 */

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export class Item {
  text = "";
  readonly json: Record<string, JsonValue> = {};

  /** What only people read. */
  say(text: string): this {
    this.text += text;
    return this;
  }

  /** What only programs read. */
  note(key: string, value: JsonValue): this {
    this.json[key] = value;
    return this;
  }

  /** What both do. @param text how it reads; else the value and a blank */
  put(key: string, value: JsonValue, text = `${String(value)} `): this {
    this.json[key] = value;
    this.text += text;
    return this;
  }
}

/** A value over several lines: four blanks for each level, lists on the line of their brackets. */
function pretty(value: JsonValue, level: number): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return value.length === 0 ? "[ ]" : `[ ${value.map((one: JsonValue) => pretty(one, level + 1)).join(",")} ]`;
  const indent = "    ".repeat(level);
  const fields = Object.entries(value).map(([key, field]) => `\n${indent}    ${JSON.stringify(key)}: ${pretty(field, level + 1)}`);
  return fields.length === 0 ? "{}" : `{${fields.join(",")}\n${indent}}`;
}

/** The line or lines of a list of objects. */
export function formatJson(items: readonly Item[], lines: boolean): string {
  const values = items.map((item) => item.json);
  return `${lines ? pretty(values, 0) : JSON.stringify(values)}\n`;
}

/** A counter with three digits and k, M, G, T, P or E behind it (-human); with -iec in steps of 1024, "Ki". */
export function humanNumber(value: number, iec: boolean): string {
  const base = iec ? 1024 : 1000;
  const letters = "kMGTPE";
  let scaled = value;
  let unit = -1;
  while (scaled >= base && unit + 1 < letters.length) {
    scaled /= base;
    unit++;
  }
  if (unit < 0) return String(value);
  const digits = scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)}${letters[unit]}${iec ? "i" : ""}`;
}
