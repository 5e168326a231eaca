/**
 * Boot: the stack with UDP and TCP, and the parts that the program lists. A program that does without one of the two calls
 * startKernel() of start-kernel.ts instead.
 */
import { advancedRouter } from "./advanced-router.ts";
import { arpPolicy } from "./arp-policy.ts";
import { allSizes } from "./config.ts";
import { epoll } from "./epoll.ts";
import { fibTrie } from "./fib-trie.ts";
import { routeExceptions } from "./route-exceptions.ts";
import { socketControl } from "./socket-control.ts";
import { type BootOptions, startKernelWith } from "./start-kernel.ts";
import { tcp } from "./tcp.ts";
import { udp } from "./udp.ts";

export { type BootOptions, initNet } from "./start-kernel.ts";

const LISTED = Object.freeze([epoll, arpPolicy, fibTrie, advancedRouter, routeExceptions, socketControl, udp, tcp]);

/**
 * Builds every pool and starts the stack, with the loopback device up and no other. Called again it is a reboot: all
 * sockets, devices, addresses and routes of before are gone.
 * @throws TypeError or RangeError naming the option, its value and its range, before anything is built
 */
export function boot(options: BootOptions = {}): void {
  const { initcalls = [] } = options;
  startKernelWith(allSizes(), { ...options, initcalls: [...LISTED, ...initcalls] });
}
