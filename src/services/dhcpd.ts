/**
 * DHCP server: addresses for the hosts on one link, out of a fixed table. Read first: RFC 2131 sections 4.1 and 4.3, RFC 2132.
 * Linux has dnsmasq and udhcpd. Owns the table of leases.
 *
 *   dhcpd(initNet, "eth1", { first: 0xc0a80702, last: 0xc0a80709, dns: [0x09090909] });
 *
 * A host is known by its link address; it gets the one it had before if it can. The table is in RAM: after a restart a host
 * that says it has an address of the range keeps it when nobody else has it. Relayed messages are not answered, and an address is
 * not probed for before it is offered: whoever gets it does so (RFC 5227), and declines it.
 */
import { Arpreq } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { recv, sendto } from "../stack/socket/sendrecv.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { bind, ioctl } from "../stack/socket/socket.ts";
import { errnoName } from "../uapi/errno.ts";
import { ARPHRD_ETHER, ATF_COM } from "../uapi/if-arp.ts";
import { SIOCSARP } from "../uapi/ioctl.ts";
import { AF_INET, SO_BINDTODEVICE, SO_BROADCAST, SO_REUSEADDR, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET } from "../uapi/socket.ts";
import {
  BOOTP_CLIENT_PORT, BOOTP_SERVER_PORT, BOOTREPLY, BOOTREQUEST, createTextBytes, DHCP_BUFFER_BYTES, DHCP_CHADDR, DHCP_CIADDR,
  DHCP_FLAG_BROADCAST, DHCP_FLAGS, DHCP_FOREVER, DHCP_GIADDR, DHCP_HLEN, DHCP_HTYPE, DHCP_MESSAGE_BYTES, DHCP_XID, DHCP_YIADDR, DHCPACK,
  dhcpBegin, dhcpCheck, DHCPDECLINE, DHCPDISCOVER, dhcpEnd, DHCPINFORM, DHCPNAK, DHCPOFFER, dhcpOptionAddr, dhcpOptionU32, dhcpPutAddrs, dhcpPutBytes,
  dhcpPutU32, DHCPRELEASE, DHCPREQUEST, dhcpType, OPTION_BROADCAST, OPTION_DNS, OPTION_DOMAIN, OPTION_LEASE_TIME, OPTION_NETMASK,
  OPTION_NTP, OPTION_REQUESTED, OPTION_ROUTERS, OPTION_SERVER_ID, OPTION_T1, OPTION_T2,
} from "./dhcp-message.ts";
import { Interface, interfaceAddr, interfaceInit, interfaceMask, interfaceNeighbours } from "./interface.ts";
import {
  LONGEST_SLEEP_MS, scratch, scratchView, Service, serviceClock, serviceClose, serviceOpen, serviceSleep, serviceStart, ServiceSocket,
  serviceStop, serviceWake,
} from "./service.ts";

/** Words of a row of the table: the address, what is with it, whose it is, until when (s of the service's clock). */
const ADDR = 0;
const STATE = 1;
const HW_HI = 2;
const HW_LO = 3;
const END = 4;
const ROW = 5;

/** States of an address. A free one may have had an owner, who gets it again. */
export const LEASE_FREE = 0;
export const LEASE_OFFERED = 1;
export const LEASE_BOUND = 2;
/** Somebody uses it who did not get it here. */
export const LEASE_DECLINED = 3;
/** For one host only. */
export const LEASE_RESERVED = 4;

const DEFAULT_LEASE_SEC = 3600;
const LEAST_LEASE_SEC = 60;
const OFFER_SEC = 30;
const DECLINED_SEC = 600;
const MOST_LEASES = 254;
const MSEC_PER_SEC = 1000;
const NONE = -1;
/** What END says of a lease without end. */
const NEVER = 0x7fffffff;
const LONGEST_DOMAIN = 63;

export interface DhcpdOptions {
  /** The range, as int32 addresses of the device's subnet; 254 at most. */
  readonly first: number;
  readonly last: number;
  /** Addresses for certain hosts, outside of the range or in it. @see parseMac of hal/mac.ts for the two parts */
  readonly reserved?: readonly { readonly addr: number; readonly hwHi: number; readonly hwLo: number }[];
  /** Lease time in s, 60 and more (3600); DHCP_FOREVER for leases without end. */
  readonly leaseSec?: number;
  /** Default gateway; left out it is this host, 0 tells none. */
  readonly router?: number;
  /** Name servers and time servers told, three of each at most. */
  readonly dns?: readonly number[];
  readonly ntp?: readonly number[];
  readonly domain?: string;
}

export class DhcpServer extends Service {
  readonly rows: Int32Array;
  readonly count: number;
  /** Rows from here on are reserved ones. */
  readonly range: number;
  /** Own address and mask. */
  addr = 0;
  mask = 0;
  leaseSec = DEFAULT_LEASE_SEC;
  router = 0;
  readonly options: DhcpdOptions;
  readonly domain: Uint8Array | null;
  readonly iface: Interface;
  readonly socket: ServiceSocket = new ServiceSocket(this);
  readonly to: SockaddrIn = new SockaddrIn(0, BOOTP_CLIENT_PORT);
  readonly arpreq: Arpreq = new Arpreq();
  /** Of the message being answered. */
  hwHi = 0;
  hwLo = 0;
  xid = 0;
  flags = 0;
  ciaddr = 0;

  constructor(net: Net, name: string, options: DhcpdOptions, range: number) {
    super(net);
    const reserved = options.reserved ?? [];
    this.options = options;
    this.domain = options.domain === undefined ? null : createTextBytes(options.domain);
    this.iface = new Interface(name);
    this.range = range;
    this.count = range + reserved.length;
    this.rows = new Int32Array(this.count * ROW);
    for (let i = 0; i < range; i++) this.rows[i * ROW + ADDR] = options.first + i;
    for (let i = 0; i < reserved.length; i++) {
      const row = (range + i) * ROW;
      this.rows[row + ADDR] = reserved[i]!.addr;
      this.rows[row + STATE] = LEASE_RESERVED;
      this.rows[row + HW_HI] = reserved[i]!.hwHi;
      this.rows[row + HW_LO] = reserved[i]!.hwLo;
    }
  }
}

function check(options: DhcpdOptions, range: number): void {
  if (!(range >= 0 && range <= MOST_LEASES)) {
    throw new RangeError(`dhcpd: options first and last make ${range} addresses; it must be 0 to ${MOST_LEASES}`);
  }
  const { leaseSec = DEFAULT_LEASE_SEC, domain = "" } = options;
  if (!(leaseSec >= LEAST_LEASE_SEC && leaseSec <= DHCP_FOREVER)) {
    throw new RangeError(`dhcpd: option leaseSec is ${leaseSec}; it must be ${LEAST_LEASE_SEC} to ${DHCP_FOREVER}`);
  }
  if (domain.length > LONGEST_DOMAIN) throw new RangeError(`dhcpd: option domain is ${domain}; it must have at most ${LONGEST_DOMAIN} letters`);
}

/**
 * Starts a server on the device of that name, which has its address already. Allocates.
 * @throws RangeError naming the option and its range; Error when the device or its address is not there, or the port is taken
 */
export function dhcpd(net: Net, name: string, options: DhcpdOptions): DhcpServer {
  const range = ((options.last - options.first) | 0) + 1;
  check(options, range);
  const server = new DhcpServer(net, name, options, range);
  const err = open(server);
  if (err < 0) {
    serviceClose(server.socket);
    throw new Error(`dhcpd: device ${name}: ${errnoName(-err)}`);
  }
  server.leaseSec = options.leaseSec ?? DEFAULT_LEASE_SEC;
  server.router = options.router ?? server.addr;
  serviceStart(server, "dhcpd", DHCP_BUFFER_BYTES, dhcpdRun);
  serviceWake(server);
  return server;
}

function open(server: DhcpServer): number {
  const { socket, iface } = server;
  interfaceNeighbours();
  const err = serviceOpen(socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (err < 0) return err;
  const found = interfaceInit(iface, socket.fd);
  if (found < 0) return found;
  const known = interfaceAddr(iface, socket.fd);
  if (known < 0) return known;
  server.addr = iface.ifreq.addr.addr;
  interfaceMask(iface, socket.fd);
  server.mask = iface.ifreq.addr.addr;
  setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setsockopt(socket.fd, SOL_SOCKET, SO_BROADCAST, 1);
  setsockopt(socket.fd, SOL_SOCKET, SO_BINDTODEVICE, iface.ifindex);
  return bind(socket.fd, new SockaddrIn(0, BOOTP_SERVER_PORT));
}

/** Ends the server. */
export function dhcpdStop(server: DhcpServer): void {
  serviceClose(server.socket);
  serviceStop(server);
}

/** Calls the visitor with each address that is given out: LEASE_BOUND, and seconds that are left. */
export function dhcpdForEach(server: DhcpServer, visit: (addr: number, hwHi: number, hwLo: number, leftSec: number) => void): void {
  const { rows } = server;
  const now = nowSec(server);
  for (let row = 0; row < rows.length; row += ROW) {
    if (rows[row + STATE] !== LEASE_BOUND || rows[row + END]! <= now) continue;
    visit(rows[row + ADDR]!, rows[row + HW_HI]!, rows[row + HW_LO]!, rows[row + END]! - now);
  }
}

function nowSec(server: DhcpServer): number {
  return (serviceClock(server) / MSEC_PER_SEC) | 0;
}

function dhcpdRun(server: DhcpServer): void {
  serviceClock(server);
  serviceSleep(server, LONGEST_SLEEP_MS);
  for (;;) {
    const length = recv(server.socket.fd, scratch, 0, DHCP_MESSAGE_BYTES, 0);
    if (length < 0) return;
    if (!dhcpCheck(length, BOOTREQUEST) || scratch[DHCP_HTYPE] !== ARPHRD_ETHER || scratch[DHCP_HLEN] !== 6) continue;
    if (scratchView.getInt32(DHCP_GIADDR) !== 0) continue;
    server.hwHi = scratchView.getUint16(DHCP_CHADDR);
    server.hwLo = scratchView.getInt32(DHCP_CHADDR + 2);
    server.xid = scratchView.getInt32(DHCP_XID);
    server.flags = scratchView.getUint16(DHCP_FLAGS);
    // Nobody has this address, and nobody's addresses are not its own.
    if ((server.hwHi | server.hwLo) === 0) continue;
    server.ciaddr = scratchView.getInt32(DHCP_CIADDR);
    answer(server, dhcpType());
  }
}

function answer(server: DhcpServer, type: number): void {
  const chosen = dhcpOptionAddr(OPTION_SERVER_ID, 0);
  const requested = dhcpOptionAddr(OPTION_REQUESTED, 0);
  switch (type) {
    case DHCPDISCOVER: {
      const row = choose(server, requested);
      if (row === NONE) return;
      const wanted = leaseTime(server);
      if (!holds(server, row)) take(server, row, LEASE_OFFERED, OFFER_SEC);
      reply(server, DHCPOFFER, server.rows[row + ADDR]!, wanted);
      return;
    }
    case DHCPREQUEST:
      request(server, chosen, requested);
      return;
    case DHCPDECLINE: {
      const row = mine(server, requested);
      if (row === NONE || !isMeant(server, chosen)) return;
      take(server, row, LEASE_DECLINED, DECLINED_SEC);
      // It is not to get it again when the time is over, beside the one that it has then.
      if (row < server.range * ROW) disown(server, row);
      return;
    }
    case DHCPRELEASE: {
      const row = mine(server, server.ciaddr);
      if (row !== NONE && isMeant(server, chosen) && !declined(server, row)) server.rows[row + STATE] = rest(server, row);
      return;
    }
    case DHCPINFORM:
      reply(server, DHCPACK, 0, 0);
      return;
    default:
      return;
  }
}

/** RFC 2131 section 4.3.2: an offer is taken, or an address from before is asked for, or its time is to be longer. */
function request(server: DhcpServer, chosen: number, requested: number): void {
  if (!isMeant(server, chosen)) {
    // Another server's offer was better.
    const row = findOwner(server);
    if (row !== NONE && server.rows[row + STATE] === LEASE_OFFERED) server.rows[row + STATE] = rest(server, row);
    return;
  }
  const addr = requested !== 0 ? requested : server.ciaddr;
  const row = find(server, addr);
  const own = findOwner(server);
  const offered = row !== NONE && owns(server, row) && !declined(server, row);
  const unclaimed = row !== NONE && chosen === 0 && available(server, row);
  // Whoever has an address reserved is to have that and no other.
  if ((!offered && !unclaimed) || (own >= server.range * ROW && own !== row)) {
    nak(server);
    return;
  }
  // A host has one address: else it could have them all, one after the other.
  if (own !== NONE && own !== row) {
    server.rows[own + STATE] = LEASE_FREE;
    disown(server, own);
  }
  const seconds = leaseTime(server);
  take(server, row, LEASE_BOUND, seconds);
  reply(server, DHCPACK, addr, seconds);
}

/** Is the message for this server? Some name none. */
function isMeant(server: DhcpServer, chosen: number): boolean {
  return chosen === 0 || chosen === server.addr;
}

/** The address is nobody's any more. */
function disown(server: DhcpServer, row: number): void {
  server.rows[row + HW_HI] = server.rows[row + HW_LO] = 0;
}

/** The lease time that the message asks for, as far as it may be had. */
function leaseTime(server: DhcpServer): number {
  const wanted = dhcpOptionU32(OPTION_LEASE_TIME, server.leaseSec);
  return wanted > server.leaseSec ? server.leaseSec : wanted < LEAST_LEASE_SEC ? LEAST_LEASE_SEC : wanted;
}

/** The row of an address, or NONE. Reserved ones come before the range. */
function find(server: DhcpServer, addr: number): number {
  const { rows } = server;
  for (let row = rows.length - ROW; row >= 0; row -= ROW) if (rows[row + ADDR] === addr) return row;
  return NONE;
}

function owns(server: DhcpServer, row: number): boolean {
  return server.rows[row + HW_HI] === server.hwHi && server.rows[row + HW_LO] === server.hwLo;
}

/** Has somebody said that the address is in use, not long ago? */
function declined(server: DhcpServer, row: number): boolean {
  return server.rows[row + STATE] === LEASE_DECLINED && server.rows[row + END]! > nowSec(server);
}

/** The row of the host that asks: a reserved one before others. */
function findOwner(server: DhcpServer): number {
  for (let row = server.rows.length - ROW; row >= 0; row -= ROW) if (owns(server, row) && !declined(server, row)) return row;
  return NONE;
}

/** The row of an address that the host has. */
function mine(server: DhcpServer, addr: number): number {
  const row = find(server, addr);
  return row !== NONE && owns(server, row) ? row : NONE;
}

/** Has nobody the address? Those in use elsewhere are not to be given: this host's own, and reserved ones. */
function available(server: DhcpServer, row: number): boolean {
  const { rows } = server;
  const addr = rows[row + ADDR]!;
  if (row >= server.range * ROW || addr === server.addr) return false;
  for (let other = server.range * ROW; other < rows.length; other += ROW) if (rows[other + ADDR] === addr) return false;
  return rows[row + STATE] === LEASE_FREE || rows[row + END]! <= nowSec(server);
}

/** Does the host have the address, and has time left? */
function holds(server: DhcpServer, row: number): boolean {
  return owns(server, row) && server.rows[row + STATE] === LEASE_BOUND && server.rows[row + END]! > nowSec(server);
}

/** An address for the host: its own, the one it asks for, one that nobody had, the one that has been free for longest; or NONE. */
function choose(server: DhcpServer, requested: number): number {
  const { rows } = server;
  const own = findOwner(server);
  if (own !== NONE) return own;
  const wished = find(server, requested);
  if (wished !== NONE && available(server, wished)) return wished;
  let best = NONE;
  for (let row = 0; row < server.range * ROW; row += ROW) {
    if (available(server, row) && (best === NONE || rows[row + END]! < rows[best + END]!)) best = row;
  }
  return best;
}

/** The state of an address that is given back. */
function rest(server: DhcpServer, row: number): number {
  return row >= server.range * ROW ? LEASE_RESERVED : LEASE_FREE;
}

function take(server: DhcpServer, row: number, state: number, seconds: number): void {
  const { rows } = server;
  rows[row + STATE] = state;
  rows[row + HW_HI] = server.hwHi;
  rows[row + HW_LO] = server.hwLo;
  const end = nowSec(server) + seconds;
  rows[row + END] = end < NEVER ? end : NEVER;
}

function nak(server: DhcpServer): void {
  const at = dhcpBegin(BOOTREPLY, DHCPNAK, server.xid, server.hwHi, server.hwLo);
  scratchView.setUint16(DHCP_FLAGS, server.flags);
  send(server, dhcpPutU32(at, OPTION_SERVER_ID, server.addr), -1);
}

/** An offer or acknowledgment. @param addr 0 for a host that only wants to know the rest */
function reply(server: DhcpServer, type: number, addr: number, seconds: number): void {
  const { options } = server;
  let at = dhcpBegin(BOOTREPLY, type, server.xid, server.hwHi, server.hwLo);
  scratchView.setUint16(DHCP_FLAGS, server.flags);
  scratchView.setInt32(DHCP_CIADDR, server.ciaddr);
  scratchView.setInt32(DHCP_YIADDR, addr);
  at = dhcpPutU32(at, OPTION_SERVER_ID, server.addr);
  if (addr !== 0) {
    at = dhcpPutU32(at, OPTION_LEASE_TIME, seconds);
    if (seconds !== DHCP_FOREVER) at = dhcpPutU32(dhcpPutU32(at, OPTION_T1, seconds / 2), OPTION_T2, seconds * 0.875);
  }
  at = dhcpPutU32(at, OPTION_NETMASK, server.mask);
  at = dhcpPutU32(at, OPTION_BROADCAST, server.addr | ~server.mask);
  if (server.router !== 0) at = dhcpPutU32(at, OPTION_ROUTERS, server.router);
  at = putServers(at, OPTION_DNS, options.dns);
  at = putServers(at, OPTION_NTP, options.ntp);
  if (server.domain !== null) at = dhcpPutBytes(at, OPTION_DOMAIN, server.domain);
  send(server, at, destination(server, addr));
}

function putServers(at: number, code: number, servers: readonly number[] | undefined): number {
  if (servers === undefined || servers.length === 0) return at;
  return dhcpPutAddrs(at, code, servers, servers.length < 3 ? servers.length : 3);
}

/**
 * Where the answer goes (RFC 2131 section 4.1): to the address that the host has; else to all if it wants that; else to the one it
 * is to have, at which it does not answer ARP yet, so that its link address is put down here.
 */
function destination(server: DhcpServer, addr: number): number {
  if (server.ciaddr !== 0) return server.ciaddr;
  if ((server.flags & DHCP_FLAG_BROADCAST) !== 0) return -1;
  const { arpreq } = server;
  arpreq.pa.family = AF_INET;
  arpreq.pa.addr = addr;
  arpreq.haType = ARPHRD_ETHER;
  arpreq.haHi = server.hwHi;
  arpreq.haLo = server.hwLo;
  arpreq.flags = ATF_COM;
  arpreq.dev = server.iface.name;
  return ioctl(server.socket.fd, SIOCSARP, arpreq) < 0 ? -1 : addr;
}

function send(server: DhcpServer, at: number, addr: number): void {
  server.to.addr = addr;
  sendto(server.socket.fd, scratch, 0, dhcpEnd(at), 0, server.to);
}
