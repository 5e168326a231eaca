/** `ip`: its objects. iproute2's counterpart is ip/ip.c. */
import type { Net } from "../stack/core/net.ts";
import { Args, CommandEnd, matches, type Output } from "./command.ts";
import { ipAddress } from "./ip-address.ts";
import { IpContext, type IpObject } from "./ip-context.ts";
import { ipLink } from "./ip-link.ts";
import { ipMaddr } from "./ip-maddr.ts";
import { ipMonitorWords } from "./ip-monitor.ts";
import { ipNeigh } from "./ip-neigh.ts";
import { IP_USAGE, readOptions } from "./ip-options.ts";
import { ipRoute } from "./ip-route.ts";
import { ipRule } from "./ip-rule.ts";

/** In the order in which an abbreviation finds them. */
const OBJECTS: readonly (readonly [string, IpObject])[] = Object.freeze([
  ["address", ipAddress], ["route", ipRoute], ["rule", ipRule], ["neighbor", ipNeigh], ["neighbour", ipNeigh], ["link", ipLink],
  ["maddress", ipMaddr], ["monitor", ipMonitorWords],
] as const);

/** Does what the words say; the exit status. */
export function ipMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const ip = new IpContext(net, out);
  try {
    const version = readOptions(ip, args);
    if (version !== "") {
      ip.print(version);
      return 0;
    }
    if (!args.more) throw new CommandEnd(255, IP_USAGE);
    const word = args.word;
    for (const [name, object] of OBJECTS) {
      if (!matches(word, name)) continue;
      args.at++;
      return object(ip, args);
    }
    if (matches(word, "help")) throw new CommandEnd(255, IP_USAGE);
    throw new CommandEnd(1, `Object "${word}" is unknown, try "ip help".\n`);
  } finally {
    ip.rtnl.close();
  }
}
