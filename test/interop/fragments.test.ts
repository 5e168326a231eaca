/** Fragments against the real kernel: large pings, large datagrams both ways, and every odd sequence judged by what Linux does. */
import test from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["curl", "ping", "python3"]);
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

/** First pieces of datagrams from 10,000 sources, each with an identification of its own, over eight seconds; counts the times exceeded. */
const FLOOD = `
import socket, struct, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("${TAP}", 0))
heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
heard.bind(("${TAP}", 0x0800))
heard.setblocking(False)
link = next(bytes.fromhex(line.split()[3].replace(":", "")) for line in open("/proc/net/arp") if line.startswith("${BOARD_ADDR} "))
target, exceeded = socket.inet_aton("${BOARD_ADDR}"), 0
def checksum(data):
    total = sum(struct.unpack("!10H", data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def listen():
    global exceeded
    while True:
        try: packet = heard.recv(2000)
        except BlockingIOError: return
        if packet[9] == 1 and packet[12:16] == target and packet[20:22] == b"\\x0b\\x01" and packet[44:46] == b"\\x0a\\x00": exceeded += 1
for i in range(10000):
    source = bytes((10, 0, 1 + i // 250, 1 + i % 250))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 520, i, 0x2000, 64, 17, 0) + source + target
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    out.send(link + out.getsockname()[4] + b"\\x08\\x00" + head + bytes(500))
    if i % 25 == 24: time.sleep(0.02)
    listen()
until = time.time() + 4
while time.time() < until:
    listen()
    time.sleep(0.01)
print(exceeded)
`;

interop("a flood of fragments from 10,000 sources: its memory stays its own, TCP and ping go on, each datagram that had a place is told of", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  await net.must("ip", "addr", "add", `${LINUX_ADDR}/16`, "dev", TAP);
  const board = await net.board("bulk-server", ["--gateway", LINUX_ADDR, "--sysctl", "ipfrag_time=2", "--sysctl", "icmp_ratelimit=0"]);
  await net.must("ping", "-q", "-c", "1", BOARD_ADDR);
  const flood = net.must("python3", "-c", FLOOD);
  const load = net.digest("curl", ["-sS", "--fail", `http://${BOARD_ADDR}/bytes?n=3000000`]);
  const pings = await net.must("ping", "-q", "-c", "200", "-i", "0.03", "-W", "10", BOARD_ADDR);
  const { code, bytes, stderr } = await load;
  const exceeded = Number(await flood);
  t.is(code, 0, stderr);
  t.is(bytes, 3_000_000);
  t.regex(pings, /200 received, 0% packet loss/);
  // Its own fragments find room again.
  t.regex(await net.must("ping", "-q", "-c", "5", "-i", "0.05", "-s", "3000", BOARD_ADDR), /5 received, 0% packet loss/);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  const { ReasmReqds = 0, ReasmFails = 0, ReasmTimeout = 0, ReasmOKs = 0 } = report.counters;
  const pool = report.pools.find(({ name }) => name === "ip_frag")!;
  t.log(`${ReasmReqds} fragments, ${ReasmTimeout} had a place, ${exceeded} were told of; pool of ${pool.size}, ${pool.peak} at most`);
  t.is(pool.peak, pool.size);
  t.true(ReasmTimeout >= 3 * pool.size, "the places were free again and again");
  // What was taken up is told of in time, the rest has no place.
  t.is(exceeded, ReasmTimeout);
  t.is(ReasmFails, ReasmReqds - 3 * ReasmOKs);
});
