/**
 * Options of TCP sockets that few programs ask for, as a part of TCP: TCP_MAXSEG, TCP_QUICKACK, TCP_SYNCNT, TCP_LINGER2,
 * TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_NOTSENT_LOWAT, TCP_CONGESTION, TCP_INQ, TCP_TIMESTAMP and the TCP_THIN_* two. linnet/tcp has it;
 * behind linnet/tcp-client or linnet/tcp-server it is listed, `initcalls: [tcpClient, tcpSocketOptions]`.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerTcpSockopts } from "./stack/ipv4/tcp-parts.ts";
import { tcpSockoptOps } from "./stack/ipv4/tcp-sockopt-more.ts";

/** For the option `initcalls`. */
export const tcpSocketOptions: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_socket_options",
  init() {
    registerTcpSockopts(tcpSockoptOps);
  },
});
