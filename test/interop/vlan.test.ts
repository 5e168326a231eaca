/**
 * VLANs against the real kernel: 10 and 20 over one TAP. This kernel may have no 802.1Q of its own, so a program with a packet
 * socket (vlan.py) puts the tags in and takes them out, and behind it are Linux's own devices. tshark judges what was on the wire.
 */
import test from "ava";
import { BOARD_ADDR, type Board, interopMissing, Netns } from "./netns.ts";
import { assertCleanCapture, captureFile, tsharkFields } from "./tshark.ts";

const missing = interopMissing(["ping", "python3", "tshark", "dumpcap"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";

const ECHO_CLIENT = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], 7))
for i in range(500):
    data = bytes((i * 7 + j) & 255 for j in range(1472 - i % 9))
    s.send(data)
    if s.recv(2000) != data: sys.exit(f"{i}: other data")
print("same")
`;

async function vlanBoard(net: Netns): Promise<Board> {
  const commands = [10, 20].flatMap((id) => [
    `link add link eth0 name eth0.${id} type vlan id ${id}`, `link set eth0.${id} up`, `addr add 10.0.${id}.2/24 dev eth0.${id}`,
  ]);
  return net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], parts: ["vlan", "fragments"], commands });
}

interop("VLAN 10 and 20 and frames without a tag over one TAP: each in its own network, at full size, and nothing crosses", async (t) => {
  t.timeout(90_000);
  const net = await Netns.create(t);
  const relay = net.spawn("python3", ["test/interop/vlan.py", TAP, "10", "20", "30"]);
  await new Promise((resolve) => relay.stdout!.once("data", resolve));
  for (const id of [10, 20, 30]) {
    await net.run("sysctl", ["-qw", `net.ipv6.conf.v${id}.disable_ipv6=1`]);
    await net.must("ip", "addr", "add", `10.0.${id}.1/24`, "dev", `v${id}`);
    await net.must("ip", "link", "set", `v${id}`, "up");
  }
  const pcap = captureFile(t);
  const capture = net.spawn("dumpcap", ["-q", "-i", TAP, "-P", "-w", pcap]);
  await new Promise((resolve) => capture.stderr!.once("data", resolve));
  const board = await vlanBoard(net);
  for (const addr of [BOARD_ADDR, "10.0.10.2", "10.0.20.2"]) {
    const text = await net.must("ping", "-q", "-c", "100", "-W", "5", "-i", "0.01", "-s", "1472", "-M", "do", addr);
    t.regex(text, /100 received, 0% packet loss/, addr);
  }
  t.regex(await net.must("ping", "-q", "-c", "10", "-W", "5", "-i", "0.01", "-s", "8000", "10.0.20.2"), /10 received, 0% packet loss/);
  for (const id of [10, 20]) {
    const echo = await net.run("python3", ["-c", ECHO_CLIENT, `10.0.${id}.2`]);
    t.is(echo.stdout.trim(), "same", echo.stderr);
  }
  const lost = await net.run("ping", ["-q", "-c", "2", "-W", "1", "-I", "v30", BOARD_ADDR]);
  t.regex(lost.stdout, / 0 received/, "a VLAN that the board has not");
  t.is((await net.must("python3", "test/interop/vlan.py", "--priority", TAP, BOARD_ADDR)).trim(), `${BOARD_ADDR} untagged`);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  t.true(report.drops["UNHANDLED_PROTO"]! >= 2);
  capture.kill("SIGINT");
  await new Promise((resolve) => capture.once("exit", resolve));
  await assertCleanCapture(t, pcap);
  const sent = await tsharkFields(pcap, "ip.src == 10.0.0.0/16 && ip.src != 10.0.0.1 || arp.opcode == 2", [
    "vlan.id", "ip.src", "icmp.type", "udp.srcport", "arp.src.proto_ipv4",
  ]);
  const count = (...wanted: readonly string[]): number => sent.filter((row) => wanted.every((field, i) => row[i] === field)).length;
  t.is(count("", BOARD_ADDR, "0"), 100);
  for (const id of ["10", "20"]) {
    const addr = `10.0.${id}.2`;
    t.is(count(id, addr, "", "7"), 500);
    t.true(count(id, "", "", "", addr) >= 1);
    t.deepEqual(sent.filter(([vlan, from]) => from === addr && vlan !== id), []);
  }
  t.is(count("10", "10.0.10.2", "0"), 100);
});
