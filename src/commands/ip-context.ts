/**
 * What the objects of `ip` work with: the socket, the options, the output, and the names of devices. iproute2's counterparts
 * are the globals of ip.c and lib/ll_map.c.
 */
import type { Net } from "../stack/core/net.ts";
import { IFLA_IFNAME } from "../uapi/if-link.ts";
import { RTM_GETLINK } from "../uapi/rtnetlink.ts";
import { AF_INET } from "../uapi/socket.ts";
import { type Args, CommandEnd, type Output } from "./command.ts";
import { formatJson, humanNumber, type Item } from "./ip-item.ts";
import { IpOptions } from "./ip-options.ts";
import { type Answer, Request, Rtnl } from "./libnetlink.ts";

/** Bytes of ifinfomsg. */
export const IFINFOMSG_BYTES = 16;

export class IpContext extends IpOptions {
  readonly net: Net;
  readonly out: Output;
  readonly rtnl: Rtnl;
  private links: Map<number, { readonly name: string; readonly flags: number }> | null = null;

  constructor(net: Net, out: Output, groups = 0) {
    super();
    this.net = net;
    this.out = out;
    this.rtnl = new Rtnl(net, groups);
  }

  print(text: string): void {
    this.out.text += text;
  }

  /** Prints what a listing has found: the text of each item, or all of them as one list of JSON. */
  list(items: readonly Item[]): void {
    this.out.text += this.json ? formatJson(items, this.pretty) : items.map((item) => item.text).join("");
  }

  /** What `flush` says with -s of so many that it has deleted, as iproute2 does, which looks a second time and finds nothing. */
  flushed(count: number, noun: string): void {
    if (this.stats === 0) return;
    if (count === 0) this.print("Nothing to flush.\n");
    else this.print(`\n*** Round 1, deleting ${count} ${noun} ***\n*** Flush is complete after 1 round ***\n`);
  }

  /** A counter as text. */
  counter(value: number): string {
    return this.human ? humanNumber(value, this.iec) : String(value);
  }

  /** The end of a line inside one object: -o keeps it on one. */
  get newline(): string {
    return this.oneline ? "\\" : "\n";
  }

  /** The dotted or any family in complaints about prefixes. */
  get familyWord(): string {
    return this.family === AF_INET ? "inet" : "any valid";
  }

  private names(): Map<number, { readonly name: string; readonly flags: number }> {
    if (this.links === null) {
      this.links = new Map();
      const links = this.links;
      this.rtnl.dump(new Request(RTM_GETLINK, 0, IFINFOMSG_BYTES), (answer) => {
        links.set(answer.u32(4), { name: answer.attrs(IFINFOMSG_BYTES).string(IFLA_IFNAME), flags: answer.u32(8) });
      });
    }
    return this.links;
  }

  /** The number of a device, 0 for none such. */
  deviceIndex(name: string): number {
    for (const [index, link] of this.names()) if (link.name === name) return index;
    const number = /^if([0-9]+)$/.exec(name);
    return number === null ? 0 : Number(number[1]);
  }

  /** The name of a device; "if7" for one that is not there. */
  deviceName(index: number): string {
    return this.names().get(index)?.name ?? `if${index}`;
  }

  /** IFF_* of a device; 0 for one that is not there. */
  deviceFlags(index: number): number {
    return this.names().get(index)?.flags ?? 0;
  }

  /** Remembers or forgets a device that a message is about. */
  learn(answer: Answer, gone: boolean): void {
    if (gone) this.names().delete(answer.u32(4));
    else this.names().set(answer.u32(4), { name: answer.attrs(IFINFOMSG_BYTES).string(IFLA_IFNAME), flags: answer.u32(8) });
  }
}

/** One object of `ip` (address, route, …): does what the words say; 0 or an exit status. */
export type IpObject = (ip: IpContext, args: Args) => number;

/** The complaint about a sub-command that an object does not have. */
export function unknownCommand(word: string, object: string): never {
  throw new CommandEnd(255, `Command "${word}" is unknown, try "ip ${object} help".\n`);
}
