/**
 * The fields of Linux's struct tcp_info by name, read from the bytes that TCP_INFO answers: what %{ }% blocks ask for.
 */
import type { Net } from "../../src/stack/core/net.ts";
import { getsockopt } from "../../src/stack/socket/index.ts";
import { SNMP_NAMES } from "../../src/uapi/snmp.ts";
import { SOL_TCP } from "../../src/uapi/socket.ts";
import { TCP_INFO } from "../../src/uapi/tcp.ts";
import { symbolValue } from "./values.ts";

const ROOM = 280;
/** Congestion states, in the words of scripts. */
const CA_STATES = ["TCP_CA_Open", "TCP_CA_Disorder", "TCP_CA_CWR", "TCP_CA_Recovery", "TCP_CA_Loss"];
/** Names in the order of the structure, by the size of the field in bytes. */
const BYTES = ["state", "ca_state", "retransmits", "probes", "backoff", "options"];
const WORDS = [
  "rto", "ato", "snd_mss", "rcv_mss", "unacked", "sacked", "lost", "retrans", "fackets", "last_data_sent",
  "last_ack_sent", "last_data_recv", "last_ack_recv", "pmtu", "rcv_ssthresh", "rtt", "rttvar", "snd_ssthresh", "snd_cwnd",
  "advmss", "reordering", "rcv_rtt", "rcv_space", "total_retrans",
];
const LONGS_AT = 104;
const LONGS = ["pacing_rate", "max_pacing_rate", "bytes_acked", "bytes_received"];
const SECOND_WORDS_AT = 136;
const SECOND_WORDS = ["segs_out", "segs_in", "notsent_bytes", "min_rtt", "data_segs_in", "data_segs_out"];
const SECOND_LONGS_AT = 160;
const SECOND_LONGS = ["delivery_rate", "busy_time", "rwnd_limited", "sndbuf_limited"];
const THIRD_WORDS_AT = 192;
const THIRD_WORDS = ["delivered", "delivered_ce"];
const THIRD_LONGS_AT = 200;
const THIRD_LONGS = ["bytes_sent", "bytes_retrans"];
const LAST_WORDS_AT = 216;
const LAST_WORDS = ["dsack_dups", "reord_seen", "rcv_ooopack", "snd_wnd", "rcv_wnd", "rehash"];

function readAll(view: DataView): Map<string, number> {
  const values = new Map<string, number>();
  const put = (name: string, value: number): void => void values.set(`tcpi_${name}`, value);
  BYTES.forEach((name, i) => put(name, view.getUint8(i)));
  put("snd_wscale", view.getUint8(6) & 15);
  put("rcv_wscale", view.getUint8(6) >> 4);
  const words = (at: number, names: readonly string[]): void =>
    names.forEach((name, i) => put(name, view.getUint32(at + 4 * i, true)));
  const longs = (at: number, names: readonly string[]): void =>
    names.forEach((name, i) => put(name, Number(view.getBigUint64(at + 8 * i, true))));
  words(8, WORDS);
  longs(LONGS_AT, LONGS);
  words(SECOND_WORDS_AT, SECOND_WORDS);
  longs(SECOND_LONGS_AT, SECOND_LONGS);
  words(THIRD_WORDS_AT, THIRD_WORDS);
  longs(THIRD_LONGS_AT, THIRD_LONGS);
  words(LAST_WORDS_AT, LAST_WORDS);
  return values;
}

/**
 * What names stand for in a block about this socket: tcp_info's fields, constants of the uapi, and beyond packetdrill the
 * SNMP counters of the namespace by their names in /proc (TCPChallengeACK).
 * @param fd -1 when there is no socket: every field is unknown
 */
export function tcpInfoNames(net: Net, fd: number): (name: string) => number | null {
  const bytes = new Uint8Array(ROOM);
  const known = fd >= 0 && getsockopt(fd, SOL_TCP, TCP_INFO, bytes) >= 0;
  const values = known ? readAll(new DataView(bytes.buffer)) : new Map<string, number>();
  CA_STATES.forEach((name, state) => values.set(name, state));
  return (name) => values.get(name) ?? symbolValue(name) ?? net.mib[SNMP_NAMES.indexOf(name)] ?? null;
}
