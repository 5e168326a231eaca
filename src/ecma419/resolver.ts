/**
 * Resolver: host names to addresses, as an object. ECMA-419 clause 17 over the service in src/services/dns.ts; read first
 * RFC 1034 section 5.3.1. Owns a resolver service while something is asked: Moddable's clients never close their resolvers.
 *
 * The third edition and Moddable give the two ends of a request as options, the draft of the fourth one callback: both are
 * understood. The draft's clauses differ on the order of what the callback gets; here it is error, address, host.
 */
import { cancelWork, queueWork, Work } from "../lib/softirq.ts";
import { type DnsResolver, dns, dnsResolve, dnsStop, EAI_MEMORY } from "../services/dns.ts";
import type { Net } from "../stack/core/net.ts";
import { getNs } from "../stack/socket/socket.ts";
import { formatAddress } from "./address.ts";
import { checkAddress, checkCallback, checkOptions, closedError, refuse } from "./options.ts";

export interface ResolverOptions {
  /** Servers to ask, IPv4 addresses; the first three count. */
  readonly servers: readonly string[];
  /** The standard's options for the socket. Not used: the service has sockets of its own. */
  readonly socket?: object;
  /** Becomes the property of that name. */
  readonly target?: unknown;
}

export interface ResolveOptions {
  readonly host: string;
  readonly onResolved?: ((this: Resolver, host: string, address: string) => void) | null;
  readonly onError?: ((this: Resolver, host: string) => void) | null;
}

export type ResolveCallback = (this: Resolver, error: Error | null, address?: string, host?: string) => void;

const NAME = "Resolver";

/** One request, from resolve() to its callback. */
interface Request {
  readonly host: string;
  readonly callback: ResolveCallback | null;
  readonly onResolved: ResolveOptions["onResolved"] | null;
  readonly onError: ResolveOptions["onError"] | null;
  /** The service's; -1 while it waits to be asked. */
  handle: number;
}

/** What is behind an instance. */
interface State {
  readonly owner: Resolver;
  readonly net: Net;
  readonly servers: readonly number[];
  /** null while there is no request. */
  service: DnsResolver | null;
  /** Requests whose callback is to come, in order. */
  requests: Request[];
  /** Begins what waits: not inside a call of the program's. */
  readonly work: Work<State>;
  open: boolean;
}

export class Resolver {
  declare target?: unknown;
  readonly #state: State;

  /**
   * For the namespace of new sockets.
   * @throws TypeError (servers is no array), RangeError (no server, or no address)
   */
  constructor(options: ResolverOptions) {
    const { servers, target } = checkOptions(NAME, options);
    if (!Array.isArray(servers) || servers.length === 0) {
      refuse(NAME, "servers", servers, "an array of 1 IPv4 address at least", Array.isArray(servers) ? RangeError : TypeError);
    }
    const addresses = servers.map((server: unknown) => checkAddress(NAME, "servers", server));
    const state: State = {
      owner: this, net: getNs(), servers: addresses, service: null, requests: [], work: new Work<State>(), open: true,
    };
    state.work.fn = begin;
    state.work.arg = state;
    this.#state = state;
    if (target !== undefined) this.target = target;
  }

  /**
   * Asks for the address of a host; "10.0.0.1" and "localhost" are answered without asking. Several requests may be on their way.
   * @throws TypeError (no options, no function), Error (host missing, or nobody to tell), SyntaxError (closed)
   */
  resolve(options: ResolveOptions, callback?: ResolveCallback): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#state in self) || !self.#state.open) throw closedError(NAME);
    const state = self.#state;
    const { host, onResolved, onError } = checkOptions(NAME, options);
    if (host === undefined || host === null) refuse(NAME, "host", host, "a host name", Error);
    const request: Request = {
      host: `${host}`,
      callback: checkCallback(NAME, "callback", callback),
      onResolved: checkCallback(NAME, "onResolved", onResolved),
      onError: checkCallback(NAME, "onError", onError),
      handle: -1,
    };
    if ((request.callback ?? request.onResolved ?? request.onError) === null) refuse(NAME, "callback", callback, "a function", Error);
    state.service ??= dns(state.net, { servers: state.servers });
    state.requests.push(request);
    queueWork(state.work);
  }

  /** Ends it: no callback follows. Closing again does nothing, also from inside a callback. @throws SyntaxError */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#state in self)) throw closedError(NAME);
    const state = self.#state;
    state.open = false;
    state.requests = [];
    release(state);
  }
}

/** Gives the service back. */
function release(state: State): void {
  const { service } = state;
  cancelWork(state.work);
  state.service = null;
  if (service !== null) dnsStop(service);
}

/** Has the service ask for what waits, as far as it takes questions; the rest waits until one has ended. */
function begin(state: State): void {
  for (const request of state.requests.slice()) {
    const { service } = state;
    if (service === null) return;
    if (request.handle >= 0) continue;
    const handle = dnsResolve(service, request.host, (error, answer) => {
      finish(state, request, error < 0 ? null : formatAddress(answer.addresses[0]!));
    });
    if (handle === EAI_MEMORY) return;
    request.handle = handle;
    if (handle < 0) finish(state, request, null);
  }
}

function finish(state: State, request: Request, address: string | null): void {
  const { owner } = state;
  const { host, callback, onResolved, onError } = request;
  const at = state.requests.indexOf(request);
  // Closed: the service has been stopped, and says so.
  if (at < 0) return;
  state.requests.splice(at, 1);
  if (state.requests.length > 0) queueWork(state.work);
  else release(state);
  if (callback !== null) {
    if (address === null) callback.call(owner, new Error(`${NAME}: ${host} has no address`));
    else callback.call(owner, null, address, host);
  } else if (address === null) {
    onError?.call(owner, host);
  } else {
    onResolved?.call(owner, host, address);
  }
}
