/** `ip maddress`: what iproute2 6.1 prints of the same memberships, without IPv6. */
import test from "ava";
import { igmp } from "../../../src/igmp.ts";
import { ip } from "../../../src/commands/index.ts";
import { close, initNet, IP_ADD_MEMBERSHIP, setNs, setsockoptBytes, SOCK_DGRAM, socket, SOL_IP } from "../../../src/index.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { addressNumber } from "../../lib/frames.ts";
import { bootIp, run, shutdownIp } from "./harness.ts";

const LO = "1:\tlo\n\tinet  224.0.0.1\n";
const D0 = "2:\td0\n\tlink  01:00:5e:00:00:01\n\tlink  01:00:5e:01:01:01\n\tlink  01:00:5e:01:01:02\n"
  + "\tinet  239.1.1.2\n\tinet  239.1.1.1 users 2\n\tinet  224.0.0.1\n";
const D1 = "3:\td1\n\tlink  01:00:5e:00:00:01\n\tinet  224.0.0.1\n";

test.serial("groups of all devices and of one, as link addresses and as groups", (t) => {
  bootIp({ initcalls: [igmp] });
  run("addr add 10.0.0.1/24 dev d0");
  setNs(initNet);
  const fds = [socket(2, SOCK_DGRAM, 0), socket(2, SOCK_DGRAM, 0)];
  const join = (fd: number, group: string): number =>
    setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, Int32Array.of(addressNumber(group), addressNumber("10.0.0.1")));
  t.deepEqual([join(fds[0]!, "239.1.1.1"), join(fds[0]!, "239.1.1.2"), join(fds[1]!, "239.1.1.1")], [0, 0, 0]);
  t.is(run("maddr"), LO + D0 + D1);
  t.is(run("maddr show dev d0"), D0);
  t.is(run("-4 m s d0"), "2:\td0\n\tinet  239.1.1.2\n\tinet  239.1.1.1 users 2\n\tinet  224.0.0.1\n");
  t.is(run("-o maddr show d1"), "3:\td1\\\tlink  01:00:5e:00:00:01\n3:\td1\\\tinet  224.0.0.1\n");
  t.is(run("maddr show dev d9"), "");
  t.deepEqual(ip(initNet, "maddr bogus"), { status: 255, text: "", error: 'Command "bogus" is unknown, try "ip maddr help".\n' });
  const twice = 'Error: either "dev" is duplicate, or "d1" is a garbage.\n';
  t.deepEqual(ip(initNet, "maddr show d0 d1"), { status: 255, text: "", error: twice });
  for (const fd of fds) close(fd);
  t.is(shutdownIp(), 0);
});

/** Words behind `ip`, the answer and the status, as iproute2 and the kernel give them. */
const STATIC: readonly (readonly [string, string, number])[] = [
  ["maddr add 01:00:5e:00:00:07 dev d0", "", 0],
  ["maddr add 01:00:5e:00:00:07 dev d0", "", 0],
  ["maddr show dev d0", "2:\td0\n\tlink  01:00:5e:00:00:01\n\tlink  01:00:5e:00:00:07 static\n\tinet  224.0.0.1\n", 0],
  ["maddr add 02:00:00:00:00:09 dev d0", "", 0],
  ["maddr del 01:00:5e:00:00:07 dev d0", "", 0],
  ["maddr del 01:00:5e:00:00:07 dev d0", "ioctl: No such file or directory\n", 1],
  ["maddr del 01:00:5e:00:00:01 dev d0", "ioctl: No such file or directory\n", 1],
  ["maddr add 01:00:5e:00:00:01 dev d0", "", 0],
  ["maddr show dev d0", "2:\td0\n\tlink  01:00:5e:00:00:01 users 2 static\n\tlink  02:00:00:00:00:09 static\n\tinet  224.0.0.1\n", 0],
  ["maddr del 01:00:5e:00:00:01 dev d0", "", 0],
  ["maddr add 01:00:5e:00:00:08 dev d9", "ioctl: No such device\n", 1],
  ["maddr add 01:00:5e:00:00:08", 'Not enough information: "dev" is required.\n', 255],
  ["maddr add 01:00:5e dev d0", "Error: Invalid address length 3 - must be 6 bytes\n", 1],
  ["maddr add nonsense dev d0", '"nonsense" is invalid lladdr.\n', 1],
  ["maddr add address 01:00:5e:00:00:0a dev d0 dev d0", 'Error: duplicate "dev": "d0" is the second value.\n', 255],
  ["maddr add 01:00:5e:00:00:0a 01:00:5e:00:00:0b dev d0", 'Error: duplicate "address": "01:00:5e:00:00:0b" is the second value.\n', 255],
  ["maddr add help", "Usage: ip maddr [ add | del ] MULTIADDR dev STRING\n       ip maddr show [ dev STRING ]\n", 255],
  ["maddr add 01:00:5e:00:00:0a dev lo", "ioctl: Invalid argument\n", 1],
];

test.serial("link addresses of one's own: added, shown and taken back as by iproute2, or gone with the device", (t) => {
  bootIp({ initcalls: [igmp], mcStatic: 3 });
  run("addr add 10.0.0.1/24 dev d0");
  for (const [words, answer, status] of STATIC) {
    const said = ip(initNet, words);
    t.deepEqual([said.text + said.error, said.status], [answer, status], words);
  }
  t.is(procRead(initNet, "net/dev_mcast"), "2    d0              1     0     01005e000001\n2    d0              1     1     020000000009\n"
    + "3    d1              1     0     01005e000001\n");
  t.is(ip(initNet, "maddr add 01:00:5e:00:00:0b dev d1").status + ip(initNet, "maddr add 01:00:5e:00:00:0c dev d1").status, 0);
  t.is(ip(initNet, "maddr add 01:00:5e:00:00:0d dev d1").error, "ioctl: No buffer space available\n");
  t.is(shutdownIp(), 0);
});

test.serial("without the part igmp there are no such addresses", (t) => {
  bootIp();
  t.deepEqual(ip(initNet, "maddr add 01:00:5e:00:00:0a dev d0"), { status: 1, text: "", error: "ioctl: Operation not supported\n" });
  t.is(shutdownIp(), 0);
});

test.serial("without the part no device has groups", (t) => {
  bootIp();
  t.is(run("maddr"), "");
  t.is(shutdownIp(), 0);
});
