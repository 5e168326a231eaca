/** `ip rule`: list, add, delete, flush. iproute2's counterpart is ip/iprule.c. */
import {
  FIB_RULE_IIF_DETACHED, FIB_RULE_INVERT, FIB_RULE_OIF_DETACHED, FIB_RULE_UNRESOLVED, FR_ACT_GOTO, FR_ACT_NOP,
  FR_ACT_TO_TBL, FRA_DPORT_RANGE, FRA_DST, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME, FRA_IP_PROTO, FRA_OIFNAME, FRA_PRIORITY,
  FRA_PROTOCOL, FRA_SPORT_RANGE, FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_UID_RANGE,
} from "../uapi/fib-rules.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../uapi/netlink.ts";
import {
  RT_TABLE_MAIN, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, RTPROT_KERNEL,
} from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import { type Args, CommandEnd, invalidArg, matches, notOffered, numberArg, parseNumber } from "./command.ts";
import { formatAddr, prefixArg } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import { type Answer, type Attrs, Request } from "./libnetlink.ts";
import {
  dsfieldName, dsfieldNumber, ipProtocolNumber, protocolName, protocolNumber, routeTypeName, routeTypeNumber, tableName, tableNumber,
} from "./rt-names.ts";

/** fib_rule_hdr: its size and fields. */
export const RULE_HDR_BYTES = 12;
const FRH_FAMILY = 0;
const FRH_DST_LEN = 1;
const FRH_SRC_LEN = 2;
const FRH_TOS = 3;
const FRH_TABLE = 4;
const FRH_ACTION = 7;
const FRH_FLAGS = 8;

const USAGE = "Usage: ip rule { add | del } SELECTOR ACTION\n       ip rule { flush | list } [ SELECTOR ]\n"
  + "SELECTOR := [ not ] [ from PREFIX ] [ to PREFIX ] [ tos TOS ] [ fwmark FWMARK[/MASK] ] [ iif STRING ] [ oif STRING ]\n"
  + "            [ pref NUMBER ]\n"
  + "ACTION := [ table TABLE_ID ] [ protocol PROTO ] [ prohibit | blackhole | unreachable ] [ goto NUMBER ] [ nop ]\n";

/** `ip rule …` */
export function ipRule(ip: IpContext, args: Args): number {
  if (!args.more) return list(ip, args, false);
  const word = args.word;
  args.at++;
  if (matches(word, "list") || matches(word, "lst") || matches(word, "show")) return list(ip, args, false);
  if (matches(word, "add")) return modify(ip, args, RTM_NEWRULE);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELRULE);
  if (matches(word, "flush")) return list(ip, args, true);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "rule");
}

function hexMark(mark: number): string {
  return mark === 0 ? "0" : `0x${mark.toString(16)}`;
}

/** An address and its length, which programs get apart from each other. */
function putPrefix(item: Item, key: string, addr: number, length: number, before: string): void {
  const text = formatAddr(addr);
  item.put(key, text, length === 32 ? `${before}${text}` : `${before}${text}/${length}`);
  if (length !== 32) item.note(`${key}len`, length);
}

function putSelector(item: Item, answer: Answer, attrs: Attrs): void {
  const [dstLen, srcLen, tos] = [answer.u8(FRH_DST_LEN), answer.u8(FRH_SRC_LEN), answer.u8(FRH_TOS)];
  const flags = answer.u32(FRH_FLAGS);
  if (attrs.has(FRA_SRC)) putPrefix(item, "src", attrs.addr(FRA_SRC), srcLen, "from ");
  else item.put("src", srcLen !== 0 ? `0/${srcLen}` : "all", srcLen !== 0 ? `from 0/${srcLen}` : "from all");
  if (attrs.has(FRA_DST)) putPrefix(item, "dst", attrs.addr(FRA_DST), dstLen, " to ");
  else if (dstLen !== 0) item.put("dst", `0/${dstLen}`, ` to 0/${dstLen}`);
  if (tos !== 0) item.put("tos", dsfieldName(tos), ` tos ${dsfieldName(tos)}`);
  if (attrs.has(FRA_FWMARK) || attrs.has(FRA_FWMASK)) {
    const [mark, mask] = [hexMark(attrs.u32(FRA_FWMARK)), attrs.u32(FRA_FWMASK)];
    item.put("fwmark", mark, ` fwmark ${mark}`);
    if (attrs.has(FRA_FWMASK) && mask !== 0xffffffff) item.put("fwmask", hexMark(mask), `/${hexMark(mask)}`);
  }
  if (attrs.has(FRA_IIFNAME)) item.put("iif", attrs.string(FRA_IIFNAME), ` iif ${attrs.string(FRA_IIFNAME)}`);
  if ((flags & FIB_RULE_IIF_DETACHED) !== 0) item.put("iif_detached", null, " [detached]");
  if (attrs.has(FRA_OIFNAME)) item.put("oif", attrs.string(FRA_OIFNAME), ` oif ${attrs.string(FRA_OIFNAME)}`);
  if ((flags & FIB_RULE_OIF_DETACHED) !== 0) item.put("oif_detached", null, " [detached]");
}

/** A rule, its text with the newline at its end. iproute2: print_rule(). */
export function ruleItem(ip: IpContext, answer: Answer): Item {
  const attrs = answer.attrs(RULE_HDR_BYTES);
  const action = answer.u8(FRH_ACTION);
  const flags = answer.u32(FRH_FLAGS);
  const item = new Item();
  if (answer.type === RTM_DELRULE) item.put("deleted", true, "Deleted ");
  item.put("priority", attrs.u32(FRA_PRIORITY), `${attrs.u32(FRA_PRIORITY)}:\t`);
  if ((flags & FIB_RULE_INVERT) !== 0) item.put("not", null, "not ");
  putSelector(item, answer, attrs);
  const table = attrs.u32(FRA_TABLE, answer.u8(FRH_TABLE));
  if (table !== 0) {
    item.put("table", tableName(table, ip.numeric), ` lookup ${tableName(table, ip.numeric)}`);
    const suppress = attrs.u32(FRA_SUPPRESS_PREFIXLEN, 0xffffffff) | 0;
    if (suppress !== -1) item.put("suppress_prefixlen", suppress, ` suppress_prefixlength ${suppress}`);
  }
  if (action === FR_ACT_GOTO) {
    const target = attrs.has(FRA_GOTO) ? attrs.u32(FRA_GOTO) : "none";
    item.put("goto", target, ` goto ${target}`);
    if ((flags & FIB_RULE_UNRESOLVED) !== 0) item.put("unresolved", null, " [unresolved]");
  } else if (action === FR_ACT_NOP) item.put("nop", null, " nop");
  else if (action !== FR_ACT_TO_TBL) item.put("action", routeTypeName(action, ip.numeric), ` ${routeTypeName(action, ip.numeric)}`);
  const protocol = attrs.u8(FRA_PROTOCOL);
  if (attrs.has(FRA_PROTOCOL) && ((protocol !== 0 && protocol !== RTPROT_KERNEL) || ip.details)) {
    item.put("protocol", protocolName(protocol, ip.numeric), ` proto ${protocolName(protocol, ip.numeric)}`);
  }
  return item.say("\n");
}

/** The rule that the words describe, in a request. iproute2: iprule_modify(). */
function readRule(args: Args, request: Request): boolean {
  let tableGiven = false;
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "not") request.setU32(FRH_FLAGS, request.getU32(FRH_FLAGS) | FIB_RULE_INVERT);
    else if (word === "from" || word === "to") {
      const prefix = prefixArg(args.next());
      request.setU8(word === "from" ? FRH_SRC_LEN : FRH_DST_LEN, prefix.length);
      if (prefix.inet) request.addr(word === "from" ? FRA_SRC : FRA_DST, prefix.addr);
    } else if (matches(word, "preference") || matches(word, "order") || matches(word, "priority")) {
      request.u32(FRA_PRIORITY, numberArg(args.next(), "preference value is invalid\n"));
    } else if (word === "tos" || matches(word, "dsfield")) {
      const tos = dsfieldNumber(args.next());
      if (tos < 0) invalidArg("TOS value is invalid\n", args.word);
      request.setU8(FRH_TOS, tos);
    } else if (word === "fwmark") readMark(args, request);
    else if (matches(word, "protocol")) {
      const protocol = protocolNumber(args.next());
      if (protocol < 0) invalidArg('"protocol" value is invalid\n', args.word);
      request.u8(FRA_PROTOCOL, protocol);
    } else if (matches(word, "table") || word === "lookup") {
      const table = tableNumber(args.next());
      if (table < 0) invalidArg("invalid table ID\n", args.word);
      request.setU8(FRH_TABLE, table < 256 ? table : 0);
      if (table >= 256) request.u32(FRA_TABLE, table);
      tableGiven = true;
    } else if (matches(word, "suppress_prefixlength") || word === "sup_pl") {
      request.u32(FRA_SUPPRESS_PREFIXLEN, numberArg(args.next(), "suppress_prefixlength value is invalid\n", 0x7fffffff));
    } else if (word === "dev" || word === "iif") request.string(FRA_IIFNAME, nameArg(args.next(), '"iif"/"dev"'));
    else if (word === "oif") request.string(FRA_OIFNAME, nameArg(args.next(), '"oif"'));
    else if (word === "ipproto") request.u8(FRA_IP_PROTO, ipProtocolArg(args));
    else if (word === "sport") request.data(FRA_SPORT_RANGE, rangeArg(args, 16, "invalid port range\n"));
    else if (word === "dport") request.data(FRA_DPORT_RANGE, rangeArg(args, 16, "invalid dport range\n"));
    else if (word === "uidrange") request.data(FRA_UID_RANGE, rangeArg(args, 32, "invalid UID range\n"));
    else if (NOT_OFFERED.includes(word)) notOffered(word);
    else tableGiven = readAction(args, request) || tableGiven;
  }
  return tableGiven;
}

/** What no rule here asks. */
const NOT_OFFERED: readonly string[] = Object.freeze([
  "tun_id", "realms", "l3mdev", "nat", "map-to", "suppress_ifgroup", "sup_group",
]);

/** The name of a device that need not be there. */
function nameArg(text: string, what: string): string {
  return text !== "" && text.length < 16 && !/[\s/]/.test(text) ? text : invalidArg(`${what} not a valid ifname`, text);
}

function ipProtocolArg(args: Args): number {
  const protocol = ipProtocolNumber(args.next());
  return protocol < 0 ? invalidArg('Invalid "ipproto" value\n', args.word) : protocol;
}

/** "FROM-TO" as two numbers of so many bits; of ports one number stands for both. */
function rangeArg(args: Args, bits: 16 | 32, complaint: string): Uint8Array {
  const match = /^([0-9]+)(?:-([0-9]+))?$/.exec(args.next());
  if (match === null || (bits === 32 && match[2] === undefined)) invalidArg(complaint, args.word);
  const view = new DataView(new ArrayBuffer(bits / 4));
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
  if (bits === 16) {
    view.setUint16(0, from, true);
    view.setUint16(2, to, true);
  } else {
    view.setUint32(0, from, true);
    view.setUint32(4, to, true);
  }
  return new Uint8Array(view.buffer);
}

function readMark(args: Args, request: Request): void {
  const [mark, mask] = args.next().split("/");
  const value = parseNumber(mark!);
  if (value < 0) invalidArg("fwmark value is invalid\n", args.word);
  request.u32(FRA_FWMARK, value);
  if (mask === undefined) return;
  const bits = parseNumber(mask);
  if (bits < 0) invalidArg("fwmask value is invalid\n", mask);
  request.u32(FRA_FWMASK, bits);
}

function readAction(args: Args, request: Request): boolean {
  if (args.word === "type") args.next();
  const word = args.word;
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  if (matches(word, "goto")) {
    request.u32(FRA_GOTO, numberArg(args.next(), "invalid target\n"));
    request.setU8(FRH_ACTION, FR_ACT_GOTO);
    return true;
  }
  if (matches(word, "nop")) {
    request.setU8(FRH_ACTION, FR_ACT_NOP);
    return true;
  }
  const type = routeTypeNumber(word);
  if (type < 0) invalidArg("Failed to parse rule type", word);
  request.setU8(FRH_ACTION, type);
  return true;
}

function modify(ip: IpContext, args: Args, type: number): number {
  const add = type === RTM_NEWRULE;
  if (!args.more) throw new CommandEnd(1, `"ip rule ${add ? "add" : "del"}" requires arguments.\n`);
  const request = new Request(type, add ? NLM_F_CREATE | NLM_F_EXCL : 0, RULE_HDR_BYTES);
  request.setU8(FRH_FAMILY, AF_INET);
  if (add) request.setU8(FRH_ACTION, FR_ACT_TO_TBL);
  const tableGiven = readRule(args, request);
  if (!tableGiven && add) request.setU8(FRH_TABLE, RT_TABLE_MAIN);
  ip.rtnl.talk(request);
  return 0;
}

/** Does a listing show the rule? */
type RuleTest = (answer: Answer, attrs: Attrs) => boolean;

/** The words of a listing that choose by a prefix: rules about addresses inside of it. */
function insidePrefix(ip: IpContext, text: string, attr: number): RuleTest {
  const { addr, length } = prefixArg(text, ip.family === AF_INET ? ip.familyWord : "inet");
  return (_, attrs) => length === 0 || ((attrs.addr(attr) ^ addr) >> (32 - length)) === 0;
}

function markTest(text: string): RuleTest {
  const [mark, mask] = text.split("/");
  const [value, bits] = [parseNumber(mark!), mask === undefined ? 0 : parseNumber(mask)];
  if (value < 0) invalidArg("fwmark value is invalid\n", text);
  if (bits < 0) invalidArg("fwmask value is invalid\n", mask!);
  return (_, attrs) => attrs.u32(FRA_FWMARK) === value && (mask === undefined || attrs.u32(FRA_FWMASK) === bits);
}

/** One word of a listing, and its value behind it. iproute2: iprule_list_flush_or_save(). */
function listTest(ip: IpContext, args: Args): RuleTest {
  const word = args.word;
  if (matches(word, "preference") || matches(word, "order") || matches(word, "priority")) {
    const pref = numberArg(args.next(), "preference value is invalid\n");
    return (_, attrs) => attrs.u32(FRA_PRIORITY) === pref;
  }
  if (word === "not") return (answer) => (answer.u32(FRH_FLAGS) & FIB_RULE_INVERT) !== 0;
  if (word === "tos" || matches(word, "dsfield")) {
    const tos = dsfieldNumber(args.next());
    return tos < 0 ? invalidArg("TOS value is invalid\n", args.word) : (answer) => answer.u8(FRH_TOS) === tos;
  }
  if (word === "fwmark") return markTest(args.next());
  if (word === "dev" || word === "iif" || word === "oif") {
    const name = args.next();
    const attr = word === "oif" ? FRA_OIFNAME : FRA_IIFNAME;
    return (_, attrs) => attrs.string(attr) === name;
  }
  if (word === "uidrange") rangeArg(args, 32, "invalid UID range\n");
  else if (word === "ipproto") ipProtocolArg(args);
  else if (word === "sport" || word === "dport") rangeArg(args, 16, `invalid ${word} range\n`);
  else if (matches(word, "tun_id")) numberArg(args.next(), "invalid tun_id\n");
  if (["uidrange", "ipproto", "sport", "dport", "tun_id", "l3mdev"].includes(word)) return () => false;
  if (matches(word, "table") || word === "lookup") {
    const table = tableNumber(args.next());
    return table < 0 ? invalidArg("table id value is invalid\n", args.word) : (_, attrs) => attrs.u32(FRA_TABLE) === table;
  }
  if (matches(word, "protocol")) {
    const protocol = protocolNumber(args.next());
    return protocol < 0 ? invalidArg('invalid "protocol"\n', args.word) : (_, attrs) => attrs.u8(FRA_PROTOCOL) === protocol;
  }
  if (word === "from") return insidePrefix(ip, args.next(), FRA_SRC);
  return insidePrefix(ip, word === "to" ? args.next() : word, FRA_DST);
}

function list(ip: IpContext, args: Args, flush: boolean): number {
  const tests: RuleTest[] = [];
  for (; args.more; args.at++) tests.push(listTest(ip, args));
  const request = new Request(RTM_GETRULE, 0, RULE_HDR_BYTES);
  request.setU8(FRH_FAMILY, AF_INET);
  const rules: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    const attrs = answer.attrs(RULE_HDR_BYTES);
    if (tests.every((test) => test(answer, attrs))) rules.push(answer);
  });
  if (!flush) ip.list(rules.map((answer) => ruleItem(ip, answer)));
  else for (const answer of rules) if (answer.attrs(RULE_HDR_BYTES).has(FRA_PRIORITY)) removeAgain(ip, answer);
  return 0;
}

function removeAgain(ip: IpContext, answer: Answer): void {
  const request = new Request(RTM_DELRULE, 0, answer.bytes.length - 16);
  request.bytes.set(answer.bytes.subarray(16), 16);
  ip.rtnl.talk(request);
}
