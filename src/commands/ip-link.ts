/** `ip link`: show, set, add and delete. iproute2's counterpart is ip/iplink.c. */
import { ETH_ALEN } from "../uapi/if-ether.ts";
import { IFF_ALLMULTI, IFF_DYNAMIC, IFF_MULTICAST, IFF_NOARP, IFF_NOTRAILERS, IFF_PROMISC, IFF_UP } from "../uapi/if.ts";
import {
  IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_TXQLEN,
  VETH_INFO_PEER,
} from "../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLMSG_HDRLEN } from "../uapi/netlink.ts";
import { RTM_DELLINK, RTM_NEWLINK } from "../uapi/rtnetlink.ts";
import {
  type Args, CommandEnd, duplicateArg, garbageArg, invalidArg, matches, noDevice, notOffered, numberArg,
} from "./command.ts";
import { lladdrArg } from "./inet-text.ts";
import { IFINFOMSG_BYTES, type IpContext, unknownCommand } from "./ip-context.ts";
import { bridgeWords } from "./ip-link-bridge.ts";
import { vlanWords } from "./ip-link-vlan.ts";
import { LinkFilter, listLinks, readLinkFilter } from "./ip-link-list.ts";
import { briefLinkItem, linkItem, putBriefLinkEnd, putLinkStats } from "./ip-link-print.ts";
import { Request } from "./libnetlink.ts";

/** ifinfomsg's fields. */
const IFI_INDEX = 4;
const IFI_FLAGS = 8;
const IFI_CHANGE = 12;

const USAGE = "Usage: ip link add [ link DEVICE ] [ name ] NAME [ txqueuelen PACKETS ] [ address LLADDR ] [ mtu MTU ] type TYPE [ ARGS ]\n"
  + "       ip link delete DEVICE\n       ip link set DEVICE [ { up | down } ] [ arp { on | off } ] [ dynamic { on | off } ]\n"
  + "          [ multicast { on | off } ] [ allmulticast { on | off } ] [ promisc { on | off } ]\n"
  + "          [ trailers { on | off } ]"
  + "          [ txqueuelen PACKETS ] [ name NEWNAME ] [ address LLADDR ] [ mtu MTU ]\n"
  + "          [ master DEVICE | nomaster ] [ type TYPE ARGS ]\n"
  + "       ip link show [ DEVICE | group GROUP ] [ up ] [ master DEVICE | nomaster ] [ type TYPE ]\n";

const VETH_USAGE = "Usage: ip link <options> type veth [peer <options>]\n";

/** Words that turn a flag on and off; `true`: on clears it. */
const SWITCHES: readonly (readonly [string, number, boolean])[] = Object.freeze([
  ["multicast", IFF_MULTICAST, false], ["allmulticast", IFF_ALLMULTI, false], ["promisc", IFF_PROMISC, false],
  ["arp", IFF_NOARP, true], ["dynamic", IFF_DYNAMIC, false], ["trailers", IFF_NOTRAILERS, true],
] as const);
/** Words that people know of what no device here has. */
const NOT_OFFERED: readonly string[] = Object.freeze([
  "alias", "group", "broadcast", "brd", "carrier", "state", "mode", "vrf", "netns", "protodown", "vf", "addrgenmode", "numtxqueues",
  "numrxqueues", "gso_max_size", "gso_max_segs", "gro_max_size", "xdp", "xdpgeneric", "index",
]);

/** `ip link …` */
export function ipLink(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return add(ip, args);
  if (matches(word, "delete")) return remove(ip, args);
  if (matches(word, "set") || matches(word, "change")) return set(ip, args);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "link");
}

function show(ip: IpContext, args: Args): number {
  const filter = new LinkFilter();
  for (; args.more; args.at++) readLinkFilter(ip, args, filter);
  ip.list(listLinks(ip, filter).map((link) => {
    if (ip.brief) return putBriefLinkEnd(ip, briefLinkItem(ip, link), link);
    const item = linkItem(ip, link, "link", false);
    putLinkStats(ip, item, link);
    return item.say("\n");
  }));
  return 0;
}

function onOff(word: string, text: string): boolean {
  if (text !== "on" && text !== "off") throw new CommandEnd(1, `Error: argument of "${word}" must be "on" or "off", not "${text}"\n`);
  return text === "on";
}

/** A number that may be negative, which the kernel refuses then. */
function signedArg(text: string, complaint: string): number {
  return text.startsWith("-") ? -numberArg(text.substring(1), complaint, 0x7fffffff) : numberArg(text, complaint, 0x7fffffff);
}

/** What the words of a device have named. */
interface LinkWords {
  /** The device, null when none was named. */
  readonly device: string | null;
  /** Its new name. */
  readonly name: string | null;
  /** Its kind, behind which the words of the kind follow. */
  readonly kind: string | null;
}

/**
 * Reads the words of a device up to its type into a request. iproute2: iplink_parse().
 * @param base where the ifinfomsg is that flags go to, behind the message's header
 */
function parseWords(ip: IpContext, args: Args, request: Request, base: number): LinkWords {
  let device: string | null = null;
  let name: string | null = null;
  const given = { mtu: false, qlen: false };
  const change = (flag: number, on: boolean): void => {
    request.setU32(base + IFI_CHANGE, request.getU32(base + IFI_CHANGE) | flag);
    const flags = request.getU32(base + IFI_FLAGS);
    request.setU32(base + IFI_FLAGS, on ? flags | flag : flags & ~flag);
  };
  for (; args.more; args.at++) {
    const word = args.word;
    const flag = SWITCHES.find(([known]) => known === word);
    if (word === "up") change(IFF_UP, true);
    else if (word === "down") change(IFF_UP, false);
    else if (flag !== undefined) change(flag[1], onOff(word, args.next()) !== flag[2]);
    else if (word === "link") request.u32(IFLA_LINK, otherDevice(ip, args.next()));
    else if (word === "master") request.u32(IFLA_MASTER, masterDevice(ip, args.next()));
    else if (word === "nomaster") request.u32(IFLA_MASTER, 0);
    else if (word === "name") name = newName(args.next());
    else if (word === "type") {
      const kind = args.next();
      args.at++;
      return { device, name, kind };
    } else if (matches(word, "address")) {
      const bytes = lladdrArg(args.next());
      if (bytes.length !== ETH_ALEN) throw new CommandEnd(1, `Invalid address length ${bytes.length} - must be ${ETH_ALEN} bytes\n`);
      request.data(IFLA_ADDRESS, bytes);
    } else if (word === "mtu") {
      const mtu = signedArg(args.next(), 'Invalid "mtu" value\n');
      if (given.mtu) duplicateArg("mtu", args.word);
      given.mtu = true;
      request.u32(IFLA_MTU, mtu);
    } else if (word === "txqueuelen" || word === "qlen" || matches(word, "txqlen")) {
      const length = signedArg(args.next(), 'Invalid "txqueuelen" value\n');
      if (given.qlen) duplicateArg("txqueuelen", args.word);
      given.qlen = true;
      request.u32(IFLA_TXQLEN, length);
    } else if (NOT_OFFERED.includes(word)) notOffered(word);
    else {
      if (word === "dev") args.next();
      else if (matches(word, "help")) throw new CommandEnd(255, USAGE);
      if (device !== null) garbageArg("dev", args.word);
      device = args.word;
    }
  }
  return { device, name, kind: null };
}

/** The number of another device that is named. */
function otherDevice(ip: IpContext, name: string): number {
  const index = ip.deviceIndex(name);
  return index === 0 ? noDevice(name) : index;
}

function masterDevice(ip: IpContext, name: string): number {
  const index = ip.deviceIndex(name);
  return index === 0 ? invalidArg("Device does not exist\n", name) : index;
}

/** Names the device that is there. */
function nameDevice(ip: IpContext, request: Request, device: string): void {
  request.setU32(IFI_INDEX, otherDevice(ip, device));
}

/** `ip link set` */
function set(ip: IpContext, args: Args): number {
  const request = new Request(RTM_NEWLINK, 0, IFINFOMSG_BYTES);
  const { device, name, kind } = parseWords(ip, args, request, 0);
  if (device === null) throw new CommandEnd(255, 'Not enough information: "dev" argument is required.\n');
  if (name !== null) request.string(IFLA_IFNAME, name);
  nameDevice(ip, request, device);
  if (kind !== null) kindWords(ip, args, request, kind);
  ip.rtnl.talk(request);
  return 0;
}

/** `peer …` of a veth. iproute2: veth_parse_opt(). */
function vethWords(ip: IpContext, args: Args, request: Request): void {
  if (!args.more) return;
  if (args.word !== "peer") {
    ip.print(VETH_USAGE);
    throw new CommandEnd(1, "");
  }
  args.at++;
  const peer = request.nest(VETH_INFO_PEER);
  const header = request.raw(IFINFOMSG_BYTES);
  const { device, name } = parseWords(ip, args, request, header - NLMSG_HDRLEN);
  if (device !== null || name !== null) request.string(IFLA_IFNAME, name ?? device!);
  request.nestEnd(peer);
}

/** The words of each kind that has some. iproute2: struct link_util. */
const KINDS: readonly (readonly [string, (ip: IpContext, args: Args, request: Request) => void])[] = Object.freeze([
  ["veth", vethWords], ["vlan", vlanWords], ["bridge", bridgeWords],
] as const);

/** The kind of a device and what else is said of it. */
function kindWords(ip: IpContext, args: Args, request: Request, kind: string): void {
  const info = request.nest(IFLA_LINKINFO);
  request.string(IFLA_INFO_KIND, kind);
  const words = KINDS.find(([known]) => known === kind);
  if (words !== undefined && args.more) {
    const data = request.nest(IFLA_INFO_DATA);
    words[1](ip, args, request);
    request.nestEnd(data);
  }
  request.nestEnd(info);
}

/** `ip link add`. iproute2: iplink_modify(). */
function add(ip: IpContext, args: Args): number {
  const request = new Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, IFINFOMSG_BYTES);
  const { device, name, kind } = parseWords(ip, args, request, 0);
  if (kind === null) throw new CommandEnd(1, 'Not enough information: "type" argument is required\n');
  if (device !== null || name !== null) request.string(IFLA_IFNAME, newName(name ?? device!));
  kindWords(ip, args, request, kind);
  ip.rtnl.talk(request);
  return 0;
}

/** `ip link delete` */
function remove(ip: IpContext, args: Args): number {
  const request = new Request(RTM_DELLINK, 0, IFINFOMSG_BYTES);
  const { device } = parseWords(ip, args, request, 0);
  if (device === null) throw new CommandEnd(255, 'Not enough information: "dev" argument is required.\n');
  nameDevice(ip, request, device);
  ip.rtnl.talk(request);
  return 0;
}

function newName(text: string): string {
  const valid = text !== "" && text.length < 16 && !/[\s/]/.test(text);
  return valid ? text : invalidArg('"name" not a valid ifname', text);
}
