/**
 * Every ioctl() request about devices, addresses, routes and neighbours: what it does, and the errno of a Linux 6.18 where it does
 * not. There are no users on a board: EPERM is nobody's.
 */
import test from "ava";
import {
  AF_INET, boot, close, devChangeFlags, devGetByName, devOpen, initNet, ioctl, SOCK_DGRAM, SOCK_STREAM, socket,
} from "../../../src/index.ts";
import { Arpreq, Ifconf, Ifreq, ioctls, procRead, Rtentry } from "../../../src/ioctl.ts";
import type { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import {
  EADDRNOTAVAIL, EAFNOSUPPORT, EBADF, EEXIST, EINVAL, ENETUNREACH, ENOBUFS, ENODEV, ENOENT, ENOTTY, ENXIO, EOPNOTSUPP, EPFNOSUPPORT,
  ESRCH,
} from "../../../src/uapi/errno.ts";
import { IFF_NOARP, IFF_UP } from "../../../src/uapi/if.ts";
import { ARPHRD_ETHER, ATF_COM, ATF_NETMASK, ATF_PERM, ATF_PUBL } from "../../../src/uapi/if-arp.ts";
import * as requests from "../../../src/uapi/ioctl.ts";
import {
  SIOCADDRT, SIOCDARP, SIOCDELRT, SIOCGARP, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFDSTADDR, SIOCGIFFLAGS,
  SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMETRIC, SIOCGIFMTU, SIOCGIFNAME, SIOCGIFNETMASK, SIOCGIFTXQLEN, SIOCSARP, SIOCSIFADDR,
  SIOCSIFBRDADDR, SIOCSIFDSTADDR, SIOCSIFFLAGS, SIOCSIFHWADDR, SIOCSIFMTU, SIOCSIFNAME, SIOCSIFNETMASK, SIOCSIFTXQLEN,
} from "../../../src/uapi/ioctl.ts";
import { RTF_GATEWAY, RTF_HOST, RTF_IRTT, RTF_MTU, RTF_REJECT, RTF_UP, RTF_WINDOW } from "../../../src/uapi/route.ts";
import { addDummy, countPools, forgetDummies, leaked, removeDummies } from "../netlink/harness.ts";
import { formatAddr, parseAddr } from "../../../src/commands/inet-text.ts";

let fd: number;

function start(options: { ifaddrs?: number } = {}): void {
  boot({ preset: "host", ...options, initcalls: [ioctls] });
  countPools();
  forgetDummies();
  for (const [name, last] of [["d0", 1], ["d1", 2]] as const) devOpen(addDummy(name, last));
  fd = socket(AF_INET, SOCK_DGRAM, 0);
}

test.beforeEach(() => start());
test.afterEach((t) => {
  close(fd);
  removeDummies();
  t.is(leaked(), 0, "pools full again");
});

function ip(text: string): number {
  return parseAddr(text)!;
}

/** A request with a number. */
function number(request: number, name: string, value = 0): { err: number; value: number } {
  const ifr = new Ifreq(name);
  ifr.value = value;
  const err = ioctl(fd, request, ifr);
  return { err, value: ifr.value };
}

/** A request with an address: what it answers, or the errno. */
function address(request: number, name: string, addr = "0.0.0.0", family = AF_INET): string | number {
  const ifr = new Ifreq(name);
  ifr.addr.addr = ip(addr);
  ifr.addr.family = family;
  const err = ioctl(fd, request, ifr);
  return err < 0 ? err : formatAddr(ifr.addr.addr);
}

/** Address, broadcast, peer and mask of a label. */
function all(name: string): (string | number)[] {
  return [SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFDSTADDR, SIOCGIFNETMASK].map((request) => address(request, name));
}

test.serial("without ioctl at boot the requests are none of a terminal's; descriptors are checked", (t) => {
  boot({ preset: "host" });
  const plain = socket(AF_INET, SOCK_DGRAM, 0);
  t.is(ioctl(plain, SIOCGIFMTU, new Ifreq("lo")), -ENOTTY);
  close(plain);
  t.is(ioctl(77, SIOCGIFMTU, new Ifreq("lo")), -EBADF);
  start();
  t.is(ioctl(fd, 0x8900, new Ifreq("lo")), -ENOTTY);
  for (const record of [new Rtentry(), new Arpreq(), new Ifconf([])]) t.is(ioctl(fd, SIOCGIFMTU, record), -ENOTTY);
  const tcp = socket(AF_INET, SOCK_STREAM, 0);
  t.is(ioctl(tcp, SIOCGIFMTU, new Ifreq("lo")), 0, "any socket will do");
  close(tcp);
});

test.serial("each request about a device that is not there answers ENODEV", (t) => {
  const interfaces = Object.entries(requests).filter(([name]) => /^SIOC[GS]IF(?!CONF|NAME|VLAN)|^SIOC(ADD|DEL)MULTI|^SIOCSIFNAME/.test(name));
  t.is(interfaces.length, 23);
  for (const [name, request] of interfaces) t.deepEqual([name, address(request, "d9", "10.0.0.1")], [name, -ENODEV]);
  t.is(number(SIOCGIFNAME, "", 99).err, -ENODEV);
});

test.serial("index, name, MTU, queue, metric and flags are read and set", (t) => {
  t.is(number(SIOCGIFINDEX, "d1").value, 3);
  const named = new Ifreq();
  named.value = 3;
  t.is(ioctl(fd, SIOCGIFNAME, named), 0);
  t.is(named.name, "d1");
  t.is(number(SIOCSIFMTU, "d0", 1400).err, 0);
  t.is(number(SIOCGIFMTU, "d0:7").value, 1400, "a label's device is the device");
  t.is(number(SIOCSIFMTU, "d0", -5).err, -EINVAL);
  t.is(number(SIOCSIFTXQLEN, "d0", 7).err, 0);
  t.is(number(SIOCGIFTXQLEN, "d0").value, 7);
  t.is(number(SIOCSIFTXQLEN, "d0", -1).err, -EINVAL);
  t.deepEqual(number(SIOCGIFMETRIC, "d0", 5), { err: 0, value: 0 });
  t.is(number(requests.SIOCSIFMETRIC, "d0", 5).err, -EOPNOTSUPP);
  const flags = number(SIOCGIFFLAGS, "d0").value;
  t.is(flags, 0xc3);
  t.is(number(SIOCSIFFLAGS, "d0", flags & ~(IFF_UP | IFF_NOARP)).err, 0);
  t.is(number(SIOCGIFFLAGS, "d0").value, 0x02);
});

test.serial("SIOCSIFNAME: a device has another name, but not one that is taken or none at all", (t) => {
  const rename = (to: string): number => {
    const ifr = new Ifreq("d0");
    ifr.newname = to;
    return ioctl(fd, SIOCSIFNAME, ifr);
  };
  t.is(rename("lo"), -EEXIST);
  t.is(rename("a/b"), -EINVAL);
  t.is(rename(""), -EINVAL);
  t.is(rename("wan%d"), 0);
  t.not(devGetByName(initNet, "wan0"), null);
});

test.serial("SIOCGIFHWADDR and SIOCSIFHWADDR", (t) => {
  const ifr = new Ifreq("d0");
  t.is(ioctl(fd, SIOCGIFHWADDR, ifr), 0);
  t.deepEqual([ifr.hwType, ifr.hwHi, ifr.hwLo], [ARPHRD_ETHER, 0x0200, 1]);
  ifr.hwLo = 0x77;
  t.is(ioctl(fd, SIOCSIFHWADDR, ifr), 0);
  t.is(devGetByName(initNet, "d0")!.addrLo, 0x77);
  ifr.hwType = 6;
  t.is(ioctl(fd, SIOCSIFHWADDR, ifr), -EINVAL, "another type than the device's");
  ifr.hwType = ARPHRD_ETHER;
  ifr.hwHi = 0x0300;
  t.is(ioctl(fd, SIOCSIFHWADDR, ifr), -EADDRNOTAVAIL, "a group");
});

test.serial("an address by its class, then mask, broadcast and peer; the broadcast follows the mask until it was set", (t) => {
  t.deepEqual(all("d0"), [-EADDRNOTAVAIL, -EADDRNOTAVAIL, -EADDRNOTAVAIL, -EADDRNOTAVAIL]);
  for (const request of [SIOCSIFBRDADDR, SIOCSIFDSTADDR, SIOCSIFNETMASK]) t.is(address(request, "d0", "10.0.0.1"), -EADDRNOTAVAIL);
  for (const request of [SIOCSIFADDR, SIOCSIFBRDADDR, SIOCSIFDSTADDR, SIOCSIFNETMASK]) t.is(address(request, "d0", "10.0.0.1", 0), -EINVAL);
  t.is(address(SIOCSIFADDR, "d0", "224.0.0.1"), -EINVAL);
  for (const [addr, broadcast, mask] of [
    ["10.1.2.3", "10.255.255.255", "255.0.0.0"], ["172.16.2.3", "172.16.255.255", "255.255.0.0"], ["250.1.2.3", "0.0.0.0", "255.255.255.255"],
    ["0.1.2.3", "0.255.255.255", "255.0.0.0"],
    ["192.168.1.5", "192.168.1.255", "255.255.255.0"],
  ] as const) {
    t.is(address(SIOCSIFADDR, "d0", addr), addr);
    t.deepEqual(all("d0"), [addr, broadcast, addr, mask]);
  }
  t.is(address(SIOCSIFADDR, "d0", "192.168.1.5"), "192.168.1.5", "once more");
  t.is(address(SIOCSIFNETMASK, "d0", "255.0.255.0"), -EINVAL);
  t.is(address(SIOCSIFNETMASK, "d0", "255.255.255.128"), "255.255.255.128");
  t.is(address(SIOCGIFBRDADDR, "d0"), "192.168.1.127");
  t.is(address(SIOCSIFBRDADDR, "d0", "192.168.1.9"), "192.168.1.9");
  t.is(address(SIOCSIFNETMASK, "d0", "255.255.255.0"), "255.255.255.0");
  t.is(address(SIOCSIFDSTADDR, "d0", "230.168.1.77"), -EINVAL);
  t.is(address(SIOCSIFDSTADDR, "d0", "192.168.1.77"), "192.168.1.77");
  t.deepEqual(all("d0"), ["192.168.1.5", "192.168.1.9", "192.168.1.77", "255.255.255.0"]);
  t.is(address(SIOCSIFADDR, "d0", "0.0.0.0"), "0.0.0.0", "takes it away");
  t.is(address(SIOCGIFADDR, "d0"), -EADDRNOTAVAIL);
});

test.serial("a label is an address of its own, and goes when it is taken down; SIOCGIFCONF lists them as far as there is room", (t) => {
  address(SIOCSIFADDR, "d0", "10.0.0.1");
  t.is(address(SIOCGIFADDR, "d0:1"), -EADDRNOTAVAIL);
  t.is(address(SIOCSIFADDR, "d0:1", "172.16.0.1"), "172.16.0.1");
  const conf = new Ifconf([new Ifreq(), new Ifreq()]);
  t.is(ioctl(fd, SIOCGIFCONF, conf), 0);
  t.is(conf.count, 2);
  t.deepEqual(conf.reqs.map((ifr) => `${ifr.name} ${formatAddr(ifr.addr.addr)}`), ["lo 127.0.0.1", "d0 10.0.0.1"]);
  const more = new Ifconf(Array.from({ length: 9 }, () => new Ifreq()));
  ioctl(fd, SIOCGIFCONF, more);
  t.is(more.reqs[2]!.name, "d0:1");
  t.is(more.count, 3);
  t.is(number(SIOCSIFFLAGS, "d0:1", IFF_UP).err, 0, "up it is already");
  t.is(number(SIOCSIFFLAGS, "d0:1", 0).err, 0);
  t.is(number(SIOCSIFFLAGS, "d0:1", 0).err, -EADDRNOTAVAIL);
  t.is(address(SIOCGIFADDR, "d0"), "10.0.0.1", "the others stay");
});

test.serial("no address left in the pool: ENOBUFS", (t) => {
  close(fd);
  removeDummies();
  start({ ifaddrs: 2 });
  t.is(address(SIOCSIFADDR, "d0", "10.0.0.1"), "10.0.0.1");
  t.is(address(SIOCSIFADDR, "d1", "10.0.0.2"), -ENOBUFS);
  t.is(address(SIOCGIFADDR, "d0"), "10.0.0.1");
});

/** A route request. */
function route(request: number, dst: string, mask: string, more: { gw?: string; flags?: number; dev?: string; metric?: number } = {}): number {
  const rt = new Rtentry();
  rt.dst.addr = ip(dst);
  rt.genmask.addr = ip(mask);
  rt.gateway.addr = ip(more.gw ?? "0.0.0.0");
  rt.flags = RTF_UP | (more.flags ?? 0);
  rt.metric = more.metric ?? 0;
  rt.dev = more.dev ?? "";
  return ioctl(fd, request, rt);
}

/** The main table, as /proc/net/route has it: device, destination, gateway, flags, metric, mask and the three metrics of TCP. */
function routes(): string[] {
  return procRead(initNet, "net/route")!.split("\n").slice(1, -1).map((line) => line.trim().split("\t").filter((_, i) => i !== 4 && i !== 5).join(" "));
}

test.serial("SIOCADDRT refuses what Linux refuses", (t) => {
  address(SIOCSIFADDR, "d0", "192.168.1.5");
  const odd = (member: "dst" | "genmask", family: number): number => {
    const rt = new Rtentry();
    rt.dev = "d0";
    const at: SockaddrIn = rt[member];
    at.family = family;
    rt.genmask.addr = ip("255.0.0.0");
    rt.dst.addr = ip("10.0.0.0");
    return ioctl(fd, SIOCADDRT, rt);
  };
  t.is(odd("dst", 0), -EAFNOSUPPORT);
  t.is(odd("genmask", 7), -EAFNOSUPPORT);
  t.is(odd("genmask", 0), -EAFNOSUPPORT, "a mask needs a family");
  t.is(route(SIOCADDRT, "10.9.0.1", "255.255.0.0", { dev: "d0" }), -EINVAL, "host bits");
  t.is(route(SIOCADDRT, "10.0.0.0", "255.0.255.0", { dev: "d0" }), -EINVAL, "no mask");
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0", { dev: "d9" }), -ENODEV);
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0"), -ENODEV, "neither device nor gateway");
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0", { dev: "d0", flags: RTF_GATEWAY }), -EINVAL, "a gateway that is none");
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0", { gw: "99.1.1.1", flags: RTF_GATEWAY }), -ENETUNREACH);
  t.is(route(SIOCGIFMTU, "10.9.0.0", "255.255.0.0"), -ENOTTY);
  t.deepEqual(routes(), ["d0 0001A8C0 00000000 0001 0 00FFFFFF 0 0 0"]);
});

test.serial("routes come and go by SIOCADDRT and SIOCDELRT", (t) => {
  address(SIOCSIFADDR, "d0", "192.168.1.5");
  const via = { gw: "192.168.1.7", flags: RTF_GATEWAY };
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0", { ...via, metric: 6 }), 0);
  t.is(route(SIOCADDRT, "10.9.0.0", "255.255.0.0", { ...via, metric: 6 }), -EEXIST);
  t.is(route(SIOCADDRT, "10.9.0.1", "255.0.0.0", { flags: RTF_HOST, dev: "d1" }), 0, "a host has no other mask");
  t.is(route(SIOCADDRT, "11.0.0.0", "255.0.0.0", { flags: RTF_REJECT }), 0);
  const tuned = new Rtentry();
  tuned.dev = "d1";
  tuned.flags = RTF_UP | RTF_MTU | RTF_WINDOW | RTF_IRTT;
  [tuned.mtu, tuned.window, tuned.irtt] = [1000, 2000, 300];
  t.is(ioctl(fd, SIOCADDRT, tuned), 0);
  t.deepEqual(routes(), [
    "d1 00000000 00000000 0001 0 00000000 1000 2000 300", "d0 0000090A 0701A8C0 0003 5 0000FFFF 0 0 0",
    "d1 0100090A 00000000 0005 0 FFFFFFFF 0 0 0", "* 0000000B 00000000 0201 0 000000FF 0 0 0", "d0 0001A8C0 00000000 0001 0 00FFFFFF 0 0 0",
  ]);
  t.is(route(SIOCDELRT, "10.9.0.0", "255.255.0.0", { gw: "192.168.1.8", flags: RTF_GATEWAY }), -ESRCH);
  t.is(route(SIOCDELRT, "10.9.0.0", "255.255.0.0", { dev: "d9" }), -ENODEV);
  t.is(route(SIOCDELRT, "10.9.0.0", "255.255.0.0"), 0);
  t.is(route(SIOCDELRT, "10.9.0.0", "255.255.0.0"), -ESRCH);
  t.is(route(SIOCDELRT, "11.0.0.0", "255.0.0.0"), -ESRCH, "a reject route is of another type");
  t.is(route(SIOCDELRT, "11.0.0.0", "255.0.0.0", { flags: RTF_REJECT }), 0);
});

/** A neighbour request: its errno, or what it answers. */
function arp(request: number, addr: string, more: Partial<Pick<Arpreq, "flags" | "dev" | "haType">> = {}, family = AF_INET): number {
  const r = Object.assign(new Arpreq(), { flags: ATF_PERM | ATF_COM, haType: ARPHRD_ETHER, haHi: 0x0200, haLo: 0x50 }, more);
  r.pa.addr = ip(addr);
  r.pa.family = family;
  return ioctl(fd, request, r);
}

test.serial("SIOCSARP, SIOCGARP and SIOCDARP", (t) => {
  address(SIOCSIFADDR, "d0", "192.168.1.5");
  devChangeFlags(devGetByName(initNet, "d0")!, IFF_UP);
  const host = "192.168.1.50";
  t.is(arp(SIOCSARP, host, {}, 7), -EPFNOSUPPORT);
  t.is(arp(SIOCSARP, host, { flags: ATF_PERM | ATF_NETMASK }), -EINVAL);
  t.is(arp(SIOCSARP, host, { haType: 6 }), -EINVAL);
  t.is(arp(SIOCSARP, host, { dev: "d9" }), -ENODEV);
  t.is(arp(SIOCSARP, "99.1.1.1"), -ENETUNREACH);
  t.is(arp(SIOCSARP, host, { flags: ATF_PUBL }), -EOPNOTSUPP);
  t.is(arp(SIOCGIFMTU, host), -ENOTTY);
  t.is(arp(SIOCSARP, host), 0);
  const r = new Arpreq();
  r.pa.addr = ip(host);
  t.is(ioctl(fd, SIOCGARP, r), -ENODEV, "to be asked of a device");
  r.dev = "d0";
  t.is(ioctl(fd, SIOCGARP, r), 0);
  t.deepEqual([r.haType, r.haHi, r.haLo, r.flags], [ARPHRD_ETHER, 0x0200, 0x50, ATF_PERM | ATF_COM]);
  t.is(arp(SIOCGARP, "192.168.1.51", { dev: "d0" }), -ENXIO);
  t.regex(procRead(initNet, "net/arp")!, /\n192\.168\.1\.50 {5}0x1 {9}0x6 {9}02:00:00:00:00:50 {5}\* {8}d0\n$/);
  t.is(arp(SIOCDARP, host, { flags: ATF_PUBL }), -ENOENT);
  t.is(arp(SIOCDARP, host), 0);
  t.is(arp(SIOCDARP, host), -ENXIO);
  t.is(arp(SIOCSARP, host, { flags: ATF_COM }), 0);
  t.is(ioctl(fd, SIOCGARP, r), 0);
  t.is(r.flags, ATF_COM, "not permanent");
});
