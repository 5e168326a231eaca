/** TCP as a part: boot() lists it, a program of startKernel() where it wants it. Its sizes are the options from tcpSocks on. */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpV4Init, tcpV4Words } from "./stack/ipv4/tcp-ipv4.ts";

/** For the option `initcalls`. */
export const tcp: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp",
  words: (config: Config) => tcpV4Words(config),
  init: (config: Config) => tcpV4Init(config),
});
