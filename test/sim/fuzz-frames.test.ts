/**
 * A minute of made-up frames: a board that serves a live connection gets thousands a second. No exception, no leak, no drop
 * without a reason; the connection goes on byte for byte and pings are answered.
 */
import test, { type ExecutionContext } from "ava";
import { Prng } from "../../hal/mock/impair.ts";
import type { MacAddress } from "../../hal/mac.ts";
import { SKB_DROP_REASON_NAMES } from "../../src/uapi/drop-reason.ts";
import { EAGAIN } from "../../src/uapi/errno.ts";
import { SOCK_DGRAM } from "../../src/uapi/socket.ts";
import {
  arpPacket, ascii, BROADCAST, ETHER_ARP, ETHER_IP, ethernetFrame, icmpMessage, internetChecksum, ipPacket, parseFrame,
  PROTO_ICMP, PROTO_TCP, PROTO_UDP, tcpSegment, udpDatagram,
} from "../lib/frames.ts";
import { byteAt, type End, Transfer, World } from "./world.ts";

const MINUTE_MS = 60_000;
const FRAMES_PER_MS = 1;
const LIVE_BYTES = 120_000;
const SUBNET = 0x0a000000;
const FLAG_SETS = ["S", "A", "SA", "F", "FA", "R", "RA", "PA", "SF", "", "SRFPUA", "PUA"];

function bytes(random: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

function pick<T>(random: Prng, list: readonly T[]): T {
  return list[random.below(list.length)]!;
}

/** A number of so many bits, often one at an edge. */
function edgy(random: Prng, bits: number): number {
  const most = 2 ** bits;
  return pick(random, [0, 1, most - 1, most / 2, most / 2 - 1, random.below(most)]);
}

/** Somebody on the board's network other than host and board, or from anywhere. */
function stranger(random: Prng): number {
  return random.below(3) === 0 ? random.next() | 0 : (SUBNET + 20 + random.below(200)) | 0;
}

function someTcp(random: Prng, saddr: number, daddr: number): Uint8Array {
  const segment = tcpSegment(saddr, daddr, {
    sport: edgy(random, 16), dport: pick(random, [80, 7, 81, edgy(random, 16)]), seq: edgy(random, 32), ack: edgy(random, 32),
    flags: pick(random, FLAG_SETS), window: edgy(random, 16), payload: bytes(random, random.below(4) * random.below(200)),
  });
  if (random.below(2) === 0) return segment;
  // Options of random bytes, or a header length that is wrong, with a checksum that is right.
  const words = random.below(11);
  const whole = new Uint8Array(segment.length + words * 4);
  whole.set(segment.subarray(0, 20));
  whole.set(bytes(random, words * 4), 20);
  for (let at = 20; at + 2 < 20 + words * 4; at += 1 + random.below(6)) whole.set([pick(random, [0, 1, 2, 3, 4, 5, 8]), random.below(12)], at);
  whole.set(segment.subarray(20), 20 + words * 4);
  whole[12] = (random.below(8) === 0 ? random.below(16) : 5 + words) << 4;
  whole[16] = whole[17] = 0;
  const pseudo = (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff) + PROTO_TCP + whole.length;
  new DataView(whole.buffer).setUint16(16, internetChecksum(whole, pseudo));
  return whole;
}

function someIcmp(random: Prng, quoted: Uint8Array | undefined): Uint8Array {
  const quotes = quoted !== undefined && random.below(2) === 0;
  const type = quotes ? pick(random, [3, 4, 5, 11, 12]) : edgy(random, 8);
  const payload = quotes ? quoted.slice(14, 14 + 20 + random.below(30)) : bytes(random, random.below(80));
  return icmpMessage(type, quotes ? random.below(20) : edgy(random, 8), edgy(random, 32), payload);
}

/** A frame whose headers and checksums are right down to a layer, and nothing beyond. */
function plausible(random: Prng, to: { addr: number; mac: MacAddress }, quoted: Uint8Array | undefined): Uint8Array {
  const saddr = stranger(random);
  const daddr = random.below(10) === 0 ? pick(random, [-1, (SUBNET + 255) | 0, 0, 0x7f000001, 0xe0000001 | 0, random.next() | 0]) : to.addr;
  const dst = random.below(10) === 0 ? BROADCAST : to.mac;
  const src = { hi: 0x0200, lo: saddr };
  const kind = random.below(6);
  if (kind === 0) {
    const arp = arpPacket({ op: edgy(random, 16) & 255, sha: src, spa: pick(random, [saddr, to.addr, 0]), tpa: pick(random, [to.addr, saddr]) });
    if (random.below(4) === 0) arp[random.below(8)] = random.below(256);
    return ethernetFrame(dst, src, ETHER_ARP, arp);
  }
  const protocol = [PROTO_TCP, PROTO_TCP, PROTO_UDP, PROTO_ICMP, random.below(256)][kind - 1]!;
  let body: Uint8Array;
  if (protocol === PROTO_TCP) body = someTcp(random, saddr, daddr);
  else if (protocol === PROTO_UDP) {
    body = udpDatagram(saddr, daddr, edgy(random, 16), pick(random, [53, edgy(random, 16)]), bytes(random, random.below(300)));
    if (random.below(4) === 0) new DataView(body.buffer).setUint16(4, edgy(random, 16));
  } else if (protocol === PROTO_ICMP) body = someIcmp(random, quoted);
  else body = bytes(random, random.below(100));
  const packet = ipPacket({ saddr, daddr, protocol, ttl: edgy(random, 8) || 1, tos: random.below(256), df: random.below(2) === 0 }, body);
  if (random.below(8) === 0) {
    // Fragments, header lengths and total lengths that are wrong.
    const view = new DataView(packet.buffer);
    const what = random.below(3);
    if (what === 0) view.setUint16(6, random.below(0x10000));
    else if (what === 1) packet[0] = random.below(256);
    else view.setUint16(2, edgy(random, 16));
    view.setUint16(10, 0);
    view.setUint16(10, internetChecksum(packet.subarray(0, Math.min(packet.length, Math.max(20, (packet[0]! & 15) * 4)))));
  }
  return ethernetFrame(dst, src, ETHER_IP, packet);
}

/** The checksums of a TCP frame, made right again. */
function repair(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const length = Math.min(view.getUint16(16), frame.length - 14);
  if (length < 40) return;
  view.setUint16(24, 0);
  view.setUint16(24, internetChecksum(frame.subarray(14, 34)));
  view.setUint16(50, 0);
  const pseudo = view.getUint16(26) + view.getUint16(28) + view.getUint16(30) + view.getUint16(32) + PROTO_TCP + length - 20;
  view.setUint16(50, internetChecksum(frame.subarray(34, 14 + length), pseudo));
}

/** What a bad network or a bad neighbour makes of a frame. */
function mutated(random: Prng, frame: Uint8Array, repaired: boolean): Uint8Array {
  const copy = frame.slice();
  const at = random.below(copy.length);
  copy[at] = pick(random, [0, 255, copy[at]! ^ (1 << random.below(8)), random.below(256)]);
  if (!repaired) return random.below(4) === 0 ? copy.slice(0, 14 + random.below(copy.length - 14)) : copy;
  for (let more = random.below(3); more > 0; more--) copy[34 + random.below(copy.length - 34)] = random.below(256);
  repair(copy);
  return copy;
}

interface Scene {
  readonly world: World;
  readonly random: Prng;
  /** Frames of the live connection and of the one that may be damaged. */
  readonly live: Uint8Array[];
  readonly victim: Uint8Array[];
}

const LIVE_PORT = 8000;
const VICTIM_PORT = 8001;

/** A minute in which the board gets what `frame` makes, beside its traffic. */
function minute(t: ExecutionContext, seed: number, frame: (scene: Scene) => Uint8Array): void {
  const world = new World({ seed, board: { preset: "default" }, peers: ["p"], wire: { delayMs: 1 }, strangers: true });
  const { kernel } = world.board;
  const random = new Prng(seed);
  const scene: Scene = { world, random, live: [], victim: [] };
  const p = world.peer();
  const listener = world.listen(world.board, 80, 4);
  const udp = world.socket(world.board, SOCK_DGRAM);
  kernel.bind(udp, new kernel.SockaddrIn(0, 53));
  const buffer = new Uint8Array(2000);
  world.addStep(() => {
    // A server whose clients never say anything sensible.
    const fd = kernel.accept4(listener.fd, null, 0);
    if (fd >= 0) kernel.close(fd);
    return kernel.recv(udp, buffer, 0, 2000, 0) >= 0 || fd >= 0;
  });
  const { client, server } = world.pair(world.host, LIVE_PORT);
  world.wire.observers.push((sent, port) => {
    if (port.name !== "eth0") return;
    const { tcp } = parseFrame(sent);
    if (tcp === undefined) return;
    const list = tcp.dport === LIVE_PORT ? scene.live : tcp.dport === VICTIM_PORT ? scene.victim : null;
    if (list === null) return;
    list.push(sent.slice());
    if (list.length > 50) list.shift();
  });
  const transfers = [new Transfer(client, server, LIVE_BYTES, 100), new Transfer(server, client, LIVE_BYTES, 100)];
  const victim = startVictim(world);
  let answered = 0;
  for (let ms = 0; ms < MINUTE_MS; ms++) {
    if (ms % 40 === 0) for (const transfer of transfers) transfer.step();
    else for (const transfer of transfers) transfer.read();
    if (ms % 50 === 0) victim();
    for (let i = 0; i < FRAMES_PER_MS; i++) p.sendFrame(frame(scene));
    if (ms % 1000 === 999) p.sendIcmp(8, 0, 0x7777, ascii("still there?"));
    world.runFor(1);
    for (const { icmp } of p.drain()) if (icmp?.type === 0 && icmp.rest === 0x7777) answered++;
  }
  t.true(answered >= 58, `${answered} of 60 pings were answered`);
  world.finish(transfers);
  const drops = kernel.allDrops().flatMap((count, reason) => (count === 0 ? [] : [`${SKB_DROP_REASON_NAMES[reason]} ${count}`]));
  t.log(drops.join(", "));
  world.settle(t);
}

/** A connection that carries a little data and is opened again whenever the frames have ended it. */
function startVictim(world: World): () => void {
  const listener = world.listen(world.board, VICTIM_PORT, 2);
  const data = Uint8Array.from({ length: 200 }, (_, i) => byteAt(i));
  let ends: End[] = [];
  return () => {
    const fd = listener.kernel.accept4(listener.fd, null, 0);
    if (fd >= 0) ends.push({ kernel: listener.kernel, fd });
    if (ends.length === 0) ends.push(world.connect(world.host, VICTIM_PORT));
    for (const { kernel, fd: one } of ends) {
      let n = kernel.send(one, data, 0, 200, 0);
      while (n !== -EAGAIN && n > 0) n = kernel.recv(one, new Uint8Array(1000), 0, 1000, 0);
      if (n === -EAGAIN && ends.length <= 2) continue;
      for (const end of ends) end.kernel.close(end.fd);
      ends = [];
      return;
    }
  };
}

test.serial("random bytes as frames", (t) => {
  minute(t, 1, ({ random, world }) => {
    const frame = bytes(random, random.below(20) === 0 ? 1514 : random.below(120));
    // Half of them are addressed to the board, a quarter say they are IP or ARP.
    if (frame.length >= 14 && random.below(2) === 0) {
      frame.set(ethernetFrame(world.board.mac, world.peer().mac, pick(random, [ETHER_IP, ETHER_ARP, random.below(65536)]), new Uint8Array(0)));
    }
    return frame;
  });
});

test.serial("random bytes behind right headers and checksums", (t) => {
  minute(t, 2, ({ random, world, live }) => plausible(random, world.board, live.length === 0 ? undefined : pick(random, live)));
});

test.serial("frames of living connections, damaged", (t) => {
  minute(t, 3, ({ random, live, victim }) => {
    const forge = victim.length > 0 && random.below(2) === 0;
    const frames = forge ? victim : live;
    return frames.length === 0 ? bytes(random, 60) : mutated(random, pick(random, frames), forge);
  });
});
