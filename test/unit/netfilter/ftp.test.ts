/** FTP's helper: what the control connection announces is expected, and is written as the other side can reach it. */
import test, { type ExecutionContext } from "ava";
import { ftp } from "../../../src/conntrack-ftp.ts";
import { ctHelpers } from "../../../src/conntrack-helpers.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { accept4, bind, close, connect, listen, recv, send, SockaddrIn } from "../../../src/stack/socket/index.ts";
import { EAGAIN } from "../../../src/uapi/errno.ts";
import { MSG_DONTWAIT, SOCK_NONBLOCK, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import {
  bootRouter, entries, finish, GATE, inside, INSIDE, keep, open, OUTSIDE, outside, PARTS, router, rules, turn,
} from "./home-router.ts";

const into = new Uint8Array(4096);
const from = new SockaddrIn();
const HELP = "-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp";

function start(wayBack = false): void {
  bootRouter({ initcalls: [...PARTS, ctHelpers, ftp] }, wayBack);
}

test.beforeEach(() => start());
test.afterEach((t) => finish(t, 70_000));

function say(fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  send(fd, bytes, 0, bytes.length, MSG_DONTWAIT);
  turn(50);
}

function heard(fd: number): string {
  const count = recv(fd, into, 0, into.length, MSG_DONTWAIT);
  return count > 0 ? new TextDecoder().decode(into.subarray(0, count)) : String(count);
}

function listener(net: typeof router, port: number): number {
  const fd = open(net, SOCK_STREAM);
  bind(fd, new SockaddrIn(0, port));
  listen(fd, 8);
  return fd;
}

function dial(net: typeof router, addr: number, port: number): number {
  const fd = open(net, SOCK_STREAM | SOCK_NONBLOCK);
  connect(fd, new SockaddrIn(addr, port));
  turn(50);
  return fd;
}

interface Control {
  readonly client: number;
  readonly server: number;
}

/** A control connection, after its greeting and its first command. */
function control(t: ExecutionContext, net: typeof router, addr: number, at: typeof router, waiting = listener(at, 21)): Control {
  const client = dial(net, addr, 21);
  const server = keep(accept4(waiting, from, SOCK_NONBLOCK));
  say(server, "220 hi\r\n");
  say(client, "USER x\r\n");
  t.is(heard(client), "220 hi\r\n");
  t.is(heard(server), "USER x\r\n");
  say(server, "230 in\r\n");
  t.is(heard(client), "230 in\r\n");
  return { client, server };
}

/** The control connection goes on in both directions, whatever its lines have become. */
function goesOn(t: ExecutionContext, { client, server }: Control): void {
  for (let i = 0; i < 3; i++) {
    say(client, `NOOP ${i}\r\n`);
    t.is(heard(server), `NOOP ${i}\r\n`);
    say(server, `200 ok ${i}\r\n`);
    t.is(heard(client), `200 ok ${i}\r\n`);
  }
}

const expected = (): string => procRead(router, "net/nf_conntrack_expect")!;

for (const [line, seen] of [
  ["PORT 10,0,0,2,4,5\r\n", "PORT 192,0,2,1,4,5\r\n"], ["port 10,0,0,2,4,5\r\n", "port 192,0,2,1,4,5\r\n"],
  ["EPRT |1|10.0.0.2|1029|\r\n", "EPRT |1|192.0.2.1|1029|\r\n"], ["EPRT !1!10.0.0.2!1029!\r\n", "EPRT |1|192.0.2.1|1029|\r\n"],
] as const) {
  test.serial(`active data through masquerading: ${JSON.stringify(line)}`, (t) => {
    rules(HELP, "-t nat -A POSTROUTING -o eth1 -j MASQUERADE", "-P FORWARD DROP", "-A FORWARD -i eth0 -j ACCEPT");
    rules("-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT", "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    const ends = control(t, inside, OUTSIDE, outside);
    const data = listener(inside, 1029);
    say(ends.client, line);
    t.is(heard(ends.server), seen);
    t.is(expected(), "299 l3proto = 2 proto=6 src=192.0.2.2 dst=192.0.2.1 sport=0 dport=1029 ftp\n");
    goesOn(t, ends);
    const sending = dial(outside, GATE, 1029);
    const receiving = keep(accept4(data, from, SOCK_NONBLOCK));
    t.is(from.addr, OUTSIDE);
    say(sending, "data");
    t.is(heard(receiving), "data");
    t.is(expected(), "", "once");
    t.is(entries().filter((entry) => /dport=1029 src=10.0.0.2 dst=192.0.2.2 sport=1029 /.test(entry)).length, 1);
    // Again, longer or shorter than before, with what comes twice on its way.
    say(ends.client, "PORT 10,0,0,2,44,55\r\n");
    t.is(heard(ends.server), "PORT 192,0,2,1,44,55\r\n");
    goesOn(t, ends);
  });
}

test.serial("passive data of a server behind a forwarded port", (t) => {
  rules(
    HELP, "-t nat -A PREROUTING -i eth1 -p tcp --dport 21 -j DNAT --to-destination 10.0.0.2", "-P FORWARD DROP",
    "-A FORWARD -p tcp --dport 21 -j ACCEPT", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  );
  const ends = control(t, outside, GATE, inside);
  for (const [answer, seen, port] of [
    ["227 Entering Passive Mode (10,0,0,2,4,5).\r\n", "227 Entering Passive Mode (192,0,2,1,4,5).\r\n", 1029],
    ["227 =10,0,0,2,4,6\r\n", "227 =192,0,2,1,4,6\r\n", 1030],
    ["229 Entering Extended Passive Mode (|||1031|)\r\n", "229 Entering Extended Passive Mode (|||1031|)\r\n", 1031],
  ] as const) {
    const data = listener(inside, port);
    say(ends.client, "PASV\r\n");
    t.is(heard(ends.server), "PASV\r\n");
    say(ends.server, answer);
    t.is(heard(ends.client), seen);
    const fetching = dial(outside, GATE, port);
    const giving = keep(accept4(data, from, SOCK_NONBLOCK));
    t.is(from.addr, OUTSIDE);
    say(giving, "data");
    t.is(heard(fetching), "data");
    close(fetching);
    goesOn(t, ends);
  }
});

test.serial("without translation: what is announced is RELATED, and nothing else gets in", (t) => {
  start(true);
  rules(HELP, "-P FORWARD DROP", "-A FORWARD -p tcp --dport 21 -j ACCEPT");
  rules("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
  const ends = control(t, outside, INSIDE, inside);
  const data = listener(inside, 1029);
  say(ends.server, "227 Here (10,0,0,2,4,5)\r\n");
  t.is(heard(ends.client), "227 Here (10,0,0,2,4,5)\r\n");
  const stranger = dial(outside, INSIDE, 1030);
  t.is(send(stranger, into, 0, 1, MSG_DONTWAIT), -EAGAIN);
  dial(outside, INSIDE, 1029);
  t.true(keep(accept4(data, from, SOCK_NONBLOCK)) >= 0);
  close(stranger);
});

test.serial("an address of somebody else, the middle of a line, and a number that is cut off", (t) => {
  rules(HELP, "-t nat -A POSTROUTING -o eth1 -j MASQUERADE");
  const ends = control(t, inside, OUTSIDE, outside);
  say(ends.client, "PORT 10,0,0,9,4,5\r\n");
  t.is(heard(ends.server), "PORT 10,0,0,9,4,5\r\n");
  t.is(expected(), "");
  say(ends.client, "STOR x");
  say(ends.client, "PORT 10,0,0,2,4,5\r\n");
  t.is(heard(ends.server), "STOR xPORT 10,0,0,2,4,5\r\n");
  t.is(expected(), "");
  say(ends.client, "PORT 10,0,0,2,4");
  t.is(heard(ends.server), String(-EAGAIN), "dropped: the rest would come unseen");
});

test.serial("an expectation ends after five minutes, and with its announcer", (t) => {
  rules(HELP, "-t nat -A POSTROUTING -o eth1 -j MASQUERADE");
  const ends = control(t, inside, OUTSIDE, outside);
  say(ends.client, "PORT 10,0,0,2,4,5\r\n");
  turn(299_900);
  t.regex(expected(), /^0 /);
  turn(100);
  t.is(expected(), "");
  say(ends.client, "PORT 10,0,0,2,4,6\r\n");
  say(ends.client, "PORT 10,0,0,2,4,7\r\n");
  t.is(expected().split("\n").length, 2, "one at a time: the later");
  t.regex(expected(), /dport=1031/);
});

test.serial("two who announce the same port get two", (t) => {
  rules(HELP, "-t nat -A POSTROUTING -o eth1 -j MASQUERADE");
  const waiting = listener(outside, 21);
  const data = listener(inside, 1029);
  const seen = [1, 2].map(() => {
    const { client, server } = control(t, inside, OUTSIDE, outside, waiting);
    say(client, "PORT 10,0,0,2,4,5\r\n");
    const [, high, low] = /^PORT 192,0,2,1,(\d+),(\d+)\r\n$/.exec(heard(server))!;
    return Number(high) * 256 + Number(low);
  });
  t.is(seen[0], 1029);
  t.true(seen[1]! > 1029);
  for (const port of seen) {
    dial(outside, GATE, port);
    t.true(keep(accept4(data, from, SOCK_NONBLOCK)) >= 0, "both lead to where it was announced");
  }
});
