import { words } from "../../../src/lib/table.ts";
import test from "ava";
import fc from "fast-check";
import { setAccountWatch } from "../../../src/lib/account.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { jiffies, nextTimerDelay, runTimers } from "../../../src/lib/timer.ts";
import { createNet, initNet } from "../../../src/stack/core/net.ts";
import { SOCK_REUSE, SOCK_REUSEPORT, sockPut } from "../../../src/stack/core/sock.ts";
import {
  inetBindBucketFind, inetBindHash, inetPutPort,
} from "../../../src/stack/ipv4/inet-bind-bucket.ts";
import { inetCskGetPort, inetHashConnect } from "../../../src/stack/ipv4/inet-bind.ts";
import {
  ehashLastDaddr, ehashLastNet, ehashLastNode, ehashLastPorts, ehashLastSaddr, ehashReqBase, ehashTwBase, inetEhashed, inetEhashInsert, inetEhashRemove, inetHash, inetLookupEstablished,
  inetUnhash,
} from "../../../src/stack/ipv4/inet-hashtables.ts";
import { inetLookupListener } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import {
  inetTimewaitCount, inetTwskAlloc, inetTwskBind, inetTwskPurge, inetTwskSchedule, TW_INFO, TW_REUSE, TW_SND_NXT,
  TW_TS_RECENT, TW_TS_RECENT_STAMP, TW_TSTAMP, TW_WORDS, twRows,
} from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import { ICSK_BIND_HASH } from "../../../src/stack/ipv4/tcp-cold.ts";
import type { TcpSk } from "../../../src/stack/ipv4/tcp-sock.ts";
import { EADDRINUSE, EADDRNOTAVAIL } from "../../../src/uapi/errno.ts";
import {
  LINUX_MIB_TCPTIMEWAITOVERFLOW, LINUX_MIB_TIMEWAITED, LINUX_MIB_TIMEWAITRECYCLED,
} from "../../../src/uapi/snmp.ts";
import { TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT, TCP_TIME_WAIT } from "../../../src/uapi/tcp.ts";
import { host, makeSock, tablesBoot } from "./tcp-fixture.ts";

/** Ends a sock of these tests wherever it stands. */
function release(sk: TcpSk): void {
  inetUnhash(sk);
  sk.state = TCP_CLOSE;
  inetPutPort(sk);
  sockPut(sk);
}

function bound(addr: number, port: number, options: Partial<TcpSk> = {}): TcpSk | number {
  const sk = makeSock();
  Object.assign(sk, options);
  sk.inet.rcvSaddr = addr;
  const err = inetCskGetPort(sk, port);
  if (err === 0) return sk;
  sockPut(sk);
  return err;
}

function listen(sk: TcpSk): number {
  sk.state = TCP_LISTEN;
  const err = inetCskGetPort(sk, sk.inet.num);
  if (err === 0) inetHash(sk);
  else sk.state = TCP_CLOSE;
  return err;
}

/** Moves the identity of a hashed, bound sock to TIME_WAIT and releases it. */
function toTimewait(sk: TcpSk, info: number, timeoMs = 60000): number {
  const tw = inetTwskAlloc();
  const { inet } = sk;
  words[twRows + tw * TW_WORDS + TW_INFO] = TCP_TIME_WAIT | info | ((sk.flags & SOCK_REUSE) !== 0 ? TW_REUSE : 0);
  words[twRows + tw * TW_WORDS + TW_TS_RECENT_STAMP] = jiffies;
  words[twRows + tw * TW_WORDS + TW_TS_RECENT] = 5000;
  words[twRows + tw * TW_WORDS + TW_SND_NXT] = 77;
  inetTwskBind(tw, words[sk.icsk.cold + ICSK_BIND_HASH]!);
  inetEhashRemove(sk.index);
  inetEhashInsert(ehashTwBase + tw, sk.net, inet.rcvSaddr, inet.num, inet.daddr, inet.dport, sk.boundDevIf);
  inetTwskSchedule(tw, timeoMs);
  release(sk);
  return tw;
}

function connecting(laddr: number, faddr: number, fport: number): TcpSk {
  const sk = makeSock();
  sk.state = TCP_SYN_SENT;
  sk.inet.rcvSaddr = sk.inet.saddr = laddr;
  sk.inet.daddr = faddr;
  sk.inet.dport = fport;
  return sk;
}

test.serial("ehash does what a Map does, for all three kinds of nodes and two namespaces", (t) => {
  tablesBoot({ socks: 12, requests: 8, timewaits: 10, ehashBuckets: 4 });
  const nets = [initNet, createNet()];
  const step = fc.record({
    insert: fc.boolean(), node: fc.nat(29), net: fc.nat(1), laddr: fc.nat(1), faddr: fc.nat(2),
    lport: fc.constantFrom(80, 65535), fport: fc.constantFrom(1, 40000, 65535), dev: fc.constantFrom(0, 0, 3),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const model = new Map<string, number>();
    const keys = new Map<number, string>();
    for (const s of steps) {
      const net = nets[s.net]!;
      const key = `${s.net} ${s.laddr} ${s.faddr} ${s.lport} ${s.fport}`;
      const laddr = host(s.laddr);
      const faddr = (0xc0a80000 + s.faddr) | 0;
      if (s.insert && !keys.has(s.node) && !model.has(key)) {
        inetEhashInsert(s.node, net, laddr, s.lport, faddr, s.fport, s.dev);
        model.set(key, s.dev === 0 ? s.node : s.node | 0x1000);
        keys.set(s.node, key);
      } else if (!s.insert) {
        t.is(inetEhashRemove(s.node), keys.has(s.node));
        const old = keys.get(s.node);
        if (old !== undefined) model.delete(old);
        keys.delete(s.node);
      }
      // What tcpV4Rcv() takes without asking: forgotten as soon as it may be wrong.
      if (ehashLastNet !== null) {
        t.is(
          keys.get(ehashLastNode),
          `${nets.indexOf(ehashLastNet)} ${ehashLastDaddr - host(0)} ${ehashLastSaddr & 0xff} ${ehashLastPorts & 0xffff} ${ehashLastPorts >>> 16}`,
        );
      }
      const want = model.get(key);
      const ports = (s.fport << 16) | s.lport;
      const found = inetLookupEstablished(net, faddr, laddr, ports, 3);
      t.is(found, want === undefined ? -1 : want & 0xfff);
      const elsewhere = inetLookupEstablished(net, faddr, laddr, ports, 4);
      t.is(elsewhere, want === undefined || (want & 0x1000) !== 0 ? -1 : want, "bound to device 3, came in by 4");
    }
    for (const node of keys.keys()) t.true(inetEhashRemove(node));
  }), { numRuns: 300 });
  for (let node = 0; node < 30; node++) t.false(inetEhashed(node));
});

test.serial("an entry costs what the budget says: TIME_WAIT and a half-open request at most 64 bytes each", (t) => {
  const bytes = (requests: number, timewaits: number): number => {
    let sum = 0;
    setAccountWatch((_name, thing) => {
      if (typeof thing === "number") sum += thing;
    });
    tablesBoot({ requests, timewaits });
    setAccountWatch(null);
    return sum;
  };
  const base = bytes(100, 100);
  t.is(bytes(1100, 100) - base, 64000);
  t.is(bytes(100, 1100) - base, 64000);
  t.is(ehashReqBase, 32);
  t.is(ehashTwBase, 132);
});

test.serial("a listener is found by score: address before any, device before none", (t) => {
  tablesBoot();
  const any = bound(0, 80, { flags: SOCK_REUSE }) as TcpSk;
  const addr = bound(host(1), 80, { flags: SOCK_REUSE }) as TcpSk;
  const dev = bound(0, 80, { flags: SOCK_REUSE, boundDevIf: 5 }) as TcpSk;
  const find = (daddr: number, dif: number): TcpSk | null => inetLookupListener(initNet, daddr, 80, host(9), 1234, dif);
  for (const sk of [any, addr, dev]) {
    sk.state = TCP_LISTEN;
    inetHash(sk);
  }
  t.is(find(host(2), 1), any);
  t.is(find(host(1), 1), addr);
  t.is(find(host(2), 5), dev);
  t.is(inetLookupListener(initNet, host(1), 81, host(9), 1234, 1), null);
  t.is(inetLookupListener(createNet(), host(1), 80, host(9), 1234, 1), null);
  inetUnhash(any);
  t.is(find(host(2), 1), null);
  for (const sk of [any, addr, dev]) release(sk);
  t.is(poolsInUse(), 0);
});

test.serial("SO_REUSEPORT: a flow keeps its listener, and flows spread over the group", (t) => {
  tablesBoot();
  const group = [0, 1, 2, 3].map(() => bound(0, 443, { flags: SOCK_REUSEPORT }) as TcpSk);
  for (const sk of group) t.is(listen(sk), 0);
  const hits = new Map<TcpSk, number>();
  for (let port = 10000; port < 11000; port++) {
    const sk = inetLookupListener(initNet, host(1), 443, host(9), port, 1)!;
    t.is(inetLookupListener(initNet, host(1), 443, host(9), port, 1), sk);
    hits.set(sk, (hits.get(sk) ?? 0) + 1);
  }
  for (const sk of group) t.true((hits.get(sk) ?? 0) > 150, "each takes a fair share of 1000");
  for (const sk of group) release(sk);
  t.is(poolsInUse(), 0);
});

test.serial("bind conflicts follow Linux's table", (t) => {
  const REUSE = { flags: SOCK_REUSE };
  const PORT = { flags: SOCK_REUSEPORT };
  // First socket, does it listen, second socket, may the second bind, may the second then listen too.
  const cases: [number, Partial<TcpSk>, boolean, number, Partial<TcpSk>, boolean][] = [
    [0, {}, false, 0, {}, false],
    [0, {}, false, host(1), {}, false],
    [host(2), {}, false, host(1), {}, true],
    [0, REUSE, false, 0, {}, false],
    [0, REUSE, false, 0, REUSE, true],
    [0, REUSE, true, 0, REUSE, false],
    [host(2), REUSE, true, host(1), {}, true],
    [0, PORT, true, 0, PORT, true],
    [0, PORT, true, 0, REUSE, false],
    [0, {}, true, 0, PORT, false],
    [0, { boundDevIf: 1 }, true, 0, { boundDevIf: 2 }, true],
    [0, { boundDevIf: 1 }, true, 0, {}, false],
    [0, { boundDevIf: 1 }, true, 0, { boundDevIf: 1 }, false],
  ];
  for (const [addr1, options1, listens, addr2, options2, allowed] of cases) {
    tablesBoot();
    const what = JSON.stringify([addr1, options1, listens, addr2, options2]);
    const first = bound(addr1, 8080, options1) as TcpSk;
    if (listens) t.is(listen(first), 0);
    const second = bound(addr2, 8080, options2);
    t.is(typeof second === "number" ? second : 0, allowed ? 0 : -EADDRINUSE, what);
    if (typeof second !== "number") release(second);
    release(first);
    t.is(inetBindBucketFind(initNet, 8080), -1);
    t.is(poolsInUse(), 0);
  }
});

test.serial("of two that share a port by SO_REUSEADDR only one may listen", (t) => {
  tablesBoot();
  const first = bound(0, 8080, { flags: SOCK_REUSE }) as TcpSk;
  const second = bound(0, 8080, { flags: SOCK_REUSE }) as TcpSk;
  t.is(listen(first), 0);
  t.is(listen(second), -EADDRINUSE);
  release(first);
  t.is(listen(second), 0);
  release(second);
  t.is(poolsInUse(), 0);
});

test.serial("TIME_WAIT keeps a port from those without SO_REUSEADDR, and frees it at its end", (t) => {
  tablesBoot();
  const serve = (reuse: boolean): void => {
    const sk = bound(host(1), 80, { flags: reuse ? SOCK_REUSE : 0 }) as TcpSk;
    sk.inet.daddr = host(9);
    sk.inet.dport = 5555;
    inetHash(sk);
    toTimewait(sk, 0);
  };
  serve(false);
  t.is(bound(0, 80), -EADDRINUSE);
  t.is(bound(0, 80, { flags: SOCK_REUSE }), -EADDRINUSE, "the old one had not set it");
  t.is(nextTimerDelay(), 60000);
  runTimers(jiffies + 59999);
  t.is(inetTimewaitCount(), 1);
  runTimers(jiffies + 1);
  t.is(inetTimewaitCount(), 0);
  t.is(initNet.mib[LINUX_MIB_TIMEWAITED], 1);
  t.is(nextTimerDelay(), -1);
  serve(true);
  t.is(bound(0, 80), -EADDRINUSE);
  const sk = bound(0, 80, { flags: SOCK_REUSE }) as TcpSk;
  t.is(listen(sk), 0);
  release(sk);
  inetTwskPurge();
  t.is(poolsInUse(), 0);
});

test.serial("bind to port 0 and connect take ports of different parity first, and then every one", (t) => {
  tablesBoot({ socks: 40, bindBuckets: 40 });
  initNet.ipv4.ipLocalPortRangeLow = 50000;
  initNet.ipv4.ipLocalPortRangeHigh = 50019;
  const socks: TcpSk[] = [];
  const bindPorts: number[] = [];
  for (let i = 0; i < 20; i++) {
    const sk = bound(0, 0) as TcpSk;
    socks.push(sk);
    bindPorts.push(sk.inet.num);
  }
  t.true(bindPorts.slice(0, 10).every((port) => (port & 1) === 1));
  t.is(new Set(bindPorts).size, 20);
  t.true(bindPorts.every((port) => port >= 50000 && port <= 50019));
  t.is(bound(0, 0), -EADDRINUSE);
  socks.forEach(release);
  socks.length = 0;
  const ports: number[] = [];
  for (let i = 0; i < 20; i++) {
    const sk = connecting(host(1), host(9), 80);
    t.is(inetHashConnect(sk), 0);
    socks.push(sk);
    ports.push(sk.inet.num);
  }
  t.true(ports.slice(0, 10).every((port) => (port & 1) === 0));
  t.deepEqual([...ports].sort((a, b) => a - b), Array.from({ length: 20 }, (_, i) => 50000 + i));
  const more = connecting(host(1), host(9), 80);
  t.is(inetHashConnect(more), -EADDRNOTAVAIL);
  t.is(more.inet.num, 0);
  more.inet.dport = 81;
  t.is(inetHashConnect(more), 0, "another destination may share any of the ports");
  socks.push(more);
  socks.forEach(release);
  t.is(poolsInUse(), 0);
});

test.serial("a range of one port works", (t) => {
  tablesBoot();
  initNet.ipv4.ipLocalPortRangeLow = initNet.ipv4.ipLocalPortRangeHigh = 40001;
  const sk = bound(0, 0) as TcpSk;
  t.is(sk.inet.num, 40001);
  release(sk);
  const client = connecting(host(1), host(9), 80);
  t.is(inetHashConnect(client), 0);
  t.is(client.inet.num, 40001);
  release(client);
  t.is(poolsInUse(), 0);
});

test.serial("connect does not take a port that a program bound, nor a four-tuple in use", (t) => {
  tablesBoot();
  initNet.ipv4.ipLocalPortRangeLow = 50000;
  initNet.ipv4.ipLocalPortRangeHigh = 50001;
  const listener = bound(0, 50000) as TcpSk;
  const first = connecting(host(1), host(9), 80);
  t.is(inetHashConnect(first), 0);
  t.is(first.inet.num, 50001);
  const second = connecting(host(1), host(9), 80);
  t.is(inetHashConnect(second), -EADDRNOTAVAIL);
  const named = connecting(host(1), host(9), 80);
  inetBindHash(named, words[first.icsk.cold + ICSK_BIND_HASH]!, 50001);
  t.is(inetHashConnect(named), -EADDRNOTAVAIL, "bound to the port of another's connection to the same peer");
  [listener, first, second, named].forEach(release);
  t.is(poolsInUse(), 0);
});

test.serial("connect reuses a four-tuple in TIME_WAIT only with timestamps, age, and leave to", (t) => {
  // tcp_tw_reuse, loopback, timestamps, age in ms, may it?
  const cases: [number, boolean, number, number, boolean][] = [
    [1, false, TW_TSTAMP, 1001, true],
    [1, false, TW_TSTAMP, 1000, false],
    [1, false, 0, 5000, false],
    [0, true, TW_TSTAMP, 5000, false],
    [2, false, TW_TSTAMP, 5000, false],
    [2, true, TW_TSTAMP, 5000, true],
  ];
  for (const [reuse, loopback, tstamp, age, allowed] of cases) {
    tablesBoot();
    initNet.ipv4.ipLocalPortRangeLow = initNet.ipv4.ipLocalPortRangeHigh = 50000;
    initNet.ipv4.tcpTwReuse = reuse;
    const addr = loopback ? 0x7f000001 : host(1);
    const old = connecting(addr, host(9), 80);
    t.is(inetHashConnect(old), 0);
    toTimewait(old, tstamp);
    runTimers(jiffies + age);
    const sk = connecting(addr, host(9), 80);
    t.is(inetHashConnect(sk), allowed ? 0 : -EADDRNOTAVAIL, `tw_reuse ${reuse} age ${age}`);
    if (allowed) {
      t.is(sk.tp.writeSeq, 77 + 65537, "behind all the old sequence numbers");
      t.is(sk.tp.tsRecent, 5000);
      t.is(inetTimewaitCount(), 0);
      t.is(initNet.mib[LINUX_MIB_TIMEWAITRECYCLED], 1);
    }
    release(sk);
    inetTwskPurge();
    t.is(poolsInUse(), 0);
  }
});

test.serial("with all entries or all ports taken by TIME_WAIT the oldest makes way", (t) => {
  tablesBoot({ timewaits: 4, bindBuckets: 6 });
  for (let i = 0; i < 50; i++) {
    const sk = connecting(host(1), host(9), 80);
    t.is(inetHashConnect(sk), 0);
    toTimewait(sk, 0);
    runTimers(jiffies + 1);
  }
  t.is(inetTimewaitCount(), 4);
  t.is(initNet.mib[LINUX_MIB_TCPTIMEWAITOVERFLOW], 46);
  inetTwskPurge();
  t.is(poolsInUse(), 0);
  tablesBoot({ timewaits: 16, bindBuckets: 3 });
  const listener = bound(0, 80) as TcpSk;
  t.is(listen(listener), 0);
  for (let i = 0; i < 50; i++) {
    const sk = connecting(host(1), host(9), 80);
    t.is(inetHashConnect(sk), 0, "two ports are left, both soon in TIME_WAIT");
    toTimewait(sk, 0);
  }
  t.is(inetTimewaitCount(), 2);
  t.is(inetLookupListener(initNet, host(1), 80, host(9), 1, 1), listener);
  release(listener);
  inetTwskPurge();
  t.is(poolsInUse(), 0);
  t.is(nextTimerDelay(), -1);
});

test.serial("TIME_WAIT entries with unlike times end each in its own", (t) => {
  tablesBoot();
  const ends: number[] = [];
  const times = [5000, 60000, 200, 60000, 7000, 200];
  for (const ms of times) {
    const sk = connecting(host(1), host(9), 80);
    t.is(inetHashConnect(sk), 0);
    toTimewait(sk, 0, ms);
  }
  const start = jiffies;
  for (let left = times.length; left > 0; left = inetTimewaitCount()) {
    runTimers(jiffies + nextTimerDelay());
    for (let i = inetTimewaitCount(); i < left; i++) ends.push(jiffies - start);
  }
  t.deepEqual(ends, [200, 200, 5000, 7000, 60000, 60000]);
  t.is(poolsInUse(), 0);
});
