/** The simulated ENC28J60's DMA: copies within the RAM, and the Internet checksum over a part of it. DS39662E section 13. */
import type { Chip } from "./chip.ts";
import {
  CSUMEN, DMAIF, DMAST, ECON1, EDMACSH, EDMACSL, EDMADSTL, EDMANDL, EDMASTL, ERXNDL, ERXSTL, RAM_BYTES, RXEN,
} from "./map.ts";

const ADDRESS_MASK = RAM_BYTES - 1;
/** One clock of 25 MHz for each byte summed, two for each byte copied. */
const CLOCK_MS = 0.00004;

/** One's-complement sum of big-endian words over a byte source, complemented. */
export function checksum(length: number, byteAt: (position: number) => number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += byteAt(i) << ((i & 1) === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

export class Dma {
  private readonly chip: Chip;
  /** Tells a transfer that was cancelled from the one that runs. */
  private run = 0;

  constructor(chip: Chip) {
    this.chip = chip;
  }

  reset(): void {
    this.run++;
  }

  private next(at: number): number {
    const { chip } = this;
    return at === chip.pointer(ERXNDL) ? chip.pointer(ERXSTL) : (at + 1) & ADDRESS_MASK;
  }

  /** Addresses from EDMAST to EDMAND, as the FIFO wraps; empty when EDMAND is never reached. */
  private source(): number[] {
    const { chip } = this;
    const end = chip.pointer(EDMANDL);
    const addresses = [];
    for (let at = chip.pointer(EDMASTL); addresses.length < RAM_BYTES; at = this.next(at)) {
      addresses.push(at);
      if (at === end) return addresses;
    }
    return [];
  }

  start(): void {
    const { chip } = this;
    const sum = chip.bit(ECON1, CSUMEN);
    const addresses = this.source();
    if (addresses.length <= 1) chip.misuse("DMA from EDMAST to EDMAND of one byte, or never reaching it");
    const run = ++this.run;
    chip.at(chip.now() + addresses.length * CLOCK_MS * (sum ? 1 : 2), () => {
      if (run === this.run) this.finish(sum, addresses);
    });
    // Erratum 17: a checksum spoils what is being received.
    if (sum && chip.errata.has(17) && chip.bit(ECON1, RXEN)) chip.rx.spoil();
  }

  private finish(sum: boolean, addresses: readonly number[]): void {
    const { chip } = this;
    if (sum) {
      const result = checksum(addresses.length, (position) => chip.ram[addresses[position]!]!);
      chip.regs[EDMACSL] = result & 0xff;
      chip.regs[EDMACSH] = result >> 8;
    } else {
      let to = chip.pointer(EDMADSTL);
      for (const from of addresses) {
        chip.ram[to] = chip.ram[from]!;
        to = (to + 1) & ADDRESS_MASK;
      }
    }
    chip.regs[ECON1]! &= ~DMAST;
    chip.raise(DMAIF);
  }

  cancel(): void {
    this.run++;
    this.chip.raise(DMAIF);
  }
}
