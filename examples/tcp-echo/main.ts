/** Sends everything that comes over TCP to port 7 back (RFC 862): how to keep what could not be sent yet. */
import {
  accept4, AF_INET, bind, close, EAGAIN, listen, MSG_NOSIGNAL, type Net, recv, send, SOCK_NONBLOCK, SOCK_STREAM,
  SockaddrIn, socket,
} from "linnet";

const ECHO_PORT = 7;
const CLIENTS = 8;
const BUFFER_BYTES = 2048;

/** A client's place: all are made at the start, so that a year of connections makes no garbage. */
class Client {
  fd = -1;
  readonly buffer = new Uint8Array(BUFFER_BYTES);
  /** What is to be sent: from..to of the buffer. */
  from = 0;
  to = 0;
}

/** Moves bytes of one client; whether any were. */
function echo(client: Client): boolean {
  if (client.from === client.to) {
    const count = recv(client.fd, client.buffer, 0, BUFFER_BYTES, 0);
    if (count === -EAGAIN) return false;
    if (count <= 0) {
      close(client.fd);
      client.fd = -1;
      return true;
    }
    client.from = 0;
    client.to = count;
  }
  const count = send(client.fd, client.buffer, client.from, client.to - client.from, MSG_NOSIGNAL);
  if (count === -EAGAIN) return false;
  if (count >= 0) {
    client.from += count;
  } else {
    close(client.fd);
    client.fd = -1;
  }
  return true;
}

export default function main(_net: Net): () => boolean {
  const clients = Array.from({ length: CLIENTS }, () => new Client());
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, ECHO_PORT)) || listen(listener, CLIENTS);
  if (err < 0) throw new Error(`port ${ECHO_PORT}: error ${err}`);
  return () => {
    let worked = false;
    for (const client of clients) {
      if (client.fd < 0) {
        const fd = accept4(listener, null, SOCK_NONBLOCK);
        if (fd < 0) continue;
        client.fd = fd;
        client.from = client.to = 0;
        worked = true;
      } else if (echo(client)) {
        worked = true;
      }
    }
    return worked;
  };
}
