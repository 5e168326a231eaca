/**
 * The SYN guard as a part to be had or not: a program whose listeners are open to a network it does not trust lists it at boot,
 * `boot({ initcalls: [synGuard] })`. Its sizes are the options `synGuard…`, its thresholds sysctls (net.ipv4.tcp_syn_guard…).
 */
import { type Config, SYN_GUARD_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerSynGuard } from "./stack/ipv4/ip-parts.ts";
import { synGuardCheck, synGuardInit, synGuardRetries, synGuardWords } from "./stack/ipv4/syn-guard.ts";

export {
  SYN_GUARD_ATTACK, SYN_GUARD_AUTO, SYN_GUARD_HIGH, SYN_GUARD_LOW, SYN_GUARD_NORMAL, SYN_GUARD_OFF, SYN_GUARD_ON, SYN_GUARD_PASSED,
  SYN_GUARD_TOO_MANY, SYN_GUARD_UNSEEN, SYN_GUARD_UNTRACKED, synGuardActive, synGuardCount, synGuardLevel,
} from "./stack/ipv4/syn-guard.ts";

/** Not made at boot: there it would be in RAM. */
const GUARD = Object.freeze({ check: synGuardCheck, retries: synGuardRetries });

/** For boot()'s option `initcalls`. */
export const synGuard: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "syn_guard",
  sizes: SYN_GUARD_SIZES,
  words: synGuardWords,
  init(config: Config) {
    synGuardInit(config);
    registerSynGuard(GUARD);
  },
});
