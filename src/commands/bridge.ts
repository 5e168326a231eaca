/**
 * `bridge`: `fdb show`, `add`, `append`, `replace` and `delete`, `link show`, and `monitor fdb`. iproute2's counterparts are bridge/fdb.c,
 * bridge/link.c and bridge/monitor.c.
 */
import type { Net } from "../stack/core/net.ts";
import { IFF_UP } from "../uapi/if.ts";
import { IFLA_LINK, IFLA_MASTER, IFLA_MTU, IFLA_PROTINFO, NDA_CACHEINFO, NDA_LLADDR, NDA_MASTER } from "../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  NTF_MASTER, NTF_SELF, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE, RTM_DELLINK, RTM_DELNEIGH, RTM_GETLINK, RTM_GETNEIGH,
  RTM_NEWLINK, RTM_NEWNEIGH, RTNLGRP_LINK, RTNLGRP_NEIGH,
} from "../uapi/rtnetlink.ts";
import { AF_BRIDGE } from "../uapi/socket.ts";
import { Args, CommandEnd, duplicateArg, matches, noDevice, Output } from "./command.ts";
import { formatLladdr, parseLladdr } from "./inet-text.ts";
import { IpContext } from "./ip-context.ts";
import { bridgePortFlags, bridgePortState } from "./ip-link-bridge.ts";
import { flagsText, linkName } from "./ip-link-print.ts";
import { type Answer, Request } from "./libnetlink.ts";

/** ndmsg: its size and fields. */
const NDMSG_BYTES = 12;
const NDM_IFINDEX = 4;
const NDM_STATE = 8;
const NDM_FLAGS = 10;
/** ifinfomsg: the same. */
const IFINFOMSG_BYTES = 16;
const IFI_INDEX = 4;
const IFI_FLAGS = 8;

const USAGE = "Usage: bridge [ -s[tatistics] ] fdb { add | append | replace | del } LLADDR dev DEV { self | master }\n"
  + "          [ static | dynamic ]\n       bridge [ -s[tatistics] ] fdb [ show [ br BRDEV ] [ brport DEV ] [ dynamic ] ]\n"
  + "       bridge [ -d[etails] ] link [ show [ dev DEV ] ]\n       bridge monitor [ fdb ]\n";

/** Does what the words say; the exit status. */
export function bridgeMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const ip = new IpContext(net, out);
  try {
    for (; args.word.startsWith("-"); args.at++) {
      if (matches(args.word, "-stats") || matches(args.word, "-statistics")) ip.stats++;
      else if (matches(args.word, "-details")) ip.details = true;
      else throw new CommandEnd(255, `Option "${args.word}" is unknown, try "bridge help".\n`);
    }
    if (!args.more || matches(args.word, "help")) throw new CommandEnd(255, USAGE);
    if (matches(args.word, "link")) {
      args.at++;
      return link(ip, args);
    }
    if (!matches(args.word, "fdb")) throw new CommandEnd(255, `Object "${args.word}" is unknown, try "bridge help".\n`);
    args.at++;
    return fdb(ip, args);
  } finally {
    ip.rtnl.close();
  }
}

function fdb(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return modify(ip, args, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);
  if (matches(word, "append")) return modify(ip, args, RTM_NEWNEIGH, NLM_F_CREATE);
  if (matches(word, "replace")) return modify(ip, args, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELNEIGH, 0);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  throw new CommandEnd(255, `Command "${word}" is unknown, try "bridge fdb help".\n`);
}

function link(ip: IpContext, args: Args): number {
  if (args.more) {
    const word = args.word;
    args.at++;
    if (matches(word, "help")) throw new CommandEnd(255, USAGE);
    if (!matches(word, "show") && !matches(word, "lst") && !matches(word, "list")) {
      throw new CommandEnd(255, `Command "${word}" is unknown, try "bridge link help".\n`);
    }
  }
  let device = 0;
  for (; args.more; args.at++) {
    if (args.word !== "dev") continue;
    device = ip.deviceIndex(args.next());
    if (device === 0) noDevice(args.word);
  }
  const request = new Request(RTM_GETLINK, 0, IFINFOMSG_BYTES);
  request.setU8(0, AF_BRIDGE);
  const ports: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    if (answer.u8(0) === AF_BRIDGE && (device === 0 || answer.u32(IFI_INDEX) === device)) ports.push(answer);
  });
  for (const answer of ports) ip.print(portText(ip, answer));
  return 0;
}

/** The lines of a port. iproute2: print_linkinfo() of bridge/link.c */
function portText(ip: IpContext, answer: Answer): string {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  const below = attrs.u32(IFLA_LINK);
  const down = below !== 0 && (ip.deviceFlags(below) & IFF_UP) === 0;
  const port = attrs.nested(IFLA_PROTINFO);
  let text = `${answer.u32(IFI_INDEX)}: ${linkName(ip, attrs)}: ${flagsText(answer.u32(IFI_FLAGS), down)} mtu ${attrs.u32(IFLA_MTU)} `
    + `master ${ip.deviceName(attrs.u32(IFLA_MASTER))} ${bridgePortState(port)}\n`;
  if (ip.details) text += `    ${bridgePortFlags(port)}\n`;
  return text;
}

/** A running `bridge monitor fdb`: what has happened since it was last read. */
export class BridgeMonitor {
  private readonly ip: IpContext;

  /** @throws CommandEnd for a word other than `fdb` and `all` */
  constructor(net: Net, args: Args) {
    for (; args.more; args.at++) {
      if (matches(args.word, "fdb") || args.word === "all") continue;
      throw new CommandEnd(255, `Argument "${args.word}" is unknown, try "bridge monitor help".\n`);
    }
    this.ip = new IpContext(net, new Output(), (1 << (RTNLGRP_NEIGH - 1)) | (1 << (RTNLGRP_LINK - 1)));
    // Names are asked for now: later the question would take the news from the socket.
    this.ip.deviceName(0);
  }

  /** The text of all that has happened since the last call. */
  read(): string {
    const ip = this.ip;
    let text = "";
    for (let list = ip.rtnl.read(); list.length > 0; list = ip.rtnl.read()) {
      for (const answer of list) {
        if (answer.type === RTM_NEWLINK || answer.type === RTM_DELLINK) ip.learn(answer, answer.type === RTM_DELLINK);
        else if (answer.u8(0) === AF_BRIDGE) text += entryText(ip, answer, false);
      }
    }
    return text;
  }

  /** Ends it; the socket is free again. */
  close(): void {
    this.ip.rtnl.close();
  }
}

function stateText(state: number): string {
  if ((state & NUD_PERMANENT) !== 0) return "permanent";
  if ((state & NUD_NOARP) !== 0) return "static";
  if ((state & NUD_STALE) !== 0) return "stale";
  return (state & NUD_REACHABLE) !== 0 ? "" : `state=0x${state.toString(16)}`;
}

/** The line of an entry. @param named the listing is of one port: its name is not repeated. iproute2: print_fdb() */
function entryText(ip: IpContext, answer: Answer, named: boolean): string {
  const attrs = answer.attrs(NDMSG_BYTES);
  let text = `${answer.type === RTM_DELNEIGH ? "Deleted " : ""}${formatLladdr(attrs.data(NDA_LLADDR))} `;
  if (!named) text += `dev ${ip.deviceName(answer.u32(NDM_IFINDEX))} `;
  const info = attrs.data(NDA_CACHEINFO);
  if (ip.stats > 0 && info.length >= 12) {
    const view = new DataView(info.buffer, info.byteOffset, info.length);
    text += `used ${Math.floor(view.getInt32(4, true) / 100)}/${Math.floor(view.getInt32(8, true) / 100)} `;
  }
  if (attrs.has(NDA_MASTER)) text += `master ${ip.deviceName(attrs.u32(NDA_MASTER))} `;
  return `${text}${stateText(answer.u16(NDM_STATE))}\n`;
}

function show(ip: IpContext, args: Args): number {
  let port = 0;
  let master = 0;
  let dynamic = false;
  for (; args.more; args.at++) {
    if (args.word === "brport" || args.word === "dev") {
      port = ip.deviceIndex(args.next());
      if (port === 0) noDevice(args.word);
    } else if (args.word === "br") {
      master = ip.deviceIndex(args.next());
      if (master === 0) throw new CommandEnd(255, `Cannot find bridge device "${args.word}"\n`);
    } else if (args.word === "dynamic") dynamic = true;
    else if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
  }
  const request = new Request(RTM_GETNEIGH, 0, NDMSG_BYTES);
  request.setU8(0, AF_BRIDGE);
  request.setU32(NDM_IFINDEX, port);
  if (master !== 0) request.u32(NDA_MASTER, master);
  const entries: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    if (answer.u8(0) === AF_BRIDGE && !(dynamic && (answer.u16(NDM_STATE) & NUD_PERMANENT) !== 0)) entries.push(answer);
  });
  for (const answer of entries) ip.print(entryText(ip, answer, port !== 0));
  return 0;
}

/** iproute2: fdb_modify(). */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  let device: string | null = null;
  let address: string | null = null;
  let state = NUD_NOARP;
  let whose = 0;
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "dev") device = args.next();
    else if (word === "self") whose |= NTF_SELF;
    else if (matches(word, "master")) whose |= NTF_MASTER;
    else if (matches(word, "local") || matches(word, "permanent")) state |= NUD_PERMANENT;
    else if (matches(word, "temp") || matches(word, "static")) state |= NUD_REACHABLE;
    else if (matches(word, "dynamic")) state = (state | NUD_REACHABLE) & ~NUD_NOARP;
    else {
      if (word === "to") args.next();
      if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
      if (address !== null) duplicateArg("to", args.word);
      address = args.word;
    }
  }
  if (device === null || address === null) throw new CommandEnd(255, "Device and address are required arguments.\n");
  if (whose === 0) whose = NTF_SELF;
  if ((state & (NUD_PERMANENT | NUD_REACHABLE)) === 0) state |= NUD_PERMANENT;
  const bytes = parseLladdr(address);
  if (bytes === null) throw new CommandEnd(255, `Invalid mac address ${address}\n`);
  const request = new Request(type, flags, NDMSG_BYTES);
  request.setU8(0, AF_BRIDGE);
  request.setU16(NDM_STATE, state);
  request.setU8(NDM_FLAGS, whose);
  request.data(NDA_LLADDR, bytes);
  const index = ip.deviceIndex(device);
  if (index === 0) noDevice(device);
  request.setU32(NDM_IFINDEX, index);
  ip.rtnl.talk(request);
  return 0;
}
