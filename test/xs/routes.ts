/** Lookups in a routing table of many prefixes, inside the engine: what `bench route` counts compute units of. */
import type { Net } from "../../src/stack/core/net.ts";
import { FibConfig } from "../../src/stack/ipv4/fib-config.ts";
import { fibTableInsert } from "../../src/stack/ipv4/fib-frontend.ts";
import { fibLookup } from "../../src/stack/ipv4/fib-lookup.ts";
import { FibResult, Flowi4, flowi4Init } from "../../src/stack/ipv4/flow.ts";
import { NLM_F_CREATE } from "../../src/uapi/netlink.ts";
import { RT_SCOPE_LINK } from "../../src/uapi/rtnetlink.ts";
import { makeAddresses, makePrefixes } from "../lib/prefixes.ts";

const ADDRESSES = 1024;

let addresses: Int32Array;
let flow: Flowi4;
let res: FibResult;

/** Enters so many prefixes over a device. */
export function lookupsInit(net: Net, oif: number, count: number): void {
  const prefixes = makePrefixes(count);
  addresses = makeAddresses(prefixes, ADDRESSES);
  flow = new Flowi4();
  res = new FibResult();
  flowi4Init(flow, 0, 0, 0, 0, 0);
  const cfg = new FibConfig();
  cfg.oif = oif;
  cfg.scope = RT_SCOPE_LINK;
  cfg.nlflags = NLM_F_CREATE;
  for (let i = 0; i < count; i++) {
    cfg.dst = prefixes.dst[i]!;
    cfg.dstLen = prefixes.len[i]!;
    cfg.protocol = 100 + (i & 3);
    const err = fibTableInsert(net, cfg);
    if (err !== 0) throw new Error(`route ${i}: ${err}`);
  }
}

/** Looks up so many addresses; with `dry` it only picks them. */
export function lookups(net: Net, count: number, dry: boolean): void {
  for (let i = 0; i < count; i++) {
    flow.daddr = addresses[i & (ADDRESSES - 1)]!;
    if (!dry) fibLookup(net, flow, res);
  }
}
