/**
 * SNTP: what time it is, from servers of the network, as an offset to the clock of the board. Read first: RFC 4330, RFC 5905
 * sections 6 to 8 and 7.4 (kiss codes), RFC 9109 (random ports). Linux has systemd-timesyncd and chronyd. Owns the offset.
 *
 *   const clock = sntp(initNet, { servers: [0xc0a80701], onTime: () => trace(sntpNow(clock)) });
 *
 * The clock of the board counts ms, so no answer is better than that. Offset and delay are RFC 5905's: half of the sum, and the
 * difference, of what the two ways seem to take. The time sent is a random number, which the answer must repeat.
 */
import { getRandomBelow, getRandomU32 } from "../lib/random.ts";
import type { Net } from "../stack/core/net.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { recv, send } from "../stack/socket/sendrecv.ts";
import { connect } from "../stack/socket/socket.ts";
import { EAGAIN } from "../uapi/errno.ts";
import { AF_INET, SOCK_DGRAM, SOCK_NONBLOCK } from "../uapi/socket.ts";
import {
  LONGEST_SLEEP_MS, scratch, scratchView, Service, serviceClock, serviceClose, serviceOpen, serviceSleep, serviceStart, ServiceSocket,
  serviceStop, serviceWake,
} from "./service.ts";

const NTP_PORT = 123;
/** The message and its fields. */
const NTP_BYTES = 48;
const NTP_FLAGS = 0;
const NTP_STRATUM = 1;
const NTP_ROOT_DELAY = 4;
const NTP_ROOT_DISPERSION = 8;
const NTP_REFID = 12;
const NTP_ORIGIN = 24;
const NTP_RECEIVE = 32;
const NTP_TRANSMIT = 40;

const VERSION_4_CLIENT = 0x23;
const MODE_MASK = 7;
const MODE_SERVER = 4;
const VERSION_SHIFT = 3;
const LEAP_UNKNOWN = 3;
const LEAP_SHIFT = 6;
const MAX_STRATUM = 15;
/** Kiss codes: "DENY" and "RSTR" send us away, "RATE" wants to be asked less. */
const KISS_DENY = 0x44454e59;
const KISS_RSTR = 0x52535452;
const KISS_RATE = 0x52415445;
/** Farther than that from its own reference a server is not believed: 16 s in units of 2^-16 s (RFC 5905 MAXDISP). */
const MAX_DISTANCE = 16 * 0x10000;

/** Seconds from 1900 to 1970, and of one era. */
const NTP_UNIX_SEC = 2208988800;
const TWO_32 = 4294967296;
/** Times before that bit belong to the era that begins in 2036 (RFC 4330 section 3). */
const ERA_PIVOT = 0x80000000;

const SERVERS = 4;
const MSEC_PER_SEC = 1000;
const ANSWER_MS = 3000;
const FIRST_RETRY_MS = 4000;
const DEFAULT_MIN_POLL_SEC = 64;
const DEFAULT_MAX_POLL_SEC = 1024;
const LEAST_POLL_SEC = 16;
const MOST_POLL_SEC = 86_400;
/** The interval is up to an eighth shorter or longer, so that boards do not ask together. */
const SPREAD = 8;

/** Waiting for the next question's time; for its answer. */
const IDLE = 0;
const ASKED = 1;

export interface SntpOptions {
  /** Time servers as int32 addresses, four at most; sntpServers() sets others. */
  readonly servers?: readonly number[];
  /** Seconds between questions at first, 16 to 86400 (64), and when all is well (1024). */
  readonly minPollSec?: number;
  readonly maxPollSec?: number;
  /** Hears of each answer; `stepMs` is by how much the time has changed, at the first one the time itself. */
  readonly onTime?: (client: SntpClient, stepMs: number) => void;
}

export class SntpClient extends Service {
  state = IDLE;
  /** When there is something to do, on the service's clock; when the question was sent. */
  dueMs = 0;
  sentMs = 0;
  /** What the answer has to repeat. */
  nonceHi = 0;
  nonceLo = 0;
  serverCount = 0;
  /** Index of the one that is asked. */
  server = 0;
  /** Questions without an answer since the last one with. */
  failures = 0;
  pollSec: number;
  readonly minPollSec: number;
  readonly maxPollSec: number;
  /** Is the time known? */
  synchronized = false;
  /** ms since 1970 when the service's clock was 0. */
  epochMs = 0;
  /** Of the last answer: ms there and back; the server's distance from a reference clock. */
  delayMs = 0;
  stratum = 0;
  /** Answers that were used, and kisses of death. */
  answers = 0;
  kisses = 0;
  readonly servers: Int32Array = new Int32Array(SERVERS);
  readonly socket: ServiceSocket = new ServiceSocket(this);
  readonly addr: SockaddrIn = new SockaddrIn(0, NTP_PORT);
  readonly onTime: ((client: SntpClient, stepMs: number) => void) | undefined;

  constructor(net: Net, minPollSec: number, maxPollSec: number, onTime: SntpOptions["onTime"]) {
    super(net);
    this.pollSec = this.minPollSec = minPollSec;
    this.maxPollSec = maxPollSec;
    this.onTime = onTime;
  }
}

function checkPoll(option: string, value: number): number {
  if (value >= LEAST_POLL_SEC && value <= MOST_POLL_SEC) return value;
  throw new RangeError(`sntp: option ${option} is ${value}; it must be ${LEAST_POLL_SEC} to ${MOST_POLL_SEC} s`);
}

/** Starts a client. Allocates. @throws RangeError naming the option, its value and its range */
export function sntp(net: Net, options: SntpOptions = {}): SntpClient {
  const { minPollSec = DEFAULT_MIN_POLL_SEC, maxPollSec = DEFAULT_MAX_POLL_SEC } = options;
  const least = checkPoll("minPollSec", minPollSec);
  const most = checkPoll("maxPollSec", maxPollSec);
  const client = new SntpClient(net, least, most < least ? least : most, options.onTime);
  serviceStart(client, "sntp", NTP_BYTES, sntpRun);
  sntpServers(client, options.servers ?? []);
  return client;
}

/** Sets the servers, as a lease or a resolver names them, and asks the first one. @param count how many of the array */
export function sntpServers(client: SntpClient, addresses: ArrayLike<number>, count = addresses.length): void {
  client.serverCount = count < SERVERS ? count : SERVERS;
  for (let i = 0; i < client.serverCount; i++) client.servers[i] = addresses[i]!;
  serviceClose(client.socket);
  client.state = IDLE;
  client.server = client.failures = 0;
  client.pollSec = client.minPollSec;
  client.dueMs = serviceClock(client);
  serviceWake(client);
}

/** Ends the client; the time goes on as it is known. */
export function sntpStop(client: SntpClient): void {
  serviceClose(client.socket);
  serviceStop(client);
}

/** Milliseconds since 1970-01-01 UTC, as Date.now() has them; NaN while the time is not known. */
export function sntpNow(client: SntpClient): number {
  return client.synchronized ? client.epochMs + serviceClock(client) : NaN;
}

function sntpRun(client: SntpClient): void {
  const now = serviceClock(client);
  const before = client.epochMs;
  const known = client.state === ASKED && receive(client, now);
  if (client.state === ASKED && now >= client.dueMs) failed(client, now);
  if (client.state === IDLE && now >= client.dueMs && client.serverCount > 0) ask(client, now);
  serviceSleep(client, client.serverCount > 0 ? client.dueMs - now : LONGEST_SLEEP_MS);
  if (known) client.onTime?.(client, client.epochMs - before);
}

function ask(client: SntpClient, now: number): void {
  client.dueMs = now + ANSWER_MS;
  client.sentMs = now;
  client.state = ASKED;
  client.nonceHi = getRandomU32();
  client.nonceLo = getRandomU32();
  if (serviceOpen(client.socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) < 0) return;
  client.addr.addr = client.servers[client.server]!;
  for (let i = 0; i < NTP_BYTES; i++) scratch[i] = 0;
  scratch[NTP_FLAGS] = VERSION_4_CLIENT;
  scratchView.setInt32(NTP_TRANSMIT, client.nonceHi);
  scratchView.setInt32(NTP_TRANSMIT + 4, client.nonceLo);
  if (connect(client.socket.fd, client.addr) < 0 || send(client.socket.fd, scratch, 0, NTP_BYTES, 0) < 0) client.dueMs = now;
}

/** The next question, so many ms from now, a little earlier or later. */
function sleep(client: SntpClient, now: number, ms: number): void {
  serviceClose(client.socket);
  client.state = IDLE;
  const spread = ms < MOST_POLL_SEC * MSEC_PER_SEC ? Math.floor(ms / SPREAD) : 0;
  client.dueMs = now + ms - spread + getRandomBelow(2 * spread + 1);
}

/** No answer, or none that can be used: the next server, and with each round a longer wait. */
function failed(client: SntpClient, now: number): void {
  client.server = client.server + 1 < client.serverCount ? client.server + 1 : 0;
  const round = Math.floor(client.failures++ / client.serverCount);
  const wait = FIRST_RETRY_MS * 2 ** (round < SERVERS * SPREAD ? round : SERVERS * SPREAD);
  const longest = client.maxPollSec * MSEC_PER_SEC;
  sleep(client, now, wait < longest ? wait : longest);
}

/** Reads what has come. @returns whether the time was set */
function receive(client: SntpClient, now: number): boolean {
  while (client.socket.fd >= 0) {
    const length = recv(client.socket.fd, scratch, 0, NTP_BYTES, 0);
    if (length === -EAGAIN) return false;
    if (length < 0) {
      // Nobody listens there, or no way leads there.
      failed(client, now);
      return false;
    }
    const view = scratchView;
    const mine = length === NTP_BYTES && (scratch[NTP_FLAGS]! & MODE_MASK) === MODE_SERVER
      && view.getInt32(NTP_ORIGIN) === client.nonceHi && view.getInt32(NTP_ORIGIN + 4) === client.nonceLo;
    if (!mine) continue;
    if (scratch[NTP_STRATUM] === 0) {
      kissed(client, now, view.getInt32(NTP_REFID));
      return false;
    }
    if (usable()) {
      setTime(client, now);
      return true;
    }
    failed(client, now);
    return false;
  }
  return false;
}

/** Does the server know the time itself (RFC 4330 section 5, RFC 5905 section 8)? */
function usable(): boolean {
  const flags = scratch[NTP_FLAGS]!;
  const version = (flags >> VERSION_SHIFT) & MODE_MASK;
  const distance = scratchView.getInt32(NTP_ROOT_DELAY) / 2 + scratchView.getUint32(NTP_ROOT_DISPERSION);
  return flags >> LEAP_SHIFT !== LEAP_UNKNOWN && version >= 1 && version <= 4 && scratch[NTP_STRATUM]! <= MAX_STRATUM
    && distance >= 0 && distance < MAX_DISTANCE && isTime(NTP_RECEIVE) && isTime(NTP_TRANSMIT);
}

function isTime(at: number): boolean {
  return (scratchView.getInt32(at) | scratchView.getInt32(at + 4)) !== 0;
}

/** A time of the message in ms since 1970. */
function unixMs(at: number): number {
  const seconds = scratchView.getUint32(at);
  const era = seconds < ERA_PIVOT ? TWO_32 : 0;
  return (seconds + era - NTP_UNIX_SEC) * MSEC_PER_SEC + scratchView.getUint32(at + 4) * MSEC_PER_SEC / TWO_32;
}

function setTime(client: SntpClient, now: number): void {
  const there = unixMs(NTP_RECEIVE);
  const back = unixMs(NTP_TRANSMIT);
  const delay = now - client.sentMs - (back - there);
  client.delayMs = delay > 0 ? delay : 0;
  client.epochMs = (there - client.sentMs + (back - now)) / 2;
  client.stratum = scratch[NTP_STRATUM]!;
  client.synchronized = true;
  client.answers++;
  client.failures = 0;
  sleep(client, now, client.pollSec * MSEC_PER_SEC);
  client.pollSec = client.pollSec * 2 < client.maxPollSec ? client.pollSec * 2 : client.maxPollSec;
}

/** The server wants to be left alone: for ever (another one takes its place), or for longer. */
function kissed(client: SntpClient, now: number, code: number): void {
  client.kisses++;
  if (code === KISS_DENY || code === KISS_RSTR) {
    client.serverCount--;
    for (let i = client.server; i < client.serverCount; i++) client.servers[i] = client.servers[i + 1]!;
    if (client.server >= client.serverCount) client.server = 0;
    sleep(client, now, FIRST_RETRY_MS);
    return;
  }
  if (code !== KISS_RATE) {
    failed(client, now);
    return;
  }
  client.pollSec = client.maxPollSec;
  sleep(client, now, client.pollSec * MSEC_PER_SEC);
}
