/**
 * Address conflict detection: before an address is used the link is asked three times whether somebody has it, then it is
 * announced, and from then on defended. Read first: RFC 5227; RFC 3927 section 2.5 has the same for link-local addresses. Linux
 * leaves this to user space (dhcpcd, systemd's sd-ipv4acd). Owns one packet socket, which hears all ARP of the device: it takes
 * the part `packet` at boot, and without it there is no detection.
 *
 * It is part of a service, which calls acdRun() whenever it runs itself.
 */
import { getRandomBelow } from "../lib/random.ts";
import { jiffies } from "../lib/timer.ts";
import { SockaddrLl } from "../stack/core/sockaddr.ts";
import { recv, sendto } from "../stack/socket/sendrecv.ts";
import { bind } from "../stack/socket/socket.ts";
import {
  ARP_ETH_LEN, ARPH_HLN, ARPH_HRD, ARPH_OP, ARPH_PLN, ARPH_PRO, ARPH_SHA, ARPH_SIP, ARPH_THA, ARPH_TIP,
} from "../stack/wire/arp.ts";
import { ARPHRD_ETHER, ARPOP_REQUEST } from "../uapi/if-arp.ts";
import { ETH_ALEN, ETH_P_ARP, ETH_P_IP } from "../uapi/if-ether.ts";
import { AF_PACKET, SOCK_DGRAM, SOCK_NONBLOCK } from "../uapi/socket.ts";
import type { AddressCheck } from "./address-check.ts";
import type { Interface } from "./interface.ts";
import { scratch, scratchView, type Service, serviceClose, serviceOpen, ServiceSocket } from "./service.ts";

/** RFC 5227 section 1.1, in ms. */
const PROBE_WAIT_MS = 1000;
const PROBE_NUM = 3;
const PROBE_MIN_MS = 1000;
const PROBE_MAX_MS = 2000;
const ANNOUNCE_WAIT_MS = 2000;
const ANNOUNCE_NUM = 2;
const ANNOUNCE_INTERVAL_MS = 2000;
const MAX_CONFLICTS = 10;
const RATE_LIMIT_INTERVAL_MS = 60_000;
const DEFEND_INTERVAL_MS = 10_000;

const PLN_IP = 4;

/** Nothing to look after; probes are being sent; the address is free and announced; it is defended. */
const IDLE = 0;
const PROBING = 1;
const ANNOUNCING = 2;
const DEFENDING = 3;

/** What acdRun() answers: nothing new; the address is free; somebody has it; it was used and has to be given up. */
export const ACD_QUIET = 0;
export const ACD_FREE = 1;
export const ACD_CONFLICT = 2;
export const ACD_LOST = 3;

export class Acd {
  state = IDLE;
  addr = 0;
  /** Probes or announcements sent. */
  sent = 0;
  /** When the next one is due, in jiffies. */
  due = 0;
  /** When the address was last defended, and whether it ever was. */
  defended = 0;
  hasDefended = false;
  /** Conflicts since the last address that was free: after ten, a minute passes before each further one. */
  conflicts = 0;
  hwHi = 0;
  hwLo = 0;
  readonly socket: ServiceSocket;
  readonly to: SockaddrLl = new SockaddrLl(ETH_P_ARP);

  constructor(service: Service) {
    this.socket = new ServiceSocket(service);
    this.to.halen = ETH_ALEN;
    this.to.addrHi = 0xffff;
    this.to.addrLo = -1;
  }
}

/**
 * Gets ready for a device.
 * @param hwHi its link address: the first 2 bytes, and the last 4
 * @returns 0; -EAFNOSUPPORT without the part `packet`, -ENOBUFS and others without room for its socket
 */
export function acdOpen(acd: Acd, ifindex: number, hwHi: number, hwLo: number): number {
  const err = serviceOpen(acd.socket, AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, ETH_P_ARP);
  if (err < 0) return err;
  acd.to.ifindex = ifindex;
  acd.hwHi = hwHi;
  acd.hwLo = hwLo;
  const bound = bind(acd.socket.fd, acd.to);
  if (bound < 0) serviceClose(acd.socket);
  return bound;
}

/** Begins to ask whether the address is free. */
export function acdProbe(acd: Acd, addr: number): void {
  acd.state = PROBING;
  acd.addr = addr;
  acd.sent = 0;
  acd.hasDefended = false;
  const limited = acd.conflicts >= MAX_CONFLICTS ? RATE_LIMIT_INTERVAL_MS : 0;
  acd.due = (jiffies + limited + getRandomBelow(PROBE_WAIT_MS)) | 0;
}

/** Looks after no address any more. */
export function acdIdle(acd: Acd): void {
  acd.state = IDLE;
}

/** Ends it. */
export function acdClose(acd: Acd): void {
  acd.state = IDLE;
  serviceClose(acd.socket);
}

/** ms until acdRun() is to be called, -1 when only a packet can be a reason. */
export function acdNext(acd: Acd): number {
  if (acd.state !== PROBING && acd.state !== ANNOUNCING) return -1;
  const left = (acd.due - jiffies) | 0;
  return left > 0 ? left : 0;
}

/** Hears what has come and sends what is due. @returns ACD_* */
export function acdRun(acd: Acd): number {
  if (acd.socket.fd < 0) return ACD_QUIET;
  const heard = hear(acd);
  if (heard !== ACD_QUIET) return heard;
  if ((acd.state !== PROBING && acd.state !== ANNOUNCING) || ((acd.due - jiffies) | 0) > 0) return ACD_QUIET;
  if (acd.state === ANNOUNCING) {
    sendArp(acd, acd.addr);
    acd.due = (jiffies + ANNOUNCE_INTERVAL_MS) | 0;
    if (++acd.sent === ANNOUNCE_NUM) acd.state = DEFENDING;
    return ACD_QUIET;
  }
  if (acd.sent < PROBE_NUM) {
    sendArp(acd, 0);
    const wait = ++acd.sent === PROBE_NUM ? ANNOUNCE_WAIT_MS : PROBE_MIN_MS + getRandomBelow(PROBE_MAX_MS - PROBE_MIN_MS);
    acd.due = (jiffies + wait) | 0;
    return ACD_QUIET;
  }
  acd.state = ANNOUNCING;
  acd.sent = acd.conflicts = 0;
  acd.due = jiffies;
  return ACD_FREE;
}

/** Reads all ARP that waits. */
function hear(acd: Acd): number {
  for (;;) {
    const length = recv(acd.socket.fd, scratch, 0, scratch.length, 0);
    if (length < 0) return ACD_QUIET;
    if (acd.state === IDLE || length < ARP_ETH_LEN || !conflicts(acd)) continue;
    if (acd.state === PROBING) {
      acd.state = IDLE;
      acd.conflicts++;
      return ACD_CONFLICT;
    }
    if (acd.hasDefended && ((jiffies - acd.defended) | 0) < DEFEND_INTERVAL_MS) {
      acd.state = IDLE;
      acd.conflicts++;
      return ACD_LOST;
    }
    acd.hasDefended = true;
    acd.defended = jiffies;
    sendArp(acd, acd.addr);
  }
}

/** Does the packet say that another host has the address, or while we ask, wants it? */
function conflicts(acd: Acd): boolean {
  const view = scratchView;
  if (view.getUint16(ARPH_HRD) !== ARPHRD_ETHER || view.getUint16(ARPH_PRO) !== ETH_P_IP) return false;
  if (view.getUint16(ARPH_SHA) === acd.hwHi && view.getInt32(ARPH_SHA + 2) === acd.hwLo) return false;
  const sip = view.getInt32(ARPH_SIP);
  if (sip === acd.addr) return true;
  return acd.state === PROBING && sip === 0 && view.getUint16(ARPH_OP) === ARPOP_REQUEST && view.getInt32(ARPH_TIP) === acd.addr;
}

/** A probe (from 0) or an announcement (from the address itself). */
function sendArp(acd: Acd, sip: number): void {
  const view = scratchView;
  view.setUint16(ARPH_HRD, ARPHRD_ETHER);
  view.setUint16(ARPH_PRO, ETH_P_IP);
  view.setUint8(ARPH_HLN, ETH_ALEN);
  view.setUint8(ARPH_PLN, PLN_IP);
  view.setUint16(ARPH_OP, ARPOP_REQUEST);
  view.setUint16(ARPH_SHA, acd.hwHi);
  view.setInt32(ARPH_SHA + 2, acd.hwLo);
  view.setInt32(ARPH_SIP, sip);
  view.setUint16(ARPH_THA, 0);
  view.setInt32(ARPH_THA + 2, 0);
  view.setInt32(ARPH_TIP, acd.addr);
  sendto(acd.socket.fd, scratch, 0, ARP_ETH_LEN, 0, acd.to);
}

/** For a service that can do without: a detector that is ready, or null. Allocates. */
function create(service: Service, iface: Interface): Acd | null {
  const acd = new Acd(service);
  return acdOpen(acd, iface.ifindex, iface.hwHi, iface.hwLo) === 0 ? acd : null;
}

/** What the part `packet` registers. */
export const acdCheck: AddressCheck = Object.freeze({
  create, close: acdClose, probe: acdProbe, idle: acdIdle, next: acdNext, run: acdRun,
});
