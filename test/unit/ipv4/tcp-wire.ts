/**
 * A booted stack, 10.0.0.1/24 on a device without link layer, and segments written and read by hand on its other side,
 * from any address: what the packet-level tests of TCP stand on. The clock is the test's.
 */
import type { ExecutionContext } from "ava";
import type { Hal } from "../../../hal/hal.ts";
import { boot, type BootOptions, initNet } from "../../../src/boot.ts";
import { setDropMonitor } from "../../../src/stack/core/skbuff.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { inetTwskPurge } from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import { poolUsage } from "../../lib/pools.ts";
import { addDevice, checksum, drops, ip, ipPacket, receive, type TestDevice } from "./harness.ts";

export const US = ip("10.0.0.1");
export const PEER = ip("10.0.0.9");

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export let dev: TestDevice;
let clock = 0;
let baseline = new Map<string, number>();

const hal: Hal = {
  now: () => clock,
  entropy(into) {
    for (let i = 0; i < into.length; i++) into[i] = (i * 31 + 5) & 255;
  },
  wake: () => undefined,
};

export function bootWire(options: BootOptions = {}): void {
  clock = 1000;
  boot({ preset: "host", buffers: 64, skbs: 128, ...options, hal });
  dev = addDevice("wire0");
  inetAddAddress(initNet, dev, US, 24);
  drops.length = 0;
  setDropMonitor((_skb, reason) => {
    if (reason > 1) drops.push(reason);
  });
  run(0);
  dev.sent.length = 0;
  baseline = poolUsage(initNet);
}

/** Lets time pass, stopping at every timer. */
export function run(ms: number): void {
  const end = clock + ms;
  for (let delay = initNet.poll(); delay >= 0 && clock + delay <= end; delay = initNet.poll()) clock += delay;
  clock = end;
  initNet.poll();
}

/** Milliseconds since boot. */
export function now(): number {
  return clock;
}

/** Ends TIME_WAIT and what the routes have cached and learned, and checks that every pool is as full as after boot. */
export function finish(t: ExecutionContext): void {
  inetTwskPurge();
  t.deepEqual(poolUsage(initNet), baseline);
}

export interface Segment {
  saddr: number;
  daddr: number;
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  urgent: number;
  options: number[];
  payload: number[];
}

/** The bytes of an IP packet with that segment; what is not given is 0, the addresses from PEER to US. */
export function segmentBytes(s: Partial<Segment>): Uint8Array {
  const options = s.options ?? [];
  const payload = s.payload ?? [];
  const header = 20 + ((options.length + 3) & ~3);
  const tcp = new Uint8Array(header + payload.length);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, s.sport ?? 0);
  view.setUint16(2, s.dport ?? 0);
  view.setInt32(4, s.seq ?? 0);
  view.setInt32(8, s.ack ?? 0);
  view.setUint16(12, (header << 10) | (s.flags ?? 0));
  view.setUint16(14, s.window ?? 65535);
  view.setUint16(18, s.urgent ?? 0);
  tcp.set(options, 20);
  tcp.set(payload, header);
  const saddr = s.saddr ?? PEER;
  const daddr = s.daddr ?? US;
  const pseudo = new Uint8Array(12 + tcp.length);
  const pseudoView = new DataView(pseudo.buffer);
  pseudoView.setInt32(0, saddr);
  pseudoView.setInt32(4, daddr);
  pseudo[9] = 6;
  pseudoView.setUint16(10, tcp.length);
  pseudo.set(tcp, 12);
  view.setUint16(16, checksum(pseudo));
  return ipPacket({ saddr, daddr, protocol: 6, payload: tcp });
}

/** Gives the stack that segment. */
export function inject(s: Partial<Segment>): void {
  receive(dev, segmentBytes(s));
  run(0);
}

/** Reads a packet that the stack sent; throws when its checksum is wrong. */
export function parse(bytes: Uint8Array): Segment {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const tcp = bytes.subarray(20);
  const t = new DataView(tcp.buffer, tcp.byteOffset);
  const header = (t.getUint8(12) >> 4) * 4;
  const segment = {
    saddr: view.getInt32(12), daddr: view.getInt32(16), sport: t.getUint16(0), dport: t.getUint16(2),
    seq: t.getInt32(4), ack: t.getInt32(8), flags: t.getUint8(13), window: t.getUint16(14),
    urgent: t.getUint16(18), options: [...tcp.subarray(20, header)], payload: [...tcp.subarray(header)],
  };
  const again = segmentBytes(segment);
  if (new DataView(again.buffer).getUint16(36) !== t.getUint16(16)) throw new Error("wrong checksum");
  return segment;
}

/** What the stack sent since the last call. */
export function sent(): Segment[] {
  return dev.sent.splice(0).map(parse);
}

/** The one segment that the stack sent since the last call. */
export function sentOne(): Segment {
  const all = sent();
  if (all.length !== 1) throw new Error(`sent ${all.length} segments: ${JSON.stringify(all)}`);
  return all[0]!;
}
