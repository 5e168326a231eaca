/**
 * `route`: the main table as /proc/net/route has it; routes added and deleted through ioctl() only. net-tools' counterpart is
 * route.c with lib/inet_sr.c (set) and lib/inet_gr.c (show).
 */
import { Rtentry } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import { SIOCADDRT, SIOCDELRT } from "../uapi/ioctl.ts";
import {
  RTF_DYNAMIC, RTF_GATEWAY, RTF_HOST, RTF_IRTT, RTF_MODIFIED, RTF_MTU, RTF_REINSTATE, RTF_REJECT, RTF_UP, RTF_WINDOW,
} from "../uapi/route.ts";
import { Args, CommandEnd, type Output } from "./command.ts";
import { formatAddr } from "./inet-text.ts";
import {
  atoi, E_LOOKUP, E_OPTERR, E_SOCK, maskOf, type NetTool, parseAton, parseHost, parseHostPrefix, unknownHost, withNetTool,
} from "./net-tools.ts";

const USAGE = "Usage: route [-nvee] [-FC]\n       route [-v] {add|del} ...\n";
const SET_USAGE = "Usage: route [-v] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]\n"
  + "       route [-v] add {-host|-net} Target[/prefix] [gw Gw] [metric M] [netmask N] [mss Mss]\n"
  + "                      [window W] [irtt I] [mod] [dyn] [reinstate] [reject] [[dev] If]\n";

const HEADER = "Kernel IP routing table\nDestination     Gateway         Genmask         Flags ";
const HEADERS: readonly string[] = Object.freeze([
  "Metric Ref    Use Iface\n", "  MSS Window  irtt Iface\n", "Metric Ref    Use Iface    MSS   Window irtt\n",
]);
const CACHE_HEADER = "Kernel IP routing cache\nSource          Destination     Gateway         Flags Metric Ref    Use Iface\n";

/** Letters of flags behind the first. */
const LETTERS: readonly (readonly [number, string])[] = Object.freeze([
  [RTF_GATEWAY, "G"], [RTF_HOST, "H"], [RTF_REINSTATE, "R"], [RTF_DYNAMIC, "D"], [RTF_MODIFIED, "M"],
] as const);

/** Words that only set a flag. */
const FLAGS: readonly (readonly [string, number])[] = Object.freeze([
  ["reject", RTF_REJECT], ["mod", RTF_MODIFIED], ["dyn", RTF_DYNAMIC], ["reinstate", RTF_REINSTATE],
] as const);

/** Options that are written out, and what stands for them. */
const LONG: readonly (readonly [string, string])[] = Object.freeze([
  ["--verbose", "-v"], ["--numeric", "-n"], ["--symbolic", "-N"], ["--extend", "-e"], ["--fib", "-F"], ["--cache", "-C"],
] as const);

/** What an option says that there is not: usage, and all is well. */
function unknownOption(out: Output, word: string): never {
  out.text += USAGE;
  const letters = word.startsWith("--") ? "" : [...word.substring(1)].filter((letter) => !"nNveFC".includes(letter));
  throw new CommandEnd(0, letters === "" ? `route: unrecognized option '${word}'\n`
    : [...letters].map((letter) => `route: invalid option -- '${letter}'\n`).join(""));
}

function setUsage(complaint = ""): never {
  throw new CommandEnd(E_OPTERR, complaint + SET_USAGE);
}

/** The address that /proc/net/route writes as a number of the other byte order. */
function unswap(text: string): number {
  const value = parseInt(text, 16);
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

/** One line. @param extended -e counted: 0 for the metric, 1 for the metrics of TCP, 2 and more for all */
function routeLine(line: string, extended: number, numeric: boolean): string {
  const [iface, dst, gw, flagsHex, refs, use, metric, mask, mtu, window, irtt] = line.trim().split("\t");
  const flags = parseInt(flagsHex!, 16);
  const reject = (flags & RTF_REJECT) !== 0;
  const letters = (reject ? "!" : "U") + LETTERS.filter(([bit]) => (flags & bit) !== 0).map(([, letter]) => letter).join("");
  const target = unswap(dst!);
  const or = (value: string): string => (reject ? "-" : value);
  const text = `${(target === 0 && !numeric ? "default" : formatAddr(target)).padEnd(15)} ${or(formatAddr(unswap(gw!))).padEnd(15)} `
    + `${formatAddr(unswap(mask!)).padEnd(15)} ${letters.padEnd(5)} `;
  const device = or(iface!);
  if (extended === 1) return `${text}${or(mtu!).padStart(5)} ${or(window!).padEnd(5)} ${or(irtt!).padStart(6)} ${device}\n`;
  const plain = `${text}${metric!.padEnd(6)} ${or(refs!).padEnd(2)} ${use!.padStart(7)} `;
  return extended === 0
    ? `${plain}${device}\n`
    : `${plain}${device.padEnd(8)} ${or(mtu!).padEnd(5)} ${or(window!).padEnd(6)} ${or(irtt!)}\n`;
}

function show(tool: NetTool, extended: number, numeric: boolean): number {
  tool.print(HEADER + HEADERS[Math.min(extended, 2)]!);
  for (const line of tool.lines("route", 1)) tool.print(routeLine(line, extended, numeric));
  return 0;
}

/** The value of a keyword. */
function valueOf(args: Args): string {
  args.at++;
  return args.more ? args.word : setUsage();
}

/** A number in its range, or the complaint. */
function limited(args: Args, least: number, most: number, complaint: string): number {
  const value = atoi(valueOf(args));
  return value < least || value > most ? setUsage(complaint) : value;
}

/** Reads the words behind the target. */
function readOptions(args: Args, rt: Rtentry): void {
  let given = rt.genmask.addr !== 0;
  for (; args.more; args.at++) {
    const word = args.word;
    const flag = FLAGS.find(([known]) => known === word);
    if (flag !== undefined) rt.flags |= flag[1];
    else if (word === "metric") {
      if (!/^[0-9]/.test(valueOf(args))) setUsage();
      rt.metric = atoi(args.word) + 1;
    } else if (word === "netmask") {
      const mask = parseAton(valueOf(args));
      if (given) setUsage();
      if (mask === null) setUsage(`route: can't resolve netmask ${args.word}\n`);
      rt.genmask.addr = mask;
      given = true;
    } else if (word === "gw" || word === "gateway") {
      const gateway = parseHost(valueOf(args));
      if ((rt.flags & RTF_GATEWAY) !== 0) setUsage();
      if (gateway === null) throw new CommandEnd(E_LOOKUP, unknownHost(args.word));
      rt.gateway.addr = gateway;
      rt.flags |= RTF_GATEWAY;
    } else if (word === "mss" || word === "mtu") {
      rt.mtu = limited(args, 64, 65536, "route: Invalid MSS/MTU.\n");
      rt.flags |= RTF_MTU;
    } else if (word === "window") {
      rt.window = limited(args, 128, 0x7fffffff, "route: Invalid window.\n");
      rt.flags |= RTF_WINDOW;
    } else if (word === "irtt") {
      rt.irtt = atoi(valueOf(args));
      rt.flags |= RTF_IRTT;
    } else if (word === "device" || word === "dev") {
      if (rt.dev !== "") setUsage();
      rt.dev = valueOf(args);
    } else {
      if (rt.dev !== "" || args.at + 1 < args.words.length) setUsage();
      rt.dev = word;
    }
  }
}

/** The mask must fit the target and its kind. */
function checkMask(rt: Rtentry): void {
  const mask = rt.genmask.addr;
  if (mask === 0) return;
  if ((rt.flags & RTF_HOST) !== 0 && mask !== -1) {
    setUsage(`route: netmask ${(~mask >>> 0).toString(16).padStart(8, "0")} doesn't make sense with host route\n`);
  }
  if ((~mask & (~mask + 1)) !== 0) setUsage(`route: bogus netmask ${formatAddr(mask)}\n`);
  if ((rt.dst.addr & ~mask) !== 0) setUsage("route: netmask doesn't match route address\n");
}

/** `route add` and `route del`. net-tools: INET_setroute(). */
function setRoute(tool: NetTool, args: Args, add: boolean): number {
  if (!args.more) {
    tool.print(SET_USAGE);
    return 0;
  }
  const kind = args.word === "-net" || args.word === "-host" ? args.word : "";
  if (kind !== "") args.at++;
  if (!args.more) setUsage();
  const target = args.word;
  args.at++;
  const prefix = parseHostPrefix(target);
  if (prefix === null && parseHostPrefix(target.split("/")[0]!) !== null) setUsage("route: netmask doesn't match route address\n");
  if (prefix === null) throw new CommandEnd(E_LOOKUP, unknownHost(target));
  const rt = new Rtentry();
  rt.dst.addr = prefix.addr;
  if (prefix.length > 0) rt.genmask.addr = maskOf(prefix.length);
  rt.flags = RTF_UP | (kind === "-net" || (kind === "" && target === "default") ? 0 : RTF_HOST);
  readOptions(args, rt);
  checkMask(rt);
  return tool.must(add ? "SIOCADDRT" : "SIOCDELRT", add ? SIOCADDRT : SIOCDELRT, rt) ? 0 : E_SOCK;
}

/** Does what the words say; the exit status. */
export function routeMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  let extended = 0;
  let numeric = false;
  let [fib, cache] = [false, false];
  for (; args.word.startsWith("-"); args.at++) {
    const word = LONG.find(([name]) => name === args.word)?.[1] ?? args.word;
    if (word === "--inet" || word === "-4") continue;
    if (word === "-h" || word === "--help") {
      out.text += USAGE;
      return 0;
    }
    if (word === "-V" || word === "--version") {
      out.text += "route, linnet (as of net-tools 2.10)\n";
      return 0;
    }
    if (word === "-A") {
      args.at++;
      if (args.word !== "inet") throw new CommandEnd(1, `Unknown address family \`${args.word}'.\n`);
      continue;
    }
    if (!/^-[nNveFC]+$/.test(word)) unknownOption(out, word);
    extended += word.split("e").length - 1;
    numeric ||= word.includes("n");
    fib ||= word.includes("F");
    cache ||= word.includes("C");
  }
  return withNetTool(net, out, (tool) => {
    if (args.more) {
      const verb = args.word;
      args.at++;
      if (verb === "add" || verb === "del" || verb === "delete") return setRoute(tool, args, verb === "add");
      if (verb === "flush") throw new CommandEnd(E_OPTERR, `Flushing \`inet' routing table not supported\n${SET_USAGE}`);
      throw new CommandEnd(E_OPTERR, USAGE);
    }
    if (fib || !cache) show(tool, extended, numeric);
    if (!cache) return 0;
    // There has been no cache to show since Linux 3.6, and there is none here.
    tool.print(CACHE_HEADER);
    return 0;
  });
}
