/**
 * What runs inside the XS engine: the stack, a device on a wire of messages, services (TCP and UDP echo, HTTP), and the
 * measurements. One script (rollup's `dist/linnet.xs.js`); the host speaks to it through `handleCommand`.
 *
 * A message is one byte of command, then its arguments (JSON, or for FRAME the clock in ms as 4 bytes and a frame):
 *   BOOT {options, parts}  boots with these sizes, and the parts of PART_PATHS or none; answers {bufferBytes}: bytes of the buffers made so far, when the host had them counted
 *   ATTACH {chip}        gives the board its device, eth0, up and with an address; with `chip` an ENC28J60
 *   FRAME ms, frame      receives the frame at that time; answers the frames sent, each behind its length (2 bytes)
 *   MEASURE {path, count, dry}   runs the path that often
 *   ROUTES {prefixes}    enters so many routes
 *   LOOKUP {count, dry}  looks up so many addresses in them
 *   SERVICES {}          starts every service; answers {bufferBytes}
 *   SERVE {}, COLLECT {} starts the services; collects garbage
 */
import { boot, initNet } from "../../src/boot.ts";
import { bridge } from "../../src/bridge.ts";
import type { ConfigOptions } from "../../src/config.ts";
import { igmp } from "../../src/igmp.ts";
import { createTimer, timerFree } from "../../src/lib/timer.ts";
import { mem8, userBuffer } from "../../src/lib/memory.ts";

import { inetAddAddress } from "../../src/stack/ipv4/devinet.ts";
import { devGetByName, devOpen } from "../../src/netif/dev.ts";
import { ioctlLoad } from "../../src/ioctl.ts";
import { packet } from "../../src/packet.ts";
import { raw } from "../../src/raw.ts";
import { startServices } from "../../src/service-budget.ts";
import { SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import {
  accept4, bind, close, listen, recv, recvfrom, send, sendto, shutdown, socket,
} from "../../src/index.ts";
import { EAGAIN } from "../../src/uapi/errno.ts";
import { AF_INET, SHUT_WR, SOCK_DGRAM, SOCK_STREAM } from "../../src/uapi/socket.ts";
import { vlan } from "../../src/vlan.ts";
import { createChipDevice, createMessageDevice, FRAME_MAX, inboxOffset, inject, setFrameSink } from "./device.ts";
import { startEcho } from "./echo.ts";
import { PAGE } from "./page.ts";
import { pathEnd, pathsInit, pathStart, pathStep, setDry } from "./paths.ts";
import { BOARD_ADDR, BOARD_HI, BOARD_LO, BOARD_MAC } from "./peer.ts";
import { advanceNow, platform, setNow } from "./platform.ts";
import { lookups, lookupsInit } from "./routes.ts";

/** xsnap's: collects garbage now. */
declare const gc: () => void;
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new () => { decode(bytes: Uint8Array): string };

const BOOT = 1;
const FRAME = 2;
const MEASURE = 3;
const SERVE = 4;
const COLLECT = 5;
const ATTACH = 6;
const ROUTES = 7;
const LOOKUP = 8;
const SERVICES = 9;
const SERVICE_TIMERS = 8;

let services: (() => void) | null = null;

/** Starts TCP echo (of ECMA-419 classes) and UDP echo on port 7, and a page on port 80; the returned function serves them once. */
function serve(): () => void {
  const buffer = new Uint8Array(FRAME_MAX);
  const page = new TextEncoder().encode(PAGE);
  const from = new SockaddrIn();
  startEcho(7);
  const echo = socket(AF_INET, SOCK_DGRAM, 0);
  bind(echo, new SockaddrIn(0, 7));
  const web = socket(AF_INET, SOCK_STREAM, 0);
  bind(web, new SockaddrIn(0, 80));
  listen(web, 2);
  const clients: number[] = [];
  return () => {
    const got = recvfrom(echo, buffer, 0, buffer.length, 0, from);
    if (got >= 0) sendto(echo, buffer, 0, got, 0, from);
    const fd = accept4(web, null, 0);
    if (fd >= 0) clients.push(fd);
    for (let i = clients.length - 1; i >= 0; i--) {
      const client = clients[i]!;
      const count = recv(client, buffer, 0, buffer.length, 0);
      if (count === -EAGAIN) continue;
      if (count > 0) {
        send(client, page, 0, page.length, 0);
        shutdown(client, SHUT_WR);
      } else {
        close(client);
        clients.splice(i, 1);
      }
    }
  };
}

/** Time in which an ENC28J60 is set up. */
const SETTLE_MS = 10;

function attach(chip: boolean): void {
  const dev = chip ? createChipDevice(BOARD_MAC) : createMessageDevice(BOARD_HI, BOARD_LO);
  initNet.register(dev);
  devOpen(dev);
  for (let ms = 0; chip && ms < SETTLE_MS; ms++) {
    advanceNow(1);
    initNet.poll();
  }
  inetAddAddress(initNet, dev, BOARD_ADDR, 24);
}

/** Receives one frame and gives back all that was sent. */
function exchange(message: Uint8Array): ArrayBuffer {
  const sent: Uint8Array[] = [];
  let total = 0;
  setFrameSink((offset, length) => {
    sent.push(mem8.slice(offset, offset + length));
    total += length + 2;
  });
  setNow((message[1]! << 24) | (message[2]! << 16) | (message[3]! << 8) | message[4]!);
  const frame = message.subarray(5);
  if (frame.length > 0) {
    mem8.set(frame, inboxOffset);
    inject(frame.length);
  }
  initNet.poll();
  if (services !== null) services();
  initNet.poll();
  setFrameSink(null);
  const answer = new Uint8Array(total);
  let at = 0;
  for (const bytes of sent) {
    answer[at] = bytes.length >> 8;
    answer[at + 1] = bytes.length & 255;
    answer.set(bytes, at + 2);
    at += bytes.length + 2;
  }
  return answer.buffer as ArrayBuffer;
}

/** The path that is running; "" for none. */
let measured = "";
let opened = false;

function measure(path: string, count: number, dry: boolean): void {
  if (path !== measured) {
    if (measured !== "") pathEnd(measured);
    if (!opened) pathsInit(initNet, userBuffer(FRAME_MAX + 2));
    opened = true;
    measured = path;
    if (path !== "") pathStart(path);
  }
  if (path === "") return;
  setDry(dry);
  for (let i = 0; i < count; i++) pathStep(path, i);
}

function answer(value: unknown): ArrayBuffer {
  return new TextEncoder().encode(JSON.stringify(value)).buffer as ArrayBuffer;
}

/** Bytes of the buffers made so far, when the host had them counted. */
function bufferBytes(): number {
  return (globalThis as { bufferBytes?: number }).bufferBytes ?? 0;
}

function handleCommand(buffer: ArrayBuffer): ArrayBuffer {
  const message = new Uint8Array(buffer);
  if (message[0] === FRAME) return exchange(message);
  const args = JSON.parse(new TextDecoder().decode(message.subarray(1))) as Record<string, unknown>;
  switch (message[0]) {
    case BOOT:
      boot({ ...(args["options"] as ConfigOptions), initcalls: args["parts"] === true ? [raw, packet, igmp, vlan, bridge] : [], hal: platform });
      // The services load these where nobody has.
      if (args["parts"] === true) ioctlLoad();
      return answer({ bufferBytes: bufferBytes() });
    case ATTACH:
      attach(args["chip"] === true);
      return answer({});
    case SERVE:
      services = serve();
      return answer({});
    case MEASURE:
      measure(String(args["path"]), Number(args["count"]), args["dry"] === true);
      return answer({});
    case ROUTES:
      lookupsInit(initNet, devGetByName(initNet, "eth0")!.ifindex, Number(args["prefixes"]));
      return answer({});
    case LOOKUP:
      lookups(initNet, Number(args["count"]), args["dry"] === true);
      return answer({});
    case SERVICES: {
      // Rows for their timers: that tables grow would be counted as well.
      Array.from({ length: SERVICE_TIMERS }, () => createTimer("services", () => undefined, 0)).forEach(timerFree);
      const before = bufferBytes();
      startServices(false);
      return answer({ bufferBytes: bufferBytes() - before });
    }
    case COLLECT:
      gc();
      return answer({});
    default:
      throw new Error(`no command ${String(message[0])}`);
  }
}

(globalThis as unknown as Record<string, unknown>)["handleCommand"] = handleCommand;
