/** The server: one test after another; whoever comes meanwhile is told so. */
import {
  accept4, AF_INET, bind, close, connect, EAGAIN, listen, MSG_NOSIGNAL, recv, recvfrom, send, setsockopt, SO_REUSEADDR,
  SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket, SOL_SOCKET,
} from "linnet";
import { Control } from "./control.ts";
import { formatResults, MOST_STREAMS, parseParams, parseResults, type Settings } from "./params.ts";
import {
  ACCESS_DENIED, CLIENT_TERMINATE, COOKIE_BYTES, CREATE_STREAMS, DISPLAY_RESULTS, EXCHANGE_RESULTS, IEUNIMP, IPERF_DONE,
  PARAM_EXCHANGE, SERVER_ERROR, TEST_END, TEST_RUNNING, TEST_START, UDP_CONNECT_BYTES, UDP_CONNECT_REPLY,
} from "./protocol.ts";
import { Streams } from "./streams.ts";

/** What the server waits for. */
type Waiting = "cookie" | "params" | "streams" | "end" | "results" | "goodbye";

/** A client that says nothing for so long, where it has something to say, is gone. */
const PATIENCE_MS = 20_000;
/** A test may run this much longer than it was to. */
const GRACE_MS = 30_000;
const LONGEST_MS = 86_400_000;

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** One test with one client, from its cookie to its goodbye. */
class Session {
  readonly control: Control;
  private readonly port: number;
  private waiting: Waiting = "cookie";
  private cookie: Uint8Array = new Uint8Array(0);
  private settings: Settings | null = null;
  /** Sockets of streams, in the order in which they came; TCP's wait for their cookie one after the other. */
  private readonly fds: number[] = [];
  private greeted = 0;
  private readonly greeting = new Uint8Array(COOKIE_BYTES);
  private greetingLength = 0;
  /** Bound to the port, for the next UDP stream; -1: none. */
  private udpFd = -1;
  private readonly from = new SockaddrIn();
  private streams: Streams | null = null;
  private seconds = 0;
  private patienceMs: number;
  over = false;

  constructor(fd: number, port: number, nowMs: number) {
    this.control = new Control(fd);
    this.port = port;
    this.patienceMs = nowMs + PATIENCE_MS;
  }

  /** TCP streams are to come to the listener. */
  get wantsStreams(): boolean {
    return this.waiting === "streams" && !this.settings!.udp && this.fds.length < this.settings!.streams;
  }

  /** The client has its results and is about to go: who comes next may come before its goodbye was heard. */
  get leaving(): boolean {
    return this.waiting === "goodbye";
  }

  addStream(fd: number): void {
    this.fds.push(fd);
  }

  step(nowMs: number): boolean | number {
    const { control } = this;
    const moved = control.step();
    const worked = this.proceed(nowMs);
    if (this.over) return true;
    if (control.failed || nowMs > this.patienceMs) {
      this.end(control.failed ? "the client has gone" : "the client is silent");
      return true;
    }
    const ran = this.waiting === "end" ? this.streams!.step(nowMs) : false;
    return moved || worked || (ran === false ? this.patienceMs + 1 - nowMs : ran);
  }

  /** Does the next step of the protocol if it can be done; whether it was. */
  private proceed(nowMs: number): boolean {
    switch (this.waiting) {
      case "cookie":
        return this.takeCookie(nowMs);
      case "params":
        return this.takeParams(nowMs);
      case "streams":
        return this.takeStreams(nowMs);
      case "end":
        return this.takeEnd(nowMs);
      case "results":
        return this.takeResults(nowMs);
      case "goodbye":
        if (this.control.takeState() !== IPERF_DONE) return false;
        this.end("");
        return true;
    }
  }

  private await(what: Waiting, nowMs: number, patienceMs = PATIENCE_MS): true {
    this.waiting = what;
    this.patienceMs = nowMs + patienceMs;
    return true;
  }

  private takeCookie(nowMs: number): boolean {
    const cookie = this.control.takeBytes(COOKIE_BYTES);
    if (cookie === null) return false;
    this.cookie = cookie;
    this.control.sendState(PARAM_EXCHANGE);
    return this.await("params", nowMs);
  }

  private takeParams(nowMs: number): boolean {
    const text = this.control.takeText();
    if (text === null) return false;
    try {
      this.settings = parseParams(text);
    } catch (error) {
      return this.refuse((error as Error).message);
    }
    if (this.settings.udp && !this.openUdp()) return this.refuse("no UDP socket");
    this.control.sendState(CREATE_STREAMS);
    return this.await("streams", nowMs);
  }

  private refuse(why: string): true {
    this.control.sendState(SERVER_ERROR);
    this.control.sendWord(IEUNIMP);
    this.control.sendWord(0);
    this.control.step();
    this.end(why);
    return true;
  }

  /** The next stream's socket listens on the port; those that have a peer already score higher for it. */
  private openUdp(): boolean {
    const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 || bind(fd, new SockaddrIn(0, this.port)) < 0) {
      close(fd);
      return false;
    }
    this.udpFd = fd;
    return true;
  }

  private takeStreams(nowMs: number): boolean {
    const settings = this.settings!;
    const worked = settings.udp ? this.greetUdp() : this.greetTcp();
    if (this.greeted < settings.streams) return worked;
    this.streams = new Streams(settings, settings.reverse, this.fds);
    this.streams.start(nowMs);
    this.control.sendState(TEST_START);
    this.control.sendState(TEST_RUNNING);
    return this.await("end", nowMs, settings.seconds > 0 ? settings.seconds * 1000 + GRACE_MS : LONGEST_MS);
  }

  /** A datagram from somewhere new: its sender is the stream's peer. */
  private greetUdp(): boolean {
    const { greeting, from } = this;
    if (this.udpFd < 0 && !this.openUdp()) return this.refuse("no UDP socket");
    const fd = this.udpFd;
    if (recvfrom(fd, greeting, 0, COOKIE_BYTES, 0, from) < 0) return false;
    connect(fd, from);
    new DataView(greeting.buffer).setUint32(0, UDP_CONNECT_REPLY, true);
    send(fd, greeting, 0, UDP_CONNECT_BYTES, MSG_NOSIGNAL);
    this.fds.push(fd);
    this.udpFd = -1;
    this.greeted++;
    return true;
  }

  /** The cookie of the first stream that has not shown it. */
  private greetTcp(): boolean {
    const { greeting } = this;
    if (this.greeted === this.fds.length) return false;
    const fd = this.fds[this.greeted]!;
    const count = recv(fd, greeting, this.greetingLength, COOKIE_BYTES - this.greetingLength, 0);
    if (count === -EAGAIN) return false;
    if (count > 0) this.greetingLength += count;
    if (count > 0 && this.greetingLength < COOKIE_BYTES) return true;
    this.greetingLength = 0;
    if (count > 0 && sameBytes(greeting, this.cookie)) {
      this.greeted++;
    } else {
      close(fd);
      this.fds.splice(this.greeted, 1);
    }
    return true;
  }

  private takeEnd(nowMs: number): boolean {
    const state = this.control.takeState();
    if (state === CLIENT_TERMINATE) this.end("the client was interrupted");
    if (state !== TEST_END) return state !== null;
    const streams = this.streams!;
    // What has arrived by now counts.
    while (!this.settings!.reverse && streams.step(nowMs) === true);
    this.seconds = streams.secondsAt(nowMs);
    streams.close();
    this.fds.length = 0;
    this.control.sendState(EXCHANGE_RESULTS);
    return this.await("results", nowMs);
  }

  private takeResults(nowMs: number): boolean {
    const text = this.control.takeText();
    if (text === null) return false;
    const streams = this.streams!;
    try {
      trace(streams.report(parseResults(text, this.settings!.streams), this.seconds));
    } catch (error) {
      return this.refuse((error as Error).message);
    }
    this.control.sendText(formatResults(streams.results(), this.seconds));
    this.control.sendState(DISPLAY_RESULTS);
    return this.await("goodbye", nowMs);
  }

  /** @param why "": as it should be */
  end(why: string): void {
    if (why !== "") trace(`test ended: ${why}\n`);
    for (const fd of this.fds) close(fd);
    if (this.udpFd >= 0) close(this.udpFd);
    this.control.close();
    this.over = true;
  }
}

export class Server {
  private readonly listener: number;
  private readonly port: number;
  private session: Session | null = null;
  private readonly denied = new Uint8Array([ACCESS_DENIED & 255]);

  constructor(port: number) {
    this.port = port;
    this.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const err = bind(this.listener, new SockaddrIn(0, port)) || listen(this.listener, MOST_STREAMS);
    if (err < 0) throw new Error(`port ${port}: error ${err}`);
  }

  step(nowMs: number): boolean | number {
    const accepted = this.accept(nowMs);
    if (this.session === null) return accepted;
    const result = this.session.step(nowMs);
    if (this.session.over) this.session = null;
    return accepted || result;
  }

  private accept(nowMs: number): boolean {
    if (this.session !== null && this.session.leaving) return false;
    const fd = accept4(this.listener, null, SOCK_NONBLOCK);
    if (fd < 0) return false;
    if (this.session === null) {
      this.session = new Session(fd, this.port, nowMs);
    } else if (this.session.wantsStreams) {
      this.session.addStream(fd);
    } else {
      send(fd, this.denied, 0, 1, MSG_NOSIGNAL);
      close(fd);
    }
    return true;
  }
}
