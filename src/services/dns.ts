/**
 * DNS: names to addresses and back, by asking the servers of the network. Linux's counterpart is glibc's stub resolver
 * (resolv.conf(5), getaddrinfo(3)) with nscd's cache in it. Read first: RFC 1034 section 5.3.1, RFC 1035 section 7. Owns the
 * questions that are on their way; each has a socket while it is asked. Names that end with "local" are asked of the whole link
 * instead (RFC 6762), as nss-mdns does on Linux.
 *
 *   const resolver = dns(initNet, { servers: [0x0a000001], search: ["lan"] });
 *   dnsResolve(resolver, "board7", (error, answer) => trace(error < 0 ? error : answer.addresses[0]));
 */
import { jiffies } from "../lib/timer.ts";
import type { Net } from "../stack/core/net.ts";
import { EAI_AGAIN, EAI_CANCELED, EAI_FAIL, EAI_MEMORY, EAI_NODATA, EAI_NONAME, EAI_SYSTEM } from "../uapi/netdb.ts";
import { INADDR_LOOPBACK } from "../uapi/in.ts";
import { DnsCache, dnsCacheExpire, dnsCacheGet, dnsCachePut } from "./dns-cache.ts";
import {
  ANSWER_ALIAS, ANSWER_DATA, ANSWER_NODATA, ANSWER_NXDOMAIN, DNS_TYPE_A, DNS_TYPE_PTR, DnsAnswer,
} from "./dns-message.ts";
import { DNS_NAME_BYTES, dnsNameAppend, dnsNameFromText, dnsNameLength, dnsNameText } from "./dns-name.ts";
import {
  DNS_SERVERS, DnsIo, DnsServers, DnsTransport, QUERY_NOBODY, QUERY_NOMEM, QUERY_PENDING, QUERY_TIMEOUT, transportRun, transportStart,
  transportStop,
} from "./dns-query.ts";
import { Service, serviceSleep, serviceStart, serviceStop, serviceWake } from "./service.ts";

export { DNS_TYPE_A, DNS_TYPE_PTR, type DnsAnswer } from "./dns-message.ts";
export * from "../uapi/netdb.ts";

/** Longest answer over UDP (RFC 9715), and how much fits every host. */
const UDP_BYTES = 1232;
const LEAST_UDP_BYTES = 512;
/** Longest of what else is built in the buffer. */
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_ATTEMPTS = 3;
const DEFAULT_QUERIES = 2;
const DEFAULT_CACHE = 8;
const MOST_QUERIES = 16;
const HANDLE_SHIFT = 4;
/** The last label of this host's own names. */
const LOCALHOST: readonly number[] = Object.freeze([9, 0x6c, 0x6f, 0x63, 0x61, 0x6c, 0x68, 0x6f, 0x73, 0x74, 0]);
/** Aliases that lead out of their answers, in a row. */
const MOST_ALIASES = 8;

/** How to ask. */
export interface DnsOptions {
  /** Name servers as int32 addresses; the first three count. dnsServers() sets others. */
  readonly servers?: readonly number[];
  /** Domains that are tried behind a name. */
  readonly search?: readonly string[];
  /** A name with so many dots is tried as it is first (1). */
  readonly ndots?: number;
  /** ms until the next server is asked (2000); twice as long in each further round. */
  readonly timeoutMs?: number;
  /** Rounds over all servers (3). */
  readonly attempts?: number;
  /** Begin with any server, not with the one that answered last. */
  readonly rotate?: boolean;
  /** Questions at once, 1 to 16 (2): 850 bytes each. */
  readonly queries?: number;
  /** Names remembered, 0 to 1000 (8): 92 bytes each. */
  readonly cache?: number;
  /** Longest answer over UDP, 512 to 1232 (1232): less where packets are smaller. */
  readonly udpBytes?: number;
}

/**
 * Hears how a question ended: 0, or EAI_NONAME, EAI_NODATA, EAI_AGAIN (no answer in time), EAI_FAIL (servers refuse), EAI_MEMORY,
 * EAI_SYSTEM (no server known), EAI_CANCELED. What `answer` holds is good for the time of the call. Never called from inside
 * dnsResolve().
 */
export type DnsDone = (error: number, answer: DnsAnswer) => void;

/** Free; to be begun in the next turn; on its way. */
const FREE = 0;
const NEW = 1;
const ASKED = 2;

class DnsQuery {
  state = FREE;
  /** Makes handles of earlier questions invalid. */
  generation = 0;
  /** Which of the names to be tried is asked for. */
  candidate = 0;
  aliases = 0;
  /** Did one of them exist, without an address? */
  nodata = false;
  /** The name as the program said it last, whether that ended with a dot, and bytes of it in the transport; 0: another is there. */
  text = "";
  absolute = false;
  plainBytes = 0;
  done: DnsDone | null = null;
  readonly transport: DnsTransport;

  constructor(service: Service) {
    this.transport = new DnsTransport(service);
  }
}

/** One resolver; a program has one for each namespace at most. */
export class DnsResolver extends Service {
  readonly servers: DnsServers = new DnsServers();
  readonly answer: DnsAnswer = new DnsAnswer();
  readonly io: DnsIo = new DnsIo();
  readonly queries: readonly DnsQuery[];
  readonly cache: DnsCache;
  /** Search domains as in messages. */
  search: readonly Uint8Array[] = [];
  ndots: number;

  constructor(net: Net, queries: number, cache: number, ndots: number) {
    super(net);
    this.queries = Array.from({ length: queries }, () => new DnsQuery(this));
    this.cache = new DnsCache(cache);
    this.ndots = ndots;
  }
}

function checkRange(option: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`dns: option ${option} is ${value}; it must be a whole number from ${least} to ${most}`);
  }
  return value;
}

/**
 * Starts a resolver in the namespace. Allocates.
 * @throws RangeError naming the option, its value and its range
 */
export function dns(net: Net, options: DnsOptions = {}): DnsResolver {
  const queries = checkRange("queries", options.queries ?? DEFAULT_QUERIES, 1, MOST_QUERIES);
  const cache = checkRange("cache", options.cache ?? DEFAULT_CACHE, 0, 1000);
  const resolver = new DnsResolver(net, queries, cache, checkRange("ndots", options.ndots ?? 1, 0, 15));
  const { servers } = resolver;
  servers.timeoutMs = checkRange("timeoutMs", options.timeoutMs ?? DEFAULT_TIMEOUT_MS, 1, 60_000);
  servers.attempts = checkRange("attempts", options.attempts ?? DEFAULT_ATTEMPTS, 1, 16);
  servers.udpBytes = checkRange("udpBytes", options.udpBytes ?? UDP_BYTES, LEAST_UDP_BYTES, UDP_BYTES);
  servers.rotate = options.rotate === true;
  dnsServers(resolver, options.servers ?? []);
  dnsSearch(resolver, options.search ?? []);
  serviceStart(resolver, "dns", servers.udpBytes, dnsRun);
  return resolver;
}

/** Sets the name servers, as a lease names them. @param count how many of the array, all when left out; three at most are kept */
export function dnsServers(resolver: DnsResolver, addresses: ArrayLike<number>, count = addresses.length): void {
  const { servers } = resolver;
  servers.count = count < DNS_SERVERS ? count : DNS_SERVERS;
  for (let i = 0; i < servers.count; i++) servers.addresses[i] = addresses[i]!;
  servers.first = 0;
  for (let i = 0; i < resolver.queries.length; i++) {
    const query = resolver.queries[i]!;
    // What is on its way begins anew: its server may be none any more.
    if (query.state !== ASKED) continue;
    transportStop(query.transport);
    query.state = NEW;
    serviceWake(resolver);
  }
}

/** Sets the domains that are tried behind a name. Allocates. @throws RangeError naming one that is no name */
export function dnsSearch(resolver: DnsResolver, domains: readonly string[]): void {
  resolver.search = domains.map((domain) => {
    const name = new Uint8Array(DNS_NAME_BYTES);
    const length = dnsNameFromText(domain, name, 0);
    if (length < 0) throw new RangeError(`dns: option search has ${domain}; it must be a domain name`);
    return name.slice(0, length);
  });
}

/** Ends a resolver: every question ends with EAI_CANCELED. */
export function dnsStop(resolver: DnsResolver): void {
  for (let i = 0; i < resolver.queries.length; i++) {
    if (resolver.queries[i]!.state !== FREE) conclude(resolver, resolver.queries[i]!, EAI_CANCELED);
  }
  serviceStop(resolver);
}

/**
 * Asks for the addresses of a name, or with another type for what that says.
 * @param name relative names go through the search list, one with a final dot does not; "10.0.0.1" is its own answer
 * @param done hears how it ended, later
 * @param type DNS_TYPE_A or DNS_TYPE_PTR
 * @returns a handle for dnsCancel(), or EAI_NONAME (no name at all), EAI_MEMORY (as many questions as there can be)
 */
export function dnsResolve(resolver: DnsResolver, name: string, done: DnsDone, type: number = DNS_TYPE_A): number {
  const { queries } = resolver;
  let index = -1;
  for (let i = 0; i < queries.length; i++) {
    const { state, text } = queries[i]!;
    if (state === FREE && (index < 0 || text === name)) index = i;
  }
  if (index < 0 || resolver.timer < 0) return EAI_MEMORY;
  const query = queries[index]!;
  // In XS each look into a string makes an object: the name that was asked for last is there in bytes.
  if (query.text !== name) {
    query.text = name;
    query.plainBytes = 0;
    query.absolute = name.endsWith(".");
  }
  if (plainName(query) < 0) return EAI_NONAME;
  query.state = NEW;
  query.done = done;
  query.candidate = query.aliases = 0;
  query.nodata = false;
  query.transport.type = type;
  query.generation = (query.generation + 1) & 0xffffff;
  serviceWake(resolver);
  return (query.generation << HANDLE_SHIFT) | index;
}

/** Puts the name as the program said it into the transport: its bytes, or -1 for no name. */
function plainName(query: DnsQuery): number {
  const { name } = query.transport;
  if (query.plainBytes > 0) {
    // A search domain may stand where it ended.
    name[query.plainBytes - 1] = 0;
    return query.plainBytes;
  }
  const length = dnsNameFromText(query.text, name, 0);
  if (length > 0) query.plainBytes = length;
  return length;
}

/** Asks for the name of an address: `answer.name` then. Makes strings. As dnsResolve() otherwise. */
export function dnsReverse(resolver: DnsResolver, addr: number, done: DnsDone): number {
  const name = `${addr & 255}.${(addr >> 8) & 255}.${(addr >> 16) & 255}.${addr >>> 24}.in-addr.arpa.`;
  return dnsResolve(resolver, name, done, DNS_TYPE_PTR);
}

/** Takes a question back; its `done` is not called. A handle of one that has ended is no harm. */
export function dnsCancel(resolver: DnsResolver, handle: number): void {
  const query = handle < 0 ? undefined : resolver.queries[handle & (MOST_QUERIES - 1)];
  if (query === undefined || query.state === FREE || query.generation !== handle >> HANDLE_SHIFT) return;
  transportStop(query.transport);
  query.done = null;
  query.state = FREE;
}

/** Frees the question and tells the program, last of all. */
function conclude(resolver: DnsResolver, query: DnsQuery, error: number): void {
  const { done } = query;
  transportStop(query.transport);
  query.state = FREE;
  query.done = null;
  if (done !== null) done(error, resolver.answer);
}

function dnsRun(resolver: DnsResolver): void {
  const { queries, servers, io, answer } = resolver;
  for (let i = 0; i < queries.length; i++) {
    const query = queries[i]!;
    if (query.state === NEW) begin(resolver, query);
    else if (query.state === ASKED) proceed(resolver, query, transportRun(query.transport, servers, io, answer));
  }
  if (resolver.timer < 0) return;
  let sleep = dnsCacheExpire(resolver.cache);
  for (let i = 0; i < queries.length; i++) {
    const query = queries[i]!;
    if (query.state !== ASKED) continue;
    const left = (query.transport.deadline - jiffies) | 0;
    if (sleep < 0 || left < sleep) sleep = left < 0 ? 0 : left;
  }
  serviceSleep(resolver, sleep);
}

/** The first name to be tried, unless the answer needs no server. */
function begin(resolver: DnsResolver, query: DnsQuery): void {
  const { answer } = resolver;
  const { type, name } = query.transport;
  const local = isLocalhost(name, query.plainBytes);
  if (type === DNS_TYPE_A && (local || (!query.absolute && dottedQuad(name, answer.addresses)))) {
    if (local) answer.addresses[0] = INADDR_LOOPBACK;
    answer.count = 1;
    answer.ttlSec = 0;
    answer.name = "";
    conclude(resolver, query, 0);
    return;
  }
  query.candidate = -1;
  nextCandidate(resolver, query);
}

/** Goes on to the next name that may be meant, or ends the question. */
function nextCandidate(resolver: DnsResolver, query: DnsQuery): void {
  const { transport, absolute } = query;
  const count = absolute ? 1 : resolver.search.length + 1;
  while (++query.candidate < count) {
    transport.nameBytes = plainName(query);
    const plainFirst = countDots(transport.name) >= resolver.ndots;
    const plain = absolute || query.candidate === (plainFirst ? 0 : count - 1);
    if (!plain) {
      const place = plainFirst ? query.candidate - 1 : query.candidate;
      transport.nameBytes = dnsNameAppend(transport.name, 0, resolver.search[place]!);
      if (transport.nameBytes < 0) continue;
    }
    query.aliases = 0;
    ask(resolver, query);
    return;
  }
  conclude(resolver, query, query.nodata ? EAI_NODATA : EAI_NONAME);
}

/** Asks for the name in the transport: the cache first, then the servers. */
function ask(resolver: DnsResolver, query: DnsQuery): void {
  const { transport } = query;
  const { servers, answer } = resolver;
  query.state = ASKED;
  if (transport.type === DNS_TYPE_A) {
    const known = dnsCacheGet(resolver.cache, transport.name, transport.nameBytes, answer);
    if (known >= 0) {
      settle(resolver, query, known);
      return;
    }
  }
  proceed(resolver, query, transportStart(transport, servers, resolver.io));
}

/** The servers have said something, or it is clear that they do not. */
function proceed(resolver: DnsResolver, query: DnsQuery, result: number): void {
  const { transport } = query;
  const { answer } = resolver;
  switch (result) {
    case QUERY_PENDING:
      return;
    case QUERY_TIMEOUT:
      conclude(resolver, query, EAI_AGAIN);
      return;
    case QUERY_NOBODY:
      conclude(resolver, query, EAI_SYSTEM);
      return;
    case QUERY_NOMEM:
      conclude(resolver, query, EAI_MEMORY);
      return;
    case ANSWER_ALIAS:
      if (++query.aliases > MOST_ALIASES) break;
      transport.nameBytes = dnsNameLength(answer.target, 0);
      for (let i = 0; i < transport.nameBytes; i++) transport.name[i] = answer.target[i]!;
      query.plainBytes = 0;
      ask(resolver, query);
      return;
    case ANSWER_DATA:
    case ANSWER_NODATA:
    case ANSWER_NXDOMAIN:
      if (transport.type === DNS_TYPE_A) dnsCachePut(resolver.cache, transport.name, transport.nameBytes, result, answer);
      settle(resolver, query, result);
      return;
    default:
      break;
  }
  conclude(resolver, query, EAI_FAIL);
}

/** It is known what the name stands for. */
function settle(resolver: DnsResolver, query: DnsQuery, kind: number): void {
  const { answer } = resolver;
  if (kind !== ANSWER_DATA) {
    if (kind === ANSWER_NODATA) query.nodata = true;
    nextCandidate(resolver, query);
    return;
  }
  if (query.transport.type === DNS_TYPE_PTR) answer.name = dnsNameText(answer.target, 0);
  conclude(resolver, query, 0);
}

/** Dots of a name as in a message: between its labels. */
function countDots(name: Uint8Array): number {
  let dots = -1;
  for (let at = 0; name[at] !== 0; at += 1 + name[at]!) dots++;
  return dots;
}

/** RFC 6761 section 6.3: this host, whatever servers say. Is it the last label? */
function isLocalhost(name: Uint8Array, length: number): boolean {
  const from = length - LOCALHOST.length;
  for (let i = 0; i < LOCALHOST.length; i++) if (name[from + i] !== LOCALHOST[i]) return false;
  return true;
}

/** Is it an address? Then it is the first of `out`. */
function dottedQuad(name: Uint8Array, out: Int32Array): boolean {
  let addr = 0;
  let at = 0;
  for (let part = 0; part < 4; part++) {
    const digits = name[at++]!;
    if (digits === 0 || digits > 3) return false;
    let value = 0;
    for (let i = 0; i < digits; i++) {
      const digit = name[at++]! - 0x30;
      if (digit < 0 || digit > 9) return false;
      value = value * 10 + digit;
    }
    if (value > 255) return false;
    addr = (addr << 8) | value;
  }
  if (name[at] !== 0) return false;
  out[0] = addr;
  return true;
}
