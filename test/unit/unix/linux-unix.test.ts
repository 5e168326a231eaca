/** Calls on UNIX sockets drawn at random answer as Linux does, and poll() says the same of each socket after each: linux-unix.json, by linux-unix.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { boot, poolsInUse } from "../../../src/index.ts";
import {
  accept4, bind, close, connect, getpeername, getsockname, getsockopt, listen, poll, Pollfd, recvfrom, send, sendto, shutdown, socket, socketpair,
} from "../../../src/stack/socket/index.ts";
import { SockaddrUn, unix } from "../../../src/unix.ts";
import { EPOLLRDHUP, POLLIN, POLLOUT } from "../../../src/uapi/poll.ts";
import { AF_UNIX, MSG_NOSIGNAL, SO_ERROR, SOCK_NONBLOCK, SOL_SOCKET } from "../../../src/uapi/socket.ts";

type Call = readonly unknown[];
interface Recorded { readonly kernel: string; readonly sequences: readonly (readonly Call[])[] }

const recorded = JSON.parse(readFileSync(new URL("linux-unix.json", import.meta.url), "utf8")) as Recorded;
const buffer = new Uint8Array(256);
const from = new SockaddrUn();
const OPTIONS = Object.freeze({
  preset: "small", files: 20, socks: 24, unixSocks: 20, buffers: 256, skbs: 512, sndbufPackets: 128, initcalls: [unix],
} as const);

function named(text: string): SockaddrUn {
  const addr = new SockaddrUn();
  addr.path.set(Buffer.from(text), 1);
  addr.length = text.length + 1;
  return addr;
}

function textOf(addr: SockaddrUn): string {
  return Buffer.from(addr.path.subarray(0, addr.length)).toString().replaceAll("\0", "@");
}

class Run {
  readonly fds = new Map<number, number>();
  private next = 0;

  add(fd: number): number {
    this.fds.set(this.next, fd);
    return this.next++;
  }

  masks(): number[][] {
    return [...this.fds].map(([number, fd]) => {
      const polled = [new Pollfd(fd, POLLIN | POLLOUT | EPOLLRDHUP)];
      poll(polled, 1);
      return [number, polled[0]!.revents];
    });
  }

  /** Does a call; its name, its numbers and its answer, as the recording has them. */
  call([name, ...rest]: Call): unknown[] {
    const fd = this.fds.get(rest[0] as number)!;
    const [, second, third] = rest;
    switch (name) {
      case "socket":
        return [name, rest[0], this.add(socket(AF_UNIX, (rest[0] as number) | SOCK_NONBLOCK, 0))];
      case "pair": {
        const fds = new Int32Array(2);
        socketpair(AF_UNIX, (rest[0] as number) | SOCK_NONBLOCK, 0, fds);
        return [name, rest[0], [this.add(fds[0]!), this.add(fds[1]!)]];
      }
      case "bind":
        return [name, rest[0], second, bind(fd, named(second as string))];
      case "listen":
        return [name, rest[0], second, listen(fd, second as number)];
      case "connect":
        return [name, rest[0], second, connect(fd, named(second as string))];
      case "accept": {
        const end = accept4(fd, null, SOCK_NONBLOCK);
        return [name, rest[0], end < 0 ? end : this.add(end)];
      }
      case "send": {
        const text = second as string;
        return [name, rest[0], text, send(fd, Buffer.from(text), 0, text.length, MSG_NOSIGNAL)];
      }
      case "sendto": {
        const text = second as string;
        return [name, rest[0], text, third, sendto(fd, Buffer.from(text), 0, text.length, MSG_NOSIGNAL, named(third as string))];
      }
      case "recv": {
        from.length = 0;
        const length = recvfrom(fd, buffer, 0, second as number, third as number, from);
        const data = Buffer.from(buffer.subarray(0, Math.min(length, second as number))).toString();
        return [name, rest[0], second, third, length < 0 ? length : [data, textOf(from)]];
      }
      case "shutdown":
        return [name, rest[0], second, shutdown(fd, second as number)];
      case "names": {
        const own = getsockname(fd, from);
        const ownText = textOf(from);
        const peer = getpeername(fd, from);
        return [name, rest[0], own < 0 ? own : ownText, peer < 0 ? peer : textOf(from)];
      }
      case "error": {
        const out = new Int32Array(1);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, out);
        return [name, rest[0], out[0]];
      }
      default:
        this.fds.delete(rest[0] as number);
        return [name, rest[0], close(fd)];
    }
  }
}

test.serial(`${recorded.sequences.length} sequences of calls: the answers of Linux ${recorded.kernel}, and what poll() says`, (t) => {
  boot(OPTIONS);
  const inUse = poolsInUse();
  let good = 0;
  for (const [number, sequence] of recorded.sequences.entries()) {
    const run = new Run();
    for (const [at, call] of sequence.entries()) {
      const ours = run.call(call);
      if (at > 1) ours.push(run.masks());
      if (JSON.stringify(ours) !== JSON.stringify(call)) {
        t.deepEqual(ours, call, `sequence ${number}, call ${at}: ${JSON.stringify(sequence.slice(0, at + 1).map((one) => one.slice(0, -1)))}`);
        return;
      }
      if (typeof ours.at(-2) !== "number" || (ours.at(-2) as number) >= 0) good++;
    }
    for (const fd of run.fds.values()) close(fd);
    t.is(poolsInUse(), inUse);
  }
  t.log(`${good} calls were granted`);
});
