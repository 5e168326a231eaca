/**
 * Drives one XS engine: the worker process of `@agoric/xsnap`, spoken to in netstrings over its descriptors 3 and 4.
 * A delivery hands bytes to the guest's `handleCommand` and comes back with the reply and the engine's meter.
 */
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** What the engine counted at the end of a delivery. */
export interface Meter {
  /** Slots in use, garbage not yet collected included. */
  readonly currentHeapCount: number;
  /** Compute units of this delivery (about one for each bytecode). */
  readonly compute: number;
}

export interface Delivery {
  readonly reply: Buffer;
  readonly meter: Meter;
}

const EVALUATE = "e";
const COMMAND = "?";
const QUIT = "q";
const OK = 0x2e;

const WORKER = fileURLToPath(
  new URL("../xsnap-native/xsnap/build/bin/lin/release/xsnap-worker", import.meta.resolve("@agoric/xsnap")),
);

function netstring(kind: string, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${body.length + 1}:${kind}`), body, Buffer.from(",")]);
}

export class XsWorker {
  private readonly toWorker: Writable;
  private readonly exited: Promise<number | null>;
  private buffered: Buffer = Buffer.alloc(0);
  private waiter: { resolve(answer: Delivery): void; reject(reason: Error): void } | null = null;

  constructor() {
    const child = spawn(WORKER, ["linnet"], { stdio: ["ignore", "inherit", "inherit", "pipe", "pipe"] });
    this.toWorker = child.stdio[3] as Writable;
    (child.stdio[4] as Readable).on("data", (chunk: Buffer) => this.take(chunk));
    this.exited = new Promise((resolve, reject) => {
      child.on("exit", (code) => {
        this.waiter?.reject(new Error(`the XS worker ended with status ${String(code)}`));
        resolve(code);
      });
      child.on("error", reject);
    });
  }

  /** Runs a classic script. */
  async evaluate(script: string): Promise<void> {
    await this.send(EVALUATE, Buffer.from(script));
  }

  /** Hands bytes to `globalThis.handleCommand`. */
  async deliver(bytes: Uint8Array): Promise<Delivery> {
    return this.send(COMMAND, bytes);
  }

  async close(): Promise<void> {
    this.toWorker.end(netstring(QUIT, new Uint8Array(0)));
    await this.exited;
  }

  private send(kind: string, body: Uint8Array): Promise<Delivery> {
    if (this.waiter !== null) throw new Error("the XS worker is still busy with the last delivery");
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject };
      this.toWorker.write(netstring(kind, body));
    });
  }

  private take(chunk: Buffer): void {
    this.buffered = Buffer.concat([this.buffered, chunk]);
    for (;;) {
      const colon = this.buffered.indexOf(":");
      if (colon < 0) return;
      const start = colon + 1;
      const end = start + Number(this.buffered.toString("latin1", 0, colon));
      if (this.buffered.length <= end) return;
      this.answer(this.buffered.subarray(start, end));
      this.buffered = this.buffered.subarray(end + 1);
    }
  }

  /** An answer is "." with the meter as JSON up to a byte 1, then the reply; anything else is an error's text. */
  private answer(message: Buffer): void {
    const waiter = this.waiter;
    if (waiter === null) return;
    this.waiter = null;
    if (message[0] !== OK) {
      waiter.reject(new Error(message.toString("utf8", 1)));
      return;
    }
    const split = message.indexOf(1);
    const meter = JSON.parse(message.toString("utf8", 1, split)) as Meter;
    waiter.resolve({ reply: Buffer.from(message.subarray(split + 1)), meter });
  }
}
