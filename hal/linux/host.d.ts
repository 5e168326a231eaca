/** The module "linnet/linux-host": host.js over host.c. */

/** A TAP of Linux; made if it does not exist, which takes root or CAP_NET_ADMIN. */
export declare class Tap {
  /**
   * @param name 1 to 15 letters @param onReadable called when frames wait; not again before read() has answered 0
   * @throws Error naming the TAP and why it cannot be had
   */
  constructor(name: string, onReadable: () => void);
  /** Takes a frame: its bytes, 0 when there is none. */
  read(buffer: Uint8Array): number;
  /** Gives Linux a frame, all of the buffer; false when it is down or full. */
  write(buffer: Uint8Array): boolean;
  close(): void;
}
/** CLOCK_MONOTONIC in ms, with fractions. */
export declare function now(): number;
/** A word of the program's command line, undefined behind the last; 0 is the first after its name. */
export declare function argument(index: number): string | undefined;
