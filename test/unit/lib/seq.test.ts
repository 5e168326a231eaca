import test from "ava";
import fc from "fast-check";
import { after, before, between } from "../../../src/lib/seq.ts";

test("order is that of unwrapped numbers less than 2^31 apart", (t) => {
  fc.assert(fc.property(fc.integer(), fc.integer({ min: -0x7fffffff, max: 0x7fffffff }), (base, distance) => {
    const other = (base + distance) | 0;
    t.is(before(base, other), distance > 0);
    t.is(after(base, other), distance < 0);
  }));
});

test("between includes both ends and wraps", (t) => {
  fc.assert(fc.property(fc.integer(), fc.nat(0x7fffffff), fc.integer({ min: -0x7fffffff, max: 0x7fffffff }), (low,
    width, at) => {
    t.is(between((low + at) | 0, low, (low + width) | 0), at >= 0 && at <= width);
  }));
  t.true(between(-1, 0x7ffffff0, 5));
  t.true(between(5, 5, 5));
  t.false(between(6, 5, 5));
});
