import test, { type ExecutionContext } from "ava";
import type { ConfigOptions } from "../../../src/config.ts";
import { setDropMonitor, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { accept4, bind, close, connect, listen, recv, send, setNs, shutdown } from "../../../src/stack/socket/index.ts";
import { EAGAIN } from "../../../src/uapi/errno.ts";
import { SHUT_WR, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { TCP_MIB_RETRANSSEGS } from "../../../src/uapi/snmp.ts";
import { a, ADDR_B, b, bootHosts, devA, devB, finish, open, turn } from "./two-hosts.ts";

/** The byte at a position of every stream here. */
function byteAt(position: number): number {
  return (position * 7 + (position >> 8) * 13) & 255;
}

interface Pair {
  client: number;
  server: number;
}

function connected(t: ExecutionContext): Pair {
  const listener = open(b, SOCK_STREAM);
  t.is(bind(listener, new SockaddrIn(0, 80)), 0);
  t.is(listen(listener, 4), 0);
  const client = open(a, SOCK_STREAM);
  connect(client, new SockaddrIn(ADDR_B, 80));
  let server = -EAGAIN;
  for (let i = 0; i < 5000 && server < 0; i++) {
    turn(1);
    server = accept4(listener, null);
  }
  t.true(server >= 0);
  t.is(connect(client, new SockaddrIn(ADDR_B, 80)), 0);
  close(listener);
  return { client, server };
}

/** Sends `total` bytes one way in writes and reads of random length; false when nothing moved for `patience` virtual ms. */
function transfer(from: number, to: number, total: number, next: () => number, chunk: number, patience = 400000): number {
  const out = new Uint8Array(chunk);
  const back = new Uint8Array(chunk);
  let sent = 0;
  let got = 0;
  let idle = 0;
  while (got < total) {
    let moved = 0;
    const want = Math.min(1 + (next() % chunk), total - sent);
    for (let i = 0; i < want; i++) out[i] = byteAt(sent + i);
    const n = want > 0 ? send(from, out, 0, want, 0) : 0;
    if (n > 0) {
      sent += n;
      moved += n;
    } else if (n < 0 && n !== -EAGAIN) {
      throw new Error(`send: ${n} after ${sent}`);
    }
    const r = recv(to, back, 0, 1 + (next() % chunk), 0);
    if (r > 0) {
      for (let i = 0; i < r; i++) if (back[i] !== byteAt(got + i)) throw new Error(`byte ${got + i} is ${back[i]}`);
      got += r;
      moved += r;
    } else if (r !== -EAGAIN) {
      throw new Error(`recv: ${r} after ${got}`);
    }
    turn(1);
    idle = moved > 0 ? 0 : idle + 1;
    if (idle > patience) throw new Error(`nothing moved for ${patience} ms: sent ${sent}, got ${got}`);
  }
  return got;
}

function endBoth(t: ExecutionContext, pair: Pair): void {
  const one = new Uint8Array(1);
  shutdown(pair.client, SHUT_WR);
  for (let i = 0; i < 100000; i++) {
    turn(1);
    if (recv(pair.server, one, 0, 1, 0) === 0) break;
  }
  t.is(recv(pair.server, one, 0, 1, 0), 0, "the end of the stream");
  close(pair.server);
  close(pair.client);
}

function random(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Drops the packets a device is given as `lose` says; gives the number dropped. */
function lossy(dev: NetDevice, lose: () => boolean): () => number {
  const real = dev.ops.ndoStartXmit;
  let lost = 0;
  dev.ops = {
    ...dev.ops,
    ndoStartXmit(skb: SkBuff, device: NetDevice): number {
      if (lose()) {
        lost++;
        skb.len = 14;
        skb.tail = skb.data + 14;
      }
      return real.call(dev.ops, skb, device);
    },
  };
  return () => lost;
}

/** The packets of preset small, shared by two hosts. */
const SMALL: ConfigOptions = { preset: "default", buffers: 13, skbs: 20, rcvbufPackets: 6, sndbufPackets: 4 };

const SIZES: readonly (readonly [string, ConfigOptions, number])[] = [
  ["host", {}, 2_000_000],
  ["default", { preset: "default", buffers: 40, skbs: 56 }, 400_000],
  ["small", SMALL, 100_000],
];

for (const [name, options, total] of SIZES) {
  test.serial(`bulk without loss, pools of preset ${name}`, (t) => {
    bootHosts(options);
    setDropMonitor(null);
    const pair = connected(t);
    t.is(transfer(pair.client, pair.server, total, random(1), 8000), total);
    t.is(transfer(pair.server, pair.client, total >> 1, random(2), 3000), total >> 1);
    t.is(a.mib[TCP_MIB_RETRANSSEGS], 0, "nothing is sent twice");
    t.is(b.mib[TCP_MIB_RETRANSSEGS], 0);
    endBoth(t, pair);
    finish(t, 70000);
  });

  test.serial(`bulk with loss, pools of preset ${name}`, (t) => {
    bootHosts(options);
    const pair = connected(t);
    const dice = random(5);
    const lost = [lossy(devA, () => dice() % 100 < 5), lossy(devB, () => dice() % 100 < 6)];
    t.is(transfer(pair.client, pair.server, 400_000, random(3), 5000), 400_000);
    t.is(transfer(pair.server, pair.client, 200_000, random(4), 5000), 200_000);
    t.true(lost[0]!() > 10 && lost[1]!() > 3);
    t.true(a.mib[TCP_MIB_RETRANSSEGS]! > 0);
    endBoth(t, pair);
    finish(t, 200000);
  });
}

test.serial("one byte at a time both ways, on few buffers", (t) => {
  bootHosts(SMALL);
  const pair = connected(t);
  t.is(transfer(pair.client, pair.server, 3000, random(7), 1), 3000);
  endBoth(t, pair);
  setNs(a);
  finish(t, 70000);
});
