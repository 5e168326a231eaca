/**
 * Sysctls by their Linux names: tcp_syn_retries of net.ipv4 is the namespace's field tcpSynRetries. Sysctls of several
 * numbers have a field for each (…Low/High, …Min/Default/Max) or one array.
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Net } from "../../src/stack/core/net.ts";
import { tcpSetDefaultCongestionControl } from "../../src/stack/ipv4/tcp-cong.ts";
import { tcpFastopenSetKey } from "../../src/stack/ipv4/tcp-fastopen-key.ts";

/** How the fields of a sysctl of two or three numbers end. */
const ENDINGS: readonly (readonly string[])[] = [["Low", "High"], ["Min", "Default", "Max"]];
const PROC = "/proc/sys/net/";

type Fields = Record<string, unknown>;

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function setField(fields: Fields, key: string, value: number): boolean {
  if (typeof fields[key] !== "number") return false;
  fields[key] = value;
  return true;
}

function setMany(fields: Fields, key: string, values: readonly number[]): boolean {
  const whole = fields[key];
  if (whole instanceof Int32Array) {
    whole.set(values.slice(0, whole.length));
    return true;
  }
  const endings = ENDINGS.find((list) => list.length === values.length);
  if (endings === undefined) return false;
  return endings.map((ending, i) => setField(fields, key + ending, values[i]!)).every((done) => done);
}

/** The keys of Fast Open: four words each, and a comma between them. */
function setKeys(net: Net, text: string): boolean {
  return tcpFastopenSetKey(net, text.split(/[-,]/).map((word) => parseInt(word, 16) | 0)) === 0;
}

/**
 * Sets one sysctl. @param name as after net., with dots or slashes: ipv4.tcp_sack, core/somaxconn
 * @returns false when this stack has no such sysctl, or not such a value
 */
export function setSysctl(net: Net, name: string, value: string): boolean {
  const parts = name.split(/[./]/);
  if (parts[0] !== "ipv4" && parts[0] !== "core") return false;
  if (parts.length !== 2) return false;
  const fields = net.ipv4 as unknown as Fields;
  const key = camel(parts[1]!);
  const text = value.trim();
  if (key === "tcpFastopenKey") return setKeys(net, text);
  if (key === "tcpCongestionControl") return tcpSetDefaultCongestionControl(net, text) === 0;
  const words = text.split(/[\s]+/);
  const numbers = words.map((word) => Number(word));
  if (numbers.some((number) => Number.isNaN(number))) return false;
  if (numbers.length > 1) return setMany(fields, key, numbers);
  return setField(fields, key, numbers[0]!) || setField(fields, `${key}Ms`, numbers[0]!);
}

/** The text of a sysctl of this process's own network namespace, or null. */
export function hostSysctl(name: string): string | null {
  try {
    return readFileSync(PROC + name.replace(/\./g, "/"), "utf8").trim();
  } catch {
    return null;
  }
}

/** Gives the namespace the values of this process's own network namespace, but for the names of `except`. */
export function copyHostSysctls(net: Net, except: readonly string[]): void {
  for (const name of readdirSync(`${PROC}ipv4`)) {
    if (except.includes(name)) continue;
    const value = hostSysctl(`ipv4/${name}`);
    if (value !== null) setSysctl(net, `ipv4/${name}`, value);
  }
  const somaxconn = hostSysctl("core/somaxconn");
  if (somaxconn !== null) setSysctl(net, "core/somaxconn", somaxconn);
}
