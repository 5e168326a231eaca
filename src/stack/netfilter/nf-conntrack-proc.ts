/**
 * Connections as text: /proc/net/nf_conntrack. Linux: net/netfilter/nf_conntrack_standalone.c ct_seq_show(). For people and for
 * commands: makes strings.
 */
import { words } from "../../lib/table.ts";
import { jiffies } from "../../lib/timer.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../uapi/in.ts";
import { IPS_ASSURED, IPS_SEEN_REPLY } from "../../uapi/nf-conntrack.ts";
import type { Net } from "../core/net.ts";
import {
  CT_L4, CT_STAT_DROP, CT_STAT_EARLY_DROP, CT_STAT_ERROR, CT_STAT_INSERT, CT_STAT_INSERT_FAILED, CT_STAT_INVALID, CT_STATUS,
  CT_TIMEOUT, nfCtNext, nfCtStat, nfCtTcpState, TUPLE_DADDR, TUPLE_PORTS, TUPLE_SADDR, TUPLE_WORDS,
} from "./nf-conntrack-table.ts";

const TCP_STATES: readonly string[] = Object.freeze([
  "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
]);

function formatProtocol(protocol: number): string {
  switch (protocol) {
    case IPPROTO_TCP: return "tcp";
    case IPPROTO_UDP: return "udp";
    case IPPROTO_ICMP: return "icmp";
    default: return "unknown";
  }
}

function formatAddress(addr: number): string {
  return `${addr >>> 24}.${(addr >> 16) & 255}.${(addr >> 8) & 255}.${addr & 255}`;
}

function formatPorts(protocol: number, ports: number): string {
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) return `sport=${ports >>> 16} dport=${ports & 0xffff} `;
  return protocol === IPPROTO_ICMP ? `type=${(ports >> 8) & 255} code=${ports & 255} id=${ports >>> 16} ` : "";
}

function formatTuple(protocol: number, at: number): string {
  return `src=${formatAddress(words[at + TUPLE_SADDR]!)} dst=${formatAddress(words[at + TUPLE_DADDR]!)} `
    + formatPorts(protocol, words[at + TUPLE_PORTS]!);
}

/** What `cat /proc/net/nf_conntrack` prints. */
export function formatConntrackProc(net: Net): string {
  let text = "";
  for (let row = nfCtNext(net, -1); row >= 0; row = nfCtNext(net, row)) {
    const protocol = words[row + CT_L4]! & 0xff;
    const status = words[row + CT_STATUS]!;
    const left = Math.floor(((words[row + CT_TIMEOUT]! - jiffies) | 0) / 1000);
    text += `ipv4     2 ${formatProtocol(protocol).padEnd(8)} ${protocol} ${left} `
      + (protocol === IPPROTO_TCP ? `${TCP_STATES[nfCtTcpState(row)]!} ` : "")
      + formatTuple(protocol, row)
      + ((status & IPS_SEEN_REPLY) === 0 ? "[UNREPLIED] " : "")
      + formatTuple(protocol, row + TUPLE_WORDS)
      + ((status & IPS_ASSURED) !== 0 ? "[ASSURED] " : "")
      + "mark=0 zone=0 use=2\n";
  }
  return text;
}

const STAT_COLUMNS: readonly (readonly [string, number])[] = Object.freeze([
  ["entries", -1], ["clashres", -1], ["found", -1], ["invalid", CT_STAT_INVALID], ["insert", CT_STAT_INSERT],
  ["insert_failed", CT_STAT_INSERT_FAILED], ["drop", CT_STAT_DROP], ["early_drop", CT_STAT_EARLY_DROP], ["icmp_error", CT_STAT_ERROR],
] as const);

/** What `cat /proc/net/stat/nf_conntrack` prints, of one processor and with the columns that are counted here. Linux: ct_cpu_seq_show(). */
export function formatConntrackStat(net: Net): string {
  let entries = 0;
  for (let row = nfCtNext(net, -1); row >= 0; row = nfCtNext(net, row)) entries++;
  const values = STAT_COLUMNS.map(([name, stat]) => (stat >= 0 ? nfCtStat(stat) : name === "entries" ? entries : 0));
  return `${STAT_COLUMNS.map(([name]) => name).join(" ")}\n${values.map((value) => value.toString(16).padStart(8, "0")).join(" ")}\n`;
}
