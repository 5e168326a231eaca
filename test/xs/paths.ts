/**
 * The measured paths: for each, how the peer provokes one packet's worth of work in the guest and checks that it was done.
 * `step(i)` must allocate nothing itself. With `dry` the frames are built but not received: what the generator costs.
 */
import { iptables } from "../../src/commands/index.ts";
import type { Config } from "../../src/config.ts";
import { conntrack } from "../../src/conntrack.ts";
import { devSetForwarding, forwarding } from "../../src/forwarding.ts";
import { iptables as ipTables } from "../../src/iptables.ts";
import { memView } from "../../src/lib/memory.ts";
import { nat } from "../../src/nat.ts";
import { netfilter } from "../../src/netfilter.ts";
import {
  accept4, bind, close, connect as connectTo, listen, recv, recvfrom, send, sendto, setsockoptBytes, socket,
} from "../../src/index.ts";
import { devGetByName } from "../../src/netif/dev.ts";
import { SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import type { Net } from "../../src/stack/core/net.ts";
import { IN_DEV_SEND_REDIRECTS, inDevGet } from "../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd, ipRouteDel } from "../../src/stack/ipv4/fib-frontend.ts";
import { EAGAIN, EINPROGRESS } from "../../src/uapi/errno.ts";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../../src/uapi/if-arp.ts";
import { ETH_P_IP } from "../../src/uapi/if-ether.ts";
import { IP_ADD_MEMBERSHIP, IPPROTO_ICMP } from "../../src/uapi/in.ts";
import { AF_INET, AF_PACKET, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOL_IP } from "../../src/uapi/socket.ts";
import { TCPHDR_ACK, TCPHDR_FIN, TCPHDR_PSH, TCPHDR_SYN } from "../../src/stack/wire/tcp.ts";
import { arpRequests, clearArpRequests, framesSent, inject, outboxLength, outboxOffset } from "./device.ts";
import { isTagged, linkInit, receiveFromStation, stationFrames, writeTagged } from "./link.ts";
import {
  BOARD_ADDR, PEER_ADDR, sentAck, sentFlags, sentPayload, sentPort, sentSeq, sentSynTsval, sentTsval, writeArp, writePing, writeTcp,
  writeTransit, writeUdp,
} from "./peer.ts";
import { advanceNow } from "./platform.ts";
import { isServicePath, servicePathEnd, servicePathStart, servicePathStep } from "./service-paths.ts";

/** Payload of a full segment with timestamps. */
const SEGMENT = 1448;
const REQUEST = 64;
const ECHO_PORT = 7;
const HTTP_PORT = 80;
const GROUP_PORT = 7007;
/** 239.1.1.1 */
const GROUP = -285146879;
/** 10.9.0.0/16 */
const BEHIND_PEER = 0x0a090000;

let net: Net;
let dry = false;
let udpFd = -1;
let listenFd = -1;
let fd = -1;
let partFd = -1;
let buffer: Uint8Array;
let from: SockaddrIn;
let server: SockaddrIn;
/** The peer's side of the connection; and the board's port. */
let sport = 0;
let dport = HTTP_PORT;
let seq = 0;
let ack = 0;
let tsval = 0;
let tsecr = 0;
let unacked = 0;
let linkBefore = 0;

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

/** Opens the sockets that the paths talk to. The buffer should lie in packet memory. */
export function pathsInit(namespace: Net, userMemory: Uint8Array): void {
  net = namespace;
  buffer = userMemory;
  from = new SockaddrIn();
  server = new SockaddrIn(PEER_ADDR, HTTP_PORT);
  udpFd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  must(bind(udpFd, new SockaddrIn(0, ECHO_PORT)), "bind");
  listenFd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
  must(bind(listenFd, new SockaddrIn(0, HTTP_PORT)), "bind");
  must(listen(listenFd, 2), "listen");
  sport = 20000;
  // The peer makes itself known.
  dry = false;
  receive(writeArp(ARPOP_REQUEST));
}

export function setDry(value: boolean): void {
  dry = value;
}

/** The frame is on the wire: the guest gets its turn. */
function receive(length: number): void {
  if (dry) return;
  inject(length);
  net.poll();
}

/** The guest asks now and then whether the peer is still there. */
function answerArp(): void {
  if (arpRequests === 0) return;
  clearArpRequests();
  receive(writeArp(ARPOP_REPLY));
}

function sendSegment(flags: number, payload: number): void {
  tsval = (tsval + 1) | 0;
  receive(writeTcp(sport, dport, flags, seq, ack, tsval, tsecr, payload));
  // A dry run leaves the connection where it was.
  if (!dry) seq = (seq + payload) | 0;
}

function expect(condition: boolean, what: string): void {
  if (!condition && !dry) throw new Error(`guest did not ${what}`);
}

/** Takes note of what the guest's last segment said. */
function listenToGuest(): void {
  if (dry) return;
  ack = (sentSeq() + sentPayload()) | 0;
  if ((sentFlags() & (TCPHDR_SYN | TCPHDR_FIN)) !== 0) ack = (ack + 1) | 0;
  tsecr = sentTsval();
}

function connect(): void {
  sport = sport === 60000 ? 20000 : sport + 1;
  dport = HTTP_PORT;
  seq = (sport << 12) | 0;
  sendSegment(TCPHDR_SYN, 0);
  seq = (seq + 1) | 0;
  expect((sentFlags() & TCPHDR_SYN) !== 0 && sentAck() === seq, "answer the SYN");
  listenToGuest();
  tsecr = sentSynTsval();
  sendSegment(TCPHDR_ACK, 0);
  fd = dry ? -1 : accept4(listenFd, null, 0);
  expect(fd >= 0, "accept the connection");
}

function disconnect(): void {
  sendSegment(TCPHDR_FIN | TCPHDR_ACK, 0);
  seq = (seq + 1) | 0;
  if (!dry) {
    expect(recv(fd, buffer, 0, SEGMENT, 0) === 0, "report the end of the stream");
    close(fd);
    net.poll();
  }
  expect((sentFlags() & TCPHDR_FIN) !== 0, "close its side");
  listenToGuest();
  sendSegment(TCPHDR_ACK, 0);
}

/** The guest calls the peer and, when it is connected, closes first: what is left of the connection is in TIME_WAIT. */
function callOut(): void {
  sport = HTTP_PORT;
  if (!dry) {
    fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    expect(connectTo(fd, server) === -EINPROGRESS, "connect");
    net.poll();
    expect(sentFlags() === TCPHDR_SYN, "send a SYN");
    dport = sentPort();
    ack = (sentSeq() + 1) | 0;
    tsecr = sentSynTsval();
  }
  sendSegment(TCPHDR_SYN | TCPHDR_ACK, 0);
  seq = (seq + 1) | 0;
  expect(sentFlags() === TCPHDR_ACK && sentAck() === seq, "acknowledge the SYN");
  if (!dry) {
    close(fd);
    net.poll();
  }
  expect((sentFlags() & TCPHDR_FIN) !== 0, "close its side");
  listenToGuest();
  sendSegment(TCPHDR_FIN | TCPHDR_ACK, 0);
  seq = (seq + 1) | 0;
  expect(sentFlags() === TCPHDR_ACK && sentAck() === seq, "acknowledge the end");
}

/** Opens the socket of a path of parts; -1 for any other path. */
function openPart(path: string): number {
  switch (path) {
    case "raw":
      return must(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "socket");
    case "packet":
      return must(socket(AF_PACKET, SOCK_RAW, ETH_P_IP), "socket");
    case "multicast": {
      const group = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
      must(bind(group, new SockaddrIn(GROUP, GROUP_PORT)), "bind");
      must(setsockoptBytes(group, SOL_IP, IP_ADD_MEMBERSHIP, Int32Array.of(GROUP, BOARD_ADDR)), "join");
      return group;
    }
    default:
      return -1;
  }
}

/** The next packet is read, and is as long as it should be. */
function readPart(length: number): void {
  if (!dry) expect(recvfrom(partFd, buffer, 0, SEGMENT, 0, null) === length, "give the packet to the socket");
}

/**
 * The board is a router between the peer and a network that lies behind the peer too, so that one device will do; and sends no
 * redirects.
 */
function startForwarding(): void {
  const eth = net.devices!.nextDev!;
  forwarding.init({} as Config);
  net.ipv4.confAll &= ~IN_DEV_SEND_REDIRECTS;
  inDevGet(eth)!.switches &= ~IN_DEV_SEND_REDIRECTS;
  devSetForwarding(eth, true);
  must(ipRouteAdd(net, BEHIND_PEER, 16, PEER_ADDR, 0), "route");
}

/** What goes on gets the board's address on its way, as behind a home router. The hooks stay: this is the last path of a board. */
function startNat(): void {
  const config = { nfConntracks: 32, nfRuleWords: 1024 } as Config;
  for (const part of [netfilter, ipTables, conntrack, nat]) part.init(config);
  const { error } = iptables(net, "-t nat -A POSTROUTING -o eth0 -j MASQUERADE");
  if (error !== "") throw new Error(error);
}

/** Makes the path ready: connected, and warm as far as the protocol goes. */
export function pathStart(path: string): void {
  dry = false;
  partFd = openPart(path);
  if (path === "forward" || path === "forward-nat") startForwarding();
  if (path === "forward-nat") startNat();
  if (path === "tcp-receive" || path === "tcp-send" || path === "tcp-request") connect();
  if (isServicePath(path)) servicePathStart(path, net);
  if (path === "link") linkInit(net, devGetByName(net, "eth0")!);
  unacked = 0;
}

export function pathEnd(path: string): void {
  dry = false;
  if (partFd >= 0) close(partFd);
  if (isServicePath(path)) servicePathEnd(path);
  if (path === "forward" || path === "forward-nat") {
    devSetForwarding(net.devices!.nextDev!, false);
    must(ipRouteDel(net, BEHIND_PEER, 16, PEER_ADDR, 0), "route");
  }
  if (path === "tcp-receive" || path === "tcp-send" || path === "tcp-request") disconnect();
}

/** One packet's worth of the path. */
export function pathStep(path: string, i: number): void {
  advanceNow(1);
  answerArp();
  const before = framesSent;
  switch (path) {
    case "arp":
      receive(writeArp(ARPOP_REQUEST));
      expect(framesSent === before + 1, "answer the ARP request");
      return;
    case "ping":
      receive(writePing(i, 64));
      expect(framesSent === before + 1 && memView.getUint8(outboxOffset + 34) === 0, "answer the ping");
      return;
    case "raw":
      receive(writePing(i, 64));
      readPart(64);
      return;
    case "packet":
      receive(writePing(i, 64));
      readPart(14 + 64);
      return;
    case "multicast":
      receive(writeUdp(GROUP_PORT, REQUEST, GROUP));
      readPart(REQUEST);
      return;
    case "udp-echo":
      receive(writeUdp(ECHO_PORT, REQUEST));
      if (!dry) sendto(udpFd, buffer, 0, recvfrom(udpFd, buffer, 0, SEGMENT, 0, from), 0, from);
      expect(framesSent === before + 1 && outboxLength === 14 + 28 + REQUEST, "echo the datagram");
      return;
    case "forward":
      receive(writeTransit(BEHIND_PEER + 9, REQUEST));
      // Where the guest asked for the peer right behind the datagram, the question lies in the datagram's buffer by now.
      expect(framesSent === before + 1 && (arpRequests !== 0 || memView.getUint8(outboxOffset + 22) === 63), "pass the datagram on");
      return;
    case "forward-nat":
      receive(writeTransit(BEHIND_PEER + 9, REQUEST));
      expect(framesSent === before + 1 && (arpRequests !== 0 || memView.getInt32(outboxOffset + 26) === BOARD_ADDR), "pass the datagram on as its own");
      return;
    case "tcp-receive":
      sendSegment(TCPHDR_ACK, SEGMENT);
      if (!dry) expect(recv(fd, buffer, 0, SEGMENT, 0) === SEGMENT, "receive the segment");
      return;
    case "tcp-send":
      if (!dry) expect(send(fd, buffer, 0, SEGMENT, 0) === SEGMENT, "take the data");
      // The peer acknowledges every second segment.
      if (++unacked === 2) {
        unacked = 0;
        listenToGuest();
        sendSegment(TCPHDR_ACK, 0);
      }
      return;
    case "tcp-request":
      sendSegment(TCPHDR_ACK | TCPHDR_PSH, REQUEST);
      if (!dry) {
        expect(recv(fd, buffer, 0, SEGMENT, 0) === REQUEST, "receive the request");
        expect(send(fd, buffer, 0, REQUEST, 0) === REQUEST, "send the answer");
      }
      expect(sentPayload() === REQUEST, "answer the request");
      listenToGuest();
      return;
    case "link":
      if (!dry) receiveFromStation();
      expect(framesSent === before + 1 && isTagged(outboxOffset), "forward the station's frame with a tag");
      linkBefore = stationFrames;
      receive(writeTagged());
      expect(stationFrames === linkBefore + 1, "forward the frame to the station");
      return;
    case "tcp-connect":
      connect();
      disconnect();
      return;
    case "tcp-active":
      callOut();
      return;
    default:
      if (!isServicePath(path)) throw new Error(`no path ${path}`);
      servicePathStep(path, dry, i);
  }
}

/** Nothing is left to read (the sockets are idle). */
export function pathsIdle(): boolean {
  return recvfrom(udpFd, buffer, 0, SEGMENT, 0, from) === -EAGAIN;
}
