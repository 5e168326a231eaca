/**
 * Resolver: host names to addresses, as an object. ECMA-419 clause 17 over the service in src/services/dns.ts; read first
 * RFC 1034 section 5.3.1. Owns a resolver service from construction to close().
 *
 * The third edition and Moddable give the two ends of a request as options, the draft of the fourth one callback: both are
 * understood. The draft's clauses differ on the order of what the callback gets; here it is error, address, host.
 */
import { cancelWork, queueWork, Work } from "../lib/softirq.ts";
import { type DnsResolver, dns, dnsCancel, dnsResolve, dnsStop, EAI_MEMORY } from "../services/dns.ts";
import { getNs } from "../stack/socket/socket.ts";
import { formatAddress } from "./address.ts";
import { checkAddress, checkCallback, checkOptions, closedError, describe } from "./options.ts";

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
  readonly options: ResolveOptions;
  /** The service's; -1 while it waits to be asked. */
  handle: number;
}

/** What is behind an instance. */
interface State {
  readonly owner: Resolver;
  readonly service: DnsResolver;
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
   * Starts a resolver in the namespace of new sockets.
   * @throws TypeError (servers is no array, or has what is no text), RangeError (no server, or no address)
   */
  constructor(options: ResolverOptions) {
    const { servers, target } = checkOptions(NAME, options);
    if (!Array.isArray(servers)) throw new TypeError(`${NAME}: option servers is ${describe(servers)}; it must be an array of IPv4 addresses`);
    if (servers.length === 0) throw new RangeError(`${NAME}: option servers is empty; it must have 1 address at least`);
    const addresses = servers.map((server: unknown) => checkAddress(NAME, "servers", server));
    const state: State = {
      owner: this, service: dns(getNs(), { servers: addresses }), requests: [], work: new Work<State>(), open: true,
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
    if (host === undefined || host === null) throw new Error(`${NAME}: option host is missing; it must be a host name`);
    const told = checkCallback(NAME, "callback", callback);
    const one = checkCallback(NAME, "onResolved", onResolved);
    const other = checkCallback(NAME, "onError", onError);
    if (told === null && one === null && other === null) throw new Error(`${NAME}: there is no callback to tell the address of ${String(host)}`);
    state.requests.push({ host: String(host), callback: told, options, handle: -1 });
    queueWork(state.work);
  }

  /** Ends it: no callback follows. Closing again does nothing, also from inside a callback. @throws SyntaxError */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#state in self)) throw closedError(NAME);
    const state = self.#state;
    if (!state.open) return;
    state.open = false;
    cancelWork(state.work);
    for (const { handle } of state.requests) if (handle >= 0) dnsCancel(state.service, handle);
    state.requests = [];
    dnsStop(state.service);
  }
}

/** Has the service ask for what waits, as far as it takes questions; the rest waits until one has ended. */
function begin(state: State): void {
  for (const request of state.requests.slice()) {
    if (!state.open) return;
    if (request.handle >= 0) continue;
    const handle = dnsResolve(state.service, request.host, (error, answer) => {
      finish(state, request, error < 0 ? null : formatAddress(answer.addresses[0]!));
    });
    if (handle === EAI_MEMORY) return;
    request.handle = handle;
    if (handle < 0) finish(state, request, null);
  }
}

function finish(state: State, request: Request, address: string | null): void {
  const { owner } = state;
  const { host, callback, options } = request;
  state.requests.splice(state.requests.indexOf(request), 1);
  if (state.requests.length > 0) queueWork(state.work);
  if (callback !== null) {
    if (address === null) callback.call(owner, new Error(`${NAME}: ${host} has no address`));
    else callback.call(owner, null, address, host);
  } else if (address === null) {
    options.onError?.call(owner, host);
  } else {
    options.onResolved?.call(owner, host, address);
  }
}
