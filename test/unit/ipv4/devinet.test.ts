import test from "ava";
import { ARP_NOTIFY, arpConfSet } from "../../../src/stack/ipv4/arp-conf.ts";
import { NotifierBlock, notifierChainRegister } from "../../../src/lib/notifier.ts";
import { ethHeaderOps } from "../../../src/netif/ethernet.ts";
import { ARPHRD_ETHER } from "../../../src/uapi/if-arp.ts";
import { IFF_BROADCAST } from "../../../src/uapi/if.ts";
import { devClose, devOpen, devSetMtu, NETDEV_UP } from "../../../src/netif/dev.ts";
import {
  inDevGet, inetAddAddress, inetaddrChain, inetDelAddress, inetLookupIfaddr, inetSelectAddr, type InIfaddr,
} from "../../../src/stack/ipv4/devinet.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENOBUFS, ENODEV } from "../../../src/uapi/errno.ts";
import {
  IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL, RT_TABLE_MAIN,
} from "../../../src/uapi/rtnetlink.ts";
import { addDevice, addLoopback, bootIpv4, createNet, initNet, ip, routesOf, shutdownIpv4 } from "./harness.ts";

const TYPES = ["?", "unicast", "local", "broadcast"];

function dotted(addr: number): string {
  return [24, 16, 8, 0].map((shift) => (addr >>> shift) & 255).join(".");
}

function routes(table: number): string[] {
  return routesOf(table).map((r) => `${TYPES[r.type]!} ${dotted(r.dst)}/${r.dstLen} src ${dotted(r.prefsrc)}`).sort();
}

test.beforeEach(() => bootIpv4());
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("loopback gets 127.0.0.1/8 and its routes when it comes up", (t) => {
  addLoopback();
  t.deepEqual(routes(RT_TABLE_LOCAL), [
    "broadcast 127.255.255.255/32 src 127.0.0.1",
    "local 127.0.0.0/8 src 127.0.0.1",
    "local 127.0.0.1/32 src 127.0.0.1",
  ]);
  t.is(inetLookupIfaddr(initNet, ip("127.0.0.1"))!.scope, RT_SCOPE_HOST);
});

test.serial("an address brings its three routes, none to the lowest of its subnet, and takes them away", (t) => {
  const eth = addDevice("eth0");
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
  t.deepEqual(routes(RT_TABLE_LOCAL), [
    "broadcast 10.0.0.255/32 src 10.0.0.1",
    "local 10.0.0.1/32 src 10.0.0.1",
  ]);
  t.deepEqual(routes(RT_TABLE_MAIN), ["unicast 10.0.0.0/24 src 10.0.0.1"]);
  t.is(inetDelAddress(initNet, eth, ip("10.0.0.1"), 16), -EADDRNOTAVAIL);
  t.is(inetDelAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
  t.is(routes(RT_TABLE_LOCAL).length + routes(RT_TABLE_MAIN).length, 0);
  t.is(inetLookupIfaddr(initNet, ip("10.0.0.1")), null);
});

test.serial("prefixes of 31 and 32 bits have no broadcast, NOPREFIXROUTE no prefix route", (t) => {
  const eth = addDevice("eth0");
  inetAddAddress(initNet, eth, ip("10.0.0.2"), 31);
  inetAddAddress(initNet, eth, ip("10.0.1.1"), 32);
  inetAddAddress(initNet, eth, ip("10.0.2.1"), 24, { flags: IFA_F_NOPREFIXROUTE, broadcast: ip("10.9.9.9") });
  t.deepEqual(routes(RT_TABLE_LOCAL), [
    "broadcast 10.0.2.255/32 src 10.0.2.1",
    "broadcast 10.9.9.9/32 src 10.0.2.1",
    "local 10.0.0.2/32 src 10.0.0.2",
    "local 10.0.1.1/32 src 10.0.1.1",
    "local 10.0.2.1/32 src 10.0.2.1",
  ]);
  t.deepEqual(routes(RT_TABLE_MAIN), ["unicast 10.0.0.2/31 src 10.0.0.2"]);
});

test.serial("on a device that is down only the local route; the others come with it", (t) => {
  const eth = addDevice("eth0", false);
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  t.deepEqual(routes(RT_TABLE_LOCAL), ["local 10.0.0.1/32 src 10.0.0.1"]);
  t.is(routes(RT_TABLE_MAIN).length, 0);
  devOpen(eth);
  t.is(routes(RT_TABLE_LOCAL).length, 2);
  t.is(routes(RT_TABLE_MAIN).length, 1);
  devClose(eth);
  t.is(routes(RT_TABLE_MAIN).length, 0);
});

test.serial("primaries and secondaries", (t) => {
  const eth = addDevice("eth0");
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.2"), 24), 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), -EEXIST);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.3"), 24, { scope: RT_SCOPE_LINK }), -EINVAL);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 16), 0, "another subnet");
  const secondary = inetLookupIfaddr(initNet, ip("10.0.0.2"))!;
  t.is(secondary.flags & IFA_F_SECONDARY, IFA_F_SECONDARY);
  t.true(routes(RT_TABLE_LOCAL).includes("local 10.0.0.2/32 src 10.0.0.1"));
  // The address is still there by its other prefix.
  t.is(inetDelAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
  t.is(inetLookupIfaddr(initNet, ip("10.0.0.2")), null, "goes with its primary");
  t.deepEqual(routes(RT_TABLE_LOCAL), [
    "broadcast 10.0.255.255/32 src 10.0.0.1",
    "local 10.0.0.1/32 src 10.0.0.1",
  ]);
  t.deepEqual(routes(RT_TABLE_MAIN), ["unicast 10.0.0.0/16 src 10.0.0.1"]);
});

test.serial("primaries stand before secondaries", (t) => {
  const eth = addDevice("eth0");
  for (const addr of ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2"]) inetAddAddress(initNet, eth, ip(addr), 24);
  const order: string[] = [];
  for (let ifa = inDevGet(eth)!.ifaList; ifa !== null; ifa = ifa.next) order.push(dotted(ifa.local));
  t.deepEqual(order, ["10.0.0.1", "10.0.1.1", "10.0.0.2", "10.0.1.2"]);
});

test.serial("an address is announced by ARP on a link that is up, and when the link comes up", (t) => {
  const eth = addDevice("eth0", false);
  eth.type = ARPHRD_ETHER;
  eth.headerOps = ethHeaderOps;
  eth.hardHeaderLen = 14;
  eth.flags = IFF_BROADCAST;
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  t.is(eth.sent.length, 0);
  devOpen(eth);
  inetAddAddress(initNet, eth, ip("10.0.0.2"), 24);
  const announced = eth.sent.map((frame) => new DataView(frame.buffer)).map((view) => ({
    to: view.getInt32(0), type: view.getUint16(12), sender: dotted(view.getInt32(28)), target: dotted(view.getInt32(38)),
  }));
  t.deepEqual(announced, ["10.0.0.1", "10.0.0.2"].map((a) => ({ to: -1, type: 0x0806, sender: a, target: a })));
  arpConfSet(eth, ARP_NOTIFY, 0);
  inetAddAddress(initNet, eth, ip("10.0.0.3"), 24);
  t.is(eth.sent.length, 2);
});

test.serial("bad addresses and an empty pool", (t) => {
  shutdownIpv4();
  bootIpv4({ ifaddrs: 2 });
  const eth = addDevice("eth0");
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 33), -EINVAL);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), -1), -EINVAL);
  t.is(inetAddAddress(createNet(), eth, ip("10.0.0.1"), 24), -ENODEV);
  t.is(inetDelAddress(createNet(), eth, ip("10.0.0.1"), 24), -ENODEV);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.1.1"), 24), 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.2.1"), 24), -ENOBUFS);
});

test.serial("an MTU too small for IPv4 takes it off the device, until it grows", (t) => {
  const eth = addDevice("eth0");
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  t.is(devSetMtu(eth, 67), 0);
  t.is(inDevGet(eth), null);
  t.is(routes(RT_TABLE_LOCAL).length + routes(RT_TABLE_MAIN).length, 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), -ENODEV);
  t.is(devSetMtu(eth, 68), 0);
  t.is(inetAddAddress(initNet, eth, ip("10.0.0.1"), 24), 0);
});

test.serial("source selection: subnet, scope, other devices", (t) => {
  const lo = addLoopback();
  const eth = addDevice("eth0");
  const bare = addDevice("eth1");
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  inetAddAddress(initNet, eth, ip("10.0.1.1"), 24);
  inetAddAddress(initNet, eth, ip("169.254.1.1"), 16, { scope: RT_SCOPE_LINK });
  const select = (dst: number, scope: number, dev: NetDevice = eth): string => dotted(inetSelectAddr(initNet, dev, dst, scope));
  t.is(select(0, RT_SCOPE_UNIVERSE), "10.0.0.1");
  t.is(select(ip("10.0.1.9"), RT_SCOPE_UNIVERSE), "10.0.1.1");
  t.is(select(ip("169.254.7.7"), RT_SCOPE_UNIVERSE), "10.0.0.1");
  t.is(select(ip("169.254.7.7"), RT_SCOPE_LINK), "169.254.1.1");
  t.is(select(0, RT_SCOPE_UNIVERSE, bare), "10.0.0.1");
  t.is(select(0, RT_SCOPE_HOST, lo), "127.0.0.1");
});

test.serial("listeners hear of addresses", (t) => {
  const eth = addDevice("eth0");
  const heard: string[] = [];
  notifierChainRegister(inetaddrChain, new NotifierBlock<InIfaddr>((event, ifa) => {
    heard.push(`${event === NETDEV_UP ? "+" : "-"}${dotted(ifa.local)}`);
    return 0;
  }));
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  inetAddAddress(initNet, eth, ip("10.0.0.2"), 24);
  inetDelAddress(initNet, eth, ip("10.0.0.1"), 24);
  t.deepEqual(heard, ["+10.0.0.1", "+10.0.0.2", "-10.0.0.2", "-10.0.0.1"]);
});
