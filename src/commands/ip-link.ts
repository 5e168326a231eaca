/** `ip link`: show and set. iproute2's counterpart is ip/iplink.c. */
import { IFF_ALLMULTI, IFF_DYNAMIC, IFF_MULTICAST, IFF_NOARP, IFF_PROMISC, IFF_UP } from "../uapi/if.ts";
import { IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_TXQLEN } from "../uapi/if-link.ts";
import { RTM_GETLINK, RTM_NEWLINK } from "../uapi/rtnetlink.ts";
import {
  type Args, CommandEnd, duplicateArg, garbageArg, invalidArg, matches, noDevice, numberArg,
} from "./command.ts";
import { parseLladdr } from "./inet-text.ts";
import { IFINFOMSG_BYTES, type IpContext, unknownCommand } from "./ip-context.ts";
import { briefLink, briefLinkEnd, linkStats, linkText } from "./ip-link-print.ts";
import { type Answer, Request } from "./libnetlink.ts";

/** ifinfomsg's fields. */
const IFI_INDEX = 4;
const IFI_FLAGS = 8;
const IFI_CHANGE = 12;

const USAGE = "Usage: ip link set DEVICE [ { up | down } ] [ arp { on | off } ] [ dynamic { on | off } ]\n"
  + "          [ multicast { on | off } ] [ allmulticast { on | off } ] [ promisc { on | off } ]\n"
  + "          [ txqueuelen PACKETS ] [ name NEWNAME ] [ address LLADDR ] [ mtu MTU ]\n"
  + "       ip link show [ DEVICE ] [ up ]\n";

/** Words that turn a flag on and off; `true`: on clears it. */
const SWITCHES: readonly (readonly [string, number, boolean])[] = Object.freeze([
  ["multicast", IFF_MULTICAST, false], ["allmulticast", IFF_ALLMULTI, false], ["promisc", IFF_PROMISC, false],
  ["arp", IFF_NOARP, true], ["dynamic", IFF_DYNAMIC, false],
] as const);

/** `ip link …` */
export function ipLink(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "set") || matches(word, "change")) return set(ip, args);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "link");
}

/** The devices that the words ask for, in order. iproute2: the first half of ipaddr_list_flush_or_save(). */
export function listLinks(ip: IpContext, device: string | null, up: boolean): Answer[] {
  const links: Answer[] = [];
  if (device !== null) {
    const index = ip.deviceIndex(device);
    if (index === 0) throw new CommandEnd(1, `Device "${device}" does not exist.\n`);
  }
  ip.rtnl.dump(new Request(RTM_GETLINK, 0, IFINFOMSG_BYTES), (answer) => {
    if (device !== null && answer.attrs(IFINFOMSG_BYTES).string(IFLA_IFNAME) !== device) return;
    if (up && (answer.u32(IFI_FLAGS) & IFF_UP) === 0) return;
    links.push(answer);
  });
  return links;
}

function show(ip: IpContext, args: Args): number {
  let device: string | null = null;
  let up = false;
  for (; args.more; args.at++) {
    if (args.word === "up") up = true;
    else {
      if (args.word === "dev") args.next();
      if (device !== null) duplicateArg("dev", args.word);
      device = args.word;
    }
  }
  for (const link of listLinks(ip, device, up)) {
    if (ip.brief) ip.print(briefLink(ip, link) + briefLinkEnd(link));
    else ip.print(`${linkText(ip, link, true)}${linkStats(ip, link)}\n`);
  }
  return 0;
}

function onOff(word: string, text: string): boolean {
  if (text !== "on" && text !== "off") throw new CommandEnd(255, `Error: argument of "${word}" must be "on" or "off", not "${text}"\n`);
  return text === "on";
}

/** `ip link set`. iproute2: iplink_parse(). */
function set(ip: IpContext, args: Args): number {
  const request = new Request(RTM_NEWLINK, 0, IFINFOMSG_BYTES);
  let device: string | null = null;
  const change = (flag: number, on: boolean): void => {
    request.setU32(IFI_CHANGE, request.getU32(IFI_CHANGE) | flag);
    request.setU32(IFI_FLAGS, on ? request.getU32(IFI_FLAGS) | flag : request.getU32(IFI_FLAGS) & ~flag);
  };
  for (; args.more; args.at++) {
    const word = args.word;
    const flag = SWITCHES.find(([name]) => name === word);
    if (word === "up") change(IFF_UP, true);
    else if (word === "down") change(IFF_UP, false);
    else if (flag !== undefined) change(flag[1], onOff(word, args.next()) !== flag[2]);
    else if (word === "name") request.string(IFLA_IFNAME, newName(args.next()));
    else if (matches(word, "address")) {
      const bytes = parseLladdr(args.next());
      if (bytes === null) throw new CommandEnd(255, `"${args.word}" is invalid lladdr.\n`);
      request.data(IFLA_ADDRESS, bytes);
    } else if (word === "mtu") request.u32(IFLA_MTU, numberArg(args.next(), "Invalid \"mtu\" value\n", 0x7fffffff));
    else if (word === "txqueuelen" || word === "qlen" || matches(word, "txqlen")) {
      request.u32(IFLA_TXQLEN, numberArg(args.next(), "Invalid \"txqueuelen\" value\n", 0x7fffffff));
    } else {
      if (word === "dev") args.next();
      else if (matches(word, "help")) throw new CommandEnd(255, USAGE);
      if (device !== null) garbageArg("dev", args.word);
      device = args.word;
    }
  }
  if (device === null) throw new CommandEnd(255, 'Not enough of information: "dev" argument is required.\n');
  const index = ip.deviceIndex(device);
  if (index === 0) noDevice(device);
  request.setU32(IFI_INDEX, index);
  ip.rtnl.talk(request);
  return 0;
}

function newName(text: string): string {
  const valid = text !== "" && text.length < 16 && !/[\s/]/.test(text);
  return valid ? text : invalidArg('"name" not a valid ifname', text);
}
