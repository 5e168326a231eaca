/** mDNS on a lab's wire: responders of this project on hosts a, b and c, and what a peer says that the test plays. */
import type { ExecutionContext } from "ava";
import { igmp } from "../../src/igmp.ts";
import { mdns, type MdnsResponder, mdnsStop } from "../../src/services/mdns.ts";
import { decodeMessage, type DnsMessage, type DnsParsed, encodeMessage } from "./dns.ts";
import { addressNumber, addressText, parseFrame } from "./frames.ts";
import { createLab, type Lab, type LabOptions } from "./lab.ts";

export const GROUP = addressNumber("224.0.0.251");
export const QU = 0x8001;
export const FLUSH = 0x8001;

export interface Heard extends DnsParsed {
  readonly at: number;
  readonly saddr: string;
  readonly daddr: string;
  readonly dport: number;
  readonly ttlIp: number;
}

export interface MdnsBench {
  readonly lab: Lab;
  /** Every mDNS message on the wire. */
  readonly heard: Heard[];
  readonly names: string[];
  start(host: string, name: string): MdnsResponder;
  /** Sends a message as the peer, or its bytes, to all unless told otherwise. */
  say(message: DnsMessage | Uint8Array, sport?: number, ip?: { readonly saddr?: number; readonly daddr?: number }): void;
}

/** Everything is stopped when the test ends. */
export function createMdnsBench(t: ExecutionContext, options: LabOptions = {}): MdnsBench {
  const lab = createLab(t, { hosts: ["a", "b", "c"], peers: ["p"], initcalls: [igmp], ...options });
  const heard: Heard[] = [];
  lab.wire.observers.push((bytes, _from, timeMs) => {
    const { ip, udp } = parseFrame(bytes, timeMs);
    if (ip === undefined || udp === undefined || udp.payload.length < 12 || (udp.sport !== 5353 && udp.dport !== 5353)) return;
    if (ip.saddr === addressText(lab.peer("p").addr)) return;
    heard.push({ ...decodeMessage(udp.payload), at: timeMs, saddr: ip.saddr, daddr: ip.daddr, dport: udp.dport, ttlIp: ip.ttl });
  });
  const names: string[] = [];
  const started: MdnsResponder[] = [];
  t.teardown(() => {
    for (const responder of started) mdnsStop(responder);
    lab.runFor(100);
  });
  const start = (host: string, name: string): MdnsResponder => {
    const responder = mdns(lab.host(host).net, "eth0", { host: name, onName: (claim, chosen) => names.push(`${host}${claim} ${chosen}`) });
    started.push(responder);
    return responder;
  };
  const say: MdnsBench["say"] = (message, sport = 5353, ip = {}) => {
    lab.peer("p").sendUdp(sport, 5353, message instanceof Uint8Array ? message : encodeMessage(message), { daddr: GROUP, ...ip });
  };
  return { lab, heard, names, start, say };
}

/** What that host sent. */
export const from = (heard: readonly Heard[], host: number): Heard[] => heard.filter(({ saddr }) => saddr === `10.0.0.${host}`);
export const isProbe = ({ flags, authorities }: Heard): boolean => flags === 0 && authorities.length > 0;
export const isResponse = ({ flags }: Heard): boolean => (flags & 0x8000) !== 0;
