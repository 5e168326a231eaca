/** How iptables shows rules: -S and iptables-save as options, -L as a table. iptables' counterpart is iptables.c. Allocates. */
import {
  IPT_F_FRAG, IPT_F_GOTO, IPT_INV_DSTIP, IPT_INV_FRAG, IPT_INV_PROTO, IPT_INV_SRCIP, IPT_INV_VIA_IN, IPT_INV_VIA_OUT,
} from "../uapi/ip-tables.ts";
import { formatAddr } from "./inet-text.ts";
import { matchKind } from "./iptables-matches.ts";
import type { Chain, Counters, Rule, TableSet } from "./iptables-set.ts";
import { targetKind } from "./iptables-targets.ts";
import { protoByNumber } from "./netdb.ts";

export interface ListFormat {
  readonly numeric: boolean;
  readonly verbose: boolean;
  readonly exact: boolean;
  readonly lineNumbers: boolean;
}

/** "/8", or the mask where it is none of a prefix. */
function maskText(mask: number): string {
  const length = Math.clz32(~mask);
  return mask === (length === 0 ? 0 : -1 << (32 - length)) ? `/${length}` : `/${formatAddr(mask)}`;
}

/** The target of a rule as an option. */
function saveTarget(rule: Rule): string {
  if (rule.target !== null) {
    const kind = targetKind(rule.target.type);
    return ` -j ${kind.alias?.(rule.target.data) ?? kind.name}${kind.save(rule.target.data)}`;
  }
  return rule.jump === "" ? "" : ` -${(rule.flags & IPT_F_GOTO) !== 0 ? "g" : "j"} ${rule.jump}`;
}

/** "-A CHAIN …". Linux: print_rule4(). */
export function saveRule(chain: string, rule: Rule): string {
  const not = (bit: number): string => ((rule.inverted & bit) !== 0 ? " !" : "");
  let text = `-A ${chain}`;
  if (rule.smsk !== 0 || not(IPT_INV_SRCIP)) text += `${not(IPT_INV_SRCIP)} -s ${formatAddr(rule.src)}${maskText(rule.smsk)}`;
  if (rule.dmsk !== 0 || not(IPT_INV_DSTIP)) text += `${not(IPT_INV_DSTIP)} -d ${formatAddr(rule.dst)}${maskText(rule.dmsk)}`;
  if (rule.inDev !== "") text += `${not(IPT_INV_VIA_IN)} -i ${rule.inDev}`;
  if (rule.outDev !== "") text += `${not(IPT_INV_VIA_OUT)} -o ${rule.outDev}`;
  if (rule.proto !== 0) text += `${not(IPT_INV_PROTO)} -p ${protoByNumber(rule.proto) ?? rule.proto}`;
  if ((rule.flags & IPT_F_FRAG) !== 0) text += `${not(IPT_INV_FRAG)} -f`;
  for (const { type, data } of rule.matches) {
    const kind = matchKind(type, data);
    text += ` -m ${kind.name}${kind.save(data)}`;
  }
  return text + saveTarget(rule);
}

/** "-P CHAIN POLICY" and "-N CHAIN", then the rules of the chains. Linux: list_rules(). @param from the first rule, from 1; 0 for all */
export function saveChains(set: TableSet, chains: readonly Chain[], from: number, verbose: boolean): string {
  const counters = (c: Counters): string => (verbose ? ` -c ${c.packets} ${c.bytes}` : "");
  let text = "";
  for (const chain of from === 0 ? chains : []) {
    text += chain.hook < 0 ? `-N ${chain.name}\n` : `-P ${chain.name} ${chain.policy}${counters(chain)}\n`;
  }
  for (const chain of chains) {
    chain.rules.forEach((rule, i) => {
      if (from !== 0 && from !== i + 1) return;
      const words = saveRule(chain.name, rule);
      const jump = / -[jg] /.exec(words);
      text += verbose && jump !== null
        ? `${words.substring(0, jump.index)}${counters(rule)}${words.substring(jump.index)}\n` : `${words}${counters(rule)}\n`;
    });
  }
  return text;
}

/** A table as iptables-save writes it, without its comments. */
export function saveTable(set: TableSet, name: string, counters: boolean): string {
  let text = `*${name}\n`;
  for (const chain of set.chains) {
    text += chain.hook < 0 ? `:${chain.name} - [0:0]\n` : `:${chain.name} ${chain.policy} [${chain.packets}:${chain.bytes}]\n`;
  }
  for (const chain of set.chains) {
    for (const rule of chain.rules) text += `${counters ? `[${rule.packets}:${rule.bytes}] ` : ""}${saveRule(chain.name, rule)}\n`;
  }
  return `${text}COMMIT\n`;
}

const SUFFIXES = "KMGT";

/** A count in five digits, or a suffix. Linux: xtables_print_num(). */
function countText(value: number, exact: boolean, width: number): string {
  if (exact || value <= 99999) return `${String(value).padStart(exact && width > 0 ? 8 : width)} `;
  let rest = value;
  let at = -1;
  do {
    rest = Math.floor((rest + 500) / 1000);
    at++;
  } while (rest > 9999 && at < SUFFIXES.length - 1);
  return `${String(rest).padStart(width === 0 ? 0 : 4)}${SUFFIXES[at]} `;
}

/** "0.0.0.0/0", "anywhere", "10.0.0.0/8", "1.2.3.4". */
function hostText(addr: number, mask: number, numeric: boolean): string {
  if (mask === 0 && !numeric) return "anywhere";
  return mask === -1 ? formatAddr(addr) : `${formatAddr(addr)}${maskText(mask)}`;
}

function listRule(rule: Rule, number: number, format: ListFormat): string {
  const not = (bit: number): string => ((rule.inverted & bit) !== 0 ? "!" : "");
  let text = format.lineNumbers ? `${String(number).padEnd(4)} ` : "";
  if (format.verbose) text += countText(rule.packets, format.exact, 5) + countText(rule.bytes, format.exact, 5);
  const target = rule.target === null ? rule.jump : targetKind(rule.target.type).name;
  text += `${target.padEnd(9)} ${not(IPT_INV_PROTO) || " "}`;
  text += `${((format.numeric ? undefined : protoByNumber(rule.proto)) ?? String(rule.proto)).padEnd(4)} `;
  text += `${not(IPT_INV_FRAG) || "-"}${(rule.flags & IPT_F_FRAG) !== 0 ? "f" : "-"} `;
  if (format.verbose) {
    text += ` ${(not(IPT_INV_VIA_IN) + (rule.inDev || (format.numeric ? "*" : "any"))).padEnd(6)} `;
    text += `${(not(IPT_INV_VIA_OUT) + (rule.outDev || (format.numeric ? "*" : "any"))).padEnd(6)} `;
  }
  text += `${not(IPT_INV_SRCIP) || " "}${hostText(rule.src, rule.smsk, format.numeric).padEnd(19)} `;
  text += `${not(IPT_INV_DSTIP) || " "}${hostText(rule.dst, rule.dmsk, format.numeric).padEnd(19)} `;
  if ((rule.flags & IPT_F_GOTO) !== 0) text += "[goto] ";
  for (const { type, data } of rule.matches) text += matchKind(type, data).print(data, format.numeric, rule.proto);
  if (rule.target !== null) text += targetKind(rule.target.type).print(rule.target.data, format.numeric);
  return `${text}\n`;
}

/** A chain as -L has it. @param from the only rule, from 1; 0 for all and the head */
export function listChain(set: TableSet, chain: Chain, from: number, format: ListFormat): string {
  let text = "";
  if (from === 0) {
    const counts = format.verbose
      ? ` ${countText(chain.packets, format.exact, 0)}packets, ${countText(chain.bytes, format.exact, 0)}bytes` : "";
    text += chain.hook >= 0 ? `Chain ${chain.name} (policy ${chain.policy}${counts})\n`
      : `Chain ${chain.name} (${set.references(chain.name)} references)\n`;
    text += format.lineNumbers ? "num  " : "";
    text += format.verbose ? (format.exact ? "    pkts      bytes " : " pkts bytes ") : "";
    text += `target     prot opt ${format.verbose ? "in     out     " : ""}source               destination         \n`;
  }
  chain.rules.forEach((rule, i) => {
    if (from === 0 || from === i + 1) text += listRule(rule, i + 1, format);
  });
  return text;
}
