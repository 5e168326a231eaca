/**
 * Tail loss probe: when the last segments of a flight are lost nothing comes back to tell; after two round trips new data, or the
 * last segment again, makes the peer answer. Linux: tcp_schedule_loss_probe() and tcp_send_loss_probe() of
 * net/ipv4/tcp_output.c, tcp_process_tlp_ack() of net/ipv4/tcp_input.c. Read first: RFC 8985 section 7.
 */
import { words } from "../../lib/table.ts";
import { LINUX_MIB_TCPLOSSPROBERECOVERY, LINUX_MIB_TCPLOSSPROBES } from "../../uapi/snmp.ts";
import { TCP_CA_CWR, TCP_CA_OPEN } from "../../uapi/tcp.ts";
import { FLAG_DATA_SACKED, FLAG_DSACK_TLP, FLAG_NOT_DUP, FLAG_SND_UNA_ADVANCED } from "./tcp-ack-flags.ts";
import { tcpTryKeepOpen } from "./tcp-ca-state.ts";
import { TP_SACK_OK, TP_TLP_HIGH_SEQ, TP_TLP_RETRANS } from "./tcp-cold.ts";
import { tcpSetCaState } from "./tcp-cong.ts";
import { tcpSendProbeSegment } from "./tcp-output.ts";
import { tcpEndCwndReduction, tcpInitCwndReduction } from "./tcp-prr.ts";
import { tcpRetransmitSegment } from "./tcp-retransmit.ts";
import { ICSK_TIME_LOSS_PROBE, type TcpSk } from "./tcp-sock.ts";
import { inetCskResetXmitTimer, TCP_RTO_MIN, TCP_TIMEOUT_INIT, TCP_TIMEOUT_MIN, tcpRearmRto, tcpRtoDelta } from "./tcp-timer.ts";

/** tcp_early_retrans: probes are on. */
const TLP_ON = 3;

/**
 * Times a probe instead of the retransmission, when nothing is being repaired. Linux: tcp_schedule_loss_probe().
 * @param advancing the timeout starts anew now @returns false when the RTO is to be timed
 */
export function tcpScheduleLossProbe(sk: TcpSk, advancing: boolean): boolean {
  const tp = sk.tp;
  const icsk = sk.icsk;
  const state = icsk.caState;
  if (words[tp.cold + TP_SACK_OK] === 0 || tp.packetsOut === 0 || (state !== TCP_CA_OPEN && state !== TCP_CA_CWR)) return false;
  if (sk.net.ipv4.tcpEarlyRetrans < TLP_ON) return false;
  let timeout = TCP_TIMEOUT_INIT;
  // One segment alone may wait for the peer's delayed ACK.
  if (tp.srtt !== 0) timeout = (tp.srtt >> 2) + (tp.packetsOut === 1 ? TCP_RTO_MIN : TCP_TIMEOUT_MIN);
  const rto = advancing ? icsk.rto : tcpRtoDelta(sk);
  if (rto > 0 && rto < timeout) timeout = rto;
  inetCskResetXmitTimer(sk, ICSK_TIME_LOSS_PROBE, timeout);
  return true;
}

/** Sends the probe: new data if there is any and the peer's window lets it, else the last segment. @returns whether it went */
function sendProbe(sk: TcpSk): boolean {
  const rec = sk.tp.cold;
  words[rec + TP_TLP_RETRANS] = 0;
  if (tcpSendProbeSegment(sk)) return true;
  const head = sk.sendHead;
  if (head !== null && head.prev === null) return false;
  const last = head === null ? sk.writeQueue.tail : head.prev;
  if (last === null || tcpRetransmitSegment(sk, last) < 0) return false;
  words[rec + TP_TLP_RETRANS] = 1;
  return true;
}

/** The probe is due. Linux: tcp_send_loss_probe(). */
export function tcpSendLossProbe(sk: TcpSk): void {
  const tp = sk.tp;
  if (tp.packetsOut === 0) return;
  // One at a time.
  if (words[tp.cold + TP_TLP_HIGH_SEQ] === 0 && sendProbe(sk)) {
    words[tp.cold + TP_TLP_HIGH_SEQ] = tp.sndNxt;
    sk.net.mib[LINUX_MIB_TCPLOSSPROBES]!++;
    // The RTO counts from now.
    sk.icsk.pending = 0;
  }
  tcpRearmRto(sk);
}

/** An ACK while a probe was on its way: was there a loss that the probe repaired? Linux: tcp_process_tlp_ack(). */
export function tcpProcessTlpAck(sk: TcpSk, ack: number, flag: number): void {
  const rec = sk.tp.cold;
  const beyond = (ack - words[rec + TP_TLP_HIGH_SEQ]!) | 0;
  if (beyond < 0) return;
  if (words[rec + TP_TLP_RETRANS] === 0 || (flag & FLAG_DSACK_TLP) !== 0) {
    words[rec + TP_TLP_HIGH_SEQ] = 0;
  } else if (beyond > 0) {
    // No duplicate was reported: the original was lost, and congestion control must know.
    tcpInitCwndReduction(sk);
    tcpSetCaState(sk, TCP_CA_CWR);
    tcpEndCwndReduction(sk);
    tcpTryKeepOpen(sk);
    sk.net.mib[LINUX_MIB_TCPLOSSPROBERECOVERY]!++;
  } else if ((flag & (FLAG_SND_UNA_ADVANCED | FLAG_NOT_DUP | FLAG_DATA_SACKED)) === 0) {
    words[rec + TP_TLP_HIGH_SEQ] = 0;
  }
}
