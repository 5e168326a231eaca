/**
 * TCP that opens connections, and no more: `startKernel({ initcalls: [tcpClient] })` for a program that never listens and asks for no
 * part of TCP, or lists those it wants behind it. linnet/tcp is TCP with all parts. Its sizes are the options from tcpSocks on.
 */
import { type Config, TCP_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpV4Init, tcpV4Words } from "./stack/ipv4/tcp-ipv4.ts";

/** For the option `initcalls`. */
export const tcpClient: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp",
  sizes: TCP_SIZES,
  words: (config: Config) => tcpV4Words(config, 0),
  init: (config: Config) => tcpV4Init(config, 0),
});
