import test from "ava";
import fc from "fast-check";
import { devGetByName, devOpen } from "../../../src/netif/dev.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { neighLookup } from "../../../src/stack/core/neighbour.ts";
import { arpTbl } from "../../../src/stack/ipv4/arp.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENETUNREACH, ENODEV, ENOENT, EOPNOTSUPP, ESRCH } from "../../../src/uapi/errno.ts";
import { NUD_PERMANENT } from "../../../src/uapi/rtnetlink.ts";
import { bootNetlink, close, hex, initNet, messages, rtnlOpen, send, shutdownNetlink, talk } from "./harness.ts";
import { IPROUTE2 } from "./iproute2-bytes.ts";

const NEWROUTE = 24;
const DONE = 3;

function run(command: keyof typeof IPROUTE2): number {
  return talk(hex(IPROUTE2[command])).error;
}

/** Sends a dump or a get and gives the messages that answer. */
function ask(command: keyof typeof IPROUTE2): ReturnType<typeof messages> {
  const fd = rtnlOpen();
  send(fd, hex(IPROUTE2[command]));
  const list = messages(fd);
  close(fd);
  return list;
}

test.beforeEach(() => bootNetlink());
test.afterEach((t) => t.is(shutdownNetlink(), 0, "pools full again"));

test.serial("bytes captured from ip addr add and del are carried out, and refused as Linux refuses them", (t) => {
  t.is(run("ip addr add 10.0.0.1/24 dev d0"), 0);
  t.deepEqual(talk(hex(IPROUTE2["ip addr add 10.0.0.1/24 dev d0"])), { error: -EEXIST, text: "ipv4: Address already assigned" });
  const dump = ask("ip addr show dev d0");
  t.deepEqual(dump.map((m) => m.type), [20, DONE]);
  t.true((dump[0]!.flags & 0x22) === 0x22, "part of a dump that was filtered");
  t.is(dump[0]!.body.toString("hex", 0, 24), "0218800002000000080001000a000001080002000a000001");
  t.is(run("ip addr del 10.0.0.1/24 dev d0"), 0);
  t.deepEqual(talk(hex(IPROUTE2["ip addr del 10.0.0.1/24 dev d0"])), { error: -EADDRNOTAVAIL, text: "ipv4: Address not found" });
});

test.serial("bytes captured from ip route add, get and del", (t) => {
  run("ip addr add 10.0.0.1/24 dev d0");
  t.is(run("ip route add 10.1.0.0/16 via 10.0.0.2 dev d0 metric 5"), 0);
  t.is(run("ip route add 10.1.0.0/16 via 10.0.0.2 dev d0 metric 5"), -EEXIST);
  t.is(run("ip route add 10.7.0.0/16 dev d0 src 10.0.0.1 mtu 1200 advmss 1000"), 0);
  t.is(run("ip route add 10.9.0.0/16 via 192.168.3.3"), -ENETUNREACH);
  const [answer] = ask("ip route get 10.1.2.3");
  t.is(answer!.type, NEWROUTE);
  t.true(answer!.body.toString("hex").includes("080005000a000002"), "by its gateway");
  t.true(answer!.body.toString("hex").includes("080007000a000001"), "with the source that was selected");
  t.is(run("ip route del 10.1.0.0/16"), 0);
  t.is(run("ip route del 10.1.0.0/16"), -ESRCH);
});

test.serial("bytes captured from ip route add with two next hops and from ip rule add are carried out", (t) => {
  run("ip addr add 10.0.0.1/24 dev d0");
  t.is(run("ip route add 10.4.0.0/16 nexthop via 10.0.0.8 weight 2 nexthop via 10.0.0.9 dev d0 weight 3"), 0);
  t.is(run("ip rule add from 10.0.0.0/8 lookup 100"), 0);
  t.deepEqual(talk(hex(IPROUTE2["ip route add 10.9.0.0/16 via 192.168.3.3"])), {
    error: -ENETUNREACH, text: "Nexthop has invalid gateway",
  });
  bootNetlink();
});

test.serial("a dump of a table that is not there ends with ENOENT and says why", (t) => {
  const [done] = ask("ip route show table 100");
  t.is(done!.type, DONE);
  t.is(done!.body.readInt32LE(0), -ENOENT);
  t.true(done!.body.includes("FIB table does not exist"));
});

test.serial("bytes captured from ip neigh add and ip link set", (t) => {
  const dev = devGetByName(initNet, "d0")!;
  t.is(run("ip neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev d0"), 0);
  t.is(run("ip neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev d0"), -EEXIST);
  const neigh = neighLookup(arpTbl, 0x0a000032, dev)!;
  t.deepEqual([neigh.nudState, neigh.haHi, neigh.haLo], [NUD_PERMANENT, 0x0200, 0x50]);
  t.is(run("ip link set d0 mtu 1400"), 0);
  t.is(dev.mtu, 1400);
  t.is(run("ip link set d0 down"), 0);
  t.is(dev.flags & 1, 0);
});

test.serial("a device that is not there, a message too short, an unknown type", (t) => {
  t.is(talk(hex("2800000014000506010000000000000002180000090000000800020 00a000001080001000a000001")).error, -ENODEV);
  t.is(talk(hex("12000000180005060100000000000000 0200 0000")).error, -EINVAL);
  t.is(talk(hex("14000000f000050001000000000000000000 0000")).error, -EOPNOTSUPP);
});

test.serial("a dump goes on as the reader reads, and tells every address once", (t) => {
  const dev = devGetByName(initNet, "d1")!;
  for (let i = 1; i <= 50; i++) inetAddAddress(initNet, dev, 0x0a640000 | (i << 8) | 1, 24);
  const fd = rtnlOpen();
  send(fd, hex(IPROUTE2["ip addr show dev d0"].replace("02000000", "00000000")));
  const list = messages(fd).filter((m) => m.type === 20 && m.body.readUInt32LE(4) === 3);
  t.is(list.length, 50);
  t.is(new Set(list.map((m) => m.body.toString("hex"))).size, 50);
  close(fd);
});

test.serial("a socket closed in the middle of a dump gives everything back", (t) => {
  const dev = devGetByName(initNet, "d1")!;
  for (let i = 1; i <= 50; i++) inetAddAddress(initNet, dev, 0x0a640000 | (i << 8) | 1, 24);
  const fd = rtnlOpen();
  send(fd, hex(IPROUTE2["ip addr show dev d0"].replace("02000000", "00000000")));
  t.is(send(fd, hex(IPROUTE2["ip addr show dev d0"])) > 0, true, "a second one is refused with an acknowledgment");
  t.is(close(fd), 0);
});

/** Objects of the pools that a message only passes through. */
function passing(): string[] {
  const counts: string[] = [];
  poolForEach((pool) => {
    if (/^(skbuff|netlink|sock)/.test(pool.name)) counts.push(`${pool.name} ${pool.inUse}`);
  });
  return counts;
}

/** One attribute: type, length as claimed, payload. */
const attribute = fc.tuple(fc.nat(70), fc.oneof(fc.constant(-1), fc.nat(80)), fc.uint8Array({ maxLength: 40 })).map(
  ([type, claimed, payload]) => {
    const bytes = Buffer.alloc(4 + ((payload.length + 3) & ~3));
    bytes.writeUInt16LE(claimed < 0 ? 4 + payload.length : claimed, 0);
    bytes.writeUInt16LE(type, 2);
    bytes.set(payload, 4);
    return bytes;
  },
);

test.serial("no soup of attributes breaks a handler: every message is answered, whatever lies behind it, and nothing leaks", (t) => {
  const request = fc.record({
    type: fc.integer({ min: 16, max: 40 }),
    flags: fc.nat(0xfff),
    header: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    attributes: fc.array(attribute, { maxLength: 12 }),
    cut: fc.nat(24),
    device: fc.integer({ min: 0, max: 4 }),
  });
  const before = passing();
  fc.assert(
    fc.property(request, ({ type, flags, header, attributes, cut, device }) => {
      const body = Buffer.concat([Buffer.alloc(16), header, ...attributes]);
      body[16] = 2;
      body.writeUInt32LE(device, 20);
      const length = Math.max(16, body.length - cut);
      body.writeUInt32LE(length, 0);
      body.writeUInt16LE(type, 4);
      body.writeUInt16LE(flags | 5, 6);
      const outcome = new Set<string>();
      // What lies behind the message in the buffer must make no difference.
      for (const rest of [0x00, 0xff]) {
        mem8.fill(rest, mem8.length - 4096);
        const fd = rtnlOpen();
        send(fd, new Uint8Array(body.subarray(0, length)));
        const ack = messages(fd).find((m) => m.type === 2 || m.type === 3);
        close(fd);
        outcome.add(String(ack === undefined ? "none" : Math.sign(ack.body.readInt32LE(0))));
      }
      return !outcome.has("none");
    }),
    { numRuns: 300, seed: 4 },
  );
  t.deepEqual(passing(), before);
  // What the soup configured (addresses, routes, neighbours) stays; a boot takes it away.
  bootNetlink();
});

/** The dumps that show all there is, by the number of the message that adds: its own header's length and the attributes that only count. */
const DUMPS: readonly (readonly [number, number, readonly number[]])[] = [
  [16, 16, [23]], [20, 8, []], [28, 12, [3]], [24, 12, []], [32, 12, []],
];

/** A message without the attributes that only count. */
function essence(body: Buffer, header: number, counters: readonly number[]): string {
  let text = body.toString("hex", 0, header);
  for (let at = header; at + 4 <= body.length; at += (body.readUInt16LE(at) + 3) & ~3) {
    if (!counters.includes(body.readUInt16LE(at + 2))) text += ` ${body.toString("hex", at, at + body.readUInt16LE(at))}`;
  }
  return text;
}

/** All links, addresses, neighbours, routes and rules, as texts. */
function state(): Map<number, string[]> {
  const all = new Map<number, string[]>();
  for (const [type, header, counters] of DUMPS) {
    const request = Buffer.alloc(16 + header);
    request.writeUInt32LE(request.length, 0);
    request.writeUInt16LE(type + 2, 4);
    request.writeUInt16LE(0x301, 6);
    request[16] = type === 16 ? 0 : 2;
    const fd = rtnlOpen();
    send(fd, new Uint8Array(request));
    all.set(type, messages(fd).filter((m) => m.type === type).map((m) => essence(m.body, header, counters)));
    close(fd);
  }
  return all;
}

/** By how many entries a kind may grow when a message of that number was carried out. */
const GROWTH: ReadonlyMap<number, readonly number[]> = new Map([
  [20, [0, 1]], [21, [-1]], [24, [0, 1]], [25, [-1]], [28, [0, 1]], [29, [-1]], [32, [1]], [33, [-1]],
]);

test.serial("a captured message with any bytes changed does what it says and no more, or is refused and changes nothing", (t) => {
  const names = Object.keys(IPROUTE2) as (keyof typeof IPROUTE2)[];
  const asked = names.filter((name) => !/show|get/.test(name)).map((name) => hex(IPROUTE2[name]));
  const change = fc.tuple(fc.nat(59), fc.oneof(fc.constantFrom(0, 1, 2, 3, 8, 24, 32, 100, 254, 255), fc.nat(255)));
  const request = fc.record({ base: fc.constantFrom(...asked), remove: fc.boolean(), flags: fc.nat(15), changes: fc.array(change, { maxLength: 3 }) });
  const accepted = new Map<number, number>();
  let refused = 0;
  fc.assert(
    fc.property(request, ({ base, remove, flags, changes }) => {
      for (const name of ["d0", "d1"]) devOpen(devGetByName(initNet, name)!);
      const before = state();
      const bytes = Buffer.from(base);
      for (const [at, value] of changes) if (16 + at < bytes.length) bytes[16 + at] = value;
      const type = bytes.readUInt16LE(4) === 16 ? 16 : (bytes.readUInt16LE(4) & ~3) + (remove ? 1 : 0);
      bytes.writeUInt16LE(type, 4);
      bytes.writeUInt16LE(5 | (flags << 8), 6);
      const { error } = talk(new Uint8Array(bytes));
      const after = state();
      const changed = (kind: number): boolean => String(before.get(kind)) !== String(after.get(kind));
      const kind = type & ~3;
      if (error !== 0) {
        refused++;
        // A device is changed step by step, as Linux does.
        if (type !== 16) for (const [other] of DUMPS) if (changed(other)) throw new Error(`refused with ${error}, and ${other} has changed`);
      } else {
        accepted.set(type, (accepted.get(type) ?? 0) + 1);
        const grown = after.get(kind)!.length - before.get(kind)!.length;
        const allowed = GROWTH.get(type);
        // With an address its secondaries go; a message about a device may take its routes and addresses along.
        if (allowed !== undefined && !allowed.includes(grown) && !(type === 21 && grown < 0)) throw new Error(`accepted, and grown by ${grown}`);
        const along = kind === 16 ? [16, 20, 24, 28] : kind === 20 ? [20, 24] : [kind];
        for (const [other] of DUMPS) if (!along.includes(other) && changed(other)) throw new Error(`accepted, and ${other} has changed`);
      }
    }),
    { numRuns: 400, seed: 11 },
  );
  t.log([...accepted].map(([type, count]) => `${type}: ${count}`).join(", "), `refused: ${refused}`);
  for (const type of [16, 20, 21, 24, 25, 28, 29, 32, 33]) t.true((accepted.get(type) ?? 0) > 1, `enough messages of number ${type} are carried out`);
  t.true(refused > 50);
  bootNetlink();
});
