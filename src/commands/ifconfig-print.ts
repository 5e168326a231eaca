/** What `ifconfig` shows of a device, long and short. net-tools' counterpart is ife_print() of lib/interface.c. */
import { Ifconf, Ifreq } from "../stack/core/ifreq.ts";
import {
  IFF_ALLMULTI, IFF_BROADCAST, IFF_DEBUG, IFF_DYNAMIC, IFF_LOOPBACK, IFF_MASTER, IFF_MULTICAST, IFF_NOARP, IFF_NOTRAILERS,
  IFF_POINTOPOINT, IFF_PROMISC, IFF_RUNNING, IFF_SLAVE, IFF_UP,
} from "../uapi/if.ts";
import { ARPHRD_ETHER, ARPHRD_LOOPBACK } from "../uapi/if-arp.ts";
import {
  SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFDSTADDR, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFMTU, SIOCGIFNETMASK,
  SIOCGIFTXQLEN,
} from "../uapi/ioctl.ts";
import { formatAddr, formatLladdr } from "./inet-text.ts";
import type { NetTool } from "./net-tools.ts";

const LONG_FLAGS: readonly (readonly [number, string])[] = Object.freeze([
  [IFF_UP, "UP"], [IFF_BROADCAST, "BROADCAST"], [IFF_DEBUG, "DEBUG"], [IFF_LOOPBACK, "LOOPBACK"], [IFF_POINTOPOINT, "POINTOPOINT"],
  [IFF_NOTRAILERS, "NOTRAILERS"], [IFF_RUNNING, "RUNNING"], [IFF_NOARP, "NOARP"], [IFF_PROMISC, "PROMISC"],
  [IFF_ALLMULTI, "ALLMULTI"], [IFF_SLAVE, "SLAVE"], [IFF_MASTER, "MASTER"], [IFF_MULTICAST, "MULTICAST"], [IFF_DYNAMIC, "DYNAMIC"],
] as const);

const SHORT_FLAGS: readonly (readonly [number, string])[] = Object.freeze([
  [IFF_ALLMULTI, "A"], [IFF_BROADCAST, "B"], [IFF_DEBUG, "D"], [IFF_LOOPBACK, "L"], [IFF_MULTICAST, "M"], [IFF_DYNAMIC, "d"],
  [IFF_PROMISC, "P"], [IFF_NOTRAILERS, "N"], [IFF_NOARP, "O"], [IFF_POINTOPOINT, "P"], [IFF_SLAVE, "s"], [IFF_MASTER, "m"],
  [IFF_RUNNING, "R"], [IFF_UP, "U"],
] as const);

export const SHORT_HEADER = "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n";

/** Most labels that a listing shows. */
const MAX_LABELS = 64;

/** What a line of /proc/net/dev says. */
interface Counters {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly rxFifo: number;
  readonly rxFrame: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
  readonly txFifo: number;
  readonly collisions: number;
  readonly txCarrier: number;
}

function readCounters(tool: NetTool): Map<string, Counters> {
  const found = new Map<string, Counters>();
  for (const line of tool.lines("dev", 2)) {
    const colon = line.indexOf(":");
    const n = line.substring(colon + 1).trim().split(/ +/).map(Number);
    found.set(line.substring(0, colon).trim(), {
      rxBytes: n[0]!, rxPackets: n[1]!, rxErrors: n[2]!, rxDropped: n[3]!, rxFifo: n[4]!, rxFrame: n[5]!,
      txBytes: n[8]!, txPackets: n[9]!, txErrors: n[10]!, txDropped: n[11]!, txFifo: n[12]!, collisions: n[13]!, txCarrier: n[14]!,
    });
  }
  return found;
}

/** Orders names as people count: eth2 before eth2:1 before eth10. net-tools: nstrcmp(). */
function compareNames(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const digits = /\d*$/.exec(a.substring(0, at))![0].length;
  const numberA = /^\d+/.exec(a.substring(at - digits));
  const numberB = /^\d+/.exec(b.substring(at - digits));
  if (numberA !== null && numberB !== null && numberA[0] !== numberB[0]) return Number(numberA[0]) - Number(numberB[0]);
  return a < b ? -1 : 1;
}

/** Names of devices and labels of addresses. */
function names(tool: NetTool, counters: ReadonlyMap<string, Counters>): string[] {
  const conf = new Ifconf(Array.from({ length: MAX_LABELS }, () => new Ifreq()));
  tool.ioctl(SIOCGIFCONF, conf);
  const labels = conf.reqs.slice(0, conf.count).map((ifr) => ifr.name);
  return [...new Set([...counters.keys(), ...labels])].sort(compareNames);
}

/** An address that SIOCGIF* answers, as text; "" when there is none. */
function address(tool: NetTool, request: number, name: string): string {
  const ifr = new Ifreq(name);
  return tool.ioctl(request, ifr) < 0 ? "" : formatAddr(ifr.addr.addr);
}

/** A number that SIOCGIF* answers. */
function value(tool: NetTool, request: number, name: string): number {
  const ifr = new Ifreq(name);
  return tool.ioctl(request, ifr) < 0 ? 0 : ifr.value;
}

/** Bytes with a unit of 1024 and one digit, cut. */
function human(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (unit < units.length - 1 && bytes > 1024 ** (unit + 1)) unit++;
  return `${(Math.floor((bytes * 10) / 1024 ** unit) / 10).toFixed(1)} ${units[unit]}`;
}

function hardware(tool: NetTool, name: string): string {
  const ifr = new Ifreq(name);
  tool.ioctl(SIOCGIFHWADDR, ifr);
  const queue = `txqueuelen ${value(tool, SIOCGIFTXQLEN, name)}`;
  if (ifr.hwType === ARPHRD_LOOPBACK) return `        loop  ${queue}  (Local Loopback)\n`;
  if (ifr.hwType !== ARPHRD_ETHER) return `        unspec  ${queue}  (UNSPEC)\n`;
  const bytes = new Uint8Array([ifr.hwHi >> 8, ifr.hwHi, ifr.hwLo >> 24, ifr.hwLo >> 16, ifr.hwLo >> 8, ifr.hwLo]);
  return `        ether ${formatLladdr(bytes)}  ${queue}  (Ethernet)\n`;
}

function long(tool: NetTool, name: string, flags: number, counters: Counters | undefined): string {
  const words = LONG_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word);
  let text = `${name}: flags=${(flags << 16) >> 16}<${words.join(",")}>  mtu ${value(tool, SIOCGIFMTU, name)}\n`;
  const inet = address(tool, SIOCGIFADDR, name);
  if (inet !== "") {
    text += `        inet ${inet}  netmask ${address(tool, SIOCGIFNETMASK, name)}`;
    if ((flags & IFF_BROADCAST) !== 0) text += `  broadcast ${address(tool, SIOCGIFBRDADDR, name)}`;
    if ((flags & IFF_POINTOPOINT) !== 0) text += `  destination ${address(tool, SIOCGIFDSTADDR, name)}`;
    text += "\n";
  }
  text += hardware(tool, name);
  if (counters !== undefined) {
    const c = counters;
    text += `        RX packets ${c.rxPackets}  bytes ${c.rxBytes} (${human(c.rxBytes)})\n`
      + `        RX errors ${c.rxErrors}  dropped ${c.rxDropped}  overruns ${c.rxFifo}  frame ${c.rxFrame}\n`
      + `        TX packets ${c.txPackets}  bytes ${c.txBytes} (${human(c.txBytes)})\n`
      + `        TX errors ${c.txErrors}  dropped ${c.txDropped} overruns ${c.txFifo}  carrier ${c.txCarrier}  `
      + `collisions ${c.collisions}\n`;
  }
  return `${text}\n`;
}

function short(tool: NetTool, name: string, flags: number, counters: Counters | undefined): string {
  const letters = SHORT_FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter).join("");
  const head = `${name.padEnd(15)} ${String(value(tool, SIOCGIFMTU, name)).padStart(5)} `;
  if (counters === undefined) return `${head}     - no statistics available -                        ${letters}\n`;
  const c = counters;
  const columns: readonly (readonly [number, number])[] = [
    [c.rxPackets, 8], [c.rxErrors, 6], [c.rxDropped, 6], [c.rxFifo, -6], [c.txPackets, 8], [c.txErrors, 6], [c.txDropped, 6], [c.txFifo, 6],
  ];
  const text = columns.map(([n, width]) => (width < 0 ? String(n).padEnd(-width) : String(n).padStart(width))).join(" ");
  return `${head}${text} ${letters}\n`;
}

/** Shows one device or label: 0, or 1 when it is not there. */
export function showOne(tool: NetTool, name: string, brief: boolean): number {
  const ifr = new Ifreq(name);
  if (tool.ioctl(SIOCGIFFLAGS, ifr) < 0) {
    tool.complain(`${name}: error fetching interface information: Device not found\n`);
    return 1;
  }
  tool.print((brief ? short : long)(tool, name, ifr.value, readCounters(tool).get(name)));
  return 0;
}

/** Shows all that are up, or all. */
export function showAll(tool: NetTool, all: boolean, brief: boolean): number {
  const counters = readCounters(tool);
  for (const name of names(tool, counters)) {
    const flags = value(tool, SIOCGIFFLAGS, name);
    if (all || (flags & IFF_UP) !== 0) tool.print((brief ? short : long)(tool, name, flags, counters.get(name)));
  }
  return 0;
}
