import test from "ava";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { LAYERS, layerOf, layers } from "../../../tools/eslint/layers.ts";
import { ruleTester } from "./rule-tester.ts";

const root = process.cwd();
const inFile = (path: string): { filename: string } => ({ filename: join(root, path) });

ruleTester().run("linnet/layers", layers, {
  valid: [
    { name: "a layer imports itself", ...inFile("src/lib/a.ts"), code: 'import { b } from "./b.ts";' },
    { name: "ipv4 imports netif", ...inFile("src/stack/ipv4/arp.ts"), code: 'import { a } from "../../netif/dev.ts";' },
    { name: "core imports lib", ...inFile("src/stack/core/sock.ts"), code: 'import { a } from "../../lib/pool.ts";' },
    { name: "src imports the contract's types", ...inFile("src/kernel.ts"), code: 'import type { Hal } from "../hal/hal.ts";' },
    { name: "index imports everything", ...inFile("src/index.ts"), code: 'export { a } from "./stack/socket/a.ts";' },
    { name: "index imports the platform", ...inFile("src/index.ts"), code: 'import { platform } from "#platform";' },
    { name: "hal imports src", ...inFile("hal/node/tap.ts"), code: 'import { a } from "../../src/netif/dev.ts";' },
    { name: "hal/node imports Node", ...inFile("hal/node/tap.ts"), code: 'import fs from "node:fs";' },
    { name: "tests import anything", ...inFile("test/unit/a.ts"), code: 'import { a } from "../../src/lib/pool.ts";' },
    { name: "an export without source", ...inFile("src/lib/a.ts"), code: "export const A = 1;" },
  ],
  invalid: [
    {
      name: "socket does not know ipv4",
      ...inFile("src/stack/socket/socket.ts"),
      code: 'import { a } from "../ipv4/af-inet.ts";',
      errors: [{ messageId: "upward", data: { layer: "src/stack/socket", target: "src/stack/ipv4" } }],
    },
    {
      name: "a type is knowledge too",
      ...inFile("src/stack/core/sock.ts"),
      code: 'import type { A } from "../ipv4/tcp-sock.ts";',
      errors: [{ messageId: "upward", data: { layer: "src/stack/core", target: "src/stack/ipv4" } }],
    },
    {
      name: "wire has no behaviour to borrow",
      ...inFile("src/stack/wire/tcp.ts"),
      code: 'export * from "../../lib/memory.ts";',
      errors: [{ messageId: "upward", data: { layer: "src/stack/wire", target: "src/lib" } }],
    },
    {
      name: "src takes no values from hal",
      ...inFile("src/lib/memory.ts"),
      code: 'import { Hal } from "../../hal/hal.ts";',
      errors: [{ messageId: "typesOnly", data: { layer: "src/lib", target: "hal/hal.ts" } }],
    },
    {
      name: "src does not know a runtime",
      ...inFile("src/stack/core/net.ts"),
      code: 'import { platform } from "../../../hal/node/platform.ts";',
      errors: [{ messageId: "upward", data: { layer: "src/stack/core", target: "hal/node" } }],
    },
    {
      name: "packages stay out of src",
      ...inFile("src/netif/dev.ts"),
      code: 'import fs from "node:fs";',
      errors: [{ messageId: "package", data: { layer: "src/netif", target: "node:fs" } }],
    },
    {
      name: "a board's driver does not know Node",
      ...inFile("hal/enc28j60/driver.ts"),
      code: 'const a = await import("../node/tap.ts");',
      errors: [{ messageId: "upward", data: { layer: "hal/enc28j60", target: "hal/node" } }],
    },
    {
      name: "a board's driver does not know the simulator",
      ...inFile("hal/enc28j60/index.ts"),
      code: 'import { a } from "./simulator/index.ts";',
      errors: [{ messageId: "upward", data: { layer: "hal/enc28j60", target: "hal/enc28j60/simulator" } }],
    },
    {
      name: "nothing of ours imports a test",
      ...inFile("src/index.ts"),
      code: 'import { a } from "../test/lib/a.ts";',
      errors: [{ messageId: "upward", data: { layer: "src", target: "test/lib/a.ts" } }],
    },
  ],
});

test("the longest entry is a file's layer", (t) => {
  t.is(layerOf("src/stack/ipv4/tcp.ts"), "src/stack/ipv4");
  t.is(layerOf("src/config.ts"), "src/config.ts");
  t.is(layerOf("src/index.ts"), "src");
  t.is(layerOf("src/library/a.ts"), "src");
  t.is(layerOf("tools/run.mjs"), undefined);
});

test("the table has no cycle: no two layers may import from each other", (t) => {
  const names = Object.keys(LAYERS);
  for (const a of names) {
    for (const b of names) {
      if (a < b) t.false(LAYERS[a]!.from.includes(b) && LAYERS[b]!.from.includes(a), `${a} and ${b}`);
    }
  }
});

test("every folder of src/ and src/stack/ is a layer of its own", (t) => {
  for (const folder of ["src", "src/stack"]) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && path !== "src/stack") t.is(layerOf(`${path}/a.ts`), path);
    }
  }
});
