/** Which devices `ip link show` and `ip address show` list. iproute2's counterpart is the first half of ipaddr_list_flush_or_save(). */
import { IFF_UP } from "../uapi/if.ts";
import { IFLA_GROUP, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER } from "../uapi/if-link.ts";
import { RTM_GETLINK } from "../uapi/rtnetlink.ts";
import { type Args, CommandEnd, garbageArg, invalidArg, matches } from "./command.ts";
import { IFINFOMSG_BYTES, type IpContext } from "./ip-context.ts";
import { type Answer, Request } from "./libnetlink.ts";
import { groupNumber } from "./rt-names.ts";

/** ifinfomsg's flags. */
const IFI_FLAGS = 8;

/** What a listing of devices is confined to. */
export class LinkFilter {
  device: string | null = null;
  up = false;
  /** -1 any. */
  group = -1;
  kind = "";
  /** ifindex of the device they are ports of; 0 any, -1 of none. */
  master = 0;
}

/** Reads the word at hand and its value; a word that is none of a listing's own names the device. */
export function readLinkFilter(ip: IpContext, args: Args, filter: LinkFilter): void {
  const word = args.word;
  if (word === "up") filter.up = true;
  else if (word === "group") {
    filter.group = groupNumber(args.next());
    if (filter.group < 0) invalidArg('Invalid "group" value\n', args.word);
  } else if (word === "type") filter.kind = args.next();
  else if (word === "master") {
    filter.master = ip.deviceIndex(args.next());
    if (filter.master === 0) invalidArg("Device does not exist\n", args.word);
  } else if (word === "nomaster") filter.master = -1;
  else if (word === "vrf") invalidArg("Not a valid VRF name\n", args.next());
  else {
    if (word === "dev") args.next();
    else if (matches(word, "help")) throw new CommandEnd(255, "Usage: ip link show [ DEVICE | group GROUP ] [ up ] [ master DEVICE | nomaster ] [ type TYPE ]\n");
    if (filter.device !== null) garbageArg("dev", args.word);
    filter.device = args.word;
  }
}

/** Is the device one that is asked for? */
function passes(answer: Answer, filter: LinkFilter): boolean {
  const attrs = answer.attrs(IFINFOMSG_BYTES);
  if (filter.device !== null && attrs.string(IFLA_IFNAME) !== filter.device) return false;
  if (filter.up && (answer.u32(IFI_FLAGS) & IFF_UP) === 0) return false;
  if (filter.group >= 0 && attrs.u32(IFLA_GROUP) !== filter.group) return false;
  const master = attrs.u32(IFLA_MASTER);
  if (filter.master < 0 ? master !== 0 : filter.master !== 0 && master !== filter.master) return false;
  return filter.kind === "" || (attrs.has(IFLA_LINKINFO) && attrs.nested(IFLA_LINKINFO).string(IFLA_INFO_KIND) === filter.kind);
}

/** The devices that are asked for, in order. */
export function listLinks(ip: IpContext, filter: LinkFilter): Answer[] {
  if (filter.device !== null && ip.deviceIndex(filter.device) === 0) throw new CommandEnd(1, `Device "${filter.device}" does not exist.\n`);
  const links: Answer[] = [];
  ip.rtnl.dump(new Request(RTM_GETLINK, 0, IFINFOMSG_BYTES), (answer) => {
    if (passes(answer, filter)) links.push(answer);
  });
  return links;
}
