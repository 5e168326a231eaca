/**
 * IP options of TCP beyond what one segment shows (linux-tcp-options.test.ts): streams whose options change under way, and too few
 * places for them.
 */
import test from "ava";
import fc from "fast-check";
import { ipOptions } from "../../../src/ip-options.ts";
import { mem8, memView } from "../../../src/lib/memory.ts";
import type { SkBuff } from "../../../src/stack/core/skbuff.ts";
import type { DeviceTap, NetDevice } from "../../../src/stack/core/net-device.ts";
import {
  accept4, bind, close, connect, getsockopt, listen, recv, send, setsockoptBytes, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, ENOBUFS } from "../../../src/uapi/errno.ts";
import { IP_OPTIONS } from "../../../src/uapi/in.ts";
import { SO_LINGER, SOCK_STREAM, SOL_IP, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { a, ADDR_B, b, bootHosts, devA, devB, finish, open, turn } from "./two-hosts.ts";

const ETH_HLEN = 14;
const NONE = new Uint8Array(0);
/** Record route with so many places. */
const recordRoute = (slots: number): Uint8Array => Uint8Array.from([7, 3 + 4 * slots, 4, ...new Array<number>(4 * slots).fill(0)]);
const CHOICES = [NONE, recordRoute(9), recordRoute(2), Uint8Array.of(1, 1, 1, 1), recordRoute(5), Uint8Array.of(148, 4, 0, 0)];

/** Connects; the ends are [client of a, server of b]. */
function connected(options: Uint8Array): [number, number] {
  const listener = open(b, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 4);
  const client = open(a, SOCK_STREAM);
  setsockoptBytes(client, SOL_IP, IP_OPTIONS, options);
  connect(client, new SockaddrIn(ADDR_B, 80));
  turn(20);
  const server = accept4(listener, null);
  close(listener);
  return [client, server];
}

/** One end resets: nothing lingers. */
function endBoth(first: number, second: number): void {
  setsockoptBytes(first, SOL_SOCKET, SO_LINGER, Int32Array.of(1, 0));
  close(first);
  turn(20);
  close(second);
}

/** Bytes of IP options of the packets that a device sends, and the length of the longest packet. */
function watch(dev: NetDevice): { options: Set<number>; longest: number } {
  const seen = { options: new Set<number>(), longest: 0 };
  dev.taps = {
    nextTap: null,
    see(skb, outgoing) {
      if (!outgoing || memView.getUint16(skb.mac + 12) !== 0x0800) return;
      const nh = skb.mac + ETH_HLEN;
      seen.options.add((mem8[nh]! & 15) * 4 - 20);
      seen.longest = Math.max(seen.longest, memView.getUint16(nh + 2));
    },
  } satisfies DeviceTap;
  return seen;
}

/** Every `nth` packet of a device is cut to its link header. */
function lossy(dev: NetDevice, nth: number): void {
  const real = dev.ops.ndoStartXmit;
  let count = 0;
  dev.ops = {
    ...dev.ops,
    ndoStartXmit(skb: SkBuff, device: NetDevice): number {
      if (memView.getUint16(skb.data + 12) === 0x0800 && ++count % nth === 0) {
        skb.len = ETH_HLEN;
        skb.tail = skb.data + ETH_HLEN;
      }
      return real.call(dev.ops, skb, device);
    },
  };
}

test.serial("options that change while data waits, is on its way and is lost: every byte arrives, no packet is too long", (t) => {
  const step = fc.record({ bytes: fc.integer({ min: 0, max: 9000 }), options: fc.integer({ min: 0, max: CHOICES.length - 1 }), ms: fc.integer({ min: 0, max: 5 }) });
  fc.assert(fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer({ min: 8, max: 40 }), (steps, nth) => {
    bootHosts({ initcalls: [ipOptions], buffers: 120, skbs: 240 });
    const [client, server] = connected(NONE);
    lossy(devA, nth);
    const seen = watch(devA);
    const out = new Uint8Array(9000);
    const back = new Uint8Array(9000);
    let sent = 0;
    let got = 0;
    const read = (): void => {
      for (let n = recv(server, back, 0, 9000, 0); n > 0; n = recv(server, back, 0, 9000, 0)) {
        for (let i = 0; i < n; i++) if (back[i] !== ((got + i) * 7 & 255)) throw new Error(`byte ${got + i} is ${back[i]!}`);
        got += n;
      }
    };
    for (const { bytes, options, ms } of steps) {
      for (let i = 0; i < bytes; i++) out[i] = (sent + i) * 7 & 255;
      const n = send(client, out, 0, bytes, 0);
      if (n < 0 && n !== -EAGAIN) throw new Error(`send: ${n}`);
      sent += Math.max(n, 0);
      t.is(setsockoptBytes(client, SOL_IP, IP_OPTIONS, CHOICES[options]!), 0);
      turn(ms);
      read();
    }
    for (let i = 0; i < 20_000 && got < sent; i++) {
      turn(1);
      read();
    }
    t.is(got, sent);
    t.true(seen.longest <= 1500);
    endBoth(server, client);
    finish(t);
  }), { numRuns: 12 });
});

test.serial("a SYN's options find no place: the connection is there without", (t) => {
  bootHosts({ initcalls: [ipOptions], ipOptionSocks: 1 });
  const seen = watch(devB);
  const [client, server] = connected(recordRoute(3));
  t.true(server >= 0);
  t.deepEqual([...seen.options], [0], "the client has the only place");
  t.is(getsockopt(server, SOL_IP, IP_OPTIONS, new Uint8Array(40)), 0);
  t.is(setsockoptBytes(server, SOL_IP, IP_OPTIONS, recordRoute(1)), -ENOBUFS);
  t.is(send(server, new Uint8Array(10), 0, 10, 0), 10);
  turn(300);
  t.is(recv(client, new Uint8Array(10), 0, 10, 0), 10);
  endBoth(client, server);
  finish(t);
});

test.serial("a request that ends gives its options' place back", (t) => {
  bootHosts({ initcalls: [ipOptions] });
  const listener = open(b, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 4);
  const seen = watch(devB);
  const client = open(a, SOCK_STREAM);
  setsockoptBytes(client, SOL_IP, IP_OPTIONS, recordRoute(3));
  // The SYN-ACK is lost, and the client gone.
  lossy(devB, 1);
  connect(client, new SockaddrIn(ADDR_B, 80));
  turn(20);
  t.deepEqual([...seen.options], [16]);
  close(client);
  close(listener);
  finish(t);
});
