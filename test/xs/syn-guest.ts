/**
 * What `bench syn` runs inside the XS engine: a board with the SYN guard, and SYNs of each fate, so that the work of each can be counted.
 * Speaks to the host like guest.ts, in the commands BOOT, ATTACH, MEASURE and COLLECT.
 */
import { csumFold, csumPartial, csumTcpudpNofold, ipFastCsum } from "../../src/lib/checksum.ts";
import { boot, initNet } from "../../src/boot.ts";
import type { ConfigOptions } from "../../src/config.ts";
import { bind, inetAddAddress, ipRouteAdd, listen, SockaddrIn, socket } from "../../src/index.ts";
import { memView } from "../../src/lib/memory.ts";
import { devOpen } from "../../src/netif/dev.ts";
import { TCPHDR_RST, TCPHDR_SYN } from "../../src/stack/wire/tcp.ts";
import { SYN_GUARD_OFF, SYN_GUARD_ON, synGuard } from "../../src/syn-guard.ts";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../../src/uapi/if-arp.ts";
import { IPPROTO_TCP } from "../../src/uapi/in.ts";
import { AF_INET, SOCK_STREAM } from "../../src/uapi/socket.ts";
import { arpRequests, clearArpRequests, createMessageDevice, framesSent, inboxOffset, inject } from "./device.ts";
import { BOARD_ADDR, BOARD_HI, BOARD_LO, PEER_ADDR, writeArp, writeTcp } from "./peer.ts";
import { advanceNow, platform } from "./platform.ts";

/** xsnap's: collects garbage now. */
declare const gc: () => void;
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new () => { decode(bytes: Uint8Array): string };

const BOOT = 1;
const MEASURE = 3;
const COLLECT = 5;
const ATTACH = 6;

const PORT = 80;
const BACKLOG = 64;
const IP_AT = 14;
const L4_AT = 34;
/** The whole segment: a SYN has 40 bytes of header, a reset 32. */
const SYN_BYTES = 40;
const RST_BYTES = 32;
/** Sources that take turns where each is to be known and slow. */
const KNOWN = 256;

let sport = 1024;
let fresh = 0;
let dry = false;

/** A SYN or a reset from an address behind the gateway, and the guest's turn. */
function segment(saddr: number, flags: number): void {
  const length = flags === TCPHDR_SYN ? SYN_BYTES : RST_BYTES;
  const bytes = writeTcp(sport, PORT, flags, flags === TCPHDR_SYN ? 0 : 1, 0, 1, 0, 0);
  const ip = inboxOffset + IP_AT;
  memView.setInt32(ip + 12, saddr);
  memView.setUint16(ip + 10, 0);
  memView.setUint16(ip + 10, ipFastCsum(ip, 5));
  const th = inboxOffset + L4_AT;
  memView.setUint16(th + 16, 0);
  memView.setUint16(th + 16, csumFold(csumPartial(th, length) + csumTcpudpNofold(saddr, BOARD_ADDR, length, IPPROTO_TCP)));
  if (dry) return;
  inject(bytes);
  initNet.poll();
}

function syn(saddr: number): void {
  sport = sport === 65000 ? 1024 : sport + 1;
  segment(saddr, TCPHDR_SYN);
}

function known(i: number): number {
  return (0x0b000000 + (i % KNOWN)) | 0;
}

/** The one request there is, taken by a SYN that nobody will answer for. */
function fillQueue(): void {
  initNet.ipv4.tcpSynGuard = SYN_GUARD_OFF;
  initNet.ipv4.tcpSyncookies = 0;
  syn(0x0c000001);
}

/** The fates: no request left; a cookie; the same past the guard; first of its source; too many of it; a request, and a reset that ends it. */
function start(path: string): void {
  const { ipv4 } = initNet;
  dry = false;
  if (path !== "request") fillQueue();
  ipv4.tcpSyncookies = path === "cookie" || path === "passed" ? 1 : 0;
  ipv4.tcpSynGuard = path === "passed" || path === "unseen" || path === "too-many" ? SYN_GUARD_ON : SYN_GUARD_OFF;
}

function step(path: string, i: number): void {
  advanceNow(1);
  // The guest asks now and then whether the gateway is still there.
  if (arpRequests !== 0) {
    clearArpRequests();
    inject(writeArp(ARPOP_REPLY));
    initNet.poll();
  }
  const before = framesSent;
  if (path === "unseen") syn((0x0d000000 + fresh++) | 0);
  else if (path === "too-many") syn(0x0c000001);
  else syn(known(i));
  // The SYN-ACK of the request that fills the queue is sent again now and then.
  const answered = path === "cookie" || path === "request";
  if (!dry && answered && framesSent === before) throw new Error(`${path}: no answer`);
  if (path === "request") segment(known(i), TCPHDR_RST);
}

let measured = "";

function measure(path: string, count: number): void {
  if (path !== measured) {
    measured = path;
    if (path !== "") start(path);
  }
  for (let i = 0; i < count; i++) step(path, i);
}

function attach(): void {
  const dev = createMessageDevice(BOARD_HI, BOARD_LO);
  initNet.register(dev);
  devOpen(dev);
  inetAddAddress(initNet, dev, BOARD_ADDR, 24);
  ipRouteAdd(initNet, 0, 0, PEER_ADDR, 0);
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  bind(fd, new SockaddrIn(0, PORT));
  listen(fd, BACKLOG);
  inject(writeArp(ARPOP_REQUEST));
  initNet.poll();
}

function handleCommand(buffer: ArrayBuffer): ArrayBuffer {
  const message = new Uint8Array(buffer);
  const args = JSON.parse(new TextDecoder().decode(message.subarray(1))) as Record<string, unknown>;
  if (message[0] === BOOT) {
    boot({ ...(args["options"] as ConfigOptions), hal: platform, initcalls: [synGuard] });
  } else if (message[0] === ATTACH) {
    attach();
  } else if (message[0] === MEASURE) {
    dry = args["dry"] === true;
    measure(String(args["path"]), Number(args["count"]));
  } else if (message[0] === COLLECT) {
    gc();
  } else {
    throw new Error(`no command ${String(message[0])}`);
  }
  return new TextEncoder().encode("{}").buffer as ArrayBuffer;
}

(globalThis as unknown as Record<string, unknown>)["handleCommand"] = handleCommand;
