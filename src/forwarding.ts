/**
 * Forwarding of IP packets as a part to be had or not. A program lists it at boot, `boot({ initcalls: [forwarding] })`, and turns
 * it on: ipForwardSet(net, true), or for single devices devSetForwarding(). A router wants `fragments` too, or it drops what is
 * longer than the next link takes.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { ipForwardRoute } from "./stack/ipv4/ip-forward.ts";
import { registerIpForwarding } from "./stack/ipv4/ip-parts.ts";

export { devSetForwarding, ipForwardSet } from "./stack/ipv4/ip-forward.ts";

/** Not made at boot: there it would be in RAM. */
const FORWARDING = Object.freeze({ route: ipForwardRoute });

/** For boot()'s option `initcalls`. */
export const forwarding: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "ip_forward",
  init() {
    registerIpForwarding(FORWARDING);
  },
});
