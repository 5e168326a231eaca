/** What the tests of ARP share: packets as their fields, and what a fake device sent read back. */
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { ARPOP_REPLY, ARPOP_REQUEST } from "../../../src/uapi/if-arp.ts";
import { ETH_P_ARP } from "../../../src/uapi/if-ether.ts";
import { BROADCAST, type FakeDevice, frame, MAC1, MAC2, packet } from "../netif/harness.ts";
import { ip } from "./harness.ts";

export const MAC3 = [2, 0, 0, 0, 0, 3];
const ZERO = [0, 0, 0, 0, 0, 0];
export const US = ip("10.0.0.1");
export const PEER = ip("10.0.0.2");

export function words(addr: number): number[] {
  return [addr >>> 24, (addr >> 16) & 255, (addr >> 8) & 255, addr & 255];
}

export interface Arp {
  op: number;
  sha: readonly number[];
  sip: number;
  tha: readonly number[];
  tip: number;
}

export function arpBytes(a: Arp): number[] {
  return [0, 1, 8, 0, 6, 4, 0, a.op, ...a.sha, ...words(a.sip), ...a.tha, ...words(a.tip)];
}

export function request(tip: number, sip = PEER, sha: readonly number[] = MAC2): Arp {
  return { op: ARPOP_REQUEST, sha, sip, tha: ZERO, tip };
}

export function reply(sip = PEER, sha: readonly number[] = MAC2, tip = US, tha: readonly number[] = MAC1): Arp {
  return { op: ARPOP_REPLY, sha, sip, tha, tip };
}

/** Lets a device receive a frame with these bytes. */
export function receiveBytesOn(to: FakeDevice, dst: readonly number[], bytes: readonly number[]): number {
  return ethReceive(packet(null, frame(dst, MAC2, ETH_P_ARP, bytes), 2), to);
}

/** Lets a device receive a packet: a request to all, a reply to MAC1, or as said. */
export function receiveOn(to: FakeDevice, a: Arp, dst: readonly number[] = a.op === ARPOP_REQUEST ? BROADCAST : MAC1): number {
  return receiveBytesOn(to, dst, arpBytes(a));
}

export function sentArp(bytes: Uint8Array): { dst: number[]; arp: Arp } {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    dst: [...bytes.slice(0, 6)],
    arp: {
      op: view.getUint16(20), sha: [...bytes.slice(22, 28)], sip: view.getInt32(28), tha: [...bytes.slice(32, 38)],
      tip: view.getInt32(38),
    },
  };
}
