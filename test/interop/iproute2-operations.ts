/**
 * Random `ip route`, `ip rule` and `ip addr` commands from a seed, dense enough that they meet: few hosts, few devices, all
 * prefix lengths, every option that both sides know, and mistakes among them.
 */
import { Random32 } from "../lib/prefixes.ts";

const OCTETS = [0, 1, 2, 3, 64, 127, 128, 200, 254, 255];
const LENGTHS = [0, 8, 12, 16, 20, 24, 25, 28, 30, 31, 32];
const DEVICES = ["d0", "d1"];

/** Verbs that mean something only where there is something. */
const LATER = /^(route|rule|addr) (del|change|replace) /;

export class Operations {
  private readonly random: Random32;
  /** What was asked for before. */
  private readonly list: string[] = [];

  constructor(seed: number) {
    this.random = new Random32(Math.imul(seed, 0x9e3779b1));
  }

  private below(limit: number): number {
    return this.random.below(limit);
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** The words with a chance of one in `chance`, else none. */
  private maybe(chance: number, words: () => string): string {
    return this.below(chance) === 0 ? ` ${words()}` : "";
  }

  private host(): string {
    return `10.${this.below(4)}.${this.pick(OCTETS)}.${this.pick(OCTETS)}`;
  }

  /** A host that addresses and gateways are taken from. */
  private near(): string {
    return `10.${this.below(3)}.0.${1 + this.below(20)}`;
  }

  /** One of ten may have bits behind its length. */
  private prefix(): string {
    const length = this.pick(LENGTHS);
    if (length === 0) return "default";
    let addr = (10 << 24) | (this.below(4) << 16) | (this.pick(OCTETS) << 8) | this.pick(OCTETS);
    if (this.below(10) !== 0 && length < 32) addr &= -1 << (32 - length);
    return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}/${length}`;
  }

  private nexthop(): string {
    return `nexthop via ${this.near()}${this.maybe(3, () => `dev ${this.pick(DEVICES)}`)} weight ${1 + this.below(4)}`;
  }

  private routeOptions(): string {
    return this.maybe(2, () => `via ${this.near()}`)
      + this.maybe(2, () => `dev ${this.pick(DEVICES)}`)
      + this.maybe(6, () => "onlink")
      + this.maybe(5, () => `src ${this.near()}`)
      + this.maybe(5, () => `tos ${this.pick(["0x10", "0x08", "0x04"])}`)
      + this.maybe(6, () => `mtu ${this.pick(["1200", "lock 1300"])}`)
      + this.maybe(8, () => `advmss 900 hoplimit ${1 + this.below(200)}`)
      + this.maybe(6, () => `scope ${this.pick(["link", "global", "host"])}`)
      + this.maybe(6, () => `proto ${this.pick(["static", "kernel", "77"])}`);
  }

  private route(): string {
    const verb = this.pick(["add", "add", "add", "add", "del", "del", "replace", "change", "append", "prepend"]);
    const kind = this.below(10);
    if (kind === 0) return `route ${verb} ${this.prefix()} ${this.nexthop()} ${this.nexthop()}`;
    const type = kind === 1 ? ` ${this.pick(["blackhole", "unreachable", "prohibit", "throw"])}` : "";
    return `route ${verb}${type} ${this.prefix()}${kind === 1 ? "" : this.routeOptions()}`
      + this.maybe(3, () => `metric ${this.below(4) * 10}`)
      + this.maybe(4, () => `table ${this.pick(["100", "101", "main", "local", "default"])}`);
  }

  private rule(): string {
    return `rule ${this.pick(["add", "add", "del"])}`
      + this.maybe(2, () => `from ${this.pick([this.prefix(), "all"])}`)
      + this.maybe(4, () => `to ${this.prefix()}`)
      + this.maybe(5, () => `iif ${this.pick(["d0", "lo", "d7"])}`)
      + this.maybe(6, () => `oif ${this.pick(["d1", "d8"])}`)
      + this.maybe(6, () => `fwmark ${this.pick(["1", "0x2/0xf", "7"])}`)
      + this.maybe(6, () => "tos 0x10")
      + this.maybe(2, () => `pref ${100 + this.below(20)}`)
      + this.pick([" lookup 100", " table 101", " lookup main", " blackhole", " unreachable", ` goto ${100 + this.below(25)}`, "", " nop"]);
  }

  private address(): string {
    const verb = this.pick(["add", "add", "add", "del", "del", "replace", "change"]);
    const peer = this.below(8) === 0;
    return `addr ${verb} ${this.near()}`
      + (peer ? ` peer ${this.near()}/${this.pick([24, 30, 32])}` : `/${this.pick([8, 16, 24, 24, 30, 31, 32])}`)
      + this.maybe(3, () => `brd ${this.pick(["+", "10.1.0.77"])}`)
      + this.maybe(8, () => `scope ${this.pick(["link", "host"])}`)
      + this.maybe(8, () => "noprefixroute")
      + this.maybe(8, () => "metric 50")
      + ` dev ${this.pick(DEVICES)}`;
  }

  /** Half of the time a deletion or change is of something that was added before. */
  private command(): string {
    const kind = this.below(10);
    const fresh = kind < 6 ? this.route() : kind < 8 ? this.address() : this.rule();
    const later = LATER.exec(fresh);
    if (later === null || this.below(2) === 0) return fresh;
    const added = this.list.filter((words) => words.startsWith(`${later[1]} add `));
    return added.length === 0 ? fresh : this.pick(added).replace(" add ", ` ${later[2]} `);
  }

  /** So many commands, the words behind `ip`; the first two give each device an address. */
  commands(count: number): readonly string[] {
    const list = this.list;
    list.push("addr add 10.0.0.1/24 dev d0", "addr add 10.1.0.1/24 dev d1");
    while (list.length < count) list.push(this.command());
    return list;
  }

  /** Destinations to ask the way to. */
  targets(count: number): string[] {
    const special = ["127.0.0.1", "127.0.0.9", "1.2.3.4", "10.0.0.1"];
    return Array.from({ length: count }, () => (this.below(20) === 0 ? this.pick(special) : this.host()));
  }
}
