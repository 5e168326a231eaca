/**
 * SYN cookies as a part of TCP: what a listener answers SYNs with when no half-open connection is left (net.ipv4.tcp_syncookies).
 * linnet/tcp has it; behind linnet/tcp-server it is listed, `initcalls: [tcpServer, syncookies]`. Linux: CONFIG_SYN_COOKIES.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { SYNCOOKIE_WORDS, syncookieOps, syncookiesInit } from "./stack/ipv4/syncookies.ts";
import { registerSyncookies } from "./stack/ipv4/tcp-parts.ts";

/** For the option `initcalls`. */
export const syncookies: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "syncookies",
  words: () => SYNCOOKIE_WORDS,
  init() {
    syncookiesInit();
    registerSyncookies(syncookieOps);
  },
});
