/** tbf beside the kernel's: the same trains of frames, recorded by tbf-trains.py; the same frames come out, at the same times. */
import { readFileSync } from "node:fs";
import test from "ava";
import { jiffies } from "../../../src/lib/timer.ts";
import { devOpen, unregisterNetdev } from "../../../src/netif/dev.ts";
import { qdiscSetTbf, schedInit } from "../../../src/netif/sched/sch-api.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import { ETH_P_IP } from "../../../src/uapi/if-ether.ts";
import { bootNetif, BROADCAST, fakeDevice, frame, MAC1, packet, poolsInUse, register, runTo, settle } from "./harness.ts";

type Shape = readonly [rate: number, burst: number, limit: number, peak: number, mtu: number];
type Train = readonly [shape: Shape, sent: readonly (readonly [ms: number, length: number])[], out: readonly (readonly [number: number, ms: number])[]];
interface Recorded { readonly kernel: string; readonly trains: readonly Train[] }

const recorded = JSON.parse(readFileSync(new URL("tbf-trains.json", import.meta.url), "utf8")) as Recorded;
/** The clock has milliseconds and a timer is never early; the recording's reader had delays of its own. */
const TOLERANCE_MS = 1.5;

function through([shape, sent]: Train): { numbers: number[]; times: Map<number, number> } {
  bootNetif(256);
  schedInit();
  const eth0 = register(fakeDevice());
  devOpen(eth0);
  qdiscSetTbf(eth0, ...shape);
  const start = jiffies;
  const times = new Map<number, number>();
  const collect = (): void => {
    for (const bytes of eth0.sent.splice(0)) times.set((bytes[14]! << 8) | bytes[15]!, jiffies - start);
  };
  const until = (ms: number): void => {
    while (jiffies - start < ms) {
      runTo(jiffies + 1);
      collect();
    }
  };
  for (const [number, [ms, length]] of sent.entries()) {
    until(Math.round(ms));
    devQueueXmit(packet(eth0, frame(BROADCAST, MAC1, ETH_P_IP, [number >> 8, number & 255, ...new Uint8Array(length - 16)])));
    collect();
  }
  until(jiffies - start + (1000 * shape[2]) / shape[0] + 10);
  unregisterNetdev(eth0);
  settle();
  return { numbers: [...times.keys()].sort((a, b) => a - b), times };
}

for (const [number, train] of recorded.trains.entries()) {
  const [[rate, burst, limit, peak], sent, out] = train;
  test.serial(`train ${number + 1}: ${rate} bytes/s, burst ${burst}, limit ${limit}${peak > 0 ? `, peak ${peak}` : ""}, as Linux ${recorded.kernel}`, (t) => {
    const ours = through(train);
    t.deepEqual(ours.numbers, out.map(([n]) => n), "the same frames are dropped");
    const apart = out.map(([n, ms]) => ours.times.get(n)! - ms);
    const worst = Math.max(...apart.map(Math.abs));
    t.true(worst <= TOLERANCE_MS, `${worst.toFixed(2)} ms apart`);
    t.log(`${out.length} of ${sent.length} frames came out, at most ${worst.toFixed(2)} ms apart`);
    t.is(poolsInUse(), 0);
  });
}
