import test, { type ExecutionContext } from "ava";
import { initNet } from "../../../src/boot.ts";
import {
  SYN_GUARD_ATTACK, SYN_GUARD_AUTO, SYN_GUARD_HIGH, SYN_GUARD_LOW, SYN_GUARD_NORMAL, SYN_GUARD_OFF, SYN_GUARD_ON, SYN_GUARD_PASSED,
  SYN_GUARD_TOO_MANY, SYN_GUARD_UNSEEN, SYN_GUARD_UNTRACKED, synGuard, synGuardActive, synGuardCount, synGuardLevel,
} from "../../../src/syn-guard.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { reqskCount } from "../../../src/stack/ipv4/request-sock.ts";
import { close, listen, bind, socket } from "../../../src/stack/socket/index.ts";
import { SKB_DROP_REASON_TCP_REQQFULL } from "../../../src/uapi/drop-reason.ts";
import { LINUX_MIB_LISTENDROPS } from "../../../src/uapi/snmp.ts";
import { AF_INET, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { drops } from "./harness.ts";
import { bootWire, finish, inject, now, PEER, run, sent, SYN } from "./tcp-wire.ts";

/** A source on the wire's network, so that SYN-ACKs have a route. */
const SOURCE = PEER;
let listener = -1;
let sport = 1024;

/** @param mode net.ipv4.tcp_syn_guard @param backlog of the listener at port 80 */
function bootGuard(mode: number, requestSocks = 1024, backlog = 1024): void {
  bootWire({ initcalls: [synGuard], requestSocks });
  initNet.ipv4.tcpSynGuard = mode;
  listener = socket(AF_INET, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, backlog);
}

function end(t: ExecutionContext): void {
  close(listener);
  finish(t);
}

/** A SYN from a port of its own. @returns whether it was let in: a request was made for it */
function syn(saddr = SOURCE): boolean {
  const before = reqskCount();
  sport = sport === 65000 ? 1024 : sport + 1;
  inject({ saddr, sport, dport: 80, seq: 1, flags: SYN });
  return reqskCount() > before;
}

/** SYNs of so many sources that were never there, all at this instant. */
function newSources(count: number, from: number): void {
  for (let i = 0; i < count; i++) inject({ saddr: (0x0b000000 + from + i) | 0, sport: 5, dport: 80, seq: 1, flags: SYN });
}

test.serial("the first SYN of a source is dropped and counted, its repetition is let in", (t) => {
  bootGuard(SYN_GUARD_ON);
  t.false(syn());
  t.deepEqual(sent(), []);
  t.deepEqual(drops, [SKB_DROP_REASON_TCP_REQQFULL]);
  t.is(initNet.mib[LINUX_MIB_LISTENDROPS], 1);
  t.is(synGuardCount(SYN_GUARD_UNSEEN), 1);
  run(1000);
  t.true(syn());
  t.is(sent().length, 1);
  t.is(synGuardCount(SYN_GUARD_PASSED), 1);
  end(t);
});

test.serial("off, a SYN is let in at once; so it is where the part was not started", (t) => {
  bootGuard(SYN_GUARD_OFF);
  t.true(syn());
  t.is(synGuardCount(SYN_GUARD_PASSED), 0);
  end(t);
  bootWire();
  initNet.ipv4.tcpSynGuard = SYN_GUARD_ON;
  listener = socket(AF_INET, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 8);
  t.true(syn());
  end(t);
});

test.serial("ten SYNs of a source in a second are let in; the eleventh is when the first is exactly a second old", (t) => {
  bootGuard(SYN_GUARD_ON);
  t.false(syn());
  const start = now();
  for (let i = 0; i < 10; i++) {
    t.true(syn(), `the SYN at ${now() - start} ms`);
    run(50);
  }
  t.false(syn());
  t.is(synGuardCount(SYN_GUARD_TOO_MANY), 1);
  run(start + 999 - now());
  t.false(syn(), "999 ms after the first");
  run(1);
  t.true(syn(), "1000 ms after the first");
  t.false(syn(), "the second is 950 ms old");
  run(50);
  t.true(syn());
  t.is(synGuardCount(SYN_GUARD_TOO_MANY), 3);
  end(t);
});

test.serial("a flood of one source does not touch another", (t) => {
  bootGuard(SYN_GUARD_ON);
  for (let i = 0; i < 200; i++) syn();
  t.is(synGuardCount(SYN_GUARD_TOO_MANY), 189);
  t.false(syn(SOURCE + 1));
  t.true(syn(SOURCE + 1));
  end(t);
});

test.serial("a source that was idle for three seconds gives its place in the table to another", (t) => {
  bootWire({ initcalls: [synGuard], synGuardSources: 4 });
  initNet.ipv4.tcpSynGuard = SYN_GUARD_ON;
  listener = socket(AF_INET, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 64);
  for (let i = 0; i < 5; i++) syn(SOURCE + i);
  for (let i = 0; i < 4; i++) t.true(syn(SOURCE + i));
  t.is(synGuardCount(SYN_GUARD_UNTRACKED), 0);
  run(2999);
  t.true(syn(SOURCE + 4));
  t.is(synGuardCount(SYN_GUARD_UNTRACKED), 1, "all places were taken");
  run(1);
  t.true(syn(SOURCE + 4));
  t.is(synGuardCount(SYN_GUARD_UNTRACKED), 1, "now one is free");
  end(t);
});

test.serial("the rate of new sources sets the level: at ten, a thousand, ten thousand in a second", (t) => {
  bootGuard(SYN_GUARD_ON, 4096, 4096);
  const steps = [[9, SYN_GUARD_LOW], [10, SYN_GUARD_NORMAL], [999, SYN_GUARD_NORMAL], [1000, SYN_GUARD_HIGH]] as const;
  let from = 0;
  for (const [count, level] of steps) {
    newSources(count, from);
    from += count;
    t.is(synGuardLevel(initNet), level, `${count} new sources`);
    run(1000);
    t.is(synGuardLevel(initNet), level, "the full second says the same");
    run(1000);
    t.is(synGuardLevel(initNet), SYN_GUARD_LOW, "and one without any that it is over");
  }
  newSources(9999, from);
  t.is(synGuardLevel(initNet), SYN_GUARD_HIGH);
  newSources(1, from + 9999);
  t.is(synGuardLevel(initNet), SYN_GUARD_ATTACK);
  end(t);
});

/** Is a source still known so long after its SYN, while `others` new ones come every second? */
function knownAfter(ms: number, others: number): boolean {
  bootGuard(SYN_GUARD_ON);
  // Periods begin with this.
  run(60_000);
  newSources(others, 0x100000);
  syn();
  let from = 0;
  for (let left = ms; left > 0; left -= 1000) {
    run(left < 1000 ? left : 1000);
    newSources(others, from);
    from += others;
  }
  const known = syn();
  close(listener);
  return known;
}

test.serial("a source is known for a period, 30, 10, 3 or 1 seconds by the rate, and not after two", (t) => {
  for (const [seconds, others] of [[30, 2], [10, 50], [3, 1500], [1, 10_500]] as const) {
    t.true(knownAfter(seconds * 1000, others), `${seconds} s, ${others} new sources per second`);
    t.false(knownAfter((2 * seconds + 1) * 1000, others), `twice ${seconds} s, ${others} new sources per second`);
  }
});

/** The SYN-ACKs that one of `waiting` requests gets while nobody answers, of eight requests there are. */
function synacks(waiting: number, mode: number): number {
  bootGuard(mode, 8, 64);
  for (let i = 0; i < waiting; i++) {
    syn(SOURCE + i);
    if (mode === SYN_GUARD_ON) syn(SOURCE + i);
  }
  sent();
  run(200_000);
  const count = sent().filter((s) => s.daddr === SOURCE).length;
  close(listener);
  return count;
}

test.serial("SYN-ACKs are repeated three times instead of five from half a queue on", (t) => {
  t.is(synacks(3, SYN_GUARD_ON), 5);
  t.is(synacks(4, SYN_GUARD_ON), 3);
  t.is(synacks(4, SYN_GUARD_OFF), 5);
});

test.serial("automatic: on when the SYN queue is half full, off when no flood was seen for the longest period", (t) => {
  bootGuard(SYN_GUARD_AUTO, 8, 64);
  initNet.ipv4.tcpSynackRetries = 1;
  for (let i = 0; i < 4; i++) t.true(syn(SOURCE + i), "let in at once while it is off");
  t.false(synGuardActive(initNet));
  t.false(syn(SOURCE + 4), "half of the eight requests are in use");
  t.true(synGuardActive(initNet));
  run(20_000);
  t.is(reqskCount(), 0);
  t.false(syn(SOURCE + 5), "still on");
  run(9_999);
  t.false(syn(SOURCE + 6), "29.999 s after the queue was half full");
  run(1);
  t.true(syn(SOURCE + 7));
  t.false(synGuardActive(initNet));
  end(t);
});
