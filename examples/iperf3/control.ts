/** The control connection: states of one byte, texts with their length in front, and what could not be sent yet. */
import { close, EAGAIN, ENOTCONN, MSG_NOSIGNAL, recv, send } from "linnet";
import { asciiBytes, asciiText } from "../common/ascii.ts";

const LONGEST_TEXT = 8192;
const LENGTH_BYTES = 4;

export class Control {
  readonly fd: number;
  private readonly input = new Uint8Array(LONGEST_TEXT + LENGTH_BYTES);
  private have = 0;
  private output: number[] = [];
  /** The peer has closed or reset the connection, or said something without sense. */
  failed = false;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Moves bytes both ways; whether any were. */
  step(): boolean {
    return this.flush() || this.fill();
  }

  private fill(): boolean {
    const { input, have } = this;
    if (this.failed || have === input.length) return false;
    const count = recv(this.fd, input, have, input.length - have, 0);
    if (count === -EAGAIN || count === -ENOTCONN) return false;
    if (count <= 0) this.failed = true;
    else this.have += count;
    return true;
  }

  private flush(): boolean {
    if (this.failed || this.output.length === 0) return false;
    const bytes = Uint8Array.from(this.output);
    const count = send(this.fd, bytes, 0, bytes.length, MSG_NOSIGNAL);
    if (count === -EAGAIN || count === -ENOTCONN) return false;
    if (count < 0) this.failed = true;
    else this.output = this.output.slice(count);
    return true;
  }

  private drop(count: number): void {
    this.input.copyWithin(0, count, this.have);
    this.have -= count;
  }

  /** The next state (negative: one of refusal), or null when none has come. */
  takeState(): number | null {
    if (this.have === 0) return null;
    const state = (this.input[0]! << 24) >> 24;
    this.drop(1);
    return state;
  }

  /** So many bytes, or null when they have not come. */
  takeBytes(count: number): Uint8Array | null {
    if (this.have < count) return null;
    const bytes = this.input.slice(0, count);
    this.drop(count);
    return bytes;
  }

  /** The next text, or null when it has not come whole. */
  takeText(): string | null {
    if (this.have < LENGTH_BYTES) return null;
    const [a, b, c, d] = this.input as unknown as [number, number, number, number];
    const length = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    if (length > LONGEST_TEXT) {
      this.failed = true;
      return null;
    }
    if (this.have < LENGTH_BYTES + length) return null;
    const text = asciiText(this.input, LENGTH_BYTES, length);
    this.drop(LENGTH_BYTES + length);
    return text;
  }

  sendState(state: number): void {
    this.output.push(state & 255);
  }

  sendBytes(bytes: Uint8Array): void {
    this.output.push(...bytes);
  }

  sendWord(word: number): void {
    this.output.push((word >>> 24) & 255, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
  }

  sendText(text: string): void {
    this.sendWord(text.length);
    this.sendBytes(asciiBytes(text));
  }

  close(): void {
    close(this.fd);
  }
}
