/** The table of sizes: presets within their limits, and every bad configuration refused by name before anything is built. */
import test from "ava";
import fc from "fast-check";
import { budget } from "../../src/budget.ts";
import { allSizes, configOptions, configRow, type ConfigOptions, type Preset, resolveConfig } from "../../src/config.ts";

const OPTIONS = configOptions(allSizes());
const PRESETS = ["tiny", "small", "default", "host"] satisfies Preset[];

/** Options that hold a power of two. */
const POWERS: readonly string[] = ["ehashBuckets", "staging"];

function refused(options: unknown): Error {
  try {
    resolveConfig(options as ConfigOptions, allSizes());
  } catch (error) {
    return error as Error;
  }
  throw new Error(`accepted ${JSON.stringify(options)}`);
}

for (const option of OPTIONS) {
  test(`${option}: what is no size is refused, with name, value and range`, (t) => {
    const { min, max, step } = configRow(allSizes(), option);
    const outside: unknown[] = [-1, min - 1, max + 1, max + step, min + 0.5, NaN, Infinity, -Infinity, 2 ** 53];
    if (min > 0) outside.push(0);
    if (step > 1) outside.push(min + 1);
    if (POWERS.includes(option)) outside.push(min + step * 2 + 1, min * 3 < max ? min * 3 : max - 1);
    for (const value of outside) {
      const error = refused({ [option]: value });
      t.true(error instanceof RangeError, String(value));
      for (const part of [option, String(value), String(min), String(max)]) t.true(error.message.includes(part), error.message);
    }
    for (const value of ["8", "", true, null, {}, [], 8n, () => 8]) {
      const error = refused({ [option]: value });
      t.true(error instanceof TypeError, typeof value);
      for (const part of [option, String(value), String(min), String(max)]) t.true(error.message.includes(part), error.message);
    }
  });

  test(`${option}: its ends are accepted, and nothing else changes`, (t) => {
    const { min, max } = configRow(allSizes(), option);
    for (const value of [min, max]) {
      const roomy = { socks: 16384, skbs: 30000, tcpSocks: 1, buffers: 4 };
      const config = resolveConfig({ preset: "small", ...roomy, [option]: value, ...(option === "socks" ? { tcpSocks: 1 } : {}) }, allSizes());
      t.is(config[option], value);
      for (const other of OPTIONS) {
        if (other === option || other in roomy) continue;
        t.is(config[other], configRow(allSizes(), other).small, other);
      }
    }
  });

  test(`${option}: every preset's size is in its own range`, (t) => {
    for (const preset of PRESETS) t.is(resolveConfig({ preset }, allSizes())[option], configRow(allSizes(), option)[preset]);
    for (const preset of PRESETS) {
      const value = configRow(allSizes(), option)[preset];
      t.is(resolveConfig({ preset, [option]: value }, allSizes())[option], value);
    }
  });
}

test("unknown names are refused: options, presets, and what lies on Object's prototype", (t) => {
  for (const name of ["skb", "Buffers", "hal", ""]) {
    const error = refused({ [name]: 8 });
    t.true(error instanceof TypeError && error.message.includes(`no option ${name}`) && error.message.includes("bufferBytes"));
  }
  for (const name of ["toString", "constructor", "hasOwnProperty"]) t.true(refused({ [name]: 8 }) instanceof TypeError, name);
  for (const preset of ["huge", "Tiny", "", 3, null, {}, "toString"]) {
    const error = refused({ preset });
    t.true(error instanceof TypeError && error.message.includes(String(preset)), String(preset));
    t.true(error.message.includes("tiny, small, default, host"));
  }
});

test("pools that stand on others are no larger than they", (t) => {
  for (const [options, smaller, larger] of [
    [{ socks: 4, tcpSocks: 5 }, "tcpSocks is 5", "socks, which is 4"],
    [{ skbs: 8, buffers: 9 }, "buffers is 9", "skbs, which is 8"],
  ] as const) {
    const error = refused(options);
    t.true(error instanceof RangeError);
    t.true(error.message.includes(smaller) && error.message.includes(larger), error.message);
  }
  t.notThrows(() => resolveConfig({ socks: 4, tcpSocks: 4, skbs: 8, buffers: 8 }, allSizes()));
});

test("a buffer that no frame fits is refused: 576 bytes of IPv4 and their headroom are the least", (t) => {
  t.true(refused({ bufferBytes: 576 }) instanceof RangeError);
  t.true(refused({ bufferBytes: 608 }) instanceof RangeError);
  t.is(resolveConfig({ bufferBytes: 612 }, allSizes()).bufferBytes, 612);
});

test("any mixture of numbers is either refused as RangeError or taken as it is", (t) => {
  const record = fc.dictionary(fc.constantFrom(...OPTIONS), fc.oneof(fc.integer(), fc.double(), fc.integer({ min: 0, max: 64 })));
  fc.assert(
    fc.property(record, (options) => {
      let config;
      try {
        config = resolveConfig(options, allSizes());
      } catch (error) {
        return error instanceof RangeError;
      }
      return OPTIONS.every((option) => config[option] === (options[option] ?? configRow(allSizes(), option).default));
    }),
  );
  t.pass();
});

/** Bytes on a 32-bit XS machine that each preset may take (issue 2). */
const LIMITS: readonly (readonly [Preset, number])[] = [["tiny", 24 * 1024], ["small", 64 * 1024], ["default", 160 * 1024]];

for (const [preset, limit] of LIMITS) {
  test.serial(`${preset} takes at most ${limit} bytes, and the parts add up`, (t) => {
    const { total, slots, pools } = budget({ preset });
    t.true(total <= limit, `${total} bytes`);
    t.true(slots * 16 < total);
    t.is(pools.reduce((sum, pool) => sum + pool.bytes, 0), total);
    for (const pool of pools) t.true(Math.abs(pool.bytesEach * pool.count - pool.bytes) <= pool.count, pool.name);
    const config = resolveConfig({ preset }, allSizes());
    t.true(pools.find((pool) => pool.name === "packet_memory")!.bytes > config.buffers * config.bufferBytes);
  });
}

test.serial("one more of a thing costs what one of it costs", (t) => {
  const base = budget({ preset: "small" });
  const { tcpSocks } = resolveConfig({ preset: "small" }, allSizes());
  const more = budget({ preset: "small", tcpSocks: tcpSocks + 1 });
  const each = (name: string): number => {
    const count = (list: typeof base): number => list.pools.find((pool) => pool.name === name)!.bytes;
    return count(more) - count(base);
  };
  t.is(each("tcp_sock"), more.total - base.total);
  t.true(each("tcp_sock") > 512);
});

/** What a connection may cost that has no sock: issue 3. */
const SMALL_ENTRY_BYTES = 64;

for (const option of ["timewaitSocks", "requestSocks"] as const) {
  test.serial(`one more of ${option} costs at most ${SMALL_ENTRY_BYTES} bytes in the whole budget, and no packet buffer`, (t) => {
    for (const preset of ["small", "default"] as const) {
      const few = resolveConfig({ preset }, allSizes())[option];
      const base = budget({ preset });
      const more = budget({ preset, [option]: few + 100 });
      const each = (more.total - base.total) / 100;
      t.true(each > 0 && each <= SMALL_ENTRY_BYTES, `${each} bytes`);
      t.is(more.slots, base.slots, "objects");
      const packets = (list: typeof base): number => list.pools.find((pool) => pool.name === "packet_memory")!.bytes;
      t.is(packets(more), packets(base));
    }
  });
}
