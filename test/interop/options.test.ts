/** IP options against the real kernel: ping -R and -T, and 420 packets with options right and wrong, answered as the kernel does. */
import test from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const missing = interopMissing(["ping", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAP = "tap0";

interop("ping with record route and with timestamps", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  const board = await net.ipBoard({ taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], parts: ["ipOptions"] });
  const recorded = await net.must("ping", "-n", "-c", "1", "-w", "10", "-R", BOARD_ADDR);
  t.deepEqual(recorded.match(/10\.0\.0\.\d+$/gm), [LINUX_ADDR, BOARD_ADDR, BOARD_ADDR, LINUX_ADDR], recorded);
  const stamped = await net.must("ping", "-n", "-c", "1", "-w", "10", "-T", "tsandaddr", BOARD_ADDR);
  t.deepEqual(stamped.match(/10\.0\.0\.\d+(?=\t)/g), [LINUX_ADDR, BOARD_ADDR, BOARD_ADDR, LINUX_ADDR], stamped);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

interop("options right and wrong, on echo requests and on datagrams to a closed port: the kernel's answers", async (t) => {
  t.timeout(120_000);
  const net = await Netns.create(t);
  const kernel = await Netns.create(t);
  await net.joinLinux(kernel, "10.1.0.1/24", "10.1.0.2/24");
  await kernel.must("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0");
  await kernel.run("sysctl", ["-qw", "net.ipv4.icmp_msgs_per_sec=100000"]);
  const board = await net.ipBoard({
    taps: [{ tap: TAP, addr: `${BOARD_ADDR}/24` }], parts: ["ipOptions"], settings: { icmpRatelimit: 0, icmpMsgsPerSec: 100_000, icmpMsgsBurst: 100_000 },
  });
  const judge = async (device: string, from: string, to: string): Promise<Record<string, string[]>> => {
    await net.must("ping", "-q", "-c", "1", to);
    return JSON.parse(await net.must("python3", "test/interop/options.py", device, from, to, "1")) as Record<string, string[]>;
  };
  const linux = await judge("veth0", "10.1.0.1", "10.1.0.2");
  const ours = await judge(TAP, LINUX_ADDR, BOARD_ADDR);
  const differ = Object.keys(linux).filter((name) => JSON.stringify(ours[name]) !== JSON.stringify(linux[name]));
  t.log(`${Object.keys(linux).length} packets, ${Object.values(linux).filter((answers) => answers.length > 0).length} answered`);
  t.deepEqual(Object.fromEntries(differ.map((name) => [name, ours[name]])), Object.fromEntries(differ.map((name) => [name, linux[name]])));
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
});
