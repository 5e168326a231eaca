/**
 * The streams of one test, while it runs: all send or all receive. Nothing here allocates after the start: one buffer and
 * one view serve all streams. A sketch's step: true when bytes moved, a number of ms when one waits for its rate.
 */
import { close, EAGAIN, ENOBUFS, MSG_NOSIGNAL, recv, send } from "linnet";
import { MOST_LENGTH, type Settings, type StreamResult } from "./params.ts";
import { UDP_HEADER_BYTES, UDP_WIDE_HEADER_BYTES, UdpMeter, writeUdpHeader } from "./protocol.ts";

/** Writes or reads of one stream before the others and the stack have their turn. */
const BURST = 16;

class Stream {
  readonly fd: number;
  bytes = 0;
  /** Datagrams sent. */
  packets = 0;
  readonly meter = new UdpMeter();
  /** The peer has ended it, or an error did. */
  ended = false;

  constructor(fd: number) {
    this.fd = fd;
  }
}

export class Streams {
  private readonly settings: Settings;
  private readonly sending: boolean;
  private readonly streams: Stream[];
  private readonly buffer = new Uint8Array(MOST_LENGTH);
  private readonly view = new DataView(this.buffer.buffer);
  private startMs = 0;
  /** What all streams have sent or received. */
  private bytes = 0;
  private blocks = 0;

  /** @param fds connected sockets, in the order of their numbers */
  constructor(settings: Settings, sending: boolean, fds: readonly number[]) {
    this.settings = settings;
    this.sending = sending;
    this.streams = fds.map((fd) => new Stream(fd));
    for (let i = 0; i < MOST_LENGTH; i++) this.buffer[i] = i * 7 + (i >> 8);
  }

  start(nowMs: number): void {
    this.startMs = nowMs;
  }

  /** Time or bytes are up. */
  isOver(nowMs: number): boolean {
    const { seconds, bytes, blocks } = this.settings;
    if (bytes > 0) return this.bytes >= bytes;
    if (blocks > 0) return this.blocks >= blocks;
    return this.secondsAt(nowMs) >= seconds;
  }

  /** Every stream was ended by the peer or by an error. */
  get ended(): boolean {
    return this.streams.every(({ ended }) => ended);
  }

  secondsAt(nowMs: number): number {
    return (nowMs - this.startMs) / 1000;
  }

  step(nowMs: number): boolean | number {
    const { streams } = this;
    let worked = false;
    let wait = -1;
    for (let i = 0; i < streams.length; i++) {
      const result = this.sending ? this.sendSome(streams[i]!, nowMs) : this.receiveSome(streams[i]!, nowMs);
      if (result === 0) worked = true;
      else if (result > 0 && (wait < 0 || result < wait)) wait = result;
    }
    return worked || (wait < 0 ? false : wait);
  }

  /** 0: bytes moved; -1: it waits for the stack; above: for so many ms. */
  private sendSome(stream: Stream, nowMs: number): number {
    const { udp, length, rate, wide } = this.settings;
    let result = -1;
    for (let n = 0; n < BURST && !stream.ended && (this.amountless || !this.isOver(nowMs)); n++) {
      if (rate > 0) {
        const aheadMs = ((stream.bytes * 8) / rate) * 1000 - (nowMs - this.startMs);
        if (aheadMs > 0) return result === 0 ? 0 : Math.ceil(aheadMs);
      }
      if (udp) writeUdpHeader(this.view, nowMs, stream.packets + 1, wide);
      const count = send(stream.fd, this.buffer, 0, length, MSG_NOSIGNAL);
      if (count === -EAGAIN || count === -ENOBUFS) break;
      if (count < 0) {
        stream.ended = true;
        break;
      }
      stream.packets++;
      this.count(stream, count);
      result = 0;
    }
    return result;
  }

  /** The time says when the test is over, and only the client looks at it. */
  private get amountless(): boolean {
    return this.settings.bytes === 0 && this.settings.blocks === 0;
  }

  private receiveSome(stream: Stream, nowMs: number): number {
    const { udp, wide } = this.settings;
    const least = udp ? (wide ? UDP_WIDE_HEADER_BYTES : UDP_HEADER_BYTES) : 1;
    let result = -1;
    for (let n = 0; n < BURST && !stream.ended; n++) {
      const count = recv(stream.fd, this.buffer, 0, MOST_LENGTH, 0);
      if (count === -EAGAIN) break;
      result = 0;
      if (count < 0 || (count === 0 && !udp)) {
        stream.ended = true;
        break;
      }
      // Anything shorter is a datagram that was to open the stream, sent again.
      if (count < least) continue;
      if (udp) stream.meter.receive(this.view, nowMs, wide);
      this.count(stream, count);
    }
    return result;
  }

  private count(stream: Stream, bytes: number): void {
    stream.bytes += bytes;
    this.bytes += bytes;
    this.blocks++;
  }

  results(): StreamResult[] {
    return this.streams.map(({ bytes, packets, meter }) => ({
      bytes, packets: this.sending ? packets : meter.packets, lost: meter.lost, jitter: meter.jitter,
    }));
  }

  /** What both sides have seen, as lines for people. */
  report(theirs: readonly StreamResult[], seconds: number): string {
    return this.results().map((own, index) => {
      const [sent, received] = this.sending ? [own, theirs[index]!] : [theirs[index]!, own];
      const rate = ((received.bytes * 8) / Math.max(seconds, 0.001) / 1e6).toFixed(1);
      const datagrams = `, ${received.lost} of ${sent.packets} datagrams lost, jitter ${(received.jitter * 1000).toFixed(3)} ms`;
      return `stream ${index + 1}: ${sent.bytes} bytes sent, ${received.bytes} received in ${seconds.toFixed(2)} s, ${rate} Mbit/s`
        + `${this.settings.udp ? datagrams : ""}\n`;
    }).join("");
  }

  close(): void {
    for (const { fd } of this.streams) close(fd);
  }
}
