/** What is done with chains of packets (skb-frags.ts) by those who do not know whether there are any. Owns nothing. */
import { skbCopyFragsMsg } from "./datagram.ts";
import { skbChecksum, skbFreeFrags, skbLinearize, skbShareFrags } from "./skb-frags.ts";
import type { SkbFragOps } from "./skbuff.ts";

/** Not made at boot: there it would be in RAM. */
export const skbFragOps: SkbFragOps = Object.freeze({
  release: skbFreeFrags, share: skbShareFrags, checksum: skbChecksum, linearize: skbLinearize, copyMsg: skbCopyFragsMsg,
});
