/**
 * What ICMP errors do to TCP. Linux: tcp_v4_err() of net/ipv4/tcp_ipv4.c; a smaller path MTU is in tcp-mtu.ts. Read first: RFC 5927
 * (attacks by ICMP: the sequence number quoted must be in flight), RFC 1122 section 4.2.3.9, RFC 1191 (path MTU).
 */
import { mem8, memView } from "../../lib/memory.ts";
import { words } from "../../lib/table.ts";
import { EHOSTUNREACH, ENOENT, EPROTO } from "../../uapi/errno.ts";
import {
  ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH, ICMP_NET_UNREACH, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_TIME_EXCEEDED,
  NR_ICMP_UNREACH,
} from "../../uapi/icmp.ts";
import {
  ICMP_MIB_INERRORS, LINUX_MIB_LOCKDROPPEDICMPS, LINUX_MIB_OUTOFWINDOWICMPS, LINUX_MIB_TCPMINTTLDROP,
} from "../../uapi/snmp.ts";
import { TCP_CLOSE, TCP_SYN_RECV, TCP_SYN_SENT } from "../../uapi/tcp.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { SK_ERR_SOFT, sockByIndex, sockDefErrorReport } from "../core/sock.ts";
import { ICMPH_CODE, ICMPH_TYPE } from "../wire/icmp.ts";
import { IPH_DADDR, IPH_SADDR, IPH_TTL, IPH_VER_IHL } from "../wire/ip.ts";
import { TH_DPORT, TH_SEQ, TH_SPORT } from "../wire/tcp.ts";
import { icmpErrConvert } from "./icmp.ts";
import { ehashReqBase, ehashTwBase, inetLookupEstablished } from "./inet-hashtables.ts";
import { INET_RECVERR } from "./inet-sock.ts";
import { inetSockopts, ipControl, ipExceptions } from "./ip-parts.ts";
import { tcpV4MtuReduced } from "./tcp-mtu.ts";
import { tcpListening } from "./tcp-parts.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpDone } from "./tcp.ts";

/**
 * An ICMP error about a segment of ours: th at the ICMP header, data at the quoted IP header. The packet stays the
 * caller's.
 * @param info MTU of the next hop, for "fragmentation needed" @returns 0, or -ENOENT when it fits no connection
 */
export function tcpV4Err(skb: SkBuff, info: number): number {
  const view = memView;
  const net = skb.dev!.net!;
  const iph = skb.data;
  const th = iph + ((view.getUint8(iph + IPH_VER_IHL) & 15) << 2);
  const type = view.getUint8(skb.th + ICMPH_TYPE);
  const code = view.getUint8(skb.th + ICMPH_CODE);
  const seq = view.getInt32(th + TH_SEQ);
  const node = inetLookupEstablished(
    net, view.getInt32(iph + IPH_DADDR), view.getInt32(iph + IPH_SADDR),
    (view.getUint16(th + TH_DPORT) << 16) | view.getUint16(th + TH_SPORT), skb.iif,
  );
  if (node < 0) {
    net.mib[ICMP_MIB_INERRORS]!++;
    return -ENOENT;
  }
  if (node >= ehashTwBase) return 0;
  if (node >= ehashReqBase) {
    const unreachable = type === ICMP_DEST_UNREACH && (code === ICMP_NET_UNREACH || code === ICMP_HOST_UNREACH);
    tcpListening!.error(node - ehashReqBase, seq, unreachable || type === ICMP_PARAMETERPROB || type === ICMP_TIME_EXCEEDED);
    return 0;
  }
  const sk = sockByIndex(node) as TcpSk;
  const fragNeeded = type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED;
  if (sk.owned && !fragNeeded) net.mib[LINUX_MIB_LOCKDROPPEDICMPS]!++;
  if (sk.state === TCP_CLOSE) return 0;
  if (inetSockopts !== null && mem8[skb.data + IPH_TTL]! < inetSockopts.minTtl(sk)) {
    net.mib[LINUX_MIB_TCPMINTTLDROP]!++;
    return 0;
  }
  const tp = sk.tp;
  if (((seq - tp.sndUna) | 0) < 0 || ((tp.sndNxt - seq) | 0) < 0) {
    net.mib[LINUX_MIB_OUTOFWINDOWICMPS]!++;
    return 0;
  }
  if (fragNeeded) {
    tcpV4MtuReduced(sk, info);
    return 0;
  }
  if (type === ICMP_REDIRECT) {
    if (!sk.owned && ipExceptions !== null) ipExceptions.redirect(skb);
    return 0;
  }
  const err = icmpErrno(type, code);
  if (err !== 0) sockErr(sk, skb, err, th, info);
  return 0;
}

/** The errno of an ICMP error, 0 for one without meaning to TCP (source quench: RFC 6633). */
function icmpErrno(type: number, code: number): number {
  switch (type) {
    case ICMP_PARAMETERPROB:
      return EPROTO;
    case ICMP_DEST_UNREACH:
      return code > NR_ICMP_UNREACH ? 0 : icmpErrConvert(code);
    case ICMP_TIME_EXCEEDED:
      return EHOSTUNREACH;
    default:
      return 0;
  }
}

/**
 * Ends an attempt to connect, and the error can be read with MSG_ERRQUEUE (with or without IP_RECVERR); an established connection only
 * remembers it, for when it does not recover. @param th offset of the quoted TCP header
 */
function sockErr(sk: TcpSk, skb: SkBuff, err: number, th: number, info: number): void {
  // A fast open sock that a program has is as good as established.
  const taken = sk.tp.fastopenRsk !== null && sk.socket !== null;
  if (sk.state === TCP_SYN_SENT || (sk.state === TCP_SYN_RECV && !taken)) {
    ipControl!.icmpError(sk, skb, err, memView.getUint16(th + TH_DPORT), th - skb.data, info);
    if (sk.owned) {
      words[sk.cold + SK_ERR_SOFT] = err;
      return;
    }
    sk.err = err;
    sockDefErrorReport(sk);
    tcpDone(sk);
    return;
  }
  if (!sk.owned && (sk.inet.flags & INET_RECVERR) !== 0) {
    sk.err = err;
    sockDefErrorReport(sk);
  } else {
    words[sk.cold + SK_ERR_SOFT] = err;
  }
}
