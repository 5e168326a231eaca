import test from "ava";
import fc from "fast-check";
import {
  csumFold, csumPartial, csumReplace16, csumReplace32, csumTcpudpMagic, csumTcpudpNofold, ipFastCsum,
} from "../../../src/lib/checksum.ts";
import { mem8, memReserve, memView, memoryInit, MEM_OVERHEAD_BYTES, setMemoryHooks } from "../../../src/lib/memory.ts";

let base = 0;

// Not while the file is loaded: others of its process boot memory of their own before its tests run.
test.before(() => {
  memoryInit(MEM_OVERHEAD_BYTES + 70000);
  base = memReserve(66000, 4);
});

/** RFC 1071 section 4.1, byte by byte. */
function naive(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

function place(bytes: Uint8Array, offset: number): number {
  mem8.fill(0xa5, base, base + offset + bytes.length + 16);
  mem8.set(bytes, base + offset);
  return base + offset;
}

test.serial("RFC 1071's example", (t) => {
  const at = place(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7), 0);
  t.is(csumPartial(at, 8), 0xddf2);
  t.is(csumFold(0xddf2), 0x220d);
});

test.serial("csumPartial agrees with the byte sum at every alignment and length", (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 90 }),
    fc.uint8Array({ minLength: 1000, maxLength: 1600, size: "max" }),
    fc.nat(100).map((n) => new Uint8Array(n).fill(0xff)),
  );
  fc.assert(fc.property(bytes, fc.nat(7), (data, offset) => {
    t.is(csumPartial(place(data, offset), data.length), naive(data));
  }), { numRuns: 500 });
  for (let offset = 0; offset < 4; offset++) {
    for (let length = 0; length < 48; length++) {
      const data = Uint8Array.from({ length }, (_, i) => 255 - i * 5);
      t.is(csumPartial(place(data, offset), length), naive(data));
    }
  }
});

test.serial("64 KB of ones do not overflow", (t) => {
  const data = new Uint8Array(65535).fill(0xff);
  t.is(csumPartial(place(data, 0), 65535), naive(data));
  t.is(csumPartial(place(data, 3), 65535), naive(data));
});

test.serial("csumFold is exact over its whole range", (t) => {
  t.is(csumFold(0), 0xffff);
  t.is(csumFold(0xffff), 0);
  fc.assert(fc.property(fc.nat(0xffffffff), (sum) => {
    const folded = sum === 0 ? 0 : sum % 0xffff || 0xffff;
    t.is(csumFold(sum), 0xffff - folded);
  }));
});

test.serial("partial sums of even-length pieces add up", (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(100), (data, cut) => {
    const at = place(data, 2);
    const first = Math.min(cut * 2, data.length & ~1);
    t.is(csumFold(csumPartial(at, first) + csumPartial(at + first, data.length - first)), csumFold(naive(data)));
  }));
});

test.serial("ipFastCsum makes and verifies headers, options included, at any alignment", (t) => {
  const header = Uint8Array.from(Buffer.from("45000073000040004011b861c0a80001c0a800c7", "hex"));
  t.is(ipFastCsum(place(header, 0), 5), 0);
  const at = place(header, 4);
  memView.setUint16(at + 10, 0);
  t.is(ipFastCsum(at, 5), 0xb861);
  const contents = fc.uint8Array({ minLength: 60, maxLength: 60 });
  fc.assert(fc.property(fc.integer({ min: 5, max: 15 }), contents, fc.nat(3), (words, content, offset) => {
    const data = content.slice(0, words * 4);
    data[0] = 0x40 | words;
    const h = place(data, offset);
    memView.setUint16(h + 10, 0);
    memView.setUint16(h + 10, ipFastCsum(h, words));
    t.is(ipFastCsum(h, words), 0);
    mem8[h + 5] = mem8[h + 5]! ^ 0x10;
    t.not(ipFastCsum(h, words), 0);
  }));
});

test.serial("the pseudo-header counts as its twelve bytes", (t) => {
  const address = fc.integer();
  const u16 = fc.nat(0xffff);
  fc.assert(fc.property(address, address, u16, fc.constantFrom(6, 17), u16, (s, d, len, proto, sum) => {
    const at = place(new Uint8Array(12), 0);
    memView.setInt32(at, s);
    memView.setInt32(at + 4, d);
    memView.setUint16(at + 8, proto);
    memView.setUint16(at + 10, len);
    const pseudo = csumPartial(at, 12);
    t.is(csumFold(csumTcpudpNofold(s, d, len, proto)), csumFold(pseudo));
    t.is(csumTcpudpMagic(s, d, len, proto, sum), csumFold(pseudo + sum));
  }));
});

test.serial("incremental updates equal a new computation (RFC 1624)", (t) => {
  const bytes = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(fc.property(bytes, fc.nat(0xffff), fc.integer(), (data, new16, new32) => {
    data[0] = 0x45;
    const at = place(data, 0);
    memView.setUint16(at + 10, 0);
    let sum = ipFastCsum(at, 5);
    sum = csumReplace16(sum, memView.getUint16(at + 8), new16);
    memView.setUint16(at + 8, new16);
    sum = csumReplace32(sum, memView.getInt32(at + 16), new32);
    memView.setInt32(at + 16, new32);
    t.is(sum, ipFastCsum(at, 5));
  }));
  // RFC 1624 section 4's example: equation 2 would give 0xffff here.
  t.is(csumReplace16(0xdd2f, 0x5555, 0x3285), 0x0000);
});

test.serial("a native checksum is used when installed", (t) => {
  setMemoryHooks((bytes, offset, length) => {
    t.is(bytes, mem8);
    return offset === base + 1 && length === 9 ? 0x1234 : 0;
  }, null);
  t.is(csumPartial(base + 1, 9), 0x1234);
  setMemoryHooks(null, null);
  place(Uint8Array.of(0xab), 0);
  t.is(csumPartial(base, 1), 0xab00);
});
