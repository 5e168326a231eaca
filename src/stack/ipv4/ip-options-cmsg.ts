/**
 * IP options as control messages: of a packet that is read, as it has them (IP_RECVOPTS) and as an answer would (IP_RETOPTS), and
 * of one packet that is sent (IP_RETOPTS). Linux: ip_cmsg_recv_opts(), ip_cmsg_recv_retopts() and ip_cmsg_send() of
 * net/ipv4/ip_sockglue.c. Owns the bytes of one set.
 *
 * A control message is words: four bytes of options each, the first in the highest, as addresses are.
 */
import { account } from "../../lib/account.ts";
import { mem8 } from "../../lib/memory.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { IP_RECVOPTS, IP_RETOPTS } from "../../uapi/in.ts";
import { MSG_CTRUNC, SOL_IP } from "../../uapi/socket.ts";
import { putCmsg } from "../core/datagram.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import type { Msghdr } from "../core/sockaddr.ts";
import { IP_HLEN, IPOPT_END, MAX_IPOPTLEN } from "../wire/ip.ts";
import { type InetSk, IP_CMSG_RECVOPTS, IP_CMSG_RETOPTS } from "./inet-sock.ts";
import { ipOptionBytes, wordAt } from "./ip-options.ts";
import { ipOptionsEcho, ipOptionsPrepareFrom, ipOptionsUndo } from "./ip-options-send.ts";

/** Bytes of options on their way from or to words. */
let bytes: Uint8Array;

/** Boot time. */
export function ipOptionsCmsgInit(): void {
  bytes = account("ip_options", new Uint8Array(MAX_IPOPTLEN));
}

function putOptions(msg: Msghdr, type: number, source: Uint8Array, from: number, length: number): void {
  const at = putCmsg(msg, SOL_IP, type, length >> 2);
  if (at < 0) return;
  for (let i = 0; i < length; i += 4) msg.control![at + (i >> 2)] = wordAt(source, from + i);
}

/** The control messages that a socket asked for about the options of a packet, if that has any. */
export function ipOptionsCmsgRecv(sk: InetSk, msg: Msghdr, skb: SkBuff): void {
  const optlen = ipOptionBytes(skb);
  if (optlen <= 0) return;
  const flags = sk.inet.flags;
  if ((flags & IP_CMSG_RECVOPTS) !== 0) putOptions(msg, IP_RECVOPTS, mem8, skb.nh + IP_HLEN, optlen);
  if ((flags & IP_CMSG_RETOPTS) === 0) return;
  const length = ipOptionsEcho(sk.net, skb);
  if (length < 0) {
    msg.flags |= MSG_CTRUNC;
    return;
  }
  ipOptionsUndo(bytes);
  putOptions(msg, IP_RETOPTS, bytes, 0, length);
}

/**
 * Prepares the options that a control message of sendmsg() brings for its packet. @param at, words where they are in `control`
 * @returns their bytes, or -EINVAL when they are faulty
 */
export function ipOptionsCmsgSend(sk: Sock, control: Int32Array, at: number, words: number): number {
  const length = words << 2 > MAX_IPOPTLEN ? MAX_IPOPTLEN : words << 2;
  for (let i = 0; i < MAX_IPOPTLEN; i++) bytes[i] = i < length ? (control[at + (i >> 2)]! >> (24 - ((i & 3) << 3))) & 255 : IPOPT_END;
  return ipOptionsPrepareFrom(sk.net, bytes, length) ? length : -EINVAL;
}
