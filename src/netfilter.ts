/**
 * Netfilter's hooks as a part to be had or not. A program lists it at boot, `boot({ initcalls: [netfilter] })`, and registers what
 * judges packets: `nfRegisterHook(new NfHookOps(judge, NFPROTO_IPV4, NF_INET_LOCAL_IN, NF_IP_PRI_FILTER))`.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { nfInit } from "./stack/netfilter/hooks.ts";

export {
  NfHookOps, type NfHookFn, type NfQueueHandler, nfRegisterHook, nfRegisterQueueHandler, nfReinject, nfUnregisterHook,
} from "./stack/netfilter/hooks.ts";
export * from "./uapi/netfilter.ts";

/** For boot()'s option `initcalls`; the parts that stand on it come after it. */
export const netfilter: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "netfilter",
  init: () => nfInit(),
});
