/**
 * `ifconfig`: shows devices and sets their flags, addresses, MTU and link address, through ioctl() only. net-tools' counterpart
 * is ifconfig.c. Tunnels, media and memory addresses, which no device here has, are not among its words.
 */
import { Ifreq } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import { EBUSY, EOPNOTSUPP } from "../uapi/errno.ts";
import {
  IFF_ALLMULTI, IFF_BROADCAST, IFF_DYNAMIC, IFF_MULTICAST, IFF_NOARP, IFF_NOTRAILERS, IFF_POINTOPOINT, IFF_PROMISC, IFF_RUNNING, IFF_UP,
} from "../uapi/if.ts";
import { ARPHRD_ETHER } from "../uapi/if-arp.ts";
import {
  SIOCGIFFLAGS, SIOCSIFADDR, SIOCSIFBRDADDR, SIOCSIFDSTADDR, SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFMTU, SIOCSIFNAME,
  SIOCSIFNETMASK, SIOCSIFTXQLEN,
} from "../uapi/ioctl.ts";
import { Args, CommandEnd, type Output } from "./command.ts";
import { SHORT_HEADER, showAll, showOne } from "./ifconfig-print.ts";
import { parseLladdr } from "./inet-text.ts";
import { atoi, E_OPTERR, maskOf, type NetTool, parseHost, parseHostPrefix, unknownHost, withNetTool } from "./net-tools.ts";
import { strerror } from "./strerror.ts";

const USAGE = "Usage:\n  ifconfig [-a] [-v] [-s] <interface> [[inet] <address>[/<prefixlen>]]\n"
  + "  [[-]broadcast [<address>]]  [[-]pointopoint [<address>]]\n  [netmask <address>]  [dstaddr <address>]\n"
  + "  [hw ether <address>]  [mtu <NN>]  [txqueuelen <NN>]  [name <newname>]\n"
  + "  [[-]trailers]  [[-]arp]  [[-]allmulti]  [[-]multicast]  [[-]promisc]  [[-]dynamic]\n  [up|down] ...\n";
const HARDWARE: readonly string[] = Object.freeze(["keepalive", "outfill", "mem_start", "io_addr", "irq"]);
const HELP = "ifconfig: `--help' gives usage information.\n";
/** What a failure to read or set flags adds to the status. */
const FLAGS_FAILED = 255;

/** Words that set a flag, or with a minus clear it (trailers: the other way round); the name in the warning that it stayed. */
const FLAG_WORDS: readonly (readonly [string, number, string])[] = Object.freeze([
  ["arp", IFF_NOARP, ""], ["trailers", IFF_NOTRAILERS, ""], ["promisc", IFF_PROMISC, "promisc"], ["multicast", IFF_MULTICAST, "MULTICAST"],
  ["allmulti", IFF_ALLMULTI, "ALLMULTI"], ["dynamic", IFF_DYNAMIC, "dynamic"], ["broadcast", IFF_BROADCAST, "BROADCAST"],
  ["pointopoint", IFF_POINTOPOINT, "POINTOPOINT"],
] as const);

function usage(): never {
  throw new CommandEnd(E_OPTERR, USAGE);
}

/** Sets and clears IFF_*: 0, or what the status gets. net-tools: set_flag(), clr_flag(). */
function changeFlags(tool: NetTool, name: string, set: number, clear: number): number {
  const ifr = new Ifreq(name);
  const err = tool.ioctl(SIOCGIFFLAGS, ifr);
  if (err < 0) {
    tool.complain(`${name}: ERROR while getting interface flags: ${strerror(err)}\n`);
    return FLAGS_FAILED;
  }
  ifr.value = (ifr.value & ~clear) | set;
  return tool.must("SIOCSIFFLAGS", SIOCSIFFLAGS, ifr) ? 0 : FLAGS_FAILED;
}

/** A word of FLAG_WORDS; a warning when a flag that was cleared is there still. */
function flagWord(tool: NetTool, name: string, clear: boolean, flag: number, warning: string): number {
  const inverse = flag === IFF_NOARP || flag === IFF_NOTRAILERS;
  const status = clear !== inverse ? changeFlags(tool, name, 0, flag) : changeFlags(tool, name, flag, 0);
  const ifr = new Ifreq(name);
  if (clear && !inverse && tool.ioctl(SIOCGIFFLAGS, ifr) === 0 && (ifr.value & flag) !== 0) {
    tool.complain(`Warning: Interface ${name} still in ${warning} mode.\n`);
  }
  return status;
}

/** Sets an address of the device: is it done? */
function setAddress(tool: NetTool, name: string, title: string, request: number, addr: number): boolean {
  const ifr = new Ifreq(name);
  ifr.addr.addr = addr;
  return tool.must(title, request, ifr);
}

/** The address at hand for a word such as netmask: 0 or 1. */
function addressWord(tool: NetTool, name: string, args: Args, title: string, request: number): number {
  const addr = parseHost(args.word);
  if (addr !== null) return setAddress(tool, name, title, request, addr) ? 0 : 1;
  tool.complain(unknownHost(args.word));
  return 1;
}

function numberWord(tool: NetTool, name: string, args: Args, title: string, request: number): number {
  const ifr = new Ifreq(name);
  ifr.value = atoi(args.word);
  return tool.must(title, request, ifr) ? 0 : 1;
}

function hardwareWords(tool: NetTool, name: string, args: Args): number {
  if (args.word !== "ether") usage();
  args.at++;
  if (!args.more) usage();
  const bytes = parseLladdr(args.word);
  if (bytes === null) {
    tool.complain(`${args.word}: invalid ether address.\n`);
    return 1;
  }
  const ifr = new Ifreq(name);
  const view = new DataView(bytes.buffer);
  ifr.hwType = ARPHRD_ETHER;
  ifr.hwHi = view.getUint16(0);
  ifr.hwLo = view.getInt32(2);
  const err = tool.ioctl(SIOCSIFHWADDR, ifr);
  if (err < 0) {
    tool.complain(`SIOCSIFHWADDR: ${strerror(err)}${err === -EBUSY ? " - you may need to down the interface" : ""}\n`);
  }
  return err < 0 ? 1 : 0;
}

/** What the words have asked for so far. */
interface Progress {
  status: number;
  /** Mask from the prefix length behind the address, set at the end. */
  mask: number | null;
  /** A netmask was given by its word. */
  masked: boolean;
}

/** An address: the device gets it and comes up. */
function addressItself(tool: NetTool, name: string, args: Args, progress: Progress): void {
  const prefix = parseHostPrefix(args.word);
  if (prefix === null) throw new CommandEnd(1, unknownHost(args.word) + HELP);
  if (prefix.length >= 0) {
    if (progress.masked) usage();
    progress.mask = maskOf(prefix.length);
  }
  if (!setAddress(tool, name, "SIOCSIFADDR", SIOCSIFADDR, prefix.addr)) progress.status = 1;
  // A label whose address was taken has no flags any more.
  if (prefix.addr === 0 && name.includes(":")) return;
  progress.status |= changeFlags(tool, name, IFF_UP | IFF_RUNNING, 0);
}

/** Words that one more must follow; are they among the words? */
function valueWord(tool: NetTool, name: string, args: Args, progress: Progress): boolean {
  const word = args.word;
  if (!["netmask", "dstaddr", "mtu", "txqueuelen", "hw", "name"].includes(word)) return false;
  args.at++;
  if (!args.more || (word === "netmask" && progress.masked)) usage();
  if (word === "netmask") {
    progress.masked = true;
    progress.status |= addressWord(tool, name, args, "SIOCSIFNETMASK", SIOCSIFNETMASK);
  } else if (word === "dstaddr") progress.status |= addressWord(tool, name, args, "SIOCSIFDSTADDR", SIOCSIFDSTADDR);
  else if (word === "mtu") progress.status |= numberWord(tool, name, args, "SIOCSIFMTU", SIOCSIFMTU);
  else if (word === "txqueuelen") progress.status |= numberWord(tool, name, args, "SIOCSIFTXQLEN", SIOCSIFTXQLEN);
  else if (word === "hw") progress.status |= hardwareWords(tool, name, args);
  else {
    const ifr = new Ifreq(name);
    ifr.newname = args.word;
    if (!tool.must("SIOCSIFNAME", SIOCSIFNAME, ifr)) progress.status = 1;
  }
  return true;
}

/** A word that sets or clears a flag, broadcast and pointopoint with an address if one follows; is it one? */
function toggleWord(tool: NetTool, name: string, args: Args, progress: Progress): boolean {
  const clear = args.word.startsWith("-");
  const word = clear ? args.word.substring(1) : args.word;
  const found = FLAG_WORDS.find(([known]) => known === word);
  if (found === undefined) return false;
  const [, flag, warning] = found;
  if (!clear && (word === "broadcast" || word === "pointopoint") && args.at + 1 < args.words.length) {
    args.at++;
    progress.status |= word === "broadcast"
      ? addressWord(tool, name, args, "SIOCSIFBRDADDR", SIOCSIFBRDADDR)
      : addressWord(tool, name, args, "SIOCSIFDSTADDR", SIOCSIFDSTADDR);
  }
  progress.status |= flagWord(tool, name, clear, flag, warning);
  return true;
}

/** Settings of hardware that no device here has: what net-tools says of a driver without them. */
function hardwareSetting(tool: NetTool, args: Args): number {
  const word = args.word;
  args.at++;
  if (!args.more) usage();
  const request = word === "keepalive" ? "SIOCSKEEPALIVE" : word === "outfill" ? "SIOCSOUTFILL" : `${word}: SIOCSIFMAP`;
  tool.complain(`${request}: ${strerror(EOPNOTSUPP)}\n`);
  return 1;
}

/** Does what the words behind the device's name say. */
function configure(tool: NetTool, name: string, args: Args): number {
  const progress: Progress = { status: 0, mask: null, masked: false };
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "up") progress.status |= changeFlags(tool, name, IFF_UP | IFF_RUNNING, 0);
    else if (word === "down") progress.status |= changeFlags(tool, name, 0, IFF_UP);
    else if (word === "inet") continue;
    else if (HARDWARE.includes(word)) progress.status |= hardwareSetting(tool, args);
    else if (!toggleWord(tool, name, args, progress) && !valueWord(tool, name, args, progress)) {
      addressItself(tool, name, args, progress);
    }
  }
  if (progress.mask !== null && !setAddress(tool, name, "SIOCSIFNETMASK", SIOCSIFNETMASK, progress.mask)) progress.status |= 1;
  return progress.status;
}

/** Does what the words say; the exit status. */
export function ifconfigMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  let all = false;
  let brief = false;
  for (; args.word.startsWith("-"); args.at++) {
    const word = args.word;
    if (word === "-a") all = true;
    else if (word === "-s") brief = true;
    else if (word === "-h" || word === "--help" || word === "-?") {
      out.text += USAGE;
      return 0;
    } else if (word === "-V" || word === "--version") {
      out.text += "ifconfig, linnet (as of net-tools 2.10)\n";
      return 0;
    } else if (word !== "-v") throw new CommandEnd(1, `ifconfig: option \`${word}' not recognised.\n${HELP}`);
  }
  return withNetTool(net, out, (tool) => {
    if (args.at + 1 < words.length) {
      const name = args.word;
      args.at++;
      return configure(tool, name, args);
    }
    if (brief) tool.print(SHORT_HEADER);
    return args.more ? showOne(tool, args.word, brief) : showAll(tool, all, brief);
  });
}
