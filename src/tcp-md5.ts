/**
 * MD5 signatures (TCP_MD5SIG, RFC 2385) as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or linnet/tcp-server it is
 * listed, `initcalls: [tcpClient, tcpMd5Sig]`. Its size is the option `md5Keys`. Linux: CONFIG_TCP_MD5SIG.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpMd5Init, tcpMd5Ops, tcpMd5Words } from "./stack/ipv4/tcp-md5.ts";
import { registerTcpMd5 } from "./stack/ipv4/tcp-parts.ts";

/** For the option `initcalls`. */
export const tcpMd5Sig: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_md5sig",
  words: (config: Config) => tcpMd5Words(config.md5Keys),
  init(config: Config) {
    tcpMd5Init(config.md5Keys);
    registerTcpMd5(tcpMd5Ops);
  },
});
