import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { bloomClear, bloomFalsePositives, bloomMeet, bloomWords } from "../../../src/lib/bloom.ts";
import { words, wordsReset, wordTable } from "../../../src/lib/table.ts";

const HASHES = 5;
const STRANGERS = 20_000;

/** Two filters, then the seeds. */
function filters(bits: number): { younger: number; older: number; seeds: number } {
  wordsReset(2 * bloomWords(bits) + HASHES);
  const younger = wordTable("test", bloomWords(bits));
  const older = wordTable("test", bloomWords(bits));
  const seeds = wordTable("test", HASHES);
  for (let i = 0; i < HASHES; i++) words[seeds + i] = Math.imul(i + 1, 0x9e3779b1);
  return { younger, older, seeds };
}

test.serial("what was met is a member, in the younger filter or the older", (t) => {
  fc.assert(fc.property(fc.uniqueArray(fc.integer(), { maxLength: 100 }), (numbers) => {
    const { younger, older, seeds } = filters(1024);
    for (const number of numbers) bloomMeet(younger, older, 1024, seeds, HASHES, number);
    const again = numbers.every((number) => bloomMeet(younger, older, 1024, seeds, HASHES, number));
    // A new generation: the roles change, and the younger one is empty.
    bloomClear(older, 1024);
    return again && numbers.every((number) => bloomMeet(older, younger, 1024, seeds, HASHES, number));
  }));
  t.pass();
});

test.serial("what was met in the generation before last is forgotten", (t) => {
  const { younger, older, seeds } = filters(1024);
  bloomMeet(younger, older, 1024, seeds, HASHES, 77);
  bloomClear(older, 1024);
  bloomMeet(older, younger, 1024, seeds, HASHES, 5);
  bloomClear(younger, 1024);
  t.false(bloomMeet(younger, older, 1024, seeds, HASHES, 77));
  t.true(bloomMeet(younger, older, 1024, seeds, HASHES, 5));
});

function measured(t: ExecutionContext, bits: number, members: number): void {
  const { younger, older, seeds } = filters(bits);
  for (let i = 0; i < members; i++) bloomMeet(older, younger, bits, seeds, HASHES, Math.imul(i, 0x01000193));
  bloomClear(younger, bits);
  let taken = 0;
  for (let i = 0; i < STRANGERS; i++) {
    if (bloomMeet(younger, older, bits, seeds, HASHES, Math.imul(members + i, 0x01000193))) taken++;
    bloomClear(younger, bits);
  }
  const expected = bloomFalsePositives(bits, HASHES, members);
  // Four standard errors of the count, and a tenth for how full this filter happens to be.
  const error = 4 * Math.sqrt((expected * (1 - expected)) / STRANGERS) + expected / 10;
  t.true(Math.abs(taken / STRANGERS - expected) < error, `${bits} bits, ${members} members: ${taken / STRANGERS}, not ${expected}`);
}

for (const bits of [1024, 4096, 16384]) {
  test.serial(`of ${bits} bits as many strangers are taken for members as the formula says, at three loads`, (t) => {
    for (const load of [1 / 16, 1 / 8, 1 / 4]) measured(t, bits, bits * load);
  });
}

test.serial("the formula's own values", (t) => {
  t.is(bloomFalsePositives(4096, 5, 0), 0);
  t.true(Math.abs(bloomFalsePositives(4096, 5, 512) - (1 - Math.exp(-5 / 8)) ** 5) < 1e-4);
  t.true(bloomFalsePositives(4096, 5, 1e6) > 0.999999);
});
