/**
 * AutoIP: an address out of 169.254.0.0/16 where nobody gives one. Read first: RFC 3927, RFC 5227. Linux has avahi-autoipd and
 * systemd-networkd. Owns the address; whether it is free and stays ours is acd.ts's, which takes the part `packet` at boot.
 *
 *   dhcp(initNet, "eth0", { onChange(client, event) {
 *     if (event === DHCP_EVENT_SILENCE) own ??= autoip(initNet, "eth0");
 *     else if (event === DHCP_EVENT_BOUND && own !== null) { autoipStop(own); own = null; }
 *   } });
 *
 * The address is put under a label of its own, `eth0:ll`, beside any other. The first one tried follows from the link address, so
 * that a board gets the same one each time. When the link was away it is taken out and asked for again, as it may be another network
 * now (section 2.2). As on Linux the stack answers ARP for it to who asks and not to all (section 2.5).
 */
import { getRandomBelow } from "../lib/random.ts";
import { jhash2words } from "../lib/jhash.ts";
import type { Net } from "../stack/core/net.ts";
import { ARP_ETH_LEN } from "../stack/wire/arp.ts";
import { errnoName } from "../uapi/errno.ts";
import { Acd, ACD_CONFLICT, ACD_FREE, ACD_LOST, acdClose, acdNext, acdOpen, acdProbe, acdRun } from "./acd.ts";
import { Interface, interfaceInit, interfaceRunning, interfaceSetAddress } from "./interface.ts";
import { LinkWatch, linkWatchStart, linkWatchStop } from "./link.ts";
import { Service, serviceSleep, serviceStart, serviceStop, serviceWake } from "./service.ts";

/** 169.254.1.0, and how many addresses from it on may be chosen (section 2.1: neither the first nor the last 256). */
const FIRST = -1442971392;
const CHOICES = 254 * 256;
const MASK = -0x10000;
const LINK_POLL_MS = 250;
const LABEL = ":ll";

/** Waiting for the link; asking whether the address is free; having it. */
export const AUTOIP_WAITING = 0;
export const AUTOIP_PROBING = 1;
export const AUTOIP_BOUND = 2;

export interface AutoipOptions {
  /** An address from an earlier life, tried first. */
  readonly request?: number;
  /** Hears that there is an address, or with 0 that there is none any more. */
  readonly onChange?: (client: AutoipClient, addr: number) => void;
}

export class AutoipClient extends Service {
  state = AUTOIP_WAITING;
  /** The address that is tried or had. */
  addr = 0;
  readonly acd: Acd = new Acd(this);
  readonly iface: Interface;
  readonly label: string;
  /** null until the device is known. */
  link: LinkWatch | null = null;
  readonly onChange: ((client: AutoipClient, addr: number) => void) | undefined;

  constructor(net: Net, name: string, onChange: AutoipOptions["onChange"]) {
    super(net);
    this.iface = new Interface(name);
    this.label = name + LABEL;
    this.onChange = onChange;
  }
}

function eligible(addr: number): boolean {
  return ((addr - FIRST) >>> 0) < CHOICES;
}

/**
 * Starts to choose an address for the device of that name, which is brought up. Allocates.
 * @throws RangeError for an address that may not be chosen; Error when the device or the part `packet` is not there
 */
export function autoip(net: Net, name: string, options: AutoipOptions = {}): AutoipClient {
  const { request, onChange } = options;
  if (request !== undefined && !eligible(request)) throw new RangeError("autoip: option request is not in 169.254.1.0 to 169.254.254.255");
  const client = new AutoipClient(net, name, onChange);
  const { acd, iface } = client;
  // The socket is there first, as the device is asked through it; then it is bound to the device.
  let err = acdOpen(acd, 0, 0, 0);
  if (err === 0) err = interfaceInit(iface, acd.socket.fd);
  acdClose(acd);
  if (err === 0) err = acdOpen(acd, iface.ifindex, iface.hwHi, iface.hwLo);
  if (err < 0) throw new Error(`autoip: device ${name}: ${errnoName(-err)}`);
  client.link = new LinkWatch(client, iface.ifindex);
  linkWatchStart(client.link);
  serviceStart(client, "autoip", ARP_ETH_LEN, autoipRun);
  client.addr = request ?? (FIRST + (jhash2words(iface.hwHi, iface.hwLo, 0) >>> 0) % CHOICES) | 0;
  serviceWake(client);
  return client;
}

/** Ends it; the address goes. */
export function autoipStop(client: AutoipClient): void {
  if (client.timer < 0) return;
  if (client.state === AUTOIP_BOUND) setAddress(client, 0);
  linkWatchStop(client.link!);
  acdClose(client.acd);
  serviceStop(client);
}

function setAddress(client: AutoipClient, addr: number): number {
  return interfaceSetAddress(client.iface, client.acd.socket.fd, client.label, addr, MASK, 0);
}

function autoipRun(client: AutoipClient): void {
  const { acd } = client;
  const link = client.link!;
  let told = -1;
  if (link.returned) {
    link.returned = false;
    if (client.state === AUTOIP_BOUND) {
      setAddress(client, 0);
      told = 0;
    }
    client.state = AUTOIP_WAITING;
  }
  if (client.state === AUTOIP_WAITING && interfaceRunning(client.iface, acd.socket.fd)) {
    client.state = AUTOIP_PROBING;
    acdProbe(acd, client.addr);
  }
  const news = acdRun(acd);
  if (news === ACD_FREE && setAddress(client, client.addr) === 0) {
    client.state = AUTOIP_BOUND;
    told = client.addr;
  } else if (news === ACD_CONFLICT || news === ACD_LOST || news === ACD_FREE) {
    if (client.state === AUTOIP_BOUND) {
      setAddress(client, 0);
      told = 0;
    }
    client.state = AUTOIP_PROBING;
    client.addr = FIRST + getRandomBelow(CHOICES);
    acdProbe(acd, client.addr);
  }
  serviceSleep(client, client.state === AUTOIP_WAITING ? LINK_POLL_MS : acdNext(acd));
  if (told !== -1) client.onChange?.(client, told);
}
