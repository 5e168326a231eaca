/** The words of `conntrack`: which command, and which connections it is about. conntrack-tools' counterpart is the option parser of conntrack.c. */
import { maskOf, parseAton } from "./net-tools.ts";

type Wrong = (complaint: string) => never;

/** What was said. */
export interface Choice {
  /** The command's letter. */
  readonly command: string;
  /** conntrack, expect, dying or unconfirmed. */
  readonly table: string;
  readonly family: string;
  /** id, extended and others. */
  readonly output: readonly string[];
  /** The value of every other option, by the name in OPTIONS; "" where it has none. */
  readonly options: ReadonlyMap<string, string>;
}

const COMMANDS: Readonly<Record<string, string>> = Object.freeze({
  "-L": "L", "--dump": "L", "-G": "G", "--get": "G", "-D": "D", "--delete": "D", "-F": "F", "--flush": "F", "-C": "C", "--count": "C",
  "-S": "S", "--stats": "S", "-V": "V", "--version": "V",
});
const TABLES: readonly string[] = Object.freeze(["conntrack", "expect", "dying", "unconfirmed"]);
/** An option's name in complaints, and what it is called. */
const OPTIONS: Readonly<Record<string, string>> = Object.freeze({
  "-s": "src", "--src": "src", "--orig-src": "src", "-d": "dst", "--dst": "dst", "--orig-dst": "dst", "-r": "reply-src",
  "--reply-src": "reply-src", "-q": "reply-dst", "--reply-dst": "reply-dst", "-p": "protonum", "--protonum": "protonum", "-f": "family",
  "--family": "family", "-u": "status", "--status": "status", "-o": "output", "--output": "output", "-m": "mark", "--mark": "mark",
  "-n": "src-nat", "--src-nat": "src-nat", "-g": "dst-nat", "--dst-nat": "dst-nat", "-j": "any-nat", "--any-nat": "any-nat",
  "-e": "event-mask", "--event-mask": "event-mask",
});
/** Options whose value may be left out. */
const OPTIONAL: readonly string[] = Object.freeze(["src-nat", "dst-nat", "any-nat"]);
const PORT_OPTIONS: Readonly<Record<string, string>> = Object.freeze({
  "--sport": "sport", "--orig-port-src": "sport", "--dport": "dport", "--orig-port-dst": "dport", "--reply-port-src": "reply-sport",
  "--reply-port-dst": "reply-dport",
});
/** What only some protocols have. */
const MORE: Readonly<Record<string, Readonly<Record<string, string>>>> = Object.freeze({
  6: Object.freeze({ ...PORT_OPTIONS, "--state": "state" }),
  17: PORT_OPTIONS,
  1: Object.freeze({ "--icmp-type": "type", "--icmp-code": "code", "--icmp-id": "id" }),
});
const PROTOCOLS: Readonly<Record<string, number>> = Object.freeze({ tcp: 6, udp: 17, icmp: 1, sctp: 132, dccp: 33, udplite: 136, gre: 47 });
const TCP_STATES: readonly string[] = Object.freeze([
  "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "LISTEN",
]);
const STATUSES: readonly string[] = Object.freeze(["ASSURED", "SEEN_REPLY", "UNSET", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "UNREPLIED"]);
const OUTPUTS: readonly string[] = Object.freeze(["xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save"]);
const FAMILIES: readonly string[] = Object.freeze(["ipv4", "ipv6"]);
const ADDRESSES: readonly string[] = Object.freeze(["src", "dst", "reply-src", "reply-dst", "src-nat", "dst-nat", "any-nat"]);
/** Addresses with which a prefix length may stand. */
const PREFIXES: readonly string[] = Object.freeze(["src", "dst"]);
/** Commands that choose. */
const CHOOSING = "LGD";

function protocolOf(text: string, wrong: Wrong): string {
  const named = PROTOCOLS[text.toLowerCase()];
  if (named !== undefined) return String(named);
  return /^[0-9]+$/.test(text) && Number(text) <= 255 ? String(Number(text)) : wrong(`\`${text}' unsupported protocol`);
}

/** @returns the value as chosenBy() takes it */
function checked(name: string, value: string, wrong: Wrong): string {
  if (name === "protonum") return protocolOf(value, wrong);
  if (name === "family") return FAMILIES.includes(value) ? value : wrong(`\`${value}' unsupported protocol`);
  if (name === "state") return TCP_STATES.includes(value) ? value : wrong(`unknown TCP state \`${value}'`);
  if (name === "status" || name === "output") {
    const known = name === "status" ? STATUSES : OUTPUTS;
    for (const word of value.split(",")) if (!known.includes(word)) wrong(`Bad parameter \`${value}'`);
  }
  if (ADDRESSES.includes(name) && value !== "") {
    const slash = value.indexOf("/");
    const addr = parseAton(slash < 0 ? value : value.substring(0, slash));
    if (addr === null) wrong(`Invalid IP address \`${value}'`);
    if (slash >= 0 && !PREFIXES.includes(name)) wrong(`CIDR notation unavailable for \`--${name}'`);
    const length = slash < 0 ? 32 : Number(value.substring(slash + 1));
    if (!(length >= 0 && length <= 32)) wrong("Invalid netmask");
    return `${addr}/${length}`;
  }
  return value;
}

/** Is a word the value of the one before it? */
function isValue(word: string | undefined): word is string {
  return word !== undefined && !word.startsWith("-");
}

/** @param wrong throws the complaint */
export function readChoice(words: readonly string[], wrong: Wrong): Choice {
  const options = new Map<string, string>();
  let [command, table, at] = ["", "conntrack", 0];
  while (at < words.length) {
    const word = words[at++]!;
    const letter = COMMANDS[word];
    if (letter !== undefined) {
      if (command !== "") wrong("Invalid commands combination");
      command = letter;
      if (isValue(words[at])) {
        table = words[at++]!;
        if (!TABLES.includes(table)) wrong(`unknown type \`${table}'`);
      }
      continue;
    }
    // A word that belongs to nothing is passed over.
    if (!word.startsWith("-")) continue;
    const name = OPTIONS[word] ?? MORE[options.get("protonum") ?? ""]?.[word];
    if (name === undefined) wrong(`unknown option \`${word}'`);
    let value = "";
    if (!OPTIONAL.includes(name)) {
      if (at === words.length) wrong(`option \`${word}' requires an argument`);
      value = words[at++]!;
    } else if (isValue(words[at])) {
      value = words[at++]!;
    }
    options.set(name, checked(name, value, wrong));
  }
  if (command === "") wrong(words.length === 0 ? "You need to supply a command" : `unknown option \`${words[0]!}'`);
  const [first] = [...options.keys()];
  if (first !== undefined && (!CHOOSING.includes(command) || options.has("event-mask"))) {
    wrong(`Illegal option \`--${options.has("event-mask") ? "event-mask" : first}' with this command`);
  }
  if (command === "G") needTuple(options, wrong);
  return { command, table, family: options.get("family") ?? "ipv4", output: (options.get("output") ?? "").split(","), options };
}

/** Who asks for one connection says its tuple. */
function needTuple(options: ReadonlyMap<string, string>, wrong: Wrong): void {
  const protocol = options.get("protonum") ?? wrong("You need to supply the `--protonum' option for this command");
  if (!options.has("src") || !options.has("dst")) wrong("you have to specify `--src' and `--dst'");
  if ((protocol === "6" || protocol === "17") && (!options.has("sport") || !options.has("dport"))) {
    wrong("you have to specify `--sport' and `--dport'");
  }
}

/** Is a connection, a line of /proc/net/nf_conntrack, one of those that were chosen? */
export function chosenBy(choice: Choice, line: string): boolean {
  const words = line.split(/ +/);
  const fields = new Map<string, string>();
  for (const word of words) {
    const [name, value] = word.split("=") as [string, string | undefined];
    if (value !== undefined) fields.set(fields.has(name) ? `reply-${name}` : name, value);
  }
  const replied = !words.includes("[UNREPLIED]");
  const sourceChanged = fields.get("src") !== fields.get("reply-dst");
  const destChanged = fields.get("dst") !== fields.get("reply-src");
  for (const [name, value] of choice.options) {
    if (name === "protonum") {
      if (words[3] !== value) return false;
    } else if (name === "state") {
      if (words[5] !== value) return false;
    } else if (name === "status") {
      const is = (status: string): boolean =>
        status === "ASSURED" ? words.includes("[ASSURED]") : status === "SEEN_REPLY" ? replied : status === "UNREPLIED" && !replied;
      if (!value.split(",").every(is)) return false;
    } else if (name === "src-nat" || name === "dst-nat" || name === "any-nat") {
      const source = name !== "dst-nat" && sourceChanged && within(fields.get("reply-dst")!, value);
      const dest = name !== "src-nat" && destChanged && within(fields.get("reply-src")!, value);
      if (!source && !dest) return false;
    } else if (ADDRESSES.includes(name)) {
      if (!within(fields.get(name)!, value)) return false;
    } else if (fields.has(name) && Number(fields.get(name)) !== Number(value)) {
      return false;
    }
  }
  return true;
}

/** @param range an address as a number, and a prefix length; "" for all */
function within(text: string, range: string): boolean {
  if (range === "") return true;
  const [addr, length] = range.split("/").map(Number) as [number, number];
  return ((parseAton(text)! ^ addr) & maskOf(length)) === 0;
}
