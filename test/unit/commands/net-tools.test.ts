/** ifconfig, route and arp: what net-tools answers, through ioctl() alone. */
import test from "ava";
import { arp, ifconfig, ip, route } from "../../../src/commands/index.ts";
import { ioctlKnown } from "../../../src/stack/core/ifreq.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { familyKnown } from "../../../src/stack/core/socket.ts";
import { AF_NETLINK } from "../../../src/uapi/socket.ts";
import { boot, bootIp, initNet, shutdownIp } from "./harness.ts";
import { netTool, normalised } from "./net-tools.ts";
import { NET_TOOLS_ANSWERS } from "./net-tools-answers.ts";

test.beforeEach(() => bootIp());
test.afterEach((t) => t.is(shutdownIp(), 0, "pools full again"));

test.serial("ifconfig, route and arp answer what net-tools answers, to the byte, and end with its status", (t) => {
  for (const [line, text, status] of NET_TOOLS_ANSWERS) {
    const answer = netTool(line);
    t.deepEqual([line, answer.text, answer.status], [line, normalised(line, text), status]);
  }
});

test.serial("the first command starts ioctl where boot did not, and never netlink", (t) => {
  boot({ preset: "small" });
  t.false(ioctlKnown());
  t.is(procRead(initNet, "net/route"), null);
  t.regex(ifconfig(initNet).text, /^lo: flags=73<UP,LOOPBACK,RUNNING> {2}mtu 1500\n {8}inet 127.0.0.1 {2}netmask 255.0.0.0\n/);
  t.is(route(initNet, "-n").text.split("\n").length, 3);
  t.is(arp(initNet).text, "");
  t.true(ioctlKnown());
  t.false(familyKnown(AF_NETLINK));
  bootIp();
});

test.serial("ifconfig lists all that is up in the order of its names, eth2 before eth10, and with -a the rest", (t) => {
  ifconfig(initNet, "d0 name eth10");
  ifconfig(initNet, "d1 name eth2");
  ifconfig(initNet, "eth2:1 10.0.0.1/24");
  const names = (words: string): string[] => [...ifconfig(initNet, words).text.matchAll(/^(\S+): /gm)].map((match) => match[1]!);
  t.deepEqual(names(""), ["eth2", "eth2:1", "eth10", "lo"]);
  ifconfig(initNet, "eth10 down");
  t.deepEqual(names(""), ["eth2", "eth2:1", "lo"]);
  t.deepEqual(names("-a"), ["eth2", "eth2:1", "eth10", "lo"]);
  t.is(ifconfig(initNet, "-a -s").text.split("\n")[2], "eth2:1           1500      - no statistics available -                        BORU");
});

test.serial("a device that is renamed takes the labels of its addresses along", (t) => {
  ip(initNet, "addr add 10.0.0.1/24 dev d0");
  ip(initNet, "addr add 10.0.1.1/24 dev d0 label d0:x");
  ip(initNet, "addr add 10.0.2.1/24 dev d0");
  t.is(ifconfig(initNet, "d0 name foo").status, 0);
  const labels = ip(initNet, "-4 -o addr show dev foo").text.split("\n").slice(0, -1).map((line) => /global (\S+)\\/.exec(line)![1]);
  t.deepEqual(labels, ["foo", "foo:x", "foo:3"]);
});

test.serial("counters are shown with units of 1024, cut to one digit", (t) => {
  const stats = initNet.devices!.stats;
  [stats.rxBytes, stats.rxPackets, stats.txBytes, stats.txPackets, stats.rxDropped] = [8568, 6, 56120568, 4006, 3];
  t.regex(ifconfig(initNet, "lo").text, /RX packets 6 {2}bytes 8568 \(8\.3 KiB\)\n {8}RX errors 0 {2}dropped 3 .*\n {8}TX packets 4006 {2}bytes 56120568 \(53\.5 MiB\)/);
  t.regex(procRead(initNet, "net/dev")!, / {4}lo: {4}8568 {7}6 {4}0 {4}3 {4}0 {5}0 {10}0 {9}0 56120568 {4}4006 {4}0 /);
});
