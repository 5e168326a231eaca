/**
 * DHCP client: gets an address for a device, keeps it as long as the server lets it, and says when it changes. Read first:
 * RFC 2131 (figure 5, sections 3, 4.1 and 4.4), RFC 2132, RFC 5227 (is the address free?). Linux has dhclient, udhcpc and
 * systemd-networkd. The client's state is in dhcp-client.ts, its messages in dhcp-message.ts, what is in them in dhcp-lease.ts.
 *
 *   const client = dhcp(initNet, "eth0", { hostname: "board7", onChange: (client, event) => { … client.lease.addr … } });
 *
 * Before it has an address it sends from 0.0.0.0 through a UDP socket that is bound to the device, as Linux lets every program
 * do, and asks the server to broadcast its answers, as the stack takes no packets for an address that it has not. (Where another
 * device has an address, that is the source, as on Linux.) With the part `packet` at boot it makes sure that nobody has the address
 * before it uses it, and defends it after; `probe: false` saves these five to eight seconds.
 */
import { getRandomBelow, getRandomU32 } from "../lib/random.ts";
import type { Net } from "../stack/core/net.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { recv, sendto } from "../stack/socket/sendrecv.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { bind } from "../stack/socket/socket.ts";
import { errnoName } from "../uapi/errno.ts";
import { AF_INET, SO_BINDTODEVICE, SO_BROADCAST, SO_REUSEADDR, SOCK_DGRAM, SOCK_NONBLOCK, SOL_SOCKET } from "../uapi/socket.ts";
import { ACD_CONFLICT, ACD_FREE, ACD_LOST } from "./acd.ts";
import { addressCheck } from "./address-check.ts";
import {
  DHCP_BOUND, DHCP_CHECKING, DHCP_EVENT_BOUND, DHCP_EVENT_CONFLICT, DHCP_EVENT_EXPIRED, DHCP_EVENT_REFUSED, DHCP_EVENT_RELEASED,
  DHCP_EVENT_RENEWED, DHCP_EVENT_SILENCE, DHCP_INIT, DHCP_REBINDING, DHCP_REBOOTING, DHCP_RELEASING, DHCP_RENEWING, DHCP_REQUESTING,
  DHCP_SELECTING, DHCP_STOPPED, DHCP_WAITING, dhcpCheckOptions, DhcpClient, type DhcpOptions,
} from "./dhcp-client.ts";
import { dhcpApply, dhcpOfferOk, dhcpReadLease, dhcpUnapply, dhcpUnapplyRoutes } from "./dhcp-lease.ts";
import {
  BOOTP_CLIENT_PORT, BOOTREPLY, BOOTREQUEST, DHCP_BUFFER_BYTES, DHCP_CHADDR, DHCP_CIADDR, DHCP_FLAG_BROADCAST, DHCP_FLAGS, DHCP_FOREVER,
  DHCP_MESSAGE_BYTES, DHCP_SECS, DHCP_XID, DHCP_YIADDR, DHCPACK, dhcpBegin, dhcpCheck, DHCPDECLINE, DHCPDISCOVER, dhcpEnd, DHCPNAK,
  DHCPOFFER, dhcpOptionAddr, dhcpPutBytes, dhcpPutU16, dhcpPutU32, DHCPRELEASE, DHCPREQUEST, dhcpType, OPTION_CLIENT_ID, OPTION_HOSTNAME,
  OPTION_LEASE_TIME, OPTION_MAX_SIZE, OPTION_PARAMETERS, OPTION_REQUESTED, OPTION_SERVER_ID,
} from "./dhcp-message.ts";
import { interfaceInit, interfaceRunning } from "./interface.ts";
import { LinkWatch, linkWatchStart, linkWatchStop } from "./link.ts";
import {
  scratch, scratchView, serviceClock, serviceClose, serviceOpen, serviceSleep, serviceStart, serviceStop, serviceWake,
} from "./service.ts";

export * from "./dhcp-client.ts";
export type { DhcpLease } from "./dhcp-lease.ts";
export { DHCP_FOREVER } from "./dhcp-message.ts";

/** RFC 2131 section 4.1: 4 s, doubled up to 64, each a second more or less. */
const FIRST_RETRY_MS = 4000;
const LAST_RETRY_MS = 64_000;
const JITTER_MS = 1000;
/** Section 4.4.5: half of what is left, but not less than a minute. */
const LEAST_RENEWAL_MS = 60_000;
/** After an address that another host has (section 3.1.5), and after a refused one, doubled up to a minute. */
const DECLINE_WAIT_MS = 10_000;
const REFUSED_WAIT_MS = 1000;
const REFUSED_WAIT_MAX_MS = 64_000;
/** How often the link is looked at until it is there. */
const LINK_POLL_MS = 250;
/** Requests before an offer is taken for gone, and before an old address is no more asked for. */
const REQUEST_TRIES = 4;
const REBOOT_TRIES = 3;
const SILENT_TRIES = 3;
/** The last message has to find the server's link address before the own address goes. */
const RELEASE_MS = 1000;
const MSEC_PER_SEC = 1000;
/** Beyond this the time of renewal is spread no further. */
const MOST_SPREAD_SEC = 1 << 26;
const BROADCAST_ADDR = -1;

/** Asked for, in the order of RFC 3442: classless routes before routers. Option 54 comes unasked, but may be asked for. */
const PARAMETERS: readonly number[] = Object.freeze([1, 121, 3, 6, 12, 15, 26, 28, 33, 42, 51, 54, 58, 59]);

/**
 * Starts a client for the device of that name, which is brought up. Allocates.
 * @throws RangeError for an option; Error when the device is not there or no socket is left
 */
export function dhcp(net: Net, name: string, options: DhcpOptions = {}): DhcpClient {
  dhcpCheckOptions(options);
  const client = new DhcpClient(net, name, options);
  const err = open(client);
  if (err < 0) {
    serviceClose(client.socket);
    throw new Error(`dhcp: device ${name}: ${errnoName(-err)}`);
  }
  if (options.probe !== false && addressCheck !== null) client.acd = addressCheck.create(client, client.iface);
  client.link = new LinkWatch(client, client.iface.ifindex);
  linkWatchStart(client.link);
  serviceStart(client, "dhcp", DHCP_BUFFER_BYTES, dhcpRun);
  client.wanted = options.request ?? 0;
  serviceWake(client);
  return client;
}

function open(client: DhcpClient): number {
  const { socket, iface, clientId } = client;
  const err = serviceOpen(socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (err < 0) return err;
  const found = interfaceInit(iface, socket.fd);
  if (found < 0) return found;
  if (client.options.clientId === undefined) {
    clientId[0] = 1;
    for (let i = 0; i < 2; i++) clientId[1 + i] = iface.hwHi >> (8 - (i << 3));
    for (let i = 0; i < 4; i++) clientId[3 + i] = iface.hwLo >> (24 - (i << 3));
  }
  setsockopt(socket.fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setsockopt(socket.fd, SOL_SOCKET, SO_BROADCAST, 1);
  setsockopt(socket.fd, SOL_SOCKET, SO_BINDTODEVICE, iface.ifindex);
  return bind(socket.fd, new SockaddrIn(0, BOOTP_CLIENT_PORT));
}

/** Asks for more time now, or without a lease begins anew at once: when something else says that the network is another one. */
export function dhcpRenew(client: DhcpClient): void {
  if (client.state === DHCP_STOPPED || client.state === DHCP_RELEASING) return;
  serviceClock(client);
  if (client.state === DHCP_BOUND) enter(client, DHCP_RENEWING);
  else if (!client.applied) enter(client, DHCP_INIT);
  serviceWake(client);
}

/** Gives the address back to the server, and ends the client a second later. */
export function dhcpRelease(client: DhcpClient): void {
  if (client.state === DHCP_STOPPED) return;
  serviceClock(client);
  if (client.applied) sendRelease(client);
  enter(client, DHCP_RELEASING);
  client.dueMs = client.applied ? client.clockMs + RELEASE_MS : client.clockMs;
  serviceWake(client);
}

/** Ends the client; the address stays. */
export function dhcpStop(client: DhcpClient): void {
  shut(client);
  serviceStop(client);
}

function shut(client: DhcpClient): void {
  client.state = DHCP_STOPPED;
  if (client.link !== null) linkWatchStop(client.link);
  if (client.acd !== null) addressCheck!.close(client.acd);
  serviceClose(client.socket);
}

/** Goes to a state in which something is due at once. */
function enter(client: DhcpClient, state: number): void {
  client.state = state;
  client.tries = 0;
  client.dueMs = client.clockMs;
}

function tell(client: DhcpClient, event: number): void {
  client.options.onChange?.(client, event);
}

function dhcpRun(client: DhcpClient): void {
  serviceClock(client);
  if (client.link!.returned) linkReturned(client);
  const event = receive(client) || checkConflict(client) || act(client);
  if (client.state === DHCP_STOPPED) {
    serviceStop(client);
  } else {
    if (event !== 0) serviceWake(client);
    let sleep = client.dueMs - client.clockMs;
    const acd = client.acd === null ? -1 : addressCheck!.next(client.acd);
    if (acd >= 0 && acd < sleep) sleep = acd;
    serviceSleep(client, sleep > 0 ? sleep : 0);
  }
  if (event !== 0) tell(client, event);
}

/**
 * The link was away: it may be another network now. An address is asked for again from whatever server is there, and kept meanwhile
 * (RFC 2131 section 3.7); what was under way without one begins anew.
 */
function linkReturned(client: DhcpClient): void {
  const { state, acd, lease } = client;
  client.link!.returned = false;
  if (client.applied && state >= DHCP_BOUND && state <= DHCP_REBINDING) {
    client.xid = getRandomU32();
    client.begunMs = client.clockMs;
    client.wanted = lease.addr;
    enter(client, DHCP_REBOOTING);
  } else if (!client.applied && state !== DHCP_WAITING && state < DHCP_RELEASING) {
    if (acd !== null) addressCheck!.idle(acd);
    enter(client, DHCP_INIT);
  }
}

/** Does what is due in the state. @returns DHCP_EVENT_* or 0 */
function act(client: DhcpClient): number {
  if (client.dueMs > client.clockMs) return 0;
  switch (client.state) {
    case DHCP_INIT:
      return begin(client);
    case DHCP_WAITING:
      enter(client, DHCP_INIT);
      return 0;
    case DHCP_SELECTING:
      sendAgain(client, DHCPDISCOVER, BROADCAST_ADDR);
      return client.tries === SILENT_TRIES + 1 ? DHCP_EVENT_SILENCE : 0;
    case DHCP_REQUESTING:
    case DHCP_REBOOTING:
      if (client.tries < (client.state === DHCP_REBOOTING ? REBOOT_TRIES : REQUEST_TRIES)) {
        sendAgain(client, DHCPREQUEST, BROADCAST_ADDR);
        return 0;
      }
      // The server does not stand by its offer; nobody knows the old address. One whose time is not over stays (section 3.2).
      if (!client.applied) client.wanted = 0;
      enter(client, client.applied ? DHCP_BOUND : DHCP_INIT);
      return 0;
    case DHCP_BOUND:
      if (client.clockMs >= client.t1Ms) enter(client, DHCP_RENEWING);
      else client.dueMs = client.t1Ms;
      return 0;
    case DHCP_RENEWING:
      if (client.clockMs >= client.t2Ms) enter(client, DHCP_REBINDING);
      else sendRenewal(client, client.lease.server, client.t2Ms);
      return 0;
    case DHCP_REBINDING:
      if (client.clockMs >= client.endMs) return lose(client, DHCP_EVENT_EXPIRED, 0);
      sendRenewal(client, BROADCAST_ADDR, client.endMs);
      return 0;
    case DHCP_RELEASING:
      return released(client);
    default:
      client.dueMs = Infinity;
      return 0;
  }
}

/** INIT: once the link is there, asks for any address, or for the one from before. */
function begin(client: DhcpClient): number {
  if (!interfaceRunning(client.iface, client.socket.fd)) {
    client.dueMs = client.clockMs + LINK_POLL_MS;
    return 0;
  }
  client.xid = getRandomU32();
  client.begunMs = client.clockMs;
  client.server = 0;
  enter(client, client.wanted !== 0 ? DHCP_REBOOTING : DHCP_SELECTING);
  return act(client);
}

/** Sends, and waits for an answer twice as long each time. */
function sendAgain(client: DhcpClient, type: number, addr: number): void {
  if (type === DHCPREQUEST) client.requestedMs = client.clockMs;
  sendMessage(client, type, addr);
  const wait = FIRST_RETRY_MS * 2 ** client.tries++;
  client.dueMs = client.clockMs + (wait < LAST_RETRY_MS ? wait : LAST_RETRY_MS) - JITTER_MS + getRandomBelow(2 * JITTER_MS + 1);
}

/** Asks for more time, and again when half of what is left until `limitMs` has passed. */
function sendRenewal(client: DhcpClient, addr: number, limitMs: number): void {
  client.xid = getRandomU32();
  client.requestedMs = client.clockMs;
  client.tries++;
  sendMessage(client, DHCPREQUEST, addr);
  const left = limitMs - client.clockMs;
  const wait = left / 2 > LEAST_RENEWAL_MS ? Math.floor(left / 2) : LEAST_RENEWAL_MS;
  client.dueMs = client.clockMs + (wait < left ? wait : left);
}

/** Writes the message that belongs to the state (RFC 2131 table 5) and sends it. A lost one is sent again by the state. */
function sendMessage(client: DhcpClient, type: number, addr: number): void {
  const { options, iface, hostname } = client;
  // Who verifies an address speaks as if it had none (table 5, INIT-REBOOT).
  const applied = client.applied && client.state !== DHCP_REBOOTING;
  let at = dhcpBegin(BOOTREQUEST, type, client.xid, iface.hwHi, iface.hwLo);
  const seconds = Math.floor((client.clockMs - client.begunMs) / MSEC_PER_SEC);
  scratchView.setUint16(DHCP_SECS, seconds < 0xffff ? seconds : 0xffff);
  if (applied) scratchView.setInt32(DHCP_CIADDR, client.lease.addr);
  else if (type !== DHCPDECLINE) scratchView.setUint16(DHCP_FLAGS, DHCP_FLAG_BROADCAST);
  at = dhcpPutBytes(at, OPTION_CLIENT_ID, client.clientId);
  if (!applied && client.wanted !== 0) at = dhcpPutU32(at, OPTION_REQUESTED, client.wanted);
  if (client.server !== 0) at = dhcpPutU32(at, OPTION_SERVER_ID, client.server);
  if (type === DHCPDISCOVER || type === DHCPREQUEST) {
    at = dhcpPutU16(at, OPTION_MAX_SIZE, DHCP_MESSAGE_BYTES);
    at = dhcpPutBytes(at, OPTION_PARAMETERS, PARAMETERS);
    if (options.leaseSec !== undefined) at = dhcpPutU32(at, OPTION_LEASE_TIME, options.leaseSec);
    if (hostname !== null) at = dhcpPutBytes(at, OPTION_HOSTNAME, hostname);
  }
  client.to.addr = addr;
  sendto(client.socket.fd, scratch, 0, dhcpEnd(at), 0, client.to);
}

function sendRelease(client: DhcpClient): void {
  client.xid = getRandomU32();
  client.server = client.lease.server;
  sendMessage(client, DHCPRELEASE, client.lease.server);
}

/** Reads what has come; what is no answer to the last message is passed over. @returns DHCP_EVENT_* or 0 */
function receive(client: DhcpClient): number {
  for (;;) {
    const length = recv(client.socket.fd, scratch, 0, DHCP_MESSAGE_BYTES, 0);
    if (length < 0) return 0;
    if (!dhcpCheck(length, BOOTREPLY) || !isMine(client)) continue;
    const type = dhcpType();
    if (type === DHCPOFFER && client.state === DHCP_SELECTING) {
      if (dhcpOfferOk(true)) select(client);
    } else if (type === DHCPACK && expectsAck(client)) {
      if (dhcpOfferOk(false)) return acknowledged(client);
    } else if (type === DHCPNAK && expectsAck(client)) {
      const from = dhcpOptionAddr(OPTION_SERVER_ID, 0);
      if (client.server !== 0 && from !== client.server) continue;
      return refused(client);
    }
  }
}

function isMine(client: DhcpClient): boolean {
  const { iface } = client;
  return scratchView.getInt32(DHCP_XID) === client.xid && scratchView.getUint16(DHCP_CHADDR) === iface.hwHi
    && scratchView.getInt32(DHCP_CHADDR + 2) === iface.hwLo;
}

function expectsAck(client: DhcpClient): boolean {
  const { state } = client;
  return state === DHCP_REQUESTING || state === DHCP_REBOOTING || state === DHCP_RENEWING || state === DHCP_REBINDING;
}

/** Takes the first offer. */
function select(client: DhcpClient): void {
  client.wanted = scratchView.getInt32(DHCP_YIADDR);
  client.server = dhcpOptionAddr(OPTION_SERVER_ID, 0);
  enter(client, DHCP_REQUESTING);
}

/** The server gives the address, or more time for it. */
function acknowledged(client: DhcpClient): number {
  const { lease, iface, socket, acd } = client;
  const renewed = client.applied && scratchView.getInt32(DHCP_YIADDR) === lease.addr;
  if (client.applied) dhcpUnapplyRoutes(lease, iface, socket.fd);
  dhcpReadLease(lease);
  client.server = 0;
  client.refusals = 0;
  setTimes(client);
  if (renewed || acd === null) {
    if (!renewed && acd !== null) addressCheck!.idle(acd);
    return bound(client, renewed ? DHCP_EVENT_RENEWED : DHCP_EVENT_BOUND);
  }
  enter(client, DHCP_CHECKING);
  client.dueMs = Infinity;
  addressCheck!.probe(acd, lease.addr);
  return 0;
}

/** From when the request was sent, so that the server's view never ends before ours. */
function setTimes(client: DhcpClient): void {
  const { lease, requestedMs } = client;
  const endless = lease.leaseSec === DHCP_FOREVER;
  client.endMs = endless ? Infinity : requestedMs + lease.leaseSec * MSEC_PER_SEC;
  client.t2Ms = endless ? Infinity : requestedMs + lease.t2Sec * MSEC_PER_SEC;
  // A little earlier, so that boards that got their leases together do not come back together.
  client.t1Ms = endless ? Infinity : requestedMs + lease.t1Sec * MSEC_PER_SEC - getRandomBelow(lease.t1Sec < MOST_SPREAD_SEC ? lease.t1Sec * 16 : MOST_SPREAD_SEC * 16);
}

/** The address goes into the device. */
function bound(client: DhcpClient, event: number): number {
  const err = dhcpApply(client.lease, client.iface, client.socket.fd);
  if (err < 0) {
    client.applied = true;
    return lose(client, DHCP_EVENT_REFUSED, REFUSED_WAIT_MAX_MS);
  }
  client.applied = true;
  client.wanted = client.lease.addr;
  client.state = DHCP_BOUND;
  client.tries = 0;
  client.dueMs = client.t1Ms;
  return event;
}

/** The server says no: to an old address at once, to others after a while that grows. */
function refused(client: DhcpClient): number {
  const wait = client.refusals === 0 ? 0 : REFUSED_WAIT_MS * 2 ** (client.refusals - 1);
  client.refusals++;
  return lose(client, DHCP_EVENT_REFUSED, wait < REFUSED_WAIT_MAX_MS ? wait : REFUSED_WAIT_MAX_MS);
}

/** Without an address from here on: begins anew in so many ms. @returns the event, if there was an address */
function lose(client: DhcpClient, event: number, waitMs: number): number {
  const had = client.applied;
  if (had) dhcpUnapply(client.lease, client.iface, client.socket.fd);
  client.applied = false;
  client.wanted = client.server = 0;
  if (client.acd !== null) addressCheck!.idle(client.acd);
  enter(client, waitMs > 0 ? DHCP_WAITING : DHCP_INIT);
  client.dueMs = client.clockMs + waitMs;
  return had ? event : 0;
}

/** What the link says about the address. */
function checkConflict(client: DhcpClient): number {
  const { acd, lease } = client;
  if (acd === null) return 0;
  const news = addressCheck!.run(acd);
  if (news === ACD_FREE && client.state === DHCP_CHECKING) return bound(client, DHCP_EVENT_BOUND);
  if (news !== ACD_CONFLICT && news !== ACD_LOST) return 0;
  const { addr, server } = lease;
  if (client.applied) dhcpUnapply(lease, client.iface, client.socket.fd);
  client.applied = false;
  client.wanted = addr;
  client.server = server;
  sendMessage(client, DHCPDECLINE, BROADCAST_ADDR);
  lose(client, DHCP_EVENT_CONFLICT, DECLINE_WAIT_MS);
  return DHCP_EVENT_CONFLICT;
}

function released(client: DhcpClient): number {
  const had = client.applied;
  if (had) dhcpUnapply(client.lease, client.iface, client.socket.fd);
  client.applied = false;
  shut(client);
  return had ? DHCP_EVENT_RELEASED : 0;
}
