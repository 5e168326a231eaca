/** `ip neighbour`: show, get, add, change, replace, delete, flush. iproute2's counterpart is ip/ipneigh.c. */
import { NDA_CACHEINFO, NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_PROBES, NDA_PROTOCOL } from "../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  NTF_EXT_LEARNED, NTF_PROXY, NTF_ROUTER, NTF_USE, NUD_NOARP, NUD_NONE, NUD_PERMANENT, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH,
} from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import {
  type Args, CommandEnd, garbageArg, invalidArg, matches, noDevice, notOffered, parseNumber,
} from "./command.ts";
import { addrArg, formatAddr, formatLladdr, lladdrArg, prefixArg, type Prefix } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import { type Answer, Request } from "./libnetlink.ts";
import { protocolName, protocolNumber } from "./rt-names.ts";

/** ndmsg: its size and fields. */
export const NDMSG_BYTES = 12;
const NDM_FAMILY = 0;
const NDM_IFINDEX = 4;
const NDM_STATE = 8;
const NDM_FLAGS = 10;

const USAGE = "Usage: ip neigh { add | del | change | replace }\n"
  + "                { ADDR [ lladdr LLADDR ] [ nud STATE ] proxy ADDR }\n"
  + "                [ dev DEV ] [ router ] [ use ] [ extern_learn ] [ protocol PROTO ]\n"
  + "       ip neigh { show | flush } [ proxy ] [ to PREFIX ] [ dev DEV ] [ nud STATE ] [ unused ]\n"
  + "       ip neigh get ADDR dev DEV\n";

const STATES: readonly (readonly [number, string])[] = Object.freeze([
  [0x01, "incomplete"], [0x02, "reachable"], [0x04, "stale"], [0x08, "delay"], [0x10, "probe"], [0x20, "failed"],
  [0x40, "noarp"], [0x80, "permanent"], [0x00, "none"],
] as const);
/** Those whose names may be cut short. */
const SHORT = /^(permanent|reachable|failed)$/;
/** In a filter: entries in no state at all. */
const NONE_STATE = 0x100;
const ALL_STATES = 0x1ff;

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

/** iproute2: nud_state_a2n(). */
function stateNumber(text: string): number {
  for (const [state, name] of STATES) if (SHORT.test(name) ? matches(text, name) : text === name) return state;
  const number = parseNumber(text, NONE_STATE - 1);
  return number < 0 || (number & (number - 1)) !== 0 ? invalidArg("nud state is bad", text) : number;
}

/** A word behind `nud` of a listing. */
function filterStates(text: string, flush: boolean): number {
  if (text === "all") return flush ? ALL_STATES & ~NUD_NOARP : ALL_STATES;
  const state = stateNumber(text);
  return state === 0 ? NONE_STATE : state;
}

function stateNames(state: number): string[] {
  return STATES.filter(([bit]) => bit !== 0 && (state & bit) !== 0).map(([, name]) => name.toUpperCase());
}

const FLAG_NAMES: readonly (readonly [number, string])[] = Object.freeze([
  [NTF_ROUTER, "router"], [NTF_PROXY, "proxy"], [NTF_EXT_LEARNED, "extern_learn"],
] as const);

/** How long ago a neighbour was used, confirmed and changed. */
function putTimes(item: Item, info: Uint8Array): void {
  const view = new DataView(info.buffer, info.byteOffset, 16);
  const seconds = (at: number): number => Math.floor(view.getInt32(at, true) / 100);
  const refs = view.getInt32(12, true);
  if (refs !== 0) item.put("refcnt", refs, `ref ${refs} `);
  item.put("used", seconds(4), ` used ${seconds(4)}`).put("confirmed", seconds(0), `/${seconds(0)}`).put("updated", seconds(8), `/${seconds(8)}`);
}

/** A neighbour, its text with the newline at its end. @param named the listing is of one device: its name is not repeated. iproute2: print_neigh() */
export function neighItem(ip: IpContext, answer: Answer, named: boolean): Item {
  const attrs = answer.attrs(NDMSG_BYTES);
  const item = new Item();
  if (answer.type === RTM_DELNEIGH) item.put("deleted", true, "Deleted ");
  else if (answer.type === RTM_GETNEIGH) item.put("miss", null, "miss ");
  if (attrs.has(NDA_DST)) item.put("dst", formatAddr(attrs.addr(NDA_DST)));
  const device = ip.deviceName(answer.u32(NDM_IFINDEX));
  if (!named && answer.u32(NDM_IFINDEX) !== 0) item.put("dev", device, `dev ${device} `);
  if (attrs.has(NDA_LLADDR)) item.put("lladdr", formatLladdr(attrs.data(NDA_LLADDR)), `lladdr ${formatLladdr(attrs.data(NDA_LLADDR))} `);
  const flags = answer.u8(NDM_FLAGS);
  for (const [bit, name] of FLAG_NAMES) if ((flags & bit) !== 0) item.put(name, null, `${name} `);
  const info = attrs.data(NDA_CACHEINFO);
  if (ip.stats > 0 && info.length >= 16) {
    putTimes(item, info);
    if (attrs.has(NDA_PROBES)) item.put("probes", attrs.u32(NDA_PROBES), `probes ${attrs.u32(NDA_PROBES)} `);
  }
  const states = stateNames(answer.u16(NDM_STATE));
  if (states.length > 0) item.put("state", states, states.map((name) => `${name} `).join(""));
  if (attrs.has(NDA_PROTOCOL)) {
    const protocol = protocolName(attrs.data(NDA_PROTOCOL)[0]!, ip.numeric);
    item.put("protocol", protocol, `proto ${protocol} `);
  }
  return item.say("\n");
}

/** iproute2: ipneigh_modify(). */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  const request = new Request(type, flags, NDMSG_BYTES);
  let dst: number | null = null;
  let device: string | null = null;
  let lladdr: string | null = null;
  let flags8 = 0;
  request.setU8(NDM_FAMILY, AF_INET);
  request.setU16(NDM_STATE, type === RTM_DELNEIGH ? NUD_NONE : NUD_PERMANENT);
  for (; args.more; args.at++) {
    const word = args.word;
    if (matches(word, "lladdr")) lladdr = args.next();
    else if (word === "nud") request.setU16(NDM_STATE, stateNumber(args.next()));
    else if (word === "router") flags8 |= NTF_ROUTER;
    else if (matches(word, "extern_learn")) flags8 |= NTF_EXT_LEARNED;
    else if (word === "use") flags8 |= NTF_USE;
    else if (word === "dev") device = args.next();
    else if (!matches(word, "proxy") && matches(word, "protocol")) {
      const protocol = protocolNumber(args.next());
      if (protocol < 0) invalidArg('"protocol" value is invalid\n', args.word);
      request.data(NDA_PROTOCOL, Uint8Array.of(protocol));
    } else {
      const proxy = matches(word, "proxy");
      if (proxy) flags8 |= NTF_PROXY;
      if (proxy || word === "to") args.next();
      if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
      if (dst !== null) garbageArg("to", args.word);
      dst = addrArg(args.word, ip.family === AF_INET ? "inet" : "any valid");
      request.addr(NDA_DST, dst);
    }
  }
  request.setU8(NDM_FLAGS, flags8);
  if ((device === null && (flags8 & NTF_PROXY) === 0) || dst === null) throw new CommandEnd(255, "Device and destination are required arguments.\n");
  if (lladdr !== null && lladdr !== "null") request.data(NDA_LLADDR, lladdrArg(lladdr));
  if (device !== null) {
    const index = ip.deviceIndex(device);
    if (index === 0) noDevice(device);
    request.setU32(NDM_IFINDEX, index);
  }
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
      const proxy = args.word === "proxy";
      if (proxy) request.setU8(NDM_FLAGS, NTF_PROXY);
      if (proxy || args.word === "to") args.next();
      request.addr(NDA_DST, addrArg(args.word, "any valid"));
      dst = true;
    }
  }
  if (index === 0 || !dst) throw new CommandEnd(1, "Device and address are required arguments.\n");
  request.setU32(NDM_IFINDEX, index);
  const answer = ip.rtnl.talk(request, false);
  if (answer !== null) ip.print(neighItem(ip, answer, false).text);
  return 0;
}

/** A device whose ports are asked for: none has neighbours here. */
function notMaster(ip: IpContext, name: string): void {
  if (ip.deviceIndex(name) === 0) invalidArg("Device does not exist\n", name);
  notOffered("master");
}

/** `ip neigh show` and `flush`. iproute2: do_show_or_flush(). */
function list(ip: IpContext, args: Args, flush: boolean): number {
  let states = 0;
  let [given, index, proxy, unused] = [false, 0, false, false];
  let to: Prefix | null = null;
  if (flush && !args.more) throw new CommandEnd(1, "Flush requires arguments.\n");
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "dev") {
      index = ip.deviceIndex(args.next());
      if (index === 0) noDevice(args.word);
    } else if (word === "nud") {
      states |= filterStates(args.next(), flush);
      given = true;
    } else if (word === "proxy") proxy = true;
    else if (word === "unused") unused = true;
    else if (word === "nomaster") continue;
    else if (word === "master") notMaster(ip, args.next());
    else if (word === "vrf") invalidArg("Not a valid VRF name\n", args.next());
    else {
      if (word === "to") args.next();
      to = prefixArg(args.word);
    }
  }
  if (!given) states = flush ? ALL_STATES & ~NUD_PERMANENT & ~NUD_NOARP : (NONE_STATE - 1) & ~NUD_NOARP;
  const request = new Request(RTM_GETNEIGH, 0, NDMSG_BYTES);
  request.setU8(NDM_FAMILY, AF_INET);
  if (proxy) request.setU8(NDM_FLAGS, NTF_PROXY);
  if (index !== 0) request.u32(NDA_IFINDEX, index);
  const found: Answer[] = [];
  ip.rtnl.dump(request, (answer) => {
    const attrs = answer.attrs(NDMSG_BYTES);
    const state = answer.u16(NDM_STATE);
    const wanted = (answer.u8(NDM_FLAGS) & (NTF_PROXY | NTF_EXT_LEARNED)) !== 0 || ((state === 0 ? NONE_STATE : state) & states) !== 0;
    const inside = to === null || to.length === 0 || ((attrs.addr(NDA_DST) ^ to.addr) >> (32 - to.length)) === 0;
    // The count of references is the last word of nda_cacheinfo.
    const used = unused && attrs.has(NDA_CACHEINFO) && attrs.data(NDA_CACHEINFO)[12] !== 0;
    if (wanted && inside && !used) found.push(answer);
  });
  if (flush) return flushFound(ip, found);
  ip.list(found.map((answer) => neighItem(ip, answer, index !== 0)));
  return 0;
}

/** Deletes what was found; with -s says how much, with -s -s what. */
function flushFound(ip: IpContext, found: readonly Answer[]): number {
  for (const answer of found) {
    removeAgain(ip, answer);
    if (ip.stats > 1) ip.print(neighItem(ip, answer, false).text);
  }
  ip.flushed(found.length, "entries");
  return 0;
}

function removeAgain(ip: IpContext, answer: Answer): void {
  const request = new Request(RTM_DELNEIGH, 0, NDMSG_BYTES);
  request.bytes.set(answer.bytes.subarray(16, 16 + NDMSG_BYTES), 16);
  request.addr(NDA_DST, answer.attrs(NDMSG_BYTES).addr(NDA_DST));
  ip.rtnl.tryTalk(request);
}
