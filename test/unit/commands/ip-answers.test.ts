/** `ip`, `route` and `ifconfig`: what iproute2's and net-tools' say to every word, recorded in network namespaces by ip-answers.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { splitWords } from "../../../src/commands/command.ts";
import { type CommandResult, ifconfig, ip, ipMonitor, type IpMonitor, route } from "../../../src/commands/index.ts";
import { bridge } from "../../../src/bridge.ts";
import { devGetByName } from "../../../src/index.ts";
import { proxyArp } from "../../../src/neighbours.ts";
import { bootIp, initNet, shutdownIp } from "./harness.ts";

type Row = readonly [step: string, status?: number, text?: string, error?: string];

const SCENES = JSON.parse(readFileSync(new URL("ip-answers.json", import.meta.url), "utf8")) as Readonly<Record<string, readonly Row[]>>;
const TOOLS: ReadonlyMap<string, typeof ip> = new Map([["ip", ip], ["route", route], ["ifconfig", ifconfig]]);

/** What the kernel's device has and ours has not, and numbers that each driver has of its own. */
const OF_DEVICES: readonly (readonly [RegExp, string])[] = [
  [/ addrgenmode \w+/g, ""], [/gso_max_size .*gro_max_size \d+ /g, ""], [/\n {4}ifb /g, ""], [/"linkinfo":\{"info_kind":"ifb"\},/g, ""],
  [/"inet6_addr_gen_mode": ?"eui64",\s*/g, ""], [/,\s*"(?:gso|tso|gro)_max_\w+": ?\d+/g, ""],
  [/(minmtu|maxmtu|num[rt]xqueues|"m(?:in|ax)_mtu":|"num_[rt]x_queues":) ?\d+/g, "$1 0"],
];
/** Usage is each program's own, and so are the families that net-tools lists; nobody was asked for names. */
const OF_PROGRAMS: readonly (readonly [RegExp, string])[] = [
  [/Usage: ?[^]*/, "Usage"], [/^ {4}(?:inet|netrom|ddp|loop|slip6|ash|ppp|arcnet|sit|irda|eui64|unix|ax25|ipx) \([^]*/m, ""],
  [/Host name lookup failure/g, "Unknown host"], [/([RT]X packets) \d+ {2}bytes \d+ \([\d.]+ \w+\)/g, "$1"],
  // What a listing has been through and not shown leaves an empty object in iproute2's JSON.
  [/\{\},(?=\{)|,\{\}(?=[,\]])|(?<=\[ ?)(?:\{\},)*\{\}(?= ?\])|(?<=\[ )(?:\{\},)+/g, ""],
  [/\[\d{4}-\d\d-\d\dT[\d:.]+\]/g, "[0000-00-00T00:00:00.000000]"], [/Timestamp: .*/g, "Timestamp: 0"],
];

/** A text with nothing in it that cannot be the same. */
function comparable(text: string): string {
  return [...OF_DEVICES, ...OF_PROGRAMS].reduce((left, [pattern, instead]) => left.replace(pattern, instead), text);
}

/** Neighbours come in the order of a hash. */
function inOrder(step: string, text: string): string {
  if (!/^ip .*\bneigh/.test(step)) return text;
  return text.split(/\n|,(?=\s*\{\s*"dst)|(?<=\[ ?)(?=\{\s*"dst)/).map((line) => line.replace(/\}\s*\]?$/, "}")).sort().join("\n");
}

for (const [scene, rows] of Object.entries(SCENES)) {
  test.serial(`${scene}: ${rows.length} lines answered as by iproute2 and net-tools, to the byte, with their status`, (t) => {
    bootIp({ fibTables: 16, ifaddrs: 64, fibRules: 64, initcalls: [bridge, proxyArp] });
    for (const name of ["d0", "d1"]) devGetByName(initNet, name)!.minMtu = 0;
    for (const name of ["d0", "d1"]) devGetByName(initNet, name)!.maxMtu = 0xffff;
    let monitor: IpMonitor | null = null;
    let refused: CommandResult | null = null;
    for (const [step, status, text = "", error = ""] of rows) {
      const [first = "", ...words] = splitWords(step);
      if (first === "listen") {
        refused = null;
        try {
          monitor = ipMonitor(initNet, words, () => new Date(0).toISOString());
        } catch (end) {
          refused = { status: (end as { status: number }).status, text: "", error: (end as Error).message };
        }
        continue;
      }
      const answer = first === "heard" ? refused ?? { status: 0, text: monitor!.read(), error: "" } : TOOLS.get(first)!(initNet, words);
      if (first === "heard") monitor?.close();
      const order = (said: string): string => inOrder(step, comparable(said));
      t.deepEqual([step, answer.status, order(answer.text), comparable(answer.error)], [step, status, order(text), comparable(error)]);
    }
    for (const table of ["100", "200", "local", "default"]) ip(initNet, `route flush table ${table}`);
    for (const pref of [...ip(initNet, "rule").text.matchAll(/^(\d+):/gm)]) ip(initNet, `rule del pref ${pref[1]}`);
    for (const name of ["v0", "br0"]) ip(initNet, `link del ${name}`);
    ip(initNet, "neigh flush nud all");
    shutdownIp();
  });
}
