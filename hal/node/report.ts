/**
 * The end of a board on Node: what it gave back and what it counted, as one line of JSON for scripts and tests.
 *
 * Timers of minutes (TIME_WAIT, a peer that vanished) are not waited for: once frames have stopped, the clock is skipped
 * to one deadline after the other until the pools are as full as at the start.
 */
import { type Net, type NetDevice, poolForEach, poolsInUse } from "../../src/index.ts";
import { SKB_DROP_REASON_MAX, SKB_DROP_REASON_NAMES } from "../../src/uapi/drop-reason.ts";
import { SNMP_NAMES } from "../../src/uapi/snmp.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { skbDropCount } from "../../src/stack/core/skbuff.ts";
import { fibFlushCached } from "../../src/stack/ipv4/fib-sync.ts";
import { skipTime } from "./platform.ts";

/** Longest virtual time in which everything has to come back: TCP's 15 retries are over by then. */
const RUN_OUT_MS = 3_600_000;

export interface PoolReport {
  readonly name: string;
  readonly size: number;
  readonly inUse: number;
  readonly peak: number;
  readonly failures: number;
}

export interface BoardReport {
  readonly pools: readonly PoolReport[];
  /** Pool objects that the sketch held when it had started, and at the end; the device and what is its own not counted. */
  readonly inUseAtStart: number;
  readonly inUseAtEnd: number;
  /** SNMP counters that are not 0. */
  readonly counters: Readonly<Record<string, number>>;
  /** Packets dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  readonly device: Readonly<Record<string, number>>;
}

function named(names: readonly string[], values: ArrayLike<number>): Record<string, number> {
  const record: Record<string, number> = {};
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) record[names[i] ?? String(i)] = values[i]!;
  return record;
}

/**
 * Takes the device away, and with it addresses, routes, what they cached, and neighbours; then lets timers run out until
 * the pools are as full as at the start.
 */
function runOut(net: Net, dev: NetDevice, step: () => boolean | number, inUseAtStart: number): void {
  unregisterNetdev(dev);
  let passed = 0;
  while (passed < RUN_OUT_MS) {
    const delay = net.poll();
    if (step() === true || delay === 0) continue;
    fibFlushCached(net);
    if (delay < 0 || poolsInUse() <= inUseAtStart) return;
    skipTime(delay);
    passed += delay;
  }
}

/** Ends the stack's activity and says what is left. The run loop is stopped before; the device is gone after. */
export function finalReport(net: Net, dev: NetDevice, step: () => boolean | number, inUseAtStart: number): BoardReport {
  const counters = named(SNMP_NAMES, net.mib);
  const drops = named(SKB_DROP_REASON_NAMES, Array.from({ length: SKB_DROP_REASON_MAX }, (_, reason) => skbDropCount(reason)));
  runOut(net, dev, step, inUseAtStart);
  const pools: PoolReport[] = [];
  poolForEach(({ name, size, inUse, peak, failures }) => pools.push({ name, size, inUse, peak, failures }));
  return { pools, inUseAtStart, inUseAtEnd: poolsInUse(), counters, drops, device: { ...dev.stats } };
}
