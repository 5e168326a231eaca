/**
 * Receive buffers that grow with what a program reads (net.ipv4.tcp_moderate_rcvbuf) as a part of TCP: linnet/tcp has it; behind
 * linnet/tcp-client or linnet/tcp-server it is listed, `initcalls: [tcpClient, rcvbufGrowth]`. How far they grow is the option
 * `rcvbufMaxPackets`; without it each is as large as it began, `rcvbufPackets`.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { SKB_OVERHEAD_BYTES } from "./stack/core/skbuff.ts";
import { registerTcpRcvbuf } from "./stack/ipv4/tcp-parts.ts";
import { tcpRcvbufOps } from "./stack/ipv4/tcp-rcvbuf.ts";

/** For the option `initcalls`. */
export const rcvbufGrowth: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_rcvbuf",
  init(config: Config) {
    registerTcpRcvbuf(tcpRcvbufOps, config.rcvbufMaxPackets * (config.bufferBytes + SKB_OVERHEAD_BYTES));
  },
});
