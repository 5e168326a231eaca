/**
 * The points of the loss sweep: receivers of three windows behind lines of five losses and three delays. The simulation
 * runs them between our own kernels, `bench loss` beside two Linux kernels.
 */
import type { ConfigOptions } from "../../src/index.ts";

/** A receiver: what it can advertise is half of the truesize (2048) of so many packets. */
export interface Receiver {
  readonly kilobytes: number;
  readonly board: ConfigOptions;
  /** SO_RCVBUF with which Linux advertises as many full segments: it counts more for each than was asked for. */
  readonly linuxRcvbuf: number;
}

export const RECEIVERS: readonly Receiver[] = [
  { kilobytes: 4, board: { preset: "small", buffers: 13, skbs: 20, rcvbufPackets: 4, sndbufPackets: 4 }, linuxRcvbuf: 3300 },
  { kilobytes: 16, board: { preset: "default", buffers: 40, skbs: 64, rcvbufPackets: 17, rcvbufMaxPackets: 0, sndbufPackets: 14 }, linuxRcvbuf: 13_240 },
  { kilobytes: 64, board: { preset: "default", buffers: 140, skbs: 240, rcvbufPackets: 64, rcvbufMaxPackets: 0, sndbufPackets: 60 }, linuxRcvbuf: 50_000 },
];
/** Probabilities that a frame is lost, each way. */
export const LOSSES: readonly number[] = [0, 0.001, 0.01, 0.05, 0.2];
/** One way. */
export const DELAYS_MS: readonly number[] = [1, 20, 200];

/**
 * The line of `bench loss`, in bits per second: segments arrive one after another, so that the receiving program can read in
 * between. Without a limit a whole window arrives at one instant, and the window offered has shrunk until it was read.
 */
export const RATE_BPS = 100_000_000;

export interface Point {
  readonly receiver: Receiver;
  readonly loss: number;
  readonly delayMs: number;
}

export const POINTS: readonly Point[] = RECEIVERS.flatMap((receiver) =>
  LOSSES.flatMap((loss) => DELAYS_MS.map((delayMs) => ({ receiver, loss, delayMs }))));
