/**
 * A board's side of tests in which the same is asked of a Linux host, where agent.py answers: it opens sockets, sets options, sends, and
 * reads error queues on request. A request is the JSON [socket, call, numbers], to UDP port 9; the answer is JSON, too. Calls:
 *
 *   a positive number  sets that option of level SOL_IP to the numbers, the fields of its structure; 0 or the negative errno
 *   0                  closes the socket
 *   -1                 opens it: kind (a name of KINDS) and protocol
 *   -2                 sends: address, port, bytes; the count or the negative errno
 *   -3                 reads one error: [destination, port, bytes, errno, origin, type, code, info, offender], or the negative errno
 *   -4                 connects: address, port, and 1 to be answered only when it is known how that ended
 *   -5                 receives: 1 to be answered only when something has come; the count or the negative errno
 *   -6                 reads SO_ERROR
 *   -7                 the events of poll()
 *   -8                 sets an option of any level: level, name, value
 *   -9                 forgets the neighbour of that address; no socket is meant
 *
 * A socket that was not opened is one of UDP, and none blocks but in a call that asks for it. Addresses are numbers in host order.
 */
import { formatAddr } from "../../src/commands/inet-text.ts";
import { ip } from "../../src/commands/index.ts";
import {
  AF_INET, bind, close, connect, EAGAIN, EINPROGRESS, EISCONN, EPOLLIN, EPOLLOUT, getsockopt, initNet, Msghdr, MSG_ERRQUEUE, msgSetBuffer, poll,
  Pollfd, recv, recvfrom, recvmsg, sendto, setsockopt, setsockoptBytes, SO_ERROR, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SockaddrIn, socket,
  SOL_IP, SOL_SOCKET,
} from "../../src/index.ts";

const PORT = 9;
const CLOSE = 0;
const OPEN = -1;
const SEND = -2;
const READ_ERROR = -3;
const CONNECT = -4;
const RECEIVE = -5;
const ERROR = -6;
const POLL = -7;
const SET = -8;
const FORGET = -9;
/** Words in front of the error in the control data. */
const CMSG_WORDS = 3;

/** By the first number of OPEN. */
const KINDS = [SOCK_DGRAM, SOCK_RAW, SOCK_STREAM] as const;

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

function soError(fd: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
  return out[0]!;
}

function events(fd: number): number {
  const asked = new Pollfd(fd, EPOLLIN | EPOLLOUT);
  poll([asked], 1);
  return asked.revents;
}

/** What a call that would wait answers once it need not: until then undefined. */
type Waiting = () => number | undefined;

/** Starts the agent; what is returned serves it once. */
export function agent(): () => boolean {
  const buffer = new Uint8Array(2000);
  const from = new SockaddrIn();
  const payloads = new Uint8Array(2000);
  const fds = new Map<number, number>();
  let waiting: Waiting | null = null;
  const control = socket(AF_INET, SOCK_DGRAM, 0);
  const err = bind(control, new SockaddrIn(0, PORT));
  if (err < 0) throw new Error(`agent: ${err}`);

  function act([number, call, numbers]: Request): unknown {
    if (call === OPEN) {
      const fd = socket(AF_INET, KINDS[numbers[0]!]!, numbers[1]!);
      if (fd >= 0) fds.set(number, fd);
      return Math.min(fd, 0);
    }
    if (call === FORGET) return ip(initNet, `neigh flush to ${formatAddr(numbers[0]!)}`).status;
    const fd = fds.get(number) ?? socket(AF_INET, SOCK_DGRAM, 0);
    fds.set(number, fd);
    if (call > 0) return setsockoptBytes(fd, SOL_IP, call, Int32Array.from(numbers));
    if (call === SEND) return sendto(fd, payload(numbers[2]!), 0, numbers[2]!, 0, new SockaddrIn(numbers[0], numbers[1]!));
    if (call === READ_ERROR) return readError(fd);
    if (call === CONNECT) {
      const to = new SockaddrIn(numbers[0], numbers[1]!);
      const err = connect(fd, to);
      if (err !== -EINPROGRESS || numbers[2] !== 1) return err;
      // The next call says how it went, as -EISCONN when well.
      return (): number | undefined => {
        const result = events(fd) === 0 ? undefined : connect(fd, to);
        return result === -EISCONN ? 0 : result;
      };
    }
    if (call === RECEIVE) {
      const receive = (): number => recv(fd, payloads, 0, payloads.length, 0);
      if (numbers[0] !== 1) return receive();
      return (): number | undefined => {
        const count = receive();
        return count === -EAGAIN ? undefined : count;
      };
    }
    if (call === ERROR) return soError(fd);
    if (call === POLL) return events(fd);
    if (call === SET) return setsockopt(fd, numbers[0]!, numbers[1]!, numbers[2]!);
    if (call !== CLOSE) return null;
    fds.delete(number);
    return close(fd);
  }

  function reply(answer: unknown): boolean {
    const text = Buffer.from(JSON.stringify(answer));
    sendto(control, text, 0, text.length, 0, from);
    return true;
  }

  return () => {
    const ended = waiting?.();
    if (ended !== undefined) {
      waiting = null;
      return reply(ended);
    }
    const count = recvfrom(control, buffer, 0, buffer.length, 0, from);
    if (count < 0) return false;
    const answer = act(JSON.parse(Buffer.from(buffer.subarray(0, count)).toString()) as Request);
    if (typeof answer !== "function") return reply(answer);
    waiting = answer as Waiting;
    return true;
  };
}
