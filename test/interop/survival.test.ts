/**
 * What a board meets in the field: many connections, a link that goes away, peers that vanish or reset, queues and pools
 * that are full, frames of random bytes. It goes on answering, and has everything back at the end.
 */
import test, { type ExecutionContext } from "ava";
import { interopMissing, type Board, type BoardReport, BOARD_ADDR, Netns } from "./netns.ts";
import { assertCleanCapture, captureFile } from "./tshark.ts";

const missing = interopMissing(["curl", "nc", "tshark", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;

/** A listener and five connections, with what belongs to them. */
const CONNECTIONS = ["socks=7", "tcpSocks=6", "files=8", "epollItems=8"].flatMap((size) => ["--set", size]);

/** Runs a Python program in the namespace; its standard output. */
async function python(net: Netns, program: string): Promise<string> {
  return net.must("python3", "-c", program);
}

async function endsClean(t: ExecutionContext, board: Board): Promise<BoardReport> {
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
  return report;
}

async function answersPings(t: ExecutionContext, net: Netns): Promise<void> {
  t.regex(await net.must("ping", "-q", "-c", "5", "-i", "0.01", BOARD_ADDR), /5 received, 0% packet loss/);
}

interop("nc -u gets its datagrams back", async (t) => {
  t.timeout(30_000);
  const net = await Netns.create(t);
  const pcap = captureFile(t);
  const board = await net.board("udp-echo", ["--pcap", pcap]);
  const { stdout } = await net.run("nc", ["-u", "-w", "1", BOARD_ADDR, "7"], "a line over UDP\n");
  t.is(stdout, "a line over UDP\n");
  await endsClean(t, board);
  await assertCleanCapture(t, pcap);
});

interop("50 connections at once and 10,000 one after another all get their page", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const board = await net.board("http-server", ["--preset", "host"]);
  const answered = await python(net, `
import socket
def page(s):
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    data = b""
    while True:
        chunk = s.recv(65536)
        if not chunk: break
        data += chunk
    s.close()
    return data.endswith(b"</html>\\n")
together = [socket.create_connection(("${BOARD_ADDR}", 80), timeout=10) for _ in range(50)]
print(sum(page(s) for s in together))
print(sum(page(socket.create_connection(("${BOARD_ADDR}", 80), timeout=10)) for _ in range(10000)))
`);
  t.deepEqual(answered.trim().split("\n"), ["50", "10000"]);
  await endsClean(t, board);
});

interop("bulk both ways for 10 s", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.board("bulk-server", ["--preset", "host"]);
  const figures = await python(net, `
import socket, time
def request(line):
    s = socket.create_connection(("${BOARD_ADDR}", 80), timeout=10)
    s.sendall(line)
    return s
s = request(b"GET /bytes?n=100000000000 HTTP/1.0\\r\\n\\r\\n")
start, count, buffer = time.time(), 0, bytearray(1 << 20)
while time.time() - start < 10: count += s.recv_into(buffer)
print(round(count * 8 / 10e6, 1))
s.close()
s = request(b"PUT / HTTP/1.0\\r\\nContent-Length: 100000000000\\r\\n\\r\\n")
start, count = time.time(), 0
while time.time() - start < 10: count += s.send(buffer)
print(round(count * 8 / 10e6, 1))
s.close()
`);
  const [fromBoard, toBoard] = figures.trim().split("\n").map(Number);
  t.log(`board sends ${fromBoard} Mbit/s, receives ${toBoard} Mbit/s`);
  t.true(fromBoard! > 0 && toBoard! > 0);
  await board.stop();
});

interop("a transfer goes on after the link was down and up again", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  const board = await net.board("bulk-server", ["--preset", "host", "--rate", "50"]);
  const bytes = 20_000_000;
  const download = net.digest("curl", ["-sS", "--fail", `http://${BOARD_ADDR}/bytes?n=${bytes}`]);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await net.must("ip", "link", "set", "tap0", "down");
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await net.must("ip", "link", "set", "tap0", "up");
  const { bytes: received, code, stderr } = await download;
  t.is(code, 0, stderr);
  t.is(received, bytes);
  await endsClean(t, board);
});

interop("resets and peers that vanish in mid-transfer cost nothing for ever", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  const board = await net.board("bulk-server", ["--preset", "small"]);
  await python(net, `
import socket, struct
for i in range(200):
    s = socket.create_connection(("${BOARD_ADDR}", 80), timeout=10)
    s.sendall(b"GET /bytes?n=1000000 HTTP/1.0\\r\\n\\r\\n" if i % 2 else b"PUT / HTTP/1.0\\r\\nContent-Length: 99999\\r\\n\\r\\nabc")
    s.recv(1000) if i % 2 else None
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
`);
  await answersPings(t, net);
  await endsClean(t, board);
});

interop("40 clients at once on a board of 5 connections are all served, one after another", async (t) => {
  t.timeout(180_000);
  const net = await Netns.create(t);
  const board = await net.board("http-server", ["--preset", "small", ...CONNECTIONS]);
  const answered = await python(net, `
import socket, threading, time
served = []
def client():
    end = time.time() + 120
    while time.time() < end:
        try:
            with socket.create_connection(("${BOARD_ADDR}", 80), timeout=10) as s:
                s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                data = b""
                while chunk := s.recv(65536): data += chunk
            if data.endswith(b"</html>\\n"): return served.append(1)
        except OSError: time.sleep(0.1)
threads = [threading.Thread(target=client) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(served))
`);
  t.is(answered.trim(), "40");
  const report = await endsClean(t, board);
  t.true(report.counters["ListenDrops"]! > 0);
});

interop("an exhausted packet pool drops, counts, recovers and leaks nothing", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const board = await net.board("udp-echo", ["--preset", "tiny"]);
  await python(net, `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.time() + 3
while time.time() < end: s.sendto(b"x" * 200, ("${BOARD_ADDR}", 7))
`);
  await answersPings(t, net);
  const { stdout } = await net.run("nc", ["-u", "-w", "1", BOARD_ADDR, "7"], "still there\n");
  t.is(stdout, "still there\n");
  await endsClean(t, board);
});

interop("60 s of random bytes as frames leave the board answering", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  const board = await net.board("http-server", ["--preset", "small"]);
  await answersPings(t, net);
  const sent = await python(net, `
import random, socket, time
r = random.Random(42)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("tap0", 0))
mac = None
for line in open("/proc/net/arp"):
    if line.startswith("${BOARD_ADDR} "): mac = bytes.fromhex(line.split()[3].replace(":", ""))
end, count = time.time() + 60, 0
while time.time() < end:
    frame = bytearray(r.randbytes(r.randint(14, 1514)))
    kind = r.random()
    if kind < 0.9: frame[0:6] = mac if r.random() < 0.8 else b"\\xff" * 6
    if kind < 0.8: frame[12:14] = b"\\x08\\x00" if r.random() < 0.9 else b"\\x08\\x06"
    if kind < 0.7 and len(frame) > 54:
        frame[14] = 0x45; frame[16:18] = (len(frame) - 14).to_bytes(2, "big"); frame[20:22] = b"\\x00\\x00"
        frame[23] = r.choice([1, 6, 17]); frame[26:30] = bytes([10, 0, 0, 1]); frame[30:34] = bytes([10, 0, 0, 2]); frame[24:26] = b"\\0\\0"
        sum_ = sum(int.from_bytes(frame[i:i+2], "big") for i in range(14, 34, 2))
        while sum_ >> 16: sum_ = (sum_ & 0xffff) + (sum_ >> 16)
        frame[24:26] = (~sum_ & 0xffff).to_bytes(2, "big")
        if frame[23] == 6: frame[36:38] = b"\\x00\\x50"
    try: s.send(frame)
    except OSError: pass
    count += 1
    if count % 50 == 0: time.sleep(0.005)
print(count)
`);
  t.log(`${sent.trim()} frames`);
  t.true(Number(sent) > 10_000);
  await answersPings(t, net);
  const page = await net.must("curl", "-sS", "--fail", "--retry", "3", "--retry-all-errors", `http://${BOARD_ADDR}/`);
  t.true(page.includes("linnet"));
  const report = await endsClean(t, board);
  t.true(Object.values(report.drops).reduce((sum, n) => sum + n, 0) > 1000);
});
