import test from "ava";
import { runCode } from "../../packetdrill/python.ts";

const VALUES: Readonly<Record<string, number>> = { a: 6, b: 3, zero: 0 };
const holds = (expression: string): boolean => runCode(`assert ${expression}`, (name) => VALUES[name] ?? null, 1) === null;

test("precedence is Python's: bits bind tighter than comparisons", (t) => {
  t.true(holds("a & 2 == 2"));
  t.true(holds("a | 1 == 7 and not zero"));
  t.true(holds("1 + 2 * 3 == 7"));
  t.true(holds("(1 + 2) * 3 == 9"));
  t.true(holds("1 << 3 == 8 and 9 >> 1 == 4"));
});

test("comparisons chain", (t) => {
  t.true(holds("1 <= b < a <= 6"));
  t.false(holds("1 < b < 3"));
});

test("and, or, not", (t) => {
  t.true(holds("zero or b == 3"));
  t.false(holds("not b"));
  t.false(holds("a == 6 and zero"));
});

test("division, remainder, sign", (t) => {
  t.true(holds("7 / 2 == 3.5 and 7 // 2 == 3 and -7 // 2 == -4 and -7 % 3 == 2"));
  t.true(holds("abs(-b) == 3"));
});

test("several statements; the first that does not hold is told", (t) => {
  t.is(runCode("assert a == 6\nassert b == 4, b; assert zero", (name) => VALUES[name] ?? null, 1), "assert b == 4, b does not hold: ");
});
