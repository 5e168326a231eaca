/**
 * What a DHCP server has given: read out of its answer, and put into the device, its routes included. Read first: RFC 2132,
 * RFC 3442 (classless routes), RFC 2131 section 4.4.5 (times). Linux's counterpart is dhclient-script. Owns nothing.
 */
import { interfaceAddRoute, interfaceDelRoute, type Interface, interfaceMtu, interfaceSetAddress, interfaceSetMtu } from "./interface.ts";
import {
  DHCP_FOREVER, DHCP_OPTION_BYTES, DHCP_YIADDR, dhcpOption, dhcpOptionAddr, dhcpOptionAddrs, dhcpOptionAt, dhcpOptionText, dhcpOptionU16, dhcpOptionU32,
  OPTION_BROADCAST, OPTION_CLASSLESS_ROUTES, OPTION_DNS, OPTION_DOMAIN, OPTION_HOSTNAME, OPTION_LEASE_TIME, OPTION_MTU,
  OPTION_NETMASK, OPTION_NTP, OPTION_ROUTERS, OPTION_SERVER_ID, OPTION_STATIC_ROUTES, OPTION_T1, OPTION_T2,
} from "./dhcp-message.ts";
import { scratch, scratchView } from "./service.ts";

/** Name servers and time servers that are kept. */
const SERVERS = 3;
/** Routes that are kept: destination, mask, gateway. */
const ROUTES = 8;
const ROUTE_NUMBERS = 3;
/** Longest names that are kept; a longer one is none. */
const HOSTNAME_BYTES = 64;
const DOMAIN_BYTES = 128;
/** Every host takes packets of that size (RFC 791); a smaller MTU is not believed. */
const LEAST_MTU = 576;
/** Shortest lease that is believed, in s. */
const LEAST_LEASE_SEC = 30;

export class DhcpLease {
  /** 0: none. Addresses are int32. */
  addr = 0;
  mask = 0;
  /** 0: that of the subnet. */
  broadcast = 0;
  /** The first router, 0 for none. */
  router = 0;
  server = 0;
  /** Seconds; DHCP_FOREVER is a lease without end. */
  leaseSec = 0;
  t1Sec = 0;
  t2Sec = 0;
  /** 0: not said. */
  mtu = 0;
  dnsCount = 0;
  ntpCount = 0;
  routeCount = 0;
  hostnameBytes = 0;
  domainBytes = 0;
  /** Their text, so that a renewal makes no string. */
  readonly names: Uint8Array = new Uint8Array(HOSTNAME_BYTES + DOMAIN_BYTES);
  readonly dns: Int32Array = new Int32Array(SERVERS);
  readonly ntp: Int32Array = new Int32Array(SERVERS);
  /** The default route included. */
  readonly routes: Int32Array = new Int32Array(ROUTES * ROUTE_NUMBERS);
  /** What the device's MTU was before, 0 while it is as it was. */
  formerMtu = 0;

  /** The host's name; "" when the server says none. Makes a string, as the next one does. */
  get hostname(): string {
    return nameText(this.names, 0, this.hostnameBytes);
  }

  /** The domain behind it, for the search list. */
  get domain(): string {
    return nameText(this.names, HOSTNAME_BYTES, this.domainBytes);
  }
}

function nameText(names: Uint8Array, at: number, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(names[at + i]!);
  return text;
}

/** The mask that the class of an address says. */
function classMask(addr: number): number {
  return addr >= 0 ? -0x1000000 : (addr & 0x40000000) === 0 ? -0x10000 : -0x100;
}

/** Are its bits all in front? */
function maskOk(mask: number): boolean {
  return (~mask & (~mask + 1)) === 0;
}

/** An address that a host can have. */
function hostAddr(addr: number): boolean {
  const first = addr >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/**
 * Is the message's offer one that can be taken: an address of a host, a server to take it from, a lease that is long enough?
 * A lease of an ACK without a time is none; an offer may leave the time open.
 */
export function dhcpOfferOk(offer: boolean): boolean {
  if (!hostAddr(scratchView.getInt32(DHCP_YIADDR)) || dhcpOptionAddr(OPTION_SERVER_ID, 0) === 0) return false;
  if (!maskOk(dhcpOptionAddr(OPTION_NETMASK, -1))) return false;
  const seconds = dhcpOptionU32(OPTION_LEASE_TIME, -1);
  return seconds < 0 ? offer : seconds >= LEAST_LEASE_SEC;
}

/** Takes the lease out of an ACK that dhcpOfferOk() likes. */
export function dhcpReadLease(lease: DhcpLease): void {
  lease.addr = scratchView.getInt32(DHCP_YIADDR);
  lease.mask = dhcpOptionAddr(OPTION_NETMASK, classMask(lease.addr));
  lease.broadcast = dhcpOptionAddr(OPTION_BROADCAST, 0);
  lease.server = dhcpOptionAddr(OPTION_SERVER_ID, 0);
  lease.mtu = dhcpOptionU16(OPTION_MTU, 0);
  lease.dnsCount = dhcpOptionAddrs(OPTION_DNS, lease.dns);
  lease.ntpCount = dhcpOptionAddrs(OPTION_NTP, lease.ntp);
  lease.hostnameBytes = dhcpOptionText(OPTION_HOSTNAME, lease.names, 0, HOSTNAME_BYTES);
  lease.domainBytes = dhcpOptionText(OPTION_DOMAIN, lease.names, HOSTNAME_BYTES, DOMAIN_BYTES);
  readTimes(lease);
  lease.router = dhcpOptionAddr(OPTION_ROUTERS, 0);
  lease.routeCount = 0;
  if (readClasslessRoutes(lease)) return;
  if (lease.router !== 0) addRoute(lease, 0, 0, lease.router);
  const count = dhcpOption(OPTION_STATIC_ROUTES) >> 3;
  const at = dhcpOptionAt();
  for (let i = 0; i < count; i++) {
    const dst = scratchView.getInt32(at + (i << 3));
    if (dst !== 0) addRoute(lease, dst, classMask(dst), scratchView.getInt32(at + (i << 3) + 4));
  }
}

function readTimes(lease: DhcpLease): void {
  const seconds = dhcpOptionU32(OPTION_LEASE_TIME, DHCP_FOREVER);
  lease.leaseSec = seconds;
  const t1 = dhcpOptionU32(OPTION_T1, seconds / 2);
  const t2 = dhcpOptionU32(OPTION_T2, seconds * 0.875);
  // With a T1 of 0 the client would ask without end.
  const sane = t1 > 0 && t1 < t2 && t2 < seconds;
  lease.t1Sec = sane ? t1 : seconds / 2;
  lease.t2Sec = sane ? t2 : seconds * 0.875;
}

function addRoute(lease: DhcpLease, dst: number, mask: number, gateway: number): void {
  if (lease.routeCount === ROUTES) return;
  const at = lease.routeCount++ * ROUTE_NUMBERS;
  lease.routes[at] = dst & mask;
  lease.routes[at + 1] = mask;
  lease.routes[at + 2] = gateway;
}

/** Option 121, which counts in place of routers and static routes. False when it is not there or malformed. */
function readClasslessRoutes(lease: DhcpLease): boolean {
  const length = dhcpOption(OPTION_CLASSLESS_ROUTES);
  if (length <= 0) return false;
  let at = dhcpOptionAt();
  const end = at + length;
  let router = 0;
  while (at < end) {
    const prefix = scratch[at++]!;
    const bytes = (prefix + 7) >> 3;
    const fits = at + bytes + 4 <= end;
    // Of a list that was too long the rest is missing.
    if (!fits && prefix <= 32 && length === DHCP_OPTION_BYTES) break;
    if (!fits || prefix > 32) {
      lease.routeCount = 0;
      return false;
    }
    let dst = 0;
    for (let i = 0; i < bytes; i++) dst |= scratch[at + i]! << (24 - (i << 3));
    const gateway = scratchView.getInt32(at + bytes);
    at += bytes + 4;
    addRoute(lease, dst, prefix === 0 ? 0 : -1 << (32 - prefix), gateway);
    if (prefix === 0) router = gateway;
  }
  lease.router = router;
  return true;
}

/**
 * Puts the lease into the device. What it cannot have (a route whose gateway nothing leads to) is left out.
 * @param fd a socket of the namespace @returns 0, or why the address cannot be set
 */
export function dhcpApply(lease: DhcpLease, iface: Interface, fd: number): number {
  if (lease.mtu >= LEAST_MTU) {
    const before = interfaceMtu(iface, fd);
    if (before !== lease.mtu && interfaceSetMtu(iface, fd, lease.mtu) === 0 && lease.formerMtu === 0) lease.formerMtu = before;
  }
  const err = interfaceSetAddress(iface, fd, iface.name, lease.addr, lease.mask, lease.broadcast);
  if (err < 0) return err;
  const { routes } = lease;
  for (let i = 0; i < lease.routeCount * ROUTE_NUMBERS; i += ROUTE_NUMBERS) {
    interfaceAddRoute(iface, fd, routes[i]!, routes[i + 1]!, routes[i + 2]!);
  }
  return 0;
}

/** Takes routes, address and MTU back. */
export function dhcpUnapply(lease: DhcpLease, iface: Interface, fd: number): void {
  dhcpUnapplyRoutes(lease, iface, fd);
  interfaceSetAddress(iface, fd, iface.name, 0, 0, 0);
  if (lease.formerMtu !== 0) interfaceSetMtu(iface, fd, lease.formerMtu);
  lease.formerMtu = 0;
  lease.addr = 0;
}

/** Takes its routes back. */
export function dhcpUnapplyRoutes(lease: DhcpLease, iface: Interface, fd: number): void {
  const { routes } = lease;
  for (let i = (lease.routeCount - 1) * ROUTE_NUMBERS; i >= 0; i -= ROUTE_NUMBERS) {
    interfaceDelRoute(iface, fd, routes[i]!, routes[i + 1]!, routes[i + 2]!);
  }
  lease.routeCount = 0;
}
