/** Sketches that stand on commands and services: what a guest sees of them. */
import test from "ava";
import consoleMain, { initcalls as consoleParts } from "../../../examples/tcp-console/main.ts";
import clockMain from "../../../examples/ntp-clock/main.ts";
import nameMain, { initcalls as nameParts } from "../../../examples/mdns-name/main.ts";
import { AF_INET, connect, recv, send, setNs, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn } from "../../../src/index.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";
import { serveTime } from "../../lib/ntp.ts";

/** Starts a sketch on a host. */
function start(lab: Lab, host: LabHost, main: () => () => boolean | number): void {
  setNs(host.net);
  const step = main();
  lab.addStep(() => {
    setNs(host.net);
    const result = step();
    if (typeof result === "number") lab.clock.at(lab.nowMs + result, () => undefined);
    return result === true;
  });
}

/** What comes within a second. */
function readAll(lab: Lab, fd: number): string {
  const into = new Uint8Array(4096);
  let text = "";
  for (let n = 0; n < 20; n++) {
    lab.runFor(50);
    for (let count = recv(fd, into, 0, into.length, 0); count > 0; count = recv(fd, into, 0, into.length, 0)) {
      text += Buffer.from(into.subarray(0, count)).toString("latin1");
    }
  }
  return text;
}

function visit(lab: Lab, host: LabHost, port: number): number {
  const fd = host.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
  connect(fd, new SockaddrIn(lab.host("a").addr, port));
  return fd;
}

test.serial("tcp-console answers commands as they answer, forgives a typing error, and says good-bye", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], initcalls: consoleParts });
  start(lab, lab.host("a"), () => consoleMain(lab.host("a").net));
  const fd = visit(lab, lab.host("b"), 2323);
  const ask = (line: string): string => {
    const bytes = Buffer.from(line, "latin1");
    send(fd, bytes, 0, bytes.length, 0);
    return readAll(lab, fd);
  };
  t.is(readAll(lab, fd), "board# ");
  t.regex(ask("ip -4 -o adxx\b\bdr show dev eth0\r\n"), /^2: eth0 {4}inet 10\.0\.0\.1\/24 .*\r\nboard# $/);
  t.is(ask("iptables -A INPUT -p icmp -j DROP\niptables -S INPUT\n"), "board# -P INPUT ACCEPT\r\n-A INPUT -p icmp -j DROP\r\nboard# ");
  t.is(ask("rm -rf /\n"), "rm: command not found\r\nboard# ");
  t.regex(ask("slabinfo\n"), /skbuff_head_cache/);
  t.is(ask("__proto__\n"), "__proto__: command not found\r\nboard# ");
  ask("exit\n");
  t.is(recv(fd, new Uint8Array(1), 0, 1, 0), 0);
});

/** 12:59:58 of some day. */
const START_MS = Date.UTC(2026, 10, 26, 12, 59, 58);
test.serial("ntp-clock prints each second once, from the first answer on", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"] });
  let printed = "";
  (globalThis as { trace?: (text: string) => void }).trace = (text) => (printed += text);
  start(lab, lab.host("a"), () => clockMain(lab.host("a").net, "10.0.0.2"));
  lab.runFor(100);
  t.is(printed, "");
  serveTime(lab, lab.host("b"), START_MS);
  lab.runUntil(() => printed !== "", 100_000);
  printed = printed.substring(printed.indexOf("\n") + 1);
  const first = lab.nowMs;
  lab.runFor(4000);
  const seconds = printed.trim().split("\n");
  t.true(seconds.length >= 4 && seconds.length <= 6);
  const expected = seconds.map((_, n) => `${new Date(Math.floor((START_MS + first) / 1000 + n) * 1000).toISOString().substring(11, 19)} UTC`);
  t.deepEqual(seconds, expected);
});

test.serial("mdns-name tells its name once nobody objects, and serves its page", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], initcalls: nameParts });
  let printed = "";
  (globalThis as { trace?: (text: string) => void }).trace = (text) => (printed += text);
  start(lab, lab.host("a"), () => nameMain(lab.host("a").net, "kitchen"));
  lab.runFor(3000);
  t.regex(printed, /known as kitchen/);
  const idle = visit(lab, lab.host("b"), 80);
  t.is(readAll(lab, idle), "");
  const fd = visit(lab, lab.host("b"), 80);
  const request = Buffer.from("GET / HTTP/1.1\r\nHost: kitchen.local\r\n\r\n", "latin1");
  lab.runFor(50);
  send(fd, request, 0, request.length, 0);
  t.regex(readAll(lab, fd), /This is kitchen/);
  t.is(recv(fd, new Uint8Array(1), 0, 1, 0), 0, "an end, and no reset");
});
