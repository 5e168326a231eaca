/**
 * UDP and ICMP of scripts: built for injection, compared when sent. Written from RFC 768 and RFC 792.
 */
import { internetChecksum } from "../lib/frames.ts";
import type { IcmpSpec, UdpSpec } from "./packet-spec.ts";
import { transportChecksum } from "./tun.ts";
import { ipv4Packet } from "./wire-tcp.ts";

export interface Endpoints {
  readonly local: number;
  readonly remote: number;
  readonly localPort: number;
  readonly remotePort: number;
}

const PROTO_ICMP = 1;
const PROTO_TCP = 6;
const PROTO_UDP = 17;
const IP_LENGTH = 20;
const UDP_LENGTH = 8;
const ICMP_LENGTH = 8;
const TTL = 64;

const TYPES: Readonly<Record<string, number>> = {
  echo_reply: 0, unreachable: 3, source_quench: 4, redirect: 5, echo_request: 8, time_exceeded: 11, parameter_problem: 12,
};
const CODES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  unreachable: {
    net_unreachable: 0, host_unreachable: 1, protocol_unreachable: 2, port_unreachable: 3, frag_needed: 4,
    source_route_failed: 5, net_unknown: 6, host_unknown: 7, source_host_isolated: 8, net_prohibited: 9,
    host_prohibited: 10, net_unreachable_for_tos: 11, host_unreachable_for_tos: 12, packet_filtered: 13,
    precedence_violation: 14, precedence_cutoff: 15,
  },
  time_exceeded: { ttl_exceeded: 0, fragment_reassembly: 1 },
};

function typeAndCode(spec: IcmpSpec): [number, number] {
  const type = TYPES[spec.type];
  const code = spec.code === null ? 0 : CODES[spec.type]?.[spec.code];
  if (type === undefined || code === undefined) throw new Error(`unknown ICMP message ${spec.type} ${spec.code ?? ""}`);
  return [type, code];
}

export function encodeUdp(spec: UdpSpec, endpoints: Endpoints): Uint8Array {
  const body = new Uint8Array(UDP_LENGTH + spec.length);
  const view = new DataView(body.buffer);
  view.setUint16(0, spec.ports?.[0] ?? endpoints.remotePort);
  view.setUint16(2, spec.ports?.[1] ?? endpoints.localPort);
  view.setUint16(4, body.length);
  const packet = ipv4Packet({ saddr: endpoints.remote, daddr: endpoints.local, tos: 0, ttl: TTL }, PROTO_UDP, body);
  new DataView(packet.buffer).setUint16(IP_LENGTH + 6, transportChecksum(packet, IP_LENGTH) || 0xffff);
  return packet;
}

/** An error message that quotes a packet of the side under test. @param seq its live sequence number */
export function encodeIcmp(spec: IcmpSpec, endpoints: Endpoints, seq: number): Uint8Array {
  const [type, code] = typeAndCode(spec);
  const udp = spec.quoted.protocol === "udp";
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  view.setUint16(0, endpoints.localPort);
  view.setUint16(2, endpoints.remotePort);
  if (udp) view.setUint16(4, UDP_LENGTH + spec.quoted.length);
  else view.setInt32(4, seq);
  const way = { saddr: endpoints.local, daddr: endpoints.remote, tos: 0, ttl: TTL };
  const quoted = ipv4Packet(way, udp ? PROTO_UDP : PROTO_TCP, head);
  new DataView(quoted.buffer).setUint16(2, IP_LENGTH + (udp ? UDP_LENGTH : IP_LENGTH) + spec.quoted.length);
  const body = new Uint8Array(ICMP_LENGTH + quoted.length);
  const out = new DataView(body.buffer);
  out.setUint8(0, type);
  out.setUint8(1, code);
  if (spec.mtu !== null) out.setUint16(6, spec.mtu);
  body.set(quoted, ICMP_LENGTH);
  out.setUint16(2, internetChecksum(body));
  return ipv4Packet({ saddr: endpoints.remote, daddr: endpoints.local, tos: 0, ttl: TTL }, PROTO_ICMP, body);
}

export function udpMismatch(spec: UdpSpec, bytes: Uint8Array): string | null {
  if (bytes[9] !== PROTO_UDP) return `expected a UDP datagram, seen ${describeIcmp(bytes)}`;
  const length = bytes.length - (bytes[0]! & 15) * 4 - UDP_LENGTH;
  return length === spec.length ? null : `length is ${length}, expected ${spec.length}`;
}

export function icmpMismatch(spec: IcmpSpec, bytes: Uint8Array): string | null {
  const [type, code] = typeAndCode(spec);
  const at = (bytes[0]! & 15) * 4;
  if (bytes[9] === PROTO_ICMP && bytes[at] === type && bytes[at + 1] === code) return null;
  return `expected ICMP type ${type} code ${code}, seen ${describeIcmp(bytes)}`;
}

/** A packet that is no TCP, in a few words. */
export function describeIcmp(bytes: Uint8Array): string {
  const at = (bytes[0]! & 15) * 4;
  if (bytes[9] === PROTO_UDP) return `> udp (${bytes.length - at - UDP_LENGTH})`;
  return bytes[9] === PROTO_ICMP ? `> icmp type ${bytes[at]} code ${bytes[at + 1]}` : `> protocol ${bytes[9]}`;
}
