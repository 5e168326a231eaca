/** Sequence numbers of data that was made longer or shorter on its way: moved for one side, moved back for the other. */
import test from "ava";
import fc from "fast-check";
import { mem8, memView } from "../../../src/lib/memory.ts";
import { words, wordTable } from "../../../src/lib/table.ts";
import { allocSkb, consumeSkb, type SkBuff, skbPutData } from "../../../src/stack/core/skbuff.ts";
import { nfCtSeqAdjSet, nfCtSeqAdjust, nfCtSeqOffset, SEQADJ_WORDS } from "../../../src/stack/netfilter/nf-conntrack-seqadj.ts";
import { internetChecksum, tcpSegment, type TcpFields } from "../../lib/frames.ts";
import { ipPacket } from "../ipv4/harness.ts";
import { bootRouter, finish } from "./home-router.ts";

const A = 0x0a000002;
const B = 0xc0000202 | 0;
let state = 0;

test.beforeEach(() => {
  bootRouter();
  state = wordTable("test", SEQADJ_WORDS);
});
test.afterEach((t) => finish(t));

function segment(fields: Partial<TcpFields>, trailing: readonly number[] = []): SkBuff {
  const tcp = tcpSegment(A, B, { sport: 1000, dport: 21, flags: "A", ...fields });
  if (trailing.length > 0) {
    // Options by hand, at any distance.
    const options = Uint8Array.from(trailing);
    const whole = new Uint8Array(20 + options.length);
    whole.set(tcp.subarray(0, 20));
    whole.set(options, 20);
    whole[12] = (whole.length >> 2) << 4;
    whole[16] = whole[17] = 0;
    const pseudo = new Uint8Array(12);
    const view = new DataView(pseudo.buffer);
    view.setInt32(0, A);
    view.setInt32(4, B);
    view.setUint32(8, (6 << 16) | whole.length);
    new DataView(whole.buffer).setUint16(16, internetChecksum(Uint8Array.from([...pseudo, ...whole])));
    return skbOf(whole);
  }
  return skbOf(tcp);
}

function skbOf(tcp: Uint8Array): SkBuff {
  const skb = allocSkb(1500)!;
  skbPutData(skb, ipPacket({ saddr: A, daddr: B, protocol: 6, payload: tcp }));
  skb.nh = skb.data;
  return skb;
}

function sumOf(skb: SkBuff): number {
  const tcp = mem8.slice(skb.nh + 20, skb.tail);
  const pseudo = new Uint8Array(12);
  pseudo.set(mem8.subarray(skb.nh + 12, skb.nh + 20));
  pseudo[9] = 6;
  new DataView(pseudo.buffer).setUint16(10, tcp.length);
  return internetChecksum(Uint8Array.from([...pseudo, ...tcp]));
}

/** Moves a segment's numbers: sequence, acknowledgement, and the words at some places behind the header. */
function moved(skb: SkBuff, direction: number, ...more: readonly number[]): number[] {
  nfCtSeqAdjust(skb, state, direction);
  const th = skb.nh + 20;
  const seen = [th + 4, th + 8, ...more.map((at) => th + 20 + at)].map((at) => memView.getInt32(at) >>> 0);
  const sum = sumOf(skb);
  consumeSkb(skb);
  return sum === 0 ? seen : [];
}

test.serial("what lies behind a change is moved; a repetition of the segment changes nothing more", (t) => {
  nfCtSeqAdjSet(state, 0, 1000, 5);
  nfCtSeqAdjSet(state, 0, 1000, 5);
  t.deepEqual(moved(segment({ seq: 1000, ack: 7 }), 0), [1000, 7]);
  t.deepEqual(moved(segment({ seq: 1020, ack: 7 }), 0), [1025, 7]);
  nfCtSeqAdjSet(state, 0, 2000, -2);
  t.deepEqual(moved(segment({ seq: 2000, ack: 7 }), 0), [2005, 7]);
  t.deepEqual(moved(segment({ seq: 2010, ack: 7 }), 0), [2013, 7]);
  t.deepEqual([nfCtSeqOffset(state, 0, 2000), nfCtSeqOffset(state, 0, 2001), nfCtSeqOffset(state, 1, 2001)], [5, 3, 0]);
  t.deepEqual(moved(segment({ seq: 50, ack: 2013 }), 1), [50, 2010]);
  t.deepEqual(moved(segment({ seq: 50, ack: 2005 }), 1), [50, 2000]);
  t.deepEqual(moved(segment({ seq: 50, ack: 2005, flags: "R" }), 1), [50, 2005], "what is no acknowledgement stays");
});

test.serial("edges of SACK blocks are moved back, wherever the option stands; broken options are left alone", (t) => {
  nfCtSeqAdjSet(state, 0, 1000, 100);
  const word = (n: number): number[] => [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];
  const blocks = [5, 18, ...word(1200), ...word(1300), ...word(1400), ...word(1500)];
  t.deepEqual(moved(segment({ ack: 1150, seq: 9 }, [1, 1, ...blocks]), 1, 4, 8, 12, 16), [9, 1050, 1100, 1200, 1300, 1400]);
  t.deepEqual(moved(segment({ ack: 1150, seq: 9 }, [1, ...blocks, 0]), 1, 3, 7, 11, 15), [9, 1050, 1100, 1200, 1300, 1400]);
  t.deepEqual(moved(segment({ ack: 1150, seq: 9 }, [5, 9, ...word(1200), ...word(1300), 0, 0]), 1, 2, 6), [9, 1050, 1200, 1300]);
  t.deepEqual(moved(segment({ ack: 1150, seq: 9 }, [5, 90, ...word(1200), ...word(1300), 0, 0]), 1, 2, 6), [9, 1050, 1200, 1300]);
  t.deepEqual(moved(segment({ ack: 1150, seq: 9 }, [0, 1, ...blocks]), 1, 4), [9, 1050, 1200]);
});

test.serial("a stream that is edited line by line arrives as edited, and is acknowledged as sent", (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: -10, max: 10 })), { maxLength: 30 }), (isn, lines) => {
      words.fill(0, state, state + SEQADJ_WORDS);
      let sent = isn;
      let seen = isn;
      for (const [length, wanted] of lines) {
        // No line becomes nothing: where it was would not be known.
        const more = wanted <= -length ? 1 - length : wanted;
        // As a helper sees it: the adjustment of the segment itself is by what was before.
        t.is((sent + nfCtSeqOffset(state, 0, sent)) | 0, seen | 0);
        if (more !== 0) nfCtSeqAdjSet(state, 0, sent, more);
        sent = (sent + length) | 0;
        seen = (seen + length + more) | 0;
        const [, ack] = moved(segment({ seq: 1, ack: seen >>> 0 }), 1);
        t.is(ack! | 0, sent);
      }
    }),
    { numRuns: 200 },
  );
});
