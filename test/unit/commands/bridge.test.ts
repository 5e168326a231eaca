/** `ip link` of bridges and their ports, and `bridge fdb`: what iproute2 6.1 says and prints. */
import test from "ava";
import { bridge as bridgeCommand, bridgeMonitor, ip, ipMonitor } from "../../../src/commands/index.ts";
import { bridge } from "../../../src/bridge.ts";
import { vlan } from "../../../src/vlan.ts";
import { devGetByName } from "../../../src/netif/dev.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { packet } from "../netif/harness.ts";
import { bootIp, boot, initNet, run, shutdownIp } from "./harness.ts";

const PORT = " state forwarding priority 32 cost 100 hairpin off learning on flood on ";

/** Words behind `ip` or `bridge`, the answer, the status. */
const ANSWERS: readonly (readonly [string, string, number])[] = [
  ["ip link add br0 type bridge bogus", 'bridge: unknown command "bogus"?\nUsage: ... bridge [ ageing_time AGEING_TIME ] [ stp_state STP_STATE ]\n', 1],
  ["ip link add br0 type bridge stp_state 1", "Error: The bridge has no such option.\n", 2],
  ["ip link add br0 address 02:00:00:00:00:77 type bridge ageing_time 1000", "", 0],
  ["ip link add br0 type bridge", "RTNETLINK answers: File exists\n", 2],
  ["ip -d link show br0", "5: br0: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT group default \n"
    + "    link/ether 02:00:00:00:00:77 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 68 maxmtu 1500 \n"
    + "    bridge ageing_time 1000 stp_state 0 bridge_id 8000.2:0:0:0:0:77 numtxqueues 1 numrxqueues 1 \n", 0],
  ["ip link set d0 master br9", 'Error: argument "br9" is wrong: Device does not exist\n\n', 255],
  ["ip link set d0 master d1", "RTNETLINK answers: Operation not supported\n", 2],
  ["ip link set lo master br0", "RTNETLINK answers: Invalid argument\n", 2],
  ["ip link set br0 master br0", "Error: Can not enslave a bridge to a bridge.\n", 2],
  ["ip link set d0 master br0", "", 0],
  ["ip link set d0 master br0", "", 0],
  ["ip link set br0 up", "", 0],
  ["ip link show d0", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast master br0 state UNKNOWN mode DEFAULT group default qlen 32\n"
    + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n", 0],
  ["ip -d link show d0", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast master br0 state UNKNOWN mode DEFAULT group default qlen 32\n"
    + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 1  allmulti 1 minmtu 68 maxmtu 1500 \n"
    + `    bridge_slave${PORT}numtxqueues 1 numrxqueues 1 \n`, 0],
  ["ip link add link d1 name v master br0 type vlan id 5", "", 0],
  ["ip -br link show v", "v@d1             DOWN           02:00:00:00:00:02 <BROADCAST,NOARP> \n", 0],
  ["ip link set v up", "", 0],
  ["bridge fdb show", "02:00:00:00:00:77 dev br0 master br0 permanent\n02:00:00:00:00:01 dev d0 master br0 permanent\n"
    + "02:00:00:00:00:02 dev v master br0 permanent\n", 0],
  ["bridge fdb add 02:aa:00:00:00:01 dev d0 master static", "", 0],
  ["bridge fdb add 02:aa:00:00:00:01 dev d0 master static", "RTNETLINK answers: File exists\n", 2],
  ["bridge fdb replace 02:aa:00:00:00:01 dev v master static", "", 0],
  ["bridge fdb add 02:aa:00:00:00:02 dev v master dynamic", "", 0],
  ["bridge fdb add 02:aa:00:00:00:03 dev d0 self", "RTNETLINK answers: Operation not supported\n", 2],
  ["bridge fdb add 01:aa:00:00:00:03 dev d0 master static", "Error: invalid address.\n", 2],
  ["bridge fdb add 02:aa:00:00:00:03 dev d0 master", "Error: Local addresses are those of the ports.\n", 2],
  ["bridge fdb add 02:aa:00:00 dev d0 master static", "Invalid mac address 02:aa:00:00\n", 255],
  ["bridge fdb add 02:aa:00:00:00:03 dev d9 master static", 'Cannot find device "d9"\n', 1],
  ["bridge fdb add 02:aa:00:00:00:03", "Device and address are required arguments.\n", 255],
  ["bridge fdb show brport v", "02:00:00:00:00:02 master br0 permanent\n02:aa:00:00:00:01 master br0 static\n02:aa:00:00:00:02 master br0 \n", 0],
  ["bridge fdb show br br0 dynamic", "02:aa:00:00:00:01 dev v master br0 static\n02:aa:00:00:00:02 dev v master br0 \n", 0],
  ["bridge -s fdb show br br0 dynamic", "02:aa:00:00:00:01 dev v used 0/0 master br0 static\n02:aa:00:00:00:02 dev v used 0/0 master br0 \n", 0],
  ["bridge fdb show br br9", 'Cannot find bridge device "br9"\n', 255],
  ["bridge fdb del 02:aa:00:00:00:01 dev v master", "", 0],
  ["bridge fdb del 02:aa:00:00:00:01 dev v master", "RTNETLINK answers: No such file or directory\n", 2],
  ["bridge fdb del 02:00:00:00:00:01 dev d0 master", "RTNETLINK answers: No such file or directory\n", 2],
  ["ip link set br0 type bridge ageing_time 0", "", 0],
  ["bridge fdb show br br0 dynamic", "", 0],
  ["bridge link", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 100 \n"
    + "6: v@d1: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 100 \n", 0],
  ["bridge -d link show dev d0", "2: d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 master br0 state forwarding priority 32 cost 100 \n"
    + "    hairpin off learning on flood on \n", 0],
  ["bridge link show dev d1", "", 0],
  ["bridge link show dev d9", 'Cannot find device "d9"\n', 1],
  ["bridge link bogus", 'Command "bogus" is unknown, try "bridge link help".\n', 255],
  ["bridge vlan", 'Object "vlan" is unknown, try "bridge help".\n', 255],
  ["ip link set v nomaster", "", 0],
  ["ip link set v nomaster", "", 0],
  ["ip link del v", "", 0],
  ["ip link del br0", "", 0],
  ["ip -br link show d0", "d0               UNKNOWN        02:00:00:00:00:01 <BROADCAST,NOARP,UP,LOWER_UP> \n", 0],
  ["bridge fdb", "", 0],
];

test.serial("ip link and bridge fdb answer as iproute2 does", (t) => {
  bootIp({ initcalls: [bridge, vlan] });
  for (const [words, text, status] of ANSWERS) {
    const [program, ...rest] = words.split(" ");
    const result = program === "ip" ? ip(initNet, rest) : bridgeCommand(initNet, rest);
    t.deepEqual([words, result.text + result.error, result.status], [words, text, status]);
  }
  t.is(shutdownIp(), 0);
});

/** The same steps gave the same lines with iproute2 6.1 on two veths. */
const NEWS: readonly (readonly [string, string])[] = [
  ["ip link set d0 master br0", "02:00:00:00:00:01 dev d0 master br0 permanent\n"],
  ["ip link set d1 master br0", "02:00:00:00:00:02 dev d1 master br0 permanent\n"],
  ["bridge fdb add 02:aa:00:00:00:01 dev d0 master static", "02:aa:00:00:00:01 dev d0 master br0 static\n"],
  ["bridge fdb replace 02:aa:00:00:00:01 dev d1 master static", "02:aa:00:00:00:01 dev d1 master br0 static\n"],
  ["bridge fdb add 02:aa:00:00:00:02 dev d1 master dynamic", "02:aa:00:00:00:02 dev d1 master br0 \n"],
  ["bridge fdb del 02:aa:00:00:00:02 dev d1 master", "Deleted 02:aa:00:00:00:02 dev d1 master br0 \n"],
  ["frame d0 02bb00000001", "02:bb:00:00:00:01 dev d0 master br0 \n"],
  ["frame d0 02bb00000001", ""],
  ["frame d1 02bb00000001", "02:bb:00:00:00:01 dev d1 master br0 \n"],
  ["ip link set d1 down", "Deleted 02:bb:00:00:00:01 dev d1 master br0 \n"],
  ["ip link set d0 nomaster", "Deleted 02:00:00:00:00:01 dev d0 master br0 permanent\n"],
];

test.serial("bridge monitor fdb tells of stations that come, move and go, and of people's entries, as Linux does", (t) => {
  bootIp({ initcalls: [bridge] });
  run("link add br0 address 02:00:00:00:00:77 type bridge");
  run("link set br0 up");
  const monitor = bridgeMonitor(initNet, "fdb");
  for (const [words, text] of NEWS) {
    const [program, ...rest] = words.split(" ");
    if (program === "frame") {
      const bytes = Buffer.from(`ffffffffffff${rest[1]}88b5`.padEnd(120, "0"), "hex");
      ethReceive(packet(null, bytes), devGetByName(initNet, rest[0]!)!);
      initNet.poll();
    } else {
      t.is((program === "ip" ? ip(initNet, rest) : bridgeCommand(initNet, rest)).error, "", words);
    }
    t.is(monitor.read(), text, words);
  }
  run("link del br0");
  t.deepEqual(monitor.read().split("\n").sort(), [
    "", "Deleted 02:00:00:00:00:02 dev d1 master br0 permanent", "Deleted 02:00:00:00:00:77 dev br0 master br0 permanent",
    "Deleted 02:aa:00:00:00:01 dev d1 master br0 static",
  ]);
  monitor.close();
  t.throws(() => bridgeMonitor(initNet, "bogus"), { message: 'Argument "bogus" is unknown, try "bridge monitor help".\n' });
  t.is(shutdownIp(), 0);
});

test.serial("listeners hear that a device has become a port", (t) => {
  bootIp({ initcalls: [bridge] });
  run("link add br0 type bridge");
  const monitor = ipMonitor(initNet, "link");
  run("link set d0 master br0");
  t.regex(monitor.read(), /^2: d0: .* master br0 /m);
  run("link set d0 nomaster");
  t.notRegex(monitor.read(), /^2: d0: .* master /m);
  monitor.close();
  run("link del br0");
  t.is(shutdownIp(), 0);
});

test.serial("without the part there is no such kind of device, and no database", (t) => {
  boot({ preset: "host" });
  t.is(ip(initNet, "link add br0 type bridge").error, "Error: Unknown device type.\n");
  t.is(bridgeCommand(initNet, "fdb show").text, "");
});
