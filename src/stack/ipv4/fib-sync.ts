/**
 * What devices and addresses do to the next hops that stand on them. Linux: fib_sync_down_dev(), fib_sync_down_addr(),
 * fib_sync_up() of net/ipv4/fib_semantics.c.
 */
import { words } from "../../lib/table.ts";
import { NETDEV_CHANGE, NETDEV_UNREGISTER } from "../../netif/dev.ts";
import { IFF_UP } from "../../uapi/if.ts";
import { RT_SCOPE_NOWHERE, RT_TABLE_MAIN, RTNH_F_DEAD, RTNH_F_LINKDOWN } from "../../uapi/rtnetlink.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inDevGet } from "./devinet.ts";
import { FI_INTS, fibInfoLast, fibWanted } from "./fib-memory.ts";
import { FI_FLAGS, FI_PREFSRC, FI_REFS, FI_WORD, fibRebalance, nhForget, NH_NEXT, NH_OIF, NH_WORD, nhScope } from "./fib-semantics.ts";

/** The next fib_info of the namespace after that one (0: the first), or 0. */
export function fibInfoAfter(net: Net, fi: number): number {
  for (let at = (fi === 0 ? fibWanted : fi) + FI_INTS; at <= fibInfoLast; at += FI_INTS) {
    if (words[at + FI_REFS]! > 0 && words[at + FI_FLAGS]! >>> 16 === net.id) return at;
  }
  return 0;
}

/**
 * Gives up every routing decision the namespace keeps for the next packet, and every exception: `ip route flush cache`. Decisions that sockets
 * hold live on with them.
 */
export function fibFlushCached(net: Net): void {
  for (let fi = fibInfoAfter(net, 0); fi !== 0; fi = fibInfoAfter(net, fi)) {
    for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) nhForget(nh);
  }
}

/**
 * A device goes down or loses its carrier: marks its next hops.
 * @param force local addresses too (the device or its last address goes)
 * @returns number of fib_info that are dead now and are to be flushed
 */
export function fibSyncDownDev(net: Net, dev: NetDevice, event: number, force: boolean): number {
  const flags = event === NETDEV_CHANGE ? RTNH_F_LINKDOWN : RTNH_F_DEAD | RTNH_F_LINKDOWN;
  let dead = 0;
  for (let fi = fibInfoAfter(net, 0); fi !== 0; fi = fibInfoAfter(net, fi)) {
    let alive = 0;
    let hit = false;
    let gone = false;
    for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
      const word = words[nh + NH_WORD]!;
      const ours = words[nh + NH_OIF] === dev.ifindex;
      if (ours && event === NETDEV_UNREGISTER && words[fi + NH_NEXT] !== 0) gone = true;
      if ((word & RTNH_F_DEAD) !== 0) continue;
      if (ours && (force || nhScope(nh) !== RT_SCOPE_NOWHERE)) {
        words[nh + NH_WORD] = word | flags;
        hit = true;
      } else alive++;
    }
    if (!hit && !gone) continue;
    if (alive === 0 || gone) {
      words[fi + FI_FLAGS]! |= flags;
      dead++;
    }
    fibRebalance(fi);
  }
  return dead;
}

/** An address is gone: routes of main that prefer it as source are dead. @returns how many fib_info are to be flushed */
export function fibSyncDownAddr(net: Net, addr: number): number {
  let dead = 0;
  if (addr === 0) return 0;
  for (let fi = fibInfoAfter(net, 0); fi !== 0; fi = fibInfoAfter(net, fi)) {
    if (words[fi + FI_PREFSRC] !== addr || words[fi + FI_WORD]! >>> 24 !== RT_TABLE_MAIN) continue;
    words[fi + FI_FLAGS]! |= RTNH_F_DEAD;
    dead++;
  }
  return dead;
}

/** The device is up (RTNH_F_DEAD), or has its carrier back (RTNH_F_LINKDOWN): next hops lose these flags. */
export function fibSyncUp(net: Net, dev: NetDevice, lose: number): void {
  if ((dev.flags & IFF_UP) === 0 || inDevGet(dev) === null) return;
  const flags = (lose & RTNH_F_DEAD) !== 0 && dev.carrier ? lose | RTNH_F_LINKDOWN : lose;
  for (let fi = fibInfoAfter(net, 0); fi !== 0; fi = fibInfoAfter(net, fi)) {
    let alive = 0;
    for (let nh = fi; nh !== 0; nh = words[nh + NH_NEXT]!) {
      const word = words[nh + NH_WORD]!;
      if ((word & flags) === 0) alive++;
      else if (words[nh + NH_OIF] === dev.ifindex) {
        words[nh + NH_WORD] = word & ~flags;
        alive++;
      }
    }
    if (alive > 0) words[fi + FI_FLAGS]! &= ~flags;
    fibRebalance(fi);
  }
}
