/**
 * What the driver counts beyond the device's own statistics. Linux: what `ethtool -S` prints. Whatever goes wrong with the
 * chip is here by its cause.
 */
export class EncStats {
  /** Receive overflows the chip told of (RXERIF); each stands for one frame or more. */
  rxOverflows = 0;
  /** Headers in the chip's memory that could not be, each the reason of a resynchronisation. */
  rxBadHeaders = 0;
  /** Times the receive FIFO was emptied and begun anew. */
  rxResyncs = 0;
  /** Frames whose status vector does not say "received OK". */
  rxBadStatus = 0;
  /** Frames skipped because there was no packet buffer for them. */
  rxNoBuffer = 0;
  /** Collisions of frames that were not sent in the end. */
  txCollisions = 0;
  txLateCollisions = 0;
  /** Frames sent once more after a late collision (errata 13 and 15). */
  txRetries = 0;
  /** Frames given up by the chip: too many collisions, deferred too long. */
  txAborts = 0;
  /** Times sending did not end and was reset (erratum 12). */
  txTimeouts = 0;
  /** Frames found by the slow timer, whose interrupt was not noticed. */
  interruptsLost = 0;
  /** 1 when the interrupt line proved dead and polling took over. */
  interruptDead = 0;
  /** Times the chip had lost its state or did not answer. */
  chipLost = 0;
  /** Attempts to set it up that failed. */
  initFailures = 0;
  /** Times it was set up, the first included. */
  inits = 0;
  linkChanges = 0;
}

/** Names and values of the statistics, in the order of their declaration. Allocates. */
export function formatEncStats(stats: EncStats): string {
  return Object.entries(stats).map(([name, value]) => `${name}: ${String(value)}\n`).join("");
}
