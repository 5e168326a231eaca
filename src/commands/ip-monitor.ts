/**
 * `ip monitor`: what changes, as it changes. iproute2's counterpart is ip/ipmonitor.c. Nothing waits here: the monitor is an
 * object that gives the text of what has happened since it was last read.
 */
import type { Net } from "../stack/core/net.ts";
import {
  RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELROUTE, RTM_DELRULE, RTM_GETNEIGH, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE,
  RTM_NEWRULE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_LINK, RTNLGRP_NEIGH,
} from "../uapi/rtnetlink.ts";
import { type Args, CommandEnd, matches, Output } from "./command.ts";
import { addressText } from "./ip-address.ts";
import { IpContext } from "./ip-context.ts";
import { linkText } from "./ip-link-print.ts";
import { neighText } from "./ip-neigh.ts";
import { routeText } from "./ip-route-print.ts";
import { ruleText } from "./ip-rule.ts";
import type { Answer } from "./libnetlink.ts";

const OBJECTS: readonly (readonly [string, number])[] = Object.freeze([
  ["link", RTNLGRP_LINK], ["address", RTNLGRP_IPV4_IFADDR], ["route", RTNLGRP_IPV4_ROUTE], ["neigh", RTNLGRP_NEIGH],
  ["rule", RTNLGRP_IPV4_RULE],
] as const);

const LINK_BIT = 1 << (RTNLGRP_LINK - 1);

/** A running `ip monitor`. */
export class IpMonitor {
  private readonly ip: IpContext;
  private readonly label: boolean;
  /** Are links among what is told? They are always heard, for their names. */
  private readonly links: boolean;

  /**
   * @param args objects to watch (link, address, route, neigh, rule, all), `label` to name them in front; none: all
   * @throws CommandEnd for a word that is none
   */
  constructor(net: Net, args: Args) {
    let [groups, label] = [0, false];
    for (; args.more; args.at++) {
      const word = args.word;
      const object = OBJECTS.find(([name]) => matches(word, name));
      if (word === "label") label = true;
      else if (object !== undefined) groups |= 1 << (object[1] - 1);
      else if (matches(word, "all")) label = true;
      else throw new CommandEnd(255, `Argument "${word}" is unknown, try "ip monitor help".\n`);
    }
    if (groups === 0) for (const [, group] of OBJECTS) groups |= 1 << (group - 1);
    this.label = label;
    this.links = (groups & LINK_BIT) !== 0;
    this.ip = new IpContext(net, new Output(), groups | LINK_BIT);
    // Names are asked for now: later the question would take the news from the socket.
    this.ip.deviceName(0);
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
        if (!this.links) return "";
        return `${this.label ? "[LINK]" : ""}${linkText(ip, answer, true)}\n`;
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return `${this.label ? "[ADDR]" : ""}${addressText(ip, answer, true)}\n`;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return `${this.label ? "[ROUTE]" : ""}${routeText(ip, answer, null)}`;
      case RTM_NEWNEIGH:
      case RTM_DELNEIGH:
      case RTM_GETNEIGH:
        return `${this.label ? "[NEIGH]" : ""}${neighText(ip, answer, false)}`;
      case RTM_NEWRULE:
      case RTM_DELRULE:
        return `${this.label ? "[RULE]" : ""}${ruleText(ip, answer)}`;
      default:
        return "";
    }
  }
}
