/**
 * The state of one ENC28J60, shared by the files of the driver. Linux: struct enc28j60_net. Also the layout of the chip's
 * memory: the receive FIFO from 0 (erratum 5), and behind it two places for frames to send.
 *
 *   0 ........................ rxEnd | control byte, frame, status (7) | control byte, frame, status (7) | 2000
 *          receive FIFO                       slot 0                            slot 1
 */
import { NapiStruct, type NetDevice } from "../../src/stack/core/net-device.ts";
import { ETH_FCS_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { VLAN_HLEN } from "../../src/stack/wire/vlan.ts";
import { MEMORY_BYTES } from "./registers.ts";
import { EncSpi, type SpiBus } from "./spi.ts";
import { EncStats } from "./stats.ts";

/** state: closed. */
export const ENC_DOWN = 0;
/** Power save is left; SRC comes next. */
export const ENC_WAKING = 1;
/** SRC was given. */
export const ENC_RESETTING = 2;
export const ENC_READY = 3;
/** It did not answer; the next attempt is due. */
export const ENC_GONE = 4;
/** With ENC_WAKING or ENC_RESETTING: in this turn the chip was told so, after the turn's clock was read. */
export const ENC_SAME_TURN = 8;

/** Control byte in front and status vector behind each frame to send. */
const TX_OVERHEAD_BYTES = 1 + 7;
/** Places begin that far apart or a multiple: for a frame as long as the last in the other place, one byte of ETXST and ETXND differs. */
const SLOT_STEP = 256;

/** The interrupt line, an instance of the standard's Digital class. */
export interface InterruptLine {
  /** 0 while the chip asks for attention. */
  read(): number;
  close(): void;
}

export class EncPriv {
  readonly io: EncSpi;
  state = ENC_DOWN;
  /** The interrupt line while it can be trusted; null: polling. */
  line: InterruptLine | null = null;
  /** Where the next packet begins in the FIFO; ERDPT stands there between packets. */
  nextPacket = 0;
  /** Bytes of packets read that ERXRDPT does not yet give back. */
  unreleased = 0;
  /** Last byte of the FIFO, odd. */
  readonly rxEnd: number;
  /** Longest frame with its frame check sequence. */
  readonly maxCount: number;
  /** A frame is being sent, from slot txSlot. */
  txBusy = false;
  /** Bytes of the frame that waits in the other slot, 0 when none does. */
  txWaiting = 0;
  /** The end of sending raises the interrupt, or is looked for by each poll. */
  txWatched = false;
  txSlot = 0;
  txLength = 0;
  /** jiffies when sending began. */
  txStart = 0;
  /** What EWRPT, ETXST and ETXND hold, -1 when that is not known. */
  ewrpt = -1;
  etxst = -1;
  etxnd = -1;
  txRetries = 0;
  txStalls = 0;
  /** Polls in a row that found nothing. */
  idlePolls = 0;
  readonly dev: NetDevice;
  readonly napi: NapiStruct;
  readonly stats: EncStats = new EncStats();
  readonly fullDuplex: boolean;
  /** The line as it was opened, dead or not. */
  interrupt: InterruptLine | null = null;
  /** Setting the chip up, and later the slow look at it. */
  timer = 0;
  /** Polling, where there is no line. */
  pollTimer = 0;
  /** Time until the next attempt to find a chip that has gone. */
  backoffMs = 0;
  /** dev.stats.rxPackets when an overflow was last seen, -1 when there was none. */
  overflowAt = -1;
  /** Polls in a row in which the line asked for attention and nothing was found. */
  falseAlarms = 0;
  /** Bytes of each place for a frame to send. */
  readonly slotBytes: number;
  /** ERXFCON as it is set, and the hash table's two halves. */
  filter = 0;
  hashLow = 0;
  hashHigh = 0;

  constructor(
    dev: NetDevice, bus: SpiBus, maxTransfer: number, fullDuplex: boolean, weight: number,
    poll: (napi: NapiStruct, budget: number) => number,
  ) {
    const frame = dev.maxMtu + ETH_HLEN;
    this.dev = dev;
    this.io = new EncSpi(bus, frame + ETH_FCS_LEN, frame, maxTransfer);
    this.napi = new NapiStruct(dev, weight, poll);
    this.fullDuplex = fullDuplex;
    this.maxCount = frame + VLAN_HLEN + ETH_FCS_LEN;
    this.slotBytes = (TX_OVERHEAD_BYTES + frame + VLAN_HLEN + SLOT_STEP - 1) & -SLOT_STEP;
    this.rxEnd = MEMORY_BYTES - 2 * this.slotBytes - 1;
  }
}

/** Where the place for a frame begins. @param slot 0 or 1 */
export function encSlot(p: EncPriv, slot: number): number {
  return p.rxEnd + 1 + slot * p.slotBytes;
}
