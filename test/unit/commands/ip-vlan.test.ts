/** `ip link` of VLANs: what iproute2 6.1 says and prints, to the byte. */
import test from "ava";
import { ip, ipMonitor } from "../../../src/commands/index.ts";
import { devGetByName, unregisterNetdev } from "../../../src/netif/dev.ts";
import { vlan } from "../../../src/vlan.ts";
import { bootIp, boot, initNet, run, shutdownIp } from "./harness.ts";

const D0_10 = "4: d0.10@d0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500 qdisc noqueue state UNKNOWN mode DEFAULT group default \n"
  + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 0 maxmtu 65535 \n"
  + "    vlan protocol 802.1Q id 10 <REORDER_HDR> numtxqueues 1 numrxqueues 1 \n";

const ANSWERS: readonly (readonly [string, string, number])[] = [
  ["link add link d0 name d0.10 type vlan id 10", "", 0],
  ["link add link d0 name d0.10 type vlan id 11", "RTNETLINK answers: File exists\n", 2],
  ["link add link d0 name other type vlan id 10", "Error: VLAN device already exists.\n", 2],
  ["link add link d0 name other type vlan", "Error: VLAN properties not specified.\n", 2],
  ["link add link d0 name other type vlan protocol 802.1Q", "Error: VLAN id not specified.\n", 2],
  ["link add name other type vlan id 12", "Error: link not specified.\n", 2],
  ["link add link d9 name other type vlan id 12", 'Cannot find device "d9"\n', 1],
  ["link add link lo name other type vlan id 12", "Error: VLANs not supported on device.\n", 2],
  ["link add link d0 name other type vlan id 4095", "Error: Invalid VLAN id.\n", 2],
  ["link add link d0 name other type vlan id 65536", 'Error: argument "65536" is wrong: id is invalid\n', 255],
  ["link add link d0 name other type vlan protocol 0x88b5 id 1", "Error: Invalid VLAN protocol.\n", 2],
  ["link add link d0 name other type vlan protocol 9.9 id 1", 'Error: argument "9.9" is wrong: protocol is invalid\n', 255],
  ["link add link d0 name other mtu 1501 type vlan id 12", "RTNETLINK answers: Invalid argument\n", 2],
  ["link add link d0 name other address 03:00:00:00:00:01 type vlan id 12", "RTNETLINK answers: Cannot assign requested address\n", 2],
  ["link add link d0 name other type vlan id 12 gvrp maybe", 'Error: argument of "gvrp" must be "on" or "off", not "maybe"\n', 1],
  ["link add link d0 name other type vlan id 12 egress-qos-map a:b", 'Error: argument "a" is wrong: invalid egress-qos-map\n', 255],
  ["link set d0.10 up", "", 0],
  ["-d link show d0.10", D0_10, 0],
  ["link set d0.10 mtu 1501", "RTNETLINK answers: Numerical result out of range\n", 2],
  ["link set d0.10 type vlan id 10 loose_binding on reorder_hdr off", "", 0],
  ["link set d1 type vlan id 10", "RTNETLINK answers: Operation not supported\n", 2],
  ["link set d0.10 down", "", 0],
  ["link set d0 down", "", 0],
  ["link set d0.10 type vlan ingress-qos-map 5:6 7:1 egress-qos-map 6:5", "", 0],
  ["-d link show d0.10", "4: d0.10@d0: <BROADCAST,NOARP,M-DOWN> mtu 1500 qdisc noqueue state DOWN mode DEFAULT group default \n"
    + "    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0  allmulti 0 minmtu 0 maxmtu 65535 \n"
    + "    vlan protocol 802.1Q id 10 <LOOSE_BINDING> \n      ingress-qos-map { 5:6 7:1 } \n      egress-qos-map { 6:5 } "
    + "numtxqueues 1 numrxqueues 1 \n", 0],
  ["link add link d1 address 02:00:00:00:00:99 type vlan proto 802.1ad id 7", "", 0],
  ["link show vlan0", "5: vlan0@d1: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN mode DEFAULT group default \n"
    + "    link/ether 02:00:00:00:00:99 brd ff:ff:ff:ff:ff:ff\n", 0],
  ["link del vlan0", "", 0],
  ["link show vlan0", 'Device "vlan0" does not exist.\n', 1],
];

test.serial("ip link add, set, show and delete of VLANs answer as iproute2 does", (t) => {
  bootIp({ initcalls: [vlan] });
  for (const [words, text, status] of ANSWERS) {
    const result = ip(initNet, words);
    t.deepEqual([words, result.text + result.error, result.status], [words, text, status]);
  }
  t.is(shutdownIp(), 0);
});

test.serial("a VLAN goes with its device, and that is told", (t) => {
  bootIp({ initcalls: [vlan] });
  run("link add link d0 name v type vlan id 1");
  run("addr add 10.9.0.1/24 dev v");
  run("link set v up");
  t.regex(run("route show 10.9.0.0/24"), /dev v proto kernel/);
  const monitor = ipMonitor(initNet, "link");
  unregisterNetdev(devGetByName(initNet, "d0")!);
  t.regex(monitor.read(), /Deleted 4: v@/);
  monitor.close();
  t.is(shutdownIp(), 0);
});

test.serial("without the part there is no such kind of device", (t) => {
  boot({ preset: "host" });
  t.is(ip(initNet, "link add link lo name v type vlan id 1").error, "Error: Unknown device type.\n");
});
