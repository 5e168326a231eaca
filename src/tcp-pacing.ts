/**
 * Pacing by SO_MAX_PACING_RATE as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or linnet/tcp-server it is listed,
 * `initcalls: [tcpClient, socketControl, pacing]`. Without it the rate of a socket is not kept to.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpPacingOps } from "./stack/ipv4/tcp-pacing.ts";
import { registerTcpPacing } from "./stack/ipv4/tcp-parts.ts";

/** For the option `initcalls`. */
export const pacing: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_pacing",
  init() {
    registerTcpPacing(tcpPacingOps);
  },
});
