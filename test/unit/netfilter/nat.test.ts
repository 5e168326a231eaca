/** NAT: what packets become on their way through a router, and back; what a router's own packets become; who is forgotten when. */
import test from "ava";
import { ip as ipCommand, iptables as iptablesCommand } from "../../../src/commands/index.ts";
import { CT_STAT_INSERT_FAILED, nfCtStat } from "../../../src/conntrack.ts";
import { NF_ACCEPT, NF_INET_FORWARD, NfHookOps, NFPROTO_IPV4, nfRegisterHook } from "../../../src/netfilter.ts";
import { memView } from "../../../src/lib/memory.ts";
import { consumeSkb, type SkBuff, skbClone } from "../../../src/stack/core/skbuff.ts";
import {
  accept4, bind, connect, listen, recv, recvfrom, send, sendto, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, ECONNREFUSED } from "../../../src/uapi/errno.ts";
import { MSG_DONTWAIT, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { udpDatagram } from "../../lib/frames.ts";
import { icmpMessage, ipPacket } from "../ipv4/harness.ts";
import {
  atInside, atOutside, bootRouter, entries, finish, GATE, INSIDE, INSIDE_GATE, inside, keep, open, OUTSIDE, outside, router, rules, turn,
} from "./home-router.ts";

const PORT = 7000;
const out = new Uint8Array([1, 2, 3, 4]);
const into = new Uint8Array(4096);
const from = new SockaddrIn();
const masquerade = "-t nat -A POSTROUTING -o eth1 -j MASQUERADE";

test.beforeEach(() => bootRouter());
/** TIME_WAIT is over by then. */
test.afterEach((t) => finish(t, 70_000));

const addr = (packet: Uint8Array, at: number): number => new DataView(packet.buffer, packet.byteOffset).getInt32(at);
const port = (packet: Uint8Array, at: number): number => new DataView(packet.buffer, packet.byteOffset).getUint16(20 + at);
const last = (packets: readonly Uint8Array[]): Uint8Array => packets.at(-1)!;

/** A datagram socket of a host, bound to a port. */
function udp(net: typeof router, local = 0): number {
  const fd = open(net, SOCK_DGRAM);
  if (local !== 0) bind(fd, new SockaddrIn(0, local));
  return fd;
}

function say(fd: number, to: number, toPort: number): number {
  const sent = sendto(fd, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(to, toPort));
  turn();
  return sent;
}

/** What a socket has got: "address:port", or the errno. */
function heard(fd: number): string | number {
  const count = recvfrom(fd, into, 0, 100, MSG_DONTWAIT, from);
  return count < 0 ? count : `${from.addr >>> 0}:${from.port}`;
}

const at = (address: number, local: number): string => `${address >>> 0}:${local}`;

/** A server that listens, and a client's connection to some address: both ends, and whom the server sees. */
function dial(server: number, net: typeof router, to: number, toPort: number): { client: number; conn: number; peer: string } {
  const client = open(net, SOCK_STREAM | SOCK_NONBLOCK);
  connect(client, new SockaddrIn(to, toPort));
  turn(50);
  const conn = keep(accept4(server, from, SOCK_NONBLOCK));
  return { client, conn, peer: at(from.addr, 0) };
}

function listener(net: typeof router, local: number): number {
  const fd = open(net, SOCK_STREAM);
  bind(fd, new SockaddrIn(0, local));
  listen(fd, 8);
  return fd;
}

/** Bytes go both ways. */
function echoes(client: number, server: number): boolean {
  send(client, out, 0, 4, MSG_DONTWAIT);
  turn();
  const there = recv(server, into, 0, 100, MSG_DONTWAIT);
  send(server, into, 0, there, MSG_DONTWAIT);
  turn();
  return there === 4 && recv(client, into, 0, 100, MSG_DONTWAIT) === 4;
}

test.serial("masquerading: outside sees the router's address and inside's port; the answer comes back", (t) => {
  rules(masquerade);
  const server = udp(outside, PORT);
  const client = udp(inside, 5000);
  say(client, OUTSIDE, PORT);
  t.is(heard(server), at(GATE, 5000));
  say(server, GATE, 5000);
  t.is(heard(client), at(OUTSIDE, PORT));
  t.deepEqual(entries(), [
    "udp 17 src=10.0.0.2 dst=192.0.2.2 sport=5000 dport=7000 src=192.0.2.2 dst=192.0.2.1 sport=7000 dport=5000",
  ]);
  t.regex(iptablesCommand(router, "-t nat -nvL POSTROUTING").text, / 1 +32 MASQUERADE/, "the table is asked once");
});

test.serial("masquerading TCP: a connection works, and its entry tells both tuples", (t) => {
  rules(masquerade);
  const { client, conn, peer } = dial(listener(outside, 80), inside, OUTSIDE, 80);
  t.is(peer, at(GATE, 0));
  t.true(echoes(client, conn));
  t.regex(
    entries()[0]!,
    /^tcp 6 ESTABLISHED src=10.0.0.2 dst=192.0.2.2 sport=(\d+) dport=80 src=192.0.2.2 dst=192.0.2.1 sport=80 dport=\1 \[ASSURED\]$/,
  );
});

test.serial("two that come from the same port to the same service get two ports, and one source keeps its port to all", (t) => {
  rules("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 192.0.2.1");
  const server = udp(outside, PORT);
  const other = udp(outside, PORT + 1);
  const own = udp(router, 5000);
  const client = udp(inside, 5000);
  say(own, OUTSIDE, PORT);
  t.is(heard(server), at(GATE, 5000), "the router's own");
  say(client, OUTSIDE, PORT);
  const given = heard(server) as string;
  t.not(given, at(GATE, 5000));
  t.true(Number(given.split(":")[1]) >= 1024);
  say(client, OUTSIDE, PORT + 1);
  t.is(heard(other), given, "what the source has already, though its own port is free there");
  say(server, GATE, Number(given.split(":")[1]));
  t.is(heard(client), at(OUTSIDE, PORT));
  say(server, GATE, 5000);
  t.is(heard(own), at(OUTSIDE, PORT));
});

test.serial("privileged ports stay privileged", (t) => {
  rules("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 192.0.2.1");
  const server = udp(outside, PORT);
  for (const [local, low, high] of [[100, 1, 511], [700, 600, 1023]] as const) {
    say(udp(router, local), OUTSIDE, PORT);
    heard(server);
    say(udp(inside, local), OUTSIDE, PORT);
    const given = Number((heard(server) as string).split(":")[1]);
    t.true(given >= low && given <= high && given !== local, `${local} became ${given}`);
  }
});

test.serial("ports of a range; one port for two is a clash, and the second is dropped when it is confirmed", (t) => {
  rules("-t nat -A POSTROUTING -p udp -o eth1 -j MASQUERADE --to-ports 40000-40001");
  const server = udp(outside, PORT);
  const given = [1, 2].map(() => {
    say(udp(inside), OUTSIDE, PORT);
    return Number((heard(server) as string).split(":")[1]);
  });
  t.deepEqual(given.sort(), [40000, 40001]);
  const failed = nfCtStat(CT_STAT_INSERT_FAILED);
  say(udp(inside), OUTSIDE, PORT);
  t.is(heard(server), -EAGAIN);
  t.is(nfCtStat(CT_STAT_INSERT_FAILED), failed + 1);
});

test.serial("echo requests: the identifier is translated where two are the same, and the answers find their way", (t) => {
  rules(masquerade);
  const sockets = [inside, router].map((net) => open(net, SOCK_RAW, 1));
  const bytes = icmpMessage(8, 0, (77 << 16) | 1, out);
  for (const fd of sockets) {
    sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(OUTSIDE));
    turn();
  }
  t.is(port(atOutside[0]!, 4), 77);
  t.not(port(atOutside[1]!, 4), 77);
  for (const fd of sockets) {
    t.true(recv(fd, into, 0, 100, MSG_DONTWAIT) > 0);
    t.is((into[24]! << 8) | into[25]!, 77, "back as it was");
  }
});

test.serial("a forwarded port: who asks the router's address is answered by inside, from that address", (t) => {
  rules("-t nat -A PREROUTING -i eth1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80");
  const { client, conn, peer } = dial(listener(inside, 80), outside, GATE, 8080);
  t.is(peer, at(OUTSIDE, 0), "inside sees who it is");
  t.true(echoes(client, conn));
  t.true(atOutside.every((packet) => addr(packet, 12) === GATE && port(packet, 0) === 8080));
  t.regex(entries()[0]!, /dst=192.0.2.1 sport=\d+ dport=8080 src=10.0.0.2 dst=192.0.2.2 sport=80 /);
});

test.serial("hairpin: inside reaches inside by the address outside", (t) => {
  rules(
    "-t nat -A PREROUTING -d 192.0.2.1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80",
    "-t nat -A POSTROUTING -s 10.0.0.0/24 -d 10.0.0.2 -j MASQUERADE",
  );
  const { client, conn, peer } = dial(listener(inside, 80), inside, GATE, 8080);
  t.is(peer, at(INSIDE_GATE, 0));
  t.true(echoes(client, conn));
  t.regex(entries()[0]!, /src=10.0.0.2 dst=192.0.2.1 sport=\d+ dport=8080 src=10.0.0.2 dst=10.0.0.1 sport=80 /);
});

test.serial("redirecting: what goes anywhere is answered by the router, from there", (t) => {
  rules("-t nat -A PREROUTING -i eth0 -p udp --dport 53 -j REDIRECT --to-ports 5353");
  const server = udp(router, 5353);
  const client = udp(inside);
  say(client, 0x08080808, 53);
  const asker = heard(server) as string;
  t.is(asker.split(":")[0], String(INSIDE >>> 0));
  say(server, INSIDE, Number(asker.split(":")[1]));
  t.is(heard(client), at(0x08080808, 53));
});

test.serial("this host's own packets: to another host, which is another route; to itself; sums of what was for loopback are made", (t) => {
  rules(
    "-t nat -A OUTPUT -d 9.9.9.9 -p udp -j DNAT --to-destination 192.0.2.2:7000",
    "-t nat -A OUTPUT -d 10.0.0.2 -p udp --dport 53 -j REDIRECT --to-ports 5353",
    "-t nat -A OUTPUT -d 10.0.0.1 -p tcp --dport 81 -j DNAT --to-destination 192.0.2.2:80",
    "-t nat -A POSTROUTING -o eth1 -p tcp -j MASQUERADE",
  );
  // 9.9.9.9 needs a route before it is known that it is not where the packet goes.
  ipCommand(router, "route add 9.9.9.9 via 10.0.0.2");
  const server = udp(outside, PORT);
  const client = udp(router);
  say(client, 0x09090909, 1);
  const asker = heard(server) as string;
  t.is(asker.split(":")[0], String(INSIDE_GATE >>> 0), "the source is that of the first route");
  const local = open(router, SOCK_DGRAM);
  bind(local, new SockaddrIn(0x7f000001, 5353));
  const other = udp(router);
  say(other, INSIDE, 53);
  const own = heard(local) as string;
  say(local, Number(own.split(":")[0]) | 0, Number(own.split(":")[1]));
  t.is(heard(other), at(INSIDE, 53));
  const { client: tcp, conn, peer } = dial(listener(outside, 80), router, INSIDE_GATE, 81);
  t.is(peer, at(GATE, 0));
  t.true(echoes(tcp, conn));
  ipCommand(router, "route del 9.9.9.9 via 10.0.0.2");
});

test.serial("INPUT: sources of what is for this host", (t) => {
  rules("-t nat -A INPUT -p udp -j SNAT --to-source 10.0.0.99");
  const server = udp(router, PORT);
  const client = udp(inside, 5000);
  say(client, INSIDE_GATE, PORT);
  t.is(heard(server), at(0x0a000063, 5000));
  say(server, 0x0a000063, 5000);
  t.is(heard(client), at(INSIDE_GATE, PORT));
});

test.serial("an error from beyond comes to inside, and quotes what inside has sent", (t) => {
  rules(masquerade);
  const client = udp(inside, 5000);
  connect(client, new SockaddrIn(OUTSIDE, 9));
  send(client, out, 0, 4, MSG_DONTWAIT);
  turn();
  t.is(send(client, out, 0, 4, MSG_DONTWAIT), -ECONNREFUSED);
  const error = last(atInside);
  t.is(addr(error, 12), OUTSIDE);
  t.is(addr(error, 16), INSIDE);
  t.is(addr(error, 28 + 12), INSIDE, "quoted source");
  t.is(new DataView(error.buffer).getUint16(48), 5000);
});

test.serial("an error from a hop in between is its own, and is translated inside alone", (t) => {
  rules(masquerade);
  const server = udp(outside, PORT);
  const client = udp(inside, 5000);
  say(udp(router, 5000), OUTSIDE, PORT);
  say(client, OUTSIDE, PORT);
  heard(server);
  const given = Number((heard(server) as string).split(":")[1]);
  t.not(given, 5000);
  const fd = open(outside, SOCK_RAW, 1);
  const quoted = ipPacket({ saddr: GATE, daddr: OUTSIDE, protocol: 17, payload: udpDatagram(GATE, OUTSIDE, given, PORT, out) });
  const bytes = icmpMessage(11, 0, 0, quoted);
  sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(GATE));
  turn();
  const error = last(atInside);
  t.is(error[20], 11);
  t.is(addr(error, 16), INSIDE);
  t.is(addr(error, 40), INSIDE);
  t.is(new DataView(error.buffer).getUint16(48), 5000);
  // Of eight bytes of TCP the checksum is not there; and a quote that is cut off is no error about anything.
  const short = icmpMessage(11, 0, 0, quoted.subarray(0, 24));
  const count = atInside.length;
  sendto(fd, short, 0, short.length, MSG_DONTWAIT, new SockaddrIn(GATE));
  turn();
  t.is(atInside.length, count);
});

test.serial("an error of inside about a forwarded port comes from the address outside", (t) => {
  rules("-t nat -A PREROUTING -i eth1 -p udp --dport 8080 -j DNAT --to-destination 10.0.0.2:80");
  const client = udp(outside, 5000);
  connect(client, new SockaddrIn(GATE, 8080));
  send(client, out, 0, 4, MSG_DONTWAIT);
  turn();
  t.is(send(client, out, 0, 4, MSG_DONTWAIT), -ECONNREFUSED);
  const error = last(atOutside);
  t.is(addr(error, 12), GATE);
  t.is(addr(error, 28 + 16), GATE, "quoted destination");
  t.is(new DataView(error.buffer).getUint16(50), 8080);
});

test.serial("what the router itself says of a translated packet looks as the packet's sender knows it", (t) => {
  rules(
    "-t nat -A PREROUTING -i eth1 -p udp --dport 8080 -j DNAT --to-destination 10.0.0.77:80",
    "-t nat -A PREROUTING -i eth1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80",
    "-A FORWARD -p tcp --dport 80 -j REJECT --reject-with tcp-reset",
    "-A FORWARD -p udp --dport 80 -j REJECT --reject-with icmp-port-unreachable",
  );
  const client = open(outside, SOCK_STREAM | SOCK_NONBLOCK);
  connect(client, new SockaddrIn(GATE, 8080));
  turn();
  t.is(connect(client, new SockaddrIn(GATE, 8080)), -ECONNREFUSED, "the reset is from where it was sent to");
  const asker = udp(outside, 5000);
  connect(asker, new SockaddrIn(GATE, 8080));
  send(asker, out, 0, 4, MSG_DONTWAIT);
  turn();
  t.is(send(asker, out, 0, 4, MSG_DONTWAIT), -ECONNREFUSED);
  t.is(addr(last(atOutside), 12), GATE);
});

test.serial("UDP without a checksum stays without", (t) => {
  rules(masquerade);
  const server = udp(outside, PORT);
  const fd = open(inside, SOCK_RAW, 17);
  const bytes = udpDatagram(INSIDE, OUTSIDE, 5000, PORT, out);
  bytes[6] = bytes[7] = 0;
  sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(OUTSIDE));
  turn();
  t.is(heard(server), at(GATE, 5000));
  t.is(port(last(atOutside), 6), 0);
});

test.serial("a datagram in fragments is translated as one", (t) => {
  rules(masquerade);
  const server = udp(outside, PORT);
  const client = udp(inside, 5000);
  sendto(client, into, 0, 4000, MSG_DONTWAIT, new SockaddrIn(OUTSIDE, PORT));
  turn();
  t.is(recvfrom(server, into, 0, 4096, MSG_DONTWAIT, from), 4000);
  t.is(from.addr, GATE);
});

test.serial("with the address go the connections that were masqueraded as it, and with the device all of its", (t) => {
  rules(masquerade);
  const server = udp(outside, PORT);
  const client = udp(inside, 5000);
  const one = (): number => {
    say(client, OUTSIDE, PORT);
    return entries().length;
  };
  t.is(one(), 1);
  ipCommand(router, "addr add 192.0.2.9/32 dev eth1");
  ipCommand(router, "addr del 192.0.2.9/32 dev eth1");
  t.is(entries().length, 1, "another address");
  ipCommand(router, "link set eth0 down");
  t.is(entries().length, 1, "another device");
  ipCommand(router, "link set eth0 up");
  t.is(one(), 1);
  ipCommand(router, "link set eth1 down");
  t.is(entries().length, 0);
  ipCommand(router, "link set eth1 up");
  turn(3000);
  ipCommand(router, "addr del 192.0.2.1/24 dev eth1");
  ipCommand(router, "addr add 192.0.2.7/24 dev eth1");
  while (heard(server) !== -EAGAIN);
  t.is(one(), 1);
  t.is(heard(server), at(0xc0000207 | 0, 5000));
  ipCommand(router, "addr del 192.0.2.7/24 dev eth1");
  t.is(entries().length, 0);
  ipCommand(router, "addr add 192.0.2.1/24 dev eth1");
  turn(3000);
});

test.serial("what nat's rules do not name is bound to what it has, and nobody is translated to that", (t) => {
  rules("-t nat -A POSTROUTING -o eth1 -s 10.0.0.0/24 -p udp -j SNAT --to-source 192.0.2.1:6000-6001");
  const server = udp(outside, PORT);
  say(udp(router, 6000), OUTSIDE, PORT);
  t.is(heard(server), at(GATE, 6000));
  say(udp(inside), OUTSIDE, PORT);
  t.is(heard(server), at(GATE, 6001));
});

test.serial("addresses of a range: the same for the same ends; PERSISTENT: for the same source; Linux's choice", (t) => {
  rules("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 192.0.2.10-192.0.2.20");
  const client = udp(inside, 5000);
  say(client, OUTSIDE, PORT);
  say(client, OUTSIDE, PORT + 1);
  say(udp(inside, 5001), OUTSIDE, PORT);
  t.is(new Set(atOutside.map((packet) => addr(packet, 12))).size, 1);
  rules("-t nat -F", "-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 192.0.2.10-192.0.2.20 --persistent");
  say(udp(inside, 5002), OUTSIDE, PORT);
  t.deepEqual([atOutside[0]!, last(atOutside)].map((packet) => packet[15]), [LINUX_RANGE, LINUX_PERSISTENT]);
});

/** Last byte of what Linux 6.18 translates 10.0.0.2 → 192.0.2.2 to with these rules. */
const LINUX_RANGE = 14;
const LINUX_PERSISTENT = 20;

test.serial("a packet that somebody else sees too is translated in bytes of its own", (t) => {
  rules(masquerade);
  const seen: SkBuff[] = [];
  nfRegisterHook(new NfHookOps((_net, skb) => {
    seen.push(skbClone(skb)!);
    return NF_ACCEPT;
  }, NFPROTO_IPV4, NF_INET_FORWARD, 0, router));
  say(udp(inside, 5000), OUTSIDE, PORT);
  t.is(memView.getInt32(seen[0]!.nh + 12), INSIDE);
  t.is(addr(atOutside[0]!, 12), GATE);
  for (const skb of seen) consumeSkb(skb);
});
