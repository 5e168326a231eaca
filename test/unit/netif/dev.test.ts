import test from "ava";
import { setSoftirqWake } from "../../../src/lib/softirq.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister, notifierFromErrno } from "../../../src/lib/notifier.ts";
import {
  devChangeFlags, devClose, devGetByIndex, devGetByName, devGetFlags, devOpen, devSetAllmulti, devSetMacAddress,
  devSetMtu, devSetPromiscuity, netdevChain, NETDEV_CHANGE, NETDEV_CHANGEADDR, NETDEV_CHANGEMTU, NETDEV_DOWN,
  NETDEV_GOING_DOWN, NETDEV_PRE_UP, NETDEV_REGISTER, NETDEV_UNREGISTER, NETDEV_UP, netifCarrierOff, netifCarrierOn,
  netifStopQueue, netifWakeQueue, registerNetdev, unregisterNetdev,
} from "../../../src/netif/dev.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import { createNet } from "../../../src/stack/core/net.ts";
import type { NetDevice } from "../../../src/stack/core/net-device.ts";
import { SKB_DROP_REASON_DEV_READY } from "../../../src/uapi/drop-reason.ts";
import {
  EADDRNOTAVAIL, EBUSY, EEXIST, EINVAL, EIO, EOPNOTSUPP, EPERM,
} from "../../../src/uapi/errno.ts";
import {
  IFF_ALLMULTI, IFF_BROADCAST, IFF_LOWER_UP, IFF_MULTICAST, IFF_NOARP, IFF_PROMISC, IFF_RUNNING, IFF_UP,
} from "../../../src/uapi/if.ts";
import { bootNetif, drops, fakeDevice, initNet, packet, poolsInUse, register, runTo, settle } from "./harness.ts";

let events: [number, string][] = [];

test.beforeEach(() => {
  bootNetif();
  events = [];
  notifierChainRegister(netdevChain, new NotifierBlock<NetDevice>((event, dev) => {
    events.push([event, dev.name]);
    return NOTIFY_DONE;
  }));
});

test.afterEach((t) => t.is(poolsInUse(), 0));

test.serial("registration numbers devices and their names, per namespace", (t) => {
  const other = createNet();
  const names = [fakeDevice(), fakeDevice(), fakeDevice("wlan%d"), fakeDevice("uplink")].map((dev) => register(dev));
  t.deepEqual(names.map((dev) => dev.name), ["eth0", "eth1", "wlan0", "uplink"]);
  t.deepEqual(names.map((dev) => dev.ifindex), [1, 2, 3, 4]);
  const elsewhere = register(fakeDevice(), other);
  t.is(elsewhere.name, "eth0");
  t.is(elsewhere.ifindex, 1);
  t.is(devGetByName(initNet, "eth1"), names[1]!);
  t.is(devGetByName(initNet, "eth9"), null);
  t.is(devGetByIndex(initNet, 4), names[3]!);
  t.is(devGetByIndex(other, 2), null);
  unregisterNetdev(names[0]!);
  t.is(devGetByName(initNet, "eth0"), null);
  t.is(devGetByIndex(initNet, 2), names[1]!);
  t.is(register(fakeDevice()).name, "eth0");
  t.is(devGetByName(initNet, "eth0")!.ifindex, 5);
});

test.serial("registration refuses bad and taken names, and a device twice", (t) => {
  for (const name of ["", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-", "tab\tname"]) {
    t.is(registerNetdev(initNet, fakeDevice(name)), -EINVAL, name);
  }
  const dev = register(fakeDevice("fifteen-letters"));
  t.is(registerNetdev(initNet, fakeDevice("fifteen-letters")), -EEXIST);
  t.is(registerNetdev(initNet, dev), -EBUSY);
});

test.serial("a veto at registration takes the device out again", (t) => {
  notifierChainRegister(netdevChain, new NotifierBlock<NetDevice>(
    (event) => (event === NETDEV_REGISTER ? notifierFromErrno(-EPERM) : NOTIFY_DONE), -1,
  ));
  const dev = fakeDevice();
  t.is(registerNetdev(initNet, dev), -EPERM);
  t.is(devGetByName(initNet, "eth0"), null);
  t.is(dev.net, null);
});

test.serial("up and down call the driver once and tell everybody in order", (t) => {
  const dev = register(fakeDevice());
  t.is(devOpen(dev), 0);
  t.is(devOpen(dev), 0);
  t.true((dev.flags & IFF_UP) !== 0);
  t.is(devClose(dev), 0);
  t.is(devClose(dev), 0);
  t.is(dev.flags & IFF_UP, 0);
  devOpen(dev);
  unregisterNetdev(dev);
  t.deepEqual(dev.calls, ["open", "stop", "open", "stop"]);
  t.deepEqual(events.map(([event]) => event), [
    NETDEV_REGISTER, NETDEV_PRE_UP, NETDEV_UP, NETDEV_GOING_DOWN, NETDEV_DOWN,
    NETDEV_PRE_UP, NETDEV_UP, NETDEV_GOING_DOWN, NETDEV_DOWN, NETDEV_UNREGISTER,
  ]);
});

test.serial("a driver that fails to open, or a veto, leaves the device down", (t) => {
  const dev = register(fakeDevice("bad", { ndoOpen: () => -EIO }));
  t.is(devOpen(dev), -EIO);
  t.is(dev.flags & IFF_UP, 0);
  t.false(dev.running);
  notifierChainRegister(netdevChain, new NotifierBlock<NetDevice>(
    (event) => (event === NETDEV_PRE_UP ? notifierFromErrno(-EPERM) : NOTIFY_DONE), -1,
  ));
  const other = register(fakeDevice());
  t.is(devOpen(other), -EPERM);
  t.deepEqual(other.calls, []);
  t.false(events.some(([event]) => event === NETDEV_UP));
});

test.serial("flags: up, settable ones, promiscuity counted with who else wants it", (t) => {
  let modes = 0;
  const dev = register(fakeDevice("eth%d", { ndoSetRxMode: () => void modes++ }));
  t.is(devChangeFlags(dev, dev.flags | IFF_UP), 0);
  t.is(devGetFlags(dev), IFF_UP | IFF_BROADCAST | IFF_MULTICAST | IFF_RUNNING | IFF_LOWER_UP);
  t.is(modes, 1);
  devSetPromiscuity(dev, 1);
  t.true((dev.flags & IFF_PROMISC) !== 0);
  t.is(devGetFlags(dev) & IFF_PROMISC, 0);
  devChangeFlags(dev, IFF_UP | IFF_MULTICAST | IFF_PROMISC);
  t.is(dev.promiscuity, 2);
  devSetPromiscuity(dev, -1);
  t.true((devGetFlags(dev) & IFF_PROMISC) !== 0);
  devChangeFlags(dev, IFF_UP | IFF_MULTICAST);
  t.is(dev.flags & IFF_PROMISC, 0);
  t.is(modes, 3);
  devSetAllmulti(dev, 1);
  t.true((dev.flags & IFF_ALLMULTI) !== 0);
  devSetAllmulti(dev, -1);
  t.is(dev.flags & IFF_ALLMULTI, 0);
  t.true((dev.flags & IFF_BROADCAST) !== 0, "volatile flags stay");
  events = [];
  devChangeFlags(dev, IFF_UP | IFF_MULTICAST | IFF_NOARP);
  t.true((dev.flags & IFF_NOARP) !== 0);
  t.deepEqual(events, [[NETDEV_CHANGE, "eth0"]]);
  devChangeFlags(dev, 0);
  t.is(dev.flags & (IFF_UP | IFF_NOARP), 0);
});

test.serial("MTU: within bounds, the driver may refuse, listeners hear", (t) => {
  const dev = register(fakeDevice("eth%d", { ndoChangeMtu: (_dev, mtu) => (mtu === 1000 ? -EINVAL : 0) }));
  t.is(devSetMtu(dev, 1400), 0);
  t.is(devSetMtu(dev, 1400), 0);
  t.is(devSetMtu(dev, 67), -EINVAL);
  t.is(devSetMtu(dev, 1501), -EINVAL);
  t.is(devSetMtu(dev, 1000), -EINVAL);
  t.is(dev.mtu, 1400);
  t.deepEqual(events.filter(([event]) => event === NETDEV_CHANGEMTU).length, 1);
});

test.serial("hardware address: unicast only, needs the driver, undone when it refuses", (t) => {
  let refuse = false;
  const dev = register(fakeDevice("eth%d", { ndoSetMacAddress: () => (refuse ? -EBUSY : 0) }));
  t.is(devSetMacAddress(dev, 0x0211, -2), 0);
  t.deepEqual([dev.addrHi, dev.addrLo], [0x0211, -2]);
  t.is(devSetMacAddress(dev, 0x0100, 1), -EADDRNOTAVAIL);
  t.is(devSetMacAddress(dev, 0, 0), -EADDRNOTAVAIL);
  refuse = true;
  t.is(devSetMacAddress(dev, 0x0222, 1), -EBUSY);
  t.deepEqual([dev.addrHi, dev.addrLo], [0x0211, -2]);
  t.is(devSetMacAddress(register(fakeDevice()), 0x0222, 1), -EOPNOTSUPP);
  t.is(events.filter(([event]) => event === NETDEV_CHANGEADDR).length, 1);
});

test.serial("carrier: listeners hear outside the interrupt, flapping is told once, packets drop without it", (t) => {
  const dev = register(fakeDevice());
  devOpen(dev);
  events = [];
  let woken = 0;
  setSoftirqWake(() => void woken++);
  netifCarrierOff(dev);
  t.deepEqual(events, []);
  t.is(woken, 1, "a machine asleep has its next turn at once");
  t.is(devGetFlags(dev) & (IFF_RUNNING | IFF_LOWER_UP), 0);
  settle();
  t.deepEqual(events, [[NETDEV_CHANGE, "eth0"]]);
  t.is(devQueueXmit(packet(dev, [1])), 0);
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY]);
  t.is(dev.stats.txDropped, 1);
  netifCarrierOn(dev);
  netifCarrierOff(dev);
  netifCarrierOn(dev);
  settle();
  t.is(events.length, 2);
  devQueueXmit(packet(dev, [2]));
  t.is(dev.sent.length, 1);
});

test.serial("a device without carrier comes up when the link does; packets queued at loss are dropped", (t) => {
  const dev = fakeDevice();
  netifCarrierOff(dev);
  register(dev);
  devOpen(dev);
  devQueueXmit(packet(dev, [1]));
  t.is(dev.sent.length, 0);
  netifCarrierOn(dev);
  settle();
  netifStopQueue(dev);
  devQueueXmit(packet(dev, [2]));
  t.is(dev.qdisc!.qlen, 1);
  netifCarrierOff(dev);
  settle();
  netifWakeQueue(dev);
  settle();
  t.is(dev.sent.length, 0);
  t.deepEqual(drops, [SKB_DROP_REASON_DEV_READY, SKB_DROP_REASON_DEV_READY]);
});

test.serial("watchdog: to the millisecond, only while the queue is stopped", (t) => {
  const hung: number[] = [];
  let now = 0;
  const dev = register(fakeDevice("eth%d", { ndoTxTimeout: () => void hung.push(now) }));
  dev.watchdogMs = 500;
  devOpen(dev);
  const at = (ms: number): void => {
    while (now < ms) runTo(++now);
  };
  netifStopQueue(dev);
  at(100);
  netifWakeQueue(dev);
  at(300);
  netifStopQueue(dev);
  at(799);
  t.deepEqual(hung, []);
  at(1400);
  t.deepEqual(hung, [800, 1300]);
  netifWakeQueue(dev);
  at(5000);
  t.is(hung.length, 2);
  netifStopQueue(dev);
  devClose(dev);
  at(9000);
  t.is(hung.length, 2);
});
