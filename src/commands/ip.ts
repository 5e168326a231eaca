/** `ip`: its options and its objects. iproute2's counterpart is ip/ip.c. */
import type { Net } from "../stack/core/net.ts";
import { AF_INET } from "../uapi/socket.ts";
import { Args, CommandEnd, matches, type Output } from "./command.ts";
import { ipAddress } from "./ip-address.ts";
import { IpContext, type IpObject } from "./ip-context.ts";
import { ipLink } from "./ip-link.ts";
import { ipMaddr } from "./ip-maddr.ts";
import { ipNeigh } from "./ip-neigh.ts";
import { ipRoute } from "./ip-route.ts";
import { ipRule } from "./ip-rule.ts";

const USAGE = "Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { address | link | maddress | neighbour | route | rule | monitor }\n"
  + "       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -4 | -o[neline] | -br[ief] | -f[amily] inet }\n";

/** In the order in which an abbreviation finds them. */
const OBJECTS: readonly (readonly [string, IpObject])[] = Object.freeze([
  ["address", ipAddress], ["route", ipRoute], ["rule", ipRule], ["neighbor", ipNeigh], ["neighbour", ipNeigh], ["link", ipLink],
  ["maddress", ipMaddr],
] as const);

/** Reads the options in front of the object. */
function readOptions(ip: IpContext, args: Args): void {
  for (; args.word.startsWith("-") && args.word !== "-"; args.at++) {
    const word = args.word.startsWith("--") ? args.word.substring(1) : args.word;
    if (matches(word, "-family")) {
      if (args.next() !== "inet") throw new CommandEnd(255, `Error: argument "${args.word}" is wrong: invalid protocol family\n`);
      ip.family = AF_INET;
    } else if (word === "-4") ip.family = AF_INET;
    else if (matches(word, "-stats") || matches(word, "-statistics")) ip.stats++;
    else if (matches(word, "-details")) ip.details = true;
    else if (word !== "-o" && matches(word, "-brief") && word !== "-b") ip.brief = true;
    else if (matches(word, "-oneline")) ip.oneline = true;
    else if (matches(word, "-numeric") || word === "-c" || word.startsWith("-color")) continue;
    else if (matches(word, "-Version")) {
      throw new CommandEnd(0, "");
    } else throw new CommandEnd(255, `Option "${args.word}" is unknown, try "ip -help".\n`);
  }
}

/** Does what the words say; the exit status. */
export function ipMain(net: Net, words: readonly string[], out: Output): number {
  const args = new Args(words);
  const ip = new IpContext(net, out);
  try {
    readOptions(ip, args);
    if (!args.more) throw new CommandEnd(255, USAGE);
    const word = args.word;
    for (const [name, object] of OBJECTS) {
      if (!matches(word, name)) continue;
      args.at++;
      return object(ip, args);
    }
    if (matches(word, "help")) throw new CommandEnd(255, USAGE);
    throw new CommandEnd(1, `Object "${word}" is unknown, try "ip help".\n`);
  } finally {
    ip.rtnl.close();
  }
}
