/** Sends every datagram that comes to port 7 back to where it came from (RFC 862). */
import { AF_INET, bind, type Net, recvfrom, sendto, SOCK_DGRAM, SockaddrIn, socket } from "linnet";

const ECHO_PORT = 7;

export default function main(_net: Net): () => boolean {
  const buffer = new Uint8Array(2048);
  const from = new SockaddrIn();
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  const err = fd < 0 ? fd : bind(fd, new SockaddrIn(0, ECHO_PORT));
  if (err < 0) throw new Error(`port ${ECHO_PORT}: error ${err}`);
  return () => {
    const count = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (count < 0) return false;
    sendto(fd, buffer, 0, count, 0, from);
    return true;
  };
}
