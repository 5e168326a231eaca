/** What a program does not start is not in its bundle: src/start-kernel.ts reaches none of the transports. */
import test from "ava";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Files of which something is in the bundle of a program with these lines. */
async function carried(...lines: string[]): Promise<string[]> {
  const { metafile } = await build({
    stdin: { contents: lines.join(";\n"), resolveDir: ROOT, loader: "ts" },
    absWorkingDir: ROOT,
    alias: { "#platform": `${ROOT}hal/xs/platform.ts` },
    external: ["timer", "time"],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
  });
  const [bundle] = Object.values(metafile.outputs);
  return Object.entries(bundle!.inputs).filter(([, input]) => input.bytesInOutput > 0).map(([file]) => file);
}

/** Numbers that every socket uses are not TCP's code. */
const ofTcp = (file: string) => /stack\/ipv4\/(tcp|inet-conn|inet-timewait|request-sock|syncookies)/.test(file);
const ofUdp = (file: string) => /stack\/ipv4\/udp/.test(file);

test("a program that starts UDP carries nothing of TCP, one that starts TCP nothing of UDP", async (t) => {
  const start = 'export { startKernel } from "./src/start-kernel.ts"';
  const neither = await carried(start);
  t.deepEqual(neither.filter((file) => ofTcp(file) || ofUdp(file)), []);
  const udp = await carried(start, 'export { udp } from "./src/udp.ts"', 'export { UDP } from "./src/ecma419/udp.ts"');
  t.deepEqual(udp.filter(ofTcp), []);
  t.true(udp.some(ofUdp));
  const tcp = await carried(start, 'export { tcp } from "./src/tcp.ts"', 'export { TCP } from "./src/ecma419/tcp.ts"');
  t.deepEqual(tcp.filter(ofUdp), []);
  t.true(tcp.some(ofTcp));
  const both = await carried('export { boot } from "./src/boot.ts"');
  t.true(both.some(ofTcp) && both.some(ofUdp));
});

test("a program that starts UDP carries nothing of the parts that boot() lists beside it", async (t) => {
  const ofParts = /stack\/.*(fib-(trie|tnode|alias|info|table|dump|rules|multipath|default|exception)|route-learn|(ip|sockopt)-control)/;
  const udp = await carried(
    'export { startKernel } from "./src/start-kernel.ts"', 'export { udp } from "./src/udp.ts"', 'export { UDP } from "./src/ecma419/udp.ts"',
  );
  // Of an exception what a next hop's routes need is the number of the one that is kept.
  t.deepEqual(udp.filter((file) => ofParts.test(file) && !file.endsWith("fib-exception.ts")), []);
  t.true((await carried('export { boot } from "./src/boot.ts"')).filter((file) => ofParts.test(file)).length >= 9);
});
