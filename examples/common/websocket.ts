/**
 * A WebSocket over a connection of ECMA-419, at either end: frames out and in, the closing handshake, pings answered. Read first:
 * RFC 6455 sections 5 to 7. The opening handshake of a server is in http-server.ts; that of a client is here. Messages are put together
 * here, and one that is too long ends the connection. Owns the connection.
 */
import { asciiBytes } from "./ascii.ts";
import { Connection } from "./connection.ts";
import { HttpReader } from "./http-reader.ts";
import { base64, sha1 } from "./sha1.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;
const MASKED = 0x80;
const LONGEST_SHORT = 125;
const TWO_BYTES = 126;
const EIGHT_BYTES = 127;
const LONGEST_MESSAGE = 65536;

export const WS_NORMAL = 1000;
export const WS_PROTOCOL_ERROR = 1002;
/** Nothing was said about why. */
export const WS_ABNORMAL = 1006;
export const WS_TOO_LONG = 1009;

export interface WebSocketEvents {
  onOpen?(): void;
  /** A message is there, of any number of frames. Text is UTF-8. */
  onMessage(data: Uint8Array, isText: boolean): void;
  /** It is over. @param code of RFC 6455 section 7.4, WS_ABNORMAL when the connection broke or never came to be */
  onClose?(code: number): void;
}

/** A connection on which both have agreed to speak frames. A client's are masked. */
export interface WebSocketLine {
  readonly connection: Connection;
  readonly masks: boolean;
}

/** What a server answers to a client's key (section 4.2.2). */
export function acceptKey(key: string): string {
  return base64(sha1(asciiBytes(key + GUID)));
}

export class WebSocket {
  private readonly connection: Connection;
  private readonly masks: boolean;
  private readonly events: WebSocketEvents;
  /** What has come of a frame that is not complete. */
  private pending = new Uint8Array(0);
  /** The message that is put together, and of what kind it is; 0: none. */
  private parts: Uint8Array[] = [];
  private length = 0;
  private kind = 0;
  private closing = false;
  private over = false;

  constructor({ connection, masks }: WebSocketLine, events: (socket: WebSocket) => WebSocketEvents) {
    this.connection = connection;
    this.masks = masks;
    this.events = events(this);
  }

  get isOpen(): boolean {
    return !this.closing && !this.over;
  }

  /** Bytes that are sent but not taken by the connection yet. */
  get waiting(): number {
    return this.connection.waiting;
  }

  /** Sends a message; a text's letters are ASCII. */
  send(data: string | Uint8Array): void {
    if (this.isOpen) this.frame(typeof data === "string" ? TEXT : BINARY, typeof data === "string" ? asciiBytes(data) : data);
  }

  /** Sends a text that is bytes already: UTF-8. */
  sendText(bytes: Uint8Array): void {
    if (this.isOpen) this.frame(TEXT, bytes);
  }

  ping(): void {
    if (this.isOpen) this.frame(PING, new Uint8Array(0));
  }

  /** Begins to close; onClose follows when the peer has answered, or the connection ended. */
  close(code: number = WS_NORMAL): void {
    if (!this.isOpen) return;
    this.frame(CLOSE, Uint8Array.of(code >> 8, code & 255));
    this.closing = true;
  }

  /** For whoever owns the connection's events: bytes have come. */
  receive(bytes: Uint8Array): void {
    const all = new Uint8Array(this.pending.length + bytes.length);
    all.set(this.pending);
    all.set(bytes, this.pending.length);
    let at = 0;
    for (let used = this.take(all, at); used > 0 && !this.over; used = this.take(all, at)) at += used;
    this.pending = all.slice(at);
  }

  /** The same: the connection has ended. */
  ended(): void {
    this.finish(WS_ABNORMAL);
  }

  private finish(code: number): void {
    if (this.over) return;
    this.over = true;
    this.events.onClose?.(code);
  }

  /** Ends it because of what the peer sent. */
  private fail(code: number): number {
    this.close(code);
    this.connection.end();
    this.finish(code);
    return 0;
  }

  /** Takes one frame. @returns its bytes, 0 when it is not complete or not as it must be */
  private take(bytes: Uint8Array, from: number): number {
    if (bytes.length - from < 2) return 0;
    const first = bytes[from]!;
    const second = bytes[from + 1]!;
    let at = from + 2;
    let length = second & 127;
    const lengthBytes = length === TWO_BYTES ? 2 : length === EIGHT_BYTES ? 8 : 0;
    if (lengthBytes > 0) {
      if (bytes.length - at < lengthBytes) return 0;
      length = 0;
      for (let i = 0; i < lengthBytes; i++) length = length * 256 + bytes[at++]!;
    }
    const masked = (second & MASKED) !== 0;
    const opcode = first & 15;
    // A client masks, a server does not; there are no extensions, and control frames are short and whole (section 5.5).
    if (masked === this.masks || (first & 0x70) !== 0 || (opcode >= CLOSE && (length > LONGEST_SHORT || (first & FIN) === 0))) {
      return this.fail(WS_PROTOCOL_ERROR);
    }
    if (this.length + length > LONGEST_MESSAGE) return this.fail(WS_TOO_LONG);
    const end = at + (masked ? 4 : 0) + length;
    if (bytes.length < end) return 0;
    const data = bytes.slice(end - length, end);
    if (masked) for (let i = 0; i < length; i++) data[i]! ^= bytes[at + (i & 3)]!;
    this.act(opcode, (first & FIN) !== 0, data);
    return end - from;
  }

  private act(opcode: number, isLast: boolean, data: Uint8Array): void {
    if (opcode === PING) this.frame(PONG, data);
    else if (opcode === CLOSE) this.peerCloses(data);
    else if (opcode <= BINARY) this.message(opcode, isLast, data);
    else if (opcode !== PONG) this.fail(WS_PROTOCOL_ERROR);
  }

  private message(opcode: number, isLast: boolean, data: Uint8Array): void {
    if ((opcode === CONTINUATION) !== (this.kind !== 0)) {
      this.fail(WS_PROTOCOL_ERROR);
      return;
    }
    if (opcode !== CONTINUATION) this.kind = opcode;
    this.parts.push(data);
    this.length += data.length;
    if (!isLast) return;
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    const isText = this.kind === TEXT;
    this.parts = [];
    this.length = this.kind = 0;
    if (!this.closing) this.events.onMessage(whole, isText);
  }

  private peerCloses(data: Uint8Array): void {
    const code = data.length >= 2 ? (data[0]! << 8) | data[1]! : WS_NORMAL;
    if (!this.closing) this.close(code);
    this.connection.end();
    this.finish(code);
  }

  private frame(opcode: number, data: Uint8Array): void {
    const { length } = data;
    const lengthBytes = length <= LONGEST_SHORT ? 0 : length < 65536 ? 2 : 8;
    const bytes = new Uint8Array(2 + lengthBytes + (this.masks ? 4 : 0) + length);
    bytes[0] = FIN | opcode;
    bytes[1] = (this.masks ? MASKED : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? TWO_BYTES : EIGHT_BYTES);
    for (let i = 0, rest = length; i < lengthBytes; i++, rest = Math.floor(rest / 256)) bytes[1 + lengthBytes - i] = rest & 255;
    const at = bytes.length - length;
    bytes.set(data, at);
    if (this.masks) {
      for (let i = 4; i > 0; i--) bytes[at - i] = (Math.random() * 256) | 0;
      for (let i = 0; i < length; i++) bytes[at + i]! ^= bytes[at - 4 + (i & 3)]!;
    }
    this.connection.write(bytes);
  }
}

export interface WebSocketClientOptions {
  readonly address: string;
  readonly port: number;
  /** Default "/". */
  readonly path?: string;
  /** What the header Host says; default the address and the port. */
  readonly host?: string;
}

/** Connects to a server. Its onClose comes with WS_ABNORMAL when there is none, or it speaks no WebSocket. */
export function connectWebSocket({ address, port, path = "/", host }: WebSocketClientOptions, events: WebSocketEvents): WebSocket {
  const key = base64(Uint8Array.from({ length: 16 }, () => Math.random() * 256));
  let isOpen = false;
  const reader = new HttpReader(true, {
    onHead: (start, headers) => {
      isOpen = /^HTTP\/1\.1 101/.test(start) && headers.get("sec-websocket-accept") === acceptKey(key);
      return false;
    },
    onBody: () => undefined,
    onDone: () => {
      if (isOpen) {
        events.onOpen?.();
        return;
      }
      connection.close();
      socket.ended();
    },
    onBad: () => undefined,
  });
  const connection = new Connection({ address, port }, {
    onData: (bytes) => {
      const used = isOpen ? 0 : reader.push(bytes, () => true);
      if (isOpen && used < bytes.length) socket.receive(bytes.subarray(used));
    },
    onEnd: () => socket.ended(),
  });
  const socket = new WebSocket({ connection, masks: true }, () => events);
  connection.write(asciiBytes(
    `GET ${path} HTTP/1.1\r\nHost: ${host ?? `${address}:${port}`}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  ));
  return socket;
}
