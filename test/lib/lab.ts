/**
 * A laboratory for a test: a virtual clock, a wire, hosts with the stack on it and peers without, all in one thread and the
 * same from the same seed. At the test's end everything is closed, an hour of virtual time passes, and all pools must be as
 * full as at the start; a test that failed leaves its wire's frames in test/out/<test>.pcap.
 *
 * The stack is one per process: a test that uses a lab is synchronous, or `test.serial`.
 *
 *   const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
 *   lab.peer("p").send(tcp({ sport: 1000, dport: 80, flags: "S" }));
 *   lab.peer("p").expect(isTcp({ flags: "SA" }), { after: 0 });
 */
import { mkdirSync, writeFileSync } from "node:fs";
import type { ExecutionContext } from "ava";
import { VirtualClock } from "../../hal/mock/clock.ts";
import type { Impairment } from "../../hal/mock/impair.ts";
import { type MacAddress, formatMac } from "../../hal/mac.ts";
import { createWireDevice } from "../../hal/mock/wire-device.ts";
import { Wire } from "../../hal/mock/wire.ts";
import { pcapHeader, pcapRecord } from "../../hal/node/pcap.ts";
import {
  boot, type BootOptions, close, type ConfigOptions, createNet, devOpen, formatSlabinfo, inetAddAddress, initNet, type Net, type NetDevice,
  poolsInUse, setNs, socket,
} from "../../src/index.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { NEIGH_UPDATE_F_ADMIN, NEIGH_UPDATE_F_OVERRIDE, neighCreate, neighUpdate } from "../../src/stack/core/neighbour.ts";
import { arpTbl } from "../../src/stack/ipv4/arp.ts";
import { fibFlushCached } from "../../src/stack/ipv4/fib-sync.ts";
import { NUD_PERMANENT } from "../../src/uapi/rtnetlink.ts";
import { Peer } from "./peer.ts";

const OUT = new URL("../out/", import.meta.url);
/** Frames kept for the capture of a failed test. */
const CAPTURE_FRAMES = 20_000;
/** TIME_WAIT, retransmissions and probes are over by then. */
const AFTERMATH_MS = 3_600_000;
const MOST_FILES = 16384;
const FIRST_ADDR = 0x0a000001;
const PREFIX_LENGTH = 24;

export interface LabOptions {
  readonly seed?: number;
  /** Names of hosts with the stack: 10.0.0.1, 10.0.0.2, … in order, before the peers. */
  readonly hosts?: readonly string[];
  /** Names of peers that the test plays itself. */
  readonly peers?: readonly string[];
  readonly wire?: Impairment;
  /** Sizes; default preset host. */
  readonly config?: ConfigOptions;
  /** Parts to be started beside. */
  readonly initcalls?: NonNullable<BootOptions["initcalls"]>;
  /** Starts the stack, with `initcalls`; default boot(). */
  readonly start?: (options: BootOptions) => void;
  /** Everyone knows everyone's hardware address (default); false: ARP has to find out. */
  readonly neighbours?: boolean;
}

export interface LabHost {
  readonly name: string;
  readonly net: Net;
  readonly dev: NetDevice;
  readonly addr: number;
  readonly mac: MacAddress;
  /** socket() in this host's namespace. */
  socket(family: number, type: number, protocol?: number): number;
}

/** Where someone is on the wire. */
export interface Station {
  readonly name: string;
  readonly addr: number;
  readonly mac: MacAddress;
}

function station(name: string, index: number): Station {
  const addr = (FIRST_ADDR + index) | 0;
  return { name, addr, mac: { hi: 0x0200, lo: addr } };
}

function bringUpHost(place: Station, net: Net, wire: Wire): LabHost {
  const dev = createWireDevice(wire, { name: "eth0", mac: formatMac(place.mac.hi, place.mac.lo) });
  dev.carrier = true;
  net.register(dev);
  devOpen(dev);
  const err = inetAddAddress(net, dev, place.addr, PREFIX_LENGTH);
  if (err < 0) throw new Error(`lab: no address for ${place.name}: ${err}`);
  return {
    ...place,
    net,
    dev,
    socket: (family, type, protocol = 0) => {
      setNs(net);
      return socket(family, type, protocol);
    },
  };
}

function introduce(host: LabHost, other: Station): void {
  const neigh = neighCreate(arpTbl, other.addr, host.dev);
  if (neigh === null) throw new Error("lab: no neighbour entry left");
  neighUpdate(neigh, other.mac.hi, other.mac.lo, NUD_PERMANENT, NEIGH_UPDATE_F_OVERRIDE | NEIGH_UPDATE_F_ADMIN);
}

export class Lab {
  readonly clock: VirtualClock;
  readonly wire: Wire;
  private readonly hosts = new Map<string, LabHost>();
  private readonly peers = new Map<string, Peer>();
  private readonly captured: Buffer[] = [];
  private readonly inUseBefore: number;
  private readonly steps: (() => boolean)[] = [];

  constructor(options: LabOptions) {
    this.clock = new VirtualClock(options.seed);
    this.wire = new Wire(this.clock, { seed: options.seed, ...options.wire });
    this.wire.observers.push((frame, _from, timeMs) => {
      this.captured.push(pcapRecord(frame, timeMs));
      if (this.captured.length > CAPTURE_FRAMES) this.captured.shift();
    });
    const { start = boot } = options;
    start({ preset: "host", ...options.config, initcalls: options.initcalls ?? [], hal: this.clock });
    this.clock.drive(initNet);
    const hosts = (options.hosts ?? ["a"]).map(station);
    const peers = (options.peers ?? []).map((name, index) => station(name, hosts.length + index));
    const nets = hosts.map((_, index) => (index === 0 ? initNet : createNet()));
    this.inUseBefore = poolsInUse();
    // What hosts announce when they come up is lost: tests begin in silence.
    this.wire.carrier = false;
    hosts.forEach((place, index) => this.hosts.set(place.name, bringUpHost(place, nets[index]!, this.wire)));
    for (const place of peers) this.peers.set(place.name, new Peer(place, this.clock, this.wire, hosts));
    this.clock.runFor(0);
    this.wire.carrier = true;
    this.captured.length = 0;
    if (options.neighbours === false) return;
    for (const host of this.hosts.values()) {
      for (const other of [...hosts, ...peers]) if (other.addr !== host.addr) introduce(host, other);
    }
  }

  host(name: string): LabHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`lab: there is no host ${name}`);
    return host;
  }

  peer(name: string): Peer {
    const peer = this.peers.get(name);
    if (peer === undefined) throw new Error(`lab: there is no peer ${name}`);
    return peer;
  }

  /** Virtual ms since the start. */
  get nowMs(): number {
    return this.clock.timeMs();
  }

  runFor(ms: number): void {
    this.clock.runFor(ms);
  }

  /** @throws Error when the condition does not hold within `limitMs` of virtual time */
  runUntil(condition: () => boolean, limitMs?: number): void {
    if (!this.clock.runUntil(condition, limitMs)) throw new Error(`lab: at ${this.nowMs} ms the condition still does not hold`);
  }

  /** Runs a sketch: its step function is called after each turn. */
  addStep(step: () => boolean): void {
    this.steps.push(step);
    this.clock.addStep(step);
  }

  /** Closes everything, lets timers run out, and says which pools are not as full as at the start. */
  close(): string {
    for (const step of this.steps) this.clock.removeStep(step);
    for (let fd = 0; fd < MOST_FILES; fd++) close(fd);
    this.clock.runFor(AFTERMATH_MS);
    for (const { dev } of this.hosts.values()) unregisterNetdev(dev);
    this.clock.runFor(AFTERMATH_MS);
    // A route that a next hop keeps for the next packet, as loopback's does, is no leak.
    for (const { net } of this.hosts.values()) fibFlushCached(net);
    const left = poolsInUse() - this.inUseBefore;
    return left === 0 ? "" : `${left} pool objects leaked:\n${formatSlabinfo()}`;
  }

  /** The frames sent on the wire, as a capture file. */
  pcap(): Buffer {
    return Buffer.concat([pcapHeader(), ...this.captured]);
  }
}

/** Leaks fail the test: to be called once in a test that has no lab. */
export function assertNoLeak(t: ExecutionContext): void {
  const before = poolsInUse();
  t.teardown(() => {
    const left = poolsInUse() - before;
    if (left !== 0) throw new Error(`${left} pool objects leaked:\n${formatSlabinfo()}`);
  });
}

/** A lab that lives as long as the test. */
export function createLab(t: ExecutionContext, options: LabOptions = {}): Lab {
  const lab = new Lab(options);
  t.teardown(() => {
    const leak = lab.close();
    if (t.passed && leak === "") return;
    mkdirSync(OUT, { recursive: true });
    const file = new URL(`${t.title.replace(/[^a-z0-9]+/gi, "-").slice(0, 80)}.pcap`, OUT);
    writeFileSync(file, lab.pcap());
    if (leak !== "") throw new Error(leak);
  });
  return lab;
}
