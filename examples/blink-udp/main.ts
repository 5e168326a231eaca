/**
 * An LED by UDP, on the class of ECMA-419: a datagram "on", "off", "toggle" or "blink 250" (ms) to port 4210 says what it does, and the
 * answer says what it does now. On a board it is the pin that the host calls `led`; elsewhere a line of text.
 */
import type { Net } from "linnet";
import { UDP } from "linnet/ecma419";
import { asciiBytes, asciiText } from "../common/ascii.ts";

const PORT = 4210;
const LEAST_MS = 10;
const MOST_MS = 60_000;
const OUTPUT = 8;

interface Led {
  write(value: 0 | 1): void;
}

/** ECMA-419's host provider, as far as it is of use here. */
interface Device {
  readonly pin?: { readonly led?: unknown };
  readonly io?: { readonly Digital?: new (options: { pin: unknown; mode: number }) => Led };
}

function openLed(): Led {
  const { device } = globalThis as { device?: Device };
  const pin = device?.pin?.led;
  const Digital = device?.io?.Digital;
  if (pin === undefined || Digital === undefined) return { write: (value) => trace(`LED ${value === 1 ? "on" : "off"}\n`) };
  return new Digital({ pin, mode: OUTPUT });
}

export default function main(_net: Net): () => boolean | number {
  const led = openLed();
  let lit: 0 | 1 = 0;
  let periodMs = 0;
  let nextMs = 0;

  function set(value: 0 | 1): void {
    lit = value;
    led.write(value);
  }

  /** Does what is asked, and says what is so now. */
  function obey(words: string): string {
    const [verb, number] = words.trim().split(/\s+/, 2);
    if (verb === "on" || verb === "off" || verb === "toggle") {
      periodMs = 0;
      set(verb === "on" || (verb === "toggle" && lit === 0) ? 1 : 0);
    } else if (verb === "blink" && Number(number) >= LEAST_MS && Number(number) <= MOST_MS) {
      periodMs = Math.floor(Number(number));
      nextMs = Date.now();
    } else if (verb !== "") {
      return `on, off, toggle, or blink ${LEAST_MS} to ${MOST_MS}\n`;
    }
    return periodMs > 0 ? `blinking, ${periodMs} ms\n` : lit === 1 ? "on\n" : "off\n";
  }

  new UDP({
    port: PORT,
    onReadable() {
      for (let packet = this.read(); packet !== undefined; packet = this.read()) {
        const answer = obey(asciiText(new Uint8Array(packet), 0, packet.byteLength));
        try {
          this.write(asciiBytes(answer), packet.address, packet.port);
        } catch {
          // There is no room for it now: whoever asked asks again.
        }
      }
    },
  });
  trace(`listening on port ${PORT}\n`);
  return () => {
    if (periodMs === 0) return false;
    const now = Date.now();
    if (now >= nextMs) {
      set(lit === 1 ? 0 : 1);
      nextMs += periodMs;
      if (nextMs <= now) nextMs = now + periodMs;
    }
    return nextMs - now;
  };
}
