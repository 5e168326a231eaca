/**
 * iptables' command line: one command, the rule it is about, and how to show things. iptables' counterpart is do_parse() of
 * iptables/xshared.c. Allocates.
 */
import {
  IPT_F_FRAG, IPT_F_GOTO, IPT_INV_DSTIP, IPT_INV_FRAG, IPT_INV_PROTO, IPT_INV_SRCIP, IPT_INV_VIA_IN, IPT_INV_VIA_OUT,
} from "../uapi/ip-tables.ts";
import { parseNumber } from "./command.ts";
import { parseAddr, parseMask } from "./inet-text.ts";
import { badArgument, problem } from "./iptables-errors.ts";
import { MATCH_KINDS, type MatchKind } from "./iptables-matches.ts";
import { type Extension, isVerdict, Rule } from "./iptables-set.ts";
import { TARGET_KINDS, type TargetKind } from "./iptables-targets.ts";
import { protoByName } from "./netdb.ts";

/** Long names of commands and options. */
const LONG: Readonly<Record<string, string>> = Object.freeze({
  "--append": "-A", "--check": "-C", "--delete": "-D", "--insert": "-I", "--replace": "-R", "--list": "-L", "--list-rules": "-S",
  "--flush": "-F", "--zero": "-Z", "--new-chain": "-N", "--new": "-N", "--delete-chain": "-X", "--policy": "-P", "--rename-chain": "-E",
  "--table": "-t", "--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d",
  "--in-interface": "-i", "--out-interface": "-o", "--jump": "-j", "--goto": "-g", "--match": "-m", "--fragments": "-f",
  "--numeric": "-n", "--verbose": "-v", "--exact": "-x", "--set-counters": "-c", "--wait": "-w", "--help": "-h", "--version": "-V",
});
const COMMANDS = "ACDIRLSFZNXPE";
/** Commands that take a rule. */
const RULE_COMMANDS = "ACDIR";
const CHAIN_MAX = 28;
const IFNAME_MAX = 15;

/** What a command line says. */
export class IptablesCommand {
  /** Letter of the command; "" before it has been met. */
  letter = "";
  table = "filter";
  chain = "";
  /** The new name (-E) or policy (-P). */
  second = "";
  /** Number of a rule, from 1; 0 for none. */
  number = 0;
  readonly rule = new Rule();
  /** Sources and destinations, each [address, mask]: the rule is made for each pair. */
  sources: [number, number][] = [[0, 0]];
  destinations: [number, number][] = [[0, 0]];
  numeric = false;
  verbose = false;
  exact = false;
  lineNumbers = false;
  /** -c */
  counters: [number, number] | null = null;
  /** Options of a rule that were given, as -L complains of them. */
  ruleOptions: string[] = [];
}

/** A match or target that is being read. */
interface Loaded {
  readonly kind: MatchKind | TargetKind;
  readonly ext: { type: number; data: number[] };
}

function chainName(word: string): string {
  if (word.length > CHAIN_MAX) problem(`chain name \`${word}' too long (must be under ${CHAIN_MAX + 1} chars)`);
  if (word.startsWith("-") || word.startsWith("!")) problem(`chain name not allowed to start with \`${word.charAt(0)}'\n`.trimEnd());
  if (isVerdict(word)) problem("chain name may not clash with target name");
  return word;
}

/** "10.0.0.0/8,1.2.3.4": each address cut to its mask. */
function hosts(text: string): [number, number][] {
  return text.split(",").map((word) => {
    const slash = word.indexOf("/");
    const host = slash < 0 ? word : word.substring(0, slash);
    let mask = -1;
    if (slash >= 0) {
      const length = parseMask(word.substring(slash + 1));
      const dotted = parseAddr(word.substring(slash + 1));
      if (length !== null) mask = length === 0 ? 0 : -1 << (32 - length);
      else if (dotted !== null && word.substring(slash + 1).includes(".")) mask = dotted;
      else problem(`invalid mask \`${word.substring(slash + 1)}' specified`);
    }
    const addr = host === "localhost" ? 0x7f000001 : parseAddr(host);
    if (addr === null || (slash < 0 && host !== "localhost" && host.split(".").length !== 4)) return problem(`host/network \`${host}' not found`);
    return [addr & mask, mask];
  });
}

function protocol(word: string): number {
  const named = protoByName(word);
  const number = named >= 0 ? named : parseNumber(word, 255);
  if (number < 0) problem(`unknown protocol "${word}" specified`);
  return number;
}

function device(word: string): string {
  if (word === "") problem("Empty interface is likely to be undesired");
  if (word.length > IFNAME_MAX) problem(`interface name \`${word}' must be shorter than IFNAMSIZ (${IFNAME_MAX})`);
  return word === "+" ? "" : word;
}

function ruleNumber(word: string): number {
  const number = parseNumber(word, 0x7fffffff);
  if (number < 1) problem(`Invalid rule number \`${word}'`);
  return number;
}

class Parser {
  readonly command = new IptablesCommand();
  private readonly words: readonly string[];
  private at = 0;
  private readonly matches: Loaded[] = [];
  private target: Loaded | null = null;
  /** Options of the target that were given, by their whole names. */
  private readonly targetOptions: string[] = [];

  constructor(words: readonly string[]) {
    this.words = words;
  }

  /** The word behind an option, which must be there. */
  private value(option: string): string {
    const word = this.words[this.at];
    if (word === undefined) return problem(`option "${option}" requires an argument`);
    this.at++;
    return word;
  }

  /** The next word when it is no option. */
  private optional(): string | undefined {
    const word = this.words[this.at];
    if (word === undefined || word.startsWith("-") || word === "!") return undefined;
    this.at++;
    return word;
  }

  parse(): IptablesCommand {
    let inverted = false;
    while (this.at < this.words.length) {
      const word = this.words[this.at++]!;
      if (word === "!") {
        if (inverted) problem("Multiple consecutive ! not allowed");
        inverted = true;
        continue;
      }
      if (!word.startsWith("-") || word === "-") badArgument(word);
      this.option(word, inverted);
      inverted = false;
    }
    if (this.command.letter === "") problem("no command specified");
    this.finish();
    return this.command;
  }

  private option(word: string, inverted: boolean): void {
    if (!word.startsWith("--") && word.length > 2 && COMMANDS.includes(word.charAt(1)) === false && /^-[nvxw]+$/.test(word)) {
      for (const letter of word.substring(1)) this.common(`-${letter}`, false);
      return;
    }
    // "-nL": flags in front of a command.
    const cluster = /^-([nvx]+)([A-Z])$/.exec(word) ?? null;
    if (cluster !== null) {
      for (const letter of cluster[1]!) this.common(`-${letter}`, false);
      this.setCommand(cluster[2]!);
      return;
    }
    const after = /^-([LS])([nvx]+)$/.exec(word);
    if (after !== null) {
      for (const letter of after[2]!) this.common(`-${letter}`, false);
      this.setCommand(after[1]!);
      return;
    }
    const option = LONG[word] ?? word;
    if (option.length === 2 && COMMANDS.includes(option.charAt(1))) {
      if (inverted) problem("unexpected ! flag before " + word);
      this.setCommand(option.charAt(1));
    } else if (!this.common(option, inverted) && !this.extension(option, inverted)) {
      problem(`unknown option "${word}"`);
    }
  }

  private setCommand(letter: string): void {
    const { command } = this;
    if (command.letter !== "") {
      // -L -Z and the like are one.
      if (!(letter === "Z" && "LS".includes(command.letter))) problem(`Cannot use -${letter} with -${command.letter}`);
      return;
    }
    command.letter = letter;
    if (RULE_COMMANDS.includes(letter) || letter === "N" || letter === "P" || letter === "E") {
      const chain = this.value(`-${letter}`);
      command.chain = letter === "N" ? chainName(chain) : chain;
    } else {
      command.chain = this.optional() ?? "";
    }
    if (letter === "R") {
      const number = this.optional();
      if (number === undefined) problem("-R requires a rule number");
      command.number = ruleNumber(number);
    } else if ("DILSZ".includes(letter) && command.chain !== "") {
      const number = this.optional();
      if (number !== undefined) command.number = ruleNumber(number);
      else if (letter === "I") command.number = 1;
    } else if (letter === "P" || letter === "E") {
      const second = this.optional();
      if (second === undefined) problem(letter === "P" ? "-P requires a chain and a policy" : "-E requires old-chain-name and new-chain-name");
      command.second = letter === "E" ? chainName(second) : second;
    }
  }

  /** Options that every rule and command has. */
  private common(option: string, inverted: boolean): boolean {
    const { command } = this;
    const { rule } = command;
    const invert = (bit: number): void => {
      if (command.ruleOptions.includes(option)) problem(`multiple ${option} flags not allowed`);
      command.ruleOptions.push(option);
      if (inverted) rule.inverted |= bit;
    };
    switch (option) {
      case "-t": command.table = this.value(option); return true;
      case "-n": command.numeric = true; return true;
      case "-v": command.verbose = true; return true;
      case "-x": command.exact = true; return true;
      case "-w": if (/^\d+$/.test(this.words[this.at] ?? "")) this.at++; return true;
      case "--line-numbers": command.lineNumbers = true; return true;
      case "-c": command.counters = [Number(this.value(option)), Number(this.value(option))]; return true;
      case "-s":
        invert(IPT_INV_SRCIP);
        command.sources = hosts(this.value(option));
        if (inverted && command.sources.length > 1) problem("! not allowed with multiple source IP addresses");
        return true;
      case "-d":
        invert(IPT_INV_DSTIP);
        command.destinations = hosts(this.value(option));
        if (inverted && command.destinations.length > 1) problem("! not allowed with multiple destination IP addresses");
        return true;
      case "-p":
        invert(IPT_INV_PROTO);
        rule.proto = protocol(this.value(option));
        if (rule.proto === 0 && inverted) problem("rule would never match protocol");
        return true;
      case "-i":
        invert(IPT_INV_VIA_IN);
        rule.inDev = device(this.value(option));
        return true;
      case "-o":
        invert(IPT_INV_VIA_OUT);
        rule.outDev = device(this.value(option));
        return true;
      case "-f":
        invert(IPT_INV_FRAG);
        rule.flags |= IPT_F_FRAG;
        return true;
      case "-j":
      case "-g":
        command.ruleOptions.push(option);
        this.jump(option, this.value(option));
        return true;
      case "-m":
        this.loadMatch(this.value(option));
        return true;
      default:
        return false;
    }
  }

  private jump(option: string, name: string): void {
    const { rule } = this.command;
    const kind = TARGET_KINDS.find((known) => known.name === name);
    if (option === "-g") rule.flags |= IPT_F_GOTO;
    if (kind !== undefined && option === "-j") this.target = { kind, ext: { type: kind.type, data: [...kind.empty] } };
    else rule.jump = name;
  }

  private loadMatch(name: string): Loaded {
    const kind = MATCH_KINDS.find((known) => known.name === name);
    if (kind === undefined) return problem(`Couldn't load match \`${name}':No such file or directory\n`);
    const loaded = { kind, ext: { type: kind.type, data: [...kind.empty] } };
    this.matches.push(loaded);
    return loaded;
  }

  /** An option of the target or of a match, or of the match that belongs to the protocol. */
  private extension(option: string, inverted: boolean): boolean {
    const value = (): string => this.value(option);
    if (this.target !== null && this.targetTakes(this.target.kind as TargetKind, this.target.ext.data, option, value)) return true;
    for (let i = this.matches.length - 1; i >= 0; i--) {
      const { kind, ext } = this.matches[i]!;
      if ((kind as MatchKind).parse(ext.data, option, inverted, value)) return true;
    }
    const { rule } = this.command;
    const implied = MATCH_KINDS.find(({ proto }) => proto !== 0 && proto === rule.proto && (rule.inverted & IPT_INV_PROTO) === 0);
    if (implied === undefined || this.matches.some(({ kind }) => kind === implied)) return false;
    const data = [...implied.empty];
    if (!implied.parse(data, option, inverted, value)) return false;
    this.matches.push({ kind: implied, ext: { type: implied.type, data } });
    return true;
  }

  /** The target's own options, which may be cut short where that leaves no doubt. */
  private targetTakes(kind: TargetKind, data: number[], word: string, value: () => string): boolean {
    const { options } = kind;
    const meant = options?.includes(word) === false && word.length > 2 ? options.filter((name) => name.startsWith(word)) : [];
    const option = meant.length === 1 ? meant[0]! : word;
    if (options?.includes(option) === true && this.targetOptions.includes(option)) {
      problem(`${kind.name}: option "${option}" can only be used once.\n`);
    }
    if (!kind.parse(data, option, value, this.command.rule.proto)) return false;
    this.targetOptions.push(option);
    return true;
  }

  private finish(): void {
    const { command } = this;
    const { rule } = command;
    if (command.table === "nat" && (rule.jump === "DROP" || (command.letter === "P" && command.second === "DROP"))) {
      problem('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n');
    }
    for (const { kind, ext } of this.matches) (kind as MatchKind).finish?.(ext.data, rule.proto);
    if (this.target !== null) {
      const kind = this.target.kind as TargetKind;
      const { needsOption } = kind;
      if (needsOption === true && this.targetOptions.length === 0) problem(`${kind.name}: An action is required`);
      if (typeof needsOption === "string" && !this.targetOptions.includes(needsOption)) {
        problem(`${kind.name}: option "${needsOption}" must be specified\n`);
      }
      rule.target = this.target.ext;
    }
    rule.matches = this.matches.map(({ ext }): Extension => ext);
    if (!RULE_COMMANDS.includes(command.letter)) {
      const extra = command.ruleOptions[0] ?? (this.matches.length > 0 ? "-m" : undefined);
      if (extra !== undefined) problem(`Illegal option \`${extra}' with this command`);
    }
    if (RULE_COMMANDS.includes(command.letter)) {
      if ((command.chain === "PREROUTING" || command.chain === "INPUT") && rule.outDev !== "") problem(`Can't use -o with ${command.chain}\n`);
      if ((command.chain === "POSTROUTING" || command.chain === "OUTPUT") && rule.inDev !== "") problem(`Can't use -i with ${command.chain}\n`);
      if (command.counters !== null) [rule.packets, rule.bytes] = command.counters;
    }
  }
}

/** Reads a command line. @throws CommandEnd with iptables' complaint and status */
export function parseIptables(words: readonly string[]): IptablesCommand {
  return new Parser(words).parse();
}
