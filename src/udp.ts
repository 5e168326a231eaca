/** UDP as a part: boot() lists it, a program of startKernel() where it wants it. */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { udpInit } from "./stack/ipv4/udp.ts";

/** For the option `initcalls`. */
export const udp: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "udp", init: () => udpInit() });
