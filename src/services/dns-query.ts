/**
 * One question on its way: over UDP from a socket and with an id of its own for each attempt, to one server after the other,
 * over TCP when the answer does not fit. Read first: RFC 1123 section 6.1.3, RFC 5452 (random port and id), RFC 7766 (TCP),
 * RFC 6891 section 7 (servers without EDNS). Linux's counterpart is glibc's res_send(). Owns the sockets of the question.
 *
 * A name that ends with "local" is asked of everybody on the link, over UDP alone (RFC 6762 section 5.1: one question, one answer).
 *
 * Over TCP the answer waits in the socket until it is all there, so that it needs no buffer of its own.
 */
import { getRandomBelow, getRandomU32 } from "../lib/random.ts";
import { jiffies } from "../lib/timer.ts";
import { devGetDefault } from "../stack/core/net-device.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { Pollfd, poll } from "../stack/socket/poll.ts";
import { recv, recvfrom, send, sendto } from "../stack/socket/sendrecv.ts";
import { connect, ioctl } from "../stack/socket/socket.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { EAGAIN, EINPROGRESS } from "../uapi/errno.ts";
import { INADDR_MDNS_GROUP } from "../uapi/in.ts";
import { SIOCINQ } from "../uapi/ioctl.ts";
import { POLLERR, POLLHUP, POLLOUT } from "../uapi/poll.ts";
import {
  AF_INET, MSG_NOSIGNAL, MSG_PEEK, MSG_TRUNC, SO_BINDTODEVICE, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET,
} from "../uapi/socket.ts";
import {
  ANSWER_DATA, ANSWER_FAILED, ANSWER_FOREIGN, ANSWER_FORMERR, ANSWER_TRUNCATED, type DnsAnswer, dnsPutQuery, dnsReadAnswer,
} from "./dns-message.ts";
import { DNS_NAME_BYTES, dnsNameIsLocal } from "./dns-name.ts";
import { scratch, scratchView, type Service, serviceClose, serviceOpen, ServiceSocket } from "./service.ts";

const DNS_PORT = 53;
const MDNS_PORT = 5353;
/** Times that everybody on the link is asked, and ms until the next: who is there answers at once. */
const LOCAL_TRIES = 3;
const LOCAL_TIMEOUT_MS = 1000;
/** Most servers kept. */
export const DNS_SERVERS = 3;
/** Over TCP a message stands behind its length. */
const TCP_LENGTH_BYTES = 2;
/** What a transfer over TCP may take. */
const TCP_TIMEOUT_MS = 5000;
/** Rounds after which the time to wait grows no more. */
const MAX_DOUBLINGS = 4;

/** Nothing is on its way; the answer is awaited over UDP; the connection is being made; the answer is awaited over it. */
const IDLE = 0;
const UDP = 1;
const TCP_CONNECT = 2;
const TCP_ANSWER = 3;

/** What transportRun() answers besides ANSWER_*: nothing yet; no server has answered; no socket or packet buffer. */
export const QUERY_PENDING = -2;
export const QUERY_TIMEOUT = -3;
export const QUERY_NOMEM = -4;
/** No server is known. */
export const QUERY_NOBODY = -5;

/** Whom to ask, and how patiently. */
export class DnsServers {
  readonly addresses: Int32Array = new Int32Array(DNS_SERVERS);
  count = 0;
  /** The one that answered last, asked first. */
  first = 0;
  rotate = false;
  /** ms until the next server is asked; in each round over all of them twice as long. */
  timeoutMs = 0;
  /** Rounds. */
  attempts = 0;
  /** Longest answer over UDP that is taken. */
  udpBytes = 0;
}

/** A question: one name and one type, to be asked again as often as it takes. */
export class DnsTransport {
  state = IDLE;
  id = 0;
  /** Attempts so far. */
  tries = 0;
  server = 0;
  deadline = 0;
  type = 0;
  nameBytes = 0;
  edns = false;
  /** The name is one of the link's: no server is asked. */
  local = false;
  readonly name: Uint8Array = new Uint8Array(DNS_NAME_BYTES);
  readonly socket: ServiceSocket;

  constructor(service: Service) {
    this.socket = new ServiceSocket(service);
  }
}

/** What the calls fill in; one for all questions of a resolver. */
export class DnsIo {
  readonly addr: SockaddrIn = new SockaddrIn(0, DNS_PORT);
  /** Where a question to the whole link goes, and who answers it. */
  readonly local: SockaddrIn = new SockaddrIn();
  readonly pollfds: Pollfd[] = [new Pollfd()];
  readonly count: Int32Array = new Int32Array(1);
}

/** Asks `name` (set by the caller, with `nameBytes` and `type`) anew. */
export function transportStart(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  q.tries = 0;
  q.local = dnsNameIsLocal(q.name);
  if (q.local) return sendLocal(q, servers, io);
  if (servers.count === 0) return QUERY_NOBODY;
  q.edns = true;
  q.server = servers.rotate ? getRandomBelow(servers.count) : servers.first;
  return sendUdp(q, servers, io);
}

/** Gives the question up. */
export function transportStop(q: DnsTransport): void {
  q.state = IDLE;
  serviceClose(q.socket);
}

/** Sends the question to the server whose turn it is, or the next one that can be sent to. */
function sendUdp(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  for (; q.tries < servers.count * servers.attempts; nextServer(q, servers)) {
    serviceClose(q.socket);
    const err = serviceOpen(q.socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (err < 0) return finish(q, QUERY_NOMEM);
    io.addr.addr = servers.addresses[q.server]!;
    const length = putQuery(q, servers, 0);
    if (connect(q.socket.fd, io.addr) < 0) continue;
    // A full queue is as a loss: the answer is awaited, and asked for again.
    const sent = send(q.socket.fd, scratch, 0, length, 0);
    if (sent < 0 && sent !== -EAGAIN) continue;
    q.state = UDP;
    const round = (q.tries / servers.count) | 0;
    q.deadline = (jiffies + (servers.timeoutMs << (round < MAX_DOUBLINGS ? round : MAX_DOUBLINGS))) | 0;
    return QUERY_PENDING;
  }
  return finish(q, QUERY_TIMEOUT);
}

/** Asks everybody on the link: what answers does so from the port of multicast DNS, whoever it is. */
function sendLocal(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  serviceClose(q.socket);
  if (q.tries++ === LOCAL_TRIES) return finish(q, QUERY_TIMEOUT);
  if (serviceOpen(q.socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) < 0) return finish(q, QUERY_NOMEM);
  const dev = devGetDefault(q.socket.service.net);
  if (dev !== null) setsockopt(q.socket.fd, SOL_SOCKET, SO_BINDTODEVICE, dev.ifindex);
  q.edns = false;
  io.local.addr = INADDR_MDNS_GROUP;
  io.local.port = MDNS_PORT;
  // What cannot be sent now is as a loss: it is sent again.
  sendto(q.socket.fd, scratch, 0, putQuery(q, servers, 0), 0, io.local);
  q.state = UDP;
  q.deadline = (jiffies + LOCAL_TIMEOUT_MS) | 0;
  return QUERY_PENDING;
}

function readLocal(q: DnsTransport, io: DnsIo, answer: DnsAnswer): number {
  for (;;) {
    const length = recvfrom(q.socket.fd, scratch, 0, scratch.length, MSG_TRUNC, io.local);
    if (length < 0) return QUERY_PENDING;
    if (length > scratch.length || io.local.port !== MDNS_PORT) continue;
    const result = dnsReadAnswer(scratch, scratchView, length, q.id, q.name, q.type, false, answer);
    if (result === ANSWER_DATA) return finish(q, result);
  }
}

function putQuery(q: DnsTransport, servers: DnsServers, at: number): number {
  q.id = getRandomU32() & 0xffff;
  return dnsPutQuery(scratch, scratchView, at, q.id, q.name, q.nameBytes, q.type, q.edns ? servers.udpBytes : 0);
}

function nextServer(q: DnsTransport, servers: DnsServers): void {
  q.tries++;
  q.server = q.server + 1 < servers.count ? q.server + 1 : 0;
}

function finish(q: DnsTransport, result: number): number {
  transportStop(q);
  return result;
}

function tryNext(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  nextServer(q, servers);
  return sendUdp(q, servers, io);
}

/**
 * Does what is due: reads what came, asks again when it is time.
 * @returns QUERY_PENDING, QUERY_TIMEOUT, QUERY_NOMEM, or the ANSWER_* that ends the question
 */
export function transportRun(q: DnsTransport, servers: DnsServers, io: DnsIo, answer: DnsAnswer): number {
  if (q.local) {
    const result = readLocal(q, io, answer);
    return result !== QUERY_PENDING || ((q.deadline - jiffies) | 0) > 0 ? result : sendLocal(q, servers, io);
  }
  if (servers.count === 0) return finish(q, QUERY_TIMEOUT);
  const result = q.state === UDP ? readUdp(q, servers, io, answer) : q.state === TCP_CONNECT ? connected(q, servers, io)
    : readTcp(q, servers, io, answer);
  if (result !== QUERY_PENDING || ((q.deadline - jiffies) | 0) > 0) return result;
  return tryNext(q, servers, io);
}

/** An answer came that matches the question: is that the end of it? */
function judge(q: DnsTransport, servers: DnsServers, io: DnsIo, result: number): number {
  if (result === ANSWER_FORMERR && q.edns) {
    q.edns = false;
    return sendUdp(q, servers, io);
  }
  if (result === ANSWER_FAILED || result === ANSWER_FORMERR) {
    const next = tryNext(q, servers, io);
    return next === QUERY_TIMEOUT ? ANSWER_FAILED : next;
  }
  servers.first = q.server;
  return finish(q, result);
}

function readUdp(q: DnsTransport, servers: DnsServers, io: DnsIo, answer: DnsAnswer): number {
  for (;;) {
    const length = recv(q.socket.fd, scratch, 0, scratch.length, MSG_TRUNC);
    if (length === -EAGAIN) return QUERY_PENDING;
    // Nobody listens there, or no way leads there.
    if (length < 0) return tryNext(q, servers, io);
    if (length > scratch.length) return startTcp(q, servers, io);
    const result = dnsReadAnswer(scratch, scratchView, length, q.id, q.name, q.type, false, answer);
    if (result === ANSWER_FOREIGN) continue;
    return result === ANSWER_TRUNCATED ? startTcp(q, servers, io) : judge(q, servers, io, result);
  }
}

/** The answer does not fit into a datagram: the same server is asked over TCP. */
function startTcp(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  serviceClose(q.socket);
  if (serviceOpen(q.socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) < 0) return finish(q, QUERY_NOMEM);
  io.addr.addr = servers.addresses[q.server]!;
  const err = connect(q.socket.fd, io.addr);
  if (err < 0 && err !== -EINPROGRESS) return tryNext(q, servers, io);
  q.state = TCP_CONNECT;
  q.deadline = (jiffies + TCP_TIMEOUT_MS) | 0;
  return QUERY_PENDING;
}

function connected(q: DnsTransport, servers: DnsServers, io: DnsIo): number {
  const pollfd = io.pollfds[0]!;
  pollfd.fd = q.socket.fd;
  pollfd.events = POLLOUT;
  if (poll(io.pollfds, 1) === 0) return QUERY_PENDING;
  if ((pollfd.revents & (POLLERR | POLLHUP)) !== 0) return tryNext(q, servers, io);
  const length = putQuery(q, servers, TCP_LENGTH_BYTES);
  scratchView.setUint16(0, length);
  const whole = length + TCP_LENGTH_BYTES;
  if (send(q.socket.fd, scratch, 0, whole, MSG_NOSIGNAL) !== whole) return tryNext(q, servers, io);
  q.state = TCP_ANSWER;
  return QUERY_PENDING;
}

function readTcp(q: DnsTransport, servers: DnsServers, io: DnsIo, answer: DnsAnswer): number {
  const { fd } = q.socket;
  const peeked = recv(fd, scratch, 0, TCP_LENGTH_BYTES, MSG_PEEK);
  if (peeked === -EAGAIN || peeked === 1) return QUERY_PENDING;
  if (peeked < TCP_LENGTH_BYTES || ioctl(fd, SIOCINQ, io.count) < 0) return tryNext(q, servers, io);
  const length = scratchView.getUint16(0);
  if (io.count[0]! < length + TCP_LENGTH_BYTES) return QUERY_PENDING;
  recv(fd, scratch, 0, TCP_LENGTH_BYTES, 0);
  const read = recv(fd, scratch, 0, length < scratch.length ? length : scratch.length, 0);
  const result = dnsReadAnswer(scratch, scratchView, read, q.id, q.name, q.type, read < length, answer);
  return result === ANSWER_FOREIGN || result === ANSWER_TRUNCATED ? tryNext(q, servers, io) : judge(q, servers, io, result);
}
