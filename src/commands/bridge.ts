/** `bridge`: `fdb show`, `add`, `append`, `replace` and `delete`. iproute2's counterpart is bridge/fdb.c. */
import type { Net } from "../stack/core/net.ts";
import { NDA_CACHEINFO, NDA_LLADDR, NDA_MASTER } from "../uapi/if-link.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  NTF_MASTER, NTF_SELF, NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH,
} from "../uapi/rtnetlink.ts";
import { AF_BRIDGE } from "../uapi/socket.ts";
import { Args, CommandEnd, duplicateArg, matches, noDevice, type Output } from "./command.ts";
import { formatLladdr, parseLladdr } from "./inet-text.ts";
import { IpContext } from "./ip-context.ts";
import { type Answer, Request } from "./libnetlink.ts";

/** ndmsg: its size and fields. */
const NDMSG_BYTES = 12;
const NDM_IFINDEX = 4;
const NDM_STATE = 8;
const NDM_FLAGS = 10;

const USAGE = "Usage: bridge [ -s[tatistics] ] fdb { add | append | replace | del } LLADDR dev DEV { self | master }\n"
  + "          [ static | dynamic ]\n       bridge [ -s[tatistics] ] fdb [ show [ br BRDEV ] [ brport DEV ] [ dynamic ] ]\n";

/** Does what the words say; the exit status. */
export function bridgeMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const ip = new IpContext(net, out);
  try {
    for (; args.word.startsWith("-"); args.at++) {
      if (matches(args.word, "-stats") || matches(args.word, "-statistics")) ip.stats++;
      else throw new CommandEnd(255, `Option "${args.word}" is unknown, try "bridge help".\n`);
    }
    if (!args.more || matches(args.word, "help")) throw new CommandEnd(255, USAGE);
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

function stateText(state: number): string {
  if ((state & NUD_PERMANENT) !== 0) return "permanent";
  if ((state & NUD_NOARP) !== 0) return "static";
  if ((state & NUD_STALE) !== 0) return "stale";
  return (state & NUD_REACHABLE) !== 0 ? "" : `state=0x${state.toString(16)}`;
}

/** The line of an entry. @param named the listing is of one port: its name is not repeated. iproute2: print_fdb() */
function entryText(ip: IpContext, answer: Answer, named: boolean): string {
  const attrs = answer.attrs(NDMSG_BYTES);
  let text = `${formatLladdr(attrs.data(NDA_LLADDR))} `;
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
