/**
 * Writes the table of README.md: Google's scripts, their class, and what this stack did with each. Run as
 *   node --import=tsx test/packetdrill/table.ts SCRIPTS.tsv RESULTS.tsv
 * where SCRIPTS.tsv says the class of each script and what Linux 6.18 answers, and RESULTS.tsv is what run.sh printed.
 */
import { readFileSync, writeFileSync } from "node:fs";

const README = new URL("README.md", import.meta.url);
const BEGIN = "<!-- table: begin -->";
const END = "<!-- table: end -->";

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly linux: string;
  readonly result: string;
  readonly error: string;
}

/** What is missing, told by the script's folder or its first error. */
const MISSING: readonly (readonly [RegExp, string])[] = [
  [/^psp\//, "PSP encryption: not for a .so"],
  [/^packetdrill\/tests/, "A test of packetdrill itself, meant to fail"],
  [/zerocopy|syscall_bad_arg\/sendmsg-empty/, "SO_ZEROCOPY"],
  [/timestamping/, "SO_TIMESTAMPING"],
  [/mtu_probe/, "MTU probing, IPv6"],
  [/opt34\/simple3/, "The SYN-ACK of a Fast Open sock takes a segment of the congestion window"],
  [/tcp_ece|ecn/, "ECN"],
  [/inq\//, "10,000 bytes in one segment: here cut to the MTU, and the part with FIN is acknowledged with a delay"],
  [/splice/, "splice()"],
  [/lowat|epoll_out|blocking-write|sndbuf/, "Bytes counted against SO_SNDBUF as Linux does"],
  [/cubic/, "CUBIC"],
];

function lines(path: string): string[][] {
  return readFileSync(path, "utf8").trimEnd().split("\n").map((line) => line.split("\t"));
}

function missing({ name, error }: Row): string {
  return MISSING.find(([pattern]) => pattern.test(name) || pattern.test(error))?.[1] ?? "";
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|").replace(/^\S+\.pkt:/, "line ").replace(/</g, "&lt;");
}

function summary(rows: readonly Row[]): string {
  const count = (kind: string): string => {
    const judged = rows.filter((row) => row.kind === kind && row.linux === "PASS");
    return `${judged.filter((row) => row.result === "PASS").length} of ${judged.length}`;
  };
  const all = rows.filter((row) => row.result === "PASS").length;
  return `Of the scripts that Linux 6.18 passes: class yes **${count("yes")}**, class maybe **${count("maybe")}**, `
    + `class no ${count("no")}. Of all ${rows.length}: ${all}.`;
}

const [scriptsPath, resultsPath] = process.argv.slice(2);
if (scriptsPath === undefined || resultsPath === undefined) throw new Error("usage: table.ts SCRIPTS.tsv RESULTS.tsv");
const results = new Map(lines(resultsPath).map(([name, result, , error]) => [name, { result: result!, error: error ?? "" }]));
const rows = lines(scriptsPath).slice(1).map(([name, kind, linux]): Row => {
  const { result, error } = results.get(name) ?? { result: "-", error: "" };
  return { name: name!, kind: kind!, linux: linux!, result, error };
});
const table = rows.map((row) => {
  const passed = row.result === "PASS";
  const reason = passed ? "" : [missing(row), cell(row.error)].filter((text) => text !== "").join(": ");
  return `| ${row.name} | ${row.kind} | ${row.linux.toLowerCase()} | ${row.result.toLowerCase()} | ${reason} |`;
});
const readme = readFileSync(README, "utf8");
const head = "| script | class | Linux 6.18 | linnet | reason |\n|---|---|---|---|---|";
const text = `${BEGIN}\n\n${summary(rows)}\n\n${head}\n${table.join("\n")}\n\n${END}`;
writeFileSync(README, readme.slice(0, readme.indexOf(BEGIN)) + text + readme.slice(readme.indexOf(END) + END.length));
