/**
 * Socket options that few programs ask for, as a part to be had or not: `boot({ initcalls: [socketOptions] })`. Without it they are
 * -ENOPROTOOPT. The control message of IP_RECVORIGDSTADDR takes `socketControl`, which a program of startKernel() lists beside it.
 * Each socket has 20 bytes more with it.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerSkOptions } from "./stack/core/sock.ts";
import {
  inetSockoptGetIp, inetSockoptGetSocket, inetSockoptInherit, inetSockoptInit, inetSockoptMinTtl, inetSockoptNoPort, inetSockoptOrigdstaddr,
  inetSockoptPorts, inetSockoptReset, inetSockoptSetIp, inetSockoptSetSocket, inetSockoptUnicastIf, inetSockoptWords,
} from "./stack/ipv4/inet-sockopt.ts";
import { registerInetSockopts } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const SOCKET = Object.freeze({
  reset: inetSockoptReset, inherit: inetSockoptInherit, set: inetSockoptSetSocket, get: inetSockoptGetSocket,
});
const INET = Object.freeze({
  set: inetSockoptSetIp, get: inetSockoptGetIp, minTtl: inetSockoptMinTtl, ports: inetSockoptPorts, unicastIf: inetSockoptUnicastIf,
  noPort: inetSockoptNoPort, origdstaddr: inetSockoptOrigdstaddr,
});

/** For boot()'s option `initcalls`. */
export const socketOptions: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "socket_options",
  words: ({ socks }: Config) => inetSockoptWords(socks),
  init() {
    inetSockoptInit();
    registerSkOptions(SOCKET);
    registerInetSockopts(INET);
  },
});
