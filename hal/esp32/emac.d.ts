/**
 * The class of emac.js. A host stand-in (test/unit/hal/esp32/fake-emac.ts) has the same shape, so that the device above it is
 * tested without a board.
 */
export interface EmacOptions {
  /** 0 to 31; default -1: the PHY is looked for. */
  readonly phyAddress?: number;
  /** GPIO that resets the PHY; default -1, none. */
  readonly phyReset?: number;
  /** GPIO that powers the PHY or its oscillator; default -1, none. */
  readonly power?: number;
  /** Default 23. */
  readonly mdc?: number;
  /** Default 18. */
  readonly mdio?: number;
  /** GPIO of the 50 MHz reference clock: 0 (default), or 16 or 17 as an output. */
  readonly clockPin?: number;
  /** The ESP32 makes the clock; default false, an oscillator or the PHY does. */
  readonly clockOut?: boolean;
  /** Six bytes; default: the chip's own. */
  readonly address?: Uint8Array;
  /** Frames that may wait, a power of two from 2 to 256; default 16. */
  readonly ring?: number;
  /** Bytes that may wait, from 2048; default 24576. */
  readonly ringBytes?: number;
  /** Called when the empty ring has a frame, and when the link has changed; not again before length() has been 0. */
  readonly onEvent?: () => void;
}

/** What transmit() answers. */
export type EmacSent = 0 | 1 | 2;

export interface Emac {
  /** Harmless twice. */
  close(): void;
  /** Bytes of the oldest frame (without FCS); 0 for none, and the next frame calls onEvent. */
  length(): number;
  /** Copies the oldest frame to the buffer and forgets it. @returns its length; 0 when there was no room for it */
  receive(buffer: Uint8Array, offset: number): number;
  /** Forgets the oldest frame. */
  drop(): void;
  /** @returns 0 sent, 1 no descriptor free, 2 no link. @throws RangeError for less than 14 or more than 1518 bytes */
  transmit(buffer: Uint8Array, offset: number, length: number): EmacSent;
  readAddress(buffer: Uint8Array): void;
  /** @returns whether the chip took it */
  setAddress(buffer: Uint8Array): boolean;
  setPromiscuous(on: boolean): boolean;
  readonly linkUp: boolean;
  /** Mbit/s. */
  readonly speed: number;
  readonly fullDuplex: boolean;
  /** Frames refused because the ring was full. */
  readonly dropped: number;
}

export interface EmacConstructor {
  /** @throws Error that names the step that failed and the pins; RangeError for an option out of range */
  new (options: EmacOptions): Emac;
}

declare const EMAC: EmacConstructor;
export default EMAC;
