/**
 * The stack for Google's packetdrill: one process per script, which serves the RPC of the shim (rpc.md) on the UNIX socket
 * PD_SOCK. Time is virtual: it moves only when packetdrill sleeps or waits. Run by run.sh beside the shim, as
 *   run.sh "node --import=tsx test/packetdrill/server.ts" SCRIPT…
 */
import { createServer, type Socket as Stream } from "node:net";
import { Msghdr, SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import {
  bind, close, epollCreate1, epollCtl, fcntl, getsockopt, ioctl, listen, Pollfd, setsockopt, setsockoptBytes, shutdown,
  socket,
} from "../../src/stack/socket/index.ts";
import { sockfdLookup } from "../../src/stack/socket/files.ts";
import { tcpMetricsFlush } from "../../src/stack/ipv4/tcp-fastopen-client.ts";
import { EDEADLK, EFAULT, EINVAL, ENOSYS } from "../../src/uapi/errno.ts";
import { LINUX_MIB_OUTOFWINDOWICMPS } from "../../src/uapi/snmp.ts";
import {
  SO_BINDTODEVICE, SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO, SOL_IP, SOL_SOCKET, SOL_TCP,
} from "../../src/uapi/socket.ts";
import { TCP_CONGESTION, TCP_FASTOPEN_KEY, TCP_INFO } from "../../src/uapi/tcp.ts";
import {
  acceptCall, connectCall, epollWaitCall, pollCall, readCall, receiveCall, receiveMessageCall, sendCall, sendMessageCall,
} from "./calls.ts";
import { type Attempt, Machine } from "./machine.ts";
import type { Request} from "./rpc.ts";
import {
  cmsgBytes, cmsgWords, i64Bytes, OP_ACCEPT, OP_ADVANCE, OP_BIND, OP_BYE, OP_CLOSE, OP_COMMAND, OP_CONNECT,
  OP_EPOLL_CREATE, OP_EPOLL_CTL, OP_EPOLL_WAIT, OP_FCNTL, OP_GETSOCKOPT, OP_HELLO, OP_IOCTL, OP_LISTEN, OP_NETDEV_RECV,
  OP_NETDEV_SEND, OP_POLL, OP_READ, OP_RECV, OP_RECVFROM, OP_RECVMSG, OP_SEND, OP_SENDMSG, OP_SENDTO, OP_SETSOCKOPT,
  OP_SHUTDOWN, OP_SOCKET, OP_WRITE, replyFrame, REQ_NULLBUF, requestReader, sockaddrBytes, u32Bytes,
} from "./rpc.ts";
import { copyHostSysctls, hostSysctl } from "./sysctl.ts";

const CLOCK_VIRTUAL = 1;
/** What a COMMAND request is answered. */
const RUN_IT = 0;
const EXIT_0 = 1;
const EXIT_1 = 2;
const US_PER_MS = 1000;
/** Longest time a call of the main thread may wait: less than the shim has patience for a script. */
const CALL_LIMIT_US = 3_600_000_000;
const NOTHING = new Uint8Array(0);
/** Sysctls that the machine sets for its own ends (machine.ts), or whose value on this host says nothing. */
const OWN_SYSCTLS = ["tcp_adv_win_scale", "tcp_congestion_control"];

interface Configuration {
  readonly local_ip?: string;
  readonly netmask?: string;
  readonly mtu?: number;
}

/** A result, or a negative errno, and what goes with it. */
interface Answer {
  readonly ret: number;
  readonly payload?: Uint8Array;
}

/** A call that may wait. */
interface Call {
  readonly attempt: Attempt<number>;
  readonly deadlineUs?: number;
  /** What goes with the result. */
  readonly payload?: (ret: number) => Uint8Array;
}

function prefixLength(netmask: string): number {
  return netmask.split(".").reduce((bits, byte) => bits + Number(byte).toString(2).replace(/0/g, "").length, 0);
}

class Server {
  private machine: Machine | null = null;
  private sysctlsRead = false;
  private readonly epollData = new Map<number, Buffer>();
  private nextEpollData = 1;
  private icmpsBefore = 0;
  private readonly stream: Stream;

  constructor(stream: Stream) {
    this.stream = stream;
  }

  private get m(): Machine {
    if (this.machine === null) throw new Error("server: a request before HELLO");
    return this.machine;
  }

  handle(request: Request): void {
    const answer = this.serve(request);
    if (answer !== null) this.reply(request, answer);
  }

  private reply(request: Request, { ret, payload }: Answer): void {
    this.stream.write(replyFrame(request.id, ret, this.machine?.nowUs ?? 0, payload ?? NOTHING));
  }

  /** Serves a request; null when the answer comes later. */
  private serve(request: Request): Answer | null {
    switch (request.op) {
      case OP_HELLO:
        return this.hello(request);
      case OP_NETDEV_SEND:
        this.m.inject(request.rest());
        return { ret: 0 };
      case OP_NETDEV_RECV:
        return this.netdevRecv(request);
      case OP_ADVANCE:
        this.m.advance(request.i64());
        return { ret: 0 };
      case OP_BYE:
        return { ret: 0 };
      case OP_COMMAND:
        return { ret: this.command(request) };
      default: {
        const call = this.waitingCall(request);
        if (call !== null) return this.make(request, call);
        const answer = this.plainCall(request);
        this.m.settle();
        return answer;
      }
    }
  }

  private hello(request: Request): Answer {
    request.u32();
    const startUs = request.i64();
    request.take(request.u32());
    const text = request.take(request.u32()).toString();
    const conf = JSON.parse(text === "" ? "{}" : text) as Configuration;
    this.machine = new Machine({
      startUs,
      ...(conf.local_ip === undefined ? {} : { localIp: conf.local_ip }),
      ...(conf.netmask === undefined ? {} : { prefixLength: prefixLength(conf.netmask) }),
      ...(conf.mtu === undefined ? {} : { mtu: conf.mtu }),
    });
    return { ret: 0, payload: u32Bytes(CLOCK_VIRTUAL) };
  }

  private netdevRecv(request: Request): Answer {
    request.u32();
    request.u32();
    const limitUs = request.i64();
    const { sent } = this.m.tun;
    if (!this.m.runUntil(() => sent.length > 0, limitUs)) return { ret: 0 };
    const { timeUs, bytes } = sent.shift()!;
    return { ret: 1, payload: Buffer.concat([i64Bytes(timeUs), bytes]) };
  }

  /** Follows the shell commands that mean the kernel's stack. */
  private command(request: Request): number {
    const phase = request.u32();
    request.i32();
    const text = request.take(request.u32()).toString();
    if (phase === 1) {
      if (this.sysctlsRead) this.readSysctls();
      return RUN_IT;
    }
    const { net, tun } = this.m;
    if (text.includes("nstat") && text.includes("OutOfWindowIcmps")) {
      return net.mib[LINUX_MIB_OUTOFWINDOWICMPS]! > this.icmpsBefore ? EXIT_0 : EXIT_1;
    }
    if (text.includes("nstat")) {
      this.icmpsBefore = net.mib[LINUX_MIB_OUTOFWINDOWICMPS]!;
      return EXIT_0;
    }
    if (text.includes("/proc/net/tcp")) return EXIT_0;
    if (text.includes("tcp_metrics flush")) tcpMetricsFlush();
    if (/tc qdisc .*pfifo limit 0/.test(text)) tun.loseAll = true;
    return RUN_IT;
  }

  private readSysctls(): void {
    this.sysctlsRead = true;
    copyHostSysctls(this.m.net, OWN_SYSCTLS);
  }

  /** A new socket's send buffer is that of tcp_wmem, which scripts set. */
  private newSocket(fd: number): number {
    const sk = fd < 0 ? null : (sockfdLookup(fd)?.sk ?? null);
    const wmem = hostSysctl("ipv4/tcp_wmem")?.split(/\s+/)[1];
    if (sk !== null && wmem !== undefined) sk.sndbuf = Number(wmem);
    return fd;
  }

  /** Starts a call of the second thread; for one of the first lets time pass until it is over. */
  private make(request: Request, call: Call): Answer | null {
    const finish = (ret: number): Answer => (ret < 0 ? { ret } : { ret, payload: call.payload?.(ret) ?? NOTHING });
    if (request.thread === 0) {
      const ret = this.m.complete(call.attempt, call.deadlineUs, CALL_LIMIT_US);
      return finish(ret ?? -EDEADLK);
    }
    this.m.start(call.attempt, (ret) => this.reply(request, finish(ret)), call.deadlineUs);
    return null;
  }

  /** The calls that may wait; null for any other. */
  private waitingCall(request: Request): Call | null {
    const isNull = (request.flags & REQ_NULLBUF) !== 0;
    switch (request.op) {
      case OP_ACCEPT: {
        const peer = new SockaddrIn();
        return { attempt: acceptCall(request.i32(), peer, 0), payload: () => sockaddrBytes(peer) };
      }
      case OP_CONNECT:
        return { attempt: connectCall(request.i32(), request.sockaddr()) };
      case OP_READ:
      case OP_RECV:
      case OP_RECVFROM:
        return this.receive(request, isNull);
      case OP_RECVMSG:
        return this.receiveMessage(request);
      case OP_WRITE:
      case OP_SEND:
      case OP_SENDTO: {
        const fd = request.i32();
        const length = request.u32();
        const flags = request.op === OP_WRITE ? 0 : request.i32();
        const addr = request.op === OP_SENDTO ? request.sockaddr() : null;
        return { attempt: sendCall(fd, isNull ? NOTHING : request.rest(), length, flags, addr) };
      }
      case OP_SENDMSG:
        return this.sendMessage(request);
      case OP_POLL:
        return this.poll(request);
      case OP_EPOLL_WAIT:
        return this.epollWait(request);
      default:
        return null;
    }
  }

  private receive(request: Request, isNull: boolean): Call {
    const fd = request.i32();
    const length = request.u32();
    const buffer = isNull ? NOTHING : new Uint8Array(length);
    if (request.op === OP_READ) return { attempt: readCall(fd, buffer, length), payload: (ret) => buffer.subarray(0, ret) };
    const flags = request.i32();
    const addr = request.op === OP_RECVFROM ? new SockaddrIn() : null;
    return {
      attempt: receiveCall(fd, buffer, length, flags, addr),
      payload: (ret) => {
        const data = buffer.subarray(0, ret);
        return addr === null ? data : Buffer.concat([u32Bytes(16), sockaddrBytes(addr), data]);
      },
    };
  }

  private receiveMessage(request: Request): Call {
    const fd = request.i32();
    const flags = request.i32();
    const nameRoom = request.u32();
    const controlRoom = request.u32();
    const msg = new Msghdr();
    msg.iovlen = request.u32();
    for (let i = 0; i < msg.iovlen; i++) {
      const length = request.u32();
      msg.iovBase[i] = new Uint8Array(length);
      msg.iovOffset[i] = 0;
      msg.iovLength[i] = length;
    }
    if (nameRoom > 0) msg.name = new SockaddrIn();
    if (controlRoom > 0) msg.control = new Int32Array(controlRoom);
    msg.controllen = msg.control?.length ?? 0;
    return {
      attempt: receiveMessageCall(fd, msg, flags),
      payload: (ret) => {
        const name = msg.name === null ? NOTHING : sockaddrBytes(msg.name as SockaddrIn);
        const control = msg.control === null ? NOTHING : cmsgBytes(msg.control, msg.controllen);
        const data = Buffer.concat(msg.iovBase.slice(0, msg.iovlen).map((base) => base ?? NOTHING)).subarray(0, ret);
        return Buffer.concat([u32Bytes(msg.flags, name.length, control.length), name, control, data]);
      },
    };
  }

  private sendMessage(request: Request): Call {
    const fd = request.i32();
    const flags = request.i32();
    const nameLength = request.u32();
    const controlLength = request.u32();
    const lengths = Array.from({ length: request.u32() }, () => request.u32());
    const msg = new Msghdr();
    msg.iovlen = lengths.length;
    if (nameLength > 0) msg.name = sockaddrOf(request.take(nameLength));
    if (controlLength > 0) {
      msg.control = cmsgWords(request.take(controlLength));
      msg.controllen = msg.control.length;
    }
    lengths.forEach((length, i) => {
      msg.iovBase[i] = request.take(length);
      msg.iovOffset[i] = 0;
      msg.iovLength[i] = length;
    });
    return { attempt: sendMessageCall(fd, msg, flags) };
  }

  /** When a call with that timeout ends, and whether it has. */
  private timeout(ms: number): { deadlineUs: number; expired: () => boolean } {
    const deadlineUs = ms < 0 ? Infinity : this.m.nowUs + ms * US_PER_MS;
    return { deadlineUs, expired: () => this.m.nowUs >= deadlineUs };
  }

  private poll(request: Request): Call {
    const { deadlineUs, expired } = this.timeout(request.i32());
    const fds = Array.from({ length: request.u32() }, () => {
      const fd = request.i32();
      const events = request.u16();
      request.u16();
      return new Pollfd(fd, events);
    });
    const payload = (): Buffer => {
      const bytes = Buffer.alloc(2 * fds.length);
      fds.forEach((fd, index) => bytes.writeUInt16LE(fd.revents & 0xffff, 2 * index));
      return bytes;
    };
    return { attempt: pollCall(fds, expired), deadlineUs, payload };
  }

  private epollWait(request: Request): Call {
    const epfd = request.i32();
    const most = request.i32();
    const { deadlineUs, expired } = this.timeout(request.i32());
    const events = new Int32Array(2 * Math.max(most, 1));
    const payload = (ret: number): Buffer => {
      const parts: Buffer[] = [];
      for (let i = 0; i < ret; i++) parts.push(u32Bytes(events[2 * i]!), this.epollData.get(events[2 * i + 1]!)!);
      return Buffer.concat(parts);
    };
    return { attempt: epollWaitCall(epfd, events, most, expired), deadlineUs, payload };
  }

  private plainCall(request: Request): Answer {
    switch (request.op) {
      case OP_SOCKET:
        if (!this.sysctlsRead) this.readSysctls();
        return { ret: this.newSocket(socket(request.i32(), request.i32(), request.i32())) };
      case OP_BIND:
        return { ret: bind(request.i32(), request.sockaddr()) };
      case OP_LISTEN:
        return { ret: listen(request.i32(), request.i32()) };
      case OP_FCNTL:
        return { ret: fcntl(request.i32(), request.i32(), request.i32()) };
      case OP_IOCTL: {
        const out = new Int32Array(1);
        const ret = ioctl(request.i32(), request.i32(), out);
        return { ret, payload: u32Bytes(out[0]!) };
      }
      case OP_CLOSE:
        return { ret: close(request.i32()) };
      case OP_SHUTDOWN:
        return { ret: shutdown(request.i32(), request.i32()) };
      case OP_GETSOCKOPT:
        return getOption(request.i32(), request.i32(), request.i32(), request.u32());
      case OP_SETSOCKOPT:
        return { ret: setOption(request) };
      case OP_EPOLL_CREATE:
        return { ret: request.i32() <= 0 ? -EINVAL : epollCreate1(0) };
      case OP_EPOLL_CTL: {
        const epfd = request.i32();
        const op = request.i32();
        const fd = request.i32();
        const events = request.i32();
        const data = this.nextEpollData++;
        this.epollData.set(data, Buffer.from(request.take(8)));
        return { ret: epollCtl(epfd, op, fd, events, data) };
      }
      default:
        return { ret: -ENOSYS };
    }
  }
}

function sockaddrOf(raw: Buffer): SockaddrIn {
  const addr = new SockaddrIn(raw.readInt32BE(4), raw.readUInt16BE(2));
  addr.family = raw.readUInt16LE(0);
  return addr;
}

function isBytes(level: number, name: number): boolean {
  return (level === SOL_TCP && (name === TCP_CONGESTION || name === TCP_FASTOPEN_KEY || name === TCP_INFO))
    || (level === SOL_SOCKET && name === SO_BINDTODEVICE);
}

function getOption(fd: number, level: number, name: number, room: number): Answer {
  if (isBytes(level, name)) {
    const out = new Uint8Array(room);
    const ret = getsockopt(fd, level, name, out);
    return ret < 0 ? { ret } : { ret: 0, payload: out.subarray(0, ret) };
  }
  const out = new Int32Array(Math.max(4, (room + 3) >> 2));
  const ret = getsockopt(fd, level, name, out);
  if (ret < 0) return { ret };
  return { ret: 0, payload: u32Bytes(...out.subarray(0, ret)).subarray(0, room) };
}

function setOption(request: Request): number {
  const fd = request.i32();
  const level = request.i32();
  const name = request.i32();
  const length = request.i32();
  if ((request.flags & REQ_NULLBUF) !== 0) return -EFAULT;
  const value = request.take(Math.max(length, 0));
  if (length < 0) return -EINVAL;
  if (isBytes(level, name)) return setsockoptBytes(fd, level, name, Uint8Array.from(value));
  if (value.length < 4) {
    // An option of IP may be a single byte.
    return level === SOL_IP && value.length >= 1 ? setsockopt(fd, level, name, value[0]!) : -EINVAL;
  }
  if (level === SOL_SOCKET && (name === SO_RCVTIMEO || name === SO_SNDTIMEO)) {
    return value.length < 16 ? -EINVAL : setsockopt(fd, level, name, value.readInt32LE(0), value.readInt32LE(8));
  }
  if (level === SOL_SOCKET && name === SO_LINGER && value.length < 8) return -EINVAL;
  return setsockopt(fd, level, name, value.readInt32LE(0), value.length >= 8 ? value.readInt32LE(4) : 0);
}

const path = process.env["PD_SOCK"];
if (path === undefined) throw new Error("server: PD_SOCK is not set");
const listener = createServer((stream) => {
  listener.close();
  const server = new Server(stream);
  stream.on("data", requestReader((request) => server.handle(request)));
  stream.on("error", () => stream.destroy());
});
listener.listen(path);
