/**
 * Queueing disciplines other than pfifo_fast as a part to be had or not: pfifo, and tbf which limits the rate. A program lists it at
 * boot, `boot({ initcalls: [sched] })`, and sets them for its devices. They have no pool: what waits is packets.
 */
import type { Config } from "./config.ts";
import { type Initcall, SUBSYS_INITCALL } from "./lib/initcall.ts";
import { tbfInit } from "./netif/sched/tbf.ts";

export { qdiscReset, qdiscSetPfifo, qdiscSetTbf } from "./netif/sched/sch-api.ts";

/** For boot()'s option `initcalls`. */
export const sched: Initcall<Config> = Object.freeze({ level: SUBSYS_INITCALL, name: "sched", init: tbfInit });
