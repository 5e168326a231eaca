/**
 * `conntrack`: the connections that are tracked, listed, found, counted, forgotten. conntrack-tools' counterpart is conntrack.c, of which
 * these are the commands -L, -G, -D, -C, -F, -S and -V with the options that choose by addresses, ports, state and status.
 */
import type { Net } from "../stack/core/net.ts";
import { procRead } from "../stack/core/proc.ts";
import { CommandEnd, type Output } from "./command.ts";
import { chosenBy, type Choice, readChoice } from "./conntrack-options.ts";

const VERSION = "conntrack v1.4.7 (conntrack-tools)";
const HINT = "Try `conntrack -h' or 'conntrack --help' for more information.\n";
const OTHER_PROBLEM = 1;
const PARAMETER_PROBLEM = 2;
const NO_SUCH = "such conntrack doesn't exist";

/** What the command does to the table. */
export interface ConntrackTable {
  flush(net: Net): void;
  /** Ends the connection of a line of /proc/net/nf_conntrack, counted from 0. */
  delete(net: Net, line: number): void;
}

function wrong(complaint: string): never {
  throw new CommandEnd(PARAMETER_PROBLEM, `${VERSION}: ${complaint}\n${HINT}`);
}

function failed(complaint: string): never {
  throw new CommandEnd(OTHER_PROBLEM, `${VERSION}: Operation failed: ${complaint}\n`);
}

/** A line of /proc as the command prints it: without the layer below, and with its own reference only. @param use references */
function entryLine(line: string, choice: Choice, index: number, use: number): string {
  const text = line.replace(/ zone=0 use=\d+$/, ` use=${use}`);
  return `${choice.output.includes("extended") ? text : text.replace(/^ipv4 +2 /, "")}${choice.output.includes("id") ? ` id=${100_000 + index}` : ""}\n`;
}

/** The counters as the command prints them: one processor. */
function statistics(net: Net): string {
  const [names, values] = (procRead(net, "net/stat/nf_conntrack") ?? "\n").split("\n").map((line) => line.trim().split(/ +/)) as [string[], string[]];
  const of = (name: string): number => parseInt(values[names.indexOf(name)] ?? "0", 16);
  const shown = ["found", "invalid", "insert", "insert_failed", "drop", "early_drop"].map((name) => `${name}=${of(name)}`);
  return `cpu=0   \t${shown.join(" ")} error=${of("icmp_error")} search_restart=0 clash_resolve=${of("clashres")} chaintoolong=0 \n`;
}

/** Does what the words say; the exit status. */
export function conntrackMain(net: Net, words: readonly string[], out: Output, table: ConntrackTable): number {
  const choice = readChoice(words, wrong);
  if (choice.command === "V") {
    out.text += `${VERSION}\n`;
    return 0;
  }
  const text = procRead(net, "net/nf_conntrack");
  if (text === null) return failed("connection tracking is not there");
  const lines = choice.table === "expect" || choice.family === "ipv6" ? [] : text.split("\n").slice(0, -1);
  const done = (count: number, what: string): number => {
    out.error += `${VERSION}: ${count} ${what}.\n`;
    return 0;
  };
  const chosen = lines.map((line, index) => ({ line, index })).filter(({ line }) => chosenBy(choice, line));
  switch (choice.command) {
    case "L":
      if (choice.table === "expect") return done(0, "expectations have been shown");
      if (choice.table !== "conntrack") return done(0, "flow entries have been shown");
      for (const { line, index } of chosen) out.text += entryLine(line, choice, index, 1);
      return done(chosen.length, "flow entries have been shown");
    case "G": {
      const [found] = chosen;
      if (found === undefined) return failed(NO_SUCH);
      out.text += entryLine(found.line, choice, found.index, 2);
      return done(1, "flow entries have been shown");
    }
    case "D":
      // From the end on, so that lines keep their numbers.
      for (const { line, index } of [...chosen].reverse()) {
        out.text = entryLine(line, choice, index, 1) + out.text;
        table.delete(net, index);
      }
      done(chosen.length, "flow entries have been deleted");
      return chosen.length === 0 ? OTHER_PROBLEM : 0;
    case "C":
      out.text += `${lines.length}\n`;
      return 0;
    case "S":
      out.text += statistics(net);
      return 0;
    default:
      if (choice.table === "conntrack") table.flush(net);
      out.error += `${VERSION}: ${choice.table === "expect" ? "expectation" : "connection tracking"} table has been emptied.\n`;
      return 0;
  }
}
