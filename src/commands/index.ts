/**
 * Text commands as people know them: words in, text and an exit status out. They configure through sockets only, as a program
 * would: `ip` through netlink, `ifconfig`, `route` and `arp` through ioctl(). Importing them brings both with it, each started by
 * the first command that needs it unless boot() was told to.
 *
 *   ip(initNet, "route add 10.1.0.0/16 via 10.0.0.1 dev eth0 metric 5")  →  { status: 0, text: "", error: "" }
 */
import { nfConntrackDelete, nfConntrackFlush } from "../conntrack.ts";
import { ioctlLoad } from "../ioctl.ts";
import { netlinkLoad } from "../netlink.ts";
import type { Net } from "../stack/core/net.ts";
import { arpMain } from "./arp.ts";
import { BridgeMonitor, bridgeMain } from "./bridge.ts";
import { Args, type CommandResult, runCommand, splitWords } from "./command.ts";
import { conntrackMain } from "./conntrack.ts";
import { ifconfigMain } from "./ifconfig.ts";
import { ipMain } from "./ip.ts";
import { iptablesMain, iptablesRestoreMain, iptablesSaveMain } from "./iptables.ts";
import { IpMonitor } from "./ip-monitor.ts";
import { routeMain } from "./route.ts";
import { tcMain } from "./tc.ts";

export type { CommandResult } from "./command.ts";
export type { BridgeMonitor } from "./bridge.ts";
export type { IpMonitor } from "./ip-monitor.ts";

/** `ip`: address, link, neighbour, route, rule. iproute2's words, output, complaints and exit status. */
export function ip(net: Net, argv: string | readonly string[]): CommandResult {
  netlinkLoad();
  // For `ip maddress`.
  ioctlLoad();
  return runCommand(argv, (words, out) => ipMain(net, words, out));
}

/**
 * `ip monitor`: begins to watch; read() gives what has happened since.
 * @param argv link, address, route, neigh, rule, label, all, dev and a device; none for everything; options of `ip` in front of them
 * @param now the time of the day for -t and -ts, as Date's toISOString() writes it; none is told without
 * @throws CommandEnd for other words, and when there is no socket left
 */
export function ipMonitor(net: Net, argv: string | readonly string[] = "", now: () => string = () => ""): IpMonitor {
  netlinkLoad();
  return new IpMonitor(net, new Args(typeof argv === "string" ? splitWords(argv) : argv), now);
}

/** `bridge`: the forwarding database of bridges. iproute2's words, output, complaints and exit status. */
export function bridge(net: Net, argv: string | readonly string[]): CommandResult {
  netlinkLoad();
  return runCommand(argv, (words, out) => bridgeMain(net, words, out));
}

/**
 * `bridge monitor`: begins to watch; read() gives what has happened since.
 * @throws CommandEnd for words other than `fdb` and `all`, and when there is no socket left
 */
export function bridgeMonitor(net: Net, argv: string | readonly string[] = ""): BridgeMonitor {
  netlinkLoad();
  return new BridgeMonitor(net, new Args(typeof argv === "string" ? splitWords(argv) : argv));
}

/** `tc`: the queueing discipline of a device, where the part `sched` was listed at boot. iproute2's words, output, complaints and exit status. */
export function tc(net: Net, argv: string | readonly string[]): CommandResult {
  netlinkLoad();
  return runCommand(argv, (words, out) => tcMain(net, words, out));
}

/** `ifconfig`: net-tools' words, output, complaints and exit status. */
export function ifconfig(net: Net, argv: string | readonly string[] = ""): CommandResult {
  ioctlLoad();
  return runCommand(argv, (words, out) => ifconfigMain(net, words, out));
}

/** `route`: the same for the main table. */
export function route(net: Net, argv: string | readonly string[] = ""): CommandResult {
  ioctlLoad();
  return runCommand(argv, (words, out) => routeMain(net, words, out));
}

/** `arp`: the same for the neighbours. */
export function arp(net: Net, argv: string | readonly string[] = ""): CommandResult {
  ioctlLoad();
  return runCommand(argv, (words, out) => arpMain(net, words, out));
}

/** `iptables`: the rules of netfilter, where the part `iptables` was listed at boot. iptables' words, output, complaints and exit status. */
export function iptables(net: Net, argv: string | readonly string[]): CommandResult {
  return runCommand(argv, (words, out) => iptablesMain(net, words, out));
}

/** `iptables-save`: all rules as iptablesRestore() takes them. @param now the date in its comments, "" for none */
export function iptablesSave(net: Net, argv: string | readonly string[] = "", now = ""): CommandResult {
  return runCommand(argv, (words, out) => iptablesSaveMain(net, words, out, now));
}

/** `iptables-restore`: replaces tables by what iptablesSave() wrote. @param input what it reads */
export function iptablesRestore(net: Net, input: string, argv: string | readonly string[] = ""): CommandResult {
  return runCommand(argv, (words, out) => iptablesRestoreMain(net, words, input, out));
}

/** `conntrack`: the connections that are tracked, where the part `conntrack` was listed at boot: -L, -G, -D, -C, -F, -S as conntrack-tools have them. */
export function conntrack(net: Net, argv: string | readonly string[]): CommandResult {
  return runCommand(argv, (words, out) => conntrackMain(net, words, out, { flush: nfConntrackFlush, delete: nfConntrackDelete }));
}
