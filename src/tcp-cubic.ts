/**
 * CUBIC, Linux's default congestion control, as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or linnet/tcp-server it is
 * listed, `initcalls: [tcpClient, cubic]`. Without it all connections have Reno's, which does as well where windows are small.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpRegisterCongestionControl } from "./stack/ipv4/tcp-cong.ts";
import { tcpCubic } from "./stack/ipv4/tcp-cubic.ts";

/** For the option `initcalls`. */
export const cubic: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_cubic",
  init() {
    tcpRegisterCongestionControl(tcpCubic);
  },
});
