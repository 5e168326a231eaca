/** `ip rule`: list, add, delete, flush. iproute2's counterpart is ip/iprule.c. */
import {
  FIB_RULE_IIF_DETACHED, FIB_RULE_INVERT, FIB_RULE_OIF_DETACHED, FIB_RULE_UNRESOLVED, FR_ACT_GOTO, FR_ACT_NOP,
  FR_ACT_TO_TBL, FRA_DST, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME, FRA_OIFNAME, FRA_PRIORITY, FRA_PROTOCOL, FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN, FRA_TABLE,
} from "../uapi/fib-rules.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../uapi/netlink.ts";
import {
  RT_TABLE_MAIN, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE, RTPROT_KERNEL,
} from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import { type Args, CommandEnd, invalidArg, matches, numberArg, parseNumber } from "./command.ts";
import { formatAddr, prefixArg } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { type Answer, Request } from "./libnetlink.ts";
import {
  dsfieldName, dsfieldNumber, protocolName, protocolNumber, routeTypeName, routeTypeNumber, tableName, tableNumber,
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

function prefixText(addr: number, length: number): string {
  return length === 32 ? formatAddr(addr) : `${formatAddr(addr)}/${length}`;
}

function hexMark(mark: number): string {
  return mark === 0 ? "0" : `0x${mark.toString(16)}`;
}

/** The line of a rule. iproute2: print_rule(). */
export function ruleText(ip: IpContext, answer: Answer): string {
  const attrs = answer.attrs(RULE_HDR_BYTES);
  const [dstLen, srcLen, tos, action] = [answer.u8(FRH_DST_LEN), answer.u8(FRH_SRC_LEN), answer.u8(FRH_TOS), answer.u8(FRH_ACTION)];
  const flags = answer.u32(FRH_FLAGS);
  let text = answer.type === RTM_DELRULE ? "Deleted " : "";
  text += `${attrs.u32(FRA_PRIORITY)}:\t${(flags & FIB_RULE_INVERT) !== 0 ? "not " : ""}from `;
  if (attrs.has(FRA_SRC)) text += prefixText(attrs.addr(FRA_SRC), srcLen);
  else text += srcLen !== 0 ? `0/${srcLen}` : "all";
  if (attrs.has(FRA_DST)) text += ` to ${prefixText(attrs.addr(FRA_DST), dstLen)}`;
  else if (dstLen !== 0) text += ` to 0/${dstLen}`;
  if (tos !== 0) text += ` tos ${dsfieldName(tos)}`;
  if (attrs.has(FRA_FWMARK) || attrs.has(FRA_FWMASK)) {
    const [mark, mask] = [attrs.u32(FRA_FWMARK), attrs.u32(FRA_FWMASK)];
    text += ` fwmark ${hexMark(mark)}${attrs.has(FRA_FWMASK) && mask !== 0xffffffff ? `/${hexMark(mask)}` : ""}`;
  }
  if (attrs.has(FRA_IIFNAME)) {
    text += ` iif ${attrs.string(FRA_IIFNAME)}${(flags & FIB_RULE_IIF_DETACHED) !== 0 ? " [detached]" : ""}`;
  }
  if (attrs.has(FRA_OIFNAME)) {
    text += ` oif ${attrs.string(FRA_OIFNAME)}${(flags & FIB_RULE_OIF_DETACHED) !== 0 ? " [detached]" : ""}`;
  }
  const table = attrs.u32(FRA_TABLE, answer.u8(FRH_TABLE));
  if (table !== 0) {
    text += ` lookup ${tableName(table)}`;
    const suppress = attrs.u32(FRA_SUPPRESS_PREFIXLEN, 0xffffffff) | 0;
    if (suppress !== -1) text += ` suppress_prefixlength ${suppress}`;
  }
  if (action === FR_ACT_GOTO) {
    text += attrs.has(FRA_GOTO) ? ` goto ${attrs.u32(FRA_GOTO)}` : " goto none";
    if ((flags & FIB_RULE_UNRESOLVED) !== 0) text += " [unresolved]";
  } else if (action === FR_ACT_NOP) text += " nop";
  else if (action !== FR_ACT_TO_TBL) text += ` ${routeTypeName(action)}`;
  const protocol = attrs.u8(FRA_PROTOCOL);
  if (attrs.has(FRA_PROTOCOL) && ((protocol !== 0 && protocol !== RTPROT_KERNEL) || ip.details)) {
    text += ` proto ${protocolName(protocol)}`;
  }
  return `${text}\n`;
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
    } else if (word === "dev" || word === "iif") request.string(FRA_IIFNAME, args.next());
    else if (word === "oif") request.string(FRA_OIFNAME, args.next());
    else {
      tableGiven = readAction(args, request) || tableGiven;
    }
  }
  return tableGiven;
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

/** Which rules a listing shows: those with these values. */
function listFilter(args: Args): (answer: Answer) => boolean {
  const tests: ((answer: Answer) => boolean)[] = [];
  for (; args.more; args.at++) {
    const word = args.word;
    if (matches(word, "preference") || matches(word, "order") || matches(word, "priority")) {
      const pref = numberArg(args.next(), "preference value is invalid\n");
      tests.push((answer) => answer.attrs(RULE_HDR_BYTES).u32(FRA_PRIORITY) === pref);
    } else if (matches(word, "table") || word === "lookup") {
      const table = tableNumber(args.next());
      if (table < 0) invalidArg("invalid table ID\n", args.word);
      tests.push((answer) => answer.attrs(RULE_HDR_BYTES).u32(FRA_TABLE) === table);
    } else if (word === "from" || word === "to") {
      const prefix = prefixArg(args.next());
      const [attr, lengthAt] = word === "from" ? [FRA_SRC, FRH_SRC_LEN] : [FRA_DST, FRH_DST_LEN];
      tests.push((answer) => answer.u8(lengthAt) === prefix.length && answer.attrs(RULE_HDR_BYTES).addr(attr) === prefix.addr);
    } else if (word === "dev" || word === "iif" || word === "oif") {
      const name = args.next();
      const attr = word === "oif" ? FRA_OIFNAME : FRA_IIFNAME;
      tests.push((answer) => answer.attrs(RULE_HDR_BYTES).string(attr) === name);
    } else if (word === "fwmark") {
      const mark = numberArg(args.next(), "fwmark value is invalid\n");
      tests.push((answer) => answer.attrs(RULE_HDR_BYTES).u32(FRA_FWMARK) === mark);
    } else {
      throw new CommandEnd(255, `Error: argument "${word}" is wrong: invalid selector\n`);
    }
  }
  return (answer) => tests.every((test) => test(answer));
}

function list(ip: IpContext, args: Args, flush: boolean): number {
  const passes = listFilter(args);
  const request = new Request(RTM_GETRULE, 0, RULE_HDR_BYTES);
  request.setU8(FRH_FAMILY, AF_INET);
  const rules: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    if (passes(answer)) rules.push(answer);
  });
  for (const answer of rules) {
    if (!flush) ip.print(ruleText(ip, answer));
    else if (answer.attrs(RULE_HDR_BYTES).has(FRA_PRIORITY)) removeAgain(ip, answer);
  }
  return 0;
}

function removeAgain(ip: IpContext, answer: Answer): void {
  const request = new Request(RTM_DELRULE, 0, answer.bytes.length - 16);
  request.bytes.set(answer.bytes.subarray(16), 16);
  ip.rtnl.talk(request);
}
