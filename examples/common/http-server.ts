/**
 * An HTTP server over the classes of ECMA-419: a function answers each request, connections are kept as the client likes, and one that
 * asks for it becomes a WebSocket. Read first: RFC 9110 section 15, RFC 9112 section 9, RFC 6455 section 4.2. Owns the listener and its
 * connections.
 */
import { Listener, type TCP } from "linnet/ecma419";
import { asciiBytes } from "./ascii.ts";
import { Connection } from "./connection.ts";
import { HttpReader } from "./http-reader.ts";
import { acceptKey, WebSocket, type WebSocketEvents } from "./websocket.ts";

/** A longer body is not taken. */
const LONGEST_BODY = 16384;

const REASONS: Readonly<Record<number, string>> = Object.freeze({
  200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large", 426: "Upgrade Required",
});

export interface HttpServerRequest {
  readonly method: string;
  readonly path: string;
  /** By name, in lower case. */
  readonly headers: Map<string, string>;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
}

export interface HttpAnswer {
  /** Default 200. */
  readonly status?: number;
  /** Default text/plain. */
  readonly type?: string;
  readonly body?: string | Uint8Array;
}

export interface HttpServerOptions {
  readonly port: number;
  /** What a request is answered with. */
  onRequest(request: HttpServerRequest): HttpAnswer;
  /** A client asks for a WebSocket: what it shall tell of, or null for none. Default: never one. */
  onWebSocket?(path: string): ((socket: WebSocket) => WebSocketEvents) | null;
}

export class HttpServer {
  private readonly options: HttpServerOptions;
  private readonly listener: Listener;
  private readonly connections = new Set<{ close(): void }>();

  /** @throws what Listener's constructor throws: the port is taken */
  constructor(options: HttpServerOptions) {
    this.options = options;
    this.listener = new Listener({
      port: options.port,
      onReadable: () => {
        for (let tcp = this.listener.read(); tcp !== undefined; tcp = this.listener.read()) this.serve(tcp);
      },
    });
  }

  get port(): number {
    return this.listener.port;
  }

  close(): void {
    this.listener.close();
    for (const one of this.connections) one.close();
    this.connections.clear();
  }

  private serve(from: TCP): void {
    let start = "";
    let headers = new Map<string, string>();
    let parts: Uint8Array[] = [];
    let length = 0;
    let socket: WebSocket | null = null;
    const reader = new HttpReader(false, {
      onHead: (first, all) => {
        start = first;
        headers = all;
        parts = [];
        length = 0;
        return true;
      },
      onBody: (bytes) => {
        length += bytes.length;
        if (length <= LONGEST_BODY) parts.push(bytes.slice());
      },
      onDone: () => {
        const [method = "", path = "", version = ""] = start.split(" ");
        if (!/^HTTP\/1\.[01]$/.test(version)) {
          answer(connection, { status: 400 }, false, false);
          return;
        }
        const begin = this.upgrade(method, path, headers);
        if (begin !== null) {
          socket = this.webSocket(connection, headers, begin);
          return;
        }
        const asked = headers.get("connection")?.toLowerCase() ?? "";
        const keep = version === "HTTP/1.1" ? !asked.includes("close") : asked.includes("keep-alive");
        const request = { method, path, headers, body: join(parts), remoteAddress: connection.remoteAddress };
        answer(connection, length > LONGEST_BODY ? { status: 413 } : this.options.onRequest(request), keep, method === "HEAD");
      },
      onBad: () => answer(connection, { status: 400 }, false, false),
    });
    const connection = new Connection({ from }, {
      onData: (bytes) => {
        const used = socket === null ? reader.push(bytes, () => socket !== null) : 0;
        if (socket !== null && used < bytes.length) socket.receive(bytes.subarray(used));
      },
      onEnd: () => {
        this.connections.delete(connection);
        socket?.ended();
      },
    });
    this.connections.add(connection);
  }

  /** Does the request ask for a WebSocket that there is? */
  private upgrade(method: string, path: string, headers: Map<string, string>): ((socket: WebSocket) => WebSocketEvents) | null {
    const wanted = method === "GET" && headers.get("upgrade")?.toLowerCase() === "websocket"
      && headers.get("sec-websocket-version") === "13" && headers.has("sec-websocket-key");
    return wanted ? this.options.onWebSocket?.(path) ?? null : null;
  }

  private webSocket(connection: Connection, headers: Map<string, string>, begin: (socket: WebSocket) => WebSocketEvents): WebSocket {
    const accept = acceptKey(headers.get("sec-websocket-key")!);
    connection.write(asciiBytes(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    ));
    return new WebSocket({ connection, masks: false }, begin);
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function answer(connection: Connection, { status = 200, type = "text/plain", body = "" }: HttpAnswer, keep: boolean, headOnly: boolean): void {
  const bytes = typeof body === "string" ? asciiBytes(body) : body;
  connection.write(asciiBytes(
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Answer"}\r\nContent-Type: ${type}\r\nContent-Length: ${bytes.length}\r\n`
      + `Connection: ${keep ? "keep-alive" : "close"}\r\n\r\n`,
  ));
  if (!headOnly) connection.write(bytes);
  if (!keep) connection.end();
}
