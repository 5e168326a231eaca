/**
 * Group addresses that a person has a device receive, nobody having joined (`ip maddress add`, SIOCADDMULTI). Linux: dev_mc_add_global()
 * and dev_mc_del_global() of net/core/dev_addr_lists.c. Owns their pool, which comes with the part `igmp`.
 */
import { account } from "../lib/account.ts";
import { NOTIFY_DONE, NotifierBlock, notifierChainRegister } from "../lib/notifier.ts";
import { type Pool, type Pooled, poolAlloc, poolCreate, poolFree } from "../lib/pool.ts";
import { DevMcAddr, type NetDevice } from "../stack/core/net-device.ts";
import { ENOBUFS, ENOENT } from "../uapi/errno.ts";
import { devMcAdd, devMcDel, devMcFilter, registerDevMcStatic } from "./dev-mc.ts";
import { netdevChain, NETDEV_UNREGISTER } from "./dev.ts";

/** Such an address, on the list of the device that filters for its own. */
export class DevMcStatic extends DevMcAddr implements Pooled {
  dev: NetDevice | null = null;
  poolNext: Pooled | null = null;
}

/** Not made at boot: there it would be in RAM. */
const OPS = Object.freeze({ add, del });

let pool: Pool<DevMcStatic>;

/** Boot time, after netdevInit(). @param count addresses of all devices */
export function devMcStaticInit(count: number): void {
  pool = poolCreate("dev_mc", count, () => new DevMcStatic());
  notifierChainRegister(netdevChain, account("dev_mc", new NotifierBlock<NetDevice>(netdevEvent)));
  registerDevMcStatic(OPS);
}

function find(dev: NetDevice, hi: number, lo: number): DevMcStatic | null {
  for (let node = devMcFilter(dev).mc; node !== null; node = node.nextMc) {
    if (node instanceof DevMcStatic && node.dev === dev && node.hi === hi && node.lo === lo) return node;
  }
  return null;
}

function add(dev: NetDevice, hi: number, lo: number): number {
  if (find(dev, hi, lo) !== null) return 0;
  const node = poolAlloc(pool);
  if (node === null) return -ENOBUFS;
  node.dev = dev;
  node.hi = hi;
  node.lo = lo;
  devMcAdd(dev, node);
  return 0;
}

function remove(dev: NetDevice, node: DevMcStatic): void {
  devMcDel(dev, node);
  node.dev = null;
  poolFree(pool, node);
}

function del(dev: NetDevice, hi: number, lo: number): number {
  const node = find(dev, hi, lo);
  if (node === null) return -ENOENT;
  remove(dev, node);
  return 0;
}

function netdevEvent(event: number, dev: NetDevice): number {
  if (event !== NETDEV_UNREGISTER) return NOTIFY_DONE;
  let node = devMcFilter(dev).mc;
  while (node !== null) {
    const next: DevMcAddr | null = node.nextMc;
    if (node instanceof DevMcStatic && node.dev === dev) remove(dev, node);
    node = next;
  }
  return NOTIFY_DONE;
}
