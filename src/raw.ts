/**
 * Raw and ping sockets as two parts to be had or not: AF_INET with SOCK_RAW, and SOCK_DGRAM with IPPROTO_ICMP. A program lists
 * what it uses at boot, `boot({ initcalls: [raw, ping] })`; without them such a socket is -ESOCKTNOSUPPORT, -EPROTONOSUPPORT.
 * They have no pools of their own: a socket is one of `socks`.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { pingInit } from "./stack/ipv4/ping.ts";
import { rawInit } from "./stack/ipv4/raw.ts";

export * from "./uapi/icmp.ts";

/** For boot()'s option `initcalls`. */
export const raw: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "raw", init: rawInit });

/** For boot()'s option `initcalls`. */
export const ping: Initcall<Config> = Object.freeze({ level: FS_INITCALL, name: "ping", init: pingInit });
