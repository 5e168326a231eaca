/**
 * Netfilter's hooks: five places on a packet's way through IPv4, where whoever is registered judges it. Linux: net/netfilter/core.c,
 * nf_queue.c. Owns the chains of hook entries and the queue handlers.
 *
 *   PRE_ROUTING → route → LOCAL_IN → transport           transport → LOCAL_OUT → POST_ROUTING
 *                       → FORWARD → POST_ROUTING
 *
 * IPv4 comes by through ip-parts.ts, and through the handlers of its route entries: where this part was not listed at boot a packet
 * pays two comparisons with null for it.
 */
import { memView } from "../../lib/memory.ts";
import { SKB_DROP_REASON_NETFILTER_DROP } from "../../uapi/drop-reason.ts";
import { EBUSY, EINVAL, ENOENT, EOPNOTSUPP, EPERM } from "../../uapi/errno.ts";
import {
  NF_ACCEPT, NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_NUMHOOKS, NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING, NF_QUEUE, NF_REPEAT, NF_STOLEN, NF_VERDICT_FLAG_QUEUE_BYPASS, NF_VERDICT_MASK, NF_VERDICT_SHIFT,
  NFPROTO_IPV4,
} from "../../uapi/netfilter.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { kfreeSkb, type SkBuff } from "../core/skbuff.ts";
import { ipForwardFinish } from "../ipv4/ip-forward.ts";
import { ipInputHandlers, ipLocalDeliver, ipRcvRoute } from "../ipv4/ip-input.ts";
import { ipMcOutput, ipOutput } from "../ipv4/ip-output.ts";
import { registerIpHooks } from "../ipv4/ip-parts.ts";
import { type Rtable, setIpHandlers } from "../ipv4/rtable.ts";
import { IP_FRAGMENT_BITS, IPH_FRAG_OFF } from "../wire/ip.ts";

/**
 * Judges a packet, data and nh at its IP header, th behind it. It may write to the packet's bytes once skbEnsureWritable() allows
 * it, and change its route.
 * @param hook NF_INET_* @param inDev, outDev null where there is none
 * @returns a verdict; after NF_STOLEN the packet is the function's
 */
export type NfHookFn = (
  net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null,
) => number;

/** A function at a hook. Its owner makes it, once; it is in one chain at most. Linux: struct nf_hook_ops. */
export class NfHookOps {
  readonly hook: NfHookFn;
  /** Behind it in the chain. */
  next: NfHookOps | null = null;
  /** The only namespace it judges in, or null for all. */
  net: Net | null;
  readonly hooknum: number;
  /** Lower is earlier; among equals the one registered first. */
  readonly priority: number;
  readonly pf: number;
  registered = false;

  constructor(hook: NfHookFn, pf: number, hooknum: number, priority: number, net: Net | null = null) {
    this.hook = hook;
    this.pf = pf;
    this.hooknum = hooknum;
    this.priority = priority;
    this.net = net;
  }
}

/**
 * Takes packets with the verdict NF_QUEUE. It gives each back by nfReinject(), or ends it.
 * @param ops where the verdict came from, to be given back with the packet
 * @returns 0, or a negative errno: then the packet is dropped
 */
export type NfQueueHandler = (
  skb: SkBuff, ops: NfHookOps, queue: number, net: Net, inDev: NetDevice | null, outDev: NetDevice | null,
) => number;

/** What hooks ask of connection tracking, where that is. Linux: struct nf_ct_hook. */
export interface NfCtHook {
  /** The next packet that this host sends is an error about this one. */
  attach(skb: SkBuff): void;
  /** This host has reset the packet's connection. */
  setClosing(net: Net, skb: SkBuff): void;
}

/** Not made at boot: there it would be in RAM. */
const IP_HOOKS = Object.freeze({ run: nfHook, attach: nfAttach });
const HANDLERS = Object.freeze({
  localDeliver: nfLocalDeliver, error: ipInputHandlers.error, output: nfOutput, mcOutput: nfMcOutput, linkFailure: ipInputHandlers.linkFailure,
});

/** The first entry of each hook. */
let chains: (NfHookOps | null)[];
let queueHandler: NfQueueHandler | null = null;
/** Connection tracking's: the packet that is sent next is an error about this one. */
let ctHook: NfCtHook | null = null;

/** Boot: no hook has an entry, and IPv4's packets come by. */
export function nfInit(): void {
  chains = [null, null, null, null, null];
  queueHandler = ctHook = null;
  registerIpHooks(IP_HOOKS);
  setIpHandlers(HANDLERS);
}

/**
 * Linux: nf_register_net_hook(). @returns 0; -EOPNOTSUPP for a protocol without hooks; -EINVAL for a number that is none;
 * -EBUSY when it is registered already
 */
export function nfRegisterHook(ops: NfHookOps): number {
  if (ops.pf !== NFPROTO_IPV4) return -EOPNOTSUPP;
  if (ops.hooknum < 0 || ops.hooknum >= NF_INET_NUMHOOKS) return -EINVAL;
  if (ops.registered) return -EBUSY;
  let before: NfHookOps | null = null;
  let at = chains[ops.hooknum] ?? null;
  while (at !== null && at.priority <= ops.priority) {
    before = at;
    at = at.next;
  }
  ops.next = at;
  if (before === null) chains[ops.hooknum] = ops;
  else before.next = ops;
  ops.registered = true;
  return 0;
}

/** Linux: nf_unregister_net_hook(). @returns 0; -ENOENT when it is not registered. What it queued is its own to end first. */
export function nfUnregisterHook(ops: NfHookOps): number {
  if (!ops.registered) return -ENOENT;
  let before: NfHookOps | null = null;
  for (let at = chains[ops.hooknum] ?? null; at !== ops; at = at!.next) before = at;
  if (before === null) chains[ops.hooknum] = ops.next;
  else before.next = ops.next;
  ops.registered = false;
  return 0;
}

/** Who takes packets with the verdict NF_QUEUE; null for nobody. Linux: nf_register_queue_handler(). */
export function nfRegisterQueueHandler(handler: NfQueueHandler | null): void {
  queueHandler = handler;
}

/** Connection tracking says who it is. */
export function nfRegisterCtHook(hook: NfCtHook): void {
  ctHook = hook;
}

/** Linux: nf_ct_attach(). */
export function nfAttach(skb: SkBuff): void {
  if (ctHook !== null) ctHook.attach(skb);
}

/** Linux: nf_ct_set_closing(). */
export function nfSetClosing(net: Net, skb: SkBuff): void {
  if (ctHook !== null) ctHook.setClosing(net, skb);
}

/**
 * Shows a packet to all entries of a hook until one decides. Linux: nf_hook(), nf_hook_slow().
 * @returns NF_ACCEPT to go on; else 0 or a negative errno, and the packet is gone or somebody's
 */
export function nfHook(
  hook: number, net: Net, skb: SkBuff, inDev: NetDevice | null, outDev: NetDevice | null,
): number {
  return iterate(chains[hook]!, net, skb, hook, inDev, outDev);
}

function iterate(
  first: NfHookOps | null, net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null, outDev: NetDevice | null,
): number {
  let ops = first;
  while (ops !== null) {
    if (ops.net !== null && ops.net !== net) {
      ops = ops.next;
      continue;
    }
    const verdict = ops.hook(net, skb, hook, inDev, outDev);
    switch (verdict & NF_VERDICT_MASK) {
      case NF_ACCEPT:
        ops = ops.next;
        break;
      case NF_REPEAT:
        break;
      case NF_STOLEN:
        return 0;
      case NF_QUEUE: {
        const answer = nfQueue(skb, ops, verdict, net, inDev, outDev);
        if (answer <= 0) return answer;
        ops = ops.next;
        break;
      }
      default: {
        kfreeSkb(skb, SKB_DROP_REASON_NETFILTER_DROP);
        const errno = verdict >> NF_VERDICT_SHIFT;
        return errno === 0 ? -EPERM : -errno;
      }
    }
  }
  return NF_ACCEPT;
}

/** Hands a packet to the queue handler. Linux: nf_queue(). @returns as nfHook() */
function nfQueue(
  skb: SkBuff, ops: NfHookOps, verdict: number, net: Net, inDev: NetDevice | null, outDev: NetDevice | null,
): number {
  const handler = queueHandler;
  if (handler === null && (verdict & NF_VERDICT_FLAG_QUEUE_BYPASS) !== 0) return NF_ACCEPT;
  if (handler !== null && handler(skb, ops, verdict >>> NF_VERDICT_SHIFT, net, inDev, outDev) === 0) return 0;
  kfreeSkb(skb, SKB_DROP_REASON_NETFILTER_DROP);
  return 0;
}

/**
 * A packet comes back from the queue handler and goes on behind the entry that queued it, or at it once more (NF_REPEAT).
 * Linux: nf_reinject().
 */
export function nfReinject(
  skb: SkBuff, ops: NfHookOps, verdict: number, net: Net, inDev: NetDevice | null, outDev: NetDevice | null,
): void {
  const hook = ops.hooknum;
  switch (verdict & NF_VERDICT_MASK) {
    case NF_ACCEPT:
    case NF_REPEAT: {
      const next = (verdict & NF_VERDICT_MASK) === NF_REPEAT ? ops : ops.next;
      if (iterate(next, net, skb, hook, inDev, outDev) > 0) goOn(net, skb, hook, inDev);
      return;
    }
    case NF_DROP:
      kfreeSkb(skb, SKB_DROP_REASON_NETFILTER_DROP);
      return;
    case NF_QUEUE:
      if (nfQueue(skb, ops, verdict, net, inDev, outDev) > 0) goOn(net, skb, hook, inDev);
      return;
    default:
  }
}

/** What a packet does behind each hook. Linux: state->okfn. */
function goOn(net: Net, skb: SkBuff, hook: number, inDev: NetDevice | null): void {
  if (hook === NF_INET_PRE_ROUTING) ipRcvRoute(net, skb, inDev!);
  else if (hook === NF_INET_LOCAL_IN) ipLocalDeliver(skb);
  else if (hook === NF_INET_FORWARD) ipForwardFinish(skb);
  else if (hook === NF_INET_LOCAL_OUT) skb.dst!.output(skb);
  else ipOutput(skb);
}

/** The input of routes to this host. A fragment is put together first and comes back whole. Linux: ip_local_deliver(). */
function nfLocalDeliver(skb: SkBuff): number {
  if ((memView.getUint16(skb.nh + IPH_FRAG_OFF) & IP_FRAGMENT_BITS) !== 0) return ipLocalDeliver(skb);
  const go = nfHook(NF_INET_LOCAL_IN, skb.dev!.net!, skb, skb.dev, null);
  return go > 0 ? ipLocalDeliver(skb) : go;
}

/** The output of routes. Linux: ip_output(). */
function nfOutput(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const inDev = skb.dev;
  skb.dev = rt.dev;
  const go = nfHook(NF_INET_POST_ROUTING, rt.net, skb, inDev, rt.dev);
  return go > 0 ? ipOutput(skb) : go;
}

/** The output of routes to groups that this host belongs to. Linux: ip_mc_output(). */
function nfMcOutput(skb: SkBuff): number {
  const rt = skb.dst as Rtable;
  const inDev = skb.dev;
  skb.dev = rt.dev;
  const go = nfHook(NF_INET_POST_ROUTING, rt.net, skb, inDev, rt.dev);
  return go > 0 ? ipMcOutput(skb) : go;
}
