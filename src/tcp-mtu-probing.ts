/**
 * Path MTU discovery without ICMP (net.ipv4.tcp_mtu_probing, RFC 4821) as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or
 * linnet/tcp-server it is listed, `initcalls: [tcpClient, mtuProbing]`. It searches where the option `mtuProbes` is 1.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpMtuProbeOps, tcpMtupSetup, tcpMtupWords } from "./stack/ipv4/tcp-mtu-probe.ts";
import { registerMtuProbes } from "./stack/ipv4/tcp-parts.ts";

/** For the option `initcalls`. */
export const mtuProbing: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_mtu_probing",
  words: (config: Config) => tcpMtupWords(config.mtuProbes * config.socks),
  init(config: Config) {
    tcpMtupSetup(config.mtuProbes * config.socks);
    registerMtuProbes(tcpMtuProbeOps);
  },
});
