/** A web server on the BSD calls: one page about the stack that serves it. */
import {
  accept4, AF_INET, bind, close, devGetByName, EAGAIN, EPOLL_CTL_ADD, EPOLL_CTL_MOD, epollCreate1, epollCtl, EPOLLIN,
  EPOLLOUT, epollWait, listen, MSG_NOSIGNAL, type Net, poolsInUse, recv, send, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket,
} from "linnet";

const LONGEST_REQUEST = 4096;

function answer(net: Net, request: string): Uint8Array {
  const found = request.startsWith("GET / ");
  const { rxPackets, txPackets } = devGetByName(net, "eth0")!.stats;
  const body = `<!doctype html>\n<html><head><title>linnet</title></head><body><h1>${found ? "linnet" : "404 not found"}</h1>\n`
    + "<p>This page came through Linux's network stack in TypeScript: "
    + `${rxPackets} packets in, ${txPackets} out, ${poolsInUse()} pool objects in use.</p></body></html>\n`;
  const head = `HTTP/1.1 ${found ? "200 OK" : "404 Not Found"}\r\nContent-Type: text/html\r\n`;
  const text = `${head}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export default function main(net: Net): () => boolean {
  const buffer = new Uint8Array(1024);
  const events = new Int32Array(2);
  const clients: { request: string; page: Uint8Array | null; sent: number }[] = []; // by descriptor
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, 80)) || listen(listener, 8);
  if (err < 0) throw new Error(`port 80: error ${err}`);
  const epoll = epollCreate1(0);

  function accept(): boolean {
    const fd = accept4(listener, null, SOCK_NONBLOCK);
    if (fd < 0) return false;
    clients[fd] = { request: "", page: null, sent: 0 };
    return epollCtl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, fd) === 0 || close(fd) === 0;
  }

  function serve(fd: number): boolean {
    const client = clients[fd]!;
    if (client.page === null) {
      const count = recv(fd, buffer, 0, buffer.length, 0);
      if (count <= 0) return count !== -EAGAIN && close(fd) === 0;
      client.request += String.fromCharCode(...buffer.subarray(0, count));
      if (client.request.length < LONGEST_REQUEST && !client.request.includes("\r\n\r\n")) return true;
      client.page = answer(net, client.request);
      epollCtl(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT, fd);
    }
    const count = send(fd, client.page, client.sent, client.page.length - client.sent, MSG_NOSIGNAL);
    if (count > 0) client.sent += count;
    if (client.sent === client.page.length || (count < 0 && count !== -EAGAIN)) close(fd);
    return count !== -EAGAIN;
  }

  return () => {
    // The listener is asked each turn: the smallest board watches one descriptor, which is a client's.
    const accepted = accept();
    return epollWait(epoll, events, 1) === 1 ? serve(events[1]!) : accepted;
  };
}
