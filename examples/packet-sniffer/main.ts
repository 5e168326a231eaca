/**
 * What passes the board's devices, as a capture file over TCP: who connects to port 5555 gets the header of a pcap file and then every
 * frame, until it hangs up. A classic BPF program, the numbers that `tcpdump -ddd FILTER` prints, as arguments says which; without
 * one it is all but the capture's own connection.
 */
import {
  accept4, AF_INET, AF_PACKET, bind, close, EAGAIN, listen, MSG_NOSIGNAL, MSG_TRUNC, type Net, recv, recvfrom, send,
  setsockoptBytes, SO_ATTACH_FILTER, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM, SockaddrIn, socket, SOL_SOCKET,
} from "linnet";
import { ETH_P_ALL, packet, SockaddrLl, socketFilter } from "linnet/packet";
import { fileHeader, putRecordHeader, RECORD_BYTES } from "./pcap.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [packet, socketFilter];

const PORT = 5555;
const SNAPLEN = 1514;

/** `tcpdump -ddd not tcp port 5555`, IPv4 alone. */
const ALL_BUT_OURS = Int32Array.of(
  40, 0, 0, 12, 21, 0, 10, 0x0800, 48, 0, 0, 23, 21, 0, 8, 6, 40, 0, 0, 20, 69, 6, 0, 0x1fff, 177, 0, 0, 14,
  72, 0, 0, 14, 21, 2, 0, PORT, 72, 0, 0, 16, 21, 0, 1, PORT, 6, 0, 0, 0, 6, 0, 0, 65535,
);

/** The numbers behind the count, which is the first line that tcpdump prints. */
function parseProgram(numbers: readonly string[]): Int32Array {
  return numbers.length === 0 ? ALL_BUT_OURS : Int32Array.from(numbers.slice(1), (number) => Number(number) | 0);
}

export default function main(_net: Net, ...numbers: string[]): () => boolean {
  const program = parseProgram(numbers);
  const record = new Uint8Array(RECORD_BYTES + SNAPLEN);
  const listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const err = bind(listener, new SockaddrIn(0, PORT)) || listen(listener, 1);
  if (err < 0) throw new Error(`port ${PORT}: error ${err}`);
  let client = -1;
  let tap = -1;
  /** What is being sent, from where, to where. */
  let out: Uint8Array = record;
  let at = 0;
  let end = 0;

  function begin(fd: number): boolean {
    tap = socket(AF_PACKET, SOCK_RAW, 0);
    // The filter comes first: no frame is seen without it.
    const refused = tap < 0 ? tap : setsockoptBytes(tap, SOL_SOCKET, SO_ATTACH_FILTER, program) || bind(tap, new SockaddrLl(ETH_P_ALL));
    client = fd;
    if (refused < 0) {
      trace(`packet socket: error ${refused}\n`);
      finish();
    }
    out = fileHeader(SNAPLEN);
    at = 0;
    end = out.length;
    return true;
  }

  function finish(): boolean {
    close(tap);
    close(client);
    client = tap = -1;
    return true;
  }

  /** The next frame becomes the record that is being sent; false when there is none. */
  function next(): boolean {
    const length = recvfrom(tap, record, RECORD_BYTES, SNAPLEN, MSG_TRUNC, null);
    if (length < 0) return false;
    const kept = length < SNAPLEN ? length : SNAPLEN;
    putRecordHeader(record, Date.now(), kept, length);
    out = record;
    at = 0;
    end = RECORD_BYTES + kept;
    return true;
  }

  return () => {
    if (client < 0) {
      const fd = accept4(listener, null, SOCK_NONBLOCK);
      return fd >= 0 && begin(fd);
    }
    if (at === end && !next()) {
      // Whoever hangs up is not interested any more; what it says is of no interest.
      const count = recv(client, record, 0, record.length, 0);
      return count === -EAGAIN ? false : count > 0 || finish();
    }
    const count = send(client, out, at, end - at, MSG_NOSIGNAL);
    if (count < 0) return count !== -EAGAIN && finish();
    at += count;
    return true;
  };
}
