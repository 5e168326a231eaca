import test from "ava";
import { runScript } from "../../packetdrill/runner.ts";

const LISTEN = `
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000>
`;
const ACCEPT = `${LISTEN}
+0 > S. 0:0(0) ack 1 <mss 1460>
+.01 < . 1:1(0) ack 1 win 32792
+0 accept(3, ..., ...) = 4
`;

/** What the runner says of a script, without the name. */
function run(text: string): string {
  return runScript(text, "t") ?? "ok";
}

test("a script that holds", (t) => {
  t.is(run(`${ACCEPT}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n`), "ok");
});

test("a field that differs is named, with the packet expected and the one seen", (t) => {
  const error = run(`${LISTEN}+0 > S. 0:0(0) ack 1 <mss 1400>\n`);
  t.regex(error, /^t:6: options is <mss 1460>, expected <mss 1400>\n {2}expected: > S\. .*<mss 1400>\n {2}seen: .*<mss 1460>$/);
  t.regex(run(`${LISTEN}+0 > S 0:0(0) <mss 1460>\n`), /flags is \.S, expected S/);
  t.regex(run(`${LISTEN}+0 > S. 0:0(0) ack 2 <mss 1460>\n`), /ack is 1, expected 2/);
  t.regex(run(`${LISTEN}+0 > S. 0:0(0) ack 1 win 7 <mss 1460>\n`), /win is 65535, expected 7/);
});

test("a wrong length is seen though segments are joined", (t) => {
  const write = `${ACCEPT}+0 write(4, ..., 2500) = 2500\n`;
  t.is(run(`${write}+0 > P. 1:2501(2500) ack 1\n`), "ok");
  t.regex(run(`${write}+0 > P. 1:2401(2400) ack 1\n`), /length is 2000, expected 2400/);
  t.regex(run(`${write}+0 > P. 1:3001(3000) ack 1\n`), /length is 2500, expected 3000/);
});

test("a packet that is not sent, or at another time", (t) => {
  t.regex(run(`${ACCEPT}+0 > . 1:1(0) ack 1\n`), /^t:10: nothing was sent until 0\.014000\n {2}expected: > \. 1:1\(0\) ack 1$/);
  t.regex(run(`${ACCEPT}+0 write(4, ..., 10) = 10\n+.05 > P. 1:11(10) ack 1\n`), /sent at 0\.010000, expected at 0\.060000/);
  t.is(run(`--tolerance_usecs=60000\n${ACCEPT}+0 write(4, ..., 10) = 10\n+.05 > P. 1:11(10) ack 1\n`), "ok");
});

test("results, errors and values of calls", (t) => {
  t.regex(run("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 listen(3, 1) = -1 EINVAL\n"), /listen\(\) answers 0, expected -1 EINVAL/);
  t.regex(run("0 listen(3, 1) = -1 EINVAL\n"), /answers -1 EBADF, expected -1 EINVAL/);
  t.regex(run("0 listen(3, 1) = 0\n"), /answers -1 EBADF, expected 0/);
  const open = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
  t.regex(run(`${open}+0 getsockopt(3, SOL_TCP, TCP_NODELAY, [1], [4]) = 0\n`), /value is 0, expected 1/);
  t.regex(run(`${open}+0 poll([{fd=3, events=POLLOUT, revents=0}], 1, 0) = 1\n`), /revents is 20, expected 0/);
  t.regex(run(`${open}+0 frobnicate(3) = 0\n`), /no system call frobnicate/);
});

test("a call that waits ends at its time", (t) => {
  const arrive = "+.05 < P. 1:11(10) ack 1 win 32792\n";
  t.is(run(`${ACCEPT}+0...0.05 read(4, ..., 100) = 10\n${arrive}`), "ok");
  t.regex(run(`${ACCEPT}+0...0.03 read(4, ..., 100) = 10\n${arrive}`), /read\(\) returned at 0\.060000, expected at 0\.040000/);
  t.regex(run(`${ACCEPT}+0...0.09 read(4, ..., 100) = 10\n`), /read\(\) still waits/);
  t.regex(run(`${ACCEPT}+0 read(4, ..., 100) = 10\n`), /read\(\) would wait/);
});

test("assertions on tcp_info", (t) => {
  t.is(run(`${ACCEPT}+0 %{ assert tcpi_state == TCP_ESTABLISHED and 10 <= tcpi_snd_cwnd < 11, tcpi_snd_cwnd }%\n`), "ok");
  t.regex(run(`${ACCEPT}+0 %{ assert tcpi_snd_cwnd == 3, tcpi_snd_cwnd }%\n`), /does not hold: tcpi_snd_cwnd = 10$/);
  t.regex(run(`${ACCEPT}+0 %{ assert tcpi_nonsense == 3 }%\n`), /no value named tcpi_nonsense/);
});

test("sysctls of the init command", (t) => {
  const offer = LISTEN.replace("<mss 1000>", "<mss 1000,nop,wscale 7>");
  t.is(run(`\`sysctl -q net.ipv4.tcp_window_scaling=1\`\n${offer}+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>\n`), "ok");
  t.is(run(`\`sysctl -q net.ipv4.tcp_window_scaling=0\`\n${offer}+0 > S. 0:0(0) ack 1 <mss 1460>\n`), "ok");
});

test("what is no script is refused by line", (t) => {
  t.regex(run("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 < S 0:10(0) win 10\n"), /^t:2: sequence numbers and length do not agree/);
  t.regex(run("0 socket(..., NO_SUCH, 0) = 3\n"), /^t:1: unknown symbol NO_SUCH/);
  t.regex(run("0 < S 0:0(0) win 10 <...>"), /^t:1: <\.\.\.> is for outbound packets only/);
});
