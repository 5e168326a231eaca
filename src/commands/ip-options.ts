/** The options of `ip` in front of its objects. iproute2's counterpart is main() of ip/ip.c. */
import { AF_INET, AF_UNSPEC } from "../uapi/socket.ts";
import { type Args, CommandEnd, matches, parseNumber } from "./command.ts";

export const IP_USAGE = "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { address | link | maddress | neighbour | route | rule | monitor }\n"
  + "       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[esolve] | -h[uman-readable] | -iec | -j[son] | -p[retty] |\n"
  + "                    -f[amily] inet | -4 | -o[neline] | -br[ief] | -t[imestamp] | -ts[hort] | -N[umeric] | -c[olor][={auto|never}] }\n";

/** What the options ask for. iproute2: the globals of ip/ip.c. */
export class IpOptions {
  /** -s, counted */
  stats = 0;
  /** -d */
  details = false;
  /** -o */
  oneline = false;
  /** -br */
  brief = false;
  /** -h, and -iec beside it */
  human = false;
  iec = false;
  /** -N: numbers, no names */
  numeric = false;
  /** -j, and -p beside it */
  json = false;
  pretty = false;
  /** -t, -ts: a monitor tells the time of the day */
  timestamp = false;
  timestampShort = false;
  /** -4, -f inet; AF_UNSPEC when not given */
  family = AF_UNSPEC;
}

/** Options that set a switch, in the order in which an abbreviation finds them. */
const SWITCHES: readonly (readonly [string, "human" | "iec" | "details" | "oneline" | "timestamp" | "timestampShort" | "brief" | "json" | "pretty" | "numeric"])[]
  = Object.freeze([
    ["-human-readable", "human"], ["-iec", "iec"], ["-details", "details"], ["-oneline", "oneline"], ["-timestamp", "timestamp"],
    ["-tshort", "timestampShort"], ["-brief", "brief"], ["-json", "json"], ["-pretty", "pretty"], ["-Numeric", "numeric"],
  ] as const);
/** Options that change nothing here: names are not looked up, there are no colours, and one namespace. */
const IDLE: readonly string[] = Object.freeze(["-resolve", "-force", "-all", "-color", "-color=auto", "-color=never", "-c=auto", "-c=never"]);

/** The value of an option. */
function optionValue(args: Args): string {
  args.at++;
  if (!args.more) throw new CommandEnd(255, IP_USAGE);
  return args.word;
}

/** Reads the options in front of the object. @returns what -V prints instead of anything else, or "" */
export function readOptions(ip: IpOptions, args: Args): string {
  for (; args.word.startsWith("-") && args.word !== "-"; args.at++) {
    const word = args.word.startsWith("--") ? args.word.substring(1) : args.word;
    const known = word === "-b" ? undefined : SWITCHES.find(([name]) => matches(word, name));
    if (matches(word, "-loops")) optionValue(args);
    else if (matches(word, "-family")) {
      if (optionValue(args) !== "inet") throw new CommandEnd(255, `Error: argument "${args.word}" is wrong: invalid protocol family\n`);
      ip.family = AF_INET;
    } else if (word === "-4") ip.family = AF_INET;
    else if (matches(word, "-statistics") || matches(word, "-stats")) ip.stats++;
    else if (known !== undefined) ip[known[1]] = true;
    else if (IDLE.some((name) => matches(word, name))) continue;
    else if (matches(word, "-rcvbuf")) {
      if (parseNumber(optionValue(args)) < 0) throw new CommandEnd(255, `Invalid rcvbuf size '${args.word}'\n`);
    } else if (matches(word, "-Version")) {
      return "ip utility, linnet (as of iproute2-6.1.0)\n";
    } else if (matches(word, "-help")) throw new CommandEnd(255, IP_USAGE);
    else throw new CommandEnd(255, `Option "${word}" is unknown, try "ip -help".\n`);
  }
  ip.timestamp ||= ip.timestampShort;
  return "";
}
