/**
 * FTP's helper as a part to be had or not, listed at boot behind `ctHelpers`: data connections of PORT, PASV, EPRT and EPSV are RELATED
 * to the control connection that announced them, and are translated as it is where `nat` is there.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { nfConntrackFtpInit } from "./stack/netfilter/nf-conntrack-ftp.ts";
import { nfNatFtpInit } from "./stack/netfilter/nf-nat-ftp.ts";

/** For boot()'s option `initcalls`. */
export const ftp: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "nf_conntrack_ftp",
  init() {
    nfConntrackFtpInit();
    nfNatFtpInit();
  },
});
