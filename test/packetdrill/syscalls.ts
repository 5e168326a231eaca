/**
 * The system calls of a script: arguments from the script, descriptors by the script's numbers, results compared with what
 * it says. A call is prepared as an attempt (calls.ts); what it left in its buffers is checked when it is over.
 */
import { Msghdr, SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import {
  bind, close, epollCreate1, epollCtl, fcntl, getpeername, getsockname, getsockopt, ioctl, listen, Pollfd, setsockopt,
  setsockoptBytes, shutdown, socket,
} from "../../src/stack/socket/index.ts";
import { AF_INET, AF_UNSPEC, SO_LINGER, SOL_SOCKET } from "../../src/uapi/socket.ts";
import { TCP_MD5SIG, TCP_MD5SIG_BYTES, TCP_MD5SIG_EXT, TCP_MD5SIG_FLAG_PREFIX } from "../../src/uapi/tcp.ts";
import {
  acceptCall, connectCall, epollWaitCall, pollCall, readCall, receiveCall, receiveMessageCall, sendCall, sendMessageCall,
} from "./calls.ts";
import type { Attempt } from "./machine.ts";
import { isEllipsis, isList, isStructure, type Value } from "./values.ts";

const US_PER_MS = 1000;
const CONTROL_WORDS = 64;
const OPTION_BYTES = 64;

/** What the calls need to know of the run. */
export interface CallContext {
  /** The script's descriptors to the stack's. */
  readonly fds: Map<number, number>;
  readonly localPort: number;
  readonly remoteAddress: number;
  readonly remotePort: number;
  nowUs(): number;
}

/** A prepared call. */
export interface Prepared {
  readonly attempt: Attempt<number>;
  readonly deadlineUs: number;
  /** After the call: null, or what differs from the script. */
  readonly check: (result: number) => string | null;
  /** The result is a new descriptor, or the call ends one. */
  readonly makesFd: boolean;
  readonly endsFd: number | null;
}

type Args = readonly Value[];
const NOTHING_TO_CHECK = (): null => null;

function prepared(attempt: Attempt<number>, rest: Partial<Prepared> = {}): Prepared {
  return { attempt, deadlineUs: Infinity, check: NOTHING_TO_CHECK, makesFd: false, endsFd: null, ...rest };
}

/** A call that is over at once. */
function instant(call: () => number, rest: Partial<Prepared> = {}): Prepared {
  return prepared(call, rest);
}

function num(value: Value | undefined, otherwise = 0): number {
  if (typeof value === "number") return value;
  if (isList(value)) return num(value[0], otherwise);
  return otherwise;
}

function field(value: Value | undefined, name: string): Value | undefined {
  return isStructure(value) ? value.fields.get(name) : undefined;
}

function fdOf(context: CallContext, value: Value | undefined): number {
  return context.fds.get(num(value, -1)) ?? -1;
}

/** A sockaddr argument, `...` for the usual one. */
function address(value: Value | undefined, addr: number, port: number): SockaddrIn {
  const out = new SockaddrIn(addr, port);
  if (!isStructure(value)) return out;
  out.family = num(field(value, "sa_family"), AF_INET);
  if (out.family === AF_UNSPEC) return new SockaddrIn(0, 0);
  out.port = num(field(value, "sin_port"), port);
  out.addr = num(field(value, "sin_addr"), addr);
  return out;
}

function connectAddress(context: CallContext, value: Value | undefined): SockaddrIn {
  const out = address(value, context.remoteAddress, context.remotePort);
  if (num(field(value, "sa_family"), AF_INET) === AF_UNSPEC) out.family = AF_UNSPEC;
  return out;
}

function lengthsOf(iov: Value | undefined): number[] {
  return isList(iov) ? iov.map((entry) => num(field(entry, "1") ?? field(entry, "iov_len"))) : [];
}

function message(lengths: readonly number[]): Msghdr {
  const msg = new Msghdr();
  msg.iovlen = lengths.length;
  lengths.forEach((length, i) => {
    msg.iovBase[i] = new Uint8Array(length);
    msg.iovOffset[i] = 0;
    msg.iovLength[i] = length;
  });
  return msg;
}

function controlWords(value: Value | undefined): number[] {
  if (!isList(value)) return [];
  return value.flatMap((entry) => {
    const data = field(entry, "cmsg_data");
    const words = isList(data) ? data.map((one) => num(one)) : [num(data)];
    return [num(field(entry, "cmsg_level")), num(field(entry, "cmsg_type")), words.length, ...words];
  });
}

function differs(what: string, expected: number, found: number): string | null {
  return expected === found ? null : `${what} is ${found}, expected ${expected}`;
}

function sendMessage(context: CallContext, args: Args): Prepared {
  const spec = args[1];
  const msg = message(lengthsOf(field(spec, "msg_iov")));
  const name = field(spec, "msg_name");
  if (isStructure(name)) msg.name = connectAddress(context, name);
  const words = controlWords(field(spec, "msg_control"));
  if (words.length > 0) {
    msg.control = Int32Array.from(words);
    msg.controllen = words.length;
  }
  return prepared(sendMessageCall(fdOf(context, args[0]), msg, num(args[2])));
}

function receiveMessage(context: CallContext, args: Args): Prepared {
  const spec = args[1];
  const msg = message(lengthsOf(field(spec, "msg_iov")));
  const words = controlWords(field(spec, "msg_control"));
  if (words.length > 0) {
    msg.control = new Int32Array(CONTROL_WORDS);
    msg.controllen = CONTROL_WORDS;
  }
  const check = (): string | null => {
    const flags = field(spec, "msg_flags");
    const wrong = typeof flags === "number" ? differs("msg_flags", flags, msg.flags) : null;
    if (wrong !== null || words.length === 0) return wrong;
    const seen = [...msg.control!.subarray(0, msg.controllen)];
    return seen.join() === words.join() ? null : `control is [${seen.join()}], expected [${words.join()}]`;
  };
  return prepared(receiveMessageCall(fdOf(context, args[0]), msg, num(args[2])), { check });
}

/** struct tcp_md5sig from {addr=…, prefixlen=…, key="…"}: of the usual peer, with no prefix, where these are not given. */
function md5Sig(context: CallContext, value: Value): Uint8Array {
  const out = Buffer.alloc(TCP_MD5SIG_BYTES);
  const key = field(value, "key");
  const prefixLen = field(value, "prefixlen");
  out.writeUInt16LE(num(field(value, "family"), AF_INET), 0);
  out.writeInt32BE(num(field(value, "addr"), context.remoteAddress), 4);
  if (prefixLen !== undefined) out.writeUInt16LE(TCP_MD5SIG_FLAG_PREFIX | (num(prefixLen) << 8), 128);
  out.writeUInt16LE(num(field(value, "keylen"), typeof key === "string" ? key.length : 0), 130);
  if (typeof key === "string") out.write(key, 136, "latin1");
  return out;
}

function setOption(context: CallContext, args: Args): number {
  const fd = fdOf(context, args[0]);
  const [level, name] = [num(args[1]), num(args[2])];
  const value = isList(args[3]) && args[3].length === 1 ? args[3][0] : args[3];
  if (typeof value === "string") return setsockoptBytes(fd, level, name, Buffer.from(value));
  if (isStructure(value) && (name === TCP_MD5SIG || name === TCP_MD5SIG_EXT)) {
    return setsockoptBytes(fd, level, name, md5Sig(context, value));
  }
  if (isStructure(value)) {
    const parts = [...value.fields.values()].map((part) => num(part));
    return setsockopt(fd, level, name, parts[0] ?? 0, parts[1] ?? 0);
  }
  return setsockopt(fd, level, name, num(value), isList(value) ? num(value[1]) : 0);
}

function getOption(context: CallContext, args: Args): Prepared {
  const fd = fdOf(context, args[0]);
  const [level, name] = [num(args[1]), num(args[2])];
  const expected = isList(args[3]) && args[3].length === 1 ? args[3][0] : args[3];
  if (typeof expected === "string") {
    const out = new Uint8Array(OPTION_BYTES);
    const check = (): string | null => {
      const seen = Buffer.from(out).toString("latin1").replace(/\0.*/s, "");
      return seen === expected ? null : `value is "${seen}", expected "${expected}"`;
    };
    return instant(() => Math.min(getsockopt(fd, level, name, out), 0), { check });
  }
  const out = new Int32Array(4);
  const check = (): string | null => {
    if (isEllipsis(expected)) return null;
    if (!isStructure(expected)) return differs("value", num(expected), out[0]!);
    const parts = [...expected.fields.values()].map((part) => num(part));
    if (level === SOL_SOCKET && name === SO_LINGER && parts[0] === 0) return differs("value", 0, out[0]!);
    return differs("value", parts[0] ?? 0, out[0]!) ?? differs("second value", parts[1] ?? 0, out[1]!);
  };
  return instant(() => Math.min(getsockopt(fd, level, name, out), 0), { check });
}

function timeout(context: CallContext, ms: number): { deadlineUs: number; expired: () => boolean } {
  const deadlineUs = ms < 0 ? Infinity : context.nowUs() + ms * US_PER_MS;
  return { deadlineUs, expired: () => context.nowUs() >= deadlineUs };
}

function pollDescriptors(context: CallContext, args: Args): Prepared {
  const list = isList(args[0]) ? args[0] : [];
  const fds = list.map((entry) => new Pollfd(fdOf(context, field(entry, "fd")), num(field(entry, "events"))));
  const { deadlineUs, expired } = timeout(context, num(args[2]));
  const check = (): string | null => {
    for (const [i, entry] of list.entries()) {
      const expected = field(entry, "revents");
      const wrong = expected === undefined ? null : differs("revents", num(expected), fds[i]!.revents);
      if (wrong !== null) return wrong;
    }
    return null;
  };
  return prepared(pollCall(fds, expired), { deadlineUs, check });
}

function epollWait(context: CallContext, args: Args): Prepared {
  const expected = isList(args[1]) ? args[1] : [args[1]];
  const most = num(args[2]);
  const { deadlineUs, expired } = timeout(context, num(args[3]));
  const events = new Int32Array(2 * Math.max(most, 1));
  const check = (count: number): string | null => {
    for (let i = 0; i < count; i++) {
      const wanted = expected[i];
      if (!isStructure(wanted)) continue;
      const wrong = differs("events", num(field(wanted, "events")), events[2 * i]!)
        ?? differs("fd", num(field(wanted, "fd"), events[2 * i + 1]!), events[2 * i + 1]!);
      if (wrong !== null) return wrong;
    }
    return null;
  };
  return prepared(epollWaitCall(fdOf(context, args[0]), events, most, expired), { deadlineUs, check });
}

function ioctlCall(context: CallContext, args: Args): Prepared {
  const out = new Int32Array([num(args[2])]);
  const check = (): string | null => (isList(args[2]) ? differs("value", num(args[2]), out[0]!) : null);
  return instant(() => ioctl(fdOf(context, args[0]), num(args[1]), out), { check });
}

function nameCall(context: CallContext, args: Args, call: (fd: number, addr: SockaddrIn) => number): Prepared {
  const out = new SockaddrIn();
  const check = (): string | null => {
    if (!isStructure(args[1])) return null;
    const wanted = address(args[1], out.addr, out.port);
    return differs("port", wanted.port, out.port) ?? differs("address", wanted.addr, out.addr);
  };
  return instant(() => call(fdOf(context, args[0]), out), { check });
}

function send(context: CallContext, args: Args, flags: number, to: SockaddrIn | null): Prepared {
  const length = isList(args[1]) ? lengthsOf(args[1]).reduce((a, b) => a + b, 0) : num(args[2]);
  const buffer = new Uint8Array(args[1] === 0 ? 0 : length);
  return prepared(sendCall(fdOf(context, args[0]), buffer, length, flags, to));
}

function receive(context: CallContext, args: Args, flags: number | null): Prepared {
  const length = isList(args[1]) ? lengthsOf(args[1]).reduce((a, b) => a + b, 0) : num(args[2]);
  const buffer = new Uint8Array(args[1] === 0 ? 0 : length);
  const fd = fdOf(context, args[0]);
  return prepared(flags === null ? readCall(fd, buffer, length) : receiveCall(fd, buffer, length, flags, null));
}

/** Prepares a call by its name; null when there is none of that name. */
export function prepareCall(context: CallContext, name: string, args: Args): Prepared | null {
  const fd = fdOf(context, args[0]);
  switch (name) {
    case "socket":
      return instant(() => socket(num(args[0], AF_INET), num(args[1]), num(args[2])), { makesFd: true });
    case "bind":
      return instant(() => bind(fd, address(args[1], 0, context.localPort)));
    case "listen":
      return instant(() => listen(fd, num(args[1])));
    case "accept":
    case "accept4":
      return prepared(acceptCall(fd, new SockaddrIn(), num(args[3])), { makesFd: true });
    case "connect":
      return prepared(connectCall(fd, connectAddress(context, args[1])));
    case "getsockname":
      return nameCall(context, args, getsockname);
    case "getpeername":
      return nameCall(context, args, getpeername);
    case "read":
    case "readv":
      return receive(context, args, null);
    case "recv":
    case "recvfrom":
      return receive(context, args, num(args[3]));
    case "recvmsg":
      return receiveMessage(context, args);
    case "write":
    case "writev":
      return send(context, args, 0, null);
    case "send":
      return send(context, args, num(args[3]), null);
    case "sendto":
      return send(context, args, num(args[3]), args[4] === 0 ? null : connectAddress(context, args[4]));
    case "sendmsg":
      return sendMessage(context, args);
    case "fcntl":
      return instant(() => fcntl(fd, num(args[1]), num(args[2])));
    case "ioctl":
      return ioctlCall(context, args);
    case "close":
      return instant(() => close(fd), { endsFd: num(args[0]) });
    case "shutdown":
      return instant(() => shutdown(fd, num(args[1])));
    case "setsockopt":
      return instant(() => setOption(context, args));
    case "getsockopt":
      return getOption(context, args);
    case "poll":
      return pollDescriptors(context, args);
    case "epoll_create":
    case "epoll_create1":
      return instant(() => epollCreate1(name === "epoll_create" ? 0 : num(args[0])), { makesFd: true });
    case "epoll_ctl": {
      const events = num(field(args[3], "events"));
      const data = num(field(args[3], "fd"), num(args[2]));
      return instant(() => epollCtl(fd, num(args[1]), fdOf(context, args[2]), events, data));
    }
    case "epoll_wait":
      return epollWait(context, args);
    default:
      return null;
  }
}
