/**
 * Takes HTTP/1.1 messages apart as their bytes come, requests or responses. Read first: RFC 9112 sections 2, 6 and 7. Owns the part of
 * a message that has come; bodies are handed on in pieces and never kept.
 */
import { asciiText } from "./ascii.ts";

const LF = 10;
const CR = 13;
/** A longer line, or more lines, is not taken: a board's memory is not the peer's. */
const LONGEST_LINE = 2048;
const MOST_HEADERS = 64;

const START = 0;
const HEADERS = 1;
const BODY = 2;
const UNTIL_CLOSE = 3;
const CHUNK_SIZE = 4;
const CHUNK = 5;
const CHUNK_END = 6;
const TRAILERS = 7;
const FAILED = 8;

export interface HttpReaderEvents {
  /** The first line and the headers, whose names are in lower case. Answers whether a body may follow at all (HEAD, 304: no). */
  onHead(start: string, headers: Map<string, string>): boolean;
  onBody(bytes: Uint8Array): void;
  onDone(): void;
  /** What came is no HTTP, or too long; nothing more is read. */
  onBad(): void;
}

export class HttpReader {
  private readonly events: HttpReaderEvents;
  private readonly isResponse: boolean;
  private state = START;
  private line = "";
  private start = "";
  private headers = new Map<string, string>();
  /** Bytes of the body, or of its chunk, that are still to come. */
  private left = 0;

  constructor(isResponse: boolean, events: HttpReaderEvents) {
    this.isResponse = isResponse;
    this.events = events;
  }

  /** Bytes have come. @returns how many were used: fewer than all when `stop` answered true after a message */
  push(bytes: Uint8Array, stop: () => boolean = () => false): number {
    let at = 0;
    while (at < bytes.length && this.state !== FAILED) {
      if (this.state === BODY || this.state === CHUNK || this.state === UNTIL_CLOSE) {
        const count = this.state === UNTIL_CLOSE ? bytes.length - at : Math.min(this.left, bytes.length - at);
        this.events.onBody(bytes.subarray(at, at + count));
        at += count;
        this.left -= count;
        if (this.state === BODY && this.left === 0) this.done();
        else if (this.state === CHUNK && this.left === 0) this.state = CHUNK_END;
      } else {
        at = this.takeLine(bytes, at);
      }
      if (this.state === START && this.line === "" && stop()) break;
    }
    return at;
  }

  /** The connection has ended: the end of a body that has no other. @returns was there such a body? */
  finish(): boolean {
    if (this.state !== UNTIL_CLOSE) return false;
    this.done();
    return true;
  }

  private done(): void {
    this.state = START;
    this.headers = new Map();
    this.events.onDone();
  }

  private fail(): void {
    this.state = FAILED;
    this.events.onBad();
  }

  /** Collects up to the line's end, and acts on the line. */
  private takeLine(bytes: Uint8Array, at: number): number {
    const end = bytes.indexOf(LF, at);
    const stop = end < 0 ? bytes.length : end;
    if (this.line.length + stop - at > LONGEST_LINE) {
      this.fail();
      return bytes.length;
    }
    this.line += asciiText(bytes, at, stop - at);
    if (end < 0) return stop;
    const line = this.line.charCodeAt(this.line.length - 1) === CR ? this.line.slice(0, -1) : this.line;
    this.line = "";
    this.act(line);
    return end + 1;
  }

  private act(line: string): void {
    switch (this.state) {
      case START:
        // An empty line before a request is passed over (section 2.2).
        if (line === "") return;
        this.start = line;
        this.state = HEADERS;
        return;
      case HEADERS:
        if (line === "") this.head();
        else this.header(line);
        return;
      case CHUNK_SIZE:
        this.left = /^[0-9a-f]{1,7}\s*(;|$)/i.test(line) ? parseInt(line, 16) : -1;
        if (this.left < 0) this.fail();
        else this.state = this.left === 0 ? TRAILERS : CHUNK;
        return;
      case CHUNK_END:
        if (line === "") this.state = CHUNK_SIZE;
        else this.fail();
        return;
      default:
        if (line === "") this.done();
    }
  }

  private header(line: string): void {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || /\s/.test(name) || this.headers.size === MOST_HEADERS) {
      this.fail();
      return;
    }
    const value = line.slice(colon + 1).trim();
    const before = this.headers.get(name);
    this.headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }

  /** The headers are complete: what is the body's length (section 6.3)? */
  private head(): void {
    const { headers } = this;
    const coding = headers.get("transfer-encoding");
    const length = headers.get("content-length");
    if (length !== undefined && (coding !== undefined || !/^\d{1,15}$/.test(length))) {
      this.fail();
      return;
    }
    const hasBody = this.events.onHead(this.start, headers);
    this.left = length === undefined ? 0 : Number(length);
    if (!hasBody || (length === undefined && coding === undefined && !this.isResponse) || length === "0") this.done();
    else if (coding !== undefined) this.state = CHUNK_SIZE;
    else this.state = length === undefined ? UNTIL_CLOSE : BODY;
  }
}
