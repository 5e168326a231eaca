/**
 * The start of every stack: memory, packets, sockets, devices and IPv4 with ICMP, in Linux's order, and after them the parts
 * that the program lists. Whoever wants nothing but one of them starts here, and the bundle has no other:
 * `startKernel({ initcalls: [udp] })`. Everyone else calls boot() of boot.ts, which lists UDP and TCP. The table of what always
 * starts is here. Linux: start_kernel() and do_initcalls().
 */
import { platform } from "#platform";
import type { Hal } from "../hal/hal.ts";
import { type Config, type ConfigOptions, HOST_SIZES, resolveConfig, type SizeTable } from "./config.ts";
import { KERNEL_WORDS, kernelInit, kernelPoll } from "./kernel.ts";
import {
  CORE_INITCALL, DEVICE_INITCALL, doInitcalls, FS_INITCALL, type Initcall, initcallWords, SUBSYS_INITCALL,
} from "./lib/initcall.ts";
import { MEM_ZERO_BYTES, memoryInit } from "./lib/memory.ts";
import { poolsReset } from "./lib/pool.ts";
import { netdevInit, registerNetdev } from "./netif/dev.ts";
import { LINK_STATE_WORDS } from "./netif/link-state.ts";
import { loopbackInit, loopbackUp } from "./netif/loopback.ts";
import { NEIGH_MEMORY_BYTES, neighTableWords } from "./stack/core/neigh-table.ts";
import { initNet, netInit } from "./stack/core/net.ts";
import { SKB_OVERHEAD_BYTES, skbInit, skbWords } from "./stack/core/skbuff.ts";
import { sockInit, sockWords } from "./stack/core/sock.ts";
import { familiesInit } from "./stack/core/socket.ts";
import { inetInit } from "./stack/ipv4/af-inet.ts";
import { arpInit } from "./stack/ipv4/arp.ts";
import { devinetInit } from "./stack/ipv4/devinet.ts";
import { fibInit } from "./stack/ipv4/fib-frontend.ts";
import { fibHostOps, fibHostWords } from "./stack/ipv4/fib-host.ts";
import { registerFibOps } from "./stack/ipv4/fib-ops.ts";
import { inetSockInit } from "./stack/ipv4/inet-sock.ts";
import { ipInit, ipWords } from "./stack/ipv4/ip-input.ts";
import { filesWords } from "./stack/socket/files.ts";
import { socketInit } from "./stack/socket/socket.ts";

export { initNet } from "./stack/core/net.ts";

/** What it takes: sizes (config.ts), and the machine to run on where it is not the platform's own. */
export type BootOptions = ConfigOptions & {
  readonly hal?: Hal;
  /** Parts beyond the table below, such as `udp` of src/udp.ts; within a level they come after it, in this order. */
  readonly initcalls?: readonly Initcall<Config>[];
};

/** The sizes that the last boot was asked for: a few, where a whole Config would take 500 bytes of a board for good. */
let booted: ConfigOptions;
/** The tables of sizes that these are of. */
let tables: SizeTable;
/** The parts beyond the table below. */
let parts: readonly Initcall<Config>[];

/** The sizes the stack was built with, for a part that is started later. Makes an object. @param sizes the part's table */
export function bootConfig(sizes: SizeTable): Config {
  return resolveConfig(booted, { ...tables, ...sizes });
}

/** The parts that the last boot was asked for. */
export function bootParts(): readonly Initcall<Config>[] {
  return parts;
}

/** Truesize of one full packet: what a socket's buffer is counted in. */
function packetBytes(config: Config): number {
  return config.bufferBytes + SKB_OVERHEAD_BYTES;
}

/** A row of the table, which stays in flash. */
function initcall(row: Initcall<Config>): Initcall<Config> {
  return Object.freeze(row);
}

const initcalls = Object.freeze([
  initcall({
    level: CORE_INITCALL,
    name: "mm",
    init: (c) =>
      memoryInit(
        MEM_ZERO_BYTES + c.staging + c.userMemory + c.buffers * c.bufferBytes + c.neighbours * NEIGH_MEMORY_BYTES,
        c.userMemory, c.staging,
      ),
  }),
  initcall({
    level: CORE_INITCALL,
    name: "net_ns",
    init() {
      netInit({ register: registerNetdev, poll: kernelPoll });
      // Until a part says otherwise.
      registerFibOps(fibHostOps);
    },
  }),
  initcall({
    level: CORE_INITCALL,
    name: "skb",
    words: (c) => skbWords(c.buffers),
    init: (c) => skbInit(c.skbs, c.buffers, c.bufferBytes),
  }),
  initcall({
    level: CORE_INITCALL,
    name: "sock",
    words: (c) => sockWords(c.socks) + filesWords(c.files),
    init: (c) => {
      const packet = packetBytes(c);
      sockInit(c.socks, c.rcvbufPackets * packet, c.sndbufPackets * packet, initNet);
      familiesInit();
      socketInit(c.files, initNet);
    },
  }),
  initcall({ level: SUBSYS_INITCALL, name: "net_dev", words: () => LINK_STATE_WORDS, init: (c) => netdevInit(c.backlog) }),
  initcall({
    level: FS_INITCALL,
    name: "inet",
    words: (c) => neighTableWords(c.neighbours) + fibHostWords(c.routes) + ipWords(c.destinations),
    init: (c) => {
      devinetInit(c.ifaddrs);
      fibInit(c);
      ipInit(c.rtables, c.destinations);
      arpInit(c.neighbours);
      inetSockInit(c.socks);
      inetInit();
    },
  }),
  initcall({
    level: DEVICE_INITCALL,
    name: "loopback",
    init: () => {
      loopbackInit();
      loopbackUp(initNet);
    },
  }),
]);

/**
 * Builds every pool and starts the stack, with the loopback device up and no other. Called again it is a reboot: all
 * sockets, devices, addresses and routes of before are gone.
 * @throws TypeError or RangeError naming the option, its value and its range, before anything is built
 */
export function startKernel(options: BootOptions = {}): void {
  startKernelWith(Object.assign({}, HOST_SIZES, ...(options.initcalls ?? []).map(({ sizes }) => sizes)) as SizeTable, options);
}

/** The same with the tables of the sizes that `options` may name. */
export function startKernelWith(sizes: SizeTable, options: BootOptions): void {
  const { hal = platform, initcalls: more = [], ...given } = options;
  const config = resolveConfig(given, sizes);
  booted = given;
  tables = sizes;
  parts = more;
  const all = more.length === 0 ? initcalls : [...initcalls, ...more];
  poolsReset(KERNEL_WORDS + initcallWords(all, config));
  kernelInit(hal);
  doInitcalls(all, config);
}
