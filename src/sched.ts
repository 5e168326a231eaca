/**
 * Queueing disciplines other than pfifo_fast as a part to be had or not: pfifo, and tbf which limits the rate. A program lists it at
 * boot, `boot({ initcalls: [sched] })`, and sets them for its devices by these functions or the command `tc`. They have no pool: what
 * waits is packets.
 */
import type { Config } from "./config.ts";
import { type Initcall, SUBSYS_INITCALL } from "./lib/initcall.ts";
import { schedInit } from "./netif/sched/sch-api.ts";
import { rtnlQdiscInit } from "./stack/netlink/rtnl-qdisc.ts";

export { qdiscReset, qdiscSetPfifo, qdiscSetPfifoFast, qdiscSetTbf } from "./netif/sched/sch-api.ts";

/** For boot()'s option `initcalls`. */
export const sched: Initcall<Config> = Object.freeze({ level: SUBSYS_INITCALL, name: "sched", init: schedInit, rtnl: rtnlQdiscInit });
