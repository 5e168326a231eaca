/**
 * `ip maddress`: the groups that devices receive, as link addresses and as IPv4 groups. iproute2's counterpart is ip/ipmaddr.c, which reads
 * /proc/net/dev_mcast and /proc/net/igmp, too: they are there where `igmp` was listed at boot. Link addresses of one's own (add, del) are
 * not.
 */
import { procRead } from "../stack/core/proc.ts";
import { AF_INET } from "../uapi/socket.ts";
import { type Args, CommandEnd, garbageArg, matches } from "./command.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";

const USAGE = "Usage: ip maddr show [ dev STRING ]\n";

/** One group of a device. iproute2: struct ma_info. */
interface Member {
  readonly index: number;
  readonly name: string;
  readonly text: string;
}

function member(index: string, name: string, text: string, users: string): Member {
  return { index: Number(index), name, text: users === "1" ? text : `${text} users ${users}` };
}

/** The lines of a file of /proc/net, without its `header` first ones. */
function procLines(ip: IpContext, file: string, header: number): string[] {
  return (procRead(ip.net, `net/${file}`) ?? "").split("\n").slice(header, -1);
}

/** iproute2: read_dmaddr(). */
function linkMembers(ip: IpContext): Member[] {
  return procLines(ip, "dev_mcast", 0).map((line) => {
    const [index = "", name = "", users = "", , addr = ""] = line.split(/\s+/);
    return member(index, name, `link  ${addr.match(/../g)!.join(":")}`, users);
  });
}

/** iproute2: read_igmp(). */
function inetMembers(ip: IpContext): Member[] {
  const members: Member[] = [];
  let index = "";
  let name = "";
  for (const line of procLines(ip, "igmp", 1)) {
    if (!line.startsWith("\t")) {
      [index = "", name = ""] = line.split(/[\t:]/);
      continue;
    }
    const [group = "", users = ""] = line.trim().split(/\s+/);
    const bytes = group.match(/../g)!.map((byte) => parseInt(byte, 16)).reverse();
    members.push(member(index, name.trim(), `inet  ${bytes.join(".")}`, users));
  }
  return members;
}

/** iproute2: multiaddr_list(). */
function show(ip: IpContext, args: Args): number {
  let device: string | null = null;
  for (; args.more; args.at++) {
    if (args.word === "dev") args.next();
    else if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
    if (device !== null) garbageArg("dev", args.word);
    device = args.word;
  }
  const all = [...(ip.family === AF_INET ? [] : linkMembers(ip)), ...inetMembers(ip)];
  const members = all.filter(({ name }) => device === null || name === device).sort((a, b) => a.index - b.index);
  let last = -1;
  for (const { index, name, text } of members) {
    if (ip.oneline || index !== last) ip.print(`${index}:\t${name}${ip.newline}`);
    last = index;
    ip.print(`\t${text}\n`);
  }
  return 0;
}

/** `ip maddress …` */
export function ipMaddr(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "maddr");
}
