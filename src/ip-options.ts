/**
 * IP options as a part to be had or not: record route and timestamps filled in and echoed, source routes followed where a device
 * accepts them, IP_OPTIONS of sockets, those of a SYN answered by its connection, and options as control messages. A program lists
 * it at boot, `boot({ initcalls: [ipOptions] })`; without it options are skipped. What sockets set and are told takes
 * `socketControl`, which a program of startKernel() lists beside it. Its size is the option `ipOptionSocks`.
 */
import { type Config, IP_OPTIONS_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import {
  ipOptionsDone, ipOptionsForward, ipOptionsInit, ipOptionsReceive, ipOptionsRouterAlert, ipOptionsSourceRoute,
} from "./stack/ipv4/ip-options.ts";
import { ipOptionsCmsgInit, ipOptionsCmsgRecv, ipOptionsCmsgSend } from "./stack/ipv4/ip-options-cmsg.ts";
import {
  ipOptionsEcho, ipOptionsFirstHop, ipOptionsGet, ipOptionsKeepEcho, ipOptionsLength, ipOptionsMove, ipOptionsPrepare, ipOptionsPush,
  ipOptionsRelease, ipOptionsSendInit, ipOptionsSet, ipOptionsStrict,
} from "./stack/ipv4/ip-options-send.ts";
import { registerIpOptions } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const OPTIONS = Object.freeze({
  receive: ipOptionsReceive, done: ipOptionsDone, sourceRoute: ipOptionsSourceRoute, routerAlert: ipOptionsRouterAlert,
  forward: ipOptionsForward, echo: ipOptionsEcho, keepEcho: ipOptionsKeepEcho, move: ipOptionsMove, prepare: ipOptionsPrepare,
  length: ipOptionsLength, prepareCmsg: ipOptionsCmsgSend, receiveCmsg: ipOptionsCmsgRecv, firstHop: ipOptionsFirstHop,
  strict: ipOptionsStrict, push: ipOptionsPush, set: ipOptionsSet, get: ipOptionsGet, release: ipOptionsRelease,
});

/** For boot()'s option `initcalls`. */
export const ipOptions: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "ip_options",
  sizes: IP_OPTIONS_SIZES,
  init(config: Config) {
    ipOptionsInit();
    ipOptionsSendInit(config.ipOptionSocks);
    ipOptionsCmsgInit();
    registerIpOptions(OPTIONS);
  },
});
