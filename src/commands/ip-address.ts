/** `ip address`: show, add, change, replace, delete, flush. iproute2's counterpart is ip/ipaddress.c. */
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_DEPRECATED, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFA_F_SECONDARY, IFA_F_TENTATIVE,
  IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFA_RT_PRIORITY, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE, RTM_DELADDR, RTM_GETADDR,
  RTM_NEWADDR,
} from "../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../uapi/socket.ts";
import {
  type Args, CommandEnd, duplicateArg, garbageArg, invalidArg, matches, noDevice, notOffered, numberArg, parseNumber,
} from "./command.ts";
import { addrArg, formatAddr, prefixArg, type Prefix } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import { LinkFilter, listLinks, readLinkFilter } from "./ip-link-list.ts";
import { briefLinkItem, linkItem, putLinkStats } from "./ip-link-print.ts";
import { type Answer, type Attrs, Request } from "./libnetlink.ts";
import { scopeName, scopeNumber } from "./rt-names.ts";

/** ifaddrmsg: its size and fields. */
export const IFADDRMSG_BYTES = 8;
const IFA_FAMILY_AT = 0;
const IFA_PREFIXLEN_AT = 1;
const IFA_SCOPE_AT = 3;
const IFA_INDEX_AT = 4;

/** A lifetime without end; ifa_cacheinfo: its size, and the preferred time in front of the valid one. */
const FOREVER = 0xffffffff;
const IFA_CACHEINFO_BYTES = 16;
/** Words of IPv6's addresses, and of what no address here has. */
const NOT_OFFERED: readonly string[] = Object.freeze(["home", "mngtmpaddr", "nodad", "optimistic", "autojoin", "anycast", "proto", "protocol"]);

const USAGE = "Usage: ip address {add|change|replace} IFADDR dev IFNAME\n       ip address del IFADDR dev IFNAME\n"
  + "       ip address {show|flush} [ dev IFNAME ] [ scope SCOPE-ID ] [ to PREFIX ] [ up ]\n";

/** `ip address …` */
export function ipAddress(ip: IpContext, args: Args): number {
  if (!args.more) return list(ip, args, false);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return modify(ip, args, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  if (matches(word, "change") || word === "chg") return modify(ip, args, RTM_NEWADDR, NLM_F_REPLACE);
  if (matches(word, "replace")) return modify(ip, args, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELADDR, 0);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return list(ip, args, false);
  if (matches(word, "flush")) return list(ip, args, true);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "address");
}

/** The switches of an address: what is told of it, and chosen by; `true`: told when it is not set. */
const FLAGS: readonly (readonly [string, number, boolean])[] = Object.freeze([
  ["secondary", IFA_F_SECONDARY, false], ["deprecated", IFA_F_DEPRECATED, false], ["dynamic", IFA_F_PERMANENT, true],
  ["noprefixroute", IFA_F_NOPREFIXROUTE, false],
] as const);

/** An address, its lines without the newline at the end. iproute2: print_addrinfo(). @param named its device is named in front */
export function addressItem(ip: IpContext, answer: Answer, named: boolean): Item {
  const attrs = answer.attrs(IFADDRMSG_BYTES);
  const item = new Item();
  if (answer.type === RTM_DELADDR) item.put("deleted", true, "Deleted ");
  if (named) item.say(`${answer.u32(IFA_INDEX_AT)}: ${ip.deviceName(answer.u32(IFA_INDEX_AT))}`);
  item.put("family", "inet", "    inet ");
  putAddress(item, answer, attrs);
  if (attrs.has(IFA_BROADCAST)) item.put("broadcast", formatAddr(attrs.addr(IFA_BROADCAST)), `brd ${formatAddr(attrs.addr(IFA_BROADCAST))} `);
  const scope = scopeName(answer.u8(IFA_SCOPE_AT), ip.numeric);
  item.put("scope", scope, `scope ${scope} `);
  for (const [name, flag, inverse] of FLAGS) if (((attrs.u32(IFA_FLAGS) & flag) === 0) === inverse) item.put(name, true, `${name} `);
  item.put("label", attrs.string(IFA_LABEL), attrs.string(IFA_LABEL));
  const info = attrs.data(IFA_CACHEINFO);
  if (info.length < 8) return item;
  const view = new DataView(info.buffer, info.byteOffset, 8);
  const [preferred, valid] = [view.getUint32(0, true), view.getUint32(4, true)];
  item.put("valid_life_time", valid, `${ip.newline}       valid_lft ${lifetime(valid)}`);
  return item.put("preferred_life_time", preferred, ` preferred_lft ${lifetime(preferred)}`);
}

/** The address, its peer and length, and the metric of its route. */
function putAddress(item: Item, answer: Answer, attrs: Attrs): void {
  const local = attrs.has(IFA_LOCAL) ? attrs.addr(IFA_LOCAL) : attrs.addr(IFA_ADDRESS);
  const peer = attrs.has(IFA_ADDRESS) ? attrs.addr(IFA_ADDRESS) : local;
  const length = answer.u8(IFA_PREFIXLEN_AT);
  item.put("local", formatAddr(local), formatAddr(local));
  if (peer !== local) item.put("address", formatAddr(peer), ` peer ${formatAddr(peer)}`);
  item.put("prefixlen", length, `/${length} `);
  const metric = attrs.u32(IFA_RT_PRIORITY);
  if (metric !== 0) item.put("metric", metric, `metric ${metric} `);
}

function lifetime(seconds: number): string {
  return seconds === FOREVER ? "forever" : `${seconds}sec`;
}

/** Which addresses a listing shows, and of which devices. */
class AddressFilter extends LinkFilter {
  scope = -1;
  to: Prefix | null = null;
  label: RegExp | null = null;
  /** Bits of IFA_FLAGS that matter, and what they are to be. */
  flagMask = 0;
  flags = 0;
}

/** A pattern of a label, in which * is any text and ? any letter. POSIX: fnmatch() */
function labelPattern(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".")}$`);
}

/** A word that chooses by a switch, with a minus those without; false when it is none. */
function readSwitch(word: string, filter: AddressFilter): boolean {
  const without = word.startsWith("-");
  const name = without ? word.substring(1) : word;
  if (name === "tentative" || name === "dadfailed") {
    // Only IPv6 looks whether somebody has an address already.
    filter.flagMask |= IFA_F_TENTATIVE;
    if (!without) filter.flags |= IFA_F_TENTATIVE;
    return true;
  }
  const alias = name === "temporary" ? "secondary" : name === "primary" || name === "permanent" ? name : "";
  const inverse = alias === "primary" || alias === "permanent";
  const real = alias === "primary" ? "secondary" : alias === "permanent" ? "dynamic" : alias === "" ? name : alias;
  const known = FLAGS.find(([flag]) => flag === real);
  if (known === undefined) return false;
  filter.flagMask |= known[1];
  if ((known[2] !== inverse) === without) filter.flags |= known[1];
  else filter.flags &= ~known[1];
  return true;
}

function readFilter(ip: IpContext, args: Args): AddressFilter {
  const filter = new AddressFilter();
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "to") {
      filter.to = prefixArg(args.next(), ip.familyWord);
      ip.family = AF_INET;
    } else if (word === "scope") {
      filter.scope = args.next() === "all" ? -1 : scopeNumber(args.word);
      if (filter.scope < 0 && args.word !== "all") invalidArg("invalid \"scope\"\n", args.word);
    } else if (word === "label") {
      filter.label = labelPattern(args.next());
      ip.family = AF_INET;
    } else if (!readSwitch(word, filter)) readLinkFilter(ip, args, filter);
  }
  return filter;
}

function passes(answer: Answer, filter: AddressFilter): boolean {
  const attrs = answer.attrs(IFADDRMSG_BYTES);
  if (filter.scope >= 0 && answer.u8(IFA_SCOPE_AT) !== filter.scope) return false;
  if ((attrs.u32(IFA_FLAGS) & filter.flagMask) !== filter.flags) return false;
  if (filter.label !== null && !filter.label.test(attrs.string(IFA_LABEL))) return false;
  const to = filter.to;
  return to === null || to.length === 0 || ((attrs.addr(IFA_LOCAL) ^ to.addr) >> (32 - to.length)) === 0;
}

/** `ip address show` and `flush`. iproute2: ipaddr_list_flush_or_save(). */
function list(ip: IpContext, args: Args, flush: boolean): number {
  if (flush && !args.more) throw new CommandEnd(1, "Flush requires arguments.\n");
  const filter = readFilter(ip, args);
  const links = listLinks(ip, filter);
  const request = new Request(RTM_GETADDR, 0, IFADDRMSG_BYTES);
  request.setU8(IFA_FAMILY_AT, ip.family === AF_UNSPEC ? AF_UNSPEC : AF_INET);
  const addresses: Answer[] = [];
  ip.rtnl.dump(request, (answer) => addresses.push(answer));
  const items: Item[] = [];
  const found: Answer[] = [];
  for (const link of links) {
    const all = addresses.filter((answer) => answer.u32(IFA_INDEX_AT) === link.u32(4));
    const own = all.filter((answer) => passes(answer, filter));
    found.push(...own);
    // A device without any address is shown where none of a family is asked for.
    if (own.length > 0 || (all.length === 0 && ip.family === AF_UNSPEC)) items.push(deviceItem(ip, link, own));
  }
  if (flush) return flushFound(ip, found);
  ip.list(items);
  return 0;
}

/** Deletes what was found; with -s says how much, with -s -s what. */
function flushFound(ip: IpContext, addresses: readonly Answer[]): number {
  for (const answer of addresses) {
    if (ip.stats > 1) ip.print(`${addressItem(ip, answer, true).text}\n`);
    const request = new Request(RTM_DELADDR, 0, answer.bytes.length - 16);
    request.bytes.set(answer.bytes.subarray(16), 16);
    ip.rtnl.tryTalk(request);
  }
  ip.flushed(addresses.length, "addresses");
  return 0;
}

/** A device with its addresses. */
function deviceItem(ip: IpContext, link: Answer, addresses: readonly Answer[]): Item {
  const item = ip.brief ? briefLinkItem(ip, link) : linkItem(ip, link, "address", ip.family !== AF_UNSPEC);
  const list = addresses.map((answer) => {
    if (!ip.brief) return addressItem(ip, answer, ip.oneline).say("\n");
    const brief = new Item();
    putAddress(brief, answer, answer.attrs(IFADDRMSG_BYTES));
    return brief;
  });
  if (ip.oneline) item.text = "";
  else if (!ip.brief) item.say("\n");
  item.put("addr_info", list.map((one) => one.json), list.map((one) => one.text).join(""));
  if (ip.brief) return item.say("\n");
  const stats = new Item();
  putLinkStats(ip, stats, link);
  Object.assign(item.json, stats.json);
  return ip.oneline || stats.text === "" ? item : item.say(`${stats.text.substring(1)}\n`);
}

/** `ip address add` and its like. iproute2: ipaddr_modify(). */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  const request = new Request(type, flags, IFADDRMSG_BYTES);
  let device: string | null = null;
  let label: string | null = null;
  let local: Prefix | null = null;
  let peer: Prefix | null = null;
  let broadcast: string | null = null;
  let scope = -1;
  let addressFlags = 0;
  let [valid, preferred] = [-1, -1];
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "peer" || word === "remote") {
      args.next();
      if (peer !== null) duplicateArg("peer", args.word);
      peer = prefixArg(args.word, local === null ? ip.familyWord : "inet");
    } else if (matches(word, "broadcast") || word === "brd") {
      args.next();
      if (broadcast !== null) duplicateArg("broadcast", args.word);
      broadcast = args.word;
    } else if (word === "scope") {
      scope = scopeNumber(args.next());
      if (scope < 0) invalidArg("invalid scope value.", args.word);
    } else if (word === "dev") device = args.next();
    else if (word === "label") label = args.next();
    else if (matches(word, "metric") || matches(word, "priority") || matches(word, "preference")) {
      request.u32(IFA_RT_PRIORITY, numberArg(args.next(), '"metric" value is invalid\n'));
    } else if (word === "noprefixroute") addressFlags |= IFA_F_NOPREFIXROUTE;
    else if (word === "valid_lft") valid = lifetimeArg(args, word, valid);
    else if (word === "preferred_lft") preferred = lifetimeArg(args, word, preferred);
    else if (NOT_OFFERED.includes(word)) notOffered(word);
    else {
      if (word === "local") args.next();
      if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
      if (local !== null) garbageArg("local", args.word);
      local = prefixArg(args.word, ip.familyWord);
    }
  }
  if (device === null) throw new CommandEnd(1, 'Not enough information: "dev" argument is required.\n');
  if (local?.inet === true) {
    request.setU8(IFA_FAMILY_AT, AF_INET);
    request.addr(IFA_LOCAL, local.addr);
    setPeer(ip, request, type, local, peer);
    if (broadcast !== null) setBroadcast(request, broadcast, peer ?? local);
    if (scope < 0 && type !== RTM_DELADDR) scope = local.addr >>> 24 === 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  }
  if (valid >= 0 || preferred >= 0) addLifetimes(request, valid, preferred);
  if (scope >= 0) request.setU8(IFA_SCOPE_AT, scope);
  if (label !== null) request.string(IFA_LABEL, label);
  if (addressFlags !== 0) request.u32(IFA_FLAGS, addressFlags);
  const index = ip.deviceIndex(device);
  if (index === 0) noDevice(device);
  request.setU32(IFA_INDEX_AT, index);
  ip.rtnl.talk(request);
  return 0;
}

/** Seconds or "forever". */
function lifetimeArg(args: Args, word: string, before: number): number {
  const value = args.next() === "forever" ? FOREVER : parseNumber(args.word);
  if (before >= 0) duplicateArg(word, args.word);
  return value < 0 ? invalidArg(`${word} value`, args.word) : value;
}

/** Adds how long an address is valid and preferred; one that is not given is for ever. */
function addLifetimes(request: Request, valid: number, preferred: number): void {
  const [whole, first] = [valid < 0 ? FOREVER : valid, preferred < 0 ? FOREVER : preferred];
  if (whole === 0) throw new CommandEnd(1, "valid_lft is zero\n");
  if (whole < first) throw new CommandEnd(1, "preferred_lft is greater than valid_lft\n");
  const view = new DataView(new ArrayBuffer(IFA_CACHEINFO_BYTES));
  view.setUint32(0, first, true);
  view.setUint32(4, whole, true);
  request.data(IFA_CACHEINFO, new Uint8Array(view.buffer));
}

/** The peer, the address itself for most; deleting without a length leaves it open. */
function setPeer(ip: IpContext, request: Request, type: number, local: Prefix, peer: Prefix | null): void {
  if (peer !== null) {
    request.addr(IFA_ADDRESS, peer.addr);
    request.setU8(IFA_PREFIXLEN_AT, peer.length);
    return;
  }
  request.setU8(IFA_PREFIXLEN_AT, local.length);
  if (type === RTM_DELADDR && !local.given) {
    ip.out.error += "Warning: Executing wildcard deletion to stay compatible with old scripts.\n"
      + "         Explicitly specify the prefix length (" + formatAddr(local.addr) + "/32) to avoid this warning.\n"
      + "         This special behaviour is likely to disappear in further releases,\n         fix your scripts!\n";
    return;
  }
  request.addr(IFA_ADDRESS, local.addr);
}

/** "+" sets the host bits of the subnet, "-" clears them; prefixes of 31 and 32 bits have no broadcast address. */
function setBroadcast(request: Request, text: string, subnet: Prefix): void {
  if (text !== "+" && text !== "-") {
    request.addr(IFA_BROADCAST, addrArg(text));
  } else if (subnet.length < 31) {
    const hostBits = subnet.length === 0 ? -1 : ~(-1 << (32 - subnet.length));
    request.addr(IFA_BROADCAST, text === "+" ? subnet.addr | hostBits : subnet.addr & ~hostBits);
  }
}
