/** The client: one test with a server, whose states it follows. */
import {
  AF_INET, close, connect, EAGAIN, EINPROGRESS, ENOTCONN, MSG_NOSIGNAL, recv, send, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket,
} from "linnet";
import { Control } from "./control.ts";
import { type Command, formatParams, formatResults, parseResults, type Settings, type StreamResult } from "./params.ts";
import {
  ACCESS_DENIED, COOKIE_BYTES, CREATE_STREAMS, DISPLAY_RESULTS, EXCHANGE_RESULTS, IPERF_DONE, isUdpConnectReply, makeCookie,
  PARAM_EXCHANGE, SERVER_ERROR, SERVER_TERMINATE, TEST_END, TEST_RUNNING, TEST_START, UDP_CONNECT_BYTES, UDP_CONNECT_MSG,
} from "./protocol.ts";
import { Streams } from "./streams.ts";

/** A datagram that opens a stream is sent again after so long. */
const RETRY_MS = 1000;

export class Client {
  private readonly server: SockaddrIn;
  private readonly settings: Settings;
  private readonly cookie = makeCookie();
  private control: Control | null = null;
  /** Sockets of streams; the first `greeted` of them have sent their cookie, or have their answer. */
  private readonly fds: number[] = [];
  private greeted = 0;
  private greetingSent = 0;
  private retryMs = 0;
  private readonly greeting = new Uint8Array(COOKIE_BYTES);
  private streams: Streams | null = null;
  private running = false;
  private awaitsResults = false;
  private seconds = 0;
  private theirs: StreamResult[] = [];
  over = false;

  constructor({ server, port, settings }: Command) {
    this.server = new SockaddrIn(server!, port);
    this.settings = settings;
  }

  /** Calls the server. */
  private start(): true {
    this.control = new Control(this.open(SOCK_STREAM));
    this.control.sendBytes(this.cookie);
    return true;
  }

  /** A socket that is connecting to the server. */
  private open(type: number): number {
    const fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    const err = fd < 0 ? fd : connect(fd, this.server);
    if (err < 0 && err !== -EINPROGRESS) throw new Error(`connection to port ${this.server.port}: error ${err}`);
    return fd;
  }

  step(nowMs: number): boolean | number {
    if (this.over) return false;
    const { control } = this;
    if (control === null) return this.start();
    const worked = control.step() || this.takeResults(control) || this.follow(control, nowMs);
    if (this.over) return true;
    if (control.failed) return this.end("the server has gone");
    if (this.running) {
      const ran = this.run(control, nowMs);
      return worked || ran;
    }
    if (this.greeted < this.fds.length) return this.greet(nowMs) || worked || RETRY_MS;
    return worked;
  }

  /** Does what the server's next state asks for; whether there was one. */
  private follow(control: Control, nowMs: number): boolean {
    const state = this.awaitsResults ? null : control.takeState();
    if (state === null) return false;
    switch (state) {
      case PARAM_EXCHANGE:
        control.sendText(formatParams(this.settings));
        return true;
      case CREATE_STREAMS:
        for (let i = 0; i < this.settings.streams; i++) this.fds.push(this.open(this.settings.udp ? SOCK_DGRAM : SOCK_STREAM));
        return true;
      case TEST_START:
        this.streams = new Streams(this.settings, !this.settings.reverse, this.fds);
        return true;
      case TEST_RUNNING:
        this.streams!.start(nowMs);
        this.running = true;
        return true;
      case EXCHANGE_RESULTS:
        control.sendText(formatResults(this.streams!.results(), this.seconds));
        this.awaitsResults = true;
        return true;
      case DISPLAY_RESULTS:
        trace(this.streams!.report(this.theirs, this.seconds));
        control.sendState(IPERF_DONE);
        control.step();
        return this.end("");
      case ACCESS_DENIED:
        return this.end("the server is busy with another test");
      case SERVER_TERMINATE:
      case SERVER_ERROR:
        return this.end("the server has ended the test");
      default:
        return this.end(`the server is in state ${state}`);
    }
  }

  private takeResults(control: Control): boolean {
    if (!this.awaitsResults) return false;
    const text = control.takeText();
    if (text === null) return false;
    this.awaitsResults = false;
    try {
      this.theirs = parseResults(text, this.settings.streams);
    } catch (error) {
      return this.end(`the server's results: ${(error as Error).message}`);
    }
    return true;
  }

  /** TCP: sends the cookie. UDP: sends a datagram until it is answered. Stream after stream, as servers count them. */
  private greet(nowMs: number): boolean {
    return this.settings.udp ? this.greetUdp(nowMs) : this.greetTcp();
  }

  private greetTcp(): boolean {
    const fd = this.fds[this.greeted]!;
    const count = send(fd, this.cookie, this.greetingSent, COOKIE_BYTES - this.greetingSent, MSG_NOSIGNAL);
    if (count === -EAGAIN || count === -ENOTCONN) return false;
    if (count < 0) return this.end(`a stream's connection: error ${count}`);
    this.greetingSent += count;
    if (this.greetingSent < COOKIE_BYTES) return true;
    this.greetingSent = 0;
    this.greeted++;
    return true;
  }

  private greetUdp(nowMs: number): boolean {
    const { greeting } = this;
    const view = new DataView(greeting.buffer);
    const fd = this.fds[this.greeted]!;
    if (recv(fd, greeting, 0, COOKIE_BYTES, 0) >= UDP_CONNECT_BYTES && isUdpConnectReply(view.getUint32(0, true))) {
      this.greeted++;
      this.retryMs = 0;
      return true;
    }
    if (nowMs < this.retryMs) return false;
    view.setUint32(0, UDP_CONNECT_MSG, true);
    send(fd, greeting, 0, UDP_CONNECT_BYTES, MSG_NOSIGNAL);
    this.retryMs = nowMs + RETRY_MS;
    return true;
  }

  /** The test runs; the client says when it is over. */
  private run(control: Control, nowMs: number): boolean | number {
    const streams = this.streams!;
    const result = streams.step(nowMs);
    if (!streams.isOver(nowMs) && !streams.ended) {
      if (result === true || this.settings.seconds === 0) return result;
      const left = Math.max(1, this.settings.seconds * 1000 - streams.secondsAt(nowMs) * 1000);
      return result === false ? left : Math.min(result, left);
    }
    this.running = false;
    this.seconds = streams.secondsAt(nowMs);
    control.sendState(TEST_END);
    return true;
  }

  /** @param why "": as it should be */
  private end(why: string): true {
    if (why !== "") trace(`test ended: ${why}\n`);
    for (const fd of this.fds) close(fd);
    this.control!.close();
    this.over = true;
    return true;
  }
}
