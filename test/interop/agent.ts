/**
 * A board's side of tests in which the same is asked of a Linux host, where agent.py answers: it opens sockets, sets options, sends, and
 * reads error queues on request. A request is the JSON [socket, call, numbers], to UDP port 9; the answer is JSON, too. Calls:
 *
 *   a positive number  sets that option of level SOL_IP to the numbers, the fields of its structure; 0 or the negative errno
 *   0                  closes the socket
 *   -1                 opens it: kind (a name of KINDS) and protocol
 *   -2                 sends: address, port, bytes; the count or the negative errno
 *   -3                 reads one error: [destination, port, bytes, errno, origin, type, code, info, offender], or the negative errno
 *
 * A socket that was not opened is one of UDP. Addresses are numbers in host order.
 */
import {
  AF_INET, bind, close, Msghdr, MSG_ERRQUEUE, msgSetBuffer, recvfrom, recvmsg, sendto, setsockoptBytes, SOCK_DGRAM, SOCK_RAW,
  SockaddrIn, socket, SOL_IP,
} from "../../src/index.ts";

const PORT = 9;
const CLOSE = 0;
const OPEN = -1;
const SEND = -2;
const READ_ERROR = -3;
/** Words in front of the error in the control data. */
const CMSG_WORDS = 3;

/** By the first number of OPEN. */
const KINDS = [SOCK_DGRAM, SOCK_RAW] as const;

type Request = [socket: number, call: number, numbers: number[]];

/** An echo request, which every kind may send; ping sockets see to its checksum, the rest is nobody's matter here. */
function payload(bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  if (bytes >= 8) out.set([8, 0, 0xf7, 0xff]);
  return out;
}

function readError(fd: number): number[] | number {
  const msg = new Msghdr();
  const name = new SockaddrIn();
  msgSetBuffer(msg, new Uint8Array(2000), 0, 2000);
  msg.name = name;
  msg.control = new Int32Array(32);
  msg.controllen = 32;
  const count = recvmsg(fd, msg, MSG_ERRQUEUE);
  if (count < 0) return count;
  const [errno = 0, origin = 0, type = 0, code = 0, info = 0, , offender = 0] = msg.control.subarray(CMSG_WORDS);
  return [name.addr, name.port, count, errno, origin, type, code, info, offender];
}

/** Starts the agent; what is returned serves it once. */
export function agent(): () => boolean {
  const buffer = new Uint8Array(2000);
  const from = new SockaddrIn();
  const fds = new Map<number, number>();
  const control = socket(AF_INET, SOCK_DGRAM, 0);
  const err = bind(control, new SockaddrIn(0, PORT));
  if (err < 0) throw new Error(`agent: ${err}`);

  function act([number, call, numbers]: Request): unknown {
    if (call === OPEN) {
      const fd = socket(AF_INET, KINDS[numbers[0]!]!, numbers[1]!);
      if (fd >= 0) fds.set(number, fd);
      return Math.min(fd, 0);
    }
    const fd = fds.get(number) ?? socket(AF_INET, SOCK_DGRAM, 0);
    fds.set(number, fd);
    if (call > 0) return setsockoptBytes(fd, SOL_IP, call, Int32Array.from(numbers));
    if (call === SEND) return sendto(fd, payload(numbers[2]!), 0, numbers[2]!, 0, new SockaddrIn(numbers[0], numbers[1]!));
    if (call === READ_ERROR) return readError(fd);
    if (call !== CLOSE) return null;
    fds.delete(number);
    return close(fd);
  }

  return () => {
    const count = recvfrom(control, buffer, 0, buffer.length, 0, from);
    if (count < 0) return false;
    const answer = Buffer.from(JSON.stringify(act(JSON.parse(Buffer.from(buffer.subarray(0, count)).toString()) as Request)));
    sendto(control, answer, 0, answer.length, 0, from);
    return true;
  };
}
