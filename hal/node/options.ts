/** The command line of `npm run board`: what it means, and what is wrong with it. */
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ConfigOptions } from "../../src/index.ts";
import { checkImpairment, type Impairment } from "../mock/impair.ts";
import { parseMac } from "../mac.ts";

export const EXAMPLES = new URL("../../examples/", import.meta.url);

/** Something the user can put right: shown without a stack trace. */
export class UserError extends Error {}

/** A mistake in the command line: shown with the usage. */
export class UsageError extends UserError {}

export interface Forward {
  readonly hostPort: number;
  readonly boardPort: number;
}

export interface BoardOptions {
  readonly sketch: string;
  readonly sketchArgs: readonly string[];
  readonly config: ConfigOptions;
  /** net.ipv4 settings by their name in Linux (tcp_sack). */
  readonly sysctls: Readonly<Record<string, number>>;
  readonly tap: string | undefined;
  /** A second TAP, whose device has no address yet and is down: a sketch's to set up. */
  readonly tap2: string | undefined;
  /** The board's address in host order, and its prefix length. */
  readonly addr: number;
  readonly prefixLength: number;
  /** Default gateway, 0 for none. */
  readonly gateway: number;
  /** Address and gateway come from a DHCP server instead. */
  readonly dhcp: boolean;
  /** Answers to that name with .local behind it. */
  readonly mdns: string | undefined;
  readonly mac: string | undefined;
  readonly mtu: number | undefined;
  readonly forwards: readonly Forward[];
  readonly pcap: string | undefined;
  readonly snaplen: number | undefined;
  readonly impairment: Impairment | undefined;
}

export const USAGE = `usage: npm run board -- SKETCH [options] [-- SKETCH ARGUMENTS]

  SKETCH                  a folder of examples/: ${sketches().join(", ")}
  --tap NAME              on this Linux TAP (made if it does not exist; takes root or unshare -rn); without it on a
                          simulated ENC28J60, 10 Mbit/s, at a virtual wire
  --tap2 NAME             a second port on that TAP, without an address and down: the sketch sets it up
  --forward HOST:BOARD    at the virtual wire: forwards 127.0.0.1:HOST to the board's TCP port BOARD (may be repeated)
  --addr A/L              the board's address (10.0.0.2/24)
  --gateway A             default route
  --dhcp                  all that from a DHCP server; at the virtual wire that is the other end, which gives --addr
  --mdns NAME             answers to NAME.local (mDNS)
  --mac M  --mtu N        the device's address and MTU
  --preset P              tiny, small, default or host; single sizes by --set OPTION=NUMBER (may be repeated)
  --sysctl NAME=NUMBER    a setting of net.ipv4 by its name in Linux, as tcp_sack=0 (may be repeated)
  --pcap FILE  --snap N   captures every frame, or its first N bytes
  --loss 0.02 --delay 20 --jitter 10 --reorder 0.05 --duplicate 0.01 --corrupt 0.001 --rate 10 --seed 7
                          a bad line, both ways: probabilities, ms, Mbit/s`;

/** The names of all examples that can be run. */
export function sketches(): string[] {
  return readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(new URL(`${entry.name}/`, EXAMPLES)).includes("main.ts"))
    .map((entry) => entry.name)
    .sort();
}

/** A dotted address as the stack has it. @throws UsageError */
export function parseAddress(text: string, option: string): number {
  const bytes = text.split(".").map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  if (bytes.length !== 4 || bytes.some((byte) => byte > 255)) {
    throw new UsageError(`${option} is ${text}; it must be an address like 10.0.0.2`);
  }
  return bytes.reduce((value, byte) => (value << 8) | byte, 0);
}

export function formatAddress(addr: number): string {
  return [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join(".");
}

function parseNumber(text: string | undefined, option: string, scale = 1): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new UsageError(`--${option} is ${text}; it must be a number`);
  return value * scale;
}

function parsePort(text: string, what: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new UsageError(`${what} is ${text}; it must be a port from 0 to 65535`);
  return port;
}

function parseForward(text: string): Forward {
  const [host, board, ...more] = text.split(":");
  if (host === undefined || board === undefined || more.length > 0) {
    throw new UsageError(`--forward is ${text}; it must be HOST:BOARD, two ports like 8080:80`);
  }
  return { hostPort: parsePort(host, "--forward's host port"), boardPort: parsePort(board, "--forward's board port") };
}

/** Words NAME=NUMBER of an option that may be repeated. */
function parseSettings(words: unknown, option: string): Record<string, number> {
  const settings: Record<string, number> = {};
  for (const word of (words ?? []) as readonly string[]) {
    const [name, value] = word.split("=");
    settings[name!] = parseNumber(value ?? "", option) ?? 0;
  }
  return settings;
}

type Texts = Readonly<Record<string, string | undefined>>;

function parseImpairment(texts: Texts): Impairment | undefined {
  const settings: Impairment = {
    loss: parseNumber(texts["loss"], "loss"),
    delayMs: parseNumber(texts["delay"], "delay"),
    jitterMs: parseNumber(texts["jitter"], "jitter"),
    reorder: parseNumber(texts["reorder"], "reorder"),
    duplicate: parseNumber(texts["duplicate"], "duplicate"),
    corrupt: parseNumber(texts["corrupt"], "corrupt"),
    rateBps: parseNumber(texts["rate"], "rate", 1e6),
  };
  if (Object.values(settings).every((value) => value === undefined)) return undefined;
  try {
    checkImpairment(settings);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  return { ...settings, seed: parseNumber(texts["seed"], "seed") };
}

function checkMac(mac: string | undefined): void {
  if (mac === undefined) return;
  try {
    parseMac(mac);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const TEXT_OPTIONS = [
  "tap", "tap2", "addr", "gateway", "mdns", "mac", "mtu", "preset", "pcap", "snap", "loss", "delay", "jitter", "reorder",
  "duplicate", "corrupt", "rate", "seed",
] as const;

/** @throws UsageError saying what is wrong */
export function parseBoardOptions(args: readonly string[]): BoardOptions {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  let parsed;
  try {
    parsed = parseArgs({
      args: [...own],
      options: {
        ...Object.fromEntries(TEXT_OPTIONS.map((name) => [name, { type: "string" as const }])),
        dhcp: { type: "boolean" },
        forward: { type: "string", multiple: true },
        set: { type: "string", multiple: true },
        sysctl: { type: "string", multiple: true },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const texts = parsed.values as Texts;
  const [sketch, ...more] = parsed.positionals;
  if (sketch === undefined) throw new UsageError("no SKETCH given");
  if (more.length > 0) throw new UsageError(`unexpected ${more.join(" ")}; a sketch's own arguments come after --`);
  if (!sketches().includes(sketch)) throw new UsageError(`there is no sketch ${sketch} in examples/`);
  const forwards = ((parsed.values["forward"] ?? []) as string[]).map(parseForward);
  if (texts["tap"] !== undefined && forwards.length > 0) {
    throw new UsageError("--tap and --forward exclude each other: on a TAP the board can be reached as it is");
  }
  if (texts["tap2"] !== undefined && texts["tap"] === undefined) throw new UsageError("--tap2 is a second port beside that of --tap");
  const [address, length = "24"] = (texts["addr"] ?? "10.0.0.2/24").split("/");
  const prefixLength = Number(length);
  if (!/^\d+$/.test(length) || prefixLength > 32) throw new UsageError(`--addr has the prefix length ${length}; it must be 0 to 32`);
  checkMac(texts["mac"]);
  return {
    sketch,
    sketchArgs: end < 0 ? [] : args.slice(end + 1),
    // boot() checks names and ranges itself.
    config: { preset: texts["preset"] ?? "default", ...parseSettings(parsed.values["set"], "set") } as ConfigOptions,
    sysctls: parseSettings(parsed.values["sysctl"], "sysctl"),
    tap: texts["tap"],
    tap2: texts["tap2"],
    addr: parseAddress(address!, "--addr"),
    prefixLength,
    gateway: texts["gateway"] === undefined ? 0 : parseAddress(texts["gateway"], "--gateway"),
    dhcp: parsed.values["dhcp"] === true,
    mdns: texts["mdns"],
    mac: texts["mac"],
    mtu: parseNumber(texts["mtu"], "mtu"),
    forwards,
    pcap: texts["pcap"],
    snaplen: parseNumber(texts["snap"], "snap"),
    impairment: parseImpairment(texts),
  };
}
