/**
 * Arguments of system calls: numbers, symbols joined by |, text, `...`, lists [a, b] and structures {name=value}, to any
 * depth. What a symbol stands for is asked of the stack's own uapi.
 */
import * as errno from "../../src/uapi/errno.ts";
import * as fcntl from "../../src/uapi/fcntl.ts";
import * as inet from "../../src/uapi/in.ts";
import * as ioctl from "../../src/uapi/ioctl.ts";
import * as poll from "../../src/uapi/poll.ts";
import * as sock from "../../src/uapi/socket.ts";
import * as tcp from "../../src/uapi/tcp.ts";
import * as udp from "../../src/uapi/udp.ts";
import { addressNumber } from "../lib/frames.ts";
import type { Scanner } from "./scanner.ts";

export type Value = number | string | Ellipsis | readonly Value[] | Structure;
/** `...`: whatever the call usually has there. */
export interface Ellipsis {
  readonly ellipsis: true;
}
export interface Structure {
  readonly fields: ReadonlyMap<string, Value>;
}

const SYMBOLS: Readonly<Record<string, unknown>> = {
  ...errno, ...fcntl, ...inet, ...ioctl, ...poll, ...sock, ...tcp, ...udp, NULL: 0,
};

/** What a name of the uapi stands for; null when it has no such name. */
export function symbolValue(name: string): number | null {
  const value = SYMBOLS[name];
  return typeof value === "number" ? value : null;
}

function parseFields(scanner: Scanner): Structure {
  const fields = new Map<string, Value>();
  while (!scanner.accept("}")) {
    if (scanner.accept("...")) fields.set(fields.has("base") ? "rest" : "base", { ellipsis: true });
    else {
      const name = scanner.match(/([A-Za-z_]\w*)\s*(?:\([^)]*\)\s*)?=(?!=)/y);
      if (name !== null) fields.set(name[1]!, parseValue(scanner));
      else fields.set(String(fields.size), parseValue(scanner));
    }
    if (!scanner.peek(/\}/y)) scanner.expect(",");
  }
  return { fields };
}

function parseTerm(scanner: Scanner): number {
  const number = scanner.match(/-?0x[0-9a-fA-F]+|-?\d+/y);
  if (number !== null) return Number(number[0]);
  const address = scanner.match(/inet_addr\s*\(\s*"([\d.]+)"\s*\)/y);
  if (address !== null) return addressNumber(address[1]!);
  const port = scanner.match(/htons\s*\(\s*(\d+)\s*\)/y);
  if (port !== null) return Number(port[1]);
  const name = scanner.need(/[A-Za-z_]\w*/y, "a value")[0];
  return symbolValue(name) ?? scanner.fail(`unknown symbol ${name}`);
}

export function parseValue(scanner: Scanner): Value {
  if (scanner.accept("...")) return { ellipsis: true };
  const text = scanner.match(/"((?:\\.|[^"\\])*)"/y);
  if (text !== null) return text[1]!;
  if (scanner.accept("{")) return parseFields(scanner);
  if (scanner.accept("[")) {
    const list: Value[] = [];
    while (!scanner.accept("]")) {
      list.push(parseValue(scanner));
      if (!scanner.peek(/\]/y)) scanner.expect(",");
    }
    return list;
  }
  let value = parseTerm(scanner);
  while (scanner.accept("|")) value |= parseTerm(scanner);
  return value;
}

export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

export function isStructure(value: Value | undefined): value is Structure {
  return typeof value === "object" && "fields" in value;
}

export function isEllipsis(value: Value | undefined): boolean {
  return typeof value === "object" && "ellipsis" in value;
}
