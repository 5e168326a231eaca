/** Linux pings the board: ARP and ICMP echo against the real kernel, judged by iputils and tshark. */
import test from "ava";
import { interopMissing, type Board, BOARD_ADDR, Netns } from "./netns.ts";
import { assertCleanCapture, captureFile } from "./tshark.ts";

const missing = interopMissing(["ping", "tshark"]);
const interop = missing === null ? test.serial : test.serial.skip;

interop("1000 pings at 2 ms intervals lose nothing, flood ping and large pings neither, and the board gives all back", async (t) => {
  t.timeout(60_000);
  const net = await Netns.create(t);
  const pcap = captureFile(t);
  const board: Board = await net.board("http-server", ["--pcap", pcap]);
  const steady = await net.must("ping", "-q", "-c", "1000", "-i", "0.002", BOARD_ADDR);
  t.regex(steady, /1000 received, 0% packet loss/);
  const flood = await net.must("ping", "-q", "-f", "-c", "3000", BOARD_ADDR);
  t.regex(flood, /3000 received, 0% packet loss/);
  const large = await net.must("ping", "-q", "-c", "50", "-i", "0.01", "-s", "1400", BOARD_ADDR);
  t.regex(large, /50 received, 0% packet loss/);
  t.log(/rtt .*/.exec(steady)?.[0] ?? "");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  t.is(report.counters["OutEchoReps"], 4050);
  await assertCleanCapture(t, pcap);
});

interop("a UDP datagram sent to a closed port is answered with port unreachable", async (t) => {
  t.timeout(30_000);
  const net = await Netns.create(t);
  const board = await net.board("udp-echo");
  const refused = await net.run("python3", [
    "-c",
    "import socket,sys\n" +
      "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3)\n" +
      `s.connect(("${BOARD_ADDR}",9999)); s.send(b"x")\n` +
      "try:\n s.recv(10); print('data')\nexcept ConnectionRefusedError: print('refused')",
  ]);
  t.is(refused.stdout.trim(), "refused", refused.stderr);
  await board.stop();
});
