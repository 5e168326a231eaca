/**
 * The offsets, read against frames whose bytes are written out by hand from the RFCs' diagrams.
 */
import test from "ava";
import {
  ARP_ETH_LEN, ARPH_HLN, ARPH_HRD, ARPH_OP, ARPH_PLN, ARPH_PRO, ARPH_SHA, ARPH_SIP, ARPH_THA, ARPH_TIP,
} from "../../../src/stack/wire/arp.ts";
import { ETHH_DEST, ETHH_PROTO, ETHH_SOURCE } from "../../../src/stack/wire/eth.ts";
import {
  ICMP_HLEN, ICMPH_CHECKSUM, ICMPH_CODE, ICMPH_ID, ICMPH_MTU, ICMPH_SEQUENCE, ICMPH_TYPE,
} from "../../../src/stack/wire/icmp.ts";
import {
  IGMPV3_CHANGE_TO_EXCLUDE, IGMPV3_GREC_HLEN, IGMPV3_GREC_MCA, IGMPV3_GREC_NSRCS, IGMPV3_GREC_TYPE,
  IGMPV3_HOST_MEMBERSHIP_REPORT, IGMPV3_RH_GREC, IGMPV3_RH_NGREC, IGMPH_TYPE,
} from "../../../src/stack/wire/igmp.ts";
import {
  IP_DF, IP_FRAGMENT_BITS, IP_HLEN, IP_MF, IP_OFFSET, IPH_CHECK, IPH_DADDR, IPH_FRAG_OFF, IPH_ID, IPH_PROTOCOL,
  IPH_SADDR,
  IPH_TOS, IPH_TOT_LEN, IPH_TTL, IPH_VER_IHL,
} from "../../../src/stack/wire/ip.ts";
import {
  TCP_HLEN, TCPHDR_ACK, TCPHDR_DOFF_MASK, TCPHDR_DOFF_SHIFT, TCPHDR_FLAGS_MASK, TCPHDR_PSH, TCPHDR_SYN,
  TCPOPT_TSTAMP_WORD,
  TH_ACK, TH_DOFF, TH_DPORT, TH_FLAGS, TH_OFF_FLAGS, TH_OPTIONS, TH_SEQ, TH_SPORT, TH_SUM, TH_URP, TH_WIN,
} from "../../../src/stack/wire/tcp.ts";
import { UDP_HLEN, UH_DPORT, UH_SPORT, UH_SUM, UH_ULEN } from "../../../src/stack/wire/udp.ts";
import { VLAN_ETHH_ENCAP_PROTO, VLAN_ETHH_TCI, VLAN_PRIO_SHIFT, VLAN_VID_MASK } from "../../../src/stack/wire/vlan.ts";

function view(...parts: string[]): DataView {
  const bytes = Uint8Array.from(Buffer.from(parts.join("").replaceAll(" ", ""), "hex"));
  return new DataView(bytes.buffer);
}

test("Ethernet, with and without a VLAN tag", (t) => {
  const plain = view("0102030405060a0b0c0d0e0f 0806");
  t.is(plain.getUint32(ETHH_DEST), 0x01020304);
  t.is(plain.getUint32(ETHH_SOURCE), 0x0a0b0c0d);
  t.is(plain.getUint16(ETHH_PROTO), 0x0806);
  const tagged = view("0102030405060a0b0c0d0e0f 8100 a064 0800");
  t.is(tagged.getUint16(VLAN_ETHH_TCI) & VLAN_VID_MASK, 100);
  t.is(tagged.getUint16(VLAN_ETHH_TCI) >> VLAN_PRIO_SHIFT, 5);
  t.is(tagged.getUint16(VLAN_ETHH_ENCAP_PROTO), 0x0800);
});

test("ARP", (t) => {
  const arp = view("0001 0800 06 04 0002 a1a2a3a4a5a6 0a000001 b1b2b3b4b5b6 0a000002");
  t.is(arp.byteLength, ARP_ETH_LEN);
  t.deepEqual([ARPH_HRD, ARPH_PRO, ARPH_OP].map((at) => arp.getUint16(at)), [1, 0x800, 2]);
  t.deepEqual([ARPH_HLN, ARPH_PLN, ARPH_SHA, ARPH_THA].map((at) => arp.getUint8(at)), [6, 4, 0xa1, 0xb1]);
  t.deepEqual([ARPH_SIP, ARPH_TIP].map((at) => arp.getInt32(at)), [0x0a000001, 0x0a000002]);
});

test("IPv4", (t) => {
  const ip = view("45 b8 05dc 1234 6064 40 06 abcd 0a000001 c0a80001");
  t.is(ip.byteLength, IP_HLEN);
  t.deepEqual([IPH_VER_IHL, IPH_TOS, IPH_TTL, IPH_PROTOCOL].map((at) => ip.getUint8(at)), [0x45, 0xb8, 64, 6]);
  t.deepEqual([IPH_TOT_LEN, IPH_ID, IPH_CHECK].map((at) => ip.getUint16(at)), [1500, 0x1234, 0xabcd]);
  const frag = ip.getUint16(IPH_FRAG_OFF);
  t.deepEqual([frag & IP_DF, frag & IP_MF, frag & IP_OFFSET], [IP_DF, IP_MF, 100]);
  t.is(IP_FRAGMENT_BITS, IP_MF | IP_OFFSET);
  t.deepEqual([IPH_SADDR, IPH_DADDR].map((at) => ip.getInt32(at)), [0x0a000001, 0xc0a80001 | 0]);
});

test("ICMP", (t) => {
  const icmp = view("08 01 1111 2222 3333");
  t.is(icmp.byteLength, ICMP_HLEN);
  t.deepEqual([ICMPH_TYPE, ICMPH_CODE].map((at) => icmp.getUint8(at)), [8, 1]);
  t.deepEqual([ICMPH_CHECKSUM, ICMPH_ID, ICMPH_SEQUENCE, ICMPH_MTU].map((at) => icmp.getUint16(at)), [0x1111,
    0x2222, 0x3333, 0x3333]);
});

test("IGMPv3 report", (t) => {
  const igmp = view("22 00 f9f8 0000 0001", "04 00 0000 e0000001");
  t.is(igmp.getUint8(IGMPH_TYPE), IGMPV3_HOST_MEMBERSHIP_REPORT);
  t.is(igmp.getUint16(IGMPV3_RH_NGREC), 1);
  t.is(igmp.getUint8(IGMPV3_RH_GREC + IGMPV3_GREC_TYPE), IGMPV3_CHANGE_TO_EXCLUDE);
  t.is(igmp.getUint16(IGMPV3_RH_GREC + IGMPV3_GREC_NSRCS), 0);
  t.is(igmp.getInt32(IGMPV3_RH_GREC + IGMPV3_GREC_MCA), 0xe0000001 | 0);
  t.is(igmp.byteLength, IGMPV3_RH_GREC + IGMPV3_GREC_HLEN);
});

test("UDP", (t) => {
  const udp = view("0035 c000 0008 beef");
  t.is(udp.byteLength, UDP_HLEN);
  t.deepEqual([UH_SPORT, UH_DPORT, UH_ULEN, UH_SUM].map((at) => udp.getUint16(at)), [53, 0xc000, 8, 0xbeef]);
});

test("TCP", (t) => {
  const tcp = view("0050 c001 11223344 55667788 8018 ffff abcd 0007", "0101080a 00000001 00000002");
  t.deepEqual([TH_SPORT, TH_DPORT, TH_WIN, TH_SUM, TH_URP].map((at) => tcp.getUint16(at)), [80, 0xc001, 0xffff,
    0xabcd, 7]);
  t.deepEqual([TH_SEQ, TH_ACK].map((at) => tcp.getInt32(at)), [0x11223344, 0x55667788]);
  const word = tcp.getUint16(TH_OFF_FLAGS);
  t.is(word & TCPHDR_FLAGS_MASK, TCPHDR_ACK | TCPHDR_PSH);
  t.is((word & TCPHDR_DOFF_MASK) >> TCPHDR_DOFF_SHIFT, tcp.byteLength);
  t.is((tcp.getUint8(TH_DOFF) >> 4) * 4, tcp.byteLength);
  t.is(tcp.getUint8(TH_FLAGS) & TCPHDR_SYN, 0);
  t.is(TH_OPTIONS, TCP_HLEN);
  t.is(tcp.getInt32(TH_OPTIONS), TCPOPT_TSTAMP_WORD);
});
