/** Rates, sizes and times as tc reads and prints them. iproute2's counterparts are lib/utils.c, lib/utils_math.c and tc/tc_util.c. */

const KIBI = 1024;
/** Bits for each second. */
const RATES: Readonly<Record<string, number>> = Object.freeze({
  "": 1, bit: 1, kibit: KIBI, kbit: 1e3, mibit: KIBI ** 2, mbit: 1e6, gibit: KIBI ** 3, gbit: 1e9, tibit: KIBI ** 4, tbit: 1e12, bps: 8,
  kibps: 8 * KIBI, kbps: 8e3, mibps: 8 * KIBI ** 2, mbps: 8e6, gibps: 8 * KIBI ** 3, gbps: 8e9, tibps: 8 * KIBI ** 4, tbps: 8e12,
});
/** Bytes. */
const SIZES: Readonly<Record<string, number>> = Object.freeze({
  "": 1, b: 1, k: KIBI, kb: KIBI, kbit: KIBI / 8, m: KIBI ** 2, mb: KIBI ** 2, mbit: KIBI ** 2 / 8, g: KIBI ** 3, gb: KIBI ** 3, gbit: KIBI ** 3 / 8,
});
/** Microseconds. */
const TIMES: Readonly<Record<string, number>> = Object.freeze({
  "": 1, us: 1, usec: 1, usecs: 1, ms: 1e3, msec: 1e3, msecs: 1e3, s: 1e6, sec: 1e6, secs: 1e6,
});

const U32_MAX = 0xffffffff;

/** A number with one of these units behind it, or -1. */
function parseUnits(word: string, units: Readonly<Record<string, number>>): number {
  const match = /^([0-9]+\.?[0-9]*|\.[0-9]+)([a-zA-Z]*)$/.exec(word);
  const unit = match === null ? undefined : units[match[2]!.toLowerCase()];
  return unit === undefined ? -1 : Number(match![1]) * unit;
}

/** Bytes for each second of a rate like 1.5mbit, or -1. iproute2: get_rate64() */
export function parseRate(word: string): number {
  const bits = parseUnits(word, RATES);
  return bits < 0 ? -1 : Math.floor(bits / 8);
}

/** Bytes of a size like 10kb, or -1. iproute2: get_size() */
export function parseSize(word: string): number {
  const bytes = Math.floor(parseUnits(word, SIZES));
  return bytes > U32_MAX ? -1 : bytes;
}

/** Microseconds of a time like 50ms, or -1. iproute2: get_time() */
export function parseTime(word: string): number {
  const us = Math.floor(parseUnits(word, TIMES));
  return us > U32_MAX ? -1 : us;
}

/** iproute2: tc_print_rate() */
export function rateText(bytesPerSecond: number): string {
  let rate = bytesPerSecond * 8;
  let unit = 0;
  const units = ["", "K", "M", "G", "T"];
  while (unit < units.length - 1 && rate >= 1000 && !(rate % 1000 !== 0 && rate < 1e6)) {
    rate /= 1000;
    unit++;
  }
  return `${Math.round(rate)}${units[unit]}bit`;
}

/** iproute2: print_size() */
export function sizeText(bytes: number): string {
  const mega = Math.round(bytes / KIBI ** 2);
  const kilo = Math.round(bytes / KIBI);
  if (bytes >= KIBI ** 2 && Math.abs(mega * KIBI ** 2 - bytes) < KIBI) return `${mega}Mb`;
  return bytes >= KIBI && Math.abs(kilo * KIBI - bytes) < 16 ? `${kilo}Kb` : `${bytes}b`;
}

/** Three digits that count, as printf's %.3g. */
function threeDigits(value: number): string {
  const text = value.toPrecision(3);
  const exponent = /^(.*)e\+(\d)$/.exec(text);
  return exponent === null ? String(Number(text)) : `${Number(exponent[1])}e+0${exponent[2]}`;
}

/** iproute2: print_time() */
export function timeText(us: number): string {
  if (us >= 1e6) return `${threeDigits(us / 1e6)}s`;
  return us >= 1e3 ? `${threeDigits(us / 1e3)}ms` : `${Math.floor(us)}us`;
}
