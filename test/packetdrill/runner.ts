/**
 * Runs a script against the stack in this process, in virtual time: at each event's time makes the call, injects the packet,
 * or takes the next packet sent and compares it. Packets expected as one may have been sent as several segments.
 */
import { boot } from "../../src/boot.ts";
import { errnoName } from "../../src/uapi/errno.ts";
import { setNs } from "../../src/stack/socket/index.ts";
import { addressNumber } from "../lib/frames.ts";
import { runCommand } from "./commands.ts";
import { MSG_FASTOPEN } from "../../src/uapi/socket.ts";
import { Connection, formatSegment, formatSpec } from "./connection.ts";
import { describeIcmp, encodeIcmp, encodeUdp, icmpMismatch, type Endpoints, udpMismatch } from "./datagrams.ts";
import { Machine } from "./machine.ts";
import type { IcmpSpec, PacketSpec, TcpSpec, UdpSpec } from "./packet-spec.ts";
import { runCode } from "./python.ts";
import { ScriptError } from "./scanner.ts";
import { parseScript, type Script, type ScriptEvent, type Syscall, type When } from "./script.ts";
import { prepareCall, type Prepared } from "./syscalls.ts";
import { tcpInfoNames } from "./tcp-info.ts";
import type { SentPacket } from "./tun.ts";
import { checkPacket, decodeSegment, encodeSegment, md5IsRight, type Segment } from "./wire-tcp.ts";

const DEFAULT_TOLERANCE_US = 4000;
const LOCAL_PORT = 8080;
const FIRST_REMOTE_PORT = 33_000;
const REMOTE_PORT = 8080;
/** The peer's initial sequence number of the first connection: near the wrap, where mistakes show. */
const REMOTE_ISN = 0xffffe000;
const ISN_STEP = 0x01234567;
/** Longest that a call which need not wait may take. */
const CALL_LIMIT_US = 60_000_000;
/** How long a packet is waited for where the script gives no time. */
const ANY_TIME_LIMIT_US = 300_000_000;
const PROTO_TCP = 6;

interface Outstanding {
  readonly event: ScriptEvent;
  readonly call: Syscall;
  readonly prepared: Prepared;
  readonly endUs: number;
  result: number | null;
  doneUs: number;
}

/** Is the call a write that connects (Fast Open)? */
function opensFast({ name, args }: Syscall): boolean {
  const flags = name === "sendto" ? args[3] : name === "sendmsg" ? args[2] : 0;
  return typeof flags === "number" && (flags & MSG_FASTOPEN) !== 0;
}

export class Runner {
  private readonly script: Script;
  private readonly machine: Machine;
  private readonly startUs: number;
  private readonly toleranceUs: number;
  private readonly local: number;
  private readonly remote: number;
  private readonly tickUs: number;
  private readonly fds = new Map<number, number>();
  private readonly connections: Connection[] = [];
  private current: Connection | null = null;
  /** The script's descriptors that connect() was called for. */
  private readonly connecting = new Set<number>();
  /** The next SYN without ports is of a new connection. */
  private expectNew = true;
  private outstanding: Outstanding | null = null;
  private underTest = -1;
  private lastUs: number;
  private udpPort = LOCAL_PORT;

  constructor(script: Script) {
    this.script = script;
    const option = (name: string, otherwise: string): string => script.options.get(name) ?? otherwise;
    const localIp = option("local_ip", "192.168.0.1");
    this.machine = new Machine({ localIp, mtu: Number(option("mtu", "1500")), prefixLength: 16 });
    setNs(this.machine.net);
    this.startUs = this.machine.nowUs;
    this.lastUs = this.startUs;
    this.toleranceUs = Number(option("tolerance_usecs", String(DEFAULT_TOLERANCE_US)));
    this.tickUs = Number(option("tcp_ts_tick_usecs", "0"));
    this.local = addressNumber(localIp);
    this.remote = addressNumber(option("remote_ip", "192.0.2.1"));
  }

  /** @throws ScriptError at the first event that goes wrong */
  run(): void {
    if (this.script.init !== null) runCommand(this.machine.net, this.script.init);
    for (const event of this.script.events) {
      try {
        this.runEvent(event);
      } catch (error) {
        if (error instanceof ScriptError || !(error instanceof Error)) throw error;
        throw new ScriptError(event.line, error.message);
      }
    }
    if (this.outstanding !== null) this.awaitCall(this.outstanding);
  }

  private runEvent(event: ScriptEvent): void {
    const { action } = event;
    if (action.kind === "packet" && action.packet.direction === "out") {
      this.expectPacket(event, action.packet);
      return;
    }
    const dueUs = this.dueUs(event.when);
    // The end of a call that waits counts from the same moment as its begin.
    const baseUs = event.when.kind === "relative" ? this.lastUs : this.startUs;
    this.advanceTo(dueUs);
    this.lastUs = dueUs;
    switch (action.kind) {
      case "packet":
        this.inject(action.packet);
        return;
      case "command":
        runCommand(this.machine.net, action.text);
        return;
      case "code": {
        const wrong = runCode(action.text, tcpInfoNames(this.machine.net, this.underTest), event.line);
        if (wrong !== null) throw new ScriptError(event.line, wrong);
        return;
      }
      default:
        this.runCall(event, action, baseUs);
    }
  }

  private dueUs(when: When): number {
    if (when.kind === "any") return this.machine.nowUs;
    return when.us + (when.kind === "absolute" ? this.startUs : this.lastUs);
  }

  /** Lets time pass; a call that waits meanwhile may come to its end. */
  private advanceTo(us: number): void {
    if (us > this.machine.nowUs) this.machine.advance(us - this.machine.nowUs);
    const { outstanding } = this;
    if (outstanding !== null && outstanding.result !== null) this.awaitCall(outstanding);
  }

  private secondsText(us: number): string {
    return ((us - this.startUs) / 1e6).toFixed(6);
  }

  // ---- calls

  private runCall(event: ScriptEvent, call: Syscall, baseUs: number): void {
    if (this.outstanding !== null) this.awaitCall(this.outstanding);
    const context = {
      fds: this.fds,
      localPort: LOCAL_PORT,
      remoteAddress: this.remote,
      remotePort: REMOTE_PORT,
      nowUs: () => this.machine.nowUs,
    };
    const prepared = prepareCall(context, call.name, call.args);
    if (prepared === null) throw new ScriptError(event.line, `there is no system call ${call.name}()`);
    if (call.name === "listen") this.expectNew = true;
    if (call.name === "connect" || opensFast(call)) this.noteConnect(call);
    if (call.endUs === null) {
      const result = this.machine.complete(prepared.attempt, prepared.deadlineUs, CALL_LIMIT_US);
      if (result === null) throw new ScriptError(event.line, `${call.name}() would wait`);
      this.checkCall(event, call, prepared, result);
      return;
    }
    const outstanding: Outstanding = { event, call, prepared, endUs: baseUs + call.endUs, result: null, doneUs: 0 };
    this.outstanding = outstanding;
    this.machine.start(prepared.attempt, (result) => {
      outstanding.result = result;
      outstanding.doneUs = this.machine.nowUs;
    }, prepared.deadlineUs);
  }

  /** The call that waits has to be over by its time. */
  private awaitCall(outstanding: Outstanding): void {
    const { event, call, prepared, endUs } = outstanding;
    const limitUs = endUs + this.toleranceUs - this.machine.nowUs;
    if (outstanding.result === null) this.machine.runUntil(() => outstanding.result !== null, Math.max(limitUs, 0));
    this.outstanding = null;
    if (outstanding.result === null) {
      throw new ScriptError(event.line, `${call.name}() still waits at ${this.secondsText(this.machine.nowUs)}`);
    }
    if (Math.abs(outstanding.doneUs - endUs) > this.toleranceUs) {
      throw new ScriptError(event.line, `${call.name}() returned at ${this.secondsText(outstanding.doneUs)}, `
        + `expected at ${this.secondsText(endUs)}`);
    }
    this.checkCall(event, call, prepared, outstanding.result);
  }

  private checkCall(event: ScriptEvent, call: Syscall, prepared: Prepared, result: number): void {
    const seen = result < 0 ? `-1 ${errnoName(result)}` : String(result);
    const { result: wanted, errno } = call;
    const wrong = wanted !== null && (wanted < 0
      ? result >= 0 || (errno !== null && errnoName(result) !== errno)
      : prepared.makesFd ? result < 0 : result !== wanted);
    if (wrong) throw new ScriptError(event.line, `${call.name}() answers ${seen}, expected ${wanted}${errno === null ? "" : ` ${errno}`}`);
    const detail = result < 0 ? null : prepared.check(result);
    if (detail !== null) throw new ScriptError(event.line, `${call.name}(): ${detail}`);
    if (prepared.endsFd !== null && result >= 0) {
      this.fds.delete(prepared.endsFd);
      this.connecting.delete(prepared.endsFd);
    }
    if (!prepared.makesFd || result < 0 || wanted === null) return;
    this.fds.set(wanted, result);
    if (!call.name.startsWith("epoll")) this.underTest = result;
  }

  // ---- packets

  /** The first connect() of a descriptor, or write that connects, opens a connection: the next SYN sent is its own. */
  private noteConnect(call: Syscall): void {
    const fd = call.args[0];
    if (typeof fd !== "number" || this.connecting.has(fd) || !this.fds.has(fd)) return;
    this.connecting.add(fd);
    this.newConnection(-1, REMOTE_PORT);
  }

  private newConnection(localPort: number, remotePort: number): Connection {
    const index = this.connections.length;
    const base = (REMOTE_ISN + index * ISN_STEP) | 0;
    const connection = new Connection({ local: this.local, remote: this.remote }, localPort, remotePort, base, this.tickUs);
    this.connections.push(connection);
    this.current = connection;
    this.expectNew = false;
    return connection;
  }

  /** The connection a packet of the script belongs to. */
  private connectionOf(spec: TcpSpec): Connection {
    const { ports } = spec;
    if (ports !== null) {
      const [remotePort, localPort] = spec.direction === "in" ? ports : [ports[1], ports[0]];
      const known = this.connections.find((c) => c.localPort === localPort && c.remotePort === remotePort);
      return known ?? this.newConnection(localPort, remotePort);
    }
    const isSyn = spec.direction === "in" && spec.flags.includes("S") && !spec.flags.includes(".");
    if (this.current === null || (isSyn && this.expectNew)) {
      return this.newConnection(LOCAL_PORT, FIRST_REMOTE_PORT + this.connections.length);
    }
    return this.current;
  }

  private endpoints(): Endpoints {
    return {
      local: this.local,
      remote: this.remote,
      localPort: this.udpPort,
      remotePort: REMOTE_PORT,
    };
  }

  private inject(spec: PacketSpec): void {
    if (spec.protocol === "tcp") this.machine.inject(encodeSegment(this.connectionOf(spec).inbound(spec)));
    else if (spec.protocol === "udp") this.machine.inject(encodeUdp(spec, this.endpoints()));
    else this.injectIcmp(spec);
  }

  private injectIcmp(spec: IcmpSpec): void {
    const endpoints = this.endpoints();
    const { current } = this;
    if (spec.quoted.protocol === "udp" || current === null) {
      this.machine.inject(encodeIcmp(spec, endpoints, 0));
      return;
    }
    const ports = { localPort: current.localPort, remotePort: current.remotePort };
    this.machine.inject(encodeIcmp(spec, { ...endpoints, ...ports }, current.liveSeq(spec.quoted.seq)));
  }

  private expectPacket(event: ScriptEvent, spec: PacketSpec): void {
    const { when } = event;
    const [earliest, latest] = this.window(when);
    const packet = this.takePacket(event, spec, latest);
    if (packet.timeUs < earliest || packet.timeUs > latest) {
      throw new ScriptError(event.line, `sent at ${this.secondsText(packet.timeUs)}, expected at `
        + `${this.secondsText(earliest + this.toleranceUs)}${latest - earliest > 2 * this.toleranceUs
          ? ` to ${this.secondsText(latest - this.toleranceUs)}` : ""}\n  ${this.describe(packet.bytes)}`);
    }
    this.lastUs = when.kind === "any" || when.untilUs !== null ? packet.timeUs : this.dueUs(when);
    if (spec.protocol === "tcp") this.compare(event, spec, packet);
    else this.compareDatagram(event, spec, packet);
  }

  /** When the packet may have been sent. */
  private window(when: When): [number, number] {
    if (when.kind === "any") return [this.lastUs, this.machine.nowUs + ANY_TIME_LIMIT_US];
    const dueUs = this.dueUs(when);
    const base = when.kind === "absolute" ? this.startUs : this.lastUs;
    const untilUs = when.untilUs === null ? dueUs : base + when.untilUs;
    return [dueUs - this.toleranceUs, untilUs + this.toleranceUs];
  }

  private describe(bytes: Uint8Array): string {
    checkPacket(bytes);
    if (bytes[9] !== PROTO_TCP) return describeIcmp(bytes);
    const segment = decodeSegment(bytes);
    const owner = this.connections.find((connection) => connection.owns(segment));
    return formatSegment(">", owner === undefined ? segment : owner.toScript(segment, null));
  }

  private belongs(spec: PacketSpec, connection: Connection | null, bytes: Uint8Array): boolean {
    const isTcp = bytes[9] === PROTO_TCP;
    if (spec.protocol !== "tcp" || connection === null) return isTcp === (spec.protocol === "tcp");
    if (!isTcp) return false;
    const segment = decodeSegment(bytes);
    connection.adopt(segment.sport, segment.dport);
    return connection.owns(segment);
  }

  /** The next packet sent that the expected one may be; waits for it. */
  private takePacket(event: ScriptEvent, spec: PacketSpec, latest: number): SentPacket {
    const connection = spec.protocol === "tcp" ? this.connectionOf(spec) : null;
    const { sent } = this.machine.tun;
    const next = (): number => sent.findIndex(({ bytes }) => this.belongs(spec, connection, bytes));
    if (next() < 0) this.machine.runUntil(() => next() >= 0, Math.max(0, latest - this.machine.nowUs));
    const index = next();
    if (index < 0) {
      const others = sent.map(({ bytes }) => `\n  other packet: ${this.describe(bytes)}`).join("");
      throw new ScriptError(event.line, `nothing was sent until ${this.secondsText(this.machine.nowUs)}`
        + `${spec.protocol === "tcp" ? `\n  expected: ${formatSpec(spec)}` : ""}${others}`);
    }
    return sent.splice(index, 1)[0]!;
  }

  private compare(event: ScriptEvent, spec: TcpSpec, packet: SentPacket): void {
    const connection = this.connectionOf(spec);
    let seen = connection.toScript(decodeSegment(packet.bytes), spec);
    const key = spec.options?.find(({ name }) => name === "md5")?.key ?? null;
    if (key !== null && !md5IsRight(packet.bytes, key)) throw new ScriptError(event.line, `no MD5 signature by "${key}"`);
    seen = this.joinSegments(spec, connection, seen);
    const wrong = connection.mismatch(spec, seen);
    if (wrong === null) return;
    throw new ScriptError(event.line, `${wrong}\n  expected: ${formatSpec(spec)}\n  seen:     ${formatSegment(">", seen)}`);
  }

  /** One expected packet may be several segments: those that follow, until its length is reached. */
  private joinSegments(spec: TcpSpec, connection: Connection, first: Segment): Segment {
    let seen = first;
    const { sent } = this.machine.tun;
    while (seen.length > 0 && seen.length < spec.length && seen.seq === spec.seq) {
      const index = sent.findIndex(({ bytes }) => this.belongs(spec, connection, bytes));
      if (index < 0) return seen;
      const next = connection.toScript(decodeSegment(sent[index]!.bytes), spec);
      if (next.seq !== seen.seq + seen.length || next.length === 0 || next.ack !== seen.ack) return seen;
      if (seen.length + next.length > spec.length) return seen;
      sent.splice(index, 1);
      seen = { ...next, seq: seen.seq, length: seen.length + next.length };
    }
    return seen;
  }

  private compareDatagram(event: ScriptEvent, spec: UdpSpec | IcmpSpec, { bytes }: SentPacket): void {
    checkPacket(bytes);
    if (spec.protocol === "udp") {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      this.udpPort = view.getUint16((bytes[0]! & 15) * 4);
    }
    const wrong = spec.protocol === "udp" ? udpMismatch(spec, bytes) : icmpMismatch(spec, bytes);
    if (wrong !== null) throw new ScriptError(event.line, wrong);
  }
}

/** Words of a script that stand for others: what packetdrill takes as -D NAME=VALUE. */
export type Defines = ReadonlyMap<string, string>;

function substitute(text: string, defines: Defines): string {
  let out = text;
  for (const [name, value] of defines) out = out.replace(new RegExp(`\\b${name}\\b`, "g"), value);
  return out;
}

/**
 * Runs the text of a script on a stack booted anew.
 * @returns null, or what went wrong: `FILE:LINE: …`, with the expected and the seen packet
 */
export function runScript(text: string, name: string, defines: Defines = new Map()): string | null {
  try {
    new Runner(parseScript(substitute(text, defines))).run();
    return null;
  } catch (error) {
    if (error instanceof ScriptError) return `${name}:${error.line}: ${error.message}`;
    throw error;
  } finally {
    boot();
  }
}
