/**
 * TCP that opens connections and listens, without the other parts, which a program lists behind it:
 * `startKernel({ initcalls: [tcpServer, syncookies] })`. linnet/tcp is TCP with all of them.
 */
import { type Config, TCP_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpV4Init, tcpV4Words } from "./stack/ipv4/tcp-ipv4.ts";
import { tcpListenInit, tcpListenRequests, tcpListenWords } from "./stack/ipv4/tcp-listen.ts";

/** For the option `initcalls`. */
export const tcpServer: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp",
  sizes: TCP_SIZES,
  words: (config: Config) => tcpV4Words(config, tcpListenRequests(config.requestSocks)) + tcpListenWords(config.requestSocks),
  init(config: Config) {
    tcpV4Init(config, tcpListenRequests(config.requestSocks));
    tcpListenInit(config.socks, config.requestSocks);
  },
});
