/** The DHCP server against a naive model of its leases: offers, requests, declines, releases, expiry, a full range and restarts. */
import test from "ava";
import fc from "fast-check";
import { dhcpd, dhcpdForEach, dhcpdStop } from "../../../src/services/dhcpd.ts";
import { addr, u32 } from "../../lib/dhcp.ts";
import { DhcpHost } from "../../lib/dhcp-host.ts";
import { addressNumber, addressText, arpPacket, ETHER_ARP, ethernetFrame, parseFrame } from "../../lib/frames.ts";
import { createLab } from "../../lib/lab.ts";

const SERVER = "10.0.0.1";
const ANOTHER = "10.0.0.2";
const RANGE = ["10.0.0.100", "10.0.0.101", "10.0.0.102"];
const RESERVED = "10.0.0.102";
/** Whose that is. */
const FAVOURITE = 5;
const LEASE_SEC = 300;
const OFFER_SEC = 30;
const DECLINED_SEC = 600;

interface Entry {
  kind: "offered" | "bound" | "declined" | "free";
  /** Who had it last, 0 for nobody. */
  owner: number;
  endSec: number;
}

/** What is known of each address, and nothing but that. */
class Model {
  readonly entries = new Map<string, Entry>();

  constructor() {
    for (const address of RANGE) this.entries.set(address, { kind: "free", owner: address === RESERVED ? FAVOURITE : 0, endSec: 0 });
  }

  live(address: string, now: number): boolean {
    const { kind, endSec } = this.entries.get(address)!;
    return kind !== "free" && endSec > now;
  }

  declined(address: string, now: number): boolean {
    return this.entries.get(address)!.kind === "declined" && this.live(address, now);
  }

  /** The address that was this host's last, unless it was declined a moment ago. */
  own(host: number, now: number): string | undefined {
    if (host === FAVOURITE && !this.declined(RESERVED, now)) return RESERVED;
    return RANGE.find((address) => this.entries.get(address)!.owner === host && !this.declined(address, now));
  }

  free(address: string, now: number): boolean {
    return this.entries.has(address) && address !== RESERVED && !this.live(address, now);
  }

  give(address: string, kind: "offered" | "bound", host: number, endSec: number): void {
    const entry = this.entries.get(address)!;
    for (const [other, had] of this.entries) {
      if (other === address || other === RESERVED || had.owner !== host) continue;
      had.owner = 0;
      if (had.kind !== "declined") had.kind = "free";
    }
    Object.assign(entry, { kind, owner: host, endSec });
  }

  /** Is the host to be told that it may have the address? @param selecting it has chosen an offer */
  grants(host: number, address: string, selecting: boolean, now: number): boolean {
    if (!this.entries.has(address)) return false;
    const own = this.own(host, now);
    if (own === RESERVED && address !== RESERVED) return false;
    return own === address || (!selecting && this.free(address, now));
  }

  bound(now: number): string[] {
    return [...this.entries].filter(([address, { kind }]) => kind === "bound" && this.live(address, now))
      .map(([address, { owner, endSec }]) => `${address} ${owner} ${endSec - now}`);
  }
}

const hosts = fc.integer({ min: 1, max: 5 });
const addresses = fc.constantFrom(...RANGE, "10.0.0.103", SERVER);
/** What a host may ask about any address. */
const NAMING = ["select", "reboot", "renew", "decline", "release"] as const;
const steps = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("discover" as const), host: hosts, address: fc.option(addresses) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constantFrom("take" as const, "refuse" as const), host: hosts }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constantFrom(...NAMING), host: hosts, address: addresses }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("wait" as const), sec: fc.constantFrom(1, 10, 29, 30, 31, 150, 299, 301, 599, 601) }) },
  { weight: 1, arbitrary: fc.constant({ what: "restart" as const }) },
);

test.serial("what it gives, refuses and lists is what a naive model says", (t) => {
  const lab = createLab(t, { hosts: ["router"], neighbours: false });
  const { net } = lab.host("router");
  const start = () => dhcpd(net, "eth0", {
    first: addressNumber(RANGE[0]!), last: addressNumber(RANGE.at(-1)!), leaseSec: LEASE_SEC,
    reserved: [{ addr: addressNumber(RESERVED), hwHi: 0x0206, hwLo: FAVOURITE }],
  });
  const players = new Map<number, DhcpHost>([1, 2, 3, 4, 5].map((lo) => [lo, new DhcpHost(lab, lo)]));
  // Whoever has an address answers ARP for it.
  const wire = lab.wire.attach("arp", (bytes) => {
    const { arp } = parseFrame(bytes, lab.nowMs);
    if (arp?.op !== 1 || !RANGE.includes(arp.tpa)) return;
    const [sha, tha] = [{ hi: 0x0206, lo: 1 }, { hi: 0x0200, lo: addressNumber(SERVER) }];
    wire.send(ethernetFrame(tha, sha, ETHER_ARP, arpPacket({ op: 2, sha, spa: addressNumber(arp.tpa), tha, tpa: addressNumber(SERVER) })));
  });
  const seen = { full: 0, acks: 0, naks: 0 };
  fc.assert(fc.property(fc.array(steps, { minLength: 10, maxLength: 60, size: "max" }), (list) => {
    let server = start();
    let model = new Model();
    let startedMs = lab.nowMs;
    const sec = (): number => Math.floor((lab.nowMs - startedMs) / 1000);
    const offers = new Map<number, string>();
    const answered = (answer: string, host: number, address: string, granted: boolean): void => {
      t.is(answer, granted ? `ACK ${address}` : "NAK 0.0.0.0");
      if (granted) model.give(address, "bound", host, sec() + LEASE_SEC);
      seen[granted ? "acks" : "naks"]++;
    };
    for (const step of list) {
      // Whole seconds: the server's and the model's are the same.
      lab.runFor(1000 - (lab.nowMs - startedMs) % 1000);
      const now = sec();
      const ask = (type: string, options: Parameters<DhcpHost["ask"]>[1], ciaddr = "0.0.0.0"): string => {
        const answer = "host" in step ? players.get(step.host)!.ask(type, options, { ciaddr }) : null;
        return answer === null ? "silence" : `${answer.type} ${answer.yiaddr}`;
      };
      const mine = [54, addr(SERVER)] as const;
      switch (step.what) {
        case "discover": {
          const { host, address } = step;
          const answer = ask("DISCOVER", address === null ? [] : [[50, addr(address)], [51, u32(LEASE_SEC)]]);
          const own = model.own(host, now);
          const free = RANGE.filter((one) => model.free(one, now));
          if (own === undefined && free.length === 0) {
            t.is(answer, "silence");
            seen.full++;
            break;
          }
          const [type, offered = ""] = answer.split(" ");
          t.is(type, "OFFER");
          if (own !== undefined) t.is(offered, own);
          else if (address !== null && free.includes(address)) t.is(offered, address);
          else t.true(free.includes(offered), offered);
          const { kind, owner } = model.entries.get(offered)!;
          if (kind !== "bound" || owner !== host || !model.live(offered, now)) model.give(offered, "offered", host, now + OFFER_SEC);
          offers.set(host, offered);
          break;
        }
        case "take":
        case "select": {
          const { host } = step;
          const address = step.what === "select" ? step.address : offers.get(host);
          if (address !== undefined) answered(ask("REQUEST", [[50, addr(address)], mine]), host, address, model.grants(host, address, true, now));
          break;
        }
        case "refuse": {
          const { host } = step;
          t.is(ask("REQUEST", [[50, addr("10.0.0.103")], [54, addr(ANOTHER)]]), "silence");
          for (const entry of model.entries.values()) if (entry.owner === host && entry.kind === "offered") entry.kind = "free";
          break;
        }
        case "reboot":
          answered(ask("REQUEST", [[50, addr(step.address)]]), step.host, step.address, model.grants(step.host, step.address, false, now));
          break;
        case "renew":
          // A packet from its own address the server does not even hear.
          if (step.address === SERVER) break;
          answered(ask("REQUEST", [], step.address), step.host, step.address, model.grants(step.host, step.address, false, now));
          break;
        case "decline":
        case "release": {
          const { host, address } = step;
          const options = step.what === "decline" ? [[50, addr(address)] as const] : [];
          const ciaddr = step.what === "decline" ? undefined : address;
          const type = step.what.toUpperCase();
          t.is(ask(type, [...options, [54, addr(ANOTHER)]], ciaddr), "silence");
          t.is(ask(type, [...options, mine], ciaddr), "silence");
          const entry = model.entries.get(address);
          if (entry?.owner !== host) break;
          if (step.what === "release") {
            if (entry.kind !== "declined") entry.kind = "free";
          } else {
            Object.assign(entry, { kind: "declined", endSec: now + DECLINED_SEC, owner: address === RESERVED ? host : 0 });
          }
          break;
        }
        case "wait":
          lab.runFor(step.sec * 1000);
          break;
        case "restart":
          dhcpdStop(server);
          lab.runFor(1000);
          server = start();
          startedMs = lab.nowMs;
          model = new Model();
      }
      const leases: string[] = [];
      dhcpdForEach(server, (address, _hi, lo, left) => leases.push(`${addressText(address)} ${lo} ${left}`));
      t.deepEqual(leases.sort(), model.bound(sec()).sort());
    }
    dhcpdStop(server);
  }), { numRuns: 100 });
  t.true(seen.full > 0 && seen.acks > 0 && seen.naks > 0, JSON.stringify(seen));
});
