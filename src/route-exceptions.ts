/**
 * What is learned of the way to single destinations, as a part: path MTUs (RFC 1191) and redirects. boot() lists it, a program of
 * startKernel() where it wants it. Without it sockets begin with IP_PMTUDISC_DONT, so that routers on the way may make pieces.
 */
import { type Config, ROUTE_EXCEPTIONS_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { fnheFind, fnheForget, fnheInit, fnheWords } from "./stack/ipv4/fib-exception.ts";
import { registerIpExceptions } from "./stack/ipv4/ip-parts.ts";
import { ipRtUpdatePmtu, ipv4Redirect } from "./stack/ipv4/route-learn.ts";

/** Not made at boot: there it would be in RAM. */
const EXCEPTIONS = Object.freeze({ find: fnheFind, forget: fnheForget, updatePmtu: ipRtUpdatePmtu, redirect: ipv4Redirect });

/** For the option `initcalls`. Its size is the option `fibExceptions`. */
export const routeExceptions: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "route_exceptions",
  sizes: ROUTE_EXCEPTIONS_SIZES,
  words: ({ fibExceptions }: Config) => fnheWords(fibExceptions),
  init({ fibExceptions }: Config) {
    fnheInit(fibExceptions);
    registerIpExceptions(EXCEPTIONS);
  },
});
