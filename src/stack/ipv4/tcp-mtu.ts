/**
 * The path takes only smaller packets: what was too large for it goes again at once, in smaller segments. Linux:
 * tcp_v4_mtu_reduced() of net/ipv4/tcp_ipv4.c, tcp_simple_retransmit() of net/ipv4/tcp_input.c. Read first: RFC 1191
 * sections 3 and 6.4, RFC 5927 section 7 (the caller has checked that the quoted number is in flight).
 */
import { words } from "../../lib/table.ts";
import { EMSGSIZE } from "../../uapi/errno.ts";
import { IP_PMTUDISC_DONT, IP_PMTUDISC_INTERFACE, IP_PMTUDISC_OMIT } from "../../uapi/in.ts";
import { TCP_CA_LOSS, TCP_SYN_SENT, TCPF_CLOSE, TCPF_LISTEN } from "../../uapi/tcp.ts";
import { SK_ERR_SOFT, skDstCheck } from "../core/sock.ts";
import { inetSkRebuildRoute, ipDontFragment } from "./ip-output.ts";
import { dstMtu } from "./rtable.ts";
import { TP_HIGH_SEQ, TP_PRIOR_SSTHRESH, TP_SACK_OK, TP_SYN_DATA, TP_UNDO_MARKER } from "./tcp-cold.ts";
import { tcpCurrentSsthresh, tcpSetCaState } from "./tcp-cong.ts";
import { tcpMarkSkbLost, tcpXmitRetransmitQueue } from "./tcp-retransmit.ts";
import type { TcpSk } from "./tcp-sock.ts";
import { tcpCurrentMss, tcpSyncMss } from "./tcp-window.ts";

/**
 * Segments in flight that are longer than the MSS now are lost for another reason than congestion: they go again, and the
 * window stays as it is. Of a SYN with data nothing can have come through. Linux: tcp_simple_retransmit().
 */
export function tcpSimpleRetransmit(sk: TcpSk): void {
  const tp = sk.tp;
  const mss = words[tp.cold + TP_SYN_DATA] !== 0 && sk.state === TCP_SYN_SENT ? -1 : tcpCurrentMss(sk);
  for (let skb = sk.writeQueue.head; skb !== null && skb !== sk.sendHead; skb = skb.next) {
    if (skb.len > mss) tcpMarkSkbLost(sk, skb);
  }
  tp.retransmitHint = null;
  if (tp.lostOut === 0) return;
  const most = tp.packetsOut - tp.lostOut;
  if (words[tp.cold + TP_SACK_OK] === 0 && tp.sackedOut > most) tp.sackedOut = most;
  if (sk.icsk.caState !== TCP_CA_LOSS) {
    words[tp.cold + TP_HIGH_SEQ] = tp.sndNxt;
    tp.sndSsthresh = tcpCurrentSsthresh(sk);
    words[tp.cold + TP_PRIOR_SSTHRESH] = words[tp.cold + TP_UNDO_MARKER] = 0;
    tcpSetCaState(sk, TCP_CA_LOSS);
  }
  tcpXmitRetransmitQueue(sk);
}

/**
 * "Fragmentation needed": the route learns the MTU (never below net.ipv4.route.min_pmtu), segments shrink, and what was in
 * flight and is too long goes again. Linux: tcp_v4_mtu_reduced(). @param mtu of the next hop, as ICMP named it
 */
export function tcpV4MtuReduced(sk: TcpSk, mtu: number): void {
  if (((1 << sk.state) & (TCPF_LISTEN | TCPF_CLOSE)) !== 0) return;
  const discovery = sk.inet.pmtudisc;
  if (discovery === IP_PMTUDISC_INTERFACE || discovery === IP_PMTUDISC_OMIT) return;
  const old = skDstCheck(sk) ?? inetSkRebuildRoute(sk);
  if (old === null) return;
  old.ops.updatePmtu(old, sk, null, mtu);
  // The destination has a route of its own now.
  const dst = skDstCheck(sk) ?? inetSkRebuildRoute(sk);
  if (dst === null) return;
  const pmtu = dstMtu(dst);
  // If nothing else helps, this is what the program will hear.
  if (mtu < pmtu && ipDontFragment(sk)) words[sk.cold + SK_ERR_SOFT] = EMSGSIZE;
  if (discovery === IP_PMTUDISC_DONT || sk.icsk.pmtuCookie <= pmtu) return;
  tcpSyncMss(sk, pmtu);
  // A call in progress may be walking the queue; then the timer does it.
  if (!sk.owned) tcpSimpleRetransmit(sk);
}
