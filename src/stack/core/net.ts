/**
 * Net: a network namespace, what Linux keeps in struct net. A board has one (`initNet`), a test one per host.
 * Linux: include/net/net_namespace.h. Owns the list of namespaces; devices, addresses and sysctls hang off each.
 */
import { account } from "../../lib/account.ts";
import { uint32Table } from "../../lib/table.ts";
import { errnoName } from "../../uapi/errno.ts";
import { SNMP_MIB_MAX } from "../../uapi/snmp.ts";
import type { NetDevice } from "./net-device.ts";
import { createNetnsIpv4, type NetnsIpv4 } from "./netns-ipv4.ts";

/** What a subsystem does for each namespace. Linux: struct pernet_operations. */
export interface PernetOps {
  init(net: Net): void;
}

/** What the layers above lend every namespace: set once at boot. */
export interface NetFunctions {
  /** Registers a device: 0 or a negative errno. */
  register(net: Net, dev: NetDevice): number;
  /** Does what is due; returns the milliseconds until it is needed again, 0 for at once, -1 for never. */
  poll(): number;
}

/** Opaque per-namespace state that ipv4 keeps (routing tables); core only carries it. */
export type NetPrivate = object;

export class Net {
  /** SNMP counters, indexed by the constants of uapi/snmp.ts. */
  mib: Uint32Array;
  ipv4: NetnsIpv4 = createNetnsIpv4();
  /** ipv4's routing tables (fib-frontend.ts). */
  fib: NetPrivate | null = null;
  /** Devices in order of ifindex. */
  devices: NetDevice | null = null;
  loopbackDev: NetDevice | null = null;
  /** Counts route changes: a cached route of an older generation is looked up again. */
  rtGenid = 0;
  nextIfindex = 1;
  /** Small number that keeps hash keys of namespaces apart. */
  readonly id: number;

  constructor(id: number) {
    this.id = id;
    this.mib = uint32Table("snmp_mib", SNMP_MIB_MAX);
  }

  /**
   * Makes a device part of this namespace; it is down and without an address.
   * @throws Error naming the device and the errno when it cannot be registered (name taken, too many)
   */
  register(dev: NetDevice): NetDevice {
    const err = functions.register(this, dev);
    if (err < 0) throw new Error(`register: device ${dev.name}: ${errnoName(-err)}`);
    return dev;
  }

  /**
   * One turn of the stack (of all namespaces: they share the machine): timers, softirqs, deferred work.
   * @returns milliseconds until it is needed again, 0 for at once, -1 for only when a device wakes it
   */
  poll(): number {
    return functions.poll();
  }
}

let nextNetId: number;
let pernet: PernetOps[];
let functions: NetFunctions;

/** The namespace that exists from boot on. */
export let initNet: Net;

/** Boot: the list of per-namespace hooks is empty, and initNet exists without any device. */
export function netInit(lent: NetFunctions): void {
  functions = lent;
  nextNetId = 0;
  pernet = [];
  initNet = createNet();
}

/** A subsystem's hook for all namespaces, those that exist included. Linux: register_pernet_subsys(). */
export function registerPernetSubsys(ops: PernetOps): void {
  pernet.push(ops);
  ops.init(initNet);
}

/** A new namespace with a loopback device that is down, as after `ip netns add`. Allocates. */
export function createNet(): Net {
  const net = account("net", new Net(nextNetId++));
  for (const ops of pernet) ops.init(net);
  return net;
}
