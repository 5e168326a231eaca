/**
 * mDNS and DNS-SD: names and services of hosts on one link, without a server. Read first: RFC 6762, RFC 6763. Linux has Avahi. Owns
 * the claims of this host; what is asked of others is mdns-browse.ts's, what is heard mdns-hear.ts's, the records are
 * mdns-records.ts's. It takes the part `igmp` at boot; without `socketControl` it hears only what is sent to all.
 *
 *   const names = mdns(initNet, "eth0", { host: "board7" });
 *   mdnsPublish(names, "Status page", "_http._tcp", 80, ["path=/"]);
 *   mdnsBrowse(names, "_ipp._tcp", (event, instance) => trace(event === MDNS_FOUND ? "+" : "-", instance));
 *
 * It begins once the device has an address, and anew when the link was away; mdnsRefresh() tells it that the address is another one. IPv4
 * only. It does not find what it publishes itself.
 *
 * What it leaves out of RFC 6762, for a board's memory: names in answers are not compressed, as few fit into a packet of this size anyway
 * (section 18.14); a probe proposes one record for each name, which decides between two of these, and the text is not weighed (8.2);
 * that the name of a service has no other types is not said (6.1: nobody asks for them), nor is there a name for the address (4); who asks
 * from another port is answered at once, as the answer needs his question (6.7). Nothing is remembered but who is browsed for, so there
 * is no cache to be mended when others ask in vain or a program cannot reach what it found (10.4, 10.5): to resolve is to ask.
 */
import { getRandomBelow } from "../lib/random.ts";
import type { Net } from "../stack/core/net.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { setsockopt, setsockoptBytes } from "../stack/socket/sockopt.ts";
import { bind } from "../stack/socket/socket.ts";
import { errnoName } from "../uapi/errno.ts";
import { INADDR_MDNS_GROUP, IP_ADD_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO, IP_TTL } from "../uapi/in.ts";
import { AF_INET, SO_BINDTODEVICE, SO_REUSEADDR, SOCK_DGRAM, SOCK_NONBLOCK, SOL_IP, SOL_SOCKET } from "../uapi/socket.ts";
import { DNS_NAME_BYTES, dnsNameFromText } from "./dns-name.ts";
import { interfaceAddr, interfaceInit, interfaceMask, interfaceRunning } from "./interface.ts";
import { answersNext, answersSend } from "./mdns-answers.ts";
import {
  browserBrowse, browserCancel, browserDue, browserExpire, browserLookup, browserNext, browserResolve, browserRestart, browserTell,
  type MdnsDone, type MdnsOnInstance,
} from "./mdns-browse.ts";
import { LinkWatch, linkWatchStart, linkWatchStop } from "./link.ts";
import {
  LONGEST_LABEL, MDNS_MESSAGE_BYTES, MDNS_PORT, mdnsLabel, mdnsProbe, mdnsRename, MdnsResponder, PKTINFO_DADDR, PROBE_MS,
} from "./mdns-claims.ts";
import { mdnsReceive } from "./mdns-hear.ts";
import { mdnsSendGoodbye, mdnsSendProbes, mdnsSendQuery, mdnsTell, REPEAT_MS } from "./mdns-message.ts";
import {
  CLAIM_ANNOUNCE, CLAIM_BITS, CLAIM_FREE, CLAIM_GOODBYE, CLAIM_PROBE, CLAIM_UP, claimBits, MOST_CLAIMS, RECORD_TXT, utf8Bytes,
} from "./mdns-records.ts";
import { serviceClock, serviceClose, serviceOpen, serviceSleep, serviceStart, serviceStop, serviceWake } from "./service.ts";

export type { MdnsResponder } from "./mdns-claims.ts";
export { MDNS_FOUND, MDNS_LOST, type MdnsDone, type MdnsInstance, type MdnsOnInstance } from "./mdns-browse.ts";

const MDNS_TTL = 255;
const LINK_POLL_MS = 250;
/** Section 8.1: three probes. */
const PROBES = 3;
/** Section 8.3: told twice, a second apart. */
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 1000;
const LONGEST_TXT = 400;
const LOCAL = ".local";

export interface MdnsOptions {
  /** The host's name without ".local", 1 to 63 letters, digits and hyphens. */
  readonly host: string;
  /** Hears under which names the host and its services are known, which may be others than wished. */
  readonly onName?: (claim: number, name: string) => void;
}

/**
 * Starts on the device of that name. Allocates.
 * @throws RangeError for a name that is none; Error when the device or the part `igmp` is not there
 */
export function mdns(net: Net, name: string, options: MdnsOptions): MdnsResponder {
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(options.host)) {
    throw new RangeError(`mdns: option host is ${options.host}; it must be 1 to 63 letters, digits and hyphens`);
  }
  const self = new MdnsResponder(net, name, options.onName);
  const err = open(self);
  if (err < 0) {
    serviceClose(self.socket);
    throw new Error(`mdns: device ${name}: ${errnoName(-err)}`);
  }
  self.link = new LinkWatch(self, self.iface.ifindex);
  linkWatchStart(self.link);
  serviceStart(self, "mdns", MDNS_MESSAGE_BYTES, mdnsRun);
  const host = self.claims[0]!;
  host.label = utf8Bytes(options.host);
  host.type = nameBytes("local");
  mdnsClaim(self, 0);
  return self;
}

function open(self: MdnsResponder): number {
  const { socket, iface } = self;
  const err = serviceOpen(socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (err < 0) return err;
  const { fd } = socket;
  const found = interfaceInit(iface, fd);
  if (found < 0) return found;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, iface.ifindex);
  // Who is not told where a message was sent to hears those to the group alone, which cannot be from elsewhere (section 11).
  self.groupOnly = setsockopt(fd, SOL_IP, IP_PKTINFO, 1) < 0;
  if (self.groupOnly) self.control[PKTINFO_DADDR] = INADDR_MDNS_GROUP;
  setsockopt(fd, SOL_IP, IP_TTL, MDNS_TTL);
  setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, MDNS_TTL);
  setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, 0);
  setsockoptBytes(fd, SOL_IP, IP_MULTICAST_IF, Int32Array.of(0, 0, iface.ifindex));
  const joined = setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, Int32Array.of(INADDR_MDNS_GROUP, 0, iface.ifindex));
  return joined < 0 ? joined : bind(fd, new SockaddrIn(self.groupOnly ? INADDR_MDNS_GROUP : 0, MDNS_PORT));
}

/** A name as in a message. @throws RangeError for none */
function nameBytes(text: string): Uint8Array {
  const name = new Uint8Array(DNS_NAME_BYTES);
  const length = dnsNameFromText(text, name, 0);
  if (length < 0) throw new RangeError(`mdns: ${text} is no name`);
  return name.slice(0, length);
}

/** "_http._tcp" with what belongs behind it. */
function typeBytes(type: string): Uint8Array {
  if (!/^_[A-Za-z0-9-]{1,15}\._(tcp|udp)$/.test(type)) throw new RangeError(`mdns: ${type} is no service type like _http._tcp`);
  return nameBytes(type + LOCAL);
}

/** An instance's name: a label of any letters before the type. */
function instanceBytes(label: Uint8Array, type: Uint8Array): Uint8Array {
  if (label.length === 0 || label.length > LONGEST_LABEL) throw new RangeError(`mdns: an instance's name has ${label.length} bytes; it must have 1 to 63`);
  return Uint8Array.of(label.length, ...label, ...type);
}

/** The text of a service as in a message. @throws RangeError when it is too long */
function textBytes(txt: readonly string[]): Uint8Array {
  const strings = txt.map(utf8Bytes);
  const bytes = strings.length === 0 ? [0] : strings.flatMap((string) => [string.length, ...string]);
  if (strings.some((string) => string.length > 255) || bytes.length > LONGEST_TXT) {
    throw new RangeError(`mdns: a text has ${bytes.length} bytes; it must have at most ${LONGEST_TXT}, and a string of it 255`);
  }
  return Uint8Array.from(bytes);
}

/**
 * Publishes a service of this host, once its name is known to be nobody else's. Allocates.
 * @param instance what people read, up to 63 bytes of UTF-8 @param type like "_http._tcp" @param txt strings, each "key=value"
 * @returns its number for mdnsUnpublish(), or -1: seven there can be
 * @throws RangeError for a name, a type or a text that cannot be
 */
export function mdnsPublish(self: MdnsResponder, instance: string, type: string, port: number, txt: readonly string[] = []): number {
  const label = utf8Bytes(instance);
  const service = typeBytes(type);
  instanceBytes(label, service);
  const bytes = textBytes(txt);
  const c = self.claims.findIndex((claim, index) => index > 0 && claim.state === CLAIM_FREE);
  if (c < 0) return -1;
  const claim = self.claims[c]!;
  claim.label = label;
  claim.type = service;
  claim.port = port;
  claim.txt = bytes;
  mdnsClaim(self, c);
  return c;
}

/**
 * Gives a service another text, and tells it to all (section 8.4): at once, or when the last time is a second ago. More than ten times a
 * minute is more than others should have to hear. Does nothing to a service that is not there. Allocates.
 * @throws RangeError for a text that is too long
 */
export function mdnsSetText(self: MdnsResponder, c: number, txt: readonly string[]): void {
  const bytes = textBytes(txt);
  const claim = c > 0 ? self.claims[c] : undefined;
  if (claim === undefined) return;
  claim.txt = bytes;
  if (claim.state !== CLAIM_UP && claim.state !== CLAIM_ANNOUNCE) return;
  claim.state = CLAIM_ANNOUNCE;
  claim.sent = 0;
  claim.dueMs = Math.max(serviceClock(self), self.lastMs[c * CLAIM_BITS + RECORD_TXT]! + REPEAT_MS);
  serviceWake(self);
}

/** Takes a service back: those who remember it are told so. */
export function mdnsUnpublish(self: MdnsResponder, c: number): void {
  const claim = c > 0 ? self.claims[c] : undefined;
  if (claim === undefined || claim.state === CLAIM_FREE) return;
  claim.state = claim.state === CLAIM_PROBE ? CLAIM_FREE : CLAIM_GOODBYE;
  serviceWake(self);
}

/** Begins to claim a name anew, as it was wished. */
function mdnsClaim(self: MdnsResponder, c: number): void {
  const claim = self.claims[c]!;
  claim.conflicts = 0;
  mdnsRename(self, c);
  serviceWake(self);
}

/** Tells it that the device has another address: every name is made sure of, and told, again. */
export function mdnsRefresh(self: MdnsResponder): void {
  self.addr = 0;
  self.lastMs.fill(-Infinity);
  const wait = getRandomBelow(PROBE_MS);
  for (let c = 0; c < MOST_CLAIMS; c++) {
    const { state } = self.claims[c]!;
    if (state !== CLAIM_FREE && state !== CLAIM_GOODBYE) mdnsProbe(self, c, wait);
  }
  serviceWake(self);
}

/** Says goodbye to all, and ends in the next turn. */
export function mdnsStop(self: MdnsResponder): void {
  self.stopping = true;
  serviceWake(self);
}

/** Browses for instances of a type like "_http._tcp", until mdnsCancel(). @returns a handle, or -1: four questions there can be */
export function mdnsBrowse(self: MdnsResponder, type: string, onInstance: MdnsOnInstance): number {
  serviceWake(self);
  return browserBrowse(self.browser, typeBytes(type), serviceClock(self), onInstance);
}

/** Where an instance is. Never answered from inside the call. @returns as mdnsBrowse() */
export function mdnsResolve(self: MdnsResponder, instance: string, type: string, done: MdnsDone): number {
  serviceWake(self);
  return browserResolve(self.browser, instanceBytes(utf8Bytes(instance), typeBytes(type)), serviceClock(self), done);
}

/** The address of a host like "board7.local". @returns as mdnsBrowse() */
export function mdnsLookup(self: MdnsResponder, host: string, done: MdnsDone): number {
  serviceWake(self);
  return browserLookup(self.browser, nameBytes(host), serviceClock(self), done);
}

/** Ends a question, of which nothing is heard any more. */
export function mdnsCancel(self: MdnsResponder, handle: number): void {
  browserCancel(self.browser, handle);
}

function mdnsRun(self: MdnsResponder): void {
  const now = serviceClock(self);
  if (self.link!.returned) {
    self.link!.returned = false;
    mdnsRefresh(self);
  }
  const { fd } = self.socket;
  if (self.addr === 0 && interfaceRunning(self.iface, fd)) learnAddress(self);
  if (self.addr !== 0) {
    mdnsReceive(self, now);
    for (let c = 0; c < MOST_CLAIMS; c++) if (self.claims[c]!.state === CLAIM_GOODBYE) sayGoodbye(self, c);
    probe(self, now);
    announce(self, now);
    answersSend(self, now);
    browserExpire(self.browser, now);
    for (let i = browserDue(self.browser, now); i >= 0; i = browserDue(self.browser, now)) mdnsSendQuery(self, i, now);
  }
  if (self.stopping) {
    stop(self);
    return;
  }
  // A question that is over is told of below.
  serviceSleep(self, self.addr === 0 ? LINK_POLL_MS : Math.max(nextMs(self) - now, 0));
  browserTell(self.browser, now);
  for (let c = 0; self.named !== 0 && c < MOST_CLAIMS; c++) {
    if ((self.named & (1 << c)) === 0) continue;
    self.named &= ~(1 << c);
    self.onName?.(c, mdnsLabel(self, c));
  }
}

function learnAddress(self: MdnsResponder): void {
  const { iface, socket } = self;
  if (interfaceAddr(iface, socket.fd) < 0) return;
  self.addr = iface.ifreq.addr.addr;
  interfaceMask(iface, socket.fd);
  self.mask = iface.ifreq.addr.addr;
  browserRestart(self.browser, serviceClock(self));
}

function nextMs(self: MdnsResponder): number {
  let next = Math.min(browserNext(self.browser), answersNext(self));
  for (let c = 0; c < MOST_CLAIMS; c++) {
    const { state, dueMs } = self.claims[c]!;
    if ((state === CLAIM_PROBE || state === CLAIM_ANNOUNCE) && dueMs < next) next = dueMs;
  }
  return next;
}

function stop(self: MdnsResponder): void {
  for (let c = MOST_CLAIMS - 1; c >= 0; c--) {
    const { state } = self.claims[c]!;
    if (self.addr !== 0 && (state === CLAIM_ANNOUNCE || state === CLAIM_UP)) sayGoodbye(self, c);
  }
  linkWatchStop(self.link!);
  serviceClose(self.socket);
  serviceStop(self);
}

function sayGoodbye(self: MdnsResponder, c: number): void {
  mdnsSendGoodbye(self, c);
  self.claims[c]!.state = CLAIM_FREE;
}

/** Sends the probes that are due, in one message; a name that was asked for often enough is ours. */
function probe(self: MdnsResponder, now: number): void {
  let due = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    const claim = self.claims[c]!;
    if (claim.state !== CLAIM_PROBE || claim.dueMs > now) continue;
    if (claim.sent < PROBES) {
      due |= 1 << c;
      claim.sent++;
      claim.dueMs = now + PROBE_MS;
    } else {
      claim.state = CLAIM_ANNOUNCE;
      claim.sent = 0;
      claim.dueMs = now;
      self.named |= 1 << c;
    }
  }
  if (due !== 0) mdnsSendProbes(self, due);
}

/** Tells all the records of the claims that are due. */
function announce(self: MdnsResponder, now: number): void {
  let bits = 0;
  for (let c = 0; c < MOST_CLAIMS; c++) {
    const claim = self.claims[c]!;
    if (claim.state !== CLAIM_ANNOUNCE || claim.dueMs > now) continue;
    bits |= claimBits(c);
    claim.dueMs = now + ANNOUNCE_MS;
    if (++claim.sent === ANNOUNCEMENTS) claim.state = CLAIM_UP;
  }
  mdnsTell(self, bits, now);
}
