/** What the routing tables take on a board. */
import test from "ava";
import { budget } from "../../../src/budget.ts";

test("sixteen routes of six next hops take a kilobyte and a half in all their structures", (t) => {
  const { pools } = budget({ preset: "tiny", routes: 16, fibInfos: 6 });
  const bytes = pools.filter(({ name }) => /^(fib|fib_.*|ip_fib_.*|ip_fnhe)$/.test(name)).reduce((sum, pool) => sum + pool.bytes, 0);
  t.true(bytes > 0 && bytes <= 1536, `${bytes} bytes`);
});
