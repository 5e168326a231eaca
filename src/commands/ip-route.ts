/**
 * `ip route`: list, add, change, replace, append, prepend, delete, get, flush. iproute2's counterpart is ip/iproute.c.
 */
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_NOWHERE, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTA_DST, RTA_DPORT, RTA_GATEWAY,
  RTA_IIF, RTA_IP_PROTO, RTA_MARK, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SPORT, RTA_SRC, RTA_TABLE, RTA_UID, RTAX_ADVMSS,
  RTAX_CWND, RTAX_FASTOPEN_NO_COOKIE, RTAX_FEATURES, RTAX_HOPLIMIT, RTAX_INITCWND, RTAX_INITRWND, RTAX_LOCK, RTAX_MTU,
  RTAX_QUICKACK, RTAX_REORDERING, RTAX_RTO_MIN, RTAX_RTT, RTAX_RTTVAR, RTAX_SSTHRESH, RTAX_WINDOW, RTM_DELROUTE,
  RTM_F_FIB_MATCH, RTM_F_LOOKUP_TABLE, RTM_GETROUTE, RTM_NEWROUTE, RTN_ANYCAST, RTN_BROADCAST, RTN_LOCAL,
  RTN_MULTICAST, RTN_NAT, RTN_UNICAST, RTN_UNSPEC, RTNH_F_ONLINK, RTPROT_BOOT,
} from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import {
  type Args, CommandEnd, garbageArg, invalidArg, matches, noDevice, notOffered, numberArg, parseNumber,
} from "./command.ts";
import { addrArg, prefixArg, type Prefix } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { passesFilter, RouteFilter, routeItem, RTMSG_BYTES } from "./ip-route-print.ts";
import { type Answer, Request } from "./libnetlink.ts";
import {
  dsfieldNumber, ipProtocolNumber, protocolNumber, routeTypeNumber, scopeNumber, tableNumber,
} from "./rt-names.ts";

/** rtmsg's fields. */
const RTM_FAMILY = 0;
const RTM_DST_LEN = 1;
const RTM_SRC_LEN = 2;
const RTM_TOS = 3;
const RTM_TABLE = 4;
const RTM_PROTOCOL = 5;
const RTM_SCOPE = 6;
const RTM_TYPE = 7;
const RTM_FLAGS = 8;

const USAGE = "Usage: ip route { show | flush } SELECTOR\n       ip route get ADDRESS [ from ADDRESS iif STRING ] [ oif STRING ]\n"
  + "       ip route { add | del | change | append | replace | prepend } ROUTE\n";

/** Metrics by the words that set them; the third is what a millisecond is counted as, 0 for no time. */
const METRIC_WORDS: readonly (readonly [string, number, number])[] = Object.freeze([
  ["mtu", RTAX_MTU, 0], ["hoplimit", RTAX_HOPLIMIT, 0], ["advmss", RTAX_ADVMSS, 0], ["reordering", RTAX_REORDERING, 0],
  ["rtt", RTAX_RTT, 8], ["rto_min", RTAX_RTO_MIN, 1], ["window", RTAX_WINDOW, 0], ["cwnd", RTAX_CWND, 0],
  ["initcwnd", RTAX_INITCWND, 0], ["initrwnd", RTAX_INITRWND, 0], ["quickack", RTAX_QUICKACK, 0],
  ["rttvar", RTAX_RTTVAR, 4], ["ssthresh", RTAX_SSTHRESH, 0], ["fastopen_no_cookie", RTAX_FASTOPEN_NO_COOKIE, 0],
] as const);
/** Words of what no route here has. */
const NOT_OFFERED: readonly string[] = Object.freeze(["congctl", "realms", "encap", "nhid", "vrf"]);

function usage(): never {
  throw new CommandEnd(255, USAGE);
}

/** `ip route …` */
export function ipRoute(ip: IpContext, args: Args): number {
  if (!args.more) return list(ip, args, false);
  const word = args.word;
  args.at++;
  if (matches(word, "list") || matches(word, "show") || matches(word, "lst")) return list(ip, args, false);
  if (matches(word, "get")) return get(ip, args);
  if (matches(word, "add")) return modify(ip, args, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  if (matches(word, "change") || word === "chg") return modify(ip, args, RTM_NEWROUTE, NLM_F_REPLACE);
  if (matches(word, "replace")) return modify(ip, args, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  if (matches(word, "prepend")) return modify(ip, args, RTM_NEWROUTE, NLM_F_CREATE);
  if (matches(word, "append")) return modify(ip, args, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND);
  if (matches(word, "test")) return modify(ip, args, RTM_NEWROUTE, NLM_F_EXCL);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELROUTE, 0);
  if (matches(word, "flush")) return list(ip, args, true);
  if (matches(word, "help")) usage();
  return unknownCommand(word, "route");
}

/** Reads a route's words into a request and sends it. iproute2: iproute_modify(). */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  const request = new Request(type, flags, RTMSG_BYTES);
  const metrics = new Map<number, number>();
  let [tableGiven, scopeGiven, typeGiven, gateway, hops] = [false, false, false, false, false];
  let dst: Prefix | null = null;
  let device: string | null = null;
  request.setU8(RTM_FAMILY, AF_INET);
  request.setU8(RTM_TABLE, RT_TABLE_MAIN);
  request.setU8(RTM_SCOPE, RT_SCOPE_NOWHERE);
  if (type !== RTM_DELROUTE) {
    request.setU8(RTM_PROTOCOL, RTPROT_BOOT);
    request.setU8(RTM_SCOPE, RT_SCOPE_UNIVERSE);
    request.setU8(RTM_TYPE, RTN_UNICAST);
  }
  let routeType = type === RTM_DELROUTE ? RTN_UNSPEC : RTN_UNICAST;
  for (; args.more; args.at++) {
    const word = args.word;
    const metric = METRIC_WORDS.find(([name]) => name === word);
    if (word === "src") request.addr(RTA_PREFSRC, addrArg(args.next(), knownFamily(ip, dst)));
    else if (word === "via") {
      const text = args.next();
      request.addr(RTA_GATEWAY, addrArg(text === "inet" ? args.next() : text, knownFamily(ip, dst)));
      gateway = true;
    } else if (word === "from") {
      const src = prefixArg(args.next(), ip.familyWord);
      if (src.inet) request.addr(RTA_SRC, src.addr);
      request.setU8(RTM_SRC_LEN, src.length);
    } else if (word === "tos" || matches(word, "dsfield")) request.setU8(RTM_TOS, tosArg(args));
    else if (matches(word, "metric") || matches(word, "priority") || word === "preference") {
      request.u32(RTA_PRIORITY, numberArg(args.next(), '"metric" value is invalid\n'));
    } else if (word === "scope") {
      const scope = scopeNumber(args.next());
      if (scope < 0) invalidArg('invalid "scope" value\n', args.word);
      request.setU8(RTM_SCOPE, scope);
      scopeGiven = true;
    } else if (metric !== undefined) readMetric(args, metric, metrics);
    else if (word === "features") {
      if (args.next() !== "ecn") invalidArg('"features" value not valid\n', args.word);
      metrics.set(RTAX_FEATURES, 1);
    } else if (NOT_OFFERED.includes(word)) notOffered(word);
    else if (word === "pref") readPreference(args);
    else if (word === "expires") numberArg(args.next(), '"expires" value is invalid\n');
    else if (word === "ttl-propagate") readPropagation(args);
    else if (word === "onlink") request.setU32(RTM_FLAGS, request.getU32(RTM_FLAGS) | RTNH_F_ONLINK);
    else if (word === "nexthop") {
      hops = true;
      readNexthops(ip, args, request);
      break;
    } else if (matches(word, "protocol")) request.setU8(RTM_PROTOCOL, protocolArg(args));
    else if (matches(word, "table")) {
      setTable(request, tableArg(args));
      tableGiven = true;
    } else if (word === "dev" || word === "oif") device = args.next();
    else {
      const text = word === "to" ? args.next() : word;
      const named = /^[0-9]/.test(text) ? -1 : routeTypeNumber(text);
      if (named >= 0) {
        routeType = named;
        request.setU8(RTM_TYPE, named);
        typeGiven = true;
        args.next();
      }
      if (matches(args.word, "help")) usage();
      if (dst !== null) garbageArg("to", args.word);
      dst = prefixArg(args.word, ip.familyWord);
      request.setU8(RTM_DST_LEN, dst.length);
      if (dst.inet) request.addr(RTA_DST, dst.addr);
    }
  }
  if (dst === null) usage();
  if (device !== null) {
    const index = ip.deviceIndex(device);
    if (index === 0) noDevice(device);
    request.u32(RTA_OIF, index);
  }
  addMetrics(request, metrics);
  const localType = routeType === RTN_LOCAL || routeType === RTN_BROADCAST || routeType === RTN_NAT || routeType === RTN_ANYCAST;
  if (!tableGiven && typeGiven && localType) request.setU8(RTM_TABLE, RT_TABLE_LOCAL);
  if (!scopeGiven) {
    const scope = defaultScope(type, routeType, gateway || hops);
    if (scope >= 0) request.setU8(RTM_SCOPE, scope);
  }
  ip.rtnl.talk(request);
  return 0;
}

/** The scope of a route that names none; -1 leaves it as it is. */
function defaultScope(type: number, routeType: number, hasGateway: boolean): number {
  if (routeType === RTN_LOCAL || routeType === RTN_NAT) return RT_SCOPE_HOST;
  if (routeType === RTN_BROADCAST || routeType === RTN_MULTICAST || routeType === RTN_ANYCAST) return RT_SCOPE_LINK;
  if (routeType !== RTN_UNICAST && routeType !== RTN_UNSPEC) return -1;
  if (type === RTM_DELROUTE) return RT_SCOPE_NOWHERE;
  return hasGateway ? -1 : RT_SCOPE_LINK;
}

/** The family that complaints name: known once an address has been read. */
function knownFamily(ip: IpContext, dst: Prefix | null): string {
  return dst?.inet === true ? "inet" : ip.familyWord;
}

/** How routers prefer a route, of which only IPv6 makes use. */
function readPreference(args: Args): void {
  if (!["low", "medium", "high"].includes(args.next()) && parseNumber(args.word, 255) < 0) invalidArg('"pref" value is invalid\n', args.word);
}

/** Whether labels take the TTL along, of which only MPLS makes use. */
function readPropagation(args: Args): void {
  if (args.next() !== "enabled" && args.word !== "disabled") invalidArg('"ttl-propagate" value is invalid\n', args.word);
}

function tosArg(args: Args, complaint = '"tos" value is invalid\n'): number {
  const tos = dsfieldNumber(args.next());
  return tos < 0 ? invalidArg(complaint, args.word) : tos;
}

function protocolArg(args: Args): number {
  const protocol = protocolNumber(args.next());
  return protocol < 0 ? invalidArg('"protocol" value is invalid\n', args.word) : protocol;
}

function tableArg(args: Args): number {
  const table = tableNumber(args.next());
  return table < 0 ? invalidArg('"table" value is invalid\n', args.word) : table;
}

function setTable(request: Request, table: number): void {
  request.setU8(RTM_TABLE, table < 256 ? table : 0);
  if (table >= 256) request.u32(RTA_TABLE, table);
}

/** A time: a number as it is, or with "s" or "ms" in milliseconds that count so much; -1 for none. iproute2: get_time_rtt() */
function timeValue(text: string, factor: number): number {
  const match = /^([0-9]+(?:\.[0-9]*)?)(s|secs?|ms|msecs?)?$/.exec(text);
  if (match === null) return -1;
  const unit = match[2];
  return Math.ceil(Number(match[1]) * (unit === undefined ? 1 : unit.startsWith("s") ? 1000 * factor : factor));
}

function readMetric(args: Args, metric: readonly [string, number, number], metrics: Map<number, number>): void {
  const [name, type, factor] = metric;
  args.next();
  // What is set for a connection's least timeout is never learnt from others.
  if (args.word === "lock" || type === RTAX_RTO_MIN) metrics.set(RTAX_LOCK, (metrics.get(RTAX_LOCK) ?? 0) | (1 << type));
  if (args.word === "lock") args.next();
  const value = factor > 0 ? timeValue(args.word, factor) : parseNumber(args.word, type === RTAX_HOPLIMIT ? 255 : 0xffffffff);
  if (value < 0) invalidArg(`"${name}" value is invalid\n`, args.word);
  if (type === RTAX_QUICKACK && value > 1) invalidArg('"quickack" value should be 0 or 1\n', args.word);
  metrics.set(type, value);
}

function addMetrics(request: Request, metrics: Map<number, number>): void {
  if (metrics.size === 0) return;
  const nest = request.nest(RTA_METRICS);
  if (metrics.has(RTAX_LOCK)) request.u32(RTAX_LOCK, metrics.get(RTAX_LOCK)!);
  for (const [type, value] of metrics) if (type !== RTAX_LOCK) request.u32(type, value);
  request.nestEnd(nest);
}

/** The rest of the words, all next hops. iproute2: parse_nexthops(). */
function readNexthops(ip: IpContext, args: Args, request: Request): void {
  const nest = request.nest(RTA_MULTIPATH);
  while (args.more) {
    if (args.word !== "nexthop") {
      throw new CommandEnd(255, `Error: "nexthop" or end of line is expected instead of "${args.word}"\n`);
    }
    args.at++;
    if (!args.more) throw new CommandEnd(255, 'Error: unexpected end of line after "nexthop"\n');
    readNexthop(ip, args, request);
  }
  request.nestEnd(nest);
}

function readNexthop(ip: IpContext, args: Args, request: Request): void {
  const start = request.raw(8);
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "via") request.addr(RTA_GATEWAY, addrArg(args.next()));
    else if (word === "dev") {
      const index = ip.deviceIndex(args.next());
      if (index === 0) throw new CommandEnd(255, `Cannot find device "${args.word}"\nError: cannot parse nexthop\n`);
      request.view.setInt32(start + 4, index, true);
    } else if (word === "weight") {
      const weight = parseNumber(args.next());
      if (weight < 1 || weight > 256) invalidArg('"weight" is invalid\n', args.word);
      request.bytes[start + 3] = weight - 1;
    } else if (word === "onlink") request.bytes[start + 2]! |= RTNH_F_ONLINK;
    else break;
  }
  request.view.setUint16(start, request.length - start, true);
}

/** Reads what a listing is confined to. iproute2: iproute_list_flush_or_save(). */
function readFilter(ip: IpContext, args: Args, filter: RouteFilter): void {
  let [oif, iif] = ["", ""];
  const prefix = (text: string): Prefix => prefixArg(text, ip.familyWord);
  for (; args.more; args.at++) {
    const word = args.word;
    if (matches(word, "table")) {
      const text = args.next();
      const table = text === "all" ? 0 : text === "cache" ? -2 : tableNumber(text);
      if (table === -1) invalidArg("table id value is invalid\n", text);
      if (table === -2) filter.cloned = true;
      else filter.table = table;
    } else if (matches(word, "cached") || matches(word, "cloned")) filter.cloned = true;
    else if (word === "tos" || matches(word, "dsfield")) filter.tos = tosArg(args, "TOS value is invalid\n");
    else if (matches(word, "protocol")) filter.protocol = args.next() === "all" ? -1 : protocolOf(args.word);
    else if (matches(word, "scope")) filter.scope = args.next() === "all" ? -1 : scopeOf(args.word);
    else if (matches(word, "type")) {
      filter.type = routeTypeNumber(args.next());
      if (filter.type < 0) invalidArg("node type value is invalid\n", args.word);
    } else if (word === "dev" || word === "oif") oif = args.next();
    else if (word === "iif") iif = args.next();
    else if (word === "via") filter.via = prefix(args.next());
    else if (word === "src") filter.src = prefix(args.next());
    else if (matches(word, "metric") || matches(word, "priority") || word === "preference") filter.metric = numberArg(args.next(), '"metric" value is invalid\n');
    else if (NOT_OFFERED.includes(word) || word === "from" || word === "realm" || word === "mark") notOffered(word);
    else {
      if (word === "to") args.next();
      if (matches(args.word, "root")) filter.root = prefix(args.next());
      else if (matches(args.word, "match")) filter.match = prefix(args.next());
      else {
        if (matches(args.word, "exact")) args.next();
        filter.root = filter.match = prefix(args.word);
      }
    }
  }
  if (oif !== "") filter.oif = deviceIndex(ip, oif);
  if (iif !== "") filter.iif = deviceIndex(ip, iif);
}

function protocolOf(text: string): number {
  const protocol = protocolNumber(text);
  return protocol < 0 ? invalidArg('invalid "protocol"\n', text) : protocol;
}

function scopeOf(text: string): number {
  const scope = scopeNumber(text);
  return scope < 0 ? invalidArg('invalid "scope"\n', text) : scope;
}

function deviceIndex(ip: IpContext, name: string): number {
  const index = ip.deviceIndex(name);
  return index === 0 ? noDevice(name) : index;
}

function list(ip: IpContext, args: Args, flush: boolean): number {
  const filter = new RouteFilter();
  if (flush && !args.more) throw new CommandEnd(1, '"ip route flush" requires arguments.\n');
  readFilter(ip, args, filter);
  if (filter.cloned) {
    if (flush && ip.stats > 0) ip.print("*** IPv4 routing cache is flushed.\n");
    else if (!flush) ip.list([]);
    return 0;
  }
  const request = new Request(RTM_GETROUTE, 0, RTMSG_BYTES);
  request.setU8(RTM_FAMILY, AF_INET);
  if (filter.table !== 0) request.u32(RTA_TABLE, filter.table);
  const found: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    if (passesFilter(answer, answer.attrs(RTMSG_BYTES), filter)) found.push(answer);
  }, flush ? "Flush" : "Dump");
  if (flush) return flushFound(ip, found, filter);
  ip.list(found.map((answer) => routeItem(ip, answer, filter)));
  return 0;
}

/** Deletes what was found; with -s says how much, with -s -s what. */
function flushFound(ip: IpContext, found: readonly Answer[], filter: RouteFilter): number {
  for (const answer of found) {
    removeAgain(ip, answer);
    if (ip.stats > 1) ip.print(routeItem(ip, answer, filter).text);
  }
  ip.flushed(found.length, "entries");
  return 0;
}

/** Sends a route's message back as its deletion. */
function removeAgain(ip: IpContext, answer: Answer): void {
  const request = new Request(RTM_DELROUTE, 0, answer.bytes.length - 16);
  request.bytes.set(answer.bytes.subarray(16), 16);
  ip.rtnl.tryTalk(request);
}

/** A port, as the flow has it. */
function portArg(args: Args, word: string): number {
  return numberArg(args.next(), `invalid ${word}\n`, 0xffff);
}

/** `ip route get`. iproute2: iproute_get(). */
function get(ip: IpContext, args: Args): number {
  const request = new Request(RTM_GETROUTE, 0, RTMSG_BYTES);
  let [dst, match]: [Prefix | null, boolean] = [null, false];
  let [iif, oif] = ["", ""];
  request.setU8(RTM_FAMILY, AF_INET);
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "tos" || matches(word, "dsfield")) request.setU8(RTM_TOS, tosArg(args, "TOS value is invalid\n"));
    else if (matches(word, "from")) {
      const src = prefixArg(args.next(), dst === null ? ip.familyWord : "inet");
      if (src.inet) request.addr(RTA_SRC, src.addr);
      request.setU8(RTM_SRC_LEN, src.length);
    } else if (matches(word, "iif")) iif = args.next();
    else if (matches(word, "mark")) request.u32(RTA_MARK, numberArg(args.next(), "invalid mark value"));
    else if (matches(word, "oif") || word === "dev") oif = args.next();
    else if (matches(word, "uid")) request.u32(RTA_UID, numberArg(args.next(), "invalid UID\n"));
    else if (matches(word, "fibmatch")) match = true;
    else if (word === "ipproto") {
      const protocol = ipProtocolNumber(args.next());
      if (protocol < 0) invalidArg('Invalid "ipproto" value\n', args.word);
      request.u8(RTA_IP_PROTO, protocol);
    } else if (word === "sport") request.port(RTA_SPORT, portArg(args, word));
    else if (word === "dport") request.port(RTA_DPORT, portArg(args, word));
    else if (word === "as" || word === "vrf" || word === "notify" || word === "connected") notOffered(word);
    else {
      if (word === "to") args.next();
      if (matches(args.word, "help")) usage();
      dst = prefixArg(args.word, ip.familyWord);
      if (dst.inet) request.addr(RTA_DST, dst.addr);
      if (dst.inet && dst.length !== 32) {
        ip.out.error += `Warning: /${dst.length} as prefix is invalid, only /32 (or none) is supported.\n`;
      }
      request.setU8(RTM_DST_LEN, dst.inet ? 32 : 0);
    }
  }
  if (dst === null) throw new CommandEnd(1, "need at least a destination address\n");
  if (iif !== "") request.u32(RTA_IIF, deviceIndex(ip, iif));
  if (oif !== "") request.u32(RTA_OIF, deviceIndex(ip, oif));
  request.setU32(RTM_FLAGS, RTM_F_LOOKUP_TABLE | (match ? RTM_F_FIB_MATCH : 0));
  const answer = ip.rtnl.talk(request, false);
  if (answer === null) return 2;
  ip.list([routeItem(ip, answer, null)]);
  return 0;
}
