import test from "ava";
import fc from "fast-check";
import { mem8, memView } from "../../../src/lib/memory.ts";
import { words } from "../../../src/lib/table.ts";
import { initNet } from "../../../src/stack/core/net.ts";
import { allocSkb, consumeSkb, skbPut, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { TP_SACK_OK } from "../../../src/stack/ipv4/tcp-cold.ts";
import {
  OPTION_SACK_ADVERTISE, OPTION_TS, OPTION_WSCALE, rxOpt, tcpFastParseOptions, tcpMssClamp, tcpParseOptions,
  tcpSynOptionBits, tcpSynOptions, tcpWriteSynOptions, tcpWriteTimestampOption,
} from "../../../src/stack/ipv4/tcp-options.ts";
import type { TcpSock } from "../../../src/stack/ipv4/tcp-sock.ts";
import { makeSock, tablesBoot } from "./tcp-fixture.ts";
import { sockPut } from "../../../src/stack/core/sock.ts";
import { poolsInUse } from "../../../src/lib/pool.ts";

const SYN = 2;
const ACK = 16;

/** A segment with these flags and option bytes, padded with zeros to whole words. */
function segment(flags: number, options: readonly number[]): SkBuff {
  const skb = allocSkb(200)!;
  const words = 5 + ((options.length + 3) >> 2);
  const th = skbPut(skb, words * 4);
  skb.th = th;
  mem8.fill(0, th, th + words * 4);
  mem8.set(options, th + 20);
  memView.setUint16(th + 12, (words << 12) | flags);
  return skb;
}

/** Runs the parser on option bytes and gives the record as a plain object. */
function parse(flags: number, options: readonly number[], established: TcpSock | null = null): typeof rxOpt {
  const skb = segment(flags, options);
  tcpParseOptions(skb, rxOpt, established, initNet.ipv4);
  if (rxOpt.sackOffset !== 0) rxOpt.sackOffset -= skb.th;
  consumeSkb(skb);
  return { ...rxOpt };
}

test.serial("a Linux SYN: MSS, SACK permitted, timestamps, window scale", (t) => {
  tablesBoot();
  initNet.ipv4.tcpSack = 1;
  const options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7];
  t.like(parse(SYN, options), {
    mss: 1460, sackOk: true, sawTstamp: true, rcvTsval: 258, rcvTsecr: 0, wscaleOk: true, sndWscale: 7, numSacks: 0,
  });
  t.like(parse(ACK, options), { mss: 0, sackOk: false, sawTstamp: true, wscaleOk: false }, "agreed on in SYNs only");
  initNet.ipv4.tcpTimestamps = initNet.ipv4.tcpWindowScaling = initNet.ipv4.tcpSack = 0;
  t.like(parse(SYN, options), { mss: 1460, sackOk: false, sawTstamp: false, wscaleOk: false });
});

test.serial("bad lengths end the list or are skipped, and a shift above 14 is 14", (t) => {
  tablesBoot();
  t.like(parse(SYN, [3, 3, 15, 2, 4, 1, 0]), { sndWscale: 14, mss: 256 });
  t.is(parse(SYN, [2, 3, 5, 2, 4, 1, 0]).mss, 256, "MSS of a wrong length is skipped by its length");
  t.is(parse(SYN, [2, 0, 2, 4, 1, 0]).mss, 0, "length 0");
  t.is(parse(SYN, [99, 1, 2, 4, 1, 0]).mss, 0, "length 1");
  t.is(parse(SYN, [99, 3, 0, 2, 4, 1, 0, 0]).mss, 256, "an unknown option is skipped");
  t.is(parse(SYN, [0, 2, 4, 1, 0]).mss, 0, "behind the end of the list");
  t.is(parse(SYN, [1, 1, 1, 2]).mss, 0, "cut off");
  t.is(parse(SYN, [2, 8, 1, 1]).mss, 0, "longer than the header");
});

test.serial("the MSS is 536 when not named, and never above the program's", (t) => {
  tablesBoot();
  parse(SYN, []);
  t.is(tcpMssClamp(rxOpt, 0), 536);
  parse(SYN, [2, 4, 5, 0xb4]);
  t.is(tcpMssClamp(rxOpt, 0), 1460);
  t.is(tcpMssClamp(rxOpt, 500), 500);
  t.is(tcpMssClamp(rxOpt, 1500), 1460);
});

test.serial("SACK blocks are found, in established connections that agreed on them", (t) => {
  tablesBoot();
  const sk = makeSock();
  const tp = sk.tp;
  const block = [0, 0, 0, 1, 0, 0, 0, 9];
  const options = [1, 1, 5, 18, ...block, ...block];
  t.like(parse(ACK, options, tp), { numSacks: 0 });
  words[tp.cold + TP_SACK_OK] = 1;
  t.like(parse(ACK, options, tp), { numSacks: 2, sackOffset: 24 });
  sockPut(sk);
  t.is(parse(ACK, [1, 1, 5, 17, ...block, ...block.slice(1)], tp).numSacks, 0);
  t.is(parse(ACK, [1, 1, 5, 2], tp).numSacks, 0);
  t.is(parse(ACK, options, null).numSacks, 0);
});

test.serial("the fast way reads what the parser reads", (t) => {
  tablesBoot();
  const sk = makeSock();
  const { tp } = sk;
  tp.tstampOk = true;
  tp.tsoffset = 1000;
  const aligned = [1, 1, 8, 10, 0x80, 0, 0, 1, 0, 0, 7, 0xd0];
  const odd = [8, 10, 0x80, 0, 0, 1, 0, 0, 7, 0xd0, 1, 1];
  for (const options of [aligned, odd]) {
    tp.sawTstamp = false;
    tp.rcvTsval = tp.rcvTsecr = 0;
    const skb = segment(ACK, options);
    t.true(tcpFastParseOptions(skb, tp));
    t.true(tp.sawTstamp);
    t.is(tp.rcvTsval, 0x80000001 | 0);
    t.is(tp.rcvTsecr, 1000);
    consumeSkb(skb);
  }
  const zero = segment(ACK, [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0]);
  t.true(tcpFastParseOptions(zero, tp));
  t.is(tp.rcvTsecr, 0, "an echo of 0 is none");
  consumeSkb(zero);
  const plain = segment(ACK, []);
  t.false(tcpFastParseOptions(plain, tp));
  t.false(tp.sawTstamp);
  consumeSkb(plain);
  tp.tstampOk = false;
  const unasked = segment(ACK, aligned);
  t.true(tcpFastParseOptions(unasked, tp));
  t.false(tp.sawTstamp, "timestamps nobody agreed on do not count");
  consumeSkb(unasked);
  sockPut(sk);
  t.is(poolsInUse(), 0);
});

test.serial("what is written is what is read, in Linux's order", (t) => {
  tablesBoot();
  initNet.ipv4.tcpSack = 1;
  const skb = segment(SYN, new Array<number>(40).fill(0));
  const at = skb.th + 20;
  for (let options = 0; options < 16; options++) {
    if ((options & 4) !== 0) continue;
    mem8.fill(0, at, at + 40);
    const end = tcpWriteSynOptions(at, options, 1460, 5, -2, 9);
    t.is(end - at, tcpSynOptions(options));
    memView.setUint16(skb.th + 12, ((5 + ((end - at) >> 2)) << 12) | SYN);
    tcpParseOptions(skb, rxOpt, null, initNet.ipv4);
    t.is(rxOpt.mss, 1460);
    t.is(rxOpt.sawTstamp, (options & OPTION_TS) !== 0);
    t.is(rxOpt.rcvTsval, (options & OPTION_TS) !== 0 ? -2 : 0);
    t.is(rxOpt.rcvTsecr, (options & OPTION_TS) !== 0 ? 9 : 0);
    t.is(rxOpt.sackOk, (options & OPTION_SACK_ADVERTISE) !== 0);
    t.is(rxOpt.sndWscale, (options & OPTION_WSCALE) !== 0 ? 5 : 0);
  }
  tcpWriteSynOptions(at, OPTION_TS | OPTION_SACK_ADVERTISE | OPTION_WSCALE, 1460, 5, 0x11223344, 0);
  t.deepEqual(
    [...mem8.subarray(at, at + 20)],
    [2, 4, 5, 0xb4, 4, 2, 8, 10, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0, 1, 3, 3, 5],
  );
  tcpWriteSynOptions(at, OPTION_SACK_ADVERTISE, 536, 0, 0, 0);
  t.deepEqual([...mem8.subarray(at, at + 8)], [2, 4, 2, 24, 1, 1, 4, 2]);
  tcpWriteTimestampOption(at, -1, 258);
  t.deepEqual([...mem8.subarray(at, at + 12)], [1, 1, 8, 10, 255, 255, 255, 255, 0, 0, 1, 2]);
  consumeSkb(skb);
  t.is(tcpSynOptionBits(initNet.ipv4), OPTION_TS | OPTION_SACK_ADVERTISE | OPTION_WSCALE);
  initNet.ipv4.tcpSack = 0;
  t.is(tcpSynOptionBits(initNet.ipv4), OPTION_TS | OPTION_WSCALE);
});

test.serial("random bytes never lead the parser out of the header", (t) => {
  tablesBoot();
  const kinds = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 18, 254), fc.nat(255));
  const sk = makeSock();
  const tp = sk.tp;
  tp.tstampOk = true;
  words[tp.cold + TP_SACK_OK] = 1;
  fc.assert(fc.property(fc.array(kinds, { maxLength: 40 }), fc.boolean(), fc.boolean(), (bytes, syn, established) => {
    const skb = segment(syn ? SYN : ACK, bytes);
    const length = (memView.getUint8(skb.th + 12) >> 4) * 4;
    // What stands behind the header must not matter.
    mem8.fill(0xaa, skb.th + length, skb.th + 120);
    tcpParseOptions(skb, rxOpt, established ? tp : null, initNet.ipv4);
    const first = { ...rxOpt };
    mem8.fill(0x55, skb.th + length, skb.th + 120);
    tcpParseOptions(skb, rxOpt, established ? tp : null, initNet.ipv4);
    t.deepEqual({ ...rxOpt }, first);
    t.true(rxOpt.numSacks === 0 || rxOpt.sackOffset + rxOpt.numSacks * 8 <= skb.th + length);
    t.true(rxOpt.sndWscale <= 14);
    tcpFastParseOptions(skb, tp);
    consumeSkb(skb);
  }), { numRuns: 2000 });
  sockPut(sk);
  t.is(poolsInUse(), 0);
});
