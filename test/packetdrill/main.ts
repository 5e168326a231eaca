/**
 * `npm run packetdrill -- FILE…`: runs packetdrill scripts (or folders of them) against the stack in this process, in virtual
 * time. One line for each script; for one that fails the line of the script and what was expected and seen.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { runScript } from "./runner.ts";

function scripts(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const files = readdirSync(path, { recursive: true, encoding: "utf8" });
  return files.filter((name) => name.endsWith(".pkt")).sort().map((name) => join(path, name));
}

const defines = new Map<string, string>();
const paths: string[] = [];
for (let args = process.argv.slice(2); args.length > 0;) {
  const [first = "", second = ""] = args;
  if (first === "-D") defines.set(second.split("=")[0]!, second.slice(second.indexOf("=") + 1));
  else paths.push(first);
  args = args.slice(first === "-D" ? 2 : 1);
}
if (paths.length === 0) {
  console.error("usage: npm run packetdrill -- [-D NAME=VALUE ...] SCRIPT.pkt|FOLDER ...");
  process.exitCode = 2;
}
let failed = 0;
const files = paths.flatMap(scripts);
for (const file of files) {
  const error = runScript(readFileSync(file, "utf8"), file, defines);
  if (error !== null) failed++;
  console.log(error === null ? `ok ${file}` : `not ok ${error}`);
}
if (files.length > 1) console.log(`packetdrill: ${files.length - failed} passed, ${failed} failed`);
if (failed > 0) process.exitCode = 1;
