/**
 * A peer on a lab's wire that the test plays itself: sends made-up frames and expects others, at times to the ms. It has no
 * stack, so it answers nothing by itself.
 */
import type { VirtualClock } from "../../hal/mock/clock.ts";
import type { MacAddress } from "../../hal/mac.ts";
import { formatMac } from "../../hal/mac.ts";
import type { Wire, WirePort } from "../../hal/mock/wire.ts";
import { assertFrame, type Check } from "./check.ts";
import {
  addressNumber, arpPacket, BROADCAST, describeFrame, ETHER_ARP, ETHER_IP, ethernetFrame, type Frame, icmpMessage, ipPacket,
  type IpFields, parseFrame, PROTO_ICMP, PROTO_TCP, PROTO_UDP, type TcpFields, tcpSegment, udpDatagram,
} from "./frames.ts";
import type { Station } from "./lab.ts";

/** How long expect() waits in virtual time unless it is told when. */
const PATIENCE_MS = 600_000;

/** When an expected frame comes: `after` ms from now, or `at` ms from the lab's start, both in whole ms of the stack's clock. */
export interface When {
  readonly after?: number;
  readonly at?: number;
}

type IpExtras = Partial<IpFields>;

export class Peer implements Station {
  readonly name: string;
  readonly addr: number;
  readonly mac: MacAddress;
  private readonly clock: VirtualClock;
  private readonly port: WirePort;
  private readonly target: Station | undefined;
  private readonly inbox: Frame[] = [];

  /** @param hosts whom it talks to: the first, unless a frame says otherwise */
  constructor(place: Station, clock: VirtualClock, wire: Wire, hosts: readonly Station[]) {
    this.name = place.name;
    this.addr = place.addr;
    this.mac = place.mac;
    this.clock = clock;
    this.target = hosts[0];
    const mine = formatMac(place.mac.hi, place.mac.lo);
    this.port = wire.attach(place.name, (bytes) => {
      const frame = parseFrame(bytes, clock.timeMs());
      if (frame.dst === mine || (bytes[0]! & 1) !== 0) this.inbox.push(frame);
    });
  }

  /** Sends bytes as they are. */
  sendFrame(frame: Uint8Array): void {
    this.port.send(frame);
  }

  /** Sends an IP packet; addresses are this peer's and the first host's unless given. */
  sendIp(protocol: number, payload: Uint8Array, ip: IpExtras = {}): void {
    const { saddr, daddr } = this.addresses(ip);
    const packet = ipPacket({ ...ip, saddr, daddr, protocol }, payload);
    this.sendFrame(ethernetFrame(this.target!.mac, this.mac, ETHER_IP, packet));
  }

  sendTcp(fields: TcpFields, ip: IpExtras = {}): void {
    const { saddr, daddr } = this.addresses(ip);
    this.sendIp(PROTO_TCP, tcpSegment(saddr, daddr, fields), ip);
  }

  sendUdp(sport: number, dport: number, payload: Uint8Array, ip: IpExtras = {}): void {
    const { saddr, daddr } = this.addresses(ip);
    this.sendIp(PROTO_UDP, udpDatagram(saddr, daddr, sport, dport, payload), ip);
  }

  sendIcmp(type: number, code: number, rest: number, payload: Uint8Array, ip: IpExtras = {}): void {
    this.sendIp(PROTO_ICMP, icmpMessage(type, code, rest, payload), ip);
  }

  /** Asks everyone who has that address. */
  sendArpRequest(target: string | number, spa = this.addr): void {
    const tpa = typeof target === "number" ? target : addressNumber(target);
    const packet = arpPacket({ op: 1, sha: this.mac, spa, tpa });
    this.sendFrame(ethernetFrame(BROADCAST, this.mac, ETHER_ARP, packet));
  }

  sendArpReply(to: Station, spa = this.addr): void {
    const packet = arpPacket({ op: 2, sha: this.mac, spa, tha: to.mac, tpa: to.addr });
    this.sendFrame(ethernetFrame(to.mac, this.mac, ETHER_ARP, packet));
  }

  private addresses({ saddr, daddr }: IpExtras): { saddr: number; daddr: number } {
    return { saddr: saddr ?? this.addr, daddr: daddr ?? this.target!.addr };
  }

  /**
   * The next frame that came or comes to this peer must pass the check, and come when said; virtual time passes until then.
   * @throws Error with what is wrong and the frame
   */
  expect(check: Check, when: When = {}): Frame {
    const due = when.at ?? (when.after === undefined ? undefined : this.clock.now() + when.after);
    const patience = due === undefined ? PATIENCE_MS : due - this.clock.timeMs() + 1;
    this.clock.runUntil(() => this.inbox.length > 0, Math.max(0, patience));
    const frame = this.inbox.shift();
    if (frame === undefined) {
      throw new Error(`${this.name} expected a frame${due === undefined ? "" : ` at ${due} ms`}; at ${this.clock.timeMs()} ms none has come`);
    }
    assertFrame(frame, check);
    if (due !== undefined && Math.floor(frame.timeMs) !== due) {
      throw new Error(`${this.name} expected this at ${due} ms: ${describeFrame(frame)}`);
    }
    return frame;
  }

  /** Lets `ms` pass, in which nothing may come to this peer. */
  expectNothing(ms = 0): void {
    this.clock.runFor(ms);
    const [frame] = this.inbox;
    if (frame !== undefined) throw new Error(`${this.name} expected nothing, and got ${describeFrame(frame)}`);
  }

  /** Forgets what came; returns it. */
  drain(): Frame[] {
    return this.inbox.splice(0);
  }
}
