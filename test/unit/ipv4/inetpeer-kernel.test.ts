/**
 * Whom a router tells what, and how often, is what Linux tells whom: sixty hosts, each in its own rhythm, their errors and redirects out of one
 * budget each. inetpeer-kernel.json has what Linux answered; inetpeer-kernel.py recorded it.
 */
import test from "ava";
import { readFileSync } from "node:fs";
import type { Config } from "../../../src/config.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { runTimers } from "../../../src/lib/timer.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteAdd } from "../../../src/stack/ipv4/fib-frontend.ts";
import { addDevice, addLoopback, bootIpv4, initNet, ip, ipPacket, receive, shutdownIpv4 } from "./harness.ts";

type Kind = "ttl" | "noway" | "redirect" | "port";
/** What one host sent when, in ms, and the types of the messages that it got for it. */
type Host = readonly (readonly [number, Kind, readonly number[]])[];

const HOSTS = JSON.parse(readFileSync(new URL("inetpeer-kernel.json", import.meta.url), "utf8")) as readonly Host[];
const ROUTER = ip("10.0.0.1");
const BEYOND = ip("10.9.0.1");
const DESTINATION = Object.freeze({ ttl: BEYOND, noway: ip("198.51.100.1"), redirect: BEYOND, port: ROUTER });
function boot(): ReturnType<typeof addDevice> {
  bootIpv4();
  forwarding.init({} as Config);
  addLoopback();
  const dev = addDevice("eth0");
  inetAddAddress(initNet, dev, ROUTER, 24);
  ipRouteAdd(initNet, ip("10.9.0.0"), 16, ip("10.0.0.77"), 0);
  ipForwardSet(initNet, true);
  Object.assign(initNet.ipv4, { icmpMsgsPerSec: 100_000, icmpMsgsBurst: 100_000 });
  return dev;
}

test.serial("errors and redirects come as often as Linux's, to sixty hosts for a minute and a half", (t) => {
  for (const [n, host] of HOSTS.entries()) {
    const dev = boot();
    const answered = host.map(([ms, kind]) => {
      runTimers(ms);
      dev.sent.length = 0;
      const saddr = ip(`10.0.0.${100 + n}`);
      receive(dev, ipPacket({ saddr, daddr: DESTINATION[kind], ttl: kind === "ttl" ? 1 : 64, protocol: 17, payload: new Uint8Array(12) }));
      return [ms, kind, dev.sent.filter((sent) => sent[9] === 1).map((sent) => sent[20]!)] as const;
    });
    t.deepEqual(answered, host, `host ${n}`);
    t.is(shutdownIpv4(), 0, "pools full again");
  }
  const all = HOSTS.flat();
  for (const kind of ["ttl", "noway", "redirect", "port"] as const) {
    const some = all.filter((step) => step[1] === kind);
    t.true(some.some((step) => step[2].length > 0) && some.some((step) => step[2].length === 0), `${kind} was answered, and was not`);
  }
});
