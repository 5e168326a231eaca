/**
 * Memberships as text: /proc/net/igmp, /proc/net/mcfilter and /proc/net/dev_mcast. Linux: igmp_mc_seq_show() and
 * igmp_mcf_seq_show() of net/ipv4/igmp.c, dev_mc_seq_show() of net/core/dev_addr_lists.c. For people and for `ip maddress`: makes
 * strings. Numbers are those of a little-endian machine.
 */
import { words } from "../../lib/table.ts";
import { jiffies, timerExpires, timerPending } from "../../lib/timer.ts";
import { MCAST_EXCLUDE, MCAST_INCLUDE } from "../../uapi/in.ts";
import { DevMcStatic } from "../../netif/dev-mc-static.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  G_ADDR, G_FLAGS, G_REPORTER, G_SOURCES, G_TIMER, G_USERS, igmpDevice, igmpVersion, NONE, S_ADDR, S_COUNT,
} from "./igmp-memory.ts";

const IGMP_HEADER = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n";
const MCFILTER_HEADER = "Idx Device        MCA        SRC    INC    EXC\n";
/** Timers are shown in hundredths of a second. */
const CLOCK_MS = 10;

function formatHex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

function formatLittleEndian(addr: number): string {
  return formatHex((addr << 24) | ((addr & 0xff00) << 8) | ((addr >>> 8) & 0xff00) | (addr >>> 24)).toUpperCase();
}

function formatGroup(group: number): string {
  const timer = words[group + G_TIMER]!;
  const running = timerPending(timer);
  const left = running ? Math.floor(((timerExpires(timer) - jiffies) | 0) / CLOCK_MS) : 0;
  const reporter = (words[group + G_FLAGS]! & G_REPORTER) !== 0 ? 1 : 0;
  return `\t\t\t\t${formatLittleEndian(words[group + G_ADDR]!)} ${String(words[group + G_USERS]).padStart(5)} `
    + `${running ? 1 : 0}:${formatHex(left).toUpperCase()}\t\t${reporter}\n`;
}

/** What `cat /proc/net/igmp` prints. */
export function formatIgmp(net: Net): string {
  let text = IGMP_HEADER;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    const device = igmpDevice(dev);
    if (device === null) continue;
    let count = 0;
    let lines = "";
    for (let group = device.groups; group !== NONE; group = words[group]!) {
      lines += formatGroup(group);
      count++;
    }
    text += `${dev.ifindex}\t${dev.name.padEnd(10)}: ${String(count).padStart(5)} ${`V${igmpVersion(device)}`.padStart(7)}\n${lines}`;
  }
  return text;
}

/** What `cat /proc/net/mcfilter` prints. */
export function formatMcfilter(net: Net): string {
  let text = MCFILTER_HEADER;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    for (let group = igmpDevice(dev)?.groups ?? NONE; group !== NONE; group = words[group]!) {
      for (let source = words[group + G_SOURCES]!; source !== NONE; source = words[source]!) {
        const counts = [MCAST_INCLUDE, MCAST_EXCLUDE].map((mode) => String(words[source + S_COUNT + mode]).padStart(6)).join(" ");
        text += `${String(dev.ifindex).padStart(3)} ${dev.name.substring(0, 6).padStart(6)} 0x${formatHex(words[group + G_ADDR]!)} `
          + `0x${formatHex(words[source + S_ADDR]!)} ${counts}\n`;
      }
    }
  }
  return text;
}

/** Who wants a link address: how many, and is a person among them? */
interface LinkUsers {
  readonly count: number;
  readonly global: boolean;
}

/** The link addresses of a device, the newest first, each once, with who wants it. */
function createLinkAddrs(dev: NetDevice): Map<string, LinkUsers> {
  const users = new Map<string, LinkUsers>();
  for (let node = dev.mc; node !== null; node = node.nextMc) {
    const addr = (node.hi & 0xffff).toString(16).padStart(4, "0") + formatHex(node.lo);
    const { count = 0, global = false } = users.get(addr) ?? {};
    // Its place is that of who wanted it first.
    users.delete(addr);
    users.set(addr, { count: count + 1, global: global || node instanceof DevMcStatic });
  }
  return users;
}

/** What `cat /proc/net/dev_mcast` prints. */
export function formatDevMcast(net: Net): string {
  let text = "";
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) {
    for (const [addr, { count, global }] of [...createLinkAddrs(dev)].reverse()) {
      text += `${String(dev.ifindex).padEnd(4)} ${dev.name.padEnd(15)} ${String(count).padEnd(5)} ${(global ? "1" : "0").padEnd(5)} ${addr}\n`;
    }
  }
  return text;
}
