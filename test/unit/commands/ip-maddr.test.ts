/** `ip maddress`: what iproute2 6.1 prints of the same memberships, without IPv6. */
import test from "ava";
import { igmp } from "../../../src/igmp.ts";
import { ip } from "../../../src/commands/index.ts";
import { close, initNet, IP_ADD_MEMBERSHIP, setNs, setsockoptBytes, SOCK_DGRAM, socket, SOL_IP } from "../../../src/index.ts";
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

test.serial("without the part no device has groups", (t) => {
  bootIp();
  t.is(run("maddr"), "");
  t.is(shutdownIp(), 0);
});
