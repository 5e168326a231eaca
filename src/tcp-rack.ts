/**
 * RACK and tail loss probes (net.ipv4.tcp_recovery, net.ipv4.tcp_early_retrans, RFC 8985) as a part of TCP: linnet/tcp has it; behind
 * linnet/tcp-client or linnet/tcp-server it is listed, `initcalls: [tcpClient, rack]`. Without it three segments beyond a hole tell of a
 * loss (RFC 6675), and what they cannot tell, the timeout does.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerTcpRack } from "./stack/ipv4/tcp-parts.ts";
import { tcpRackOps } from "./stack/ipv4/tcp-recovery.ts";

/** For the option `initcalls`. */
export const rack: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_rack",
  init() {
    registerTcpRack(tcpRackOps);
  },
});
