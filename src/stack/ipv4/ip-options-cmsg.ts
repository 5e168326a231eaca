/**
 * IP options as control messages: of a packet that is read, as it has them (IP_RECVOPTS) and as an answer would (IP_RETOPTS), and
 * of one packet that is sent (IP_RETOPTS). Linux: ip_cmsg_recv_opts(), ip_cmsg_recv_retopts() and ip_cmsg_send() of
 * net/ipv4/ip_sockglue.c. Owns nothing.
 *
 * A control message is words: four bytes of options each, the first in the highest, as addresses are.
 */
import { account } from "../../lib/account.ts";
import { mem8 } from "../../lib/memory.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { IP_RECVOPTS, IP_RETOPTS } from "../../uapi/in.ts";
import { RTN_UNICAST } from "../../uapi/rtnetlink.ts";
import { MSG_CTRUNC, SOL_IP } from "../../uapi/socket.ts";
import { putCmsg } from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import type { Msghdr } from "../core/sockaddr.ts";
import {
  IP_HLEN, IPOPT_END, IPOPT_LSRR, IPOPT_NOOP, IPOPT_OFFSET, IPOPT_OLEN, IPOPT_RR, IPOPT_SSRR, IPOPT_TIMESTAMP, IPOPT_TS_FLAGS,
  IPOPT_TS_PRESPEC, IPOPT_TS_TSANDADDR, IPOPT_TS_TSONLY, MAX_IPOPTLEN,
} from "../wire/ip.ts";
import { inetAddrType } from "./fib-lookup.ts";
import { type InetSk, IP_CMSG_RECVOPTS, IP_CMSG_RETOPTS } from "./inet-sock.ts";
import { IpOptions, ipOptionBytes, ipOptionsClear, wordAt } from "./ip-options.ts";
import { ipOptionsEchoOf, ipOptionsPrepareFrom, ipOptionsUndo } from "./ip-options-send.ts";

/** Smallest pointer of a timestamp option that a host has written to. */
const TS_WRITTEN = 9;

/** Those of the packet that is read, and room for their bytes. */
let seen: IpOptions;

/** Boot time. */
export function ipOptionsCmsgInit(): void {
  seen = account("ip_options", new IpOptions(MAX_IPOPTLEN));
}

/** Finds again what compiling has found: the packet was taken, so its options are without fault, and this host has filled them in. */
function reread(net: Net, skb: SkBuff): IpOptions {
  const opt = seen;
  ipOptionsClear(opt, ipOptionBytes(skb));
  const nh = skb.nh;
  const end = skb.th;
  let at = nh + IP_HLEN;
  while (at < end && mem8[at] !== IPOPT_END) {
    const kind = mem8[at]!;
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = mem8[at + IPOPT_OLEN]!;
    if (length < 2) break;
    const room = mem8[at + IPOPT_OFFSET]! <= length;
    if (kind === IPOPT_RR) {
      opt.rr = at - nh;
      opt.rrNeedaddr = room;
    } else if (kind === IPOPT_TIMESTAMP) {
      opt.ts = at - nh;
      if (room) rereadTimestamp(net, opt, at);
    } else if (kind === IPOPT_LSRR || kind === IPOPT_SSRR) {
      opt.srr = at - nh;
      opt.strict = kind === IPOPT_SSRR;
    }
    at += length;
  }
  return opt;
}

function rereadTimestamp(net: Net, opt: IpOptions, at: number): void {
  const pointer = mem8[at + IPOPT_OFFSET]!;
  const flags = mem8[at + IPOPT_TS_FLAGS]! & 15;
  opt.tsNeedaddr = flags === IPOPT_TS_TSANDADDR;
  opt.tsNeedtime = flags === IPOPT_TS_TSONLY || flags === IPOPT_TS_TSANDADDR
    || (flags === IPOPT_TS_PRESPEC && pointer > TS_WRITTEN && inetAddrType(net, wordAt(mem8, at + pointer - TS_WRITTEN)) !== RTN_UNICAST);
}

function putOptions(msg: Msghdr, type: number, bytes: Uint8Array, from: number, length: number): void {
  const at = putCmsg(msg, SOL_IP, type, length >> 2);
  if (at < 0) return;
  for (let i = 0; i < length; i += 4) msg.control![at + (i >> 2)] = wordAt(bytes, from + i);
}

/** The control messages that a socket asked for about the options of a packet, if that has any. */
export function ipOptionsCmsgRecv(sk: InetSk, msg: Msghdr, skb: SkBuff): void {
  const optlen = ipOptionBytes(skb);
  if (optlen <= 0) return;
  const flags = sk.inet.flags;
  if ((flags & IP_CMSG_RECVOPTS) !== 0) putOptions(msg, IP_RECVOPTS, mem8, skb.nh + IP_HLEN, optlen);
  if ((flags & IP_CMSG_RETOPTS) === 0) return;
  const opt = seen;
  const length = ipOptionsEchoOf(sk.net, reread(sk.net, skb), skb);
  if (length < 0) {
    msg.flags |= MSG_CTRUNC;
    return;
  }
  ipOptionsUndo(opt.data);
  putOptions(msg, IP_RETOPTS, opt.data, 0, length);
}

/**
 * Prepares the options that a control message of sendmsg() brings for its packet. @param at, words where they are in `control`
 * @returns their bytes, or -EINVAL when they are faulty
 */
export function ipOptionsCmsgSend(sk: Sock, control: Int32Array, at: number, words: number): number {
  const length = words << 2 > MAX_IPOPTLEN ? MAX_IPOPTLEN : words << 2;
  const bytes = seen.data;
  for (let i = 0; i < MAX_IPOPTLEN; i++) bytes[i] = i < length ? (control[at + (i >> 2)]! >> (24 - ((i & 3) << 3))) & 255 : IPOPT_END;
  return ipOptionsPrepareFrom(sk.net, bytes, length) ? length : -EINVAL;
}
