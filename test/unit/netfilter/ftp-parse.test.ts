/** What FTP's helper reads in the beginning of a line, against the same as regular expressions. */
import test from "ava";
import fc from "fast-check";
import { memoryInit, mem8 } from "../../../src/lib/memory.ts";
import { poolsReset } from "../../../src/lib/pool.ts";
import { ftpAddress, ftpAt, ftpFind, ftpKind, ftpLength, ftpPort } from "../../../src/stack/netfilter/nf-ftp-parse.ts";

const AT = 32;
const SPEAKER = 0x0a000002;

test.before(() => {
  poolsReset();
  memoryInit(8192);
});

/** What was found: what it is, where it leads, and its text; or 0 and -1. */
function find(text: string, direction: number): string | number {
  const bytes = new TextEncoder().encode(text);
  mem8.fill(0x31);
  mem8.set(bytes, AT);
  const found = ftpFind(AT, AT + bytes.length, direction, SPEAKER);
  if (found <= 0) return found;
  return `${ftpKind} ${ftpAddress >>> 0}:${ftpPort} ${text.substring(ftpAt - AT, ftpAt - AT + ftpLength)}`;
}

const address = (...n: readonly number[]): number => n.reduce((sum, part) => (sum << 8) | part, 0) >>> 0;

/** The same by regular expressions. */
function expected(text: string, direction: number): string | number {
  const words = direction === 0 ? ["PORT", "EPRT"] : ["227 ", "229 "];
  const kinds = direction === 0 ? [0, 2] : [1, 3];
  for (let i = 0; i < 2; i++) {
    const word = words[i]!;
    const length = Math.min(word.length, text.length);
    if (text.substring(0, length).toUpperCase() !== word.substring(0, length)) continue;
    if (text.length <= word.length) return -1;
    const rest = text.substring(word.length);
    let match: RegExpExecArray | null = null;
    if (kinds[i] === 0) match = /^[^ ]* (\d*),(\d*),(\d*),(\d*),(\d*),(\d*)\r/.exec(rest);
    else if (kinds[i] === 1) match = /^[^0-9]*(\d+),(\d*),(\d*),(\d*),(\d*),(\d*)[^0-9,]/s.exec(rest);
    if (kinds[i]! < 2) {
      if (match === null) return -1;
      const n = match.slice(1).map((digits) => Number(digits));
      const numbers = /[0-9][0-9,]*/.exec(rest.substring(kinds[i] === 0 ? rest.indexOf(" ") : 0))![0];
      const written = kinds[i] === 0 ? rest.substring(rest.indexOf(" ") + 1).split("\r")[0]! : numbers;
      return `${kinds[i]} ${address(...n.slice(0, 4))}:${((n[4]! << 8) | n[5]!) & 0xffff} ${written}`;
    }
    const behind = kinds[i] === 2 ? /^[^ ]* (.*)/s.exec(rest)?.[1] : /^[^(]*\((.*)/s.exec(rest)?.[1];
    if (behind === undefined || behind.length <= 3 || !/^[^0-9]/.test(behind) || behind < "!" || behind > "\x7f") return -1;
    const d = behind.charAt(0).replace(/[^a-z]/i, "\\$&");
    match = kinds[i] === 2 ? new RegExp(`^${d}1${d}(\\d*)\\.(\\d*)\\.(\\d*)\\.(\\d*)${d}(\\d*)${d}`).exec(behind)
      : new RegExp(`^${d}${d}${d}(\\d*)${d}`).exec(behind);
    if (match === null) return -1;
    const port = Number(match.at(-1)) & 0xffff;
    if (port === 0) return -1;
    const from = kinds[i] === 2 ? address(...match.slice(1, 5).map(Number)) : SPEAKER;
    return `${kinds[i]} ${from}:${port} ${match[0]}`;
  }
  return 0;
}

test.serial("what people write", (t) => {
  t.is(find("PORT 10,0,0,2,4,5\r\n", 0), "0 167772162:1029 10,0,0,2,4,5");
  t.is(find("227 Entering Passive Mode (192,0,2,1,4,5)\r\n", 1), "1 3221225985:1029 192,0,2,1,4,5");
  t.is(find("EPRT |1|10.0.0.2|1029|\r\n", 0), "2 167772162:1029 |1|10.0.0.2|1029|");
  t.is(find("229 Fine (|||1029|)\r\n", 1), "3 167772162:1029 |||1029|");
  for (const other of ["PORTER\r\n", "EPRT |2|::1|5|\r\n", "PORT 10,0,0,2,4\r\n", "EPRT |1|10.0.0.2|0|\r\n", "PO", "EPSV\r"]) {
    t.is(find(other, 0), other.startsWith("EPSV") ? 0 : -1, other);
  }
  for (const other of ["220 hi\r\n", "2", "227", "229 x\r\n", "227 no\r\n"]) t.is(find(other, 1), other === "220 hi\r\n" ? 0 : -1, other);
});

test.serial("of whatever begins a line the same is found as by regular expressions", (t) => {
  const digits = fc.nat(255).map(String);
  const piece = fc.oneof(
    digits, fc.constantFrom("PORT ", "port ", "EPRT ", "227 ", "229 ", ",", ".", "|", "!", "(", ")", " ", "\r", "\n", "1", "a", ",1,2,3", "|1|"),
  );
  const good = fc.tuple(fc.constantFrom("PORT ", "227 Mode (", "227 ="), fc.array(digits, { minLength: 5, maxLength: 7 }), fc.constantFrom("\r\n", ")\r\n", ""))
    .map(([word, numbers, end]) => word + numbers.join(",") + end);
  const extended = fc.tuple(
    fc.constantFrom("EPRT |1|", "EPRT !1!", "229 Mode (|||", "229 (!!!"), fc.constantFrom("10.0.0.2|", "1.2.3.4!", ""), fc.nat(70000), fc.constantFrom("|", "!", ")"),
  ).map(([word, host, port, end]) => `${word}${host}${port}${end}\r\n`);
  fc.assert(
    fc.property(fc.oneof(fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")), good, extended), fc.nat(1), (text, direction) => {
      t.is(find(text, direction), expected(text, direction), JSON.stringify(text));
    }),
    { numRuns: 3000 },
  );
});
