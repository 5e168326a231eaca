/**
 * A clock that is right: asks an NTP server and prints the time once a second. `ntp-clock 10.0.0.1` names the server; without one it
 * is the board's neighbour.
 */
import type { Net } from "linnet";
import { sntp, sntpNow } from "linnet/services/sntp";
import { parseIp } from "../common/address.ts";

const SERVER = "10.0.0.1";
const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

/** Ticks of the clock are looked for so often, in ms. */
const LOOK_MS = 50;

/** "12:34:56" of a time in ms since 1970, UTC. */
function timeOfDay(ms: number): string {
  const seconds = Math.floor((ms % DAY_MS) / SECOND_MS);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export default function main(net: Net, server: string = SERVER): () => number {
  const client = sntp(net, {
    servers: [parseIp(server)],
    onTime: ({ delayMs, stratum }, stepMs) => {
      trace(`${server}: stratum ${stratum}, ${delayMs} ms there and back, the clock was set by ${Math.round(stepMs)} ms\n`);
    },
  });
  let shown = -1;
  return () => {
    const now = sntpNow(client);
    const second = Math.floor(now / SECOND_MS);
    if (client.synchronized && second !== shown) {
      shown = second;
      trace(`${timeOfDay(now)} UTC\n`);
    }
    return LOOK_MS;
  };
}
