/**
 * A board on this machine: boots the stack with a board's sizes, gives it a device (a TAP, or a simulated ENC28J60 on a
 * virtual wire to a host side of its own, by the driver that a real board uses), and runs a sketch on it. What `npm run board`
 * and `npm start` have in common.
 */
import { pathToFileURL } from "node:url";
import { boot, type BootOptions, devOpen, inetAddAddress, initNet, ipRouteAdd, type Net, type NetDevice, poolsInUse } from "../../src/index.ts";
import { forwarding } from "../../src/forwarding.ts";
import { fragments } from "../../src/fragments.ts";
import { igmp } from "../../src/igmp.ts";
import { ipOptions } from "../../src/ip-options.ts";
import { dhcp, DHCP_BOUND, type DhcpClient, dhcpStop } from "../../src/services/dhcp.ts";
import { mdns, type MdnsResponder, mdnsStop } from "../../src/services/mdns.ts";
import { errnoName } from "../../src/uapi/errno.ts";
import { Enc28j60 } from "../enc28j60/index.ts";
import { Enc28j60Simulator } from "../enc28j60/simulator/index.ts";
import { Wire } from "../mock/wire.ts";
import type { HostSide } from "./host-side.ts";
import { type BoardOptions, EXAMPLES, UsageError, UserError } from "./options.ts";
import { capturePcap } from "./pcap.ts";
import { RealScheduler } from "./real-scheduler.ts";
import { type BoardReport, finalReport } from "./report.ts";
import { run } from "./run.ts";
import { importInKernel } from "./second-kernel.ts";
import { openTap } from "./tap.ts";

/**
 * A sketch: opens its sockets and returns what is called after each turn; true when it did work, a number of ms when it wants
 * to be called again by then.
 */
export type Sketch = (net: Net, ...args: string[]) => () => boolean | number;

interface SketchModule {
  readonly default: Sketch;
  /** Parts that it needs, for boot(). */
  readonly initcalls?: BootOptions["initcalls"];
}

const BOARD_MAC = "02:00:0a:00:00:02";
const SECOND_MAC = "02:00:0a:00:00:03";
const HOST_MAC = "02:00:0a:00:00:01";
/** What is still on its way when the board is to end gets this long. */
const GRACE_MS = 300;
const GRACE_STEP_MS = 10;
/** A DHCP server answers within this, or there is none. */
const LEASE_PATIENCE_MS = 20_000;
/** The chip has answered and its link is up long before. */
const LINK_PATIENCE_MS = 2000;
/** How the chip is wired: to pins of a board that does not exist. */
const SPI_PINS = Object.freeze({ in: 12, out: 13, clock: 14, select: 15 });
const SPI_HZ = 20_000_000;
const INTERRUPT_PIN = 4;
/** Frames that wait in front of the chip's 10 Mbit/s, as in a switch. */
const LINE_FRAMES = 256;

export interface VirtualBoard {
  readonly net: Net;
  readonly dev: NetDevice;
  /** Its address, chosen or leased, and the length of its prefix. */
  readonly addr: number;
  readonly prefixLength: number;
  /** The host side of the virtual wire; null on a TAP. */
  readonly host: HostSide | null;
  /** Ends everything; what the board gave back and counted. */
  stop(): Promise<BoardReport>;
}

interface Attachment {
  readonly dev: NetDevice;
  readonly host: HostSide | null;
  close(): void;
}

/** What a call refuses is the user's to put right. */
function asked<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new UserError((error as Error).message);
  }
}

function must(result: number, what: string): void {
  if (result < 0) throw new UsageError(`${what}: ${errnoName(result)}`);
}

/** Another address of the board's network, for the other end of its wire. */
export function neighbourAddress(options: BoardOptions): number {
  const { addr, prefixLength } = options;
  if (prefixLength > 30) throw new UsageError(`--addr has the prefix length ${prefixLength}; it must be at most 30 for another host to be on its network`);
  const network = prefixLength === 0 ? 0 : addr & (-1 << (32 - prefixLength));
  return addr === (network | 1) ? network | 2 : network | 1;
}

async function attachToWire(options: BoardOptions): Promise<Attachment> {
  const scheduler = new RealScheduler();
  const wire = new Wire(scheduler, options.impairment);
  const chip = new Enc28j60Simulator(scheduler, { lineFrames: LINE_FRAMES });
  const { mac = BOARD_MAC, mtu } = options;
  const dev = asked(() => new Enc28j60({
    mac,
    duplex: "full",
    spi: { io: chip.SPI as never, ...SPI_PINS, hz: SPI_HZ },
    interrupt: { io: chip.Digital as never, pin: INTERRUPT_PIN },
    ...(mtu === undefined ? {} : { mtu }),
  }));
  chip.connect(wire, "eth0");
  const url = new URL("./host-side.ts", import.meta.url);
  const { startHostSide } = (await importInKernel(url, "host-side")) as typeof import("./host-side.ts");
  const host = startHostSide(wire, HOST_MAC, neighbourAddress(options), options.prefixLength, options.addr);
  return { dev, host, close: () => host.stop() };
}

function attachToTap(options: BoardOptions, tap: string): Attachment {
  const { mac, mtu, impairment } = options;
  const { dev, close } = asked(() => openTap({ tap, mac, mtu, impairment }));
  return { dev, host: null, close };
}

/** The board's second port, of which the sketch makes what it likes. @returns what ends it */
function attachSecond(net: Net, { tap2, mtu }: BoardOptions): () => void {
  if (tap2 === undefined) return () => undefined;
  const { dev, close } = asked(() => openTap({ tap: tap2, mac: SECOND_MAC, mtu }));
  net.register(dev);
  return close;
}

function bringUp(net: Net, dev: NetDevice, options: BoardOptions): void {
  net.register(dev);
  must(devOpen(dev), `device ${dev.name}`);
  if (options.dhcp) return;
  must(inetAddAddress(net, dev, options.addr, options.prefixLength), "--addr");
  if (options.gateway !== 0) must(ipRouteAdd(net, 0, 0, options.gateway, 0), "--gateway");
}

/** Waits until a DHCP server has given an address. @throws UserError when none does */
async function leaseOf(net: Net, dev: NetDevice): Promise<DhcpClient> {
  const client = asked(() => dhcp(net, dev.name, { hostname: "linnet" }));
  const loop = run(net);
  for (let waited = 0; client.state !== DHCP_BOUND && waited < LEASE_PATIENCE_MS; waited += GRACE_STEP_MS) await pause(GRACE_STEP_MS);
  loop.stop();
  if (client.state !== DHCP_BOUND) throw new UserError(`--dhcp: no server gave an address within ${LEASE_PATIENCE_MS / 1000} s`);
  return client;
}

/** Answers to the name that was chosen, if one was. */
function namesOf(net: Net, dev: NetDevice, { mdns: host }: BoardOptions): MdnsResponder | null {
  return host === undefined ? null : asked(() => mdns(net, dev.name, { host }));
}

/** Waits until frames can be sent: the driver sets its chip up while the board runs. */
async function carrierOf(dev: NetDevice): Promise<void> {
  for (let waited = 0; !dev.carrier && waited < LINK_PATIENCE_MS; waited += GRACE_STEP_MS) await pause(GRACE_STEP_MS);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Changes settings of the namespace: tcp_sack is its field tcpSack. @throws UserError for a name that it has not */
function applySysctls(net: Net, sysctls: Readonly<Record<string, number>>): void {
  const settings = net.ipv4 as unknown as Record<string, number>;
  for (const [name, value] of Object.entries(sysctls)) {
    const field = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    if (typeof settings[field] !== "number") throw new UserError(`--sysctl: there is no net.ipv4 setting ${name}`);
    settings[field] = value;
  }
}

/** Boots the board and starts its sketch. @throws UserError for options that cannot be */
export async function startBoard(options: BoardOptions): Promise<VirtualBoard> {
  const file = new URL(`${options.sketch}/main.ts`, EXAMPLES);
  const { default: sketch, initcalls = [] } = (await import(pathToFileURL(file.pathname).href)) as SketchModule;
  const parts = [fragments, ipOptions, forwarding, ...(options.mdns === undefined ? [] : [igmp]), ...initcalls];
  asked(() => boot({ ...options.config, initcalls: parts.filter((part, index) => parts.indexOf(part) === index) }));
  const net = initNet;
  applySysctls(net, options.sysctls);
  const attachment = options.tap === undefined ? await attachToWire(options) : attachToTap(options, options.tap);
  const { dev, host } = attachment;
  const bare = poolsInUse();
  bringUp(net, dev, options);
  const closeSecond = attachSecond(net, options);
  const endCapture = options.pcap === undefined ? null : capturePcap(dev, options.pcap, options.snaplen);
  const client = options.dhcp ? await leaseOf(net, dev) : null;
  const names = namesOf(net, dev, options);
  (globalThis as { trace?: (text: string) => void }).trace = (text) => process.stdout.write(text);
  const withDevice = poolsInUse();
  const step = sketch(net, ...options.sketchArgs);
  const inUseAtStart = poolsInUse();
  const loop = run(net, step);
  await carrierOf(dev);

  async function stop(): Promise<BoardReport> {
    for (let waited = 0; waited < GRACE_MS && poolsInUse() > inUseAtStart; waited += GRACE_STEP_MS) {
      await pause(GRACE_STEP_MS);
    }
    loop.stop();
    if (client !== null) dhcpStop(client);
    if (names !== null) mdnsStop(names);
    endCapture?.();
    closeSecond();
    attachment.close();
    return finalReport(net, dev, step, bare + inUseAtStart - withDevice);
  }
  const { addr, prefixLength } = client === null ? options : { addr: client.lease.addr, prefixLength: Math.clz32(~client.lease.mask) };
  return { net, dev, addr, prefixLength, host, stop };
}
