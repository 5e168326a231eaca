/** `ip address`: show, add, change, replace, delete, flush. iproute2's counterpart is ip/ipaddress.c. */
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_F_DEPRECATED, IFA_F_NOPREFIXROUTE, IFA_F_PERMANENT, IFA_F_SECONDARY,
  IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFA_RT_PRIORITY, RT_SCOPE_HOST, RT_SCOPE_UNIVERSE, RTM_DELADDR, RTM_GETADDR,
  RTM_NEWADDR,
} from "../uapi/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../uapi/socket.ts";
import {
  type Args, CommandEnd, duplicateArg, invalidArg, matches, noDevice, numberArg,
} from "./command.ts";
import { addrArg, formatAddr, prefixArg, type Prefix } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { listLinks } from "./ip-link.ts";
import { briefLink, linkStats, linkText } from "./ip-link-print.ts";
import { type Answer, Request } from "./libnetlink.ts";
import { scopeName, scopeNumber } from "./rt-names.ts";

/** ifaddrmsg: its size and fields. */
export const IFADDRMSG_BYTES = 8;
const IFA_FAMILY_AT = 0;
const IFA_PREFIXLEN_AT = 1;
const IFA_SCOPE_AT = 3;
const IFA_INDEX_AT = 4;

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

/** The lines of one address, without the newline at the end. iproute2: print_addrinfo(). */
export function addressText(ip: IpContext, answer: Answer, oneLine: boolean): string {
  const attrs = answer.attrs(IFADDRMSG_BYTES);
  const local = attrs.has(IFA_LOCAL) ? attrs.addr(IFA_LOCAL) : attrs.addr(IFA_ADDRESS);
  const peer = attrs.has(IFA_ADDRESS) ? attrs.addr(IFA_ADDRESS) : local;
  const length = answer.u8(IFA_PREFIXLEN_AT);
  const device = ip.deviceName(answer.u32(IFA_INDEX_AT));
  let text = answer.type === RTM_DELADDR ? "Deleted " : "";
  if (oneLine) text += `${answer.u32(IFA_INDEX_AT)}: ${device}`;
  text += `    inet ${formatAddr(local)}`;
  text += peer === local ? `/${length} ` : ` peer ${formatAddr(peer)}/${length} `;
  const metric = attrs.u32(IFA_RT_PRIORITY);
  if (metric !== 0) text += `metric ${metric} `;
  if (attrs.has(IFA_BROADCAST)) text += `brd ${formatAddr(attrs.addr(IFA_BROADCAST))} `;
  text += `scope ${scopeName(answer.u8(IFA_SCOPE_AT))} ${flagsText(attrs.u32(IFA_FLAGS))}${attrs.string(IFA_LABEL)}`;
  const info = attrs.data(IFA_CACHEINFO);
  if (info.length >= 8) {
    const view = new DataView(info.buffer, info.byteOffset, 8);
    text += `${ip.newline}       valid_lft ${lifetime(view.getUint32(4, true))} preferred_lft ${lifetime(view.getUint32(0, true))}`;
  }
  return text;
}

function lifetime(seconds: number): string {
  return seconds === 0xffffffff ? "forever" : `${seconds}sec`;
}

function flagsText(flags: number): string {
  let text = (flags & IFA_F_SECONDARY) !== 0 ? "secondary " : "";
  if ((flags & IFA_F_DEPRECATED) !== 0) text += "deprecated ";
  if ((flags & IFA_F_PERMANENT) === 0) text += "dynamic ";
  if ((flags & IFA_F_NOPREFIXROUTE) !== 0) text += "noprefixroute ";
  return text;
}

/** Which addresses a listing shows. */
class AddressFilter {
  device: string | null = null;
  up = false;
  scope = -1;
  to: Prefix | null = null;
  label: string | null = null;
  secondary = false;
  primary = false;
}

function readFilter(args: Args): AddressFilter {
  const filter = new AddressFilter();
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "to") filter.to = prefixArg(args.next());
    else if (word === "scope") {
      filter.scope = args.next() === "all" ? -1 : scopeNumber(args.word);
      if (filter.scope < 0 && args.word !== "all") invalidArg("invalid \"scope\"\n", args.word);
    } else if (word === "up") filter.up = true;
    else if (word === "label") filter.label = args.next();
    else if (word === "secondary" || word === "temporary") filter.secondary = true;
    else if (word === "primary") filter.primary = true;
    else {
      if (word === "dev") args.next();
      if (filter.device !== null) duplicateArg("dev", args.word);
      filter.device = args.word;
    }
  }
  return filter;
}

function passes(answer: Answer, filter: AddressFilter): boolean {
  const attrs = answer.attrs(IFADDRMSG_BYTES);
  const secondary = (attrs.u32(IFA_FLAGS) & IFA_F_SECONDARY) !== 0;
  if (filter.scope >= 0 && answer.u8(IFA_SCOPE_AT) !== filter.scope) return false;
  if ((filter.secondary && !secondary) || (filter.primary && secondary)) return false;
  if (filter.label !== null && attrs.string(IFA_LABEL) !== filter.label) return false;
  const to = filter.to;
  return to === null || to.length === 0 || ((attrs.addr(IFA_LOCAL) ^ to.addr) >> (32 - to.length)) === 0;
}

/** `ip address show` and `flush`. iproute2: ipaddr_list_flush_or_save(). */
function list(ip: IpContext, args: Args, flush: boolean): number {
  if (flush && !args.more) throw new CommandEnd(1, "Flush requires arguments.\n");
  const filter = readFilter(args);
  const links = listLinks(ip, filter.device, filter.up);
  const request = new Request(RTM_GETADDR, 0, IFADDRMSG_BYTES);
  request.setU8(IFA_FAMILY_AT, ip.family === AF_UNSPEC ? AF_UNSPEC : AF_INET);
  const addresses: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    if (passes(answer, filter)) addresses.push(answer);
  });
  const confined = ip.family !== AF_UNSPEC || filter.scope >= 0 || filter.to !== null || filter.label !== null
    || filter.secondary || filter.primary;
  for (const link of links) {
    const own = addresses.filter((answer) => answer.u32(IFA_INDEX_AT) === link.u32(4));
    if (flush) removeAll(ip, own);
    else if (!confined || own.length > 0) showDevice(ip, link, own);
  }
  return 0;
}

function removeAll(ip: IpContext, addresses: readonly Answer[]): void {
  for (const answer of addresses) {
    const request = new Request(RTM_DELADDR, 0, answer.bytes.length - 16);
    request.bytes.set(answer.bytes.subarray(16), 16);
    ip.rtnl.tryTalk(request);
  }
}

function showDevice(ip: IpContext, link: Answer, addresses: readonly Answer[]): void {
  if (ip.brief) {
    const texts = addresses.map((answer) => briefAddress(answer));
    ip.print(`${briefLink(ip, link)}${texts.join("")}\n`);
    return;
  }
  if (!ip.oneline) ip.print(`${linkText(ip, link, false)}\n`);
  for (const answer of addresses) ip.print(`${addressText(ip, answer, ip.oneline)}\n`);
  const stats = linkStats(ip, link);
  if (!ip.oneline && stats !== "") ip.print(`${stats.substring(1)}\n`);
}

function briefAddress(answer: Answer): string {
  const attrs = answer.attrs(IFADDRMSG_BYTES);
  const [local, peer] = [attrs.addr(IFA_LOCAL), attrs.addr(IFA_ADDRESS)];
  const length = answer.u8(IFA_PREFIXLEN_AT);
  return peer === local ? `${formatAddr(local)}/${length} ` : `${formatAddr(local)} peer ${formatAddr(peer)}/${length} `;
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
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "peer" || word === "remote") {
      if (peer !== null) duplicateArg("peer", args.word);
      peer = prefixArg(args.next(), ip.familyWord);
    } else if (matches(word, "broadcast") || word === "brd") {
      if (broadcast !== null) duplicateArg("broadcast", args.word);
      broadcast = args.next();
    } else if (word === "scope") {
      scope = scopeNumber(args.next());
      if (scope < 0) invalidArg("invalid scope value.", args.word);
    } else if (word === "dev") device = args.next();
    else if (word === "label") label = args.next();
    else if (matches(word, "metric") || matches(word, "priority") || matches(word, "preference")) {
      request.u32(IFA_RT_PRIORITY, numberArg(args.next(), '"metric" value is invalid\n'));
    } else if (word === "noprefixroute") addressFlags |= IFA_F_NOPREFIXROUTE;
    else if (word === "valid_lft" || word === "preferred_lft") {
      if (args.next() !== "forever") invalidArg(`"${word}" value is invalid\n`, args.word);
    } else {
      if (word === "local") args.next();
      if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
      if (local !== null) duplicateArg("local", args.word);
      local = prefixArg(args.word, ip.familyWord);
    }
  }
  if (device === null) throw new CommandEnd(1, 'Not enough information: "dev" argument is required.\n');
  if (label !== null && label !== device && !label.startsWith(`${device}:`)) {
    throw new CommandEnd(1, `"label" (${label}) must match "dev" (${device}) or be prefixed by "${device}:" with a colon.\n`);
  }
  if (local !== null) {
    request.setU8(IFA_FAMILY_AT, AF_INET);
    request.addr(IFA_LOCAL, local.addr);
    setPeer(ip, request, type, local, peer);
    if (broadcast !== null) setBroadcast(request, broadcast, peer ?? local);
    if (scope < 0 && type !== RTM_DELADDR) scope = local.addr >>> 24 === 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  }
  if (scope >= 0) request.setU8(IFA_SCOPE_AT, scope);
  if (label !== null) request.string(IFA_LABEL, label);
  if (addressFlags !== 0) request.u32(IFA_FLAGS, addressFlags);
  const index = ip.deviceIndex(device);
  if (index === 0) noDevice(device);
  request.setU32(IFA_INDEX_AT, index);
  ip.rtnl.talk(request);
  return 0;
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
