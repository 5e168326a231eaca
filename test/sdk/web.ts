/**
 * The web that the SDK's examples go to, by Node's own servers: httpbin.org as far as they ask it, over HTTP and HTTPS, with
 * server-sent events beside it, and a server of WebSockets over TLS in place of api.openai.com.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server as HttpServer, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import { WebSocketServer } from "ws";

/** What a message of 20,000 letters says. */
export const LONG_MESSAGE = "twenty letters here ".repeat(1000);
export const GREETING = '{"type":"session.created"}';
/** Several octets to a letter, and more than a segment of them. */
export const LETTERS = `∮ E⋅da = Q, ⡌⠁⠧⠑ ⠼⠁⠒, ಬಾ ಇಲ್ಲಿ, ${"⏎ глаз αβγ ".repeat(200)}\n`;
const EVENTS = 3;

/** What has been asked of the servers. */
export interface Asked {
  /** Requests, like `https POST /post`, by the number of their connection. */
  readonly requests: [connection: number, what: string][];
  /** Requests of a WebSocket, with a header, and the version of TLS. */
  readonly handshakes: string[];
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk as string;
  return body;
}

/** What httpbin says of a request. */
function echo(request: IncomingMessage, body: string): string {
  const isForm = request.headers["content-type"]?.includes("urlencoded") === true;
  const form = isForm ? Object.fromEntries(new URLSearchParams(body)) : {};
  return JSON.stringify({ form, data: isForm ? "" : body, headers: request.headers, method: request.method });
}

function sendEvents(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  for (let i = 1; i <= EVENTS; i++) response.write(`: comment\nevent: ping\nid: ${i}\ndata: {"number":${i}}\n\ndata: message ${i},\r\ndata: two lines\r\n\r\n`);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const send = (type: string, content: string | Buffer, headers: Record<string, string> = {}): void => {
    response.writeHead(200, { "content-type": type, "content-length": Buffer.byteLength(content), ...headers }).end(content);
  };
  switch (request.url) {
    case "/post": case "/put": return send("application/json", echo(request, body));
    case "/gzip": return send("application/json", gzipSync(echo(request, body)), { "content-encoding": "gzip" });
    case "/json": return send("application/json", JSON.stringify({ slideshow: { title: "Sample Slide Show" } }));
    case "/events": return sendEvents(response);
    case "/encoding/utf8":
      // Of unknown length, in chunks.
      response.setHeader("content-type", "text/html; charset=utf-8");
      for (let from = 0; from < LETTERS.length; from += 100) response.write(LETTERS.substring(from, from + 100));
      return void response.end();
    default: return send("text/plain", `${request.url}\n`);
  }
}

export class Web {
  readonly asked: Asked = { requests: [], handshakes: [] };
  private readonly servers: HttpServer[] = [];
  private readonly connections = new WeakMap<object, number>();
  private connected = 0;

  /** httpbin.org of both kinds at one address, api.openai.com at another. @param certificate chain and key, in PEM */
  constructor(bin: string, realtime: string, certificate: { cert: string; key: string }) {
    // The SDK's TLS is 1.2.
    const options = { ...certificate, maxVersion: "TLSv1.2" } as const;
    this.listen(createServer(this.answers("http")), bin, 80);
    this.listen(createSecureServer(options, this.answers("https")), bin, 443);
    const secure = createSecureServer(options);
    this.listen(secure, realtime, 443);
    new WebSocketServer({ server: secure }).on("connection", (one, { url, headers, socket }) => {
      this.asked.handshakes.push(`${url} ${headers["openai-beta"] as string} ${(socket as TLSSocket).getProtocol()}`);
      one.send(GREETING);
      one.send(LONG_MESSAGE);
      one.ping();
      one.on("pong", () => one.close(1000));
    });
  }

  private listen(server: HttpServer, address: string, port: number): void {
    this.servers.push(server.on("connection", (socket) => this.connections.set(socket, this.connected++)).listen(port, address));
  }

  private answers(scheme: "http" | "https"): RequestListener {
    return (request, response) => {
      this.asked.requests.push([this.connections.get(request.socket) ?? this.connected, `${scheme} ${request.method} ${request.url}`]);
      void answer(request, response);
    };
  }

  stop(): void {
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
  }
}
