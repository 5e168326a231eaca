/** tshark as the judge of what the board sent: no malformed packet, no wrong checksum, no unprovoked retransmission. */
import { type ChildProcess, execFile } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import { BOARD_ADDR, LINUX_ADDR, type Netns } from "./netns.ts";

const OUT = new URL("../out/", import.meta.url).pathname;

/** A capture file for this test; removed when the test passes. */
export function captureFile(t: ExecutionContext): string {
  mkdirSync(OUT, { recursive: true });
  const file = `${OUT}${t.title.replace(/[^a-z0-9]+/gi, "-").slice(0, 60)}.pcap`;
  t.teardown(() => {
    if (t.passed) rmSync(file, { force: true });
  });
  return file;
}

const CHECKSUMS = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];
const BAD =
  '_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || udp.checksum.status == "Bad" || ' +
  'icmp.checksum.status == "Bad"';
/** The same of packets that may quote others: tshark takes the sum over a quoted segment, although the end of it is cut off. */
const BAD_BUT_QUOTED =
  '_ws.malformed || ip.checksum.status == "Bad" || icmp.checksum.status == "Bad" || ' +
  '(!icmp && (tcp.checksum.status == "Bad" || udp.checksum.status == "Bad"))';
/** Linux's TCP writes a checksum of 0 as 0xffff, as UDP must (skb_checksum_help()); tshark calls that wrong. One packet in 65536. */
const MANGLED_ZERO = `(ip.src == ${LINUX_ADDR} && tcp.checksum == 0xffff)`;
const RETRANSMISSIONS = "tcp.analysis.retransmission || tcp.analysis.fast_retransmission || tcp.analysis.spurious_retransmission";

/** Bodies of random bytes, cut short by the capture, are not to be read as HTTP: what looks like a header there is none. */
const NO_HTTP = ["-d", "tcp.port==80,data", "-d", "tcp.port==8000,data"];

/** The lines tshark prints for the packets that match. */
export async function tsharkLines(file: string, filter: string): Promise<string[]> {
  const options = CHECKSUMS.flatMap((option) => ["-o", option]);
  const { stdout } = await promisify(execFile)("tshark", ["-n", "-r", file, ...NO_HTTP, ...options, "-Y", filter], {
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, XDG_CONFIG_HOME: OUT },
  });
  return stdout.split("\n").filter((line) => line !== "");
}

/** Fields of each packet that matches, in tshark's names; "" for a field that it has not. */
export async function tsharkFields(file: string, filter: string, fields: readonly string[]): Promise<string[][]> {
  const wanted = fields.flatMap((field) => ["-e", field]);
  const { stdout } = await promisify(execFile)("tshark", ["-n", "-r", file, "-T", "fields", ...wanted, "-Y", filter], {
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, XDG_CONFIG_HOME: OUT },
  });
  return stdout.split("\n").slice(0, -1).map((line) => line.split("\t"));
}

/**
 * Fails the test when the capture holds a malformed packet or a bad checksum, or (`lossless`) a retransmission. On a bad
 * line only what the board sent is judged: the line corrupts what it receives.
 */
export async function assertCleanCapture(t: ExecutionContext, file: string, lossless = true): Promise<void> {
  const packets = await tsharkLines(file, "frame");
  t.true(packets.length > 0, "the capture is empty");
  const bad = lossless ? `(${BAD}) && !${MANGLED_ZERO}` : `ip.src == ${BOARD_ADDR} && (${BAD})`;
  t.deepEqual((await tsharkLines(file, bad)).slice(0, 5), []);
  if (lossless) t.deepEqual((await tsharkLines(file, RETRANSMISSIONS)).slice(0, 5), []);
}

/** What passes a device while a test runs, to be judged by who sent it. */
export class Capture {
  private readonly file: string;
  private readonly child: ChildProcess;

  private constructor(file: string, child: ChildProcess) {
    this.file = file;
    this.child = child;
  }

  static async start(t: ExecutionContext, net: Netns, dev: string): Promise<Capture> {
    const file = captureFile(t);
    const child = net.spawn("tcpdump", ["-n", "-U", "-i", dev, "-w", file]);
    // It says that it listens.
    await new Promise<void>((resolve) => child.stderr!.once("data", () => resolve()));
    return new Capture(file, child);
  }

  /** Ends it. Fails the test when that link address has sent nothing, or anything malformed or with a bad checksum. */
  async judge(t: ExecutionContext, sender: string): Promise<void> {
    const end = new Promise((resolve) => this.child.once("close", resolve));
    this.child.kill("SIGINT");
    await end;
    t.true((await tsharkLines(this.file, `eth.src == ${sender}`)).length > 0, "nothing was sent");
    t.deepEqual((await tsharkLines(this.file, `eth.src == ${sender} && (${BAD_BUT_QUOTED})`)).slice(0, 5), []);
  }
}
