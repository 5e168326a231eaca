/**
 * `iptables`, `iptables-save`, `iptables-restore`: the rules of netfilter's tables in the words of the real tools, through setsockopt()
 * only. Their counterparts are iptables.c, iptables-save.c and iptables-restore.c of iptables 1.8 (legacy), and libiptc.
 */
import type { Net } from "../stack/core/net.ts";
import { E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM, ENOPROTOOPT } from "../uapi/errno.ts";
import { CommandEnd, type Output, splitWords } from "./command.ts";
import { PROGRAM, problem } from "./iptables-errors.ts";
import { type IptablesCommand, parseIptables } from "./iptables-parse.ts";
import { listChain, saveChains, saveTable } from "./iptables-print.ts";
import { Chain, isVerdict, readTable, Rule, sameRule, TABLE_NAMES, type TableSet, writeTable } from "./iptables-set.ts";
import { strerror } from "./strerror.ts";

/** What the number of a rule is for, by the command's letter. */
const INDEXED: Readonly<Record<string, string>> = Object.freeze({ I: "insertion", R: "replacement", D: "deletion", Z: "counter" });
const FAILED = 1;
const BAD_TABLE = 3;

const USAGE = `${PROGRAM}

Usage: iptables [-t table] -[ACD] chain rule [options]
       iptables [-t table] -I chain [number] rule, -R chain number rule, -D chain number
       iptables [-t table] -[LS] [chain [number]] [-nvx] [--line-numbers]
       iptables [-t table] -[FZ] [chain], -N chain, -X [chain], -E old new, -P chain ACCEPT|DROP
Rule:  [!] -p proto, [!] -s addr[/mask], [!] -d addr[/mask], [!] -i dev, [!] -o dev, [!] -f, -m match, -j target, -g chain, -c packets bytes
`;

/** Why a command failed. Linux: iptc_strerror(). */
function reasonOf(letter: string, err: number): string {
  if (err === -E2BIG) return `Index of ${INDEXED[letter]} too big`;
  if (err === -ENOENT && (letter === "D" || letter === "C")) return "Bad rule (does a matching rule exist in that chain?)";
  if (err === -ENOENT && letter === "P") return "Bad built-in chain name";
  if (err === -EINVAL && letter === "P") return "Bad policy name";
  if (err === -EEXIST && letter === "N") return "Chain already exists";
  if (err === -ENOMEM) return "Memory allocation problem";
  if (err === -ENOENT) return "No chain/target/match by that name";
  return strerror(err);
}

function fail(letter: string, err: number): never {
  const hint = err === -EINVAL ? " Run `dmesg' for more information." : "";
  failWith(`${reasonOf(letter, err)}.${hint}`);
}

function failWith(reason: string): never {
  throw new CommandEnd(FAILED, `iptables: ${reason}\n`);
}

/** A table by its name. */
function open(net: Net, name: string): TableSet {
  const table = TABLE_NAMES.indexOf(name);
  const set = table < 0 ? -ENOENT : readTable(net, table);
  if (typeof set !== "number") return set;
  const why = set === -ENOENT ? "Table does not exist (do you need to insmod?)"
    : set === -ENOPROTOOPT ? "iptables who? (do you need to insmod?)" : strerror(set);
  throw new CommandEnd(
    BAD_TABLE, `${PROGRAM}: can't initialize iptables table \`${name}': ${why}\nPerhaps iptables or your kernel needs to be upgraded.\n`,
  );
}

/** A chain that must be there. */
function chainOf(set: TableSet, command: IptablesCommand): Chain {
  return set.chain(command.chain) ?? fail("", -ENOENT);
}

/** The rules a command stands for: one for each source and destination. */
function rulesOf(command: IptablesCommand): Rule[] {
  return command.sources.flatMap(([src, smsk]) =>
    command.destinations.map(([dst, dmsk]) => Object.assign(new Rule(), structuredCopy(command.rule), { src, smsk, dst, dmsk })));
}

function structuredCopy(rule: Rule): Rule {
  return { ...rule, matches: rule.matches.map(({ type, data }) => ({ type, data: [...data] })) };
}

/** Is what the rule jumps to there? */
function checkJump(set: TableSet, rule: Rule): void {
  if (rule.target !== null || rule.jump === "" || isVerdict(rule.jump)) return;
  const chain = set.chain(rule.jump);
  if (chain === undefined) problem(`Couldn't load target \`${rule.jump}':No such file or directory\n`);
  if (chain.hook >= 0) fail("", -EINVAL);
}

function changeRules(set: TableSet, command: IptablesCommand): void {
  const rules = rulesOf(command);
  for (const rule of rules) checkJump(set, rule);
  const chain = chainOf(set, command);
  const { letter, number } = command;
  if ((letter === "I" && number > chain.rules.length + 1) || (("RD".includes(letter)) && number > chain.rules.length)) {
    fail(letter, -E2BIG);
  }
  if (letter === "A") chain.rules.push(...rules);
  else if (letter === "I") chain.rules.splice(number - 1, 0, ...rules.reverse());
  else if (letter === "R") {
    if (rules.length > 1) problem("Replacement rule does not specify a unique address");
    chain.rules.splice(number - 1, 1, rules[0]!);
  } else if (number > 0) chain.rules.splice(number - 1, 1);
  else {
    for (const rule of rules) {
      const at = chain.rules.findIndex((other) => sameRule(rule, other));
      if (at < 0) fail(letter, -ENOENT);
      if (letter === "D") chain.rules.splice(at, 1);
    }
  }
}

/** The chains a command is about: the named one, or all. */
function chainsOf(set: TableSet, command: IptablesCommand): Chain[] {
  return command.chain === "" ? set.chains : [chainOf(set, command)];
}

function newChain(set: TableSet, name: string): void {
  if (set.chain(name) !== undefined) fail("N", -EEXIST);
  set.chains.push(new Chain(name));
  sortChains(set);
}

/** Users' chains by their names, behind the others. */
function sortChains(set: TableSet): void {
  const order = ({ hook, name }: Chain): string => (hook < 0 ? `b${name}` : `a${hook}`);
  set.chains.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

function deleteChains(set: TableSet, command: IptablesCommand): void {
  const wanted = command.chain === "" ? set.chains.filter(({ hook }) => hook < 0) : [chainOf(set, command)];
  for (const chain of wanted) {
    if (chain.hook >= 0) fail("X", -EINVAL);
    if (set.references(chain.name) > 0) failWith("Too many links.");
    if (chain.rules.length > 0) failWith("Directory not empty.");
  }
  set.chains = set.chains.filter((chain) => !wanted.includes(chain));
}

function setPolicy(set: TableSet, command: IptablesCommand): void {
  const chain = set.chain(command.chain);
  if (chain === undefined || chain.hook < 0) return fail("P", -ENOENT);
  if (command.second !== "ACCEPT" && command.second !== "DROP") fail("P", -EINVAL);
  chain.policy = command.second;
  [chain.packets, chain.bytes] = command.counters ?? [0, 0];
}

function zero(set: TableSet, command: IptablesCommand): void {
  for (const chain of chainsOf(set, command)) {
    if (command.number > chain.rules.length) fail("Z", -E2BIG);
    const counted = command.number > 0 ? [chain.rules[command.number - 1]!] : [chain, ...chain.rules];
    for (const counters of counted) counters.packets = counters.bytes = 0;
  }
}

function rename(set: TableSet, command: IptablesCommand): void {
  const chain = chainOf(set, command);
  if (set.chain(command.second) !== undefined) fail("E", -EEXIST);
  if (chain.hook >= 0) fail("E", -ENOENT);
  for (const { rules } of set.chains) for (const rule of rules) if (rule.jump === chain.name) rule.jump = command.second;
  chain.name = command.second;
  sortChains(set);
}

/** Changes the set; does it want to be written? */
function change(set: TableSet, command: IptablesCommand): boolean {
  switch (command.letter) {
    case "A": case "I": case "R": case "D": changeRules(set, command); break;
    case "C": changeRules(set, command); return false;
    case "F": for (const chain of chainsOf(set, command)) chain.rules = []; break;
    case "Z": zero(set, command); break;
    case "N": newChain(set, command.chain); break;
    case "X": deleteChains(set, command); break;
    case "P": setPolicy(set, command); break;
    case "E": rename(set, command); break;
    default: return false;
  }
  return true;
}

/** Does what the words say; the exit status. */
export function iptablesMain(net: Net, words: readonly string[], out: Output): number {
  if (words.includes("-V") || words.includes("--version")) {
    out.text += `${PROGRAM}\n`;
    return 0;
  }
  if (words.includes("-h") || words.includes("--help")) {
    out.text += USAGE;
    return 0;
  }
  const command = parseIptables(words);
  const set = open(net, command.table);
  if (command.letter === "S") {
    out.text += saveChains(set, chainsOf(set, command), command.number, command.verbose);
  } else if (command.letter === "L") {
    out.text += chainsOf(set, command).map((chain) => listChain(set, chain, command.number, command)).join("\n");
  } else if (change(set, command)) {
    const err = writeTable(net, set);
    if (err < 0) fail(command.letter, err);
  }
  return 0;
}

/** `iptables-save [-c] [-t TABLE]`: all tables, the last of the packet's way first. */
export function iptablesSaveMain(net: Net, words: readonly string[], out: Output, now: string): number {
  const only = words.includes("-t") ? words[words.indexOf("-t") + 1] : undefined;
  const names = only === undefined ? TABLE_NAMES : [only];
  for (const name of names) {
    const set = only === undefined ? readTable(net, TABLE_NAMES.indexOf(name)) : open(net, name);
    if (typeof set === "number") continue;
    const on = now === "" ? "" : ` on ${now}`;
    out.text += `# Generated by iptables-save v1.8.9${on}\n${saveTable(set, name, words.includes("-c"))}# Completed${on}\n`;
  }
  return 0;
}

/**
 * `iptables-restore [-c] [-n]`: tables as iptables-save writes them, each replaced as a whole. @param input what is on standard input
 */
export function iptablesRestoreMain(net: Net, words: readonly string[], input: string, out: Output): number {
  const counters = words.includes("-c") || words.includes("--counters");
  const keep = words.includes("-n") || words.includes("--noflush");
  let set: TableSet | null = null;
  let table = "";
  const lines = input.split("\n");
  for (let n = 0; n < lines.length; n++) {
    const line = lines[n]!.trim();
    const where = (text: string): never => {
      throw new CommandEnd(2, `iptables-restore v1.8.9 (legacy): ${text}\nError occurred at line: ${n + 1}\nTry \`iptables-restore -h' or 'iptables-restore --help' for more information.\n`);
    };
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("*")) {
      table = line.substring(1);
      set = open(net, table);
      if (!keep) {
        set.chains = set.chains.filter(({ hook }) => hook >= 0);
        for (const chain of set.chains) chain.rules = [];
      }
    } else if (set === null) {
      return where(`Line ${n + 1} seems to have a -t table option.`);
    } else if (line === "COMMIT") {
      const err = writeTable(net, set);
      if (err < 0) throw new CommandEnd(FAILED, `iptables-restore: line ${n + 1} failed\n`);
      set = null;
    } else if (line.startsWith(":")) {
      const [name, policy, counts] = line.substring(1).split(/ +/) as [string, string | undefined, string | undefined];
      let chain: Chain | undefined = set.chain(name);
      if (chain === undefined) {
        newChain(set, name);
        chain = set.chain(name)!;
      }
      chain.rules = [];
      if (policy !== undefined && policy !== "-" && chain.hook >= 0) chain.policy = policy;
      const match = counters ? /^\[(\d+):(\d+)\]$/.exec(counts ?? "") : null;
      [chain.packets, chain.bytes] = match === null ? [0, 0] : [Number(match[1]), Number(match[2])];
    } else {
      restoreRule(set, line, counters, where);
    }
  }
  if (set !== null) throw new CommandEnd(FAILED, "iptables-restore: COMMIT expected at line " + lines.length + "\n");
  return out.text === "" ? 0 : FAILED;
}

function restoreRule(set: TableSet, line: string, counters: boolean, where: (text: string) => never): void {
  const counted = /^\[(\d+):(\d+)\] */.exec(line);
  const words = splitWords(counted === null ? line : line.substring(counted[0].length));
  if (words.includes("-t")) where("The -t option cannot be used in iptables-restore.");
  const command = parseIptables(words);
  if (counters && counted !== null) {
    command.rule.packets = Number(counted[1]);
    command.rule.bytes = Number(counted[2]);
  }
  change(set, command);
}
