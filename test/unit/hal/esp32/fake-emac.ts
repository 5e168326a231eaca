/** A stand-in for the class of hal/esp32/emac.js: same shape, frames put in and looked at by the test. */
import type { Emac, EmacOptions, EmacSent } from "../../../../hal/esp32/emac.d.ts";

const MIN_FRAME_BYTES = 14;
const MAX_FRAME_BYTES = 1518;

export class FakeEmac implements Emac {
  /** The last one made. */
  static last: FakeEmac;
  readonly options: EmacOptions;
  readonly sent: Uint8Array[] = [];
  address: Uint8Array;
  promiscuous = false;
  closed = false;
  /** What transmit() answers. */
  answer: EmacSent = 0;
  linkUp = false;
  speed = 100;
  fullDuplex = true;
  dropped = 0;
  /** The next message to the machine is lost. */
  loseMessage = false;
  private readonly ring: Uint8Array[] = [];
  private asleep = true;

  constructor(options: EmacOptions) {
    this.options = options;
    this.address = options.address ?? Uint8Array.of(2, 0, 0, 0, 0xfe, 1);
    FakeEmac.last = this;
  }

  /** A frame comes from the wire. */
  arrive(frame: Uint8Array): void {
    if (this.ring.length >= (this.options.ring ?? 16)) {
      this.dropped++;
      return;
    }
    this.ring.push(frame);
    if (!this.asleep) return;
    this.asleep = false;
    if (this.loseMessage) this.loseMessage = false;
    else this.options.onEvent?.();
  }

  setLink(up: boolean): void {
    this.linkUp = up;
    this.options.onEvent?.();
  }

  close(): void {
    this.closed = true;
  }

  length(): number {
    if (this.ring.length === 0) this.asleep = true;
    return this.ring[0]?.length ?? 0;
  }

  receive(buffer: Uint8Array, offset: number): number {
    const frame = this.ring.shift();
    if (frame === undefined || offset + frame.length > buffer.length) return 0;
    buffer.set(frame, offset);
    return frame.length;
  }

  drop(): void {
    this.ring.shift();
  }

  transmit(buffer: Uint8Array, offset: number, length: number): EmacSent {
    if (length < MIN_FRAME_BYTES || length > MAX_FRAME_BYTES) throw new RangeError(`emac: no frame of ${length} bytes`);
    if (this.answer === 0) this.sent.push(buffer.slice(offset, offset + length));
    return this.answer;
  }

  readAddress(buffer: Uint8Array): void {
    buffer.set(this.address);
  }

  setAddress(buffer: Uint8Array): boolean {
    this.address = buffer.slice();
    return true;
  }

  setPromiscuous(on: boolean): boolean {
    this.promiscuous = on;
    return true;
  }
}
