/**
 * A board with a name: it answers to linnet.local and offers a page as "linnet" to whoever browses for web pages (mDNS, DNS-SD).
 * `mdns-name kitchen` takes another name; when somebody has it already it becomes kitchen-2.
 */
import {
  accept4, AF_INET, bind, close, EAGAIN, listen, MSG_NOSIGNAL, type Net, recv, send, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket,
} from "linnet";
import { igmp } from "linnet/igmp";
import { mdns, mdnsPublish } from "linnet/services/mdns";
import { asciiBytes } from "../common/ascii.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [igmp];

const HTTP_PORT = 80;
const LONGEST_REQUEST = 1024;

export default function main(net: Net, host = "linnet"): () => boolean {
  let known = host;
  const names = mdns(net, "eth0", {
    host,
    onName: (claim, name) => {
      if (claim === 0) known = name;
      trace(`known as ${name}\n`);
    },
  });
  mdnsPublish(names, host, "_http._tcp", HTTP_PORT, ["path=/"]);
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, HTTP_PORT)) || listen(listener, 1);
  if (err < 0) throw new Error(`port ${HTTP_PORT}: error ${err}`);
  const request = new Uint8Array(LONGEST_REQUEST);
  let guest = -1;
  return () => {
    const next = accept4(listener, null, SOCK_NONBLOCK);
    if (next >= 0) {
      // One who says nothing makes room for the next.
      if (guest >= 0) close(guest);
      guest = next;
    }
    if (guest < 0) return false;
    // Whoever closes with something unread resets the connection, and the page may be lost with it.
    const count = recv(guest, request, 0, request.length, 0);
    if (count === -EAGAIN) return false;
    const page = asciiBytes(`HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nThis is ${known}.\n`);
    if (count > 0) send(guest, page, 0, page.length, MSG_NOSIGNAL);
    close(guest);
    guest = -1;
    return true;
  };
}
