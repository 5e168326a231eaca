/**
 * packetdrill's script language as data: options, an init command, and events with their times. Written from the language's
 * documentation; packets are in packet-spec.ts, call arguments in values.ts.
 */
import { type PacketSpec, parsePacket } from "./packet-spec.ts";
import { Scanner } from "./scanner.ts";
import { parseValue, type Value } from "./values.ts";

/** When an event is due, in microseconds. */
export interface When {
  readonly kind: "absolute" | "relative" | "any";
  readonly us: number;
  /** The last moment, of a range. */
  readonly untilUs: number | null;
}

export interface Syscall {
  readonly kind: "syscall";
  readonly name: string;
  readonly args: readonly Value[];
  /** null: not looked at. */
  readonly result: number | null;
  readonly errno: string | null;
  /** When a call that waits returns, in microseconds: counted from where its begin is counted from. */
  readonly endUs: number | null;
}

export interface PacketEvent {
  readonly kind: "packet";
  readonly packet: PacketSpec;
}

export interface Command {
  readonly kind: "command";
  readonly text: string;
}

export interface Code {
  readonly kind: "code";
  readonly text: string;
}

export interface ScriptEvent {
  readonly line: number;
  readonly when: When;
  readonly action: Syscall | PacketEvent | Command | Code;
}

export interface Script {
  readonly options: ReadonlyMap<string, string>;
  readonly init: string | null;
  readonly events: readonly ScriptEvent[];
}

const US = 1_000_000;
const DECIMAL = /\d*\.\d+|\d+/y;
const BACK_QUOTED = /`((?:\\[^]|[^`])*)`/y;
const NAME = /[A-Za-z_]\w*/y;

function seconds(scanner: Scanner): number {
  return Math.round(Number(scanner.need(DECIMAL, "a time")[0]) * US);
}

function parseMoment(scanner: Scanner): { relative: boolean; us: number } {
  const relative = scanner.accept("+");
  return { relative, us: seconds(scanner) };
}

/** A time, or none: an event without one is due at once. */
function parseWhen(scanner: Scanner): When {
  if (scanner.accept("*")) return { kind: "any", us: 0, untilUs: null };
  if (!scanner.peek(/\+|\d*\.?\d/y)) return { kind: "relative", us: 0, untilUs: null };
  const { relative, us } = parseMoment(scanner);
  let untilUs: number | null = null;
  if (scanner.accept("~")) untilUs = parseMoment(scanner).us;
  return { kind: relative ? "relative" : "absolute", us, untilUs };
}

function parseSyscall(scanner: Scanner, endUs: number | null): Syscall {
  const name = scanner.need(NAME, "a system call")[0];
  scanner.expect("(");
  const args: Value[] = [];
  while (!scanner.accept(")")) {
    args.push(parseValue(scanner));
    if (!scanner.peek(/\)/y)) scanner.expect(",");
  }
  scanner.expect("=");
  const result = scanner.accept("?") ? null : Number(scanner.need(/-?0x[0-9a-fA-F]+|-?\d+/y, "a result")[0]);
  const errno = result === null || result >= 0 ? null : (scanner.match(/E[A-Z0-9]+/y)?.[0] ?? null);
  scanner.match(/\([^)]*\)/y);
  return { kind: "syscall", name, args, result, errno, endUs };
}

function parseEvent(scanner: Scanner): ScriptEvent {
  const line = scanner.line;
  const when = parseWhen(scanner);
  if (scanner.accept("...")) {
    return { line, when, action: parseSyscall(scanner, parseMoment(scanner).us) };
  }
  const command = scanner.match(BACK_QUOTED);
  if (command !== null) return { line, when, action: { kind: "command", text: command[1]! } };
  const code = scanner.match(/%\{([^]*?)\}%/y);
  if (code !== null) return { line, when, action: { kind: "code", text: code[1]! } };
  const packet = parsePacket(scanner);
  if (packet !== null) return { line, when, action: { kind: "packet", packet } };
  return { line, when, action: parseSyscall(scanner, null) };
}

/** @throws ScriptError naming the line */
export function parseScript(text: string): Script {
  const scanner = new Scanner(text);
  const options = new Map<string, string>();
  for (;;) {
    const option = scanner.match(/--(\w+)(?:=(\S+))?/y);
    if (option === null) break;
    options.set(option[1]!, option[2] ?? "");
  }
  const init = scanner.match(BACK_QUOTED)?.[1] ?? null;
  const events: ScriptEvent[] = [];
  // A command at the very end, without a time, cleans up.
  while (!scanner.atEnd) events.push(parseEvent(scanner));
  return { options, init, events };
}
