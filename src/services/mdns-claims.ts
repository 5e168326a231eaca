/**
 * The state of an mDNS responder, and the way of a name from a wish to a claim: probed for, changed when it is another's. Read first:
 * RFC 6762 sections 8.1, 8.2 and 9. Owns nothing beside the responder.
 */
import { getRandomBelow } from "../lib/random.ts";
import type { Net } from "../stack/core/net.ts";
import { Msghdr, SockaddrIn } from "../stack/core/sockaddr.ts";
import { INADDR_MDNS_GROUP } from "../uapi/in.ts";
import { dnsNameIs, dnsNameLength } from "./dns-name.ts";
import { Interface } from "./interface.ts";
import type { LinkWatch } from "./link.ts";
import { MdnsBrowser } from "./mdns-browse.ts";
import {
  CLAIM_BITS, CLAIM_FREE, CLAIM_GOODBYE, CLAIM_PROBE, createEnumName, MdnsClaim, type MdnsSelf, MOST_CLAIMS, RECORD_BITS, RECORD_ENUM, utf8Text,
} from "./mdns-records.ts";
import { Service, serviceClock, ServiceSocket } from "./service.ts";

export const MDNS_PORT = 5353;
/** Longest message that is built: it fits a packet of 1500 bytes. */
export const MDNS_MESSAGE_BYTES = 1472;
/** Of the control message IP_PKTINFO: where the destination of the packet is, behind level, type, length, device and own address. */
export const PKTINFO_DADDR = 5;
/** Time between probes, of which the first comes after up to as much. */
export const PROBE_MS = 250;
/** After so many conflicts there are five seconds before each attempt. */
const MANY_CONFLICTS = 15;
const CONFLICT_WAIT_MS = 5000;
export const LONGEST_LABEL = 63;
/** What stands around the number of a name: a hyphen behind a host's, a blank and brackets behind a service's. */
const HOST_FRAME = 1;
const SERVICE_FRAME = 3;
const CHAR_SPACE = 0x20;
const CHAR_OPEN = 0x28;
const CHAR_CLOSE = 0x29;
const CHAR_HYPHEN = 0x2d;
const CHAR_0 = 0x30;

export class MdnsResponder extends Service implements MdnsSelf {
  /** Address and mask of the device, 0 while they are not known. */
  addr = 0;
  mask = 0;
  /** Bits of answers to all that are due at `answerMs`. */
  answers = 0;
  answerMs = 0;
  /** Who may have more to say, and what is due at `askerMs` then: bits of answers to all, and to it alone. */
  asker = 0;
  askerAll = 0;
  askerAlone = 0;
  askerMs = 0;
  /** When each record was last sent to all, on the service's clock. */
  readonly lastMs: Float64Array = new Float64Array(RECORD_BITS).fill(-Infinity);
  readonly claims: readonly MdnsClaim[] = Array.from({ length: MOST_CLAIMS }, () => new MdnsClaim());
  readonly enumName: Uint8Array = createEnumName();
  readonly browser: MdnsBrowser = new MdnsBrowser();
  readonly iface: Interface;
  readonly socket: ServiceSocket = new ServiceSocket(this);
  /** null until the device is known. */
  link: LinkWatch | null = null;
  readonly group: SockaddrIn = new SockaddrIn(INADDR_MDNS_GROUP, MDNS_PORT);
  readonly from: SockaddrIn = new SockaddrIn();
  /** How messages are read: each with its destination, which is in `control`. */
  readonly msg: Msghdr = new Msghdr(1);
  readonly control: Int32Array = new Int32Array(PKTINFO_DADDR + 1);
  readonly onName: ((claim: number, name: string) => void) | undefined;
  /** Nothing is heard that was sent to this host alone. */
  groupOnly = false;
  /** Bits of claims whose name is still to be told. */
  named = 0;
  stopping = false;

  constructor(net: Net, name: string, onName: ((claim: number, name: string) => void) | undefined) {
    super(net);
    this.iface = new Interface(name);
    this.onName = onName;
    this.msg.name = this.from;
    this.msg.control = this.control;
  }
}

function digitCount(number: number): number {
  let digits = 1;
  for (let left = number; left >= 10; left = (left / 10) | 0) digits++;
  return digits;
}

/** The name that belongs to the number of conflicts ("board7-2", "Status page (2)"), and probes for it. */
export function mdnsRename(self: MdnsResponder, c: number): void {
  const claim = self.claims[c]!;
  const { conflicts, label, name, type } = claim;
  const number = conflicts === 0 ? 0 : conflicts + 1;
  const suffix = number === 0 ? 0 : digitCount(number) + (c === 0 ? HOST_FRAME : SERVICE_FRAME);
  const kept = label.length + suffix > LONGEST_LABEL ? LONGEST_LABEL - suffix : label.length;
  const behind = 1 + kept + suffix;
  name[0] = kept + suffix;
  for (let i = 0; i < kept; i++) name[1 + i] = label[i]!;
  if (number !== 0) {
    name[1 + kept] = c === 0 ? CHAR_HYPHEN : CHAR_SPACE;
    if (c !== 0) {
      name[2 + kept] = CHAR_OPEN;
      name[behind - 1] = CHAR_CLOSE;
    }
    let left = number;
    for (let at = c === 0 ? behind - 1 : behind - 2; left > 0; at--) {
      name[at] = CHAR_0 + left % 10;
      left = (left / 10) | 0;
    }
  }
  for (let i = 0; i < type.length; i++) name[behind + i] = type[i]!;
  claim.nameBytes = dnsNameLength(name, 0);
  // Nobody else tells of what this host has itself.
  for (let other = 0; other < MOST_CLAIMS; other++) {
    const { state, name: taken } = self.claims[other]!;
    if (other === c || state === CLAIM_FREE || state === CLAIM_GOODBYE || !dnsNameIs(name, claim.nameBytes, 0, taken, 0)) continue;
    claim.conflicts++;
    mdnsRename(self, c);
    return;
  }
  // Of these nothing has been told; that the type is there may have been.
  self.lastMs.fill(-Infinity, c * CLAIM_BITS, c * CLAIM_BITS + RECORD_ENUM);
  const wait = conflicts >= MANY_CONFLICTS ? CONFLICT_WAIT_MS : 0;
  mdnsProbe(self, c, wait + getRandomBelow(PROBE_MS));
}

/** Probes for the claim's name in so many ms. */
export function mdnsProbe(self: MdnsResponder, c: number, waitMs: number): void {
  const claim = self.claims[c]!;
  claim.state = CLAIM_PROBE;
  claim.sent = 0;
  claim.dueMs = serviceClock(self) + waitMs;
}

/** The first label of a claim's name. Makes a string. */
export function mdnsLabel(self: MdnsResponder, c: number): string {
  return utf8Text(self.claims[c]!.name, 1, self.claims[c]!.name[0]!);
}
