/**
 * What each service costs on a 32-bit XS machine: its state, fixed once it is started, and the one buffer that all of them share.
 * Its sockets are those of the preset, and the parts that it takes are not counted here. Host only, as budget.ts is.
 */
import { boot } from "./boot.ts";
import { type PoolBudget, priceObjects } from "./budget.ts";
import type { ConfigOptions } from "./config.ts";
import { igmp } from "./igmp.ts";
import { ioctls } from "./ioctl.ts";
import { packet } from "./packet.ts";
import { autoip, autoipStop } from "./services/autoip.ts";
import { dhcp, dhcpStop } from "./services/dhcp.ts";
import { dhcpd, dhcpdStop } from "./services/dhcpd.ts";
import { dns, dnsStop } from "./services/dns.ts";
import { mdns, mdnsStop } from "./services/mdns.ts";
import { sntp, sntpStop } from "./services/sntp.ts";
import { initNet } from "./start-kernel.ts";

const DEVICE = "lo";
/** 127.0.0.2, and how many addresses from it on the DHCP server has to give. */
const FIRST = 0x7f000002;
const LEASES = 16;

export interface ServiceBudget {
  /** Heap slots of all. */
  readonly slots: number;
  readonly pools: readonly PoolBudget[];
}

/** Starts every service with what it has where nothing else is said. @param stop each of them before the next one */
export function startServices(stop: boolean): void {
  // The longest messages first: the buffer grows no more.
  const names = mdns(initNet, DEVICE, { host: "board" });
  if (stop) mdnsStop(names);
  const client = dhcp(initNet, DEVICE);
  if (stop) dhcpStop(client);
  const address = autoip(initNet, DEVICE);
  if (stop) autoipStop(address);
  const server = dhcpd(initNet, DEVICE, { first: FIRST, last: FIRST + LEASES - 1 });
  if (stop) dhcpdStop(server);
  const resolver = dns(initNet);
  if (stop) dnsStop(resolver);
  const clock = sntp(initNet);
  if (stop) sntpStop(clock);
}

/** Boots with these options and says what the services cost. @throws what boot() throws for bad options */
export function serviceBudget(options: ConfigOptions): ServiceBudget {
  return priceObjects((begin) => {
    boot({ ...options, initcalls: [packet, igmp, ioctls] });
    begin();
    startServices(true);
  });
}
