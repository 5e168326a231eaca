/**
 * TCP with all its parts: boot() lists it, a program of startKernel() where it wants it. One that does without some lists
 * linnet/tcp-client or linnet/tcp-server instead, and the parts it wants behind it. Its sizes are the options from tcpSocks on.
 */
import { type Config, TCP_SIZES } from "./config.ts";
import { doInitcalls, FS_INITCALL, type Initcall, initcallWords } from "./lib/initcall.ts";
import { syncookies } from "./syncookies.ts";
import { cubic } from "./tcp-cubic.ts";
import { ecn } from "./tcp-ecn.ts";
import { fastopen } from "./tcp-fastopen.ts";
import { tcpInfo } from "./tcp-info.ts";
import { tcpMd5Sig } from "./tcp-md5.ts";
import { mtuProbing } from "./tcp-mtu-probing.ts";
import { pacing } from "./tcp-pacing.ts";
import { rack } from "./tcp-rack.ts";
import { rcvbufGrowth } from "./tcp-rcvbuf.ts";
import { tcpServer } from "./tcp-server.ts";
import { tcpSocketOptions } from "./tcp-socket-options.ts";
import { undo } from "./tcp-undo.ts";
import { urgentData } from "./tcp-urgent.ts";

const parts: readonly Initcall<Config>[] = Object.freeze([
  tcpServer, cubic, rack, undo, ecn, urgentData, pacing, rcvbufGrowth, syncookies, fastopen, tcpMd5Sig, tcpInfo, mtuProbing, tcpSocketOptions,
]);

/** For the option `initcalls`. */
export const tcp: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp",
  sizes: TCP_SIZES,
  words: (config: Config) => initcallWords(parts, config),
  init: (config: Config) => doInitcalls(parts, config),
});
