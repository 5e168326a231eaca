/**
 * TCP_INFO, with what senders waited for and how fast data is delivered, as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or linnet/tcp-server it is
 * listed, `initcalls: [tcpClient, tcpInfo]`. The rates are measured where the option `deliveryRates` is 1.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { tcpChronoOps } from "./stack/ipv4/tcp-chrono.ts";
import { tcpGetInfo } from "./stack/ipv4/tcp-info.ts";
import { registerTcpChrono, registerTcpInfo, registerTcpRates } from "./stack/ipv4/tcp-parts.ts";
import { tcpRateInit, tcpRateOps, tcpRateWords } from "./stack/ipv4/tcp-rate.ts";

/** Not made at boot: there it would be in RAM. */
const INFO = Object.freeze({ get: tcpGetInfo });

/** For the option `initcalls`. */
export const tcpInfo: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_info",
  words: (config: Config) => tcpRateWords(config.deliveryRates * config.socks, config.buffers),
  init(config: Config) {
    tcpRateInit(config.deliveryRates * config.socks, config.buffers);
    if (config.deliveryRates !== 0) registerTcpRates(tcpRateOps);
    registerTcpInfo(INFO);
    registerTcpChrono(tcpChronoOps);
  },
});
