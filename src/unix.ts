/**
 * UNIX sockets as a part to be had or not: streams and datagrams within the program, and socketpair(). A program lists it at boot,
 * `boot({ initcalls: [unix] })`. Its size is the option unixSocks.
 */
import { type Config, UNIX_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { unixInit } from "./stack/unix/af-unix.ts";

export { SockaddrUn } from "./stack/core/sockaddr.ts";

/** For boot()'s option `initcalls`. */
export const unix: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "unix",
  sizes: UNIX_SIZES,
  init: (config: Config) => unixInit(config.unixSocks),
});
