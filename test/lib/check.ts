/**
 * What a test expects of a frame: checks that combine. `isTcp({ flags: "SA", ack: 1 }, hasIp({ ttl: 64 }))` is one; each
 * answers null, or what is wrong. Checksums are always part of it.
 */
import { isDeepStrictEqual } from "node:util";
import { type Frame, describeFrame, type TcpOptions } from "./frames.ts";

export type Check = (frame: Frame) => string | null;

/** A field's expected value, or a function that says whether a value will do. */
type Expected<T> = { readonly [K in keyof T]?: T[K] | ((value: T[K]) => boolean) };

function compare<T extends object>(layer: string, actual: T | undefined, expected: Expected<T>): string | null {
  if (actual === undefined) return `it is not ${layer}`;
  for (const key of Object.keys(expected) as (keyof T & string)[]) {
    const want: unknown = expected[key];
    const got = actual[key];
    const good = typeof want === "function" ? (want as (value: unknown) => boolean)(got) : isDeepStrictEqual(got, want);
    if (!good) return `${layer} ${key} is ${JSON.stringify(got)}${typeof want === "function" ? "" : `, expected ${JSON.stringify(want)}`}`;
  }
  return null;
}

function together(checks: readonly Check[]): Check {
  return (frame) => {
    if (frame.badChecksums.length > 0) return `wrong checksum: ${frame.badChecksums.join(", ")}`;
    for (const check of checks) {
      const wrong = check(frame);
      if (wrong !== null) return wrong;
    }
    return null;
  };
}

export function hasEthernet(expected: Expected<Pick<Frame, "dst" | "src" | "type">>): Check {
  return (frame) => compare("Ethernet", frame, expected);
}

export function hasIp(expected: Expected<NonNullable<Frame["ip"]>>): Check {
  return (frame) => compare("IP", frame.ip, expected);
}

/** TCP's fields; `length` is that of the payload. */
export function isTcp(
  expected: Expected<NonNullable<Frame["tcp"]>> & { readonly length?: number } = {}, ...more: readonly Check[]
): Check {
  const { length, ...fields } = expected;
  const sized: Check = ({ tcp }) =>
    length === undefined || tcp?.payload.length === length ? null : `TCP carries ${tcp?.payload.length} bytes, expected ${length}`;
  return together([(frame) => compare("TCP", frame.tcp, fields), sized, ...more]);
}

/** These TCP options have these values; others may be there. */
export function hasTcpOptions(expected: Expected<TcpOptions>): Check {
  return (frame) => compare("TCP option", frame.tcp?.options, expected);
}

export function isUdp(expected: Expected<NonNullable<Frame["udp"]>> = {}, ...more: readonly Check[]): Check {
  return together([(frame) => compare("UDP", frame.udp, expected), ...more]);
}

export function isIcmp(expected: Expected<NonNullable<Frame["icmp"]>> = {}, ...more: readonly Check[]): Check {
  return together([(frame) => compare("ICMP", frame.icmp, expected), ...more]);
}

export function isArp(expected: Expected<NonNullable<Frame["arp"]>> = {}, ...more: readonly Check[]): Check {
  return together([(frame) => compare("ARP", frame.arp, expected), ...more]);
}

/** @throws Error with what is wrong and the frame */
export function assertFrame(frame: Frame, check: Check): void {
  const wrong = check(frame);
  if (wrong !== null) throw new Error(`${wrong}\n  in ${describeFrame(frame)}`);
}
