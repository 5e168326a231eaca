/**
 * `conntrack`: the connections that are tracked, listed, counted, forgotten. conntrack-tools' counterpart is conntrack.c, of which
 * these are the commands -L, -C and -F.
 */
import type { Net } from "../stack/core/net.ts";
import { procRead } from "../stack/core/proc.ts";
import { CommandEnd, type Output } from "./command.ts";

const VERSION = "conntrack v1.4.8 (conntrack-tools): ";
const OTHER_PROBLEM = 1;
const PARAMETER_PROBLEM = 2;

function end(status: number, complaint: string): never {
  throw new CommandEnd(status, `${VERSION}${complaint}\n`);
}

/** A line of /proc as the command prints it: without the layer below, and with its own reference only. */
function entryLine(line: string): string {
  return line.replace(/^ipv4 +2 /, "").replace(/ zone=0 use=\d+$/, " use=1");
}

/** Does what the words say; the exit status. @param flush forgets all connections of a namespace */
export function conntrackMain(net: Net, words: readonly string[], out: Output, flush: (net: Net) => void): number {
  const [command, ...rest] = words;
  if (rest.length > 0) end(PARAMETER_PROBLEM, `Bad parameter \`${rest[0]!}'`);
  const table = procRead(net, "net/nf_conntrack");
  if (table === null) return end(OTHER_PROBLEM, "Operation failed: connection tracking is not there");
  const entries = table.split("\n").slice(0, -1);
  switch (command) {
    case "-L":
    case "--dump":
      for (const line of entries) out.text += `${entryLine(line)}\n`;
      out.error += `${VERSION}${entries.length} flow entries have been shown.\n`;
      return 0;
    case "-C":
    case "--count":
      out.text += `${entries.length}\n`;
      return 0;
    case "-F":
    case "--flush":
      flush(net);
      out.error += `${VERSION}connection tracking table has been emptied.\n`;
      return 0;
    default:
      return end(PARAMETER_PROBLEM, command === undefined ? "You need to supply a command" : `Unknown argument \`${command}'`);
  }
}
