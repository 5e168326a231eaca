/** Runs a line of ifconfig, route or arp; its answer as one text, in which every usage is the same and lines of arp are in order. */
import { splitWords } from "../../../src/commands/command.ts";
import { arp, ifconfig, route } from "../../../src/commands/index.ts";
import { initNet } from "./harness.ts";

const TOOLS = new Map([["arp", arp], ["ifconfig", ifconfig], ["route", route]]);

/** What both sides print in ways of their own: usage, and the order of neighbours, which is that of a hash. */
export function normalised(line: string, text: string): string {
  const short = text.replace(/ {4}[^]*Usage:|Usage:[^]*/, "USAGE");
  return line.startsWith("arp") ? short.split("\n").sort().join("\n") : short;
}

export function netTool(line: string): { text: string; status: number } {
  const [name, ...words] = splitWords(line);
  const { text, error, status } = TOOLS.get(name!)!(initNet, words);
  return { text: normalised(line, text + error), status };
}
