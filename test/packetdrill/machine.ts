/**
 * The machine under test: linnet on a clock of microseconds that only the test moves, with one tun device, and calls that
 * wait. The stack's own calls never wait; here a call that would is tried again whenever something happened, until its
 * answer is there.
 */
import type { Hal } from "../../hal/hal.ts";
import { Prng } from "../../hal/mock/impair.ts";
import { boot, initNet } from "../../src/boot.ts";
import type { ConfigOptions } from "../../src/config.ts";
import { devOpen } from "../../src/netif/dev.ts";
import { inetAddAddress } from "../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../src/stack/ipv4/fib-frontend.ts";
import type { Net } from "../../src/stack/core/net.ts";
import { addressNumber } from "../lib/frames.ts";
import { Tun } from "./tun.ts";

/** Turns at one instant after which the stack is taken to run in circles. */
const LIVELOCK_TURNS = 100_000;
const US_PER_MS = 1000;
/**
 * As large as Linux's defaults where scripts see it: a receive buffer whose window needs a scale of 8, and a send buffer
 * of 256 KB.
 */
const SIZES: ConfigOptions = { preset: "host", buffers: 8192, skbs: 16384, rcvbufPackets: 4096, sndbufPackets: 128 };
/** All of the receive buffer is window: with it, `rcvbufPackets` gives the scale of 8. */
const ADV_WIN_SCALE = 0;

export interface MachineOptions {
  readonly startUs?: number;
  readonly seed?: number;
  readonly localIp?: string;
  readonly prefixLength?: number;
  readonly mtu?: number;
}

/** A call that may have to wait: its answer, or null to be tried again later. */
export type Attempt<T> = () => T | null;

interface Waiting {
  /** True when the call is over. */
  readonly retry: () => boolean;
  readonly deadlineUs: number;
}

export class Machine {
  readonly net: Net;
  readonly tun: Tun;
  private timeUs: number;
  private waiting: Waiting[] = [];

  constructor(options: MachineOptions = {}) {
    this.timeUs = options.startUs ?? 1_000_000_000;
    const random = new Prng(options.seed ?? 1);
    const hal: Hal = {
      now: () => Math.floor(this.timeUs / US_PER_MS),
      entropy(into) {
        for (let i = 0; i < into.length; i++) into[i] = random.below(256);
      },
      wake: () => undefined,
    };
    boot({ ...SIZES, hal });
    this.net = initNet;
    this.net.ipv4.tcpAdvWinScale = ADV_WIN_SCALE;
    this.tun = new Tun("tun0", options.mtu ?? 1500, () => this.timeUs, () => void this.turn());
    this.net.register(this.tun.dev);
    this.check("tun0 up", devOpen(this.tun.dev));
    const address = addressNumber(options.localIp ?? "192.168.0.1");
    this.check("address", inetAddAddress(this.net, this.tun.dev, address, options.prefixLength ?? 16));
    this.check("default route", ipRouteAdd(this.net, 0, 0, 0, this.tun.dev.ifindex));
    this.settle();
    this.tun.sent.length = 0;
  }

  private check(what: string, err: number): void {
    if (err < 0) throw new Error(`machine: ${what}: ${err}`);
  }

  get nowUs(): number {
    return this.timeUs;
  }

  /** Lets the stack do what is due now. @returns ms until it has to be asked again, -1 for never */
  private turn(): number {
    for (let turns = 0; turns < LIVELOCK_TURNS; turns++) {
      const delay = this.net.poll();
      if (delay !== 0) return delay;
    }
    throw new Error(`machine: ${LIVELOCK_TURNS} turns at ${this.timeUs} us and still work to do`);
  }

  /** Does what is due now, the calls that wait included. @returns when something is due next, in us; Infinity for never */
  settle(): number {
    let delay = this.turn();
    for (let done = this.retryCalls(); done; done = this.retryCalls()) delay = this.turn();
    let nextUs = delay < 0 ? Infinity : (Math.floor(this.timeUs / US_PER_MS) + delay) * US_PER_MS;
    for (const { deadlineUs } of this.waiting) nextUs = Math.min(nextUs, deadlineUs);
    return nextUs;
  }

  private retryCalls(): boolean {
    const over = this.waiting.filter((call) => call.retry());
    if (over.length === 0) return false;
    this.waiting = this.waiting.filter((call) => !over.includes(call));
    return true;
  }

  /** Lets time pass until the condition holds, or `limitUs` have passed; says whether it holds. */
  runUntil(condition: () => boolean, limitUs: number): boolean {
    const endUs = this.timeUs + limitUs;
    for (;;) {
      const nextUs = this.settle();
      if (condition()) return true;
      if (this.timeUs >= endUs) return false;
      if (nextUs === Infinity && endUs === Infinity) return false;
      this.timeUs = Math.max(this.timeUs, Math.min(nextUs, endUs));
    }
  }

  advance(us: number): void {
    this.runUntil(() => false, us);
  }

  /** A packet arrives from the wire, and the stack answers. */
  inject(packet: Uint8Array): void {
    this.tun.receive(packet);
    this.settle();
  }

  /**
   * Makes a call in the background: `done` gets its answer, at once or when it is there.
   * @param deadlineUs when it has to be tried again though nothing happened
   */
  start<T>(attempt: Attempt<T>, done: (answer: T) => void, deadlineUs = Infinity): void {
    const retry = (): boolean => {
      const answer = attempt();
      if (answer === null) return false;
      done(answer);
      return true;
    };
    if (!retry()) this.waiting.push({ retry, deadlineUs });
    this.settle();
  }

  /** Makes a call, and lets time pass until it is over; null when it never would be. */
  complete<T>(attempt: Attempt<T>, deadlineUs = Infinity, limitUs = Infinity): T | null {
    let answer: T | null = null;
    this.start(attempt, (value) => (answer = value), deadlineUs);
    if (answer === null) this.runUntil(() => answer !== null, limitUs);
    return answer;
  }

  /** Calls that still wait. */
  get waitingCalls(): number {
    return this.waiting.length;
  }
}
