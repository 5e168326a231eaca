/**
 * Listener: waits for connections to a port. ECMA-419 clause 11.4 over the BSD calls; read first listen(2), accept(2). Owns its
 * descriptor. Methods of a closed instance throw a SyntaxError, as Moddable's tests ask for.
 */
import { close } from "../stack/socket/files.ts";
import { accept4, bind, getsockname, listen, socket } from "../stack/socket/socket.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { EAGAIN, ECONNABORTED } from "../uapi/errno.ts";
import { AF_INET, SO_REUSEADDR, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET } from "../uapi/socket.ts";
import { Edge, edgeAttach, edgeDetach, edgePendingConnections, stackError } from "./edge.ts";
import { checkAddress, checkCallback, checkFormat, checkOptions, checkPort, closedError } from "./options.ts";
import { type TCP, tcpAccepted } from "./tcp.ts";

export type ListenerFormat = "socket/tcp";

export interface ListenerOptions {
  /** 0 to 65535; 0, which is the default, for a free one. */
  readonly port?: number;
  /** Address of this host to which connections are made. Default: any. */
  readonly address?: string;
  /** Called with the number of connections that read() will give, all of them, each time there are more. */
  readonly onReadable?: ((this: Listener, requests: number) => void) | null;
  /** Never called: nothing ends a listener but close(). */
  readonly onError?: ((this: Listener) => void) | null;
  readonly format?: ListenerFormat;
  /** Becomes the property of that name. */
  readonly target?: unknown;
}

const NAME = "Listener";
const FORMATS: readonly ListenerFormat[] = Object.freeze<ListenerFormat[]>(["socket/tcp"]);
/** As many connections wait as the namespace allows (net.core.somaxconn). */
const MOST = -1;

class ListenerEdge extends Edge {
  readonly owner: Listener;
  onReadable: ((this: Listener, requests: number) => void) | null = null;
  port = 0;

  constructor(owner: Listener) {
    super();
    this.owner = owner;
  }

  dispatch(): void {
    const pending = edgePendingConnections(this);
    if (this.news(pending)) this.onReadable?.call(this.owner, pending);
  }
}

export class Listener {
  declare target?: unknown;
  readonly #edge: ListenerEdge;

  /**
   * Begins to listen.
   * @throws RangeError (port, format, address), TypeError (of another type), Error (port undefined, in use, no socket left)
   */
  constructor(options: ListenerOptions) {
    checkOptions(NAME, options);
    const { target, format, address } = options;
    const edge = new ListenerEdge(this);
    this.#edge = edge;
    edge.onReadable = checkCallback(NAME, "onReadable", options.onReadable);
    checkCallback(NAME, "onError", options.onError);
    if (format !== undefined) checkFormat(NAME, format, FORMATS);
    const port = "port" in options ? checkPort(NAME, options.port) : 0;
    const local = new SockaddrIn(address === undefined ? 0 : checkAddress(NAME, "address", address), port);
    if (target !== undefined) this.target = target;
    const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) throw stackError(`${NAME}: no socket`, fd);
    // A server that is started again takes its port back from connections in TIME_WAIT.
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    let err = bind(fd, local);
    if (err >= 0) err = listen(fd, MOST);
    if (err < 0) {
      close(fd);
      throw stackError(`${NAME}: port ${port}`, err);
    }
    getsockname(fd, local);
    edge.port = local.port;
    edgeAttach(edge, fd);
  }

  /** The edge of an instance that is open. @throws SyntaxError */
  static #edgeOf(self: unknown): ListenerEdge {
    if (typeof self === "object" && self !== null && #edge in self && self.#edge.fd >= 0) return self.#edge;
    throw closedError(NAME);
  }

  /** The port it listens on, 1 to 65535, also when any was asked for. */
  get port(): number {
    return Listener.#edgeOf(this).port;
  }

  get format(): ListenerFormat {
    Listener.#edgeOf(this);
    return "socket/tcp";
  }

  /** @throws RangeError for any but "socket/tcp" */
  set format(format: ListenerFormat) {
    Listener.#edgeOf(this);
    checkFormat(NAME, format, FORMATS);
  }

  /**
   * The next connection as a TCP of format "buffer" without callbacks, for another TCP's `from`; undefined when none waits.
   * One that the peer has broken off already tells so there. @throws Error when there is no socket or descriptor left: the
   * connection waits on
   */
  read(): TCP | undefined {
    const edge = Listener.#edgeOf(this);
    const peer = new SockaddrIn();
    for (;;) {
      const fd = accept4(edge.fd, peer, SOCK_NONBLOCK);
      if (fd === -EAGAIN) return undefined;
      edge.took(1);
      if (fd >= 0) return tcpAccepted(fd, peer);
      if (fd !== -ECONNABORTED) throw stackError(`${NAME}: read`, fd);
    }
  }

  /** A listener cannot be written to. @throws Error always */
  write(): never {
    Listener.#edgeOf(this);
    throw new Error(`${NAME}: write is not supported`);
  }

  /** Stops listening: connections that wait are reset, those read live on. Closing again does nothing. @throws SyntaxError */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#edge in self)) throw closedError(NAME);
    if (self.#edge.fd >= 0) close(edgeDetach(self.#edge));
  }
}
