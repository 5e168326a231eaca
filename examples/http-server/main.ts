/** A web server on the BSD calls: one page about the stack that serves it. */
import {
  accept4, AF_INET, bind, close, devGetByName, EAGAIN, EPOLL_CTL_ADD, EPOLL_CTL_MOD, epollCreate1, epollCtl, EPOLLIN,
  EPOLLOUT, epollWait, listen, MSG_NOSIGNAL, type Net, poolsInUse, recv, send, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket,
} from "linnet";

const EVENTS = 8;
const LONGEST_REQUEST = 4096;
const started = Date.now();

function answer(net: Net, request: string): Uint8Array {
  const found = request.startsWith("GET / ");
  const stats = devGetByName(net, "eth0")!.stats;
  const facts = `up ${Math.round((Date.now() - started) / 1000)} s, ${stats.rxPackets} packets in, ${stats.txPackets} out, `
    + `${poolsInUse()} pool objects in use`;
  const body = `<!doctype html>\n<html><head><title>linnet</title></head><body>\n<h1>${found ? "linnet" : "404 not found"}</h1>\n`
    + `<p>${found ? `This page came through Linux's network stack in TypeScript: ${facts}.` : "Only / is here."}</p>\n</body></html>\n`;
  const text = `HTTP/1.1 ${found ? "200 OK" : "404 Not Found"}\r\nContent-Type: text/html\r\n`
    + `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export default function main(net: Net): () => boolean {
  const buffer = new Uint8Array(1024);
  const events = new Int32Array(2 * EVENTS);
  const requests: string[] = []; // by descriptor, like the next two
  const answers: Uint8Array[] = [];
  const sent: number[] = [];
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, 80)) || listen(listener, 8);
  if (err < 0) throw new Error(`port 80: error ${err}`);
  const epoll = epollCreate1(0);
  epollCtl(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, listener);

  function serve(fd: number): boolean {
    if (answers[fd] === undefined) {
      const count = recv(fd, buffer, 0, buffer.length, 0);
      if (count > 0) requests[fd] += String.fromCharCode(...buffer.subarray(0, count));
      else if (count !== -EAGAIN) return close(fd) === 0;
      if (requests[fd]!.length < LONGEST_REQUEST && !requests[fd]!.includes("\r\n\r\n")) return count > 0;
      answers[fd] = answer(net, requests[fd]!);
      epollCtl(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT, fd);
    }
    const page = answers[fd]!;
    const count = send(fd, page, sent[fd]!, page.length - sent[fd]!, MSG_NOSIGNAL);
    if (count > 0) sent[fd]! += count;
    return count !== -EAGAIN && (sent[fd] === page.length || count < 0) ? close(fd) === 0 : count > 0;
  }

  function accept(): boolean {
    const fd = accept4(listener, null, SOCK_NONBLOCK);
    if (fd < 0) return false;
    requests[fd] = "";
    delete answers[fd];
    sent[fd] = 0;
    return epollCtl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, fd) === 0 || close(fd) === 0;
  }

  return () => {
    let worked = false;
    const count = epollWait(epoll, events, EVENTS);
    for (let i = 0; i < count; i++) {
      const fd = events[2 * i + 1]!;
      if (fd === listener ? accept() : serve(fd)) worked = true;
    }
    return worked;
  };
}
