import test from "ava";
import { initNet } from "../../../src/boot.ts";
import { words } from "../../../src/lib/table.ts";
import { createNet, type Net } from "../../../src/stack/core/net.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { inetForEachListener } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import { reqskCount } from "../../../src/stack/ipv4/request-sock.ts";
import { TP_FASTOPEN_QLEN } from "../../../src/stack/ipv4/tcp-cold.ts";
import { tcpFastopenSetKey } from "../../../src/stack/ipv4/tcp-fastopen-key.ts";
import {
  accept4, bind, close, getsockopt, listen, poll, Pollfd, recv, send, setNs, setsockopt, socket,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, ECONNRESET, EHOSTUNREACH, EINVAL, EPIPE } from "../../../src/uapi/errno.ts";
import { POLLIN, POLLOUT } from "../../../src/uapi/poll.ts";
import {
  LINUX_MIB_TCPFASTOPENCOOKIEREQD, LINUX_MIB_TCPFASTOPENLISTENOVERFLOW, LINUX_MIB_TCPFASTOPENPASSIVE,
  LINUX_MIB_TCPFASTOPENPASSIVEFAIL,
} from "../../../src/uapi/snmp.ts";
import { AF_INET, SOCK_STREAM, SOL_TCP } from "../../../src/uapi/socket.ts";
import { TCP_ESTABLISHED, TCP_FASTOPEN, TCP_FASTOPEN_KEY, TCP_INFO, TCP_SYN_RECV, TCPI_OPT_SYN_DATA } from "../../../src/uapi/tcp.ts";
import { icmpMessage, ip, ipPacket, receive } from "./harness.ts";
import {
  ACK, bootWire, dev, FIN, finish, inject, PEER, PSH, RST, run, type Segment, sent, sentOne, SYN, US,
} from "./tcp-wire.ts";

const ISN = 1_000_000;
const buffer = new Uint8Array(5000);
const mib = (index: number): number => initNet.mib[index]!;

function server(mode = 0x402, backlog = 8): number {
  initNet.ipv4.tcpFastopen = mode;
  const fd = socket(AF_INET, SOCK_STREAM);
  bind(fd, new SockaddrIn(0, 80));
  listen(fd, backlog);
  return fd;
}

function syn(sport: number, options: number[], payload: number[] = []): Segment {
  inject({ sport, dport: 80, seq: ISN, flags: SYN, options, payload });
  return sentOne();
}

/** A SYN between other addresses. */
function ask(saddr: number, daddr: number, options: number[], sport = 5000): Segment {
  inject({ saddr, daddr, sport, dport: 80, seq: ISN, flags: SYN, options });
  return sentOne();
}

/** The option as the peer would send it back. */
function cookie(sport = 4999): number[] {
  const reply = syn(sport, [34, 2, 1, 1]);
  inject({ sport, dport: 80, seq: ISN + 1, flags: RST });
  return reply.options.slice(reply.options.indexOf(34));
}

function info(fd: number): Int32Array {
  const words = new Int32Array(62);
  getsockopt(fd, SOL_TCP, TCP_INFO, words);
  return words;
}

function synData(fd: number): boolean {
  return ((info(fd)[1]! >> 8) & TCPI_OPT_SYN_DATA) !== 0;
}

test.serial("cookies are those of Linux for the same key and addresses", (t) => {
  bootWire();
  const fd = server();
  // From Google's packetdrill tests of Fast Open: key, client, server, cookie.
  tcpFastopenSetKey(initNet, [0xa0bf63f7 | 0, 0xed803d81 | 0, 0xcd641d30 | 0, 0xcebc4a90 | 0]);
  inetAddAddress(initNet, dev, ip("192.168.0.2"), 24);
  inetAddAddress(initNet, dev, ip("10.255.0.1"), 8);
  run(0);
  sent();
  const reply = ask(ip("10.248.0.2"), ip("192.168.0.2"), [34, 2, 1, 1]);
  t.deepEqual(reply.options.slice(6, 14), [0x00, 0xab, 0xaa, 0xab, 0xe8, 0xe9, 0x54, 0xc2]);
  const other = ask(ip("10.248.0.3"), ip("192.168.0.2"), [34, 2, 1, 1]);
  t.deepEqual(other.options.slice(6, 14), [0x13, 0x13, 0xa2, 0xda, 0x99, 0x4a, 0x09, 0x51]);
  t.is(mib(LINUX_MIB_TCPFASTOPENCOOKIEREQD), 2);
  t.deepEqual(reply.options.slice(4, 6), [34, 10]);
  t.deepEqual(reply.options.slice(14), [1, 1]);
  const exp = ask(ip("10.248.0.2"), ip("192.168.0.2"), [254, 4, 0xf9, 0x89], 5001);
  t.deepEqual(exp.options.slice(4, 8), [254, 12, 0xf9, 0x89], "asked for in the experimental form, answered in it");
  t.deepEqual(exp.options.slice(8), reply.options.slice(6, 14), "one cookie for one address");
  close(fd);
  t.is(reqskCount(), 0);
});

test.serial("a good cookie: the data is read and answered before the handshake ends", (t) => {
  bootWire();
  const fd = server();
  const fo = cookie();
  const reply = syn(5000, fo, [65, 66, 67]);
  t.like(reply, { flags: SYN | ACK, ack: ISN + 4 });
  t.is(reply.options.indexOf(34), -1);
  t.is(reqskCount(), 0);
  t.is(mib(LINUX_MIB_TCPFASTOPENPASSIVE), 1);
  const conn = accept4(fd, null);
  t.true(conn >= 0);
  t.is(info(conn)[0]! & 255, TCP_SYN_RECV);
  t.true(synData(conn));
  const watched = new Pollfd();
  watched.fd = conn;
  watched.events = POLLIN | POLLOUT;
  poll([watched], 1);
  t.is(watched.revents, POLLIN | POLLOUT);
  t.is(recv(conn, buffer, 0, 100, 0), 3);
  t.deepEqual([...buffer.subarray(0, 3)], [65, 66, 67]);
  t.is(recv(conn, buffer, 0, 100, 0), -EAGAIN);
  t.is(send(conn, buffer, 0, 100, 0), 100);
  t.like(sentOne(), { flags: ACK | PSH, seq: reply.seq + 1, ack: ISN + 4 });
  inject({ sport: 5000, dport: 80, seq: ISN + 4, ack: reply.seq + 101, flags: ACK, payload: [68] });
  t.is(info(conn)[0]! & 255, TCP_ESTABLISHED);
  t.is(recv(conn, buffer, 0, 100, 0), 1);
  inject({ sport: 5000, dport: 80, seq: ISN + 5, flags: RST });
  close(conn);
  close(fd);
  finish(t);
});

test.serial("the SYN-ACK of such a sock goes out again", (t) => {
  bootWire();
  const fd = server();
  const reply = syn(5000, cookie(), [1]);
  run(1000);
  t.deepEqual(sentOne(), reply);
  inject({ sport: 5000, dport: 80, seq: ISN + 2, ack: reply.seq + 1, flags: ACK });
  const conn = accept4(fd, null);
  t.is(info(conn)[0]! & 255, TCP_ESTABLISHED);
  t.is(recv(conn, buffer, 0, 10, 0), 1, "the data of the SYN is still there");
  run(5000);
  t.deepEqual(sent(), []);
  inject({ sport: 5000, dport: 80, seq: ISN + 2, flags: RST });
  close(conn);
  close(fd);
  finish(t);
});

test.serial("a wrong cookie gets the right one and a plain handshake; without the option or the leave none", (t) => {
  bootWire();
  const fd = server();
  const fo = cookie();
  const wrong = [...fo];
  wrong[2] = wrong[2]! ^ 1;
  const reply = syn(5000, wrong, [1, 2]);
  t.is(reply.ack, ISN + 1, "the data is not taken");
  t.deepEqual(reply.options.slice(4), fo);
  t.is(mib(LINUX_MIB_TCPFASTOPENPASSIVEFAIL), 1);
  const plain = syn(5001, [], [1, 2]);
  t.is(plain.ack, ISN + 1);
  t.is(plain.options.length, 4);
  run(1000);
  t.true(sent().every((s) => s.options.length === 4), "sent again without the cookie");
  initNet.ipv4.tcpFastopen = 1;
  t.is(syn(5002, fo, [1]).ack, ISN + 1);
  close(fd);
  const off = server(2);
  t.is(syn(5003, fo, [1]).ack, ISN + 1, "the listener did not ask for it");
  t.is(setsockopt(off, SOL_TCP, TCP_FASTOPEN, -1), -EINVAL);
  t.is(setsockopt(off, SOL_TCP, TCP_FASTOPEN, 1), 0);
  t.is(syn(5004, fo, [1]).ack, ISN + 2);
  t.is(syn(5005, fo, [1]).ack, ISN + 1, "one at a time");
  t.is(mib(LINUX_MIB_TCPFASTOPENLISTENOVERFLOW), 1);
  close(off);
  sent();
  finish(t);
});

test.serial("without cookies by sysctl; a FIN, a reset, an unread close", (t) => {
  bootWire();
  const fd = server(0x602);
  const first = syn(5000, [], [1, 2]);
  t.is(first.ack, ISN + 3);
  inject({ sport: 5000, dport: 80, seq: ISN + 3, ack: first.seq + 1, flags: ACK | FIN });
  run(1);
  t.is(sentOne().ack, ISN + 4);
  const a = accept4(fd, null);
  t.is(recv(a, buffer, 0, 10, 0), 2);
  t.is(recv(a, buffer, 0, 10, 0), 0);
  close(a);
  t.like(sentOne(), { flags: ACK | FIN });
  inject({ sport: 5000, dport: 80, seq: ISN + 4, ack: first.seq + 2, flags: ACK });
  syn(5001, [], [1, 2]);
  inject({ sport: 5001, dport: 80, seq: ISN + 3, flags: RST });
  const b = accept4(fd, null);
  t.is(recv(b, buffer, 0, 10, 0), 2);
  t.is(recv(b, buffer, 0, 10, 0), -ECONNRESET);
  close(b);
  syn(5002, [], [1, 2]);
  close(accept4(fd, null));
  t.like(sentOne(), { flags: RST | ACK, ack: ISN + 3 });
  const last = syn(5003, [], [1, 2]);
  close(fd);
  t.like(sentOne(), { flags: RST | ACK, seq: last.seq + 1, ack: ISN + 3 });
  finish(t);
});

test.serial("ICMP unreachable ends one that nobody has; the waiting are counted right", (t) => {
  bootWire();
  const fd = server(0x602);
  inject({ sport: 5000, dport: 80, seq: ISN, flags: SYN, payload: [1, 2] });
  const quoted = dev.sent.at(-1)!.slice(0, 28);
  sent();
  receive(dev, ipPacket({ saddr: PEER, daddr: US, protocol: 1, payload: icmpMessage(3, 1, 0, quoted) }));
  const conn = accept4(fd, null);
  t.is(recv(conn, buffer, 0, 10, 0), 2);
  t.is(recv(conn, buffer, 0, 10, 0), -EHOSTUNREACH);
  t.is(send(conn, buffer, 0, 10, 0), -EPIPE);
  inetForEachListener((sk) => t.is(words[sk.tp.cold + TP_FASTOPEN_QLEN]!, 0));
  close(conn);
  close(fd);
  finish(t);
});

test.serial("each namespace has keys of its own, and its listeners have those", (t) => {
  bootWire();
  const other = createNet();
  const keyIn = (net: Net): number[] => {
    setNs(net);
    const fd = socket(AF_INET, SOCK_STREAM);
    const out = new Uint8Array(32);
    const length = getsockopt(fd, SOL_TCP, TCP_FASTOPEN_KEY, out);
    close(fd);
    setNs(initNet);
    return [...out.subarray(0, length)];
  };
  t.is(keyIn(initNet).length, 16);
  t.notDeepEqual(keyIn(other), keyIn(initNet));
  t.is(tcpFastopenSetKey(other, [1, 2, 3]), -EINVAL);
  t.is(tcpFastopenSetKey(other, [1, 2, 3, 4, 5, 6, 7, 8]), 0);
  t.deepEqual(keyIn(other), [1, 2, 3, 4, 5, 6, 7, 8].flatMap((word) => [word, 0, 0, 0]));
  t.is(keyIn(initNet).length, 16, "and nobody else's have changed");
});
