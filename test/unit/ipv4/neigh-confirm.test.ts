/** MSG_CONFIRM, MSG_PROBE and app_solicit: what a program knows of its neighbours, and what it is asked. As seen on Linux 6.18. */
import test from "ava";
import { ip, ipMonitor } from "../../../src/commands/index.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { arpTbl, neighParmsSet } from "../../../src/neighbours.ts";
import { netlink } from "../../../src/netlink.ts";
import { ping, raw } from "../../../src/raw.ts";
import type { DeviceTap } from "../../../src/stack/core/net-device.ts";
import { sendto, SockaddrIn } from "../../../src/stack/socket/index.ts";
import { IPPROTO_ICMP } from "../../../src/uapi/in.ts";
import { MSG_CONFIRM, MSG_PROBE, SOCK_DGRAM, SOCK_RAW } from "../../../src/uapi/socket.ts";
import { a, ADDR_B, bootHosts, devA, finish, open, turn } from "./two-hosts.ts";

/** Nobody's. */
const SILENT = 0x0a000063;
const ETH_ARP = 6;

function start(): string[] {
  bootHosts({ initcalls: [netlink, raw, ping] });
  const asked: string[] = [];
  const tap: DeviceTap = {
    nextTap: null,
    see(skb, outgoing) {
      if (outgoing && mem8[skb.mac + 13] === ETH_ARP) asked.push(mem8[skb.mac] === 0xff ? "broadcast" : "unicast");
    },
  };
  devA.taps = tap;
  return asked;
}

function stateOf(addr: string): string {
  return ip(a, `neigh show ${addr}`).text.trim().split(" ").at(-1)!;
}

for (const [name, type, protocol, message] of [
  ["UDP", SOCK_DGRAM, 0, Uint8Array.of(1)], ["raw", SOCK_RAW, 253, Uint8Array.of(1)],
  ["ping", SOCK_DGRAM, IPPROTO_ICMP, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 1)],
] as const) {
  test.serial(`${name}: what the program confirms need not be asked for; an empty MSG_PROBE is not sent`, (t) => {
    const asked = start();
    const fd = open(a, type, protocol);
    const to = new SockaddrIn(SILENT, 9);
    for (const flags of [0, MSG_CONFIRM]) {
      ip(a, "neigh replace 10.0.0.99 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
      t.is(sendto(fd, message, 0, message.length, 0, to), message.length);
      turn(2000);
      t.is(stateOf("10.0.0.99"), "DELAY");
      // A ping socket wants a whole header, whatever it is for.
      const length = name === "ping" ? message.length : 0;
      const sent = devA.stats.txPackets;
      t.is(sendto(fd, message, 0, length, flags | MSG_PROBE, to), length);
      t.is(devA.stats.txPackets - sent, flags === 0 || length > 0 ? 1 : 0);
      turn(3500);
      t.is(stateOf("10.0.0.99"), flags === 0 ? "PROBE" : "REACHABLE");
      t.deepEqual(asked.splice(0), flags === 0 ? ["unicast"] : []);
      ip(a, "neigh del 10.0.0.99 dev eth0");
    }
    finish(t);
  });
}

test.serial("app_solicit: a program that listens is asked before the link is, and may answer", (t) => {
  const asked = start();
  neighParmsSet(arpTbl, devA, { appProbes: 2 });
  const monitor = ipMonitor(a, "neigh");
  const fd = open(a, SOCK_DGRAM);
  sendto(fd, Uint8Array.of(1), 0, 1, 0, new SockaddrIn(SILENT, 9));
  turn(1500);
  t.is(monitor.read(), "miss 10.0.0.99 dev eth0 INCOMPLETE \nmiss 10.0.0.99 dev eth0 INCOMPLETE \n");
  t.deepEqual(asked, []);
  turn(4000);
  t.deepEqual(asked, ["broadcast", "broadcast", "broadcast"]);
  t.is(monitor.read(), "10.0.0.99 dev eth0 FAILED \n");
  // This time the program knows.
  sendto(fd, Uint8Array.of(1), 0, 1, 0, new SockaddrIn(ADDR_B, 9));
  turn(500);
  t.regex(monitor.read(), /^miss 10\.0\.0\.2 dev eth0 INCOMPLETE \n$/);
  const before = devA.stats.txPackets;
  ip(a, "neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud reachable");
  turn(20);
  t.is(devA.stats.txPackets - before, 1, "what waited goes");
  t.is(asked.length, 3);
  monitor.close();
  ip(a, "neigh flush all");
  finish(t);
});
