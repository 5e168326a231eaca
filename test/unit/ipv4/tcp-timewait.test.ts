import { words } from "../../../src/lib/table.ts";
import test from "ava";
import { memView } from "../../../src/lib/memory.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";
import { jiffies, nextTimerDelay, runTimers } from "../../../src/lib/timer.ts";
import { initNet } from "../../../src/stack/core/net.ts";
import { allocSkb, consumeSkb, skbPut, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { ehashTwBase, inetEhashInsert } from "../../../src/stack/ipv4/inet-hashtables.ts";
import {
  inetTimewaitCount, inetTwskAlloc, inetTwskPurge, inetTwskSchedule, TCP_TIMEWAIT_LEN, TW_EXPIRES, TW_INFO, TW_RCV_NXT,
  TW_RCV_WND, TW_SND_NXT, TW_STATE_MASK, TW_TS_RECENT, TW_TS_RECENT_STAMP, TW_TSTAMP, TW_WORDS, twRows,
} from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import {
  TCP_TW_ACK, TCP_TW_RST, TCP_TW_SUCCESS, TCP_TW_SYN, tcpInWindow, tcpPawsReject, tcpTimewaitStateProcess,
} from "../../../src/stack/ipv4/tcp-minisocks.ts";
import { LINUX_MIB_PAWS_TW_REJECTED, LINUX_MIB_TCPACKSKIPPEDTIMEWAIT } from "../../../src/uapi/snmp.ts";
import { TCP_FIN_WAIT2, TCP_TIME_WAIT } from "../../../src/uapi/tcp.ts";
import { host, tablesBoot } from "./tcp-fixture.ts";

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

const RCV_NXT = 1_000_000;
const SND_NXT = 5_000_000;
const TS_RECENT = 40_000;

/** An entry: 10.0.0.1:80 with 10.0.0.9:1234, next number expected RCV_NXT, a window of 1000. */
function entry(state: number, tstamp = false, timeoMs = TCP_TIMEWAIT_LEN): number {
  const tw = inetTwskAlloc();
  const at = twRows + tw * TW_WORDS;
  words[at + TW_RCV_NXT] = RCV_NXT;
  words[at + TW_SND_NXT] = SND_NXT;
  words[at + TW_RCV_WND] = 1000;
  words[at + TW_TS_RECENT] = TS_RECENT;
  words[at + TW_TS_RECENT_STAMP] = jiffies;
  words[at + TW_INFO] = state | (tstamp ? TW_TSTAMP : 0);
  inetEhashInsert(ehashTwBase + tw, initNet, host(1), 80, host(9), 1234, 0);
  inetTwskSchedule(tw, timeoMs);
  return tw;
}

/** A segment as tcpV4Rcv() describes it. */
function segment(flags: number, seq: number, length: number, tsval: number | null): SkBuff {
  const skb = allocSkb(200)!;
  const th = skbPut(skb, 32 + length);
  skb.th = th;
  memView.setUint16(th + 12, ((tsval === null ? 5 : 8) << 12) | flags);
  if (tsval !== null) {
    memView.setInt32(th + 20, 0x0101080a);
    memView.setInt32(th + 24, tsval);
    memView.setInt32(th + 28, 0);
  }
  skb.seq = seq | 0;
  skb.endSeq = (seq + length + ((flags & SYN) >> 1) + (flags & FIN)) | 0;
  skb.tcpFlags = flags;
  skb.when = 0;
  return skb;
}

/** What the segment does, and the sequence number a reuse would start from. */
function process(tw: number, flags: number, seq: number, length = 0, tsval: number | null = null): [number, number] {
  const skb = segment(flags, seq, length, tsval);
  const answer = tcpTimewaitStateProcess(tw, skb);
  const isn = skb.when;
  consumeSkb(skb);
  return [answer, isn];
}

function state(tw: number): number {
  return words[twRows + tw * TW_WORDS + TW_INFO]! & TW_STATE_MASK;
}

/** Milliseconds until the entry ends. */
function left(tw: number): number {
  return words[twRows + tw * TW_WORDS + TW_EXPIRES]! - jiffies;
}

function finish(t: { is(a: unknown, b: unknown): boolean }): void {
  inetTwskPurge();
  t.is(poolsInUse(), 0);
  t.is(nextTimerDelay(), -1);
}

test.serial("PAWS: what is old, what is so old that it does not count, and resets", (t) => {
  tablesBoot();
  runTimers(2_100_000_000);
  t.false(tcpPawsReject(100, 100, jiffies, false));
  t.false(tcpPawsReject(100, 101, jiffies, false));
  t.true(tcpPawsReject(100, 99, jiffies, false));
  t.true(tcpPawsReject(-0x80000000, 0x7fffffff, jiffies, false), "across the wrap");
  t.false(tcpPawsReject(100, 99, jiffies - 24 * 86400 * 1000, false), "24 days of silence");
  t.true(tcpPawsReject(100, 99, jiffies - 24 * 86400 * 1000 + 1, false));
  t.false(tcpPawsReject(0, -5, jiffies, false), "none seen yet");
  t.true(tcpPawsReject(100, 99, jiffies - 59_999, true));
  t.false(tcpPawsReject(100, 99, jiffies - 60_000, true), "a reset after the peer restarted");
});

test.serial("windows are matched across the wrap of sequence numbers", (t) => {
  t.true(tcpInWindow(10, 10, 10, 10), "empty window, empty segment");
  t.true(tcpInWindow(10, 20, 10, 10), "a probe into a closed window");
  t.false(tcpInWindow(9, 10, 10, 20));
  t.true(tcpInWindow(9, 11, 10, 20));
  t.true(tcpInWindow(19, 30, 10, 20));
  t.true(tcpInWindow(20, 20, 10, 20));
  t.false(tcpInWindow(20, 21, 10, 20));
  t.true(tcpInWindow(0x7fffffff, -0x7fffffff, 0x7ffffffe, -0x7ffffff0));
});

test.serial("the peer's FIN again is acknowledged and starts the minute anew; other data too", (t) => {
  tablesBoot();
  const tw = entry(TCP_TIME_WAIT);
  runTimers(jiffies + 50_000);
  t.is(left(tw), 10_000);
  t.deepEqual(process(tw, FIN | ACK, RCV_NXT - 1), [TCP_TW_ACK, 0]);
  t.is(left(tw), 60_000);
  runTimers(jiffies + 10_000);
  t.is(process(tw, ACK, RCV_NXT, 0)[0], TCP_TW_SUCCESS, "a bare ACK in order");
  t.is(left(tw), 60_000);
  t.is(process(tw, ACK, RCV_NXT + 5000, 10)[0], TCP_TW_ACK, "out of window");
  finish(t);
});

test.serial("answers to empty segments out of window are limited in rate", (t) => {
  tablesBoot();
  const tw = entry(TCP_TIME_WAIT);
  t.is(process(tw, ACK, RCV_NXT + 5000)[0], TCP_TW_ACK);
  runTimers(jiffies + 499);
  t.is(process(tw, ACK, RCV_NXT + 5000)[0], TCP_TW_SUCCESS);
  t.is(initNet.mib[LINUX_MIB_TCPACKSKIPPEDTIMEWAIT], 1);
  runTimers(jiffies + 1);
  t.is(process(tw, ACK, RCV_NXT + 5000)[0], TCP_TW_ACK);
  finish(t);
});

test.serial("a reset ends TIME_WAIT, unless tcp_rfc1337 says not", (t) => {
  tablesBoot();
  initNet.ipv4.tcpRfc1337 = 1;
  const tw = entry(TCP_TIME_WAIT);
  t.is(process(tw, RST, RCV_NXT)[0], TCP_TW_SUCCESS);
  t.is(inetTimewaitCount(), 1);
  initNet.ipv4.tcpRfc1337 = 0;
  t.is(process(tw, RST, RCV_NXT + 1)[0], TCP_TW_SUCCESS);
  t.is(inetTimewaitCount(), 1, "not the exact number");
  t.is(process(tw, RST, RCV_NXT)[0], TCP_TW_SUCCESS);
  t.is(inetTimewaitCount(), 0);
  finish(t);
});

test.serial("a new SYN is taken when its number is beyond the old ones, or its timestamp newer", (t) => {
  tablesBoot();
  const plain = entry(TCP_TIME_WAIT);
  t.deepEqual(process(plain, SYN, RCV_NXT + 1), [TCP_TW_SYN, SND_NXT + 65537]);
  t.is(process(plain, SYN, RCV_NXT)[0], TCP_TW_ACK, "an old one, perhaps");
  inetTwskPurge();
  const stamped = entry(TCP_TIME_WAIT, true);
  runTimers(jiffies + 1000);
  t.is(process(stamped, SYN, RCV_NXT - 100_000, 0, TS_RECENT + 1)[0], TCP_TW_SYN);
  t.is(process(stamped, SYN, RCV_NXT - 100_000, 0, TS_RECENT)[0], TCP_TW_ACK);
  t.is(left(stamped), 59_000, "it may be a new one of bad luck: the wait does not get longer");
  runTimers(jiffies + 1000);
  t.is(process(stamped, SYN, RCV_NXT + 100_000, 0, TS_RECENT - 1)[0], TCP_TW_ACK, "PAWS");
  t.is(initNet.mib[LINUX_MIB_PAWS_TW_REJECTED], 1);
  t.is(left(stamped), 60_000);
  finish(t);
});

test.serial("a sequence number of 0 for the new connection becomes 1", (t) => {
  tablesBoot();
  const tw = entry(TCP_TIME_WAIT);
  words[twRows + tw * TW_WORDS + TW_SND_NXT] = -65537;
  t.deepEqual(process(tw, SYN, RCV_NXT + 1), [TCP_TW_SYN, 1]);
  finish(t);
});

test.serial("FIN_WAIT2: the peer's FIN begins TIME_WAIT, data that nobody reads is reset", (t) => {
  tablesBoot();
  const tw = entry(TCP_FIN_WAIT2, true, 20_000);
  t.is(process(tw, ACK, RCV_NXT, 0, TS_RECENT)[0], TCP_TW_SUCCESS);
  t.is(state(tw), TCP_FIN_WAIT2);
  t.is(process(tw, ACK, RCV_NXT, 1, TS_RECENT)[0], TCP_TW_RST);
  t.is(process(tw, SYN, RCV_NXT, 0, TS_RECENT)[0], TCP_TW_RST);
  t.is(process(tw, ACK, RCV_NXT + 2000, 5, TS_RECENT)[0], TCP_TW_ACK, "out of window");
  t.is(process(tw, FIN | ACK, RCV_NXT, 0, TS_RECENT - 1)[0], TCP_TW_ACK, "old by PAWS: not taken");
  t.is(state(tw), TCP_FIN_WAIT2);
  runTimers(jiffies + 15_000);
  t.is(left(tw), 5_000);
  t.is(process(tw, FIN | ACK, RCV_NXT, 0, TS_RECENT + 9)[0], TCP_TW_ACK);
  t.is(state(tw), TCP_TIME_WAIT);
  t.is(words[twRows + tw * TW_WORDS + TW_RCV_NXT], RCV_NXT + 1);
  t.is(words[twRows + tw * TW_WORDS + TW_TS_RECENT], TS_RECENT + 9);
  t.is(left(tw), 60_000);
  runTimers(jiffies + 60_000);
  t.is(inetTimewaitCount(), 0);
  finish(t);
});

test.serial("FIN_WAIT2: a reset in the window ends it", (t) => {
  tablesBoot();
  const tw = entry(TCP_FIN_WAIT2, false, 20_000);
  t.is(process(tw, RST, RCV_NXT + 1500)[0], TCP_TW_ACK, "outside: a challenge");
  t.is(inetTimewaitCount(), 1);
  t.is(process(tw, RST, RCV_NXT + 10, 1)[0], TCP_TW_SUCCESS);
  t.is(inetTimewaitCount(), 0);
  finish(t);
});
