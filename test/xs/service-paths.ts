/**
 * The measured paths of services: a DHCP lease renewed, a name asked for, a question of mDNS and one of DNS-SD answered, the time
 * asked for; and what every service hears when nonsense comes. The peer is every server, and writes its answers by what the guest's
 * last frame says. As in paths.ts nothing here allocates, and with `dry` answers are built but not received.
 */
import { csumFold, csumPartial, csumTcpudpNofold } from "../../src/lib/checksum.ts";
import { memView } from "../../src/lib/memory.ts";
import { dhcp, DHCP_BOUND, type DhcpClient, dhcpRenew, dhcpStop } from "../../src/services/dhcp.ts";
import { dns, type DnsAnswer, dnsResolve, type DnsResolver, dnsStop } from "../../src/services/dns.ts";
import { mdns, mdnsPublish, type MdnsResponder, mdnsStop } from "../../src/services/mdns.ts";
import { sntp, type SntpClient, sntpServers, sntpStop } from "../../src/services/sntp.ts";
import type { Net } from "../../src/stack/core/net.ts";
import { IPPROTO_UDP } from "../../src/uapi/in.ts";
import { clearArpRequests, framesSent, inboxOffset, inject, outboxLength, outboxOffset } from "./device.ts";
import { BOARD_ADDR, PEER_ADDR, writeArp, writeUdpHeaders } from "./peer.ts";
import { advanceNow } from "./platform.ts";
import { ARPOP_REPLY } from "../../src/uapi/if-arp.ts";

/** Where the payload of a datagram begins in its frame. */
const PAYLOAD = 42;
const UDP_AT = 34;
/** 224.0.0.251 */
const MDNS_GROUP = -536870661;
const MDNS_PORT = 5353;
const DHCP_CLIENT = 68;
/** Answers that others may give as well wait up to so long; a record is told once in so long. */
const SHARED_MS = 130;
const REPEAT_MS = 1100;
/** A name is known after its probes; a lease after the probes for its address. */
const SETTLE_MS = 10_000;
const SETTLE_STEP_MS = 50;

/** What answers are made of, as numbers of a byte each: written into the frame by put(). */
const NAME: readonly number[] = Object.freeze([6, 0x62, 0x6f, 0x61, 0x72, 0x64, 0x37, 3, 0x6c, 0x61, 0x6e, 0]);
const HOST_LOCAL: readonly number[] = Object.freeze([6, 0x6c, 0x69, 0x6e, 0x6e, 0x65, 0x74, 5, 0x6c, 0x6f, 0x63, 0x61, 0x6c, 0]);
const HTTP_LOCAL: readonly number[] = Object.freeze([
  5, 0x5f, 0x68, 0x74, 0x74, 0x70, 4, 0x5f, 0x74, 0x63, 0x70, 5, 0x6c, 0x6f, 0x63, 0x61, 0x6c, 0,
]);
/** The options of an ACK, with type, server, a time of many years, mask, router, name server, domain "lan". */
const ACK_OPTIONS: readonly number[] = Object.freeze([
  53, 1, 5, 54, 4, 10, 0, 0, 1, 51, 4, 127, 255, 255, 0, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1, 6, 4, 10, 0, 0, 1, 15, 3, 0x6c, 0x61,
  0x6e, 255,
]);
const OPTION_OFFER = 2;
const ACK_TYPE_AT = 242;
const DHCP_TYPE_SENT = PAYLOAD + 242;
const DISCOVER = 1;
const REQUEST = 3;

let net: Net;
let dry = false;
let client: DhcpClient;
let resolver: DnsResolver;
let responder: MdnsResponder;
let clock: SntpClient;
let servers: Int32Array;
let resolved = 0;
let before = 0;
let seed = 1;

function receive(length: number): void {
  if (dry) return;
  inject(length);
  net.poll();
}

function expect(condition: boolean, what: string): void {
  if (!condition && !dry) throw new Error(`guest did not ${what}`);
}

function put(at: number, bytes: readonly number[]): number {
  for (let i = 0; i < bytes.length; i++) memView.setUint8(at + i, bytes[i]!);
  return at + bytes.length;
}

function zero(at: number, length: number): void {
  for (let i = 0; i < length; i++) memView.setUint8(at + i, 0);
}

/** Finishes a datagram whose payload stands in the inbox: the length of its frame. */
function finish(sport: number, dport: number, daddr: number, end: number): number {
  const length = end - inboxOffset - UDP_AT;
  writeUdpHeaders(sport, dport, length, daddr);
  const at = inboxOffset + UDP_AT;
  memView.setUint16(at + 6, csumFold(csumPartial(at, length) + csumTcpudpNofold(PEER_ADDR, daddr, length, IPPROTO_UDP)));
  return UDP_AT + length;
}

/** The port that the guest's last datagram came from. */
function askedFrom(): number {
  return memView.getUint16(outboxOffset + UDP_AT);
}

/** An offer or acknowledgment of the board's address, by the message that the guest sent last. */
function writeDhcp(type: number): number {
  const from = outboxOffset + PAYLOAD;
  const at = inboxOffset + PAYLOAD;
  zero(at, 240);
  memView.setInt32(at, 0x02010600);
  memView.setInt32(at + 4, memView.getInt32(from + 4));
  memView.setInt32(at + 16, BOARD_ADDR);
  memView.setInt32(at + 28, memView.getInt32(from + 28));
  memView.setInt32(at + 32, memView.getInt32(from + 32));
  memView.setInt32(at + 236, 0x63825363);
  const end = put(at + 240, ACK_OPTIONS);
  memView.setUint8(at + ACK_TYPE_AT, type);
  return finish(67, DHCP_CLIENT, -1, end);
}

/** The answer to the question that the guest sent last: 10.0.0.9 for a second. */
function writeDns(): number {
  const from = outboxOffset + PAYLOAD;
  const at = inboxOffset + PAYLOAD;
  memView.setUint16(at, memView.getUint16(from));
  memView.setUint16(at + 2, 0x8180);
  memView.setInt32(at + 4, 0x00010001);
  memView.setInt32(at + 8, 0);
  const fixed = put(at + 12, NAME);
  memView.setInt32(fixed, 0x00010001);
  memView.setUint16(fixed + 4, 0xc00c);
  memView.setInt32(fixed + 6, 0x00010001);
  memView.setInt32(fixed + 10, 1);
  memView.setUint16(fixed + 14, 4);
  memView.setInt32(fixed + 16, 0x0a000009);
  return finish(53, askedFrom(), BOARD_ADDR, fixed + 20);
}

/** A question of mDNS. */
function writeQuestion(name: readonly number[], type: number): number {
  const at = inboxOffset + PAYLOAD;
  memView.setInt32(at, 0);
  memView.setInt32(at + 4, 0x00010000);
  memView.setInt32(at + 8, 0);
  const fixed = put(at + 12, name);
  memView.setInt32(fixed, (type << 16) | 1);
  return finish(MDNS_PORT, MDNS_PORT, MDNS_GROUP, fixed + 4);
}

/** The answer of a time server of stratum 2. */
function writeTime(): number {
  const from = outboxOffset + PAYLOAD;
  const at = inboxOffset + PAYLOAD;
  zero(at, 48);
  memView.setInt32(at, 0x24020000);
  memView.setInt32(at + 24, memView.getInt32(from + 40));
  memView.setInt32(at + 28, memView.getInt32(from + 44));
  memView.setInt32(at + 32, -300_000_000);
  memView.setInt32(at + 40, -300_000_000);
  return finish(123, askedFrom(), BOARD_ADDR, at + 48);
}

/** A message in the inbox has a few bytes changed, the checksum aside, which is right again. */
function spoil(length: number): number {
  const at = inboxOffset + PAYLOAD;
  const bytes = length - PAYLOAD;
  for (let i = 0; i < 3; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    memView.setUint8(at + (seed >>> 8) % bytes, seed >>> 24);
  }
  const sport = memView.getUint16(inboxOffset + UDP_AT);
  const dport = memView.getUint16(inboxOffset + UDP_AT + 2);
  return finish(sport, dport, memView.getInt32(inboxOffset + 30), inboxOffset + length);
}

function heard(error: number, answer: DnsAnswer): void {
  if (error === 0 && answer.addresses[0] === 0x0a000009) resolved++;
}

/** Time passes, and the peer answers ARP and gives the lease, until services have nothing more to begin. */
function settle(): void {
  for (let ms = 0; ms < SETTLE_MS; ms += SETTLE_STEP_MS) {
    advanceNow(SETTLE_STEP_MS);
    const sent = framesSent;
    net.poll();
    if (framesSent !== sent && memView.getUint16(outboxOffset + UDP_AT + 2) === 67) {
      const type = memView.getUint8(outboxOffset + DHCP_TYPE_SENT);
      if (type === DISCOVER) receive(writeDhcp(OPTION_OFFER));
      if (framesSent !== sent && memView.getUint8(outboxOffset + DHCP_TYPE_SENT) === REQUEST) receive(writeDhcp(5));
    }
  }
}

export function isServicePath(path: string): boolean {
  return path === "dhcp-renew" || path === "dns-lookup" || path === "mdns-answer" || path === "dnssd-answer" || path === "sntp-poll"
    || path === "services-nonsense";
}

/** Starts the service of the path, all of them for nonsense. */
export function servicePathStart(path: string, namespace: Net): void {
  net = namespace;
  dry = false;
  const all = path === "services-nonsense";
  if (all || path === "dhcp-renew") client = dhcp(net, "eth0");
  if (all || path === "dns-lookup") resolver = dns(net, { servers: [PEER_ADDR], cache: 4 });
  if (all || path === "mdns-answer" || path === "dnssd-answer") {
    responder = mdns(net, "eth0", { host: "linnet" });
    mdnsPublish(responder, "Status page", "_http._tcp", 80, ["path=/"]);
  }
  if (all || path === "sntp-poll") {
    servers = Int32Array.of(PEER_ADDR);
    clock = sntp(net);
  }
  settle();
}

export function servicePathEnd(path: string): void {
  const all = path === "services-nonsense";
  if (all || path === "dhcp-renew") dhcpStop(client);
  if (all || path === "dns-lookup") dnsStop(resolver);
  if (all || path === "mdns-answer" || path === "dnssd-answer") mdnsStop(responder);
  if (all || path === "sntp-poll") sntpStop(clock);
  net.poll();
}

export function servicePathStep(path: string, isDry: boolean, i: number): void {
  dry = isDry;
  before = framesSent;
  switch (path) {
    case "dhcp-renew":
      if (!dry) {
        dhcpRenew(client);
        net.poll();
      }
      expect(framesSent === before + 1, "ask for more time");
      receive(writeDhcp(5));
      expect(client.state === DHCP_BOUND && client.lease.domain === "lan", "have its lease renewed");
      return;
    case "dns-lookup":
      ask();
      receive(writeDns());
      expect(resolved === 1, "find the name");
      return;
    case "mdns-answer":
      advanceNow(REPEAT_MS);
      receive(writeQuestion(HOST_LOCAL, 1));
      expect(framesSent === before + 1, "say its address");
      return;
    case "dnssd-answer":
      advanceNow(REPEAT_MS);
      receive(writeQuestion(HTTP_LOCAL, 12));
      advanceNow(SHARED_MS);
      if (!dry) net.poll();
      expect(framesSent === before + 1 && outboxLength > 150, "say where its page is");
      return;
    case "sntp-poll":
      if (!dry) {
        sntpServers(clock, servers);
        net.poll();
      }
      expect(framesSent === before + 1, "ask for the time");
      receive(writeTime());
      expect(clock.synchronized && clock.stratum === 2 && clock.state === 0, "take the time");
      return;
    default:
      nonsense(i);
  }
}

function ask(): void {
  // What was said a second ago is forgotten.
  advanceNow(1001);
  resolved = 0;
  if (dry) return;
  expect(dnsResolve(resolver, "board7.lan", heard) >= 0, "take a question");
  net.poll();
  expect(framesSent === before + 1 && memView.getUint16(outboxOffset + UDP_AT + 2) === 53, "ask for the name");
}

/** A message for one of the services in turn, with three of its bytes changed. */
function nonsense(i: number): void {
  advanceNow(REPEAT_MS);
  if (!dry) net.poll();
  clearArpRequests();
  receive(writeArp(ARPOP_REPLY));
  switch (i & 3) {
    case 0: {
      // None is expected, so that no address changes: that is configuration, and allocates.
      const length = writeDhcp(5);
      memView.setInt32(inboxOffset + PAYLOAD + 4, client.xid);
      receive(spoil(length));
      return;
    }
    case 1:
      if (!dry && dnsResolve(resolver, "board7.lan", heard) >= 0) net.poll();
      receive(spoil(writeDns()));
      return;
    case 2:
      receive(spoil(writeQuestion((i & 4) === 0 ? HOST_LOCAL : HTTP_LOCAL, 255)));
      return;
    default:
      if (!dry) {
        sntpServers(clock, servers);
        net.poll();
      }
      receive(spoil(writeTime()));
  }
}
