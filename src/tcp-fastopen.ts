/**
 * TCP Fast Open, client and server, as a part of TCP: linnet/tcp has it; behind linnet/tcp-server it is listed,
 * `initcalls: [tcpServer, fastopen]`. `destinations` is how many cookies of servers are kept. RFC 7413, net.ipv4.tcp_fastopen.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import {
  tcpFastopenClientInit, tcpFastopenCookieCheck, tcpMetricsWords, tcpRcvFastopenSynack, tcpSendmsgFastopen, tcpSendSynData, tcpSynFastopenSize,
  tcpWriteSynFastopen,
} from "./stack/ipv4/tcp-fastopen-client.ts";
import { fastopenForgetKey, fastopenGetListenerKey, TCP_FASTOPEN_KEY_WORDS, tcpFastopenKeyInit } from "./stack/ipv4/tcp-fastopen-key.ts";
import {
  tcpFastopenListen, tcpFastopenRemove, tcpFastopenSet, tcpFastopenValue, tcpSynackFastopenSize, tcpTryFastopen, tcpWriteSynackFastopen,
} from "./stack/ipv4/tcp-fastopen.ts";
import { registerFastopen } from "./stack/ipv4/tcp-parts.ts";

function optionSize(synack: boolean): number {
  return synack ? tcpSynackFastopenSize() : tcpSynFastopenSize();
}

function writeOption(offset: number, synack: boolean): void {
  if (synack) tcpWriteSynackFastopen(offset);
  else tcpWriteSynFastopen(offset);
}

/** Not made at boot: there it would be in RAM. */
const FASTOPEN = Object.freeze({
  cookieCheck: tcpFastopenCookieCheck, sendSyn: tcpSendSynData, sendmsg: tcpSendmsgFastopen, synack: tcpRcvFastopenSynack, optionSize,
  writeOption, listen: tcpFastopenListen, tryOpen: tcpTryFastopen, remove: tcpFastopenRemove, forgetKey: fastopenForgetKey,
  set: tcpFastopenSet, value: tcpFastopenValue, getKey: fastopenGetListenerKey,
});

/** For the option `initcalls`. */
export const fastopen: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_fastopen",
  words: (config: Config) => tcpMetricsWords(config.destinations) + TCP_FASTOPEN_KEY_WORDS,
  init(config: Config) {
    tcpFastopenKeyInit();
    tcpFastopenClientInit(config.destinations);
    registerFastopen(FASTOPEN);
  },
});
