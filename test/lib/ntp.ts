/** A time server for tests of what asks for the time, written from RFC 5905 alone. */
import { AF_INET, bind, MSG_DONTWAIT, recvfrom, sendto, SOCK_DGRAM, SockaddrIn } from "../../src/index.ts";
import type { Lab, LabHost } from "./lab.ts";

/** Seconds from 1900, where NTP begins to count, to 1970. */
const TO_1900_SEC = 2208988800;

/** A time server of stratum 2 (RFC 5905): answers what is asked. @param startMs the time, in ms since 1970, when the lab began */
export function serveTime(lab: Lab, host: LabHost, startMs: number): void {
  const fd = host.socket(AF_INET, SOCK_DGRAM);
  bind(fd, new SockaddrIn(0, 123));
  const message = new Uint8Array(48);
  const from = new SockaddrIn();
  lab.addStep(() => {
    if (recvfrom(fd, message, 0, 48, MSG_DONTWAIT, from) < 0) return false;
    const view = new DataView(message.buffer);
    message.copyWithin(24, 40, 48);
    view.setUint32(0, 0x24020000);
    view.setUint32(4, 0);
    view.setUint32(8, 0);
    for (const at of [16, 32, 40]) {
      view.setUint32(at, Math.floor((startMs + lab.nowMs) / 1000) + TO_1900_SEC);
      view.setUint32(at + 4, (((startMs + lab.nowMs) % 1000) / 1000) * 2 ** 32);
    }
    sendto(fd, message, 0, 48, 0, from);
    return true;
  });
}
