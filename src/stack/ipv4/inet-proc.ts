/**
 * /proc/net/route and /proc/net/arp as text: what ioctl() cannot list. Linux: fib_route_seq_show() of net/ipv4/fib_trie.c,
 * arp_seq_show() of net/ipv4/arp.c. For people and for the commands `route` and `arp`: makes strings. Numbers are those of a
 * little-endian machine.
 */
import { devGetByIndex } from "../../netif/dev.ts";
import { ATF_COM, ATF_PERM, ATF_PUBL } from "../../uapi/if-arp.ts";
import { RTF_GATEWAY, RTF_HOST, RTF_REJECT, RTF_UP } from "../../uapi/route.ts";
import {
  NUD_NOARP, NUD_PERMANENT, RT_TABLE_MAIN, RTAX_ADVMSS, RTAX_RTT, RTAX_WINDOW, RTN_BROADCAST, RTN_MULTICAST, RTN_PROHIBIT,
  RTN_UNREACHABLE,
} from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import { neighForEach, NUD_VALID } from "../core/neighbour.ts";
import { arpTbl } from "./arp.ts";
import { ipArpProxy } from "./ip-parts.ts";
import { inetMakeMask } from "./devinet.ts";
import { FIB_NH_GW, FIB_NH_OIF, FibConfig, fibConfigMetric, FibWalk } from "./fib-config.ts";
import { fibWalkNext, fibWalkStart } from "./fib-dump.ts";

/** Characters of a line of /proc/net/route before its newline. */
const ROUTE_LINE = 127;
const ROUTE_HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
const ARP_HEADER = "IP address       HW type     Flags       HW address            Mask     Device\n";
/** What the MTU column has beyond the MSS: headers of IP and TCP. */
const HEADERS_BYTES = 40;
/** The round trip of RTAX_RTT is in eighths. */
const RTT_SHIFT = 3;

/** The four bytes of an address as a number of the other byte order. */
function formatLittleEndian(addr: number): string {
  const swapped = (addr << 24) | ((addr & 0xff00) << 8) | ((addr >>> 8) & 0xff00) | (addr >>> 24);
  return (swapped >>> 0).toString(16).toUpperCase().padStart(8, "0");
}

/** Linux: fib_flag_trans(). */
function flagsOf(cfg: FibConfig, gw: number): number {
  const reject = cfg.type === RTN_UNREACHABLE || cfg.type === RTN_PROHIBIT ? RTF_REJECT : 0;
  return RTF_UP | reject | (gw !== 0 ? RTF_GATEWAY : 0) | (cfg.dstLen === 32 ? RTF_HOST : 0);
}

/** What `cat /proc/net/route` prints: the main table. */
export function formatRoute(net: Net): string {
  const cfg = new FibConfig();
  const walk = new FibWalk();
  let text = `${ROUTE_HEADER.padEnd(ROUTE_LINE)}\n`;
  fibWalkStart(walk, net, RT_TABLE_MAIN);
  while (fibWalkNext(walk, cfg)) {
    if (cfg.type === RTN_BROADCAST || cfg.type === RTN_MULTICAST) continue;
    const several = cfg.nhs > 1;
    const oif = several ? cfg.nexthops![FIB_NH_OIF]! : cfg.oif;
    const gw = several ? cfg.nexthops![FIB_NH_GW]! : cfg.gw;
    const advmss = fibConfigMetric(cfg, RTAX_ADVMSS);
    const columns = [
      oif === 0 ? "*" : devGetByIndex(net, oif)!.name, formatLittleEndian(cfg.dst), formatLittleEndian(gw),
      flagsOf(cfg, gw).toString(16).toUpperCase().padStart(4, "0"), 0, 0, cfg.priority, formatLittleEndian(inetMakeMask(cfg.dstLen)),
      advmss === 0 ? 0 : advmss + HEADERS_BYTES, fibConfigMetric(cfg, RTAX_WINDOW), fibConfigMetric(cfg, RTAX_RTT) >> RTT_SHIFT,
    ];
    text += `${columns.join("\t").padEnd(ROUTE_LINE)}\n`;
  }
  return text;
}

function formatAddress(addr: number): string {
  return `${addr >>> 24}.${(addr >> 16) & 255}.${(addr >> 8) & 255}.${addr & 255}`;
}

function formatLladdr(hi: number, lo: number): string {
  return [hi >> 8, hi, lo >> 24, lo >> 16, lo >> 8, lo].map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":");
}

/** What `cat /proc/net/arp` prints. */
export function formatArp(net: Net): string {
  let text = ARP_HEADER;
  neighForEach(arpTbl, (neigh) => {
    const dev = neigh.dev!;
    const state = neigh.nudState;
    if (dev.net !== net || (state & ~NUD_NOARP) === 0) return;
    const flags = (state & NUD_PERMANENT) !== 0 ? ATF_PERM | ATF_COM : (state & NUD_VALID) !== 0 ? ATF_COM : 0;
    text += `${formatAddress(neigh.key).padEnd(16)} 0x${dev.type.toString(16).padEnd(10)}0x${flags.toString(16).padEnd(10)}`
      + `${formatLladdr(neigh.haHi, neigh.haLo)}     *        ${dev.name}\n`;
  });
  for (let entry = ipArpProxy === null ? null : ipArpProxy.first(); entry !== null; entry = entry.next) {
    if (entry.net !== net) continue;
    const type = entry.dev === null ? 0 : entry.dev.type;
    text += `${formatAddress(entry.key).padEnd(16)} 0x${type.toString(16).padEnd(10)}0x${(ATF_PUBL | ATF_PERM).toString(16).padEnd(10)}`
      + `${formatLladdr(0, 0)}     *        ${entry.dev === null ? "*" : entry.dev.name}\n`;
  }
  return text;
}
