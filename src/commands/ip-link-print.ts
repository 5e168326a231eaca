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
import { AF_UNSPEC } from "../uapi/socket.ts";
import { formatAddr, formatLladdr } from "./inet-text.ts";
import { bridgePortText, bridgeText } from "./ip-link-bridge.ts";
import { vlanText } from "./ip-link-vlan.ts";
import { IFINFOMSG_BYTES, type IpContext } from "./ip-context.ts";
import type { Answer, Attrs } from "./libnetlink.ts";

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
export function flagsText(flags: number, below = false): string {
  const names: string[] = (flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0 ? ["NO-CARRIER"] : [];
  let rest = flags & ~IFF_RUNNING;
  for (const [bit, name] of FLAG_NAMES) {
    if ((rest & bit) !== 0) names.push(name);
    rest &= ~bit;
  }
  if (rest !== 0) names.push((rest >>> 0).toString(16));
  if (below) names.push("M-DOWN");
  return `<${names.join(",")}>`;
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

/** The two or four lines of statistics. Linux: __print_link_stats(). */
function statsText(ip: IpContext, attrs: Attrs): string {
  const counter = (index: number): number => attrs.u64(IFLA_STATS64, index * 8);
  const rx = [counter(2), counter(0), counter(4), counter(6), counter(15), counter(8)];
  const tx = [counter(3), counter(1), counter(5), counter(7), counter(17), counter(9)];
  const widths = COLUMNS.map((least, i) => Math.max(least, i < 6 ? String(rx[i]).length : 0, i < 6 ? String(tx[i]).length : 0));
  const title = [widths[0]! - 4, ...widths.slice(1)];
  const nl = ip.newline;
  let text = `${nl}    RX: ${table(title, ["bytes", "packets", "errors", "dropped", "missed", "mcast", ""])}`;
  text += `${nl}    ${table(widths, rx)} `;
  if (ip.stats > 1) {
    text += `${nl}    RX errors:${table([widths[0]! - 10, ...widths.slice(1)], ["", "length", "crc", "frame", "fifo", "overrun"])}`;
    text += `${nl}    ${table(widths, ["", counter(10), counter(12), counter(13), counter(14), counter(11)])} `;
  }
  text += `${nl}    TX: ${table(title, ["bytes", "packets", "errors", "dropped", "carrier", "collsns", ""])}`;
  text += `${nl}    ${table(widths, tx)} `;
  if (ip.stats > 1) {
    text += `${nl}    TX errors:${table([widths[0]! - 10, ...widths.slice(1)], ["", "aborted", "fifo", "window", "heartbt", "transns"])}`;
    text += `${nl}    ${table(widths, ["", counter(16), counter(18), counter(20), counter(19), 0])} `;
  }
  return text;
}

/** The line of -br. */
export function briefLink(ip: IpContext, answer: Answer): string {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  return `${linkName(ip, attrs).padEnd(16)} ${stateName(attrs).padEnd(14)} `;
}

/** The end of that line in `ip link`. */
export function briefLinkEnd(answer: Answer): string {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  return `${formatLladdr(attrs.data(IFLA_ADDRESS))} ${flagsText(answer.u32(8))} \n`;
}

function linkAddress(type: number, bytes: Uint8Array): string {
  if (type === ARPHRD_ETHER || type === ARPHRD_LOOPBACK || bytes.length !== 4) return formatLladdr(bytes);
  return formatAddr(new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0));
}

/** What each kind tells of itself. iproute2: print_opt of struct link_util. */
const KINDS: readonly (readonly [string, (ip: IpContext, data: Attrs) => string])[] = Object.freeze([
  ["vlan", vlanText], ["bridge", bridgeText],
] as const);
/** And what each kind tells of its ports. */
const SLAVES: typeof KINDS = Object.freeze([["bridge", bridgePortText]] as const);

/** The line of a kind, "" for none. */
function kindLine(ip: IpContext, info: Attrs, kinds: typeof KINDS, kindType: number, suffix: string, dataType: number): string {
  if (!info.has(kindType)) return "";
  const kind = info.string(kindType);
  const text = kinds.find(([known]) => known === kind);
  const data = text === undefined || !info.has(dataType) ? "" : text[1](ip, info.nested(dataType));
  return `${ip.newline}    ${kind}${suffix} ${data}`;
}

/** The lines of a device's kind and of what it is a port of. iproute2: print_linktype(). */
function kindText(ip: IpContext, info: Attrs): string {
  return kindLine(ip, info, KINDS, IFLA_INFO_KIND, "", IFLA_INFO_DATA)
    + kindLine(ip, info, SLAVES, IFLA_INFO_SLAVE_KIND, "_slave", IFLA_INFO_SLAVE_DATA);
}

/** The first lines of a device, without the newline at the end. @param mode print the link's mode (`ip link`) */
export function linkText(ip: IpContext, answer: Answer, mode: boolean): string {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  const flags = answer.u32(8);
  const type = answer.u16(2);
  let text = answer.type === RTM_DELLINK ? "Deleted " : "";
  const below = attrs.u32(IFLA_LINK);
  const down = below !== 0 && (ip.deviceFlags(below) & IFF_UP) === 0;
  text += `${answer.u32(4)}: ${linkName(ip, attrs)}: ${flagsText(flags, down)} mtu ${attrs.u32(IFLA_MTU)} qdisc ${attrs.string(IFLA_QDISC)} `;
  if (attrs.has(IFLA_MASTER)) text += `master ${ip.deviceName(attrs.u32(IFLA_MASTER))} `;
  text += `state ${stateName(attrs)} `;
  if (mode && attrs.has(IFLA_LINKMODE)) text += `mode ${attrs.u8(IFLA_LINKMODE) === 0 ? "DEFAULT" : "DORMANT"} `;
  text += `group ${attrs.u32(IFLA_GROUP) === 0 ? "default" : attrs.u32(IFLA_GROUP)} `;
  const qlen = attrs.u32(IFLA_TXQLEN);
  if (qlen !== 0) text += `qlen ${qlen}`;
  // With a family chosen the addresses are all that was asked for.
  if (!mode && ip.family !== AF_UNSPEC && !ip.details) return text;
  text += `${ip.newline}    link/${linkType(type)} ${linkAddress(type, attrs.data(IFLA_ADDRESS))}`;
  if (attrs.has(IFLA_BROADCAST)) {
    text += `${(flags & IFF_POINTOPOINT) !== 0 ? " peer " : " brd "}${linkAddress(type, attrs.data(IFLA_BROADCAST))}`;
  }
  if (ip.details) {
    const kind = attrs.has(IFLA_LINKINFO) ? kindText(ip, attrs.nested(IFLA_LINKINFO)) : "";
    text += ` promiscuity ${attrs.u32(IFLA_PROMISCUITY)}  allmulti ${attrs.u32(IFLA_ALLMULTI)} `
      + `minmtu ${attrs.u32(IFLA_MIN_MTU)} maxmtu ${attrs.u32(IFLA_MAX_MTU)} ${kind}`
      + `numtxqueues ${attrs.u32(IFLA_NUM_TX_QUEUES)} numrxqueues ${attrs.u32(IFLA_NUM_RX_QUEUES)} `;
  }
  return text;
}

/** The statistics behind a device's other lines, for -s. */
export function linkStats(ip: IpContext, answer: Answer): string {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  return ip.stats > 0 && attrs.has(IFLA_STATS64) ? statsText(ip, attrs) : "";
}
