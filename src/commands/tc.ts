/** `tc`: `qdisc show`, `add`, `change`, `replace` and `delete` for the root of a device. iproute2's counterparts are tc/tc.c and tc_qdisc.c. */
import type { Net } from "../stack/core/net.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../uapi/netlink.ts";
import {
  TC_H_MAJ_SHIFT, TC_H_ROOT, TCA_KIND, TCA_STATS2, TCA_STATS_BASIC, TCA_STATS_QUEUE, TCM_HANDLE, TCM_IFINDEX, TCM_INFO, TCM_PARENT, TCMSG_BYTES,
} from "../uapi/pkt-sched.ts";
import { RTM_DELQDISC, RTM_GETQDISC, RTM_NEWQDISC } from "../uapi/rtnetlink.ts";
import { Args, CommandEnd, duplicateArg, invalidArg, matches, noDevice, type Output } from "./command.ts";
import { IpContext } from "./ip-context.ts";
import { type Answer, type Attrs, Request } from "./libnetlink.ts";
import { TC_KINDS } from "./tc-kinds.ts";
import { sizeText } from "./tc-units.ts";

const USAGE = "Usage: tc [ -s[tatistics] | -d[etails] | -o[neline] ] qdisc { show | add | change | replace | del }\n";
const QDISC_USAGE = "Usage: tc qdisc { add | del | replace | change } dev STRING\n       [ handle QHANDLE ] { root | parent CLASSID }\n"
  + "       { pfifo | tbf | pfifo_fast } [ help | OPTIONS ]\n       tc qdisc show [ dev STRING ]\n";

/** Does what the words say; the exit status. */
export function tcMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const ip = new IpContext(net, out);
  try {
    for (; args.word.startsWith("-"); args.at++) {
      if (matches(args.word, "-stats") || matches(args.word, "-statistics")) ip.stats++;
      else if (matches(args.word, "-details")) ip.details = true;
      else if (matches(args.word, "-oneline")) ip.oneline = true;
      else throw new CommandEnd(255, `Option "${args.word}" is unknown, try "tc -help".\n`);
    }
    if (!args.more || matches(args.word, "help")) throw new CommandEnd(args.more ? 255 : 0, USAGE);
    if (!matches(args.word, "qdisc")) throw new CommandEnd(255, `Object "${args.word}" is unknown, try "tc help".\n`);
    args.at++;
    return qdisc(ip, args);
  } finally {
    ip.rtnl.close();
  }
}

function qdisc(ip: IpContext, args: Args): number {
  if (!args.more) return show(ip, args);
  const word = args.word;
  args.at++;
  if (matches(word, "add")) return modify(ip, args, RTM_NEWQDISC, NLM_F_EXCL | NLM_F_CREATE);
  if (matches(word, "change")) return modify(ip, args, RTM_NEWQDISC, 0);
  if (matches(word, "replace")) return modify(ip, args, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
  if (matches(word, "link")) return modify(ip, args, RTM_NEWQDISC, NLM_F_REPLACE);
  if (matches(word, "delete")) return modify(ip, args, RTM_DELQDISC, 0);
  if (matches(word, "show") || matches(word, "list") || word === "ls") return show(ip, args);
  if (matches(word, "help")) throw new CommandEnd(255, QDISC_USAGE);
  throw new CommandEnd(255, `Command "${word}" is unknown, try "tc qdisc help".\n`);
}

/** A discipline's number, of which what is behind the colon does not count; -1 for none. iproute2: get_qdisc_handle() */
function parseHandle(word: string): number {
  const match = /^([0-9a-fA-F]{1,4})(:.*)?$/.exec(word);
  return match === null ? -1 : parseInt(match[1]!, 16) << TC_H_MAJ_SHIFT;
}

/** A class: major:minor; -1 for none. iproute2: get_tc_classid() */
function parseClass(word: string): number {
  const match = /^([0-9a-fA-F]{1,4}):([0-9a-fA-F]{0,4})$/.exec(word);
  return match === null ? -1 : (parseInt(match[1]!, 16) << TC_H_MAJ_SHIFT) | (match[2] === "" ? 0 : parseInt(match[2]!, 16));
}

/** iproute2: tc_qdisc_modify() */
function modify(ip: IpContext, args: Args, type: number, flags: number): number {
  const request = new Request(type, flags, TCMSG_BYTES);
  let device: string | null = null;
  for (; args.more; args.at++) {
    const word = args.word;
    if (word === "dev") {
      if (device !== null) duplicateArg("dev", args.next());
      device = args.next();
    } else if (word === "handle") {
      if (request.getU32(TCM_HANDLE) !== 0) duplicateArg("handle", word);
      const handle = parseHandle(args.next());
      if (handle === -1) invalidArg("invalid qdisc ID", args.word);
      request.setU32(TCM_HANDLE, handle);
    } else if (word === "root") {
      if (request.getU32(TCM_PARENT) !== 0) throw new CommandEnd(255, 'Error: "root" is duplicate parent ID\n');
      request.setU32(TCM_PARENT, TC_H_ROOT);
    } else if (word === "parent") {
      args.next();
      if (request.getU32(TCM_PARENT) !== 0) duplicateArg("parent", args.word);
      const parent = parseClass(args.word);
      if (parent === -1) invalidArg("invalid parent ID", args.word);
      request.setU32(TCM_PARENT, parent);
    } else if (matches(word, "help")) {
      throw new CommandEnd(255, QDISC_USAGE);
    } else {
      request.string(TCA_KIND, word);
      args.at++;
      parseKind(request, word, args);
      break;
    }
  }
  if (device !== null) {
    const index = ip.deviceIndex(device);
    if (index === 0) noDevice(device);
    request.setU32(TCM_IFINDEX, index);
  }
  ip.rtnl.talk(request);
  return 0;
}

function parseKind(request: Request, name: string, args: Args): void {
  if (Object.hasOwn(TC_KINDS, name)) TC_KINDS[name]!.parse(request, args);
  else if (args.more) throw new CommandEnd(1, `Unknown qdisc "${name}", hence option "${args.word}" is unparsable\n`);
}

/** iproute2: print_tcstats2_attr() */
function statsText(attrs: Attrs, newline: string): string {
  const stats = attrs.nested(TCA_STATS2);
  const queue = new DataView(stats.data(TCA_STATS_QUEUE).buffer);
  const [qlen, backlog, drops, requeues, overlimits] = [0, 4, 8, 12, 16].map((at) => queue.getUint32(at, true));
  const packets = stats.u64(TCA_STATS_BASIC, 8) % 4294967296;
  return ` Sent ${stats.u64(TCA_STATS_BASIC, 0)} bytes ${packets} pkt (dropped ${drops}, overlimits ${overlimits} requeues ${requeues}) ${newline}`
    + ` backlog ${sizeText(backlog!)} ${qlen}p requeues ${requeues}`;
}

/** The text of a discipline. @param named the listing is of one device: its name is not repeated. iproute2: print_qdisc() */
function qdiscText(ip: IpContext, answer: Answer, named: boolean): string {
  const attrs = answer.attrs(TCMSG_BYTES);
  const kind = attrs.string(TCA_KIND);
  let text = `qdisc ${kind} ${(answer.u32(TCM_HANDLE) >>> TC_H_MAJ_SHIFT).toString(16)}: `;
  if (!named) text += `dev ${ip.deviceName(answer.u32(TCM_IFINDEX))} `;
  text += `root refcnt ${answer.u32(TCM_INFO)} `;
  if (Object.hasOwn(TC_KINDS, kind)) text += TC_KINDS[kind]!.print(attrs, ip);
  text += ip.newline;
  return ip.stats === 0 ? text : `${text}${statsText(attrs, ip.newline)}${ip.newline}`;
}

/** iproute2: tc_qdisc_list() */
function show(ip: IpContext, args: Args): number {
  let device = 0;
  for (; args.more; args.at++) {
    if (args.word === "dev") {
      device = ip.deviceIndex(args.next());
      if (device === 0) noDevice(args.word);
    } else if (matches(args.word, "help")) {
      throw new CommandEnd(255, QDISC_USAGE);
    } else {
      throw new CommandEnd(255, `What is "${args.word}"? Try "tc qdisc help".\n`);
    }
  }
  const answers: Answer[] = [];
  ip.rtnl.dump(new Request(RTM_GETQDISC, 0, TCMSG_BYTES), (answer) => answers.push(answer));
  for (const answer of answers) if (device === 0 || answer.u32(TCM_IFINDEX) === device) ip.print(qdiscText(ip, answer, device !== 0));
  return 0;
}
