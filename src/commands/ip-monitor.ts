/**
 * `ip monitor`: what changes, as it changes. iproute2's counterpart is ip/ipmonitor.c. Nothing waits here: the monitor is an
 * object that gives the text of what has happened since it was last read.
 */
import type { Net } from "../stack/core/net.ts";
import {
  RTA_OIF, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_DELRULE, RTM_GETNEIGH, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH,
  RTM_NEWROUTE, RTM_NEWRULE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_LINK, RTNLGRP_NEIGH,
} from "../uapi/rtnetlink.ts";
import { type Args, CommandEnd, invalidArg, matches, Output } from "./command.ts";
import { addressItem } from "./ip-address.ts";
import { IpContext } from "./ip-context.ts";
import { briefLinkItem, linkItem } from "./ip-link-print.ts";
import { neighItem } from "./ip-neigh.ts";
import { IpOptions, readOptions } from "./ip-options.ts";
import { RTMSG_BYTES, routeItem } from "./ip-route-print.ts";
import { ruleItem } from "./ip-rule.ts";
import type { Answer } from "./libnetlink.ts";

/** Where a device's number is behind the header of its message, of an address's and of a neighbour's. */
const IFINDEX_AT = 4;

const OBJECTS: readonly (readonly [string, number])[] = Object.freeze([
  ["link", RTNLGRP_LINK], ["address", RTNLGRP_IPV4_IFADDR], ["route", RTNLGRP_IPV4_ROUTE], ["neigh", RTNLGRP_NEIGH],
  ["rule", RTNLGRP_IPV4_RULE],
] as const);

const LINK_BIT = 1 << (RTNLGRP_LINK - 1);

const USAGE = "Usage: ip monitor [ all | OBJECTS ] [ label ] [ dev DEVICE ]\nOBJECTS :=  address | link | neigh | route | rule\n";

/** What the words ask for. */
class MonitorWords {
  /** RTNLGRP_* as bits. */
  groups = 0;
  label = false;
  device = "";
}

/** Reads the words of `ip monitor`. iproute2: do_ipmonitor(). */
function readWords(args: Args): MonitorWords {
  const words = new MonitorWords();
  for (; args.more; args.at++) {
    const word = args.word;
    const object = OBJECTS.find(([name]) => matches(word, name));
    if (word === "label") words.label = true;
    else if (word === "dev") words.device = args.next();
    else if (object !== undefined) words.groups |= 1 << (object[1] - 1);
    else if (matches(word, "all")) words.label = true;
    else if (matches(word, "help")) throw new CommandEnd(255, USAGE);
    else throw new CommandEnd(255, `Argument "${word}" is unknown, try "ip monitor help".\n`);
  }
  if (words.groups === 0) for (const [, group] of OBJECTS) words.groups |= 1 << (group - 1);
  return words;
}

/** `ip monitor …` as a command: nothing that ends could do it. */
export function ipMonitorWords(_ip: IpContext, args: Args): number {
  readWords(args);
  throw new CommandEnd(255, '"ip monitor" would never end: ipMonitor() tells what has happened, whenever it is asked.\n');
}

/** A running `ip monitor`. */
export class IpMonitor {
  private readonly ip: IpContext;
  private readonly label: boolean;
  /** Are links among what is told? They are always heard, for their names. */
  private readonly links: boolean;
  /** The time of the day, for -t and -ts; "" is not told. */
  private readonly now: () => string;
  /** The only device of interest, 0 for all. */
  private readonly only: number = 0;

  /**
   * @param args options as `ip` has them, then objects to watch (link, address, route, neigh, rule, all), `label` to name them in
   *   front, `dev` for those of one device; none: all
   * @param now the time of the day as toISOString() writes it
   * @throws CommandEnd for a word that is none
   */
  constructor(net: Net, args: Args, now: () => string = () => "") {
    const options = new IpOptions();
    readOptions(options, args);
    const words = readWords(args);
    this.label = words.label;
    this.now = now;
    this.links = (words.groups & LINK_BIT) !== 0;
    this.ip = new IpContext(net, new Output(), words.groups | LINK_BIT);
    Object.assign(this.ip, options);
    // Names are asked for now: later the question would take the news from the socket.
    this.ip.deviceName(0);
    if (words.device === "") return;
    this.only = this.ip.deviceIndex(words.device);
    if (this.only !== 0) return;
    this.ip.rtnl.close();
    invalidArg("Device does not exist\n", words.device);
  }

  /** The text of all that has happened since the last call. */
  read(): string {
    const ip = this.ip;
    let text = "";
    for (let list = ip.rtnl.read(); list.length > 0; list = ip.rtnl.read()) for (const answer of list) text += this.line(answer);
    return text;
  }

  /** Ends it; the socket is free again. */
  close(): void {
    this.ip.rtnl.close();
  }

  private line(answer: Answer): string {
    const ip = this.ip;
    switch (answer.type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        ip.learn(answer, answer.type === RTM_DELLINK);
        return this.links && this.wanted(answer.u32(IFINDEX_AT)) ? this.told("LINK", this.linkText(answer)) : "";
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return this.wanted(answer.u32(IFINDEX_AT)) ? this.told("ADDR", `${addressItem(ip, answer, true).text}\n`) : "";
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return this.wanted(answer.attrs(RTMSG_BYTES).u32(RTA_OIF)) ? this.told("ROUTE", routeItem(ip, answer, null).text) : "";
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
      case RTM_GETNEIGH:
        return this.wanted(answer.u32(IFINDEX_AT)) ? this.told("NEIGH", neighItem(ip, answer, false).text) : "";
      case RTM_NEWRULE:
      case RTM_DELRULE:
        return this.told("RULE", ruleItem(ip, answer).text);
      default:
        return "";
    }
  }

  private linkText(answer: Answer): string {
    return this.ip.brief ? briefLinkItem(this.ip, answer).text : `${linkItem(this.ip, answer, "monitor", false).text}\n`;
  }

  private wanted(ifindex: number): boolean {
    return this.only === 0 || this.only === ifindex;
  }

  private told(label: string, text: string): string {
    const now = this.ip.timestamp ? this.now() : "";
    const stamp = now === "" ? "" : this.ip.timestampShort ? `[${now.replace("Z", "000")}] ` : `Timestamp: ${now}\n`;
    return stamp + (this.label ? `[${label}]` : "") + text;
  }
}
