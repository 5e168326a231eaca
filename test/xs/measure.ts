/**
 * Measures the packet paths inside the real XS engine: compute units and heap slots for each packet, with the cost of the
 * traffic generator (the same frames built but not received) subtracted. Used by the XS tests and by `bench xs`.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ConfigOptions } from "../../src/config.ts";
import { type Delivery, XsWorker } from "./worker.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const BOOT = 1;
const FRAME = 2;
const MEASURE = 3;
const SERVE = 4;
const COLLECT = 5;
const ATTACH = 6;
const ROUTES = 7;
const LOOKUP = 8;
const SERVICES = 9;

/** Packets that each path of a service is measured over. */
export const SERVICE_PACKETS = 1_000;
/** Messages with bytes changed, for every service in turn: of these only the slots are looked at. */
export const NONSENSE_PATH = "services-nonsense";
/** Packets that each path is measured over. */
export const MEASURED_PACKETS = 10_000;

/** Packets before counting starts: ARP is resolved, queues and counters have seen everything once. */
const WARM_UP = 2_000;
/** What the measured board boots with; the paths' buffer is user memory. */
export const MEASURED_BOARD: ConfigOptions = { preset: "default" };

/** Packets of a dry run: its cost for each packet does not depend on how many. */
const DRY = 1_000;

export interface PathCost {
  readonly path: string;
  readonly computePerPacket: number;
  readonly slotsPerPacket: number;
}

/** Counts the bytes of every buffer the guest makes from here on in `globalThis.bufferBytes`. */
const COUNT_BUFFERS = `
globalThis.bufferBytes = 0;
for (const name of ["ArrayBuffer", "Uint8Array", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "Float64Array"]) {
  const Original = globalThis[name];
  globalThis[name] = new Proxy(Original, {
    construct(target, args) {
      if (typeof args[0] === "number") globalThis.bufferBytes += args[0] * (target.BYTES_PER_ELEMENT ?? 1);
      return Reflect.construct(target, args);
    },
  });
}`;

/** Slots that the worker's stack has left for a command: 4096 (xsnap-worker.c's stackCount) less the engine's own and the call below. */
const WORKER_STACK = 3_880;

/** From here on, commands run above so many arguments of a call. */
const takeStack = (slots: number): string => `
globalThis.wholeStack ??= globalThis.handleCommand;
globalThis.handleCommand = (message) => {
  const above = () => globalThis.wholeStack(message);
  return above.apply(undefined, new Array(${slots}).fill(0));
};`;

/** Makes a bundle anew: a stale one would be measured without anybody noticing. */
export function buildBundle(name = "xs"): void {
  const rollup = `${ROOT}node_modules/rollup/dist/bin/rollup`;
  execFileSync(process.execPath, [rollup, "--silent", "-c", "rollup.config.mjs", "--configOnly", name], { cwd: ROOT, stdio: "inherit" });
}

/** The bundle's text (the test command builds it before the XS tests run). */
function bundle(name: string): string {
  const file = `${ROOT}dist/linnet.${name}.js`;
  if (!existsSync(file)) buildBundle(name);
  return readFileSync(file, "utf8");
}

/** An XS engine with the stack in it. */
export class XsBoard {
  private readonly worker = new XsWorker();

  /** Starts the engine and loads the bundle of that name. */
  static async start(countBuffers = false, name = "xs"): Promise<XsBoard> {
    const board = new XsBoard();
    if (countBuffers) await board.worker.evaluate(COUNT_BUFFERS);
    await board.worker.evaluate(bundle(name));
    return board;
  }

  /** Boots the stack, with no device but loopback. @param parts with raw and packet sockets, multicast, VLANs and bridges */
  boot(options: ConfigOptions, parts = false): Promise<Delivery> {
    return this.command(BOOT, { options, parts });
  }

  /** Gives the booted stack eth0, up and with the address 10.0.0.2/24. @param chip an ENC28J60 by its driver */
  attach(chip = false): Promise<Delivery> {
    return this.command(ATTACH, { chip });
  }

  /** Leaves commands so many slots of the engine's stack, as a board has: it ends when they need more. */
  leaveStack(slots: number): Promise<void> {
    return this.worker.evaluate(takeStack(WORKER_STACK - slots));
  }

  /** Slots in use after a garbage collection. */
  async slotsInUse(): Promise<number> {
    return (await this.command(COLLECT, {})).meter.currentHeapCount;
  }

  /** Starts UDP echo and the HTTP page. */
  serve(): Promise<Delivery> {
    return this.command(SERVE, {});
  }

  /** Starts every service of the stack, as the memory budget does. */
  startServices(): Promise<Delivery> {
    return this.command(SERVICES, {});
  }

  /** Hands over a frame (none when empty) at a time in ms and returns the frames sent. */
  async exchange(nowMs: number, frame: Uint8Array): Promise<Uint8Array[]> {
    const message = Buffer.alloc(5 + frame.length);
    message[0] = FRAME;
    message.writeUInt32BE(nowMs, 1);
    message.set(frame, 5);
    const { reply } = await this.worker.deliver(message);
    const frames: Uint8Array[] = [];
    for (let at = 0; at < reply.length; ) {
      const length = reply.readUInt16BE(at);
      frames.push(reply.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    return frames;
  }

  /** Runs one path so often, from its beginning to its end. */
  async runPath(path: string, count: number): Promise<void> {
    for (const [name, packets] of [[path, count], ["", 0]] as const) await this.command(MEASURE, { path: name, count: packets, dry: false });
  }

  /** Runs one path and returns its cost for each of `count` packets. */
  async measure(path: string, count: number): Promise<PathCost> {
    const run = (packets: number, dry: boolean): Promise<Delivery> => this.command(MEASURE, { path, count: packets, dry });
    await run(WARM_UP, false);
    // What messages have left behind is not to be collected, and counted, while the path runs.
    await this.command(COLLECT, {});
    const before = await run(0, false);
    const wet = await run(count, false);
    const idle = await run(0, true);
    const dry = await run(DRY, true);
    // What a delivery costs by itself is in each of them.
    const bridge = idle.meter.currentHeapCount - wet.meter.currentHeapCount;
    const slots = wet.meter.currentHeapCount - before.meter.currentHeapCount - bridge;
    const compute = (wet.meter.compute - idle.meter.compute) / count - (dry.meter.compute - idle.meter.compute) / DRY;
    await this.command(MEASURE, { path: "", count: 0, dry: false });
    return { path, computePerPacket: Math.round(compute), slotsPerPacket: slots / count };
  }

  /** Enters so many routes like those of the Internet and returns the compute units of one lookup, the mean of `count`. */
  async measureLookups(prefixes: number, count: number): Promise<number> {
    await this.command(ROUTES, { prefixes });
    const wet = await this.command(LOOKUP, { count, dry: false });
    const dry = await this.command(LOOKUP, { count, dry: true });
    return Math.round((wet.meter.compute - dry.meter.compute) / count);
  }

  close(): Promise<void> {
    return this.worker.close();
  }

  private command(code: number, args: object): Promise<Delivery> {
    return this.worker.deliver(Buffer.concat([Buffer.from([code]), Buffer.from(JSON.stringify(args))]));
  }
}
