/**
 * Calls on a TCP connection and segments for it, drawn at random, are answered as Linux does: the results, the segments that leave,
 * what poll() says, TCP_INFO, and the counters, after each step. linux-tcp.json, by linux-tcp.py.
 */
import { readFileSync } from "node:fs";
import { initNet } from "../../../src/boot.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import {
  accept4, bind, close, connect, getsockopt, ioctl, listen, poll, Pollfd, recv, send, setsockopt, setsockoptBytes, shutdown, socket,
} from "../../../src/stack/socket/index.ts";
import { SIOCATMARK, SIOCINQ, SIOCOUTQ } from "../../../src/uapi/ioctl.ts";
import { EPOLLRDHUP, POLLIN, POLLOUT, POLLPRI } from "../../../src/uapi/poll.ts";
import { SNMP_GROUPS, SNMP_NAMES } from "../../../src/uapi/snmp.ts";
import { AF_INET, MSG_NOSIGNAL, SO_LINGER, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_CLOSE, TCP_INFO, TCP_WINDOW_CLAMP } from "../../../src/uapi/tcp.ts";
import { ACK, inject, PSH, RST, run, type Segment, sent, SYN, US, PEER } from "./tcp-wire.ts";

type Option = readonly [string, ...number[]];
type Action = readonly [string, ...unknown[]];
type Packet = readonly [flags: number, seq: number, ack: number, length: number, urgent: number, options: string];
export type Step = readonly [Action, number, readonly Packet[], readonly number[], readonly number[], Readonly<Record<string, number>>];
interface Recorded {
  readonly kernel: string;
  readonly info: readonly string[];
  readonly uncounted: readonly string[];
  readonly sequences: readonly (readonly Step[])[];
}

export const recorded = JSON.parse(readFileSync(new URL("linux-tcp.json", import.meta.url), "utf8")) as Recorded;
const ISN = 1_000_000;
const SETTLE_MS = 12;
const URG = 32;
/** The window of either side, so that no accounting of memory decides. */
const WINDOW = 65535;
/** Where in struct tcp_info the fields of the recording are, and of how many bytes. */
const INFO: Readonly<Record<string, readonly [at: number, size: number]>> = Object.freeze({
  state: [0, 1], ca_state: [1, 1], retransmits: [2, 1], probes: [3, 1], backoff: [4, 1], options: [5, 1], snd_mss: [16, 4], rcv_mss: [20, 4],
  unacked: [24, 4], sacked: [28, 4], lost: [32, 4], retrans: [36, 4], pmtu: [60, 4], snd_ssthresh: [76, 4], snd_cwnd: [80, 4], advmss: [84, 4],
  reordering: [88, 4], total_retrans: [100, 4], bytes_acked: [120, 4], bytes_received: [128, 4], segs_out: [136, 4], segs_in: [140, 4],
  notsent: [144, 4], data_segs_in: [152, 4], data_segs_out: [156, 4], delivered: [192, 4], delivered_ce: [196, 4], bytes_sent: [200, 4],
  bytes_retrans: [208, 4], dsack_dups: [216, 4], reord_seen: [220, 4], rcv_ooopack: [224, 4], snd_wnd: [228, 4],
});
const TCP_GROUPS = SNMP_GROUPS.filter(({ prefix }) => prefix === "Tcp" || prefix === "TcpExt");
const buffer = new Uint8Array(8192);

/** One sequence, played on the stack. */
export class Run {
  private listener = -1;
  private conn = -1;
  private isn = 0;
  private port = 80;
  private peerPort = 5000;
  private elapsed = 0;
  private tsecr = 0;
  private counted = new Uint32Array(initNet.mib);

  private options(list: readonly Option[]): number[] {
    return list.flatMap(([name, ...numbers]) => {
      const word = (value: number): number[] => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
      switch (name) {
        case "mss": return [2, 4, numbers[0]! >> 8, numbers[0]! & 255];
        case "wscale": return [1, 3, 3, numbers[0]!];
        case "sackOK": return [1, 1, 4, 2];
        case "TS": return [1, 1, 8, 10, ...word(100_000 + this.elapsed + numbers[0]!), ...word(this.tsecr)];
        default: return [1, 1, 5, 2 + 4 * numbers.length, ...numbers.flatMap((edge) => word((edge + this.isn) | 0))];
      }
    });
  }

  private optionsText(bytes: readonly number[]): string {
    const view = new DataView(Uint8Array.from(bytes).buffer);
    const text: string[] = [];
    for (let at = 0; at < bytes.length && bytes[at] !== 0; at += bytes[at] === 1 ? 1 : bytes[at + 1]!) {
      const edges = Array.from({ length: (bytes[at + 1]! - 2) >> 2 }, (_, i) => at + 2 + 4 * i);
      switch (bytes[at]) {
        case 1: break;
        case 2: text.push(`mss ${view.getUint16(at + 2)}`); break;
        case 3: text.push("wscale"); break;
        case 4: text.push("sackOK"); break;
        case 5: {
          const blocks = edges.map((edge) => (view.getInt32(edge) - ISN) | 0);
          text.push(`sack ${blocks.map((edge, i) => `${edge}${i === blocks.length - 1 ? "" : i % 2 === 0 ? ":" : " "}`).join("")}`);
          break;
        }
        case 8: this.tsecr = view.getInt32(at + 2); text.push("TS"); break;
        default: text.push(`<${bytes[at]}>`);
      }
    }
    return text.join(",");
  }

  private packet({ flags, seq, ack, payload, urgent, options, sport, dport }: Segment): Packet {
    if ((flags & SYN) !== 0) {
      this.isn = seq;
      this.port = sport;
      this.peerPort = dport;
    }
    const relative = (flags & (RST | ACK)) === RST && seq === 0 ? 0 : (seq - this.isn) | 0;
    const options_ = this.optionsText(options);
    return [flags, relative, (flags & ACK) !== 0 ? (ack - ISN) | 0 : ack, payload.length, (flags & URG) !== 0 ? urgent : 0, options_];
  }

  private receive(rest: readonly unknown[]): number {
    const [flags, seq, ack, length, window, urgent, options] = rest as [number, number, number, number, number, number, Option[]];
    inject({
      flags, window, urgent, sport: this.peerPort, dport: this.port, seq: (ISN + seq) | 0, ack: (flags & ACK) !== 0 ? (this.isn + ack) | 0 : 0,
      options: this.options(options), payload: Array.from({ length }, (_, i) => (seq + i) & 255),
    });
    return 0;
  }

  private act([name, ...rest]: Action): number {
    const [first, second, third] = rest as number[];
    const out = new Int32Array(1);
    switch (name) {
      case "wait":
        run(first!);
        this.elapsed += first!;
        return 0;
      case "rx": return this.receive(rest);
      case "listen":
        this.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
        setsockopt(this.listener, SOL_TCP, TCP_WINDOW_CLAMP, WINDOW);
        bind(this.listener, new SockaddrIn(US, 80));
        return listen(this.listener, first!);
      case "connect":
        if (this.conn < 0) {
          this.conn = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
          setsockopt(this.conn, SOL_TCP, TCP_WINDOW_CLAMP, WINDOW);
          bind(this.conn, new SockaddrIn(US, 4000));
          this.port = 4000;
          this.peerPort = 5000;
        }
        return connect(this.conn, new SockaddrIn(PEER, 5000));
      case "accept": {
        const fd = accept4(this.listener, null, SOCK_NONBLOCK);
        if (fd < 0) return fd;
        this.conn = fd;
        return 0;
      }
      case "closelistener": {
        const fd = this.listener;
        this.listener = -1;
        return close(fd);
      }
      case "close": {
        const fd = this.conn;
        this.conn = -1;
        return close(fd);
      }
      case "send": return send(this.conn, buffer, 0, first!, second! | MSG_NOSIGNAL);
      case "recv": return recv(this.conn, buffer, 0, first!, second!);
      case "shutdown": return shutdown(this.conn, first!);
      case "set": return setsockopt(this.conn, first!, second!, third!);
      case "linger": return setsockoptBytes(this.conn, SOL_SOCKET, SO_LINGER, Int32Array.of(first!, second!));
      case "get": {
        const err = getsockopt(this.conn, first!, second!, out);
        return err < 0 ? err : out[0]!;
      }
      default: {
        const err = ioctl(this.conn, name === "inq" ? SIOCINQ : name === "outq" ? SIOCOUTQ : SIOCATMARK, out);
        return err < 0 ? err : out[0]!;
      }
    }
  }

  private info(): number[] {
    if (this.conn < 0) return [];
    const bytes = new Uint8Array(280);
    getsockopt(this.conn, SOL_TCP, TCP_INFO, bytes);
    const view = new DataView(bytes.buffer);
    if (bytes[0] === TCP_CLOSE) return [TCP_CLOSE];
    return recorded.info.map((name) => {
      const [at, size] = INFO[name]!;
      return size === 1 ? bytes[at]! : view.getUint32(at, true);
    });
  }

  private pollMask(fd: number): number {
    if (fd < 0) return -1;
    const polled = [new Pollfd(fd, POLLIN | POLLPRI | POLLOUT | EPOLLRDHUP)];
    poll(polled, 1);
    return polled[0]!.revents;
  }

  private counters(): Record<string, number> {
    const counted: Record<string, number> = {};
    for (const { first, count } of TCP_GROUPS) {
      for (let i = first; i < first + count; i++) {
        const change = (initNet.mib[i]! - this.counted[i]!) | 0;
        if (change !== 0 && !recorded.uncounted.includes(SNMP_NAMES[i]!)) counted[SNMP_NAMES[i]!] = change;
      }
    }
    this.counted = new Uint32Array(initNet.mib);
    return counted;
  }

  /** As the recorder has it: PSH of the last segment with data only, unless it is urgent, and of blocks beside data the first. */
  private tidy(packets: readonly Packet[]): Packet[] {
    const last = Math.max(...packets.map(([, , , length], i) => length > 0 ? i : -1));
    return packets.map((packet, i) => {
      const [flags, seq, ack, length, urgent, options] = packet;
      if (length === 0) return packet;
      const first = /^.*sack \S+/.exec(options)?.[0] ?? options;
      return [i === last && (flags & URG) === 0 ? flags : flags & ~PSH, seq, ack, length, urgent, first];
    });
  }

  step(action: Action): Step {
    const answer = this.act(action);
    run(SETTLE_MS);
    this.elapsed += SETTLE_MS;
    const packets = sent().map((segment) => this.packet(segment));
    return [action, answer, this.tidy(packets), [this.pollMask(this.listener), this.pollMask(this.conn)], this.info(), this.counters()];
  }

  end(): void {
    if (this.conn >= 0) setsockoptBytes(this.conn, SOL_SOCKET, SO_LINGER, Int32Array.of(1, 0));
    if (this.conn >= 0) close(this.conn);
    if (this.listener >= 0) close(this.listener);
    run(400_000);
    sent();
  }
}
