/**
 * A server for large bodies: GET /bytes?n=N sends N pseudo-random bytes, GET /sha256?n=N their SHA-256, and PUT or POST
 * anywhere swallows the body and answers its length and SHA-256. For measuring, and for proving that nothing was changed.
 */
import {
  accept4, AF_INET, bind, close, EAGAIN, listen, MSG_NOSIGNAL, type Net, recv, send, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn,
  socket,
} from "linnet";
import { asciiBytes, asciiText } from "../common/ascii.ts";
import { Sha256 } from "../common/sha256.ts";
import { fillBody } from "./body.ts";

const HTTP_PORT = 80;
const CHUNK_BYTES = 16384;
const LONGEST_HEAD = 4096;
const END_OF_HEAD = "\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

/** One connection: a head is read, then a body swallowed or sent, then it ends. */
class Client {
  readonly fd: number;
  private head = "";
  private inHead = true;
  /** Bytes of the body still to come in, or to be made. */
  private incoming = 0;
  private outgoing = 0;
  private hash: Sha256 | null = null;
  private readonly chunk = new Uint8Array(CHUNK_BYTES);
  /** What is to be sent now: chunk from..to. */
  private from = 0;
  private to = 0;
  private position = 0;
  open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Moves bytes; whether any were. */
  step(input: Uint8Array): boolean {
    if (this.from < this.to) return this.flush();
    if (this.outgoing > 0) {
      const length = this.outgoing < CHUNK_BYTES ? this.outgoing : CHUNK_BYTES;
      fillBody(this.chunk, length, this.position);
      this.position += length;
      this.outgoing -= length;
      this.from = 0;
      this.to = length;
      return this.flush();
    }
    if (!this.inHead && this.incoming === 0) return this.end();
    const count = recv(this.fd, input, 0, input.length, 0);
    if (count === -EAGAIN) return false;
    if (count <= 0) return this.end();
    if (this.inHead) this.readHead(input, count);
    else this.swallow(input, 0, count);
    return true;
  }

  private flush(): boolean {
    const count = send(this.fd, this.chunk, this.from, this.to - this.from, MSG_NOSIGNAL);
    if (count === -EAGAIN) return false;
    if (count < 0) return this.end();
    this.from += count;
    return true;
  }

  private end(): boolean {
    this.open = false;
    close(this.fd);
    return true;
  }

  private say(text: string): void {
    this.chunk.set(asciiBytes(text), this.to);
    this.to += text.length;
  }

  private answer(status: string, length: number, body = ""): void {
    this.say(`HTTP/1.1 ${status}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`);
  }

  private readHead(input: Uint8Array, count: number): void {
    const before = this.head.length;
    this.head += asciiText(input, 0, count);
    const end = this.head.indexOf(END_OF_HEAD);
    if (end < 0) {
      if (this.head.length > LONGEST_HEAD) this.end();
      return;
    }
    this.inHead = false;
    this.from = this.to = 0;
    const [, method, path, n] = /^(\w+) ([^ ?]*)(?:\?n=(\d+))? HTTP/.exec(this.head) ?? [];
    if (method === "PUT" || method === "POST") {
      const start = end + END_OF_HEAD.length - before;
      this.incoming = Number(/\r\ncontent-length: *(\d+)/i.exec(this.head)?.[1] ?? 0);
      this.hash = new Sha256();
      if (/\r\nexpect: *100-continue/i.test(this.head)) this.say(CONTINUE);
      this.swallow(input, start, count - start);
    } else if (path === "/bytes") {
      this.outgoing = Number(n ?? 0);
      this.answer("200 OK", this.outgoing);
    } else if (path === "/sha256") {
      const text = `${this.bodyHash(Number(n ?? 0))}\n`;
      this.answer("200 OK", text.length, text);
    } else {
      this.answer("404 Not Found", 0);
    }
  }

  private swallow(input: Uint8Array, offset: number, length: number): void {
    this.hash!.update(input, offset, length < this.incoming ? length : this.incoming);
    this.incoming -= length < this.incoming ? length : this.incoming;
    if (this.incoming > 0) return;
    const text = `${this.hash!.length} ${this.hash!.hex()}\n`;
    this.answer("200 OK", text.length, text);
  }

  private bodyHash(length: number): string {
    const hash = new Sha256();
    for (let at = 0; at < length; at += CHUNK_BYTES) {
      const part = length - at < CHUNK_BYTES ? length - at : CHUNK_BYTES;
      fillBody(this.chunk, part, at);
      hash.update(this.chunk, 0, part);
    }
    return hash.hex();
  }
}

export default function main(_net: Net): () => boolean {
  const input = new Uint8Array(CHUNK_BYTES);
  const clients: Client[] = [];
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, HTTP_PORT)) || listen(listener, 8);
  if (err < 0) throw new Error(`port ${HTTP_PORT}: error ${err}`);
  return () => {
    const fd = accept4(listener, null, SOCK_NONBLOCK);
    if (fd >= 0) clients.push(new Client(fd));
    let worked = fd >= 0;
    for (let i = clients.length - 1; i >= 0; i--) {
      const client = clients[i]!;
      if (client.step(input)) worked = true;
      if (!client.open) clients.splice(i, 1);
    }
    return worked;
  };
}
