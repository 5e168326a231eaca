/** Fragments against the real kernel: large pings, large datagrams both ways, and every odd sequence judged by what Linux does. */
import test from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["ping", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";

const ECHO_CLIENT = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.connect(("${BOARD_ADDR}", 7))
for size in [1472, 1473, 2953, 40000, 65507] + [40000] * 20:
    data = bytes((i * 7 + size) & 255 for i in range(size))
    s.send(data)
    if s.recv(70000) != data: sys.exit(f"{size}: other data")
print("same")
`;

interop("ping of 20,000 bytes, and UDP of 40 KB both ways", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], parts: ["fragments"] });
  for (const size of ["20000", "65507", "1473"]) {
    const text = await net.must("ping", "-q", "-c", "20", "-w", "20", "-i", "0.05", "-s", size, BOARD_ADDR);
    t.regex(text, /20 received, 0% packet loss/, size);
  }
  const echo = await net.run("python3", ["-c", ECHO_CLIENT]);
  t.is(echo.stdout.trim(), "same", echo.stderr);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  t.is(report.counters["ReasmFails"], undefined);
  t.is(report.counters["ReasmOKs"], 60 + 24);
  t.is(report.counters["FragOKs"], 60 + 24);
});

interop("fragments in every order, doubled, overlapping, missing, contradicting: what the kernel does with each", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const kernel = await Netns.create(t);
  await net.joinLinux(kernel, "10.1.0.1/24", "10.1.0.2/24");
  for (const setting of ["ipfrag_time=1", "icmp_ratelimit=0"]) await kernel.must("sysctl", "-qw", `net.ipv4.${setting}`);
  const board = await net.ipBoard({
    taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], parts: ["fragments"], settings: { ipfragTime: 1, icmpRatelimit: 0 },
  });
  const judge = async (device: string, from: string, to: string): Promise<unknown> => {
    await net.must("ping", "-q", "-c", "1", to);
    return JSON.parse(await net.must("python3", "test/interop/fragments.py", device, from, to, "2.5")) as unknown;
  };
  const linux = await judge("veth0", "10.1.0.1", "10.1.0.2");
  t.deepEqual(await judge(TAP, LINUX_ADDR, BOARD_ADDR), linux);
  t.log(JSON.stringify(linux));
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});
