/** Every option that is an int answers as Linux does: linux-options.json, written on Linux by linux-options.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { boot, close, getsockopt, poolsInUse, setsockopt, socket } from "../../../src/index.ts";
import { socketOptions } from "../../../src/socket-options.ts";
import { AF_INET, SOCK_DGRAM, SOCK_STREAM } from "../../../src/uapi/socket.ts";

type Row = [kind: "tcp" | "udp", level: number, name: string, number: number, before: number, sets: [number, number?][]];
interface Recorded { kernel: string; values: number[]; rows: Row[] }

const recorded = JSON.parse(readFileSync(new URL("linux-options.json", import.meta.url), "utf8")) as Recorded;
const out = new Int32Array(1);

test.before(() => {
  boot({ preset: "host", initcalls: [socketOptions] });
});

function get(fd: number, level: number, number: number): number {
  const written = getsockopt(fd, level, number, out);
  return written < 0 ? written : out[0]!;
}

for (const [kind, level, name, number, before, sets] of recorded.rows) {
  test.serial(`${kind}: ${name} of level ${level}`, (t) => {
    const inUse = poolsInUse();
    const open = (): number => socket(AF_INET, kind === "tcp" ? SOCK_STREAM : SOCK_DGRAM);
    const fresh = open();
    t.is(get(fresh, level, number), before, "before anything is set");
    close(fresh);
    recorded.values.forEach((value, i) => {
      const [result, after] = sets[i]!;
      const fd = open();
      t.is(setsockopt(fd, level, number, value), result, `setting ${value}`);
      if (result === 0) t.is(get(fd, level, number), after!, `after setting ${value}`);
      close(fd);
    });
    t.is(poolsInUse(), inUse);
  });
}
