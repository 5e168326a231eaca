/**
 * connect() over IPv4. Linux: tcp_v4_connect() of net/ipv4/tcp_ipv4.c. Read first: RFC 9293 sections 3.5 and 3.10, RFC 6528 (initial
 * sequence numbers).
 */
import { getRandomU32 } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { EAFNOSUPPORT, EINVAL, ENETUNREACH } from "../../uapi/errno.ts";
import { AF_INET } from "../../uapi/socket.ts";
import { IPSTATS_MIB_OUTNOROUTES } from "../../uapi/snmp.ts";
import { TCP_CLOSE, TCP_MSS_DEFAULT, TCP_SYN_SENT } from "../../uapi/tcp.ts";
import { dstRelease } from "../core/dst.ts";
import { skDstSet, type Sock } from "../core/sock.ts";
import type { SockaddrIn } from "../core/sockaddr.ts";
import { flowi4SockInit, outputFlow } from "./flow.ts";
import { inetHashConnect } from "./inet-bind.ts";
import { IP_CMSG_OPTIONS } from "./inet-sock.ts";
import { inetSkRebuildRoute } from "./ip-output.ts";
import { ipOptions } from "./ip-parts.ts";
import { ipRouteOutputFlow } from "./route.ts";
import { RTCF_BROADCAST, RTCF_MULTICAST } from "./rtable.ts";
import { FASTOPEN_REQ_ASK, FASTOPEN_REQ_NONE, TP_DEFER_CONNECT, TP_FASTOPEN_CONNECT, TP_FASTOPEN_REQ, TP_MSS_CLAMP, TP_TS_RECENT_STAMP } from "./tcp-cold.ts";
import { tcpConnect } from "./tcp-output.ts";
import { tcpFastopen } from "./tcp-parts.ts";
import { secureTcpSeq, secureTcpTsOff } from "./tcp-secure-seq.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpSetState } from "./tcp.ts";

/**
 * connect(): route, source address, port, and the SYN. Linux: tcp_v4_connect().
 * @returns 0 when the SYN is on its way; -EAFNOSUPPORT, -ENETUNREACH and the other errors of routing, -EADDRNOTAVAIL
 *   (no free port), -ENOBUFS; after an error the sock is closed as before
 */
export function tcpV4Connect(sock: Sock, addr: SockaddrIn): number {
  const sk = sock as TcpSk;
  if (addr.family !== AF_INET) return -EAFNOSUPPORT;
  const net = sk.net;
  const inet = sk.inet;
  const tp = sk.tp;
  const fl = outputFlow;
  let hop = addr.addr | 0;
  if ((inet.flags & IP_CMSG_OPTIONS) !== 0) {
    ipOptions!.prepare(sk.index);
    hop = ipOptions!.firstHop(hop);
    if (hop !== (addr.addr | 0) && addr.addr === 0) return -EINVAL;
  }
  flowi4SockInit(fl, sk, hop, inet.saddr, sk.boundDevIf, inet.tos);
  fl.ports = (inet.num << 16) | addr.port;
  const rt = ipRouteOutputFlow(net, fl, sk);
  if (rt === null) {
    if (fl.error === -ENETUNREACH) net.mib[IPSTATS_MIB_OUTNOROUTES]!++;
    return fl.error;
  }
  if ((rt.flags & (RTCF_MULTICAST | RTCF_BROADCAST)) !== 0) {
    dstRelease(rt);
    return -ENETUNREACH;
  }
  // A source route leads to whom the program named; else "any" has become this host.
  const daddr = hop !== (addr.addr | 0) ? addr.addr | 0 : fl.daddr;
  if (inet.saddr === 0) inet.saddr = fl.saddr;
  inet.rcvSaddr = inet.saddr;
  if (words[tp.cold + TP_TS_RECENT_STAMP] !== 0 && inet.daddr !== daddr) {
    // The sock was connected before, to another host: nothing of that counts here.
    tp.tsRecent = words[tp.cold + TP_TS_RECENT_STAMP] = 0;
    tp.writeSeq = 0;
  }
  inet.dport = addr.port;
  inet.daddr = daddr;
  words[tp.cold + TP_MSS_CLAMP] = TCP_MSS_DEFAULT;
  tcpSetState(sk, TCP_SYN_SENT);
  let err = inetHashConnect(sk);
  if (err === 0) {
    skDstSet(sk, rt);
    // With its port the flow may take another way. Linux: ip_route_newports().
    if (net.ipv4.fibMultipathHashPolicy !== 0) inetSkRebuildRoute(sk);
    if (tp.writeSeq === 0) tp.writeSeq = secureTcpSeq(inet.saddr, daddr, inet.num, inet.dport);
    tp.tsoffset = secureTcpTsOff(net, inet.saddr, daddr);
    inet.id = getRandomU32() & 0xffff;
    if (words[tp.cold + TP_FASTOPEN_CONNECT] !== 0 && words[tp.cold + TP_FASTOPEN_REQ] === FASTOPEN_REQ_NONE) {
      if (tcpFastopen!.cookieCheck(sk)) {
        words[tp.cold + TP_DEFER_CONNECT] = 1;
        return 0;
      }
      words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_ASK;
    }
    err = tcpConnect(sk);
    words[tp.cold + TP_FASTOPEN_REQ] = FASTOPEN_REQ_NONE;
    if (err === 0) return 0;
  } else {
    dstRelease(rt);
  }
  tcpSetState(sk, TCP_CLOSE);
  inet.dport = 0;
  return err;
}
