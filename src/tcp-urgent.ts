/**
 * Urgent data (MSG_OOB, SO_OOBINLINE, RFC 9293 section 3.8.5) as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or
 * linnet/tcp-server it is listed, `initcalls: [tcpServer, urgentData]`. Without it MSG_OOB is -EOPNOTSUPP to send() and -EINVAL to
 * recv(), and what a peer calls urgent is read in its place in the stream, as RFC 6093 would have every program read it.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerTcpUrgent } from "./stack/ipv4/tcp-parts.ts";
import { tcpUrgentOps } from "./stack/ipv4/tcp-urgent.ts";

/** For the option `initcalls`. */
export const urgentData: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_urgent",
  init() {
    registerTcpUrgent(tcpUrgentOps);
  },
});
