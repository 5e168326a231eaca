/**
 * Explicit congestion notification (net.ipv4.tcp_ecn, RFC 3168) as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or
 * linnet/tcp-server it is listed, `initcalls: [tcpClient, ecn]`. Without it no connection asks for it or agrees to it.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpEcnOps } from "./stack/ipv4/tcp-ecn.ts";
import { registerTcpEcn } from "./stack/ipv4/tcp-parts.ts";

/** For the option `initcalls`. */
export const ecn: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_ecn",
  init() {
    registerTcpEcn(tcpEcnOps);
  },
});
