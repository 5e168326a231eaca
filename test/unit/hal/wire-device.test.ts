/** The device on the mock wire: its rings, and what it counts. */
import test from "ava";
import { wirePortOf } from "../../../hal/mock/wire-device.ts";
import { formatMac, parseMac } from "../../../hal/mac.ts";
import { AF_INET, devClose, devOpen, recv, SOCK_DGRAM, SockaddrIn, bind, sendto } from "../../../src/index.ts";
import { isUdp } from "../../lib/check.ts";
import { ascii } from "../../lib/frames.ts";
import { createLab } from "../../lib/lab.ts";

test("a full receive ring drops and counts, what fitted arrives in order", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const { dev, addr } = lab.host("a");
  const fd = lab.host("a").socket(AF_INET, SOCK_DGRAM);
  t.is(bind(fd, new SockaddrIn(addr, 7)), 0);
  // No turn is run between these.
  for (let i = 0; i < 300; i++) lab.peer("p").sendUdp(1, 7, Uint8Array.of(i & 255));
  lab.runFor(1);
  t.is(dev.stats.rxFifoErrors, 44);
  t.is(dev.stats.rxPackets, 256);
  const buffer = new Uint8Array(4);
  for (let i = 0; i < 256; i++) {
    t.is(recv(fd, buffer, 0, 4, 0), 1);
    t.is(buffer[0], i & 255);
  }
  t.true(recv(fd, buffer, 0, 4, 0) < 0);
});

test("an empty packet pool drops and counts, and recovers", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"], config: { preset: "tiny" } });
  const a = lab.host("a");
  const fd = a.socket(AF_INET, SOCK_DGRAM);
  t.is(bind(fd, new SockaddrIn(0, 7)), 0);
  const other = a.socket(AF_INET, SOCK_DGRAM);
  t.is(bind(other, new SockaddrIn(0, 8)), 0);
  const third = a.socket(AF_INET, SOCK_DGRAM);
  t.is(bind(third, new SockaddrIn(0, 9)), 0);
  for (let i = 0; i < 30; i++) lab.peer("p").sendUdp(1, 7 + (i % 3), ascii("x"));
  lab.runFor(1);
  t.true(a.dev.stats.rxDropped > 0);
  const buffer = new Uint8Array(4);
  for (const socket of [fd, other, third]) while (recv(socket, buffer, 0, 4, 0) >= 0);
  lab.peer("p").sendUdp(1, 7, ascii("y"));
  lab.runFor(1);
  t.is(recv(fd, buffer, 0, 4, 0), 1);
});

test("on a slow wire the queue stops and goes on, and frames leave one by one", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"], wire: { rateBps: 1_000_000 } });
  const a = lab.host("a");
  const p = lab.peer("p");
  const fd = a.socket(AF_INET, SOCK_DGRAM);
  const to = new SockaddrIn(p.addr, 9);
  for (let i = 0; i < 100; i++) t.is(sendto(fd, Uint8Array.of(i), 0, 1, 0, to), 1);
  lab.runFor(1);
  t.true(a.dev.queueStopped);
  lab.runFor(100);
  t.false(a.dev.queueStopped);
  const frames = p.drain();
  t.deepEqual(frames.map(({ udp }) => udp?.payload[0]), [...Array(100).keys()]);
  // A padded frame is 60 bytes, and 24 more on the wire.
  for (let i = 1; i < 100; i++) t.true(frames[i]!.timeMs - frames[i - 1]!.timeMs >= (84 * 8) / 1000 - 1e-9);
});

test("short frames are padded with zeros to 60 bytes", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const fd = lab.host("a").socket(AF_INET, SOCK_DGRAM);
  sendto(fd, ascii("x"), 0, 1, 0, new SockaddrIn(lab.peer("p").addr, 9));
  const { bytes } = lab.peer("p").expect(isUdp({ payload: ascii("x") }), { after: 0 });
  t.is(bytes.length, 60);
  t.true(bytes.subarray(43).every((byte) => byte === 0));
});

test("a device that is down hears nothing; a pulled cable takes its carrier", (t) => {
  const lab = createLab(t, { hosts: ["a"], peers: ["p"] });
  const { dev } = lab.host("a");
  devClose(dev);
  lab.peer("p").sendArpRequest("10.0.0.1");
  lab.peer("p").expectNothing(10);
  devOpen(dev);
  lab.wire.setCarrier(false);
  lab.runFor(1);
  t.false(dev.carrier);
  lab.wire.setCarrier(true);
  lab.runFor(1);
  t.true(dev.carrier);
  t.is(wirePortOf(dev).stats.lost, 0);
});

test("hardware addresses as text and numbers", (t) => {
  t.deepEqual(parseMac("02:ab:ff:00:00:01"), { hi: 0x02ab, lo: 0xff000001 | 0 });
  t.is(formatMac(0x02ab, 0xff000001 | 0), "02:ab:ff:00:00:01");
  t.throws(() => parseMac("02:ab:ff:00:00"), { instanceOf: TypeError });
  t.throws(() => parseMac("01:00:00:00:00:01"), { instanceOf: TypeError, message: /group/ });
});
