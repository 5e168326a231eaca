/**
 * Ethernet: the state of a network device as an object. ECMA-419 clauses 15 (network interface) and 15.2; Linux's counterpart is
 * what NetworkManager knows. It binds to a device that the program has registered and starts nothing by being made. Owns what
 * connect() has set up: the device up, and its address. The standard says nothing of configure(), which is Moddable's; that the MAC
 * address is there before connect() is what Moddable's tests of network interfaces ask for (annex A would have undefined).
 *
 * Where an address comes from without `static` is the program's choice, so that a board with a fixed one carries no DHCP:
 * `ethernetUse((net, name, hostname) => { const client = dhcp(net, name, { hostname }); return () => dhcpRelease(client); })`.
 */
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister, notifierChainUnregister } from "../lib/notifier.ts";
import { cancelWork, queueWork, Work } from "../lib/softirq.ts";
import { devClose, devOpen, netdevChain } from "../netif/dev.ts";
import type { Net } from "../stack/core/net.ts";
import type { NetDevice } from "../stack/core/net-device.ts";
import { inDevGet, inetAddAddress, inetaddrChain, inetDelAddress } from "../stack/ipv4/devinet.ts";
import { ipRouteAdd, ipRouteDel } from "../stack/ipv4/fib-frontend.ts";
import { getNs } from "../stack/socket/socket.ts";
import { IFF_LOOPBACK, IFF_UP } from "../uapi/if.ts";
import { EEXIST } from "../uapi/errno.ts";
import { formatAddress } from "./address.ts";
import { stackError } from "./edge.ts";
import { checkAddress, checkCallback, checkInteger, checkOptions, closedError, refuse } from "./options.ts";

export type EthernetChangedProperty = "connection" | "address";

export interface EthernetOptions {
  /** The device: its name, or its number behind "eth". Default: the first that is not loopback. */
  readonly port?: string | number;
  /** Called with the name of the property that has changed. */
  readonly onChanged?: ((this: Ethernet, property: EthernetChangedProperty) => void) | null;
  /** Becomes the property of that name. */
  readonly target?: unknown;
}

export interface EthernetStaticAddress {
  readonly address: string;
  readonly mask: string;
  readonly gateway: string;
}

export interface EthernetConfiguration {
  /** Told to the DHCP server by the next connect(): 1 to 63 letters. */
  readonly hostname?: string;
  /** A fixed address, or false to ask for one again. A device that is connected takes it at once. */
  readonly static?: EthernetStaticAddress | false;
}

/** Gets the device of that name an address. @returns what gives it back */
export type AddressSource = (net: Net, name: string, hostname: string | undefined) => () => void;

/** Values of `connection`: only their order matters to programs. */
export const ETHERNET_UNAVAILABLE = 0;
export const ETHERNET_LINK_LOST = 200;
export const ETHERNET_LINK = 400;
export const ETHERNET_ADDRESS = 500;

const NAME = "Ethernet";
/** Letters of a label (RFC 1035 section 2.3.4). */
const HOSTNAME_MAX = 63;

/** What connect() has done for a device: any instance of its port may undo it. */
interface Connection {
  readonly dev: NetDevice;
  readonly end: () => void;
}

/** A fixed address, as numbers. */
interface Fixed {
  readonly addr: number;
  readonly prefixLength: number;
  readonly gateway: number;
}

let source: AddressSource | null = null;
let connections: Connection[] | null = null;

/** Says where addresses come from; null for nowhere. */
export function ethernetUse(from: AddressSource | null): void {
  source = from;
}

/** What is behind an instance. */
class State {
  readonly owner: Ethernet;
  readonly net: Net = getNs();
  port: string | null = null;
  onChanged: ((this: Ethernet, property: EthernetChangedProperty) => void) | null = null;
  open = true;
  hostname: string | undefined = undefined;
  fixed: Fixed | null = null;
  /** What the program knows of. */
  connection = ETHERNET_UNAVAILABLE;
  address: string | undefined = undefined;
  readonly work = new Work<State>();
  readonly devBlock: NotifierBlock<NetDevice>;
  readonly addrBlock: NotifierBlock<{ readonly dev: NetDevice | null }>;

  constructor(owner: Ethernet) {
    this.owner = owner;
    this.work.fn = tell;
    this.work.arg = this;
    const changed = (): number => {
      queueWork(this.work);
      return NOTIFY_DONE;
    };
    this.devBlock = new NotifierBlock(changed);
    this.addrBlock = new NotifierBlock(changed);
  }
}

function deviceOf(state: State): NetDevice | null {
  const { port } = state;
  for (let dev = state.net.devices; dev !== null; dev = dev.nextDev) {
    if (port === null ? (dev.flags & IFF_LOOPBACK) === 0 : dev.name === port) return dev;
  }
  return null;
}

function addressOf(dev: NetDevice): number {
  return inDevGet(dev)?.ifaList?.local ?? 0;
}

function connectionOf(state: State): number {
  const dev = deviceOf(state);
  if (dev === null || (dev.flags & IFF_UP) === 0) return ETHERNET_UNAVAILABLE;
  if (!dev.carrier) return ETHERNET_LINK_LOST;
  return addressOf(dev) === 0 ? ETHERNET_LINK : ETHERNET_ADDRESS;
}

function addressText(state: State): string | undefined {
  const dev = deviceOf(state);
  return dev === null || connectionOf(state) < ETHERNET_ADDRESS ? undefined : formatAddress(addressOf(dev));
}

/** Tells what is other than the program knows, the connection first, as Moddable does. */
function tell(state: State): void {
  const connection = connectionOf(state);
  if (connection !== state.connection) {
    state.connection = connection;
    // Once more for the address, also when the program throws.
    queueWork(state.work);
    state.onChanged?.call(state.owner, "connection");
    return;
  }
  const address = addressText(state);
  if (address === state.address) return;
  state.address = address;
  state.onChanged?.call(state.owner, "address");
}

export class Ethernet {
  declare target?: unknown;
  readonly #state: State;

  /** Binds to the device. @throws TypeError (port, onChanged) */
  constructor(options: EthernetOptions) {
    const { port, onChanged, target } = checkOptions(NAME, options);
    const state = new State(this);
    this.#state = state;
    state.onChanged = checkCallback(NAME, "onChanged", onChanged);
    if (port !== undefined) {
      if (typeof port !== "string" && typeof port !== "number") refuse(NAME, "port", port, "the name or number of a device");
      state.port = typeof port === "number" ? `eth${port}` : port;
    }
    if (target !== undefined) this.target = target;
    state.connection = connectionOf(state);
    state.address = addressText(state);
    notifierChainRegister(netdevChain, state.devBlock);
    notifierChainRegister(inetaddrChain, state.addrBlock);
  }

  /** The state of an instance that is open. @throws SyntaxError */
  static #stateOf(self: unknown): State {
    if (typeof self === "object" && self !== null && #state in self && self.#state.open) return self.#state;
    throw closedError(NAME);
  }

  /** 0 (no device, or down), 200 (up without link), 400 (link), 500 (with an address). */
  get connection(): number {
    return connectionOf(Ethernet.#stateOf(this));
  }

  /** The link address, as 02:00:00:00:00:01, once there is a device. */
  get MAC(): string | undefined {
    const dev = deviceOf(Ethernet.#stateOf(this));
    return dev === null ? undefined : formatMac(dev);
  }

  /** The IPv4 address, once there is one and a link. */
  get address(): string | undefined {
    return addressText(Ethernet.#stateOf(this));
  }

  /**
   * Says how connect() shall go on, and a fixed address to what is connected.
   * @throws TypeError, RangeError (hostname, an address, or a mask with holes), naming the option; as connect() when the device
   * cannot have the address, and then it is disconnected
   */
  configure(options: EthernetConfiguration): void {
    const state = Ethernet.#stateOf(this);
    const { hostname, static: fixed } = checkOptions(NAME, options);
    const name = hostname === undefined ? state.hostname : `${hostname}`;
    if (name !== undefined) checkInteger(NAME, "length of hostname", name.length, 1, HOSTNAME_MAX);
    if (fixed !== undefined) state.fixed = fixed ? checkStatic(fixed) : null;
    state.hostname = name;
    const dev = deviceOf(state);
    if (fixed !== undefined && connectionOf(state) !== ETHERNET_UNAVAILABLE && end(dev!)) begin(state, dev!);
  }

  /**
   * Brings the device up and gets it an address: the fixed one, or one of the source that ethernetUse() named.
   * @throws Error when there is no device, it is up already, or cannot be brought up or have the address; what the source throws
   */
  connect(): void {
    const state = Ethernet.#stateOf(this);
    const dev = deviceOf(state);
    if (dev === null) throw new Error(`${NAME}: there is no device ${state.port ?? ""}`);
    if (connectionOf(state) !== ETHERNET_UNAVAILABLE) throw new Error(`${NAME}: ${dev.name} is connected or connecting already`);
    // Somebody else has taken it down.
    end(dev);
    const err = devOpen(dev);
    if (err < 0) throw stackError(`${NAME}: device ${dev.name}`, err);
    begin(state, dev);
  }

  /** Gives the address back and takes the device down; nothing when it is down. */
  disconnect(): void {
    const dev = deviceOf(Ethernet.#stateOf(this));
    if (dev === null) return;
    end(dev);
    devClose(dev);
  }

  /** Unbinds: no callback follows, and the device stays as it is. Closing again does nothing. @throws SyntaxError */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#state in self)) throw closedError(NAME);
    const state = self.#state;
    if (!state.open) return;
    state.open = false;
    state.onChanged = null;
    cancelWork(state.work);
    notifierChainUnregister(netdevChain, state.devBlock);
    notifierChainUnregister(inetaddrChain, state.addrBlock);
  }
}

function formatMac(dev: NetDevice): string {
  let text = "";
  for (let i = 0; i < 6; i++) {
    const byte = i < 2 ? (dev.addrHi >> (8 - i * 8)) & 255 : (dev.addrLo >>> (40 - i * 8)) & 255;
    text += (i === 0 ? "" : ":") + (byte < 16 ? "0" : "") + byte.toString(16);
  }
  return text;
}

function checkStatic(fixed: EthernetStaticAddress): Fixed {
  const { address, mask, gateway } = checkOptions(NAME, fixed);
  const bits = checkAddress(NAME, "mask", mask);
  const prefixLength = Math.clz32(~bits);
  if (bits !== (prefixLength === 0 ? 0 : -1 << (32 - prefixLength))) {
    throw new RangeError(`${NAME}: option mask is "${mask}"; it must have its ones before its zeros`);
  }
  return { addr: checkAddress(NAME, "address", address), prefixLength, gateway: checkAddress(NAME, "gateway", gateway) };
}

/** Gets the device its address, and remembers how it is taken away. @throws with the device down */
function begin(state: State, dev: NetDevice): void {
  try {
    (connections ??= []).push({ dev, end: start(state, dev) });
  } catch (error) {
    devClose(dev);
    throw error;
  }
}

/** Takes away what begin() got. @returns whether there was anything */
function end(dev: NetDevice): boolean {
  const at = connections?.findIndex((one) => one.dev === dev) ?? -1;
  if (at < 0) return false;
  connections!.splice(at, 1)[0]!.end();
  return true;
}

/** Gets the device its address. @returns what takes it away */
function start(state: State, dev: NetDevice): () => void {
  const { net, fixed, hostname } = state;
  if (fixed === null) return source === null ? nothing : source(net, dev.name, hostname);
  const { addr, prefixLength, gateway } = fixed;
  const err = inetAddAddress(net, dev, addr, prefixLength);
  if (err < 0) throw stackError(`${NAME}: address ${formatAddress(addr)}/${prefixLength}`, err);
  const routed = gateway === 0 ? -EEXIST : ipRouteAdd(net, 0, 0, gateway, 0);
  const undo = (): void => {
    if (routed >= 0) ipRouteDel(net, 0, 0, gateway, 0);
    inetDelAddress(net, dev, addr, prefixLength);
  };
  // Another device may lead out already.
  if (routed >= 0 || routed === -EEXIST) return undo;
  undo();
  throw stackError(`${NAME}: gateway ${formatAddress(gateway)}`, routed);
}

function nothing(): void {
  // There is no address to take away.
}
