import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { close, getsockopt, send, sendto, socket } from "../../../src/stack/socket/index.ts";
import { LINUX_MIB_OUTOFWINDOWICMPS } from "../../../src/uapi/snmp.ts";
import { AF_INET, MSG_FASTOPEN, SOCK_STREAM, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_INFO } from "../../../src/uapi/tcp.ts";
import { icmpMessage, ipPacket, receive } from "./harness.ts";
import { accepted, type Conn, end, give, mib } from "./tcp-peer.ts";
import { ACK, bootWire, dev, finish, inject, parse, PEER, RST, run, sent, SYN, US } from "./tcp-wire.ts";

const buffer = new Uint8Array(20000);
const POOL = { buffers: 256, skbs: 512 };

/** "Fragmentation needed" about a packet of ours. @param shift added to the number quoted */
function fragNeeded(packet: Uint8Array, mtu: number, shift = 0): void {
  const quoted = packet.slice(0, 28);
  const view = new DataView(quoted.buffer);
  view.setInt32(24, view.getInt32(24) + shift);
  receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 1, payload: icmpMessage(3, 4, mtu, quoted) }));
  run(0);
}

/** Numbers from the start and lengths of the segments sent. */
function data(start: number): (readonly [number, number])[] {
  return sent().filter((s) => s.payload.length > 0).map((s) => [(s.seq - start) | 0, s.payload.length] as const);
}

function info(conn: Conn): Int32Array {
  const words = new Int32Array(62);
  getsockopt(conn.fd, SOL_TCP, TCP_INFO, words);
  return words;
}

test.serial("fragmentation needed: what is in flight goes again at once in smaller segments, the window unchanged", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, 2920, 0);
  const first = dev.sent[0]!;
  t.deepEqual(data(start), [[0, 1460], [1460, 1460]]);
  fragNeeded(first, 1040);
  t.deepEqual(data(start), [[0, 1000], [1000, 460], [1460, 1000], [2460, 460]]);
  t.is(info(conn)[15], 1040, "pmtu");
  t.is(info(conn)[4], 1000, "snd_mss");
  t.is(info(conn)[20], 10, "cwnd");
  conn.snd += 2920;
  give(conn);
  send(conn.fd, buffer, 0, 2000, 0);
  t.deepEqual(data(start), [[2920, 1000], [3920, 1000]]);
  conn.snd += 2000;
  give(conn);
  end(conn);
  finish(t);
});

test.serial("a number that is not in flight, and a larger MTU, change nothing; below 552 nothing is believed", (t) => {
  bootWire(POOL);
  const conn = accepted();
  const start = conn.snd;
  send(conn.fd, buffer, 0, 1460, 0);
  const packet = dev.sent[0]!;
  sent();
  fragNeeded(packet, 1040, -1);
  fragNeeded(packet, 1040, 1461);
  t.is(mib(LINUX_MIB_OUTOFWINDOWICMPS), 2);
  fragNeeded(packet, 1500);
  t.deepEqual(data(start), []);
  t.is(info(conn)[4], 1460);
  fragNeeded(packet, 100);
  t.deepEqual(data(start), [[0, 512], [512, 512], [1024, 436]]);
  conn.snd += 1460;
  give(conn);
  end(conn);
  finish(t);
});

test.serial("a SYN with data that was too long goes again plain, the data after the handshake", (t) => {
  bootWire(POOL);
  initNet.ipv4.tcpFastopen = 5;
  initNet.ipv4.tcpTimestamps = 0;
  const fd = socket(AF_INET, SOCK_STREAM);
  t.is(sendto(fd, buffer, 0, 1400, MSG_FASTOPEN, new SockaddrIn(PEER, 80)), 1400);
  const packet = dev.sent[0]!;
  const syn = parse(packet);
  t.is(syn.payload.length, 1400);
  sent();
  fragNeeded(packet, 1040);
  const again = sent();
  t.is(again.length, 1);
  t.like(again[0], { flags: SYN, seq: syn.seq, payload: [] });
  inject({
    sport: 80, dport: syn.sport, seq: 5000, ack: syn.seq + 1, flags: SYN | ACK, options: [2, 4, 5, 0xb4],
  });
  t.is(data(syn.seq + 1).reduce((sum, [, length]) => sum + length, 0), 1400);
  inject({ sport: 80, dport: syn.sport, seq: 5001, ack: syn.seq + 1401, flags: RST | ACK });
  close(fd);
  finish(t);
});
