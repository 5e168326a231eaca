/**
 * Receiving UDP: from the IP layer into receive queues, from there to the program, and what ICMP reports. Linux:
 * udp_rcv(), udp_recvmsg(), udp_err() of net/ipv4/udp.c. Read first: RFC 768, RFC 1122 section 4.1.3. Owns nothing; a
 * packet in a receive queue starts at its data, `th` and `nh` still at its headers.
 */
import { csumPartial, csumTcpudpMagic } from "../../lib/checksum.ts";
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import {
  SKB_DROP_REASON_NO_SOCKET, SKB_DROP_REASON_PKT_TOO_SMALL, SKB_DROP_REASON_UDP_CSUM,
} from "../../uapi/drop-reason.ts";
import { EAGAIN, EHOSTUNREACH, EMSGSIZE, ENOENT, EPROTO } from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_PARAMETERPROB, ICMP_PORT_UNREACH, ICMP_REDIRECT, ICMP_SOURCE_QUENCH,
  NR_ICMP_UNREACH,
} from "../../uapi/icmp.ts";
import { IP_PMTUDISC_DONT, IPPROTO_UDP } from "../../uapi/in.ts";
import {
  ICMP_MIB_INERRORS, UDP_MIB_CSUMERRORS, UDP_MIB_IGNOREDMULTI, UDP_MIB_INDATAGRAMS, UDP_MIB_INERRORS, UDP_MIB_MEMERRORS,
  UDP_MIB_NOPORTS, UDP_MIB_RCVBUFERRORS,
} from "../../uapi/snmp.ts";
import { AF_INET, MSG_ERRQUEUE, MSG_PEEK, MSG_TRUNC } from "../../uapi/socket.ts";
import { TCP_ESTABLISHED } from "../../uapi/tcp.ts";
import {
  skbCopyDatagram, skbFreeDatagram, skbRecvDatagram, skbRecvError, sockFilterSkb, sockTimestampSet,
} from "../core/datagram.ts";
import type { Net } from "../core/net.ts";
import {
  CHECKSUM_UNNECESSARY, consumeSkb, kfreeSkb, pskbMayPull, type SkBuff, skbClone, skbDstDrop, skbFrags, skbPull,
} from "../core/skbuff.ts";
import { pskbTrim } from "../core/skb-frags.ts";
import { SK_DROPS, type Sock, SOCK_FILTERED, SOCK_TIMESTAMP, sockDefErrorReport, sockQueueRcvSkb } from "../core/sock.ts";
import type { Msghdr, SockaddrIn } from "../core/sockaddr.ts";
import { ICMPH_CODE, ICMPH_TYPE } from "../wire/icmp.ts";
import { IPH_DADDR, IPH_SADDR } from "../wire/ip.ts";
import { UDP_HLEN, UH_DPORT, UH_SPORT, UH_SUM, UH_ULEN } from "../wire/udp.ts";
import { datagramUpdatePmtu } from "./datagram.ts";
import { icmpErrConvert, icmpErrFatal, icmpSend } from "./icmp.ts";
import type { InetSk } from "./inet-sock.ts";
import { INET_RECVERR } from "./inet-sock.ts";
import { ipControl, ipExceptions } from "./ip-parts.ts";
import { RTCF_BROADCAST, RTCF_MULTICAST, type Rtable } from "./rtable.ts";
import { udp4LibLookup, udpChain, udpIsMcastSock } from "./udp-table.ts";

function udpDrop(net: Net, skb: SkBuff, reason: number): number {
  net.mib[UDP_MIB_INERRORS]!++;
  kfreeSkb(skb, reason);
  return 0;
}

/** Is the checksum wrong? 0 in the header means the sender made none (RFC 768). */
function checksumBad(skb: SkBuff, uh: number, ulen: number, saddr: number, daddr: number): boolean {
  if (skb.ipSummed === CHECKSUM_UNNECESSARY || memView.getUint16(uh + UH_SUM) === 0) return false;
  const sum = skb.fragList === null ? csumPartial(uh, ulen) : skbFrags!.checksum(skb, 0, ulen);
  return csumTcpudpMagic(saddr, daddr, ulen, IPPROTO_UDP, sum) !== 0;
}

/**
 * Takes a datagram from the IP layer: to its socket, for a broadcast or a group to all that want it, or answered with
 * port unreachable. Linux: udp_rcv(), __udp4_lib_rcv().
 * @param skb data and th at the UDP header @returns 0
 */
export function udpRcv(skb: SkBuff): number {
  const dev = skb.dev!;
  const net = dev.net!;
  const uh = skb.data;
  if (!pskbMayPull(skb, UDP_HLEN)) return udpDrop(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  const view = memView;
  const ulen = view.getUint16(uh + UH_ULEN);
  if (ulen > skb.len || ulen < UDP_HLEN) return udpDrop(net, skb, SKB_DROP_REASON_PKT_TOO_SMALL);
  if (ulen < skb.len) pskbTrim(skb, ulen);
  const nh = skb.nh;
  const saddr = view.getInt32(nh + IPH_SADDR);
  const daddr = view.getInt32(nh + IPH_DADDR);
  skb.th = uh;
  if (checksumBad(skb, uh, ulen, saddr, daddr)) {
    net.mib[UDP_MIB_CSUMERRORS]!++;
    return udpDrop(net, skb, SKB_DROP_REASON_UDP_CSUM);
  }
  const sport = view.getUint16(uh + UH_SPORT);
  const dport = view.getUint16(uh + UH_DPORT);
  const rt = skb.dst as Rtable | null;
  if (rt !== null && (rt.flags & (RTCF_BROADCAST | RTCF_MULTICAST)) !== 0) {
    return mcastDeliver(skb, net, saddr, sport, daddr, dport, dev.ifindex);
  }
  const sk = udp4LibLookup(net, saddr, sport, daddr, dport, dev.ifindex);
  if (sk !== null) return udpQueueRcvSkb(sk, skb);
  net.mib[UDP_MIB_NOPORTS]!++;
  icmpSend(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  kfreeSkb(skb, SKB_DROP_REASON_NO_SOCKET);
  return 0;
}

/** Puts a datagram, its header checked, into a receive queue. Linux: udp_queue_rcv_skb(). */
export function udpQueueRcvSkb(sk: Sock, skb: SkBuff): number {
  if ((sk.flags & SOCK_FILTERED) !== 0 && !sockFilterSkb(sk, skb, UDP_HLEN)) {
    sk.net.mib[UDP_MIB_INERRORS]!++;
    return 0;
  }
  skbPull(skb, UDP_HLEN);
  skbDstDrop(skb);
  if ((sk.flags & SOCK_TIMESTAMP) !== 0) sockTimestampSet(sk, skb);
  if (sockQueueRcvSkb(sk, skb) < 0) {
    const mib = sk.net.mib;
    mib[UDP_MIB_RCVBUFERRORS]!++;
    mib[UDP_MIB_INERRORS]!++;
  }
  return 0;
}

/** To every socket that wants it: copies of the header for all but the last. Linux: __udp4_lib_mcast_deliver(). */
function mcastDeliver(
  skb: SkBuff, net: Net, saddr: number, sport: number, daddr: number, dport: number, dif: number,
): number {
  let previous: InetSk | null = null;
  for (let sk = udpChain(net, dport); sk !== null; sk = sk.hashNext as InetSk | null) {
    if (!udpIsMcastSock(sk, net, saddr, sport, daddr, dport, dif)) continue;
    if (previous !== null) {
      const clone = skbClone(skb);
      if (clone === null) {
        words[previous.cold + SK_DROPS]!++;
        net.mib[UDP_MIB_MEMERRORS]!++;
        net.mib[UDP_MIB_INERRORS]!++;
      } else {
        udpQueueRcvSkb(previous, clone);
      }
    }
    previous = sk;
  }
  if (previous !== null) return udpQueueRcvSkb(previous, skb);
  net.mib[UDP_MIB_IGNOREDMULTI]!++;
  consumeSkb(skb);
  return 0;
}

/**
 * Reads the next datagram. What does not fit is lost and MSG_TRUNC set; with MSG_TRUNC in `flags` the answer is its
 * whole length. Linux: udp_recvmsg().
 * @returns bytes, or -EAGAIN, the pending error, 0 after shutdown(SHUT_RD)
 */
export function udpRecvmsg(sk: Sock, msg: Msghdr, length: number, flags: number): number {
  if ((flags & MSG_ERRQUEUE) !== 0) return ipControl === null ? -EAGAIN : ipControl.recvError(sk as InetSk, msg, length);
  const skb = skbRecvDatagram(sk, flags);
  if (skb === null) return skbRecvError(sk, flags);
  const ulen = skb.len;
  const copied = skbCopyDatagram(skb, msg, length);
  if ((flags & MSG_PEEK) === 0) sk.net.mib[UDP_MIB_INDATAGRAMS]!++;
  const name = msg.name as SockaddrIn | null;
  if (name !== null) {
    name.family = AF_INET;
    name.addr = memView.getInt32(skb.nh + IPH_SADDR);
    name.port = memView.getUint16(skb.th + UH_SPORT);
  }
  if (msg.control !== null && ipControl !== null) ipControl.receive(sk as InetSk, msg, skb);
  skbFreeDatagram(skb);
  return (flags & MSG_TRUNC) !== 0 ? ulen : copied;
}

/**
 * Hears of an ICMP error about a datagram we sent: a connected socket (or one with IP_RECVERR) gets it as its pending
 * error. Linux: udp_err().
 * @param skb th at the ICMP header, data at the quoted IP header; it stays the caller's @param info by type: MTU,
 * pointer
 * @returns 0, or -ENOENT when no socket sent it
 */
export function udpErr(skb: SkBuff, info: number): number {
  const dev = skb.dev!;
  const net = dev.net!;
  const iph = skb.data;
  const ihl = (mem8[iph]! & 15) << 2;
  const uh = iph + ihl;
  const daddr = memView.getInt32(iph + IPH_DADDR);
  const dport = memView.getUint16(uh + UH_DPORT);
  const saddr = memView.getInt32(iph + IPH_SADDR);
  const sk = udp4LibLookup(net, daddr, dport, saddr, memView.getUint16(uh + UH_SPORT), dev.ifindex);
  if (sk === null) {
    net.mib[ICMP_MIB_INERRORS]!++;
    return -ENOENT;
  }
  const code = mem8[skb.th + ICMPH_CODE]!;
  let err = EHOSTUNREACH;
  let fatal = false;
  switch (mem8[skb.th + ICMPH_TYPE]) {
    case ICMP_REDIRECT:
      if (ipExceptions !== null) ipExceptions.redirect(skb);
      return 0;
    case ICMP_SOURCE_QUENCH:
      return 0;
    case ICMP_PARAMETERPROB:
      err = EPROTO;
      fatal = true;
      break;
    case ICMP_DEST_UNREACH:
      if (code === ICMP_FRAG_NEEDED) {
        datagramUpdatePmtu(sk, skb, daddr, info);
        if (sk.inet.pmtudisc === IP_PMTUDISC_DONT) return 0;
        err = EMSGSIZE;
        fatal = true;
      } else if (code <= NR_ICMP_UNREACH) {
        err = icmpErrConvert(code);
        fatal = icmpErrFatal(code);
      }
      break;
    default:
      break;
  }
  if ((sk.inet.flags & INET_RECVERR) !== 0) ipControl!.icmpError(sk, skb, err, dport, ihl + UDP_HLEN, info);
  else if (!fatal || sk.state !== TCP_ESTABLISHED) return 0;
  sk.err = err;
  sockDefErrorReport(sk);
  return 0;
}
