/**
 * `ip maddress`: the groups that devices receive, as link addresses and as IPv4 groups. iproute2's counterpart is ip/ipmaddr.c, which reads
 * /proc/net/dev_mcast and /proc/net/igmp, too: they are there where `igmp` was listed at boot, and so are link addresses of one's own (add, del),
 * which go by ioctl().
 */
import { Ifreq } from "../stack/core/ifreq.ts";
import { procRead } from "../stack/core/proc.ts";
import { close } from "../stack/socket/files.ts";
import { ioctl, socketIn } from "../stack/socket/socket.ts";
import { SIOCADDMULTI, SIOCDELMULTI } from "../uapi/ioctl.ts";
import { AF_INET, SOCK_DGRAM } from "../uapi/socket.ts";
import { type Args, CommandEnd, duplicateArg, garbageArg, matches } from "./command.ts";
import { parseLladdr } from "./inet-text.ts";
import { type IpContext, unknownCommand } from "./ip-context.ts";
import { strerror } from "./strerror.ts";

const USAGE = "Usage: ip maddr [ add | del ] MULTIADDR dev STRING\n       ip maddr show [ dev STRING ]\n";

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
    const [index = "", name = "", users = "", global = "", addr = ""] = line.split(/\s+/);
    const { text, ...rest } = member(index, name, `link  ${addr.match(/../g)!.join(":")}`, users);
    return { ...rest, text: global === "1" ? `${text} static` : text };
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

/** The link address that a word is, as ll_addr_a2n() of iproute2 and multiaddr_modify() complain of others. */
function linkAddress(text: string): DataView {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2})*$/i.test(text)) throw new CommandEnd(1, `"${text}" is invalid lladdr.\n`);
  const bytes = parseLladdr(text);
  if (bytes === null) throw new CommandEnd(1, `Error: Invalid address length ${text.split(":").length} - must be 6 bytes\n`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** iproute2: multiaddr_modify(). */
function modify(ip: IpContext, args: Args, request: number): number {
  const req = new Ifreq();
  let given = false;
  for (; args.more; args.at++) {
    if (args.word === "dev") {
      args.next();
      if (req.name !== "") duplicateArg("dev", args.word);
      req.name = args.word;
      continue;
    }
    if (matches(args.word, "address")) args.next();
    if (matches(args.word, "help")) throw new CommandEnd(255, USAGE);
    if (given) duplicateArg("address", args.word);
    given = true;
    const address = linkAddress(args.word);
    req.hwHi = address.getUint16(0);
    req.hwLo = address.getInt32(2);
  }
  if (req.name === "") throw new CommandEnd(255, 'Not enough information: "dev" is required.\n');
  const fd = socketIn(ip.net, AF_INET, SOCK_DGRAM, 0);
  const err = fd < 0 ? fd : ioctl(fd, request, req);
  if (fd >= 0) close(fd);
  if (err < 0) throw new CommandEnd(1, `ioctl: ${strerror(err)}\n`);
  return 0;
}

/** `ip maddress …` */
export function ipMaddr(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return modify(ip, args, SIOCADDMULTI);
  if (matches(word, "delete")) return modify(ip, args, SIOCDELMULTI);
  if (matches(word, "show") || matches(word, "lst") || matches(word, "list")) return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, USAGE);
  return unknownCommand(word, "maddr");
}
