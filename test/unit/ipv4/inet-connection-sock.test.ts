import test from "ava";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { words } from "../../../src/lib/table.ts";
import { jiffies, nextTimerDelay, runTimers } from "../../../src/lib/timer.ts";
import { initNet } from "../../../src/stack/core/net.ts";
import {
  SK_ACK_BACKLOG, SK_DROPS, SK_LINGERTIME_MS, SOCK_DEAD, SOCK_DONE, SOCK_KEEPOPEN, SOCK_REUSE, sockOrphan, sockPut,
} from "../../../src/stack/core/sock.ts";
import { inetPutPort } from "../../../src/stack/ipv4/inet-bind-bucket.ts";
import { inetCskGetPort, inetInheritPort } from "../../../src/stack/ipv4/inet-bind.ts";
import {
  inetConnectionSockInit, inetCskAccept, inetCskCloneLock, inetCskCompleteHashdance,
  inetCskListenStart, inetCskListenStop, inetCskReqskQueueDrop, inetCskReqskQueueHashAdd, inetCskReqskQueueIsFull,
  skAcceptqIsFull,
} from "../../../src/stack/ipv4/inet-connection-sock.ts";
import {
  ehashReqBase, inetEhashed, inetEhashNolisten, inetEhashRemove, inetLookupEstablished, inetUnhash,
} from "../../../src/stack/ipv4/inet-hashtables.ts";
import { inetLookupListener } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import { inetReqskAlloc, REQ_ACKED, reqskCount, reqskSet } from "../../../src/stack/ipv4/request-sock.ts";
import {
  ICSK_BIND_HASH, ICSK_DEFER_ACCEPT, ICSK_REQSK_QLEN, ICSK_REQSK_YOUNG, ICSK_SYN_RETRIES, ICSK_USER_TIMEOUT_MS,
  TP_USER_MSS,
} from "../../../src/stack/ipv4/tcp-cold.ts";
import type { TcpSk } from "../../../src/stack/ipv4/tcp-sock.ts";
import { inetCskDestroySock } from "../../../src/stack/ipv4/tcp.ts";
import { EAGAIN, EINVAL, ENOMEM } from "../../../src/uapi/errno.ts";
import { TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV } from "../../../src/uapi/tcp.ts";
import { disconnected, host, makeSock, tablesBoot } from "./tcp-fixture.ts";

/** SYN-ACKs sent again: at what time, for which request. */
let sent: [number, number][];
let sendResult = 0;
let start = 0;

function setup(requests = 16): void {
  tablesBoot({ requests });
  sent = [];
  sendResult = 0;
  start = jiffies;
  inetConnectionSockInit(requests, {
    rtxSynAck(_listener, req) {
      sent.push([jiffies - start, req]);
      return sendResult;
    },
    setState(sk, state) {
      sk.state = state;
    },
  });
}

function listener(backlog = 8): TcpSk {
  const sk = makeSock();
  inetCskGetPort(sk, 80);
  if (inetCskListenStart(sk, backlog) !== 0) throw new Error("cannot listen");
  return sk;
}

function close(sk: TcpSk): void {
  inetUnhash(sk);
  sk.state = TCP_CLOSE;
  inetCskListenStop(sk);
  sockOrphan(sk);
  inetCskDestroySock(sk);
}

function request(sk: TcpSk, n: number): number {
  const req = inetReqskAlloc(sk, 1460);
  inetCskReqskQueueHashAdd(sk, req, host(1), host(9), 1000 + n);
  return req;
}

/** What tcpV4SynRecvSock() does with a request, in short. */
function child(sk: TcpSk, req: number, n: number): TcpSk {
  const newsk = inetCskCloneLock(sk)!;
  newsk.inet.rcvSaddr = host(1);
  newsk.inet.daddr = host(9);
  newsk.inet.dport = 1000 + n;
  inetInheritPort(sk, newsk);
  inetEhashRemove(ehashReqBase + req);
  inetEhashNolisten(newsk);
  return newsk;
}

/** Runs the clock on, stopping at each timer; the answer is the time of the last one since the start. */
function runAll(ms: number): number {
  const end = jiffies + ms;
  for (let delay = nextTimerDelay(); delay >= 0 && jiffies + delay <= end; delay = nextTimerDelay()) {
    runTimers(jiffies + delay);
  }
  const last = jiffies - start;
  runTimers(end);
  return last;
}

test.serial("an unanswered SYN-ACK goes out again after 1, 3, 7, 15 and 31 s, and the request ends after 63 s", (t) => {
  setup();
  const sk = listener();
  const req = request(sk, 0);
  t.is(words[sk.icsk.cold + ICSK_REQSK_QLEN]!, 1);
  runAll(62_999);
  t.deepEqual(sent.map(([at]) => at), [1000, 3000, 7000, 15_000, 31_000]);
  t.true(inetEhashed(ehashReqBase + req));
  runAll(1);
  t.false(inetEhashed(ehashReqBase + req));
  t.is(words[sk.icsk.cold + ICSK_REQSK_QLEN]!, 0);
  t.is(words[sk.icsk.cold + ICSK_REQSK_YOUNG]!, 0);
  t.is(nextTimerDelay(), -1, "the timer is off");
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("many requests, each in its own time; TCP_SYNCNT counts", (t) => {
  setup();
  const sk = listener();
  words[sk.icsk.cold + ICSK_SYN_RETRIES] = 2;
  const starts = new Map<number, number>();
  for (let i = 0; i < 4; i++) {
    starts.set(request(sk, i), jiffies - start);
    runTimers(jiffies + 200);
  }
  const last = runAll(100_000);
  for (const [req, at] of starts) {
    t.deepEqual(sent.filter(([, r]) => r === req).map(([time]) => time - at), [1000, 3000]);
  }
  t.is(last, 600 + 7000);
  t.is(reqskCount(), 0);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("a SYN-ACK that cannot be sent ends the request", (t) => {
  setup();
  const sk = listener();
  sendResult = -ENOMEM;
  request(sk, 0);
  const acked = request(sk, 1);
  reqskSet(acked, REQ_ACKED);
  runAll(1000);
  t.is(words[sk.icsk.cold + ICSK_REQSK_QLEN]!, 1, "but not one whose ACK has come");
  inetCskReqskQueueDrop(sk, acked);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("when more than half of the backlog is half open, old requests get fewer retries", (t) => {
  setup();
  const sk = listener(10);
  for (let i = 0; i < 4; i++) request(sk, i);
  runAll(1000);
  t.is(words[sk.icsk.cold + ICSK_REQSK_YOUNG]!, 0);
  t.is(words[sk.icsk.cold + ICSK_REQSK_QLEN]!, 4);
  // Two young ones beside four old ones: 6 of a backlog of 10.
  for (let i = 4; i < 6; i++) request(sk, i);
  runTimers(jiffies + 900);
  sent = [];
  runAll(200_000);
  const old = sent.filter(([, req]) => req < 4);
  t.true(old.length < 4 * 4, "fewer than the four more SYN-ACKs each that an idle listener gives");
  t.is(reqskCount(), 0);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("TCP_DEFER_ACCEPT: silence while it waits for data, one reminder at the end", (t) => {
  setup();
  const sk = listener();
  words[sk.icsk.cold + ICSK_DEFER_ACCEPT] = 3;
  words[sk.icsk.cold + ICSK_SYN_RETRIES] = 2;
  const req = request(sk, 0);
  reqskSet(req, REQ_ACKED);
  const last = runAll(100_000);
  t.deepEqual(sent.map(([at]) => at), [7000]);
  t.is(last, 15_000);
  t.is(reqskCount(), 0);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("accept gives connections in the order of their handshakes, and says when there is none", (t) => {
  setup();
  const sk = listener(1);
  t.is(inetCskAccept(sk), -EAGAIN);
  const children: TcpSk[] = [];
  for (let i = 0; i < 2; i++) {
    const req = request(sk, i);
    t.false(inetCskReqskQueueIsFull(sk), "one request fits into a backlog of 1, as in the accept queue");
    t.false(skAcceptqIsFull(sk));
    const newsk = child(sk, req, i);
    t.is(inetCskCompleteHashdance(sk, newsk, req), newsk);
    t.is(newsk.icsk.listener, sk);
    children.push(newsk);
  }
  t.true(skAcceptqIsFull(sk), "one more than the backlog, as in Linux");
  t.is(words[sk.icsk.cold + ICSK_REQSK_QLEN]!, 0);
  t.is(words[sk.icsk.cold + ICSK_REQSK_YOUNG]!, 0);
  for (const newsk of children) {
    t.is(inetCskAccept(sk), newsk);
    t.is(newsk.icsk.listener, null);
    t.is(inetLookupEstablished(initNet, host(9), host(1), (newsk.inet.dport << 16) | 80, 1), newsk.index);
    inetUnhash(newsk);
    newsk.state = TCP_CLOSE;
    sockOrphan(newsk);
    inetCskDestroySock(newsk);
  }
  t.is(inetCskAccept(sk), -EAGAIN);
  t.is(words[sk.cold + SK_ACK_BACKLOG]!, 0);
  close(sk);
  t.is(inetCskAccept(sk), -EINVAL);
  t.is(poolsInUse(), 0);
});

test.serial("closing a listener forgets its requests, resets its waiting connections, and no other's", (t) => {
  setup();
  const sk = listener();
  const other = makeSock();
  inetCskGetPort(other, 81);
  t.is(inetCskListenStart(other, 8), 0);
  const kept = request(other, 50);
  for (let i = 0; i < 3; i++) request(sk, i);
  const waiting = [3, 4].map((n) => {
    const req = request(sk, n);
    const newsk = child(sk, req, n);
    newsk.state = TCP_ESTABLISHED;
    return inetCskCompleteHashdance(sk, newsk, req)!;
  });
  close(sk);
  t.deepEqual(disconnected, waiting);
  t.is(reqskCount(), 1);
  t.true(inetEhashed(ehashReqBase + kept));
  t.is(inetLookupListener(initNet, host(1), 80, host(9), 1, 1), null);
  close(other);
  t.is(poolsInUse(), 0);
});

test.serial("a connection that is ready when its listener is gone is reset", (t) => {
  setup();
  const sk = listener();
  const req = request(sk, 0);
  const newsk = child(sk, req, 0);
  newsk.state = TCP_ESTABLISHED;
  inetUnhash(sk);
  sk.state = TCP_CLOSE;
  t.is(inetCskCompleteHashdance(sk, newsk, req), null);
  t.deepEqual(disconnected, [newsk]);
  sockOrphan(sk);
  inetCskDestroySock(sk);
  t.is(poolsInUse(), 0);
});

test.serial("a child has its listener's options, and none of its past", (t) => {
  setup();
  const sk = listener();
  sk.flags |= SOCK_KEEPOPEN | SOCK_DONE;
  sk.rcvbuf = 9000;
  sk.sndbuf = 8000;
  sk.flags |= SOCK_REUSE;
  words[sk.cold + SK_LINGERTIME_MS] = 3000;
  words[sk.cold + SK_DROPS] = 5;
  sk.inet.tos = 0x10;
  sk.tp.nonagle = 1;
  words[sk.tp.cold + TP_USER_MSS] = 700;
  words[sk.icsk.cold + ICSK_USER_TIMEOUT_MS] = 1234;
  words[sk.icsk.cold + ICSK_DEFER_ACCEPT] = 2;
  const newsk = inetCskCloneLock(sk)!;
  t.like(newsk, { state: TCP_SYN_RECV, flags: SOCK_KEEPOPEN | SOCK_REUSE, rcvbuf: 9000, sndbuf: 8000 });
  t.deepEqual([words[newsk.cold + SK_LINGERTIME_MS], words[newsk.cold + SK_DROPS]], [3000, 0]);
  t.like(newsk.inet, { num: 80, tos: 0x10, daddr: 0, dport: 0 });
  t.like(newsk.tp, { nonagle: 1 });
  t.like(newsk.icsk, { acceptHead: null });
  const cold = newsk.tp.cold;
  t.is(words[cold + TP_USER_MSS], 700);
  t.is(words[cold + ICSK_USER_TIMEOUT_MS], 1234);
  t.deepEqual([words[cold + ICSK_DEFER_ACCEPT], words[cold + ICSK_BIND_HASH]], [0, -1]);
  t.is(newsk.refcnt, 1);
  sockPut(newsk);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("with no sock left there is no child, and nothing is lost", (t) => {
  setup();
  const sk = listener();
  const socks: TcpSk[] = [];
  for (let newsk = inetCskCloneLock(sk); newsk !== null; newsk = inetCskCloneLock(sk)) socks.push(newsk);
  t.is(socks.length, 31);
  socks.forEach(sockPut);
  close(sk);
  t.is(poolsInUse(), 0);
});

test.serial("destroying a sock in use is a bug that is caught", (t) => {
  setup();
  const sk = listener();
  t.throws(() => {
    inetCskDestroySock(sk);
  }, { message: /in use/ });
  sk.flags |= SOCK_DEAD;
  t.throws(() => {
    inetCskDestroySock(sk);
  }, { message: /in use/ });
  t.is(sk.state, TCP_LISTEN);
  inetUnhash(sk);
  sk.state = TCP_CLOSE;
  inetPutPort(sk);
  inetCskDestroySock(sk);
  t.is(poolsInUse(), 0);
});
