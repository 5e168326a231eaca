/** Fetches a URL and says how many bytes its body has and their SHA-256: http-client -- http://10.0.0.1:8000/path */
import {
  AF_INET, close, connect, EAGAIN, EINPROGRESS, MSG_NOSIGNAL, type Net, recv, send, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket,
} from "linnet";
import { asciiBytes, asciiText } from "../common/ascii.ts";
import { Sha256 } from "../common/sha256.ts";

const HTTP_PORT = 80;
const END_OF_HEAD = "\r\n\r\n";

interface Target {
  readonly addr: number;
  readonly port: number;
  readonly request: string;
}

function parseUrl(url: string): Target {
  const match = /^http:\/\/(\d+)\.(\d+)\.(\d+)\.(\d+)(?::(\d+))?(\/.*)?$/.exec(url);
  if (match === null) throw new TypeError(`url is ${url}; it must be like http://10.0.0.1:8000/path, with an address`);
  const addr = match.slice(1, 5).reduce((value, byte) => (value << 8) | Number(byte), 0);
  const host = match.slice(1, 5).join(".");
  return {
    addr,
    port: Number(match[5] ?? HTTP_PORT),
    request: `GET ${match[6] ?? "/"} HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
  };
}

export default function main(_net: Net, url = "http://10.0.0.1:8000/"): () => boolean {
  const target = parseUrl(url);
  const request = asciiBytes(target.request);
  const buffer = new Uint8Array(65536);
  const hash = new Sha256();
  let fd = -1;
  let sent = 0;
  let head = "";
  let inBody = false;
  let done = false;

  function start(): boolean {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const err = fd < 0 ? fd : connect(fd, new SockaddrIn(target.addr, target.port));
    return err < 0 && err !== -EINPROGRESS ? finish(`${url}: error ${err}`) : true;
  }

  function receive(count: number): void {
    if (inBody) {
      hash.update(buffer, 0, count);
      return;
    }
    const before = head.length;
    head += asciiText(buffer, 0, count);
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0) return;
    inBody = true;
    const start = end + END_OF_HEAD.length - before;
    hash.update(buffer, start, count - start);
  }

  function finish(text: string): boolean {
    done = true;
    close(fd);
    trace(`${text}\n`);
    return true;
  }

  return () => {
    if (done) return false;
    if (fd < 0) return start();
    if (sent < request.length) {
      const count = send(fd, request, sent, request.length - sent, MSG_NOSIGNAL);
      if (count === -EAGAIN) return false;
      if (count < 0) return finish(`${url}: error ${count}`);
      sent += count;
      return true;
    }
    const count = recv(fd, buffer, 0, buffer.length, 0);
    if (count === -EAGAIN) return false;
    if (count < 0) return finish(`${url}: error ${count}`);
    if (count === 0) return finish(`received ${hash.length} bytes, sha256 ${hash.hex()}`);
    receive(count);
    return true;
  };
}
