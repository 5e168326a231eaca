/**
 * ARP's settings as a part: arp_ignore, arp_filter, arp_accept, arp_announce and drop_gratuitous_arp of net.ipv4.conf (linnet/neighbours
 * sets them). boot() lists it, a program of startKernel() where it wants it. Without it ARP does what it does by default.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { arpDropsGratuitous, arpLearn, arpMayAnnounce, arpMayReply } from "./stack/ipv4/arp-policy.ts";
import { registerIpArpPolicy } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const POLICY = Object.freeze({
  dropsGratuitous: arpDropsGratuitous, mayReply: arpMayReply, learn: arpLearn, mayAnnounce: arpMayAnnounce,
});

/** For the option `initcalls`. */
export const arpPolicy: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "arp_policy",
  init: () => registerIpArpPolicy(POLICY),
});
