/**
 * A device as `ip link` and `ip address` print it. iproute2's counterpart is print_linkinfo() of ip/ipaddress.c.
 */
import {
  IFF_ALLMULTI, IFF_AUTOMEDIA, IFF_BROADCAST, IFF_DEBUG, IFF_DORMANT, IFF_DYNAMIC, IFF_ECHO, IFF_LOOPBACK, IFF_LOWER_UP,
  IFF_MASTER, IFF_MULTICAST, IFF_NOARP, IFF_NOTRAILERS, IFF_POINTOPOINT, IFF_PORTSEL, IFF_PROMISC, IFF_RUNNING, IFF_SLAVE,
  IFF_UP,
} from "../uapi/if.ts";
import { ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE, ARPHRD_PPP } from "../uapi/if-arp.ts";
import {
  IFLA_ADDRESS, IFLA_ALLMULTI, IFLA_BROADCAST, IFLA_GROUP, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_LINKMODE, IFLA_MASTER, IFLA_MAX_MTU,
  IFLA_MIN_MTU, IFLA_MTU, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES, IFLA_OPERSTATE, IFLA_PROMISCUITY, IFLA_QDISC,
  IFLA_STATS64, IFLA_TXQLEN,
} from "../uapi/if-link.ts";
import { RTM_DELLINK } from "../uapi/rtnetlink.ts";
import { formatAddr, formatLladdr } from "./inet-text.ts";
import { bridgeItem, bridgePortItem } from "./ip-link-bridge.ts";
import { vlanItem } from "./ip-link-vlan.ts";
import { IFINFOMSG_BYTES, type IpContext } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import type { Answer, Attrs } from "./libnetlink.ts";
import { groupName } from "./rt-names.ts";

const FLAG_NAMES: readonly (readonly [number, string])[] = Object.freeze([
  [IFF_LOOPBACK, "LOOPBACK"], [IFF_BROADCAST, "BROADCAST"], [IFF_POINTOPOINT, "POINTOPOINT"], [IFF_MULTICAST, "MULTICAST"],
  [IFF_NOARP, "NOARP"], [IFF_ALLMULTI, "ALLMULTI"], [IFF_PROMISC, "PROMISC"], [IFF_MASTER, "MASTER"], [IFF_SLAVE, "SLAVE"],
  [IFF_DEBUG, "DEBUG"], [IFF_DYNAMIC, "DYNAMIC"], [IFF_AUTOMEDIA, "AUTOMEDIA"], [IFF_PORTSEL, "PORTSEL"],
  [IFF_NOTRAILERS, "NOTRAILERS"], [IFF_UP, "UP"], [IFF_LOWER_UP, "LOWER_UP"], [IFF_DORMANT, "DORMANT"], [IFF_ECHO, "ECHO"],
] as const);

const OPER_STATES: readonly string[] = Object.freeze([
  "UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP",
]);

/** Least widths of the statistics' columns. */
const COLUMNS: readonly number[] = Object.freeze([10, 7, 6, 7, 7, 7, 10]);

/** @param below is there a device below, and is it down? */
function flagNames(flags: number, below: boolean): string[] {
  const names: string[] = (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0 ? ["NO-CARRIER"] : [];
  let rest = flags & ~IFF_RUNNING;
  for (const [bit, name] of FLAG_NAMES) {
    if ((rest & bit) !== 0) names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push((rest >>> 0).toString(16));
  if (below) names.push("M-DOWN");
  return names;
}

export function flagsText(flags: number, below = false): string {
  return `<${flagNames(flags, below).join(",")}>`;
}

/** The flags of a device that stands on another one, of which it also tells whether that is down. */
function linkFlags(ip: IpContext, answer: Answer, attrs: Attrs): string[] {
  const below = attrs.u32(IFLA_LINK);
  return flagNames(answer.u32(8), below !== 0 && (ip.deviceFlags(below) & IFF_UP) === 0);
}

/** What kind of link it is: the word behind "link/". Linux: ll_type_n2a(). */
function linkType(type: number): string {
  switch (type) {
    case ARPHRD_ETHER: return "ether";
    case ARPHRD_LOOPBACK: return "loopback";
    case ARPHRD_PPP: return "ppp";
    case ARPHRD_NONE: return "none";
    default: return `[${type}]`;
  }
}

function stateName(attrs: Attrs): string {
  return OPER_STATES[attrs.u8(IFLA_OPERSTATE)] ?? String(attrs.u8(IFLA_OPERSTATE));
}

/** The name of a device, with that of the one below. */
export function linkName(ip: IpContext, attrs: Attrs): string {
  const own = attrs.string(IFLA_IFNAME);
  const link = attrs.u32(IFLA_LINK);
  return link === 0 ? own : `${own}@${ip.deviceName(link)}`;
}

function table(widths: readonly number[], values: readonly (number | string)[]): string {
  return values.map((value, i) => String(value).padStart(widths[i]!)).join(" ");
}

/** What IFLA_STATS64 counts: its index, its column, and what programs call it. */
type Counters = readonly (readonly [number, string, string])[];
const RX: Counters = Object.freeze([
  [2, "bytes", "bytes"], [0, "packets", "packets"], [4, "errors", "errors"], [6, "dropped", "dropped"], [15, "missed", "over_errors"],
  [8, "mcast", "multicast"],
] as const);
const TX: Counters = Object.freeze([
  [3, "bytes", "bytes"], [1, "packets", "packets"], [5, "errors", "errors"], [7, "dropped", "dropped"], [17, "carrier", "carrier_errors"],
  [9, "collsns", "collisions"],
] as const);
const RX_ERRORS: Counters = Object.freeze([
  [10, "length", "length_errors"], [12, "crc", "crc_errors"], [13, "frame", "frame_errors"], [14, "fifo", "fifo_errors"],
  [11, "overrun", "missed_errors"],
] as const);
const TX_ERRORS: Counters = Object.freeze([
  [16, "aborted", "aborted_errors"], [18, "fifo", "fifo_errors"], [20, "window", "window_errors"], [19, "heartbt", "heartbeat_errors"],
  [-1, "transns", "carrier_changes"],
] as const);

/** Both lines of one direction, and for -s -s those of its errors. */
function direction(ip: IpContext, attrs: Attrs, name: string, counters: Counters, errors: Counters, widths: readonly number[]): Item {
  const item = new Item();
  const counter = (index: number): number => (index < 0 ? 0 : attrs.u64(IFLA_STATS64, index * 8));
  for (const [index, , key] of ip.stats > 1 ? [...counters, ...errors] : counters) item.note(key, counter(index));
  const row = (list: Counters): string[] => list.map(([index]) => ip.counter(counter(index)));
  const titles = [...counters.map(([, title]) => title), ""];
  item.say(`${ip.newline}    ${name}: ${table([widths[0]! - 4, ...widths.slice(1)], titles)}`);
  item.say(`${ip.newline}    ${table(widths, row(counters))} `);
  if (ip.stats < 2) return item;
  const rest = [widths[0]! - 10, ...widths.slice(1)];
  item.say(`${ip.newline}    ${name} errors:${table(rest, ["", ...errors.map(([, title]) => title)])}`);
  return item.say(`${ip.newline}    ${table(widths, ["", ...row(errors)])} `);
}

/** The two or four lines of statistics. Linux: __print_link_stats(). */
function putStats(ip: IpContext, item: Item, attrs: Attrs): void {
  const width = (list: Counters, i: number): number => (i < 6 ? ip.counter(attrs.u64(IFLA_STATS64, list[i]![0] * 8)).length : 0);
  const widths = COLUMNS.map((least, i) => Math.max(least, width(RX, i), width(TX, i)));
  const rx = direction(ip, attrs, "RX", RX, RX_ERRORS, widths);
  const tx = direction(ip, attrs, "TX", TX, TX_ERRORS, widths);
  item.put("stats64", { rx: rx.json, tx: tx.json }, rx.text + tx.text);
}

/** Puts the statistics behind a device's other lines, for -s. */
export function putLinkStats(ip: IpContext, item: Item, answer: Answer): void {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  if (ip.stats > 0 && attrs.has(IFLA_STATS64)) putStats(ip, item, attrs);
}

/** The name of a device, and apart from it that of the one below. */
function putName(ip: IpContext, item: Item, attrs: Attrs, text: string): void {
  if (attrs.u32(IFLA_LINK) !== 0) item.note("link", ip.deviceName(attrs.u32(IFLA_LINK)));
  item.put("ifname", attrs.string(IFLA_IFNAME), text);
}

/** The beginning of the line of -br. */
export function briefLinkItem(ip: IpContext, answer: Answer): Item {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  const item = new Item();
  putName(ip, item, attrs, `${linkName(ip, attrs).padEnd(16)} `);
  return item.put("operstate", stateName(attrs), `${stateName(attrs).padEnd(14)} `);
}

/** The end of that line in `ip link`. */
export function putBriefLinkEnd(ip: IpContext, item: Item, answer: Answer): Item {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  const names = linkFlags(ip, answer, attrs);
  return item.put("address", formatLladdr(attrs.data(IFLA_ADDRESS))).put("flags", names, `<${names.join(",")}> \n`);
}

function linkAddress(type: number, bytes: Uint8Array): string {
  if (type === ARPHRD_ETHER || type === ARPHRD_LOOPBACK || bytes.length !== 4) return formatLladdr(bytes);
  return formatAddr(new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0));
}

/** What each kind tells of itself. iproute2: print_opt of struct link_util. */
const KINDS: readonly (readonly [string, (ip: IpContext, data: Attrs) => Item])[] = Object.freeze([
  ["vlan", vlanItem], ["bridge", bridgeItem],
] as const);
/** And what each kind tells of its ports. */
const SLAVES: typeof KINDS = Object.freeze([["bridge", bridgePortItem]] as const);

/** The line of a kind, if it has one. @param what "info" or "info_slave", the beginning of its keys */
function putKind(ip: IpContext, item: Item, info: Attrs, kinds: typeof KINDS, what: string, kindType: number, dataType: number): void {
  if (!info.has(kindType)) return;
  const kind = info.string(kindType);
  item.put(`${what}_kind`, kind, `${ip.newline}    ${kind}${what === "info" ? "" : "_slave"} `);
  const known = kinds.find(([name]) => name === kind);
  if (known === undefined || !info.has(dataType)) return;
  const data = known[1](ip, info.nested(dataType));
  item.put(`${what}_data`, data.json, data.text);
}

/** The lines of -d: a device's kind and what it is a port of, and numbers. iproute2: print_linktype() */
function putDetails(ip: IpContext, item: Item, attrs: Attrs): void {
  const number = (key: string, word: string, type: number): Item => item.put(key, attrs.u32(type), `${word} ${attrs.u32(type)} `);
  item.say(" ");
  number("promiscuity", "promiscuity", IFLA_PROMISCUITY).say(" ");
  number("allmulti", "allmulti", IFLA_ALLMULTI);
  number("min_mtu", "minmtu", IFLA_MIN_MTU);
  number("max_mtu", "maxmtu", IFLA_MAX_MTU);
  if (attrs.has(IFLA_LINKINFO)) {
    const info = new Item();
    putKind(ip, info, attrs.nested(IFLA_LINKINFO), KINDS, "info", IFLA_INFO_KIND, IFLA_INFO_DATA);
    putKind(ip, info, attrs.nested(IFLA_LINKINFO), SLAVES, "info_slave", IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA);
    item.put("linkinfo", info.json, info.text);
  }
  number("num_tx_queues", "numtxqueues", IFLA_NUM_TX_QUEUES);
  number("num_rx_queues", "numrxqueues", IFLA_NUM_RX_QUEUES);
}

/** Who shows a device: `ip link`, `ip address`, or a monitor, each a little more than the next. */
export type LinkView = "link" | "address" | "monitor";

/**
 * The first lines of a device, without the newline at the end.
 * @param plain its link address is not asked for, as when addresses of a family are
 */
export function linkItem(ip: IpContext, answer: Answer, view: LinkView, plain: boolean): Item {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  const type = answer.u16(2);
  const item = new Item();
  if (answer.type === RTM_DELLINK) item.put("deleted", true, "Deleted ");
  item.put("ifindex", answer.u32(4), `${answer.u32(4)}: `);
  putName(ip, item, attrs, `${linkName(ip, attrs)}: `);
  const names = linkFlags(ip, answer, attrs);
  item.put("flags", names, `<${names.join(",")}> `);
  const word = (key: string, name: string, value: string | number): Item => item.put(key, value, `${name} ${value} `);
  word("mtu", "mtu", attrs.u32(IFLA_MTU));
  word("qdisc", "qdisc", attrs.string(IFLA_QDISC));
  if (attrs.has(IFLA_MASTER)) word("master", "master", ip.deviceName(attrs.u32(IFLA_MASTER)));
  word("operstate", "state", stateName(attrs));
  if (view === "link" && attrs.has(IFLA_LINKMODE)) word("linkmode", "mode", attrs.u8(IFLA_LINKMODE) === 0 ? "DEFAULT" : "DORMANT");
  word("group", "group", groupName(attrs.u32(IFLA_GROUP), ip.numeric));
  const qlen = attrs.u32(IFLA_TXQLEN);
  if (qlen !== 0 && view !== "monitor") item.put("txqlen", qlen, `qlen ${qlen}`);
  if (plain && !ip.details) return item;
  item.put("link_type", linkType(type), `${ip.newline}    link/${linkType(type)} `);
  item.put("address", linkAddress(type, attrs.data(IFLA_ADDRESS)), linkAddress(type, attrs.data(IFLA_ADDRESS)));
  if (attrs.has(IFLA_BROADCAST)) {
    const far = linkAddress(type, attrs.data(IFLA_BROADCAST));
    if ((answer.u32(8) & IFF_POINTOPOINT) !== 0) item.put("link_pointtopoint", true, " peer ").put("broadcast", far, far);
    else item.put("broadcast", far, ` brd ${far}`);
  }
  if (ip.details) putDetails(ip, item, attrs);
  return item;
}
