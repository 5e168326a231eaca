/** `ip neighbour`: show, get, add, change, replace, delete, flush. iproute2's counterpart is ip/ipneigh.c. */
import { NDA_CACHEINFO, NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_PROBES } from "../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  NTF_ROUTER, NTF_USE, NUD_NOARP, NUD_NONE, NUD_PERMANENT, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH,
} from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import {
  type Args, CommandEnd, duplicateArg, invalidArg, matches, noDevice, parseNumber,
} from "./command.ts";
import { addrArg, formatAddr, formatLladdr, parseLladdr, prefixArg, type Prefix } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { type Answer, Request } from "./libnetlink.ts";

/** ndmsg: its size and fields. */
export const NDMSG_BYTES = 12;
const NDM_FAMILY = 0;
const NDM_IFINDEX = 4;
const NDM_STATE = 8;
const NDM_FLAGS = 10;

const USAGE = "Usage: ip neigh { add | del | change | replace } { ADDR [ lladdr LLADDR ] [ nud STATE ] } dev DEV\n"
  + "       ip neigh { show | flush } [ to PREFIX ] [ dev DEV ] [ nud STATE ]\n       ip neigh get ADDR dev DEV\n";

const STATES: readonly (readonly [number, string])[] = Object.freeze([
  [0x01, "incomplete"], [0x02, "reachable"], [0x04, "stale"], [0x08, "delay"], [0x10, "probe"], [0x20, "failed"],
  [0x40, "noarp"], [0x80, "permanent"], [0x00, "none"],
] as const);
const ALL_STATES = 0xff;

/** `ip neighbour …` */
export function ipNeigh(ip: IpContext, args: Args): number {
  if (!args.more) return list(ip, args, false);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return modify(ip, args, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);
  if (matches(word, "change") || word === "chg") return modify(ip, args, RTM_NEWNEIGH, NLM_F_REPLACE);
  if (matches(word, "replace")) return modify(ip, args, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELNEIGH, 0);
  if (matches(word, "get")) return get(ip, args);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return list(ip, args, false);
  if (matches(word, "flush")) return list(ip, args, true);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "neigh");
}

function stateNumber(text: string): number {
  if (text === "all") return ALL_STATES;
  for (const [state, name] of STATES) if (matches(text, name)) return state;
  const number = parseNumber(text, ALL_STATES);
  return number < 0 ? invalidArg("nud state is bad", text) : number;
}

function stateText(state: number): string {
  let text = "";
  for (const [bit, name] of STATES) if (bit !== 0 && (state & bit) !== 0) text += `${name.toUpperCase()} `;
  return state === 0 ? "NONE " : text;
}

/** The line of a neighbour. @param named the listing is of one device: its name is not repeated. iproute2: print_neigh() */
export function neighText(ip: IpContext, answer: Answer, named: boolean): string {
  const attrs = answer.attrs(NDMSG_BYTES);
  let text = answer.type === RTM_DELNEIGH ? "Deleted " : "";
  if (attrs.has(NDA_DST)) text += `${formatAddr(attrs.addr(NDA_DST))} `;
  if (!named) text += `dev ${ip.deviceName(answer.u32(NDM_IFINDEX))} `;
  if (attrs.has(NDA_LLADDR)) text += `lladdr ${formatLladdr(attrs.data(NDA_LLADDR))} `;
  if ((answer.u8(NDM_FLAGS) & NTF_ROUTER) !== 0) text += "router ";
  const info = attrs.data(NDA_CACHEINFO);
  if (ip.stats > 0 && info.length >= 16) {
    const view = new DataView(info.buffer, info.byteOffset, 16);
    const seconds = (at: number): number => Math.floor(view.getInt32(at, true) / 100);
    const refs = view.getInt32(12, true);
    if (refs !== 0) text += `ref ${refs} `;
    text += ` used ${seconds(4)}/${seconds(0)}/${seconds(8)}`;
    if (attrs.has(NDA_PROBES)) text += `probes ${attrs.u32(NDA_PROBES)} `;
  }
  return `${text}${stateText(answer.u16(NDM_STATE))}\n`;
}

/** iproute2: ipneigh_modify(). */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  const request = new Request(type, flags, NDMSG_BYTES);
  let dst: number | null = null;
  let device: string | null = null;
  request.setU8(NDM_FAMILY, AF_INET);
  request.setU16(NDM_STATE, type === RTM_DELNEIGH ? NUD_NONE : NUD_PERMANENT);
  for (; args.more; args.at++) {
    const word = args.word;
    if (matches(word, "lladdr")) {
      const bytes = parseLladdr(args.next());
      if (bytes === null) throw new CommandEnd(255, `"${args.word}" is invalid lladdr.\n`);
      request.data(NDA_LLADDR, bytes);
    } else if (word === "nud") request.setU16(NDM_STATE, stateNumber(args.next()));
    else if (word === "router") request.setU8(NDM_FLAGS, NTF_ROUTER);
    else if (word === "use") request.setU8(NDM_FLAGS, NTF_USE);
    else if (word === "dev") device = args.next();
    else {
      if (word === "to") args.next();
      if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
      if (dst !== null) duplicateArg("address", args.word);
      dst = addrArg(args.word, ip.family === AF_INET ? "inet" : "any valid");
      request.addr(NDA_DST, dst);
    }
  }
  if (device === null || dst === null) throw new CommandEnd(255, "Device and destination are required arguments.\n");
  const index = ip.deviceIndex(device);
  if (index === 0) noDevice(device);
  request.setU32(NDM_IFINDEX, index);
  ip.rtnl.talk(request);
  return 0;
}

function get(ip: IpContext, args: Args): number {
  const request = new Request(RTM_GETNEIGH, 0, NDMSG_BYTES);
  let [dst, index] = [false, 0];
  request.setU8(NDM_FAMILY, AF_INET);
  for (; args.more; args.at++) {
    if (args.word === "dev") {
      index = ip.deviceIndex(args.next());
      if (index === 0) noDevice(args.word);
    } else {
      if (args.word === "to") args.next();
      request.addr(NDA_DST, addrArg(args.word, "any valid"));
      dst = true;
    }
  }
  if (index === 0 || !dst) throw new CommandEnd(255, "Device and address are required arguments.\n");
  request.setU32(NDM_IFINDEX, index);
  const answer = ip.rtnl.talk(request, false);
  if (answer !== null) ip.print(neighText(ip, answer, false));
  return 0;
}

/** `ip neigh show` and `flush`. iproute2: do_show_or_flush(). */
function list(ip: IpContext, args: Args, flush: boolean): number {
  let states = 0;
  let [given, index] = [false, 0];
  let to: Prefix | null = null;
  if (flush && !args.more) throw new CommandEnd(1, "Flush requires arguments.\n");
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "dev") {
      index = ip.deviceIndex(args.next());
      if (index === 0) noDevice(args.word);
    } else if (word === "nud") {
      states = given ? states | stateNumber(args.next()) : stateNumber(args.next());
      given = true;
    } else {
      if (word === "to") args.next();
      to = prefixArg(args.word);
    }
  }
  if (!given) states = flush ? ALL_STATES & ~NUD_PERMANENT & ~NUD_NOARP : ALL_STATES & ~NUD_NOARP;
  const request = new Request(RTM_GETNEIGH, 0, NDMSG_BYTES);
  request.setU8(NDM_FAMILY, AF_INET);
  if (index !== 0) request.u32(NDA_IFINDEX, index);
  const found: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    const state = answer.u16(NDM_STATE);
    const key = answer.attrs(NDMSG_BYTES).addr(NDA_DST);
    const inside = to === null || to.length === 0 || ((key ^ to.addr) >> (32 - to.length)) === 0;
    if (inside && (state === 0 ? states === ALL_STATES : (state & states) !== 0)) found.push(answer);
  });
  for (const answer of found) {
    if (flush) removeAgain(ip, answer);
    else ip.print(neighText(ip, answer, index !== 0));
  }
  return 0;
}

function removeAgain(ip: IpContext, answer: Answer): void {
  const request = new Request(RTM_DELNEIGH, 0, NDMSG_BYTES);
  request.bytes.set(answer.bytes.subarray(16, 16 + NDMSG_BYTES), 16);
  request.addr(NDA_DST, answer.attrs(NDMSG_BYTES).addr(NDA_DST));
  ip.rtnl.tryTalk(request);
}
