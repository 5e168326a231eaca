/** `npm run budget -- [--preset P] [--json] [OPTION=VALUE …]`: what the pools of a configuration cost on a 32-bit board. */
import { parseArgs } from "node:util";
import { budget, type PoolBudget } from "../src/budget.ts";
import type { ConfigOptions } from "../src/config.ts";
import { serviceBudget } from "../src/service-budget.ts";

const USAGE = "usage: npm run budget -- [--preset tiny|small|default|host] [--json] [OPTION=NUMBER …]";

function parse(): { options: ConfigOptions; json: boolean } {
  const { values, positionals } = parseArgs({
    options: { preset: { type: "string" }, json: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const options: Record<string, unknown> = { preset: values.preset ?? "default" };
  for (const word of positionals) {
    const [name, value] = word.split("=");
    options[name!] = Number(value);
  }
  return { options: options as ConfigOptions, json: values.json };
}

function printPool({ name, count, bytesEach, bytes }: PoolBudget): void {
  console.log(`${name.padEnd(24)} ${String(count).padStart(6)} × ${String(bytesEach).padStart(8)} = ${String(bytes).padStart(9)}`);
}

// A reader that has seen enough, such as head, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

try {
  const { options, json } = parse();
  const services = serviceBudget(options).pools;
  const result = { ...budget(options), services };
  if (json) {
    console.log(JSON.stringify(result));
  } else {
    console.log(`preset ${result.preset}: ${result.total} bytes on a 32-bit board`);
    result.pools.forEach(printPool);
    console.log("and each service that a program starts:");
    services.forEach(printPool);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  console.error(USAGE);
  process.exitCode = 2;
}
