/**
 * Capture: whoever wants to see every frame of a device, in and out, as tcpdump does. Linux: the PF_PACKET socket that
 * libpcap opens. It costs a device nothing while there is none, and a captured frame no memory: it is only looked at.
 */
import { jiffies } from "../lib/timer.ts";
import type { DeviceTap, NetDevice } from "../stack/core/net-device.ts";
import type { SkBuff } from "../stack/core/skbuff.ts";
import { IFF_LOOPBACK } from "../uapi/if.ts";

/** Direction of a frame. */
export const CAPTURE_IN = 0;
export const CAPTURE_OUT = 1;

/**
 * Gets each frame: its bytes are from skb.mac to skb.tail (and in skb.fragList). It must not keep, change or free it.
 * @param direction CAPTURE_IN or CAPTURE_OUT @param atMs the stack's clock, jiffies
 */
export type CaptureSink = (skb: SkBuff, direction: number, atMs: number) => void;

export class Capture implements DeviceTap {
  nextTap: DeviceTap | null = null;
  readonly dev: NetDevice;
  readonly sink: CaptureSink;

  constructor(dev: NetDevice, sink: CaptureSink) {
    this.dev = dev;
    this.sink = sink;
  }

  /** On loopback each frame is seen once, when it comes in, as with tcpdump. */
  see(skb: SkBuff, outgoing: boolean): void {
    if (!outgoing) this.sink(skb, CAPTURE_IN, jiffies);
    else if ((this.dev.flags & IFF_LOOPBACK) === 0) this.sink(skb, CAPTURE_OUT, jiffies);
  }
}

function createCapture(dev: NetDevice, sink: CaptureSink): Capture {
  return new Capture(dev, sink);
}

/** Starts to show a device's frames to a sink; what it returns is for captureStop(). Allocates. */
export function captureStart(dev: NetDevice, sink: CaptureSink): Capture {
  const capture = createCapture(dev, sink);
  capture.nextTap = dev.taps;
  dev.taps = capture;
  return capture;
}

/** Ends a capture. Nothing happens when it has ended. */
export function captureStop(capture: Capture): void {
  const dev = capture.dev;
  let previous: DeviceTap | null = null;
  let at = dev.taps;
  while (at !== null && at !== capture) {
    previous = at;
    at = at.nextTap;
  }
  if (at === null) return;
  if (previous === null) dev.taps = capture.nextTap;
  else previous.nextTap = capture.nextTap;
  capture.nextTap = null;
}
