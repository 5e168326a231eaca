/** Netfilter's hooks: their order, what each verdict does, and who passes by which. */
import test from "ava";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import {
  NF_ACCEPT, NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING,
  NF_REPEAT, NF_STOLEN, NF_VERDICT_FLAG_QUEUE_BYPASS, netfilter, nfDropErr, type NfHookFn, NfHookOps, NFPROTO_IPV4,
  nfQueueNr, nfRegisterHook, nfRegisterQueueHandler, nfReinject, nfUnregisterHook,
} from "../../../src/netfilter.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { consumeSkb, skbClone, skbCloned, skbDropCount, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { skbEnsureWritable } from "../../../src/stack/core/skb-copy.ts";
import { ipRouteAdd, ipRouteDel } from "../../../src/stack/ipv4/fib-frontend.ts";
import { bind, recv, sendto, SockaddrIn } from "../../../src/stack/socket/index.ts";
import { SKB_DROP_REASON_NETFILTER_DROP } from "../../../src/uapi/drop-reason.ts";
import { EAGAIN, EBUSY, EHOSTUNREACH, EINVAL, ENOENT, EOPNOTSUPP, EPERM } from "../../../src/uapi/errno.ts";
import { MSG_DONTWAIT, SOCK_DGRAM } from "../../../src/uapi/socket.ts";
import { a, ADDR_B, b, bootHosts, finish, open, turn } from "../ipv4/two-hosts.ts";

const PORT = 7000;
const HOOKS = ["PRE_ROUTING", "LOCAL_IN", "FORWARD", "LOCAL_OUT", "POST_ROUTING"];
const out = new Uint8Array([1, 2, 3, 4]);
const into = new Uint8Array(16);
let sender = 0;
let receiver = 0;

test.beforeEach(() => {
  bootHosts({ initcalls: [netfilter, forwarding] });
  receiver = open(b, SOCK_DGRAM);
  bind(receiver, new SockaddrIn(0, PORT));
  sender = open(a, SOCK_DGRAM);
});
test.afterEach((t) => finish(t));

function hook(fn: NfHookFn, hooknum: number, priority = 0, net: typeof a | null = null): NfHookOps {
  const ops = new NfHookOps(fn, NFPROTO_IPV4, hooknum, priority, net);
  if (nfRegisterHook(ops) !== 0) throw new Error("not registered");
  return ops;
}

function send(to = ADDR_B): number {
  const sent = sendto(sender, out, 0, out.length, MSG_DONTWAIT, new SockaddrIn(to, PORT));
  turn();
  return sent;
}

const received = (): number => recv(receiver, into, 0, into.length, MSG_DONTWAIT);

test.serial("a datagram passes two hooks where it is sent, two where it arrives, with the devices of each", (t) => {
  const seen: string[] = [];
  for (let n = 0; n < HOOKS.length; n++) {
    hook((net, _skb, h, inDev, outDev) => {
      seen.push(`${net === a ? "a" : "b"} ${HOOKS[h]} ${inDev?.name ?? "-"} ${outDev?.name ?? "-"}`);
      return NF_ACCEPT;
    }, n);
  }
  t.is(send(), 4);
  t.is(received(), 4);
  t.deepEqual(seen, ["a LOCAL_OUT - eth0", "a POST_ROUTING - eth0", "b PRE_ROUTING eth0 -", "b LOCAL_IN eth0 -"]);
});

test.serial("what is forwarded passes three, with both devices", (t) => {
  ipForwardSet(b, true);
  ipRouteAdd(a, 0x0a090000, 16, ADDR_B, 0);
  ipRouteAdd(b, 0x0a090000, 16, 0x0a000063, 0);
  const seen: string[] = [];
  for (let n = 0; n < HOOKS.length; n++) {
    hook((_net, _skb, h, inDev, outDev) => {
      seen.push(`${HOOKS[h]} ${inDev?.name ?? "-"} ${outDev?.name ?? "-"}`);
      return NF_ACCEPT;
    }, n, 0, b);
  }
  send(0x0a090001);
  // Beside it its sender is told of the better way, by a packet of the router's own.
  t.deepEqual(seen.filter((line) => !line.includes(" - ")), ["PRE_ROUTING eth0 -", "FORWARD eth0 eth0", "POST_ROUTING eth0 eth0"]);
  ipRouteDel(a, 0x0a090000, 16, ADDR_B, 0);
  ipRouteDel(b, 0x0a090000, 16, 0x0a000063, 0);
  turn(4000);
});

test.serial("entries judge by priority, among equals by age, each only in its namespace", (t) => {
  const seen: number[] = [];
  const note = (n: number): NfHookFn => () => {
    seen.push(n);
    return NF_ACCEPT;
  };
  hook(note(3), NF_INET_LOCAL_OUT, 5);
  hook(note(1), NF_INET_LOCAL_OUT, -100);
  const gone = hook(note(9), NF_INET_LOCAL_OUT, 0);
  hook(note(4), NF_INET_LOCAL_OUT, 5);
  hook(note(2), NF_INET_LOCAL_OUT, 0, a);
  hook(note(8), NF_INET_LOCAL_OUT, 0, b);
  t.is(nfUnregisterHook(gone), 0);
  send();
  t.deepEqual(seen, [1, 2, 3, 4]);
});

test.serial("a dropped packet is EPERM to its sender, or the errno of the verdict, and counted", (t) => {
  const before = skbDropCount(SKB_DROP_REASON_NETFILTER_DROP);
  let verdict = NF_DROP;
  hook(() => verdict, NF_INET_LOCAL_OUT);
  t.is(send(), -EPERM);
  verdict = nfDropErr(EHOSTUNREACH);
  t.is(send(), -EHOSTUNREACH);
  verdict = NF_ACCEPT;
  const late = hook(() => NF_DROP, NF_INET_POST_ROUTING);
  t.is(send(), -EPERM);
  nfUnregisterHook(late);
  hook(() => NF_DROP, NF_INET_PRE_ROUTING);
  t.is(send(), 4);
  t.is(received(), -EAGAIN);
  t.is(skbDropCount(SKB_DROP_REASON_NETFILTER_DROP), before + 4);
});

test.serial("NF_REPEAT asks the same entry again; a stolen packet goes no further", (t) => {
  let asked = 0;
  hook(() => (++asked < 3 ? NF_REPEAT : NF_ACCEPT), NF_INET_LOCAL_OUT);
  t.is(send(), 4);
  t.is(asked, 3);
  t.is(received(), 4);
  const held: SkBuff[] = [];
  hook((_net, skb) => {
    held.push(skb);
    return NF_STOLEN;
  }, NF_INET_LOCAL_IN);
  t.is(send(), 4);
  t.is(received(), -EAGAIN);
  t.is(held.length, 1);
  consumeSkb(held[0]!);
});

for (const [hooknum, net] of [
  [NF_INET_PRE_ROUTING, "b"], [NF_INET_LOCAL_IN, "b"], [NF_INET_LOCAL_OUT, "a"], [NF_INET_POST_ROUTING, "a"],
] as const) {
  test.serial(`a packet queued at ${HOOKS[hooknum]} goes on from there when it comes back`, (t) => {
    const queued: (() => void)[] = [];
    nfRegisterQueueHandler((skb, ops, queue, where, inDev, outDev) => {
      queued.push(() => nfReinject(skb, ops, NF_ACCEPT, where, inDev, outDev));
      return queue === 3 ? 0 : -EINVAL;
    });
    let behind = 0;
    hook(() => nfQueueNr(3), hooknum, 0, net === "a" ? a : b);
    hook(() => {
      behind++;
      return NF_ACCEPT;
    }, hooknum, 1, net === "a" ? a : b);
    t.true(send() >= 0);
    t.is(received(), -EAGAIN);
    t.is(behind, 0);
    queued.pop()!();
    turn();
    t.is(behind, 1);
    t.is(received(), 4);
  });
}

test.serial("without a queue handler a queued packet is dropped, or passes when the verdict says so", (t) => {
  let verdict = nfQueueNr(1);
  hook(() => verdict, NF_INET_LOCAL_IN);
  send();
  t.is(received(), -EAGAIN);
  verdict |= NF_VERDICT_FLAG_QUEUE_BYPASS;
  send();
  t.is(received(), 4);
  nfRegisterQueueHandler(() => -ENOENT);
  send();
  t.is(received(), -EAGAIN);
});

test.serial("registering answers as Linux does", (t) => {
  const ops = hook(() => NF_ACCEPT, NF_INET_FORWARD);
  t.is(nfRegisterHook(ops), -EBUSY);
  t.is(nfUnregisterHook(ops), 0);
  t.is(nfUnregisterHook(ops), -ENOENT);
  t.is(nfRegisterHook(new NfHookOps(() => NF_ACCEPT, NFPROTO_IPV4, 5, 0)), -EINVAL);
  t.is(nfRegisterHook(new NfHookOps(() => NF_ACCEPT, 10, NF_INET_FORWARD, 0)), -EOPNOTSUPP);
});

test.serial("a packet that is to be changed gets bytes of its own, and its clone keeps the old ones", (t) => {
  const clones: SkBuff[] = [];
  hook((_net, skb) => {
    const clone = skbClone(skb)!;
    clones.push(clone);
    if (!skbEnsureWritable(skb)) return NF_DROP;
    t.false(skbCloned(skb));
    mem8[skb.tail - 1] = 99;
    t.is(mem8[clone.tail - 1], 4);
    return NF_ACCEPT;
  }, NF_INET_PRE_ROUTING);
  send();
  consumeSkb(clones[0]!);
});
