/**
 * An HTTP client over the classes of ECMA-419: one host, one connection that is kept, requests one after another. Read first: RFC 9110
 * sections 7 and 9, RFC 9112 section 9. The host is an address; what is no address a Resolver has to tell first.
 */
import { asciiBytes } from "./ascii.ts";
import { Connection } from "./connection.ts";
import { HttpReader } from "./http-reader.ts";

export interface HttpRequest {
  /** Default GET. */
  readonly method?: string;
  /** Default "/". */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The status and the headers, with names in lower case. */
  onHead?(status: number, headers: Map<string, string>): void;
  /** A piece of the body. */
  onBody?(bytes: Uint8Array): void;
  onDone?(): void;
  /** There is no answer, or not all of it. */
  onError?(reason: string): void;
}

export interface HttpClientOptions {
  readonly address: string;
  /** Default 80. */
  readonly port?: number;
  /** What the header Host says; default the address. */
  readonly host?: string;
}

const HTTP_PORT = 80;
const NO_CONTENT = 204;
const NOT_MODIFIED = 304;
const FIRST_FINAL = 200;

export class HttpClient {
  private readonly address: string;
  private readonly port: number;
  private readonly host: string;
  private connection: Connection | null = null;
  private reader: HttpReader | null = null;
  private readonly requests: HttpRequest[] = [];
  /** Has the first of the requests been sent; did any of its answer come; shall the connection be kept? */
  private sent = false;
  private heard = false;
  private keep = true;
  /** The request under way went over a connection that had served before: it may have been closed meanwhile. */
  private again = false;
  /** The answer was only one to go on (100): the real one follows. */
  private interim = false;

  constructor({ address, port = HTTP_PORT, host }: HttpClientOptions) {
    this.address = address;
    this.port = port;
    this.host = host ?? (port === HTTP_PORT ? address : `${address}:${port}`);
  }

  /** Sends a request, when those before it are answered. */
  request(request: HttpRequest): void {
    this.requests.push(request);
    this.next();
  }

  /** Ends it; requests that are not answered hear nothing. */
  close(): void {
    this.requests.length = 0;
    this.drop();
  }

  private drop(): void {
    this.connection?.close();
    this.connection = null;
    this.sent = false;
  }

  private next(): void {
    const request = this.requests[0];
    if (request === undefined || this.sent) return;
    this.again = this.connection !== null;
    this.connection ??= this.open();
    this.sent = true;
    this.heard = false;
    this.keep = true;
    const { method = "GET", path = "/", headers = {}, body } = request;
    let head = `${method} ${path} HTTP/1.1\r\nHost: ${this.host}\r\n`;
    for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
    if (body !== undefined) head += `Content-Length: ${body.length}\r\n`;
    this.connection.write(asciiBytes(`${head}\r\n`));
    if (body !== undefined) this.connection.write(body);
  }

  private open(): Connection {
    const reader = new HttpReader(true, {
      onHead: (start, headers) => this.head(start, headers),
      onBody: (bytes) => this.requests[0]?.onBody?.(bytes),
      onDone: () => this.done(),
      onBad: () => this.fail("the answer is no HTTP"),
    });
    this.reader = reader;
    return new Connection({ address: this.address, port: this.port }, {
      onData: (bytes) => {
        this.heard = true;
        if (this.sent) reader.push(bytes, () => this.reader !== reader);
      },
      onEnd: () => this.ended(),
    });
  }

  private head(start: string, headers: Map<string, string>): boolean {
    const request = this.requests[0];
    const match = /^HTTP\/1\.([01]) (\d{3})/.exec(start);
    if (match === null || request === undefined) {
      this.fail("the answer is no HTTP");
      return false;
    }
    const status = Number(match[2]);
    const connection = headers.get("connection")?.toLowerCase() ?? "";
    this.keep = match[1] === "1" ? !connection.includes("close") : connection.includes("keep-alive");
    if (status < FIRST_FINAL) {
      this.interim = true;
      return false;
    }
    request.onHead?.(status, headers);
    return request.method !== "HEAD" && status !== NO_CONTENT && status !== NOT_MODIFIED;
  }

  private done(): void {
    if (this.interim) {
      this.interim = false;
      return;
    }
    const request = this.requests.shift();
    this.sent = false;
    if (!this.keep) this.drop();
    request?.onDone?.();
    this.next();
  }

  private ended(): void {
    this.connection = null;
    if (!this.sent) return;
    if (this.again && !this.heard && this.requests[0]?.method !== "POST") {
      // The server had ended the connection before it saw the request: it is sent anew (RFC 9112 section 9.3.1).
      this.sent = false;
      this.next();
      return;
    }
    if (this.reader?.finish() !== true) this.fail(this.heard ? "the connection ended early" : "no connection");
  }

  private fail(reason: string): void {
    if (!this.sent) return;
    const request = this.requests.shift();
    this.drop();
    request?.onError?.(reason);
    this.next();
  }
}
