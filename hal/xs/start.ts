/**
 * Boots a board: the stack with its sizes, the device that the manifest chose, an address from DHCP or from the manifest, then
 * the sketch and the run loop. What `npm run board` does on Node (hal/node/virtual-board.ts).
 */
import { boot, type BootOptions, type ConfigOptions, devOpen, inetAddAddress, initNet, ipRouteAdd, type Net, type NetDevice } from "../../src/index.ts";
import { dhcp } from "../../src/services/dhcp.ts";
import { type Loop, run } from "./run.ts";

/** A sketch's module; examples/README.md says what it exports. */
export interface SketchModule {
  readonly default: (net: Net, ...args: string[]) => () => boolean | number;
  /** Parts that it needs, for boot(). */
  readonly initcalls?: BootOptions["initcalls"];
}

/** `config.linnet` of a manifest. */
export interface BoardConfig {
  /** Sizes for boot(): a preset, single sizes, or both. */
  readonly sizes?: ConfigOptions;
  /** "10.0.0.2/24"; without it a DHCP server is asked. */
  readonly address?: string;
  /** Default route, where there is an address. */
  readonly gateway?: string;
  /** What the board is called when it asks for an address; default "linnet". */
  readonly hostname?: string;
  /** Words for the sketch. */
  readonly arguments?: readonly string[];
}

/** A dotted address as the stack has it. @throws TypeError naming the option of the manifest */
function parseAddress(text: string, option: string): number {
  const parts = text.split(".");
  let addr = 0;
  for (const part of parts) addr = (addr << 8) | Number(part);
  if (parts.length !== 4 || parts.some((part) => part === "" || !(Number(part) <= 255))) {
    throw new TypeError(`linnet: config.linnet.${option} is ${text}; it must be an address like 10.0.0.2`);
  }
  return addr;
}

function must(result: number, option: string, text: string): void {
  if (result < 0) throw new RangeError(`linnet: config.linnet.${option} is ${text}: error ${-result}`);
}

function useAddress(net: Net, dev: NetDevice, config: BoardConfig, address: string): void {
  const [addr = "", length = ""] = address.split("/");
  const prefixLength = Number(length);
  if (length === "" || !(prefixLength <= 32)) throw new TypeError(`linnet: config.linnet.address is ${address}; it must be like 10.0.0.2/24`);
  must(inetAddAddress(net, dev, parseAddress(addr, "address"), prefixLength), "address", address);
  const { gateway } = config;
  if (gateway !== undefined) must(ipRouteAdd(net, 0, 0, parseAddress(gateway, "gateway"), 0), "gateway", gateway);
}

/**
 * Starts everything; the board then runs by itself.
 * @param createDevice makes the board's device, after boot(): module "linnet/device" of the manifest's HAL
 * @throws TypeError or RangeError naming the manifest's option; what the device throws
 */
export function start(sketch: SketchModule, config: BoardConfig, createDevice: () => NetDevice): Loop {
  const { initcalls = [] } = sketch;
  boot({ ...config.sizes, initcalls });
  const net = initNet;
  const dev = net.register(createDevice());
  must(devOpen(dev), "device", dev.name);
  if (config.address === undefined) dhcp(net, dev.name, { hostname: config.hostname ?? "linnet" });
  else useAddress(net, dev, config, config.address);
  return run(net, sketch.default(net, ...(config.arguments ?? [])));
}
