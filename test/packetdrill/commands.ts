/**
 * Shell commands of scripts, as far as they set sysctls: `sysctl -q net.ipv4.X=Y`, `set_sysctls.py /proc/sys/net/…=Y`, `ip
 * tcp_metrics flush`, and `defaults.sh`, the settings that the scripts of Google's suite begin with. Anything else does nothing here.
 */
import type { Net } from "../../src/stack/core/net.ts";
import { tcpMetricsFlush } from "../../src/stack/ipv4/tcp-fastopen-client.ts";
import { setSysctl } from "./sysctl.ts";

const SUITE_DEFAULTS: readonly (readonly [string, string])[] = [
  ["tcp_timestamps", "1"], ["tcp_syn_retries", "5"], ["tcp_synack_retries", "5"], ["tcp_frto", "2"], ["tcp_sack", "1"],
  ["tcp_dsack", "1"], ["tcp_reordering", "3"], ["tcp_slow_start_after_idle", "0"], ["tcp_early_retrans", "4"],
  ["tcp_recovery", "1"], ["tcp_tso_win_divisor", "3"], ["tcp_ecn", "0"], ["tcp_fastopen", "0x70403"],
  ["tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"], ["tcp_syncookies", "1"],
  ["tcp_wmem", "4096 262144 4194304"],
];

/** `name=value`, where the value may be quoted. */
const SETTING = /(?:\/proc\/sys\/)?net[./](ipv4|core)[./](\w+)=(?:\\?"([^"\\]*)\\?"|'([^']*)'|([^\s;`]+))/g;

/** Runs a command; returns the names of sysctls that this stack has not. */
export function runCommand(net: Net, text: string): string[] {
  const missing: string[] = [];
  const set = (family: string, name: string, value: string): void => {
    if (!setSysctl(net, `${family}.${name}`, value)) missing.push(name);
  };
  if (text.includes("defaults.sh") || text.includes("tcp_metrics flush")) tcpMetricsFlush();
  if (text.includes("defaults.sh")) for (const [name, value] of SUITE_DEFAULTS) set("ipv4", name, value);
  for (const [, family, name, quoted, single, bare] of text.matchAll(SETTING)) {
    set(family!, name!, quoted ?? single ?? bare ?? "");
  }
  return missing;
}
