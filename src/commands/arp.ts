/**
 * `arp`: the neighbours as /proc/net/arp has them; entries set and deleted through ioctl() only. net-tools' counterpart is arp.c.
 */
import { Arpreq, Ifreq } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import { EINVAL, ENOENT, ENXIO } from "../uapi/errno.ts";
import { ARPHRD_ETHER, ATF_COM, ATF_PERM, ATF_PUBL } from "../uapi/if-arp.ts";
import { SIOCDARP, SIOCGIFHWADDR, SIOCSARP } from "../uapi/ioctl.ts";
import { Args, CommandEnd, type Output } from "./command.ts";
import { formatAddr, parseLladdr } from "./inet-text.ts";
import { E_OPTERR, type NetTool, parseHost, unknownHost, withNetTool } from "./net-tools.ts";
import { strerror } from "./strerror.ts";

const USAGE = "Usage:\n  arp [-vn] [-i <if>] [-ae] [<host>]\n  arp [-v]  [-i <if>] -d <host> [pub]\n"
  + "  arp [-v]  [-i <if>] -s <host> <hwaddr> [temp]\n  arp [-v]  [-i <if>] -Ds <host> <if>\n";
const HEADER = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";
/** The status of whatever fails. */
const FAILED = 255;

/** The options. */
class ArpOptions {
  /** -a */
  bsd = false;
  /** -v */
  verbose = false;
  /** -D */
  useDevice = false;
  /** -s or -d */
  action = "";
  /** -i, "" for any */
  device = "";
}

function end(complaint: string): never {
  throw new CommandEnd(FAILED, complaint);
}

/** The host at hand. */
function hostArg(args: Args): number {
  if (!args.more) end("arp: need host name\n");
  return parseHost(args.word) ?? end(unknownHost(args.word));
}

/** The link address at hand, or that of the device at hand (-D). */
function linkAddress(tool: NetTool, args: Args, options: ArpOptions, req: Arpreq): void {
  args.at++;
  if (!args.more) end("arp: need hardware address\n");
  req.haType = ARPHRD_ETHER;
  if (options.useDevice) {
    const ifr = new Ifreq(args.word);
    const err = tool.ioctl(SIOCGIFHWADDR, ifr);
    if (err < 0) end(`arp: cant get HW-Address for \`${args.word}': ${strerror(err)}.\n`);
    req.haHi = ifr.hwHi;
    req.haLo = ifr.hwLo;
    return;
  }
  const bytes = parseLladdr(args.word);
  if (bytes === null) end("arp: invalid hardware address\n");
  const view = new DataView(bytes.buffer);
  req.haHi = view.getUint16(0);
  req.haLo = view.getInt32(2);
}

/** The words behind an entry. */
function readTail(args: Args, req: Arpreq): void {
  for (args.at++; args.more; args.at++) {
    const word = args.word;
    if (word === "temp") req.flags &= ~ATF_PERM;
    else if (word === "pub") req.flags |= ATF_PUBL;
    else if (word === "dev") {
      args.at++;
      if (!args.more) throw new CommandEnd(E_OPTERR, USAGE);
      req.dev = args.word;
    } else if (word !== "priv") throw new CommandEnd(E_OPTERR, USAGE);
  }
}

function setEntry(tool: NetTool, args: Args, options: ArpOptions): number {
  const req = new Arpreq();
  req.dev = options.device;
  req.pa.addr = hostArg(args);
  req.flags = ATF_PERM | ATF_COM;
  linkAddress(tool, args, options, req);
  readTail(args, req);
  return tool.must("SIOCSARP", SIOCSARP, req) ? 0 : FAILED;
}

function deleteEntry(tool: NetTool, args: Args, options: ArpOptions): number {
  const host = args.word;
  const req = new Arpreq();
  req.dev = options.device;
  req.pa.addr = hostArg(args);
  req.flags = ATF_PERM;
  readTail(args, req);
  const err = tool.ioctl(SIOCDARP, req);
  if (err === -ENXIO || err === -ENOENT || err === -EINVAL) {
    tool.print(`No ARP entry for ${host}\n`);
    return FAILED;
  }
  if (err < 0) tool.complain(`SIOCDARP(${(req.flags & ATF_PUBL) !== 0 ? "pub" : "dontpub"}): ${strerror(err)}\n`);
  return err < 0 ? FAILED : 0;
}

/** An entry in Linux's style or BSD's. */
function entryLine(line: string, bsd: boolean): string {
  const [address, , flagsHex, lladdr, , iface] = line.split(/ +/);
  const flags = parseInt(flagsHex!, 16);
  const complete = (flags & ATF_COM) !== 0;
  const permanent = (flags & ATF_PERM) !== 0;
  if (bsd) return `? (${address}) at ${complete ? `${lladdr} [ether]${permanent ? " PERM" : ""}` : "<incomplete>"} on ${iface}\n`;
  const start = `${address!.padEnd(25)}${(complete ? "ether" : "").padEnd(8)}`;
  if (!complete) return `${start}${"(incomplete)".padEnd(42)}${iface}\n`;
  return `${start}${lladdr!.padEnd(20)}${(permanent ? "CM" : "C").padEnd(22)}${iface}\n`;
}

function show(tool: NetTool, args: Args, options: ArpOptions): number {
  const host = args.word;
  const addr = args.more ? formatAddr(hostArg(args)) : "";
  const entries = tool.lines("arp", 1);
  const shown = entries.filter((line) => {
    const columns = line.split(/ +/);
    return (addr === "" || columns[0] === addr) && (options.device === "" || columns[5] === options.device);
  });
  if (shown.length > 0 && !options.bsd) tool.print(HEADER);
  for (const line of shown) tool.print(entryLine(line, options.bsd));
  if (options.verbose) {
    tool.print(`Entries: ${entries.length}\tSkipped: ${entries.length - shown.length}\tFound: ${shown.length}\n`);
  }
  if (shown.length > 0) return 0;
  if (addr !== "" && !options.bsd) tool.print(`${host} (${addr}) -- no entry\n`);
  else if (addr !== "" || options.device !== "") tool.print(`arp: in ${entries.length} entries no match found.\n`);
  return 0;
}

function readOptions(args: Args): ArpOptions {
  const options = new ArpOptions();
  for (; args.word.startsWith("-"); args.at++) {
    const word = args.word;
    if (word === "--help") throw new CommandEnd(0, USAGE);
    if (word === "-i" || word === "--device") {
      args.at++;
      options.device = args.word;
      continue;
    }
    if (word === "-H" || word === "-t") {
      args.at++;
      if (args.word !== "ether") end(`arp: ${args.word}: unknown hardware type.\n`);
      continue;
    }
    if (!/^-[aevnNDsd]+$/.test(word)) throw new CommandEnd(E_OPTERR, USAGE);
    options.bsd ||= word.includes("a");
    options.verbose ||= word.includes("v");
    options.useDevice ||= word.includes("D");
    if (word.includes("s")) options.action = "s";
    else if (word.includes("d")) options.action = "d";
  }
  return options;
}

/** Does what the words say; the exit status. */
export function arpMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const options = readOptions(args);
  return withNetTool(net, out, (tool) => {
    if (options.action === "s") return setEntry(tool, args, options);
    return options.action === "d" ? deleteEntry(tool, args, options) : show(tool, args, options);
  });
}
