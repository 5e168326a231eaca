/**
 * The device of a board that is a program on this machine: a simulated ENC28J60 with its driver, and a TAP of Linux where the
 * chip's cable would go.
 */
import { ETH_DATA_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { VLAN_HLEN } from "../../src/stack/wire/vlan.ts";
import { Enc28j60 } from "../enc28j60/index.ts";
import { Enc28j60Simulator } from "../enc28j60/simulator/index.ts";
import { now, Tap } from "linnet/linux-host";
import { TimerScheduler } from "./schedule.ts";

/** How the chip is wired: to pins of a board that does not exist. */
const SPI_PINS = Object.freeze({ in: 12, out: 13, clock: 14, select: 15 });
const SPI_HZ = 20_000_000;
const INTERRUPT_PIN = 4;
/** Frames that wait in front of the chip's 10 Mbit/s, as in a switch. */
const LINE_FRAMES = 256;
/** Linux sends at the speed of memory: the port is forced to full duplex, so nothing collides. */
const DUPLEX = "full";

/**
 * Makes the device, after boot().
 * @param tap the TAP's name @throws Error when it cannot be had
 */
export function createLinuxDevice(tap: string): Enc28j60 {
  const chip = new Enc28j60Simulator(new TimerScheduler(now), { lineFrames: LINE_FRAMES });
  const frame = new Uint8Array(ETH_HLEN + VLAN_HLEN + ETH_DATA_LEN);
  const file = new Tap(tap, () => {
    for (let length = file.read(frame); length > 0; length = file.read(frame)) chip.receive(frame.slice(0, length));
  });
  chip.chip.phy.setLink(true);
  chip.chip.tx.output = (sent) => {
    file.write(sent);
    return now();
  };
  return new Enc28j60({
    duplex: DUPLEX,
    spi: { io: chip.SPI as never, ...SPI_PINS, hz: SPI_HZ },
    interrupt: { io: chip.Digital as never, pin: INTERRUPT_PIN },
  });
}
