/** Capture files: their layout, byte by byte, as the format's description has it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { PcapWriter } from "../../../hal/node/pcap.ts";

test("a file has its header, and each frame its time, its length and what was kept", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "linnet-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "a.pcap");
  const writer = new PcapWriter(path, 100);
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => i);
  writer.write(bytes, 10, 60, 1_700_000_000_123.5);
  writer.write(bytes, 0, 200, 1_700_000_001_000);
  writer.close();
  const file = readFileSync(path);
  t.is(file.length, 24 + 16 + 60 + 16 + 100);
  t.is(file.readUInt32LE(0), 0xa1b23c4d);
  t.deepEqual([file.readUInt16LE(4), file.readUInt16LE(6), file.readUInt32LE(16), file.readUInt32LE(20)], [2, 4, 100, 1]);
  t.deepEqual([24, 28, 32, 36].map((at) => file.readUInt32LE(at)), [1_700_000_000, 123_500_000, 60, 60]);
  t.deepEqual([...file.subarray(40, 100)], [...bytes.subarray(10, 70)]);
  t.deepEqual([100, 104, 108, 112].map((at) => file.readUInt32LE(at)), [1_700_000_001, 0, 100, 200]);
});

test("more than the buffer holds is all written", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "linnet-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "a.pcap");
  const writer = new PcapWriter(path);
  for (let i = 0; i < 1000; i++) writer.write(new Uint8Array(1514).fill(i & 255), 0, 1514, i);
  writer.close();
  const file = readFileSync(path);
  t.is(file.length, 24 + 1000 * (16 + 1514));
  for (let i = 0; i < 1000; i++) t.is(file[24 + i * 1530 + 16 + 1513], i & 255);
});
