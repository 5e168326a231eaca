/** What iptables' rules do to packets. */
import test from "ava";
import fc from "fast-check";
import { iptables as command } from "../../../src/commands/index.ts";
import { iptables } from "../../../src/iptables.ts";
import { netfilter } from "../../../src/netfilter.ts";
import { bind, connect, getsockopt, listen, recv, sendto, setsockoptBytes, SockaddrIn } from "../../../src/stack/socket/index.ts";
import { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINVAL, ENETUNREACH, ENOPROTOOPT, EPERM } from "../../../src/uapi/errno.ts";
import { IPT_SO_SET_REPLACE } from "../../../src/uapi/ip-tables.ts";
import { MSG_DONTWAIT, SO_ERROR, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_IP, SOL_SOCKET } from "../../../src/uapi/socket.ts";
import { a, ADDR_B, b, bootHosts, finish, open, turn } from "../ipv4/two-hosts.ts";

const PORT = 7000;
const out = new Uint8Array([1, 2, 3, 4]);
const into = new Uint8Array(16);
let sender = 0;
let receiver = 0;

test.beforeEach(() => {
  bootHosts({ initcalls: [netfilter, iptables] });
  receiver = open(b, SOCK_DGRAM);
  bind(receiver, new SockaddrIn(0, PORT));
  sender = open(a, SOCK_DGRAM);
  connect(sender, new SockaddrIn(ADDR_B, PORT));
});
test.afterEach((t) => finish(t, 1500));

function rule(net: typeof a, line: string): void {
  const { status, error } = command(net, line);
  if (status !== 0) throw new Error(`${line}: ${error}`);
}

const send = (): number => {
  const sent = sendto(sender, out, 0, out.length, MSG_DONTWAIT, null);
  turn();
  return sent;
};
const received = (): number => recv(receiver, into, 0, into.length, MSG_DONTWAIT);
/** Packets that the rules of a chain have counted. */
const counts = (chain: string): number[] =>
  [...command(b, `-nvxL ${chain}`).text.matchAll(/^ *(\d+) +\d+ /gm)].map((match) => Number(match[1]));

test.serial("what INPUT drops does not arrive, and what OUTPUT drops is EPERM to its sender", (t) => {
  rule(b, "-A INPUT -p udp --dport 7000 -s 10.0.0.1 -i eth0 -j DROP");
  t.is(send(), 4);
  t.is(received(), -EAGAIN);
  t.deepEqual(counts("INPUT"), [1]);
  rule(b, "-F");
  t.is(send(), 4);
  t.is(received(), 4);
  rule(a, "-P OUTPUT DROP");
  t.is(send(), -EPERM);
});

test.serial("REJECT tells the sender: by an ICMP error of that code, or a reset", (t) => {
  for (const [how, errno] of [
    ["icmp-port-unreachable", ECONNREFUSED], ["icmp-proto-unreachable", ENOPROTOOPT], ["icmp-net-prohibited", ENETUNREACH],
    ["icmp-host-prohibited", EHOSTUNREACH], ["icmp-admin-prohibited", EHOSTUNREACH],
  ] as const) {
    rule(b, `-A INPUT -p udp -j REJECT --reject-with ${how}`);
    send();
    turn(1100);
    t.is(received(), -EAGAIN);
    t.is(send(), -errno, how);
    turn(1100);
    const error = new Int32Array(1);
    getsockopt(sender, SOL_SOCKET, SO_ERROR, error);
    rule(b, "-F");
  }
  const listener = open(b, SOCK_STREAM);
  bind(listener, new SockaddrIn(0, 80));
  listen(listener, 1);
  rule(b, "-A INPUT -p tcp --syn --dport 80 -j REJECT --reject-with tcp-reset");
  const client = open(a, SOCK_STREAM | SOCK_NONBLOCK);
  connect(client, new SockaddrIn(ADDR_B, 80));
  turn();
  const error = new Int32Array(1);
  getsockopt(client, SOL_SOCKET, SO_ERROR, error);
  t.is(error[0], ECONNREFUSED);
});

test.serial("chains are called and come back, go without coming back, and end in the policy", (t) => {
  for (const line of [
    "-N one", "-N two", "-A INPUT -p udp -j one", "-A INPUT -p udp -g two", "-A INPUT -p udp -j DROP", "-A one -j two", "-A one -p udp",
    "-A two -p tcp -j DROP", "-A two -p udp -j RETURN", "-A two -p udp -j DROP",
  ]) rule(b, line);
  t.is(send(), 4);
  t.is(received(), 4);
  t.deepEqual(counts("INPUT"), [1, 1, 0]);
  t.deepEqual(counts("one"), [1, 1]);
  t.deepEqual(counts("two"), [0, 2, 0]);
  rule(b, "-P INPUT DROP");
  send();
  t.is(received(), -EAGAIN);
});

test.serial("a limit lets its burst pass and then as many as its rate", (t) => {
  rule(b, "-A INPUT -p udp -m limit --limit 10/s --limit-burst 3 -j ACCEPT");
  rule(b, "-A INPUT -p udp -j DROP");
  const arrivals = (n: number): number => {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      send();
      if (received() === 4) sum++;
    }
    return sum;
  };
  t.is(arrivals(5), 3);
  turn(1000);
  t.is(arrivals(5), 3);
  turn(100);
  t.is(arrivals(2), 1);
});

test.serial("marks are set and matched, and belong to the packet on this host only", (t) => {
  rule(b, "-t mangle -A PREROUTING -p udp -m multiport --dports 1,6999:7001 -j MARK --set-mark 5");
  rule(b, "-A INPUT -m mark --mark 4/6 -j DROP");
  send();
  t.is(received(), -EAGAIN);
  t.deepEqual(counts("INPUT"), [1]);
});

test.serial("a set of any words is refused or kept, and never breaks what walks it", (t) => {
  rule(b, "-A INPUT -p tcp -j DROP");
  const fd = open(b, SOCK_DGRAM);
  const word = fc.oneof(fc.integer({ min: -6, max: 130 }), fc.integer());
  fc.assert(
    fc.property(fc.array(word, { minLength: 0, maxLength: 140 }), (words) => {
      const set = Int32Array.from(words);
      if (set.length > 13) [set[0], set[2]] = [3, set.length - 13];
      const answer = setsockoptBytes(fd, SOL_IP, IPT_SO_SET_REPLACE, set);
      t.true(answer <= 0);
      if (set.length < 13) t.is(answer, -EINVAL);
    }),
    { numRuns: 300 },
  );
  t.regex(command(b, "-S INPUT").text, /-A INPUT -p tcp -j DROP\n/);
  send();
  t.is(received(), 4);
});
