/**
 * The ENC28J60, Microchip's 10BASE-T Ethernet controller behind SPI, as a device of the stack. Linux:
 * drivers/net/ethernet/microchip/enc28j60.c. It runs on any board with the standard's (ECMA-419) SPI and Digital classes.
 *
 *   initNet.register(new Enc28j60({ spi: { ...device.SPI.default, select: 5, hz: 20_000_000 }, interrupt: { pin: 4 } }));
 *
 * The files: options (what is asked for), init (finding and setting up), rx, tx, filter, monitor (interrupt, polls, the slow
 * look), phy, spi and registers (access), state, stats. README.md says how to wire it and what has not been verified.
 */
import { account } from "../../src/lib/account.ts";
import { createTimer, delTimer } from "../../src/lib/timer.ts";
import { devClose, netifCarrierOff, netifStartQueue } from "../../src/netif/dev.ts";
import { etherSetup } from "../../src/netif/ethernet.ts";
import { NAPI_POLL_WEIGHT, napiAdd, napiDisable, napiEnable, napiSchedule } from "../../src/netif/napi.ts";
import { NetDevice, type NetDeviceOps } from "../../src/stack/core/net-device.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { encSetMacAddress, encSetRxMode } from "./filter.ts";
import { encIdentifyInit, encStart } from "./init.ts";
import { encPoll, encPollTimer, encTimer, encTxTimeoutMs } from "./monitor.ts";
import { checkOptions, createBus, createInterrupt, createReset, type Enc28j60Options } from "./options.ts";
import { ECON1, EIE, RXEN } from "./registers.ts";
import { encClear, encWrite } from "./spi.ts";
import { ENC_DOWN, ENC_READY, EncPriv } from "./state.ts";
import { type EncStats, formatEncStats } from "./stats.ts";
import { encStartXmit, encTxFlush, encTxStalled } from "./tx.ts";

export type { Enc28j60Options } from "./options.ts";
export type { EncStats } from "./stats.ts";

/** ndo_open: the chip is set up by timers; the carrier comes when it answers and has a link. Linux: enc28j60_net_open(). */
function encOpen(dev: NetDevice): number {
  const p = dev.priv as EncPriv;
  p.line = p.interrupt;
  p.stats.interruptDead = p.backoffMs = 0;
  netifStartQueue(dev);
  napiEnable(p.napi);
  encStart(p);
  return 0;
}

/** ndo_stop. Linux: enc28j60_net_close(). */
function encStop(dev: NetDevice): number {
  const p = dev.priv as EncPriv;
  napiDisable(p.napi);
  delTimer(p.timer);
  delTimer(p.pollTimer);
  encWrite(p.io, EIE, 0);
  encClear(p.io, ECON1, RXEN);
  p.state = ENC_DOWN;
  encTxFlush(p);
  netifCarrierOff(dev);
  return 0;
}

function encTxTimeout(dev: NetDevice): void {
  const p = dev.priv as EncPriv;
  if (p.state === ENC_READY) encTxStalled(p);
}

const ops: NetDeviceOps = Object.freeze({
  ndoOpen: encOpen,
  ndoStop: encStop,
  ndoStartXmit: encStartXmit,
  ndoSetRxMode: encSetRxMode,
  ndoSetMacAddress: encSetMacAddress,
  ndoTxTimeout: encTxTimeout,
});

/** An ENC28J60 as a network device. To be made after boot(), registered, and opened like any other. */
export class Enc28j60 extends NetDevice {
  /**
   * Opens the connections and finds the chip.
   * @throws TypeError or RangeError naming an option, its value and its range; Error naming the pin that cannot be had, or
   *   the value read where there is no chip. Nothing stays open then.
   */
  constructor(options: Enc28j60Options) {
    const { mac, fullDuplex, maxTransfer, mtu, where } = checkOptions(options);
    super(options.name ?? "eth%d", ARPHRD_ETHER, mtu, ETH_HLEN, ops);
    etherSetup(this);
    this.addrHi = mac.hi;
    this.addrLo = mac.lo;
    this.carrier = false;
    const bus = createBus(options.spi);
    try {
      if (options.reset !== undefined) createReset(options.reset);
      const p = account("enc28j60", new EncPriv(this, bus, maxTransfer, fullDuplex, NAPI_POLL_WEIGHT, encPoll));
      this.priv = p;
      this.watchdogMs = encTxTimeoutMs(p);
      napiAdd(this, p.napi);
      p.timer = createTimer("enc28j60", () => encTimer(p), 0);
      p.pollTimer = createTimer("enc28j60", () => encPollTimer(p), 0);
      encIdentifyInit(p.io, where);
      if (options.interrupt !== undefined) p.interrupt = createInterrupt(options.interrupt, () => void napiSchedule(p.napi));
    } catch (error) {
      bus.close();
      throw error;
    }
  }

  /** What has happened with the chip, by cause; more in `stats`, as every device has. */
  get encStats(): EncStats {
    return (this.priv as EncPriv).stats;
  }

  /** The statistics as `ethtool -S` prints them. Allocates. */
  ethtoolStats(): string {
    return formatEncStats(this.encStats);
  }

  /** Takes the device down and gives back bus and pins. It cannot be opened again. */
  close(): void {
    const p = this.priv as EncPriv;
    devClose(this);
    p.interrupt?.close();
    p.interrupt = p.line = null;
    p.io.bus.close();
  }
}
