/** Connection tracking: what packets are to their connections, how long those are remembered, and what a full table does. */
import test from "ava";
import { conntrack as command, iptables as iptablesCommand } from "../../../src/commands/index.ts";
import {
  conntrack, CT_STAT_DROP, CT_STAT_EARLY_DROP, CT_STAT_ERROR, CT_STAT_INSERT, CT_STAT_INVALID, nfConntrackFlush, nfCtStat,
} from "../../../src/conntrack.ts";
import { forwarding, ipForwardSet } from "../../../src/forwarding.ts";
import { fragments } from "../../../src/fragments.ts";
import { iptables } from "../../../src/iptables.ts";
import {
  NF_ACCEPT, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING, NF_IP_PRI_FILTER, netfilter, NfHookOps, NFPROTO_IPV4,
  nfRegisterHook,
} from "../../../src/netfilter.ts";
import { raw } from "../../../src/raw.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import {
  accept4, bind, close, connect, listen, recv, recvfrom, send, sendto, SockaddrIn,
} from "../../../src/stack/socket/index.ts";
import { EAGAIN, EALREADY, ECONNREFUSED, EPERM } from "../../../src/uapi/errno.ts";
import { MSG_DONTWAIT, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { tcpSegment, type TcpFields } from "../../lib/frames.ts";
import { icmpMessage, ipPacket } from "../ipv4/harness.ts";
import { a, ADDR_A, ADDR_B, b, bootHosts, devB, finish, open, turn } from "../ipv4/two-hosts.ts";

const PORT = 7000;
const out = new Uint8Array([1, 2, 3, 4]);
const into = new Uint8Array(4096);
const from = new SockaddrIn();

function start(more: object = {}): void {
  bootHosts({ initcalls: [raw, fragments, forwarding, netfilter, iptables, conntrack], ...more });
}

test.beforeEach(() => start());
test.afterEach((t) => {
  nfConntrackFlush(a);
  nfConntrackFlush(b);
  finish(t, 1500);
});

/** The connections of a host, without their ports and what does not change. */
const entries = (net = b): string[] =>
  command(net, "-L").text.split("\n").slice(0, -1)
    .map((line) => line.replace(/ (src|dst|sport|dport|id|mark|use)=\S+/g, "").replace(/ +/g, " "));

function rule(net: typeof a, line: string): void {
  const { status, error } = iptablesCommand(net, line);
  if (status !== 0) throw new Error(`${line}: ${error}`);
}

/** What packets are to their connections at a hook of b, in order. */
function states(hooknum = NF_INET_LOCAL_IN): string[] {
  const names = ["ESTABLISHED", "RELATED", "NEW", "ESTABLISHED reply", "RELATED reply", "", "", "UNTRACKED"];
  const seen: string[] = [];
  nfRegisterHook(new NfHookOps((_net, skb) => {
    seen.push(skb.ackSeq === 0 ? "INVALID" : names[skb.ackSeq & 7]!);
    return NF_ACCEPT;
  }, NFPROTO_IPV4, hooknum, NF_IP_PRI_FILTER, b));
  return seen;
}

/** A socket of a that sends segments as they are written; b, whose table it is about, does not answer, so that only they change it. */
function segments(): (fields: Partial<TcpFields>) => void {
  const fd = open(a, SOCK_RAW, 6);
  rule(b, "-t raw -A OUTPUT -p tcp -j DROP");
  return (fields) => {
    const bytes = tcpSegment(ADDR_A, ADDR_B, { sport: 1000, dport: 80, flags: "A", ...fields });
    sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(ADDR_B));
    turn(1);
  };
}

test.serial("a TCP connection's life as both ends see it: states, timeouts, who is assured", (t) => {
  const listener = open(b, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 1);
  const seen = states();
  const client = open(a, SOCK_STREAM | SOCK_NONBLOCK);
  connect(client, new SockaddrIn(ADDR_B, 80));
  turn();
  t.deepEqual(entries(), ["tcp 6 431999 ESTABLISHED [ASSURED]"]);
  t.deepEqual(entries(a), ["tcp 6 431999 ESTABLISHED [ASSURED]"]);
  t.deepEqual(seen, ["NEW", "ESTABLISHED"]);
  const server = accept4(listener, null, SOCK_NONBLOCK);
  send(client, out, 0, 4, MSG_DONTWAIT);
  turn();
  t.is(recv(server, into, 0, 4, MSG_DONTWAIT), 4);
  close(client);
  turn(100);
  t.deepEqual(entries(), ["tcp 6 59 CLOSE_WAIT [ASSURED]"]);
  close(server);
  turn(100);
  t.deepEqual(entries(), ["tcp 6 119 TIME_WAIT [ASSURED]"]);
  t.true(seen.slice(1).every((state) => state === "ESTABLISHED"));
  turn(119_000);
  t.deepEqual(entries(), ["tcp 6 0 TIME_WAIT [ASSURED]"]);
  turn(1000);
  t.deepEqual(entries(), []);
});

test.serial("the line of an entry is Linux's", (t) => {
  const segment = segments();
  segment({ flags: "S" });
  t.is(
    procRead(b, "net/nf_conntrack"),
    "ipv4     2 tcp      6 119 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 [UNREPLIED] "
    + "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1000 mark=0 zone=0 use=2\n",
  );
  const { text, error } = command(b, "-L");
  t.is(
    text,
    "tcp      6 119 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 [UNREPLIED] "
    + "src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1000 mark=0 use=1\n",
  );
  t.is(error, "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been shown.\n");
  t.is(command(b, "-C").text, "1\n");
  t.is(command(b, "-F").status, 0);
  t.is(command(b, "-C").text, "0\n");
  t.is(command(b, "-X").status, 2);
});

test.serial("segments that cannot be are invalid and make no entry; an ACK in the middle is picked up", (t) => {
  const seen = states();
  const segment = segments();
  for (const flags of ["SF", "SR", "F", "", "FPU", "SA", "R", "FA"]) segment({ flags });
  t.deepEqual(seen, new Array(8).fill("INVALID"));
  t.deepEqual(entries(), []);
  t.is(nfCtStat(CT_STAT_INVALID) >= 8, true);
  segment({ flags: "PA" });
  t.is(seen.pop(), "NEW");
  t.deepEqual(entries(), ["tcp 6 299 ESTABLISHED [UNREPLIED]"]);
  segment({ flags: "R" });
  t.deepEqual(entries(), [], "a reset of what was never answered");
});

test.serial("a SYN to nobody: the reset that answers ends the entry at once, and is part of it", (t) => {
  const client = open(a, SOCK_STREAM | SOCK_NONBLOCK);
  rule(a, "-P INPUT DROP");
  rule(a, "-A INPUT -m state --state ESTABLISHED -j ACCEPT");
  connect(client, new SockaddrIn(ADDR_B, 80));
  turn();
  t.deepEqual(entries(), []);
  t.deepEqual(entries(a), []);
  t.is(connect(client, new SockaddrIn(ADDR_B, 80)), -ECONNREFUSED);
});

test.serial("the timeouts of UDP are exact: 30 s, and 120 s once both have spoken for two seconds", (t) => {
  const server = open(b, SOCK_DGRAM);
  bind(server, new SockaddrIn(0, PORT));
  const client = open(a, SOCK_DGRAM);
  connect(client, new SockaddrIn(ADDR_B, PORT));
  const ask = (): void => {
    send(client, out, 0, 4, MSG_DONTWAIT);
    a.poll();
    while (a.poll() === 0);
  };
  const answer = (): void => {
    recvfrom(server, into, 0, 4, MSG_DONTWAIT, from);
    sendto(server, out, 0, 4, MSG_DONTWAIT, from);
    while (a.poll() === 0);
  };
  ask();
  turn(1);
  nfConntrackFlush(a);
  nfConntrackFlush(b);
  ask();
  t.deepEqual(entries(), ["udp 17 30 [UNREPLIED]"]);
  turn(29_999);
  t.deepEqual(entries(), ["udp 17 0 [UNREPLIED]"]);
  turn(1);
  t.deepEqual(entries(), []);
  const seen = states();
  ask();
  answer();
  ask();
  t.deepEqual(seen, ["NEW", "ESTABLISHED"]);
  t.deepEqual(entries(), ["udp 17 30"]);
  turn(2000);
  ask();
  t.deepEqual(entries(), ["udp 17 30"], "two seconds, not more");
  turn(1);
  ask();
  t.deepEqual(entries(), ["udp 17 120 [ASSURED]"]);
  turn(119_999);
  t.deepEqual(entries(), ["udp 17 0 [ASSURED]"]);
  turn(1);
  t.deepEqual(entries(), []);
});

test.serial("ICMP: a question and its answer by identifier; an answer to nothing is invalid; 30 s", (t) => {
  const seen = states();
  const fd = open(a, SOCK_RAW, 1);
  const message = (type: number, id: number): void => {
    const bytes = icmpMessage(type, 0, (id << 16) | 1, out);
    sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(ADDR_B));
    turn(1);
  };
  message(8, 7);
  message(8, 7);
  message(8, 8);
  t.deepEqual(seen, ["NEW", "ESTABLISHED", "NEW"]);
  t.deepEqual(entries(), ["icmp 1 29 type=8 code=0 type=0 code=0", "icmp 1 29 type=8 code=0 type=0 code=0"]);
  message(0, 9);
  message(5, 9);
  t.deepEqual(seen.slice(3), ["INVALID", "INVALID"]);
  t.is(nfCtStat(CT_STAT_ERROR) > 0, true);
  turn(30_000);
  t.deepEqual(entries(), []);
});

test.serial("an ICMP error belongs to the connection it quotes, and to none when it goes to somebody else", (t) => {
  const client = open(b, SOCK_DGRAM);
  bind(client, new SockaddrIn(0, 5000));
  sendto(client, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_A, PORT));
  const seen = states();
  turn();
  t.deepEqual(seen, ["RELATED reply"]);
  const fd = open(a, SOCK_RAW, 1);
  const error = (saddr: number, port: number): void => {
    const udp = new Uint8Array([port >> 8, port & 255, PORT >> 8, PORT & 255, 0, 12, 0, 0]);
    const bytes = icmpMessage(3, 1, 0, ipPacket({ saddr, daddr: ADDR_A, protocol: 17, payload: udp }));
    sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(ADDR_B));
    turn(1);
  };
  error(ADDR_B, 5000);
  error(ADDR_B, 5001);
  error(ADDR_A, 5000);
  t.deepEqual(seen.slice(1), ["RELATED reply", "INVALID", "INVALID"]);
});

test.serial("what else there is: by addresses alone, 600 s", (t) => {
  const fd = open(a, SOCK_RAW, 99);
  sendto(fd, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_B));
  turn();
  // b knows no such protocol and says so.
  t.deepEqual(entries().filter((line) => !line.includes("icmp")), ["unknown 99 599 [UNREPLIED]"]);
});

test.serial("ESTABLISHED,RELATED lets answers in and nothing else", (t) => {
  rule(b, "-P INPUT DROP");
  rule(b, "-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT");
  const inside = open(b, SOCK_DGRAM);
  const outside = open(a, SOCK_DGRAM);
  bind(inside, new SockaddrIn(0, 5000));
  bind(outside, new SockaddrIn(0, PORT));
  const knock = (fd: number, to: number, port: number): void => {
    sendto(fd, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(to, port));
    turn();
  };
  knock(outside, ADDR_B, 5000);
  t.is(recv(inside, into, 0, 4, MSG_DONTWAIT), -EAGAIN);
  t.deepEqual(entries(), [], "what was dropped is no connection");
  knock(inside, ADDR_A, PORT);
  knock(outside, ADDR_B, 5000);
  t.is(recv(inside, into, 0, 4, MSG_DONTWAIT), 4);
  const other = open(a, SOCK_DGRAM);
  knock(other, ADDR_B, 5000);
  t.is(recv(inside, into, 0, 4, MSG_DONTWAIT), -EAGAIN);
  // An error comes in as well.
  connect(inside, new SockaddrIn(ADDR_A, 9));
  send(inside, out, 0, 4, MSG_DONTWAIT);
  turn();
  t.is(send(inside, out, 0, 4, MSG_DONTWAIT), -ECONNREFUSED);
  // And so is a TCP connection that b opens, and none that it is asked for.
  const listener = open(a, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 1);
  const client = open(b, SOCK_STREAM | SOCK_NONBLOCK);
  connect(client, new SockaddrIn(ADDR_A, 80));
  turn();
  t.is(connect(client, new SockaddrIn(ADDR_A, 80)), 0);
  const closed = open(b, SOCK_STREAM);
  bind(closed, new SockaddrIn(0, 81));
  listen(closed, 1);
  const stranger = open(a, SOCK_STREAM | SOCK_NONBLOCK);
  connect(stranger, new SockaddrIn(ADDR_B, 81));
  turn(100);
  t.is(accept4(closed, null, SOCK_NONBLOCK), -EAGAIN);
  rule(b, "-P INPUT ACCEPT");
});

test.serial("a full table drops what is not assured", (t) => {
  start({ nfConntracks: 8 });
  const segment = segments();
  rule(a, "-t raw -A OUTPUT -j CT --notrack");
  for (let port = 1; port <= 40; port++) {
    segment({ sport: port, flags: "S" });
    t.is(entries().length, nfCtStat(CT_STAT_INSERT) - nfCtStat(CT_STAT_EARLY_DROP));
  }
  t.is(nfCtStat(CT_STAT_INSERT), 40);
  t.true(nfCtStat(CT_STAT_EARLY_DROP) >= 32);
  t.is(nfCtStat(CT_STAT_DROP), 0);
});

test.serial("when all in a full table are assured the packets of new connections are dropped", (t) => {
  start({ nfConntracks: 8 });
  for (const chain of ["OUTPUT", "PREROUTING"]) rule(a, `-t raw -A ${chain} -j CT --notrack`);
  const listener = open(b, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 8);
  const dial = (): number => {
    const client = open(a, SOCK_STREAM | SOCK_NONBLOCK);
    connect(client, new SockaddrIn(ADDR_B, 80));
    turn();
    return connect(client, new SockaddrIn(ADDR_B, 80));
  };
  for (let i = 0; i < 8; i++) t.is(dial(), 0);
  t.deepEqual(entries(), new Array(8).fill("tcp 6 431999 ESTABLISHED [ASSURED]"));
  t.is(nfCtStat(CT_STAT_DROP), 0);
  t.is(dial(), -EALREADY);
  t.is(nfCtStat(CT_STAT_DROP), 1);
  t.is(entries().length, 8);
  t.is(nfCtStat(CT_STAT_EARLY_DROP), 0);
});

test.serial("what is not to be tracked is UNTRACKED and makes no entry", (t) => {
  const seen = states();
  rule(b, "-t raw -A PREROUTING -p udp --dport 7000 -j CT --notrack");
  const client = open(a, SOCK_DGRAM);
  for (const port of [PORT, PORT + 1]) {
    sendto(client, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_B, port));
    turn();
  }
  t.deepEqual(seen, ["UNTRACKED", "NEW"]);
  t.is(entries().filter((line) => line.startsWith("udp")).length, 1);
  t.regex(iptablesCommand(b, "-t raw -S").text, /-j CT --notrack\n/);
});

test.serial("a port that is used again after the end begins a new connection; a SYN within one is for the other end to judge", (t) => {
  const seen = states();
  const segment = segments();
  const answer = open(b, SOCK_RAW, 6);
  rule(b, "-t raw -F");
  rule(b, "-t raw -A OUTPUT -p tcp --tcp-flags RST RST -j DROP");
  const reply = (fields: Partial<TcpFields>): void => {
    const bytes = tcpSegment(ADDR_B, ADDR_A, { sport: 80, dport: 1000, flags: "A", ...fields });
    sendto(answer, bytes, 0, bytes.length, MSG_DONTWAIT, new SockaddrIn(ADDR_A));
    turn(1);
  };
  rule(a, "-A INPUT -p tcp -j DROP");
  segment({ flags: "S", seq: 100 });
  reply({ flags: "SA", seq: 500, ack: 101 });
  segment({ seq: 101, ack: 501 });
  t.deepEqual(entries(), ["tcp 6 431999 ESTABLISHED [ASSURED]"]);
  // The client has restarted: b's answer tells that it begins anew.
  segment({ flags: "S", seq: 9000 });
  t.deepEqual(entries(), ["tcp 6 431999 ESTABLISHED [ASSURED]"]);
  reply({ flags: "SA", seq: 7000, ack: 9001 });
  t.deepEqual(entries(), ["tcp 6 59 SYN_RECV [ASSURED]"]);
  segment({ seq: 9001, ack: 7001 });
  reply({ flags: "FA", seq: 7001, ack: 9001 });
  t.deepEqual(entries(), ["tcp 6 119 FIN_WAIT [ASSURED]"]);
  segment({ seq: 9001, ack: 7002 });
  segment({ flags: "FA", seq: 9001, ack: 7002 });
  t.deepEqual(entries(), ["tcp 6 29 LAST_ACK [ASSURED]"]);
  reply({ seq: 7002, ack: 9002 });
  t.deepEqual(entries(), ["tcp 6 119 TIME_WAIT [ASSURED]"]);
  segment({ flags: "S", seq: 20_000 });
  t.deepEqual(entries(), ["tcp 6 119 SYN_SENT [UNREPLIED]"]);
  t.deepEqual(seen, ["NEW", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "ESTABLISHED", "NEW"]);
  rule(b, "-t raw -F");
  reply({ flags: "RA", ack: 20_001 });
  t.deepEqual(entries(), [], "refused");
});

test.serial("the packet's reference is nobody's from a wire and is kept over loopback, so that nothing is tracked twice", (t) => {
  const seen = states(NF_INET_PRE_ROUTING);
  const server = open(b, SOCK_DGRAM);
  bind(server, new SockaddrIn(0, PORT));
  const refs: number[] = [];
  nfRegisterHook(new NfHookOps((_net, skb, _hook, inDev) => {
    if (inDev === devB) skb.ackSeq = 0x7fffffff;
    else refs.push(skb.ackSeq);
    return NF_ACCEPT;
  }, NFPROTO_IPV4, NF_INET_PRE_ROUTING, -401, b));
  const client = open(a, SOCK_DGRAM);
  sendto(client, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_B, PORT));
  turn();
  t.deepEqual(seen, ["NEW"]);
  t.is(entries().length, 1);
  const local = open(b, SOCK_DGRAM);
  const before = nfCtStat(CT_STAT_INSERT);
  sendto(local, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(0x7f000001, PORT));
  // More than loopback takes at once: its pieces are known as well.
  sendto(local, into, 0, 4000, MSG_DONTWAIT, new SockaddrIn(0x7f000001, PORT));
  turn();
  t.is(nfCtStat(CT_STAT_INSERT), before + 1);
  t.true(refs.length >= 3 && refs.every((ref) => ref === refs[0] && ref !== 0));
});

test.serial("fragments are put together before they are judged", (t) => {
  const seen = states();
  const forwarded = states(NF_INET_PRE_ROUTING);
  ipForwardSet(b, true);
  const server = open(b, SOCK_DGRAM);
  bind(server, new SockaddrIn(0, PORT));
  const client = open(a, SOCK_DGRAM);
  t.is(sendto(client, into, 0, 4000, MSG_DONTWAIT, new SockaddrIn(ADDR_B, PORT)), 4000);
  turn();
  t.is(recv(server, into, 0, 4096, MSG_DONTWAIT), 4000);
  t.deepEqual(seen, ["NEW"]);
  t.deepEqual(forwarded, ["NEW"]);
  t.is(entries().length, 1);
});

test.serial("the match tells the states apart, also inverted", (t) => {
  const passed = states();
  rule(b, "-A INPUT -m conntrack --ctstate INVALID,UNTRACKED -j DROP");
  rule(b, "-A INPUT -p tcp --dport 81 -m conntrack ! --ctstate NEW -j DROP");
  const segment = segments();
  segment({ flags: "S" });
  segment({ flags: "SA" });
  segment({ dport: 81, flags: "S" });
  t.deepEqual(passed, ["NEW", "NEW"]);
});

test.serial("without the part a rule set with the match is refused, and there is nothing to list", (t) => {
  bootHosts({ initcalls: [netfilter, iptables] });
  t.not(iptablesCommand(b, "-A INPUT -m state --state NEW -j DROP").status, 0);
  t.is(command(b, "-L").status, 1);
  start();
});

test.serial("an entry that packets were dropped of before it was confirmed does not stay", (t) => {
  rule(b, "-P INPUT DROP");
  const client = open(a, SOCK_DGRAM);
  for (let i = 0; i < 20; i++) {
    sendto(client, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_B, 100 + i));
    turn(1);
  }
  t.deepEqual(entries(), []);
  nfConntrackFlush(a);
  turn(1001);
  rule(a, "-P OUTPUT DROP");
  t.is(sendto(client, out, 0, 4, MSG_DONTWAIT, new SockaddrIn(ADDR_B, 100)), -EPERM);
  turn(1001);
  // finish() looks at the pool.
  t.deepEqual(entries(a), []);
});
