import test, { type ExecutionContext } from "ava";
import { boot, type CommandResult, bootIp, initNet, run, shutdownIp } from "./harness.ts";
import { ip, ipMonitor } from "../../../src/commands/index.ts";

/**
 * What iproute2 6.1 answered to the same words in a network namespace with the same two devices: facts. The lookup names no
 * local table while local and main share a trie, as on Linux until the first rule.
 */
const ANSWERS: readonly (readonly [string, string, number])[] = [
  ["addr add 10.0.0.1/24 dev d0", "", 0],
  ["addr add 10.0.0.1/24 dev d0", "Error: ipv4: Address already assigned.\n", 2],
  ["addr add 10.0.0.2/24 dev d0", "", 0],
  ["addr add 10.0.0.3/24 brd + dev d0 label d0:1", "", 0],
  ["addr add 10.0.0.3/24 dev d9", 'Cannot find device "d9"\n', 1],
  ["addr add 10.0.0.3/33 dev d0", 'Error: any valid prefix is expected rather than "10.0.0.3/33".\n', 1],
  ["addr add dev d0", "RTNETLINK answers: Operation not supported\n", 2],
  ["addr del 10.0.0.9/24 dev d0", "Error: ipv4: Address not found.\n", 2],
  ["a a 10.1.0.1 peer 10.1.0.2/30 dev d1", "", 0],
  ["a a 10.31.0.0/31 brd + dev d1", "", 0],
  ["addr change 10.31.0.0/31 noprefixroute metric 7 dev d1", "", 0],
  ["addr show dev d1 to 10.31.0.0/31", "3: d1: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UNKNOWN group default qlen 32\n"
    + "    inet 10.31.0.0/31 metric 7 scope global d1\n       valid_lft forever preferred_lft forever\n", 0],
  ["route show 10.31.0.0/31", "10.31.0.0/31 dev d1 proto kernel scope link src 10.31.0.0 metric 7 \n", 0],
  ["addr del 10.31.0.0/31 dev d1", "", 0],
  ["-4 -o addr", "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever\n"
    + "2: d0    inet 10.0.0.1/24 scope global d0\\       valid_lft forever preferred_lft forever\n"
    + "2: d0    inet 10.0.0.2/24 scope global secondary d0\\       valid_lft forever preferred_lft forever\n"
    + "2: d0    inet 10.0.0.3/24 brd 10.0.0.255 scope global secondary d0:1\\       valid_lft forever preferred_lft forever\n"
    + "3: d1    inet 10.1.0.1 peer 10.1.0.2/30 scope global d1\\       valid_lft forever preferred_lft forever\n", 0],
  ["-br addr show dev d1", "d1               UNKNOWN        10.1.0.1 peer 10.1.0.2/30 \n", 0],
  ["-br link show d0", "d0               UNKNOWN        02:00:00:00:00:01 <BROADCAST,NOARP,UP,LOWER_UP> \n", 0],
  ["link show d0", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UNKNOWN mode DEFAULT group default qlen 32\n"
    + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n", 0],
  ["-s -s link show d0", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UNKNOWN mode DEFAULT group default qlen 32\n"
    + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n"
    + "    RX:  bytes packets errors dropped  missed   mcast           \n"
    + "             0       0      0       0       0       0 \n"
    + "    RX errors:  length    crc   frame    fifo overrun\n"
    + "                     0      0       0       0       0 \n"
    + "    TX:  bytes packets errors dropped carrier collsns           \n"
    + "             0       0      0       0       0       0 \n"
    + "    TX errors: aborted   fifo  window heartbt transns\n"
    + "                     0      0       0       0       0 \n", 0],
  ["route add 10.2.0.0/16 via 10.0.0.77 dev d0 metric 5", "", 0],
  ["route add 10.2.0.0/16 via 10.0.0.77 dev d0 metric 5", "RTNETLINK answers: File exists\n", 2],
  ["route add 10.3.0.0/16", "RTNETLINK answers: No such device\n", 2],
  ["route add 10.3.0.0/16 dev d9", 'Cannot find device "d9"\n', 1],
  ["route add 10.4.0.0/16 nexthop via 10.0.0.8 weight 2 metric 9",
    'Error: "nexthop" or end of line is expected instead of "metric"\n', 255],
  ["route add blackhole 10.5.0.0/16", "", 0],
  ["route add 10.8.0.0/16 via 5.5.5.5 dev d0 onlink", "", 0],
  ["route del 10.99.0.0/16", "RTNETLINK answers: No such process\n", 2],
  ["route add 10.9.0.0/33 dev d0", 'Error: any valid prefix is expected rather than "10.9.0.0/33".\n', 1],
  ["route add 10.2.0.0/16 dev d0 table bogus", 'Error: argument "bogus" is wrong: "table" value is invalid\n\n', 255],
  ["route add 10.2.0.0/16 via 10.0.0.1.1", 'Error: inet address is expected rather than "10.0.0.1.1".\n', 1],
  ["route add 10.2.0.0/16 metric", 'Command line is not complete. Try option "help"\n', 255],
  ["route change 10.77.0.0/16 dev d1", "RTNETLINK answers: No such file or directory\n", 2],
  ["route del 10.3.64.2/20 table 77", "Error: Invalid prefix for given prefix length.\n", 2],
  ["route del 10.3.64.0/20 table 77", "Error: FIB table does not exist.\n", 2],
  ["route flush", '"ip route flush" requires arguments.\n', 1],
  ["route show 10.8.0.0/16", "10.8.0.0/16 via 5.5.5.5 dev d0 onlink \n", 0],
  ["-d route show 10.5.0.0/16", "blackhole 10.5.0.0/16 proto boot scope global \n", 0],
  ["r s 10.2.0.0/16 dev d0", "10.2.0.0/16 via 10.0.0.77 metric 5 \n", 0],
  ["route show table 101", "Error: ipv4: FIB table does not exist.\nDump terminated\n", 2],
  ["route get 10.2.1.1", "10.2.1.1 via 10.0.0.77 dev d0 src 10.0.0.1 uid 0 \n    cache \n", 0],
  ["route get 127.0.0.1", "local 127.0.0.1 dev lo src 127.0.0.1 uid 0 \n    cache <local> \n", 0],
  ["route get 10.0.0.255", "broadcast 10.0.0.255 dev d0 src 10.0.0.1 uid 0 \n    cache <local,brd> \n", 0],
  ["route get 10.5.1.1", "RTNETLINK answers: Invalid argument\n", 2],
  ["route get fibmatch 10.2.7.7", "10.2.0.0/16 via 10.0.0.77 dev d0 metric 5 \n", 0],
  ["route get fibmatch 127.0.0.1", "local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1 \n", 0],
  ["rule", "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n", 0],
  ["rule add bogus", 'Error: argument "bogus" is wrong: Failed to parse rule type\n', 255],
  ["rule add from 300.1.1.1", 'Error: any valid prefix is expected rather than "300.1.1.1".\n', 1],
  ["neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev d0", "", 0],
  ["neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev d0", "RTNETLINK answers: File exists\n", 2],
  ["neigh del 10.0.0.53 dev d1", "RTNETLINK answers: No such file or directory\n", 2],
  ["neigh change 10.0.0.53 dev d1 lladdr 02:00:00:00:00:50", "RTNETLINK answers: No such file or directory\n", 2],
  ["neigh get 10.0.0.50 dev d0", "10.0.0.50 dev d0 lladdr 02:00:00:00:00:50 PERMANENT \n", 0],
  ["-s neigh show dev d0 nud all", "10.0.0.50 lladdr 02:00:00:00:00:50  used 0/0/0probes 0 PERMANENT \n", 0],
  ["link set d9 up", 'Cannot find device "d9"\n', 1],
  ["link set d0 bogus", 'Error: either "dev" is duplicate, or "bogus" is a garbage.\n', 255],
  ["link show d9", 'Device "d9" does not exist.\n', 1],
  ["bogus", 'Object "bogus" is unknown, try "ip help".\n', 1],
  ["route bogus", 'Command "bogus" is unknown, try "ip route help".\n', 255],
  ["addr bogus", 'Command "bogus" is unknown, try "ip address help".\n', 255],
];

/** Rules that are added; the first of them splits the local table from main. */
const RULES: readonly (readonly [string, string, number])[] = [
  ["rule add", '"ip rule add" requires arguments.\n', 1],
  ["rule del", '"ip rule del" requires arguments.\n', 1],
  ["rule add pref 118 goto 118", "Error: Backward goto not supported.\n", 2],
  ["rule add goto 100", "Error: Backward goto not supported.\n", 2],
  ["rule del pref 118 goto 100", "Error: Backward goto not supported.\n", 2],
  ["rule del pref 118 goto 200", "RTNETLINK answers: No such file or directory\n", 2],
  ["rule add from 10.3.1.3/30 pref 7 nop", "", 0],
  ["rule show pref 7", "7:\tfrom 10.3.1.3/30 nop\n", 0],
  ["rule del pref 7", "", 0],
  ["rule add pref 5 proto 77 nop", "", 0],
  ["rule add pref 5 proto 78 nop", "", 0],
  ["rule add pref 5 nop", "", 0],
  ["rule add pref 7 goto 100", "", 0],
  ["rule add pref 7 goto 101", "RTNETLINK answers: File exists\n", 2],
  ["rule add not from 1.0.0.0/8 pref 9 nop", "", 0],
  ["rule add from 1.0.0.0/8 pref 9 nop", "RTNETLINK answers: File exists\n", 2],
  ["rule add pref 9 nop", "RTNETLINK answers: File exists\n", 2],
  ["rule add tos 0x10 pref 11 nop", "", 0],
  ["rule add pref 11 nop", "RTNETLINK answers: File exists\n", 2],
  ["rule add pref 11 tos 0x08 nop", "", 0],
  ["rule add fwmark 1 pref 12 nop", "", 0],
  ["rule add pref 12 nop", "", 0],
  ["rule add fwmark 0/1 pref 14 nop", "", 0],
  ["rule add pref 14 fwmark 0 nop", "", 0],
  ["rule add pref 14 nop", "RTNETLINK answers: File exists\n", 2],
  ["rule add pref 13 table 9 suppress_prefixlength 3", "", 0],
  ["rule add pref 13 table 9", "", 0],
  ["rule add pref 15 nop", "", 0],
  ["rule add pref 15 from 1.0.0.0/8 nop", "", 0],
  ["rule del pref 13 suppress_prefixlength 4", "RTNETLINK answers: No such file or directory\n", 2],
  ["rule del pref 13 suppress_prefixlength 3", "", 0],
  ["rule del pref 7 goto 200", "", 0],
  ["rule del not pref 15", "", 0],
  ["rule del pref 5 proto 99", "RTNETLINK answers: No such file or directory\n", 2],
  ["rule del pref 5", "", 0],
  ["rule", ""
    + "0:\tfrom all lookup local\n"
    + "5:\tfrom all nop proto 78\n"
    + "5:\tfrom all nop\n"
    + "9:\tnot from 1.0.0.0/8 nop\n"
    + "11:\tfrom all tos 0x10 nop\n"
    + "11:\tfrom all tos 0x08 nop\n"
    + "12:\tfrom all fwmark 0x1 nop\n"
    + "12:\tfrom all nop\n"
    + "13:\tfrom all lookup 9\n"
    + "14:\tfrom all fwmark 0/0x1 nop\n"
    + "14:\tfrom all nop\n"
    + "15:\tfrom 1.0.0.0/8 nop\n"
    + "32766:\tfrom all lookup main\n"
    + "32767:\tfrom all lookup default\n", 0],
];

/** Two default routes, of which that is taken whose gateway answers; and the way of packets that come in. */
const WAYS: readonly (readonly [string, string, number])[] = [
  ["addr add 10.0.0.1/24 dev d0", "", 0],
  ["addr add 10.1.0.1/24 dev d1", "", 0],
  ["route append default via 10.0.0.9", "", 0],
  ["route append default via 10.1.0.9", "", 0],
  ["route", "default via 10.0.0.9 dev d0 \ndefault via 10.1.0.9 dev d1 \n10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1 \n10.1.0.0/24 dev d1 proto kernel scope link src 10.1.0.1 \n", 0],
  ["route get 8.8.8.8", "8.8.8.8 via 10.0.0.9 dev d0 src 10.0.0.1 uid 0 \n    cache \n", 0],
  ["neigh add 10.1.0.9 lladdr 02:00:00:00:00:50 dev d1", "", 0],
  ["route get 8.8.8.8", "8.8.8.8 via 10.0.0.9 dev d0 src 10.0.0.1 uid 0 \n    cache \n", 0],
  ["route get 8.8.8.7", "8.8.8.7 via 10.0.0.9 dev d0 src 10.0.0.1 uid 0 \n    cache \n", 0],
  ["neigh add 10.0.0.9 lladdr 02:00:00:00:00:51 dev d0", "", 0],
  ["route get 8.8.8.8", "8.8.8.8 via 10.1.0.9 dev d1 src 10.1.0.1 uid 0 \n    cache \n", 0],
  ["neigh del 10.1.0.9 dev d1", "", 0],
  ["route get 8.8.8.8", "8.8.8.8 via 10.0.0.9 dev d0 src 10.0.0.1 uid 0 \n    cache \n", 0],
  ["route get 8.8.8.8 oif d1", "8.8.8.8 via 10.1.0.9 dev d1 src 10.1.0.1 uid 0 \n    cache \n", 0],
  ["route get 10.0.0.1 from 10.1.0.5 iif d1", "local 10.0.0.1 from 10.1.0.5 dev lo \n    cache <local> iif d1 \n", 0],
  ["route get 10.0.0.1 from 10.9.0.5 iif d1", "local 10.0.0.1 from 10.9.0.5 dev lo \n    cache <local> iif d1 \n", 0],
  ["route get 10.0.0.1 from 10.0.0.5 iif d1", "local 10.0.0.1 from 10.0.0.5 dev lo \n    cache <local> iif d1 \n", 0],
  ["route get 10.0.0.1 iif d1", "RTNETLINK answers: Invalid argument\n", 2],
  ["route get 10.0.0.77 from 10.1.0.5 iif d1", "RTNETLINK answers: No route to host\n", 2],
  ["route get 10.0.0.255 from 10.0.0.5 iif d0", "broadcast 10.0.0.255 from 10.0.0.5 dev lo \n    cache <local,brd> iif d0 \n", 0],
  ["route get 224.0.0.1 from 10.0.0.5 iif d0", "multicast 224.0.0.1 from 10.0.0.5 dev lo rt_offload_failed \n    cache <local,mc> iif d0 \n", 0],
  ["route get 224.0.0.5 from 10.0.0.5 iif d0", "RTNETLINK answers: Invalid argument\n", 2],
  ["route get 127.0.0.1 from 10.0.0.5 iif d0", "RTNETLINK answers: Invalid argument\n", 2],
  ["route get 10.0.0.1 from 10.0.0.1 iif d0", "RTNETLINK answers: Invalid argument\n", 2],
  ["route get 10.0.0.1 from 10.0.0.5 iif d9", "Cannot find device \"d9\"\n", 1],
];

/** Devices that are made by commands: d0 and d1 are the dummies. */
const LINKS: readonly (readonly [string, string, number])[] = [
  ["link add v0 type veth peer name v1", "", 0],
  ["link add v0 type veth", "RTNETLINK answers: File exists\n", 2],
  ["link add v5 mtu 1400 address 02:00:00:00:00:05 txqueuelen 9 type veth peer name v6 mtu 1300 address 02:00:00:00:00:06", "", 0],
  ["link show v5", "7: v5@v6: <BROADCAST,MULTICAST,M-DOWN> mtu 1400 qdisc noop state DOWN mode DEFAULT group default qlen 9\n"
    + "    link/ether 02:00:00:00:00:05 brd ff:ff:ff:ff:ff:ff\n", 0],
  ["link add v7 type veth peer name v0", "RTNETLINK answers: File exists\n", 2],
  ["link add v7 mtu 20 type veth", "RTNETLINK answers: Invalid argument\n", 2],
  ["link add v7 address 03:00:00:00:00:05 type veth", "RTNETLINK answers: Cannot assign requested address\n", 2],
  ["link add v7 up type veth", "", 0],
  ["-br link show v7", "v7@veth0         LOWERLAYERDOWN ", 0],
  ["link del v5", "", 0],
  ["link del v5", 'Cannot find device "v5"\n', 1],
  ["link show v6", 'Device "v6" does not exist.\n', 1],
  ["link del v1 type veth", "", 0],
  ["link add x type bogus", "Error: Unknown device type.\n", 2],
  ["link add x", 'Not enough information: "type" argument is required\n', 1],
  ["link add type", 'Command line is not complete. Try option "help"\n', 255],
  ["link del", 'Not enough information: "dev" argument is required.\n', 255],
  ["link del lo", "RTNETLINK answers: Operation not supported\n", 2],
  ["link add name v8 type veth peer v9", "", 0],
  ["link show v9", "10: v9@v8: <BROADCAST,MULTICAST,M-DOWN>", 0],
  ["link add name v10 type veth peer", "", 0],
  ["link add name v11 type veth bogus", "Usage: ip link <options> type veth [peer <options>]\n", 1],
  ["link add dev v12 type veth peer name v12", "RTNETLINK answers: File exists\n", 2],
  ["link del v8", "", 0],
  ["link del v10", "", 0],
  ["link del v7", "", 0],
];

/** Each command answers that text with that status. */
function answers(t: ExecutionContext, list: readonly (readonly [string, string, number])[]): void {
  for (const [words, text, status] of list) {
    const result: CommandResult = ip(initNet, words);
    t.deepEqual([words, result.text + result.error, result.status], [words, text, status]);
  }
}

test.beforeEach(() => bootIp());
test.afterEach((t) => t.is(shutdownIp(), 0, "pools full again"));

test.serial("ip answers what iproute2 answers, to the byte, and ends with its status", (t) => {
  answers(t, ANSWERS);
});

test.serial("ip rule refuses what iproute2 and the kernel refuse, and nothing else", (t) => {
  answers(t, RULES);
  bootIp();
});

test.serial("route get: of default routes that whose gateway answers, and what comes in by a device", (t) => {
  answers(t, WAYS);
});

test.serial("veth devices are made and deleted in pairs", (t) => {
  for (const [words, text, status] of LINKS) {
    const result = ip(initNet, words);
    const said = result.text + result.error;
    t.deepEqual([words, said.substring(0, Math.max(text.length, status === 0 ? 0 : said.length)), result.status], [words, text, status]);
  }
  t.is(run("-br link").split("\n").length, 4, "lo, d0, d1");
  run("link add name va type veth peer name vb");
  run("link set va up");
  run("link set vb up");
  run("addr add 10.0.0.1/24 dev va");
  t.regex(run("-d link show va"), /^\d+: va@vb: <BROADCAST,MULTICAST,UP,LOWER_UP> .*\n.*maxmtu \d+ \n {4}veth numtxqueues 1 /);
  run("link del vb");
  t.is(run("route"), "");
});

test.serial("the first command starts netlink where boot did not", (t) => {
  boot({ preset: "small" });
  t.is(ip(initNet, ["-br", "addr"]).text, "lo               UNKNOWN        127.0.0.1/8 \n");
  bootIp();
});

test.serial("link set changes what it names", (t) => {
  run("link set dev d0 mtu 1280 txqueuelen 7 address 02:aa:00:00:00:01 multicast on");
  t.regex(run("link show d0"), /<BROADCAST,MULTICAST,NOARP,UP,LOWER_UP> mtu 1280 .* qlen 7\n    link\/ether 02:aa:00:00:00:01 /);
  run("link set d0 down");
  run("link set d0 name eth7");
  t.regex(run("link show eth7"), /^2: eth7: <BROADCAST,MULTICAST,NOARP> .* state DOWN /);
});

test.serial("addr flush and route flush take away what their words select", (t) => {
  run("addr add 10.0.0.1/24 dev d0");
  run("addr add 10.9.0.1/24 dev d1");
  run("route add 10.20.0.0/16 via 10.0.0.9");
  run("route add 10.21.0.0/16 via 10.9.0.9");
  run("route flush root 10.20.0.0/15 dev d0");
  t.is(run("route show root 10.20.0.0/15"), "10.21.0.0/16 via 10.9.0.9 dev d1 \n");
  run("addr flush dev d1");
  t.is(run("route show"), "10.0.0.0/24 dev d0 proto kernel scope link src 10.0.0.1 \n");
});

test.serial("a monitor tells what others do", (t) => {
  const monitor = ipMonitor(initNet, "address route label");
  run("addr add 10.0.0.1/24 dev d0");
  run("route add 10.2.0.0/16 via 10.0.0.7");
  run("route del 10.2.0.0/16");
  const lines = monitor.read().split("\n");
  t.true(lines.includes("[ADDR]2: d0    inet 10.0.0.1/24 scope global d0"));
  t.true(lines.includes("[ROUTE]10.2.0.0/16 via 10.0.0.7 dev d0 "));
  t.true(lines.includes("[ROUTE]Deleted 10.2.0.0/16 via 10.0.0.7 dev d0 "));
  t.is(monitor.read(), "");
  monitor.close();
});
