/**
 * A board that bridges three TAPs, beside Linux's own bridge: the same frames come out by the same ports, under broadcast, unknown
 * receivers, station moves, reserved groups and ageing. And three Linux hosts behind it: ping, a flood of 10,000 addresses, a host
 * that moves.
 */
import test, { type ExecutionContext } from "ava";
import { type Board, interopMissing, Netns } from "./netns.ts";

const missing = interopMissing(["ping", "python3"]);
const interop = missing === null ? test.serial : test.serial.skip;
const TAPS = ["tap0", "tap1", "tap2"];
/** Hundredths of a second, as bridge.py waits in the end. */
const AGEING = 2000;

/** A board whose three devices are ports of br0. */
async function bridgeBoard(net: Netns, commands: readonly string[] = []): Promise<Board> {
  await net.must("ip", "addr", "flush", "dev", "tap0");
  for (const tap of TAPS.slice(1)) await net.must("ip", "tuntap", "add", "dev", tap, "mode", "tap");
  const board = await net.ipBoard({
    taps: TAPS.map((tap) => ({ tap })),
    parts: ["bridge"],
    commands: [`link add br0 type bridge ageing_time ${AGEING}`, ...[0, 1, 2].map((i) => `link set eth${i} master br0`), "link set br0 up", ...commands],
  });
  for (const tap of TAPS) {
    await net.run("sysctl", ["-qw", `net.ipv6.conf.${tap}.disable_ipv6=1`]);
    await net.must("ip", "link", "set", tap, "up");
  }
  return board;
}

/** Linux's bridge with a veth to each port. */
async function linuxBridge(net: Netns): Promise<void> {
  await net.must("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
  await net.must("ip", "link", "add", "kbr", "type", "bridge", "ageing_time", String(AGEING), "mcast_snooping", "0");
  for (const i of [0, 1, 2]) {
    await net.must("ip", "link", "add", `v${i}`, "type", "veth", "peer", "name", `p${i}`);
    await net.must("ip", "link", "set", `p${i}`, "master", "kbr", "up");
    await net.must("ip", "link", "set", `v${i}`, "up");
  }
  await net.must("ip", "link", "set", "kbr", "up");
  await new Promise((resolve) => setTimeout(resolve, 500));
}

async function judged(net: Netns, devices: readonly string[]): Promise<Record<string, number[]>> {
  return JSON.parse(await net.must("python3", "test/interop/bridge.py", ...devices)) as Record<string, number[]>;
}

interop("78 frames through a bridge of three ports: they come out where they come out of Linux's", async (t) => {
  t.timeout(240_000);
  const net = await Netns.create(t);
  const board = await bridgeBoard(net);
  const ours = await judged(net, TAPS);
  const report = await board.stop();
  const kernel = await Netns.create(t);
  await linuxBridge(kernel);
  const linux = await judged(kernel, ["v0", "v1", "v2"]);
  t.deepEqual(ours, linux);
  t.log(`${Object.keys(ours).length} frames, ${Object.values(ours).filter((ports) => ports.length === 2).length} to both other ports`);
  t.is(report.inUseAtEnd, report.inUseAtStart);
});

/** Each TAP in a namespace of its own, with an address there. */
async function hosts(t: ExecutionContext, net: Netns): Promise<Netns[]> {
  const list = [net, await Netns.create(t), await Netns.create(t)];
  for (const [i, host] of list.entries()) {
    if (i > 0) {
      await host.must("ip", "link", "del", "tap0");
      await net.must("ip", "link", "set", TAPS[i]!, "netns", String(host.pid));
    }
    await host.must("ip", "addr", "add", `10.0.0.${i + 1}/24`, "dev", TAPS[i]!);
    await host.must("ip", "link", "set", TAPS[i]!, "up");
  }
  return list;
}

interop("three Linux hosts behind the board: all reach each other and the board, also while one sends from 10,000 addresses", async (t) => {
  t.timeout(240_000);
  const net = await Netns.create(t);
  const board = await bridgeBoard(net, ["addr add 10.0.0.9/24 dev br0"]);
  const [a, b, c] = (await hosts(t, net)) as [Netns, Netns, Netns];
  for (const [host, to] of [[a, "10.0.0.2"], [b, "10.0.0.3"], [c, "10.0.0.1"], [a, "10.0.0.9"], [c, "10.0.0.9"]] as const) {
    t.regex(await host.must("ping", "-q", "-c", "20", "-W", "5", "-i", "0.02", "-s", "1472", to), /20 received, 0% packet loss/, to);
  }
  const flood = c.must("python3", "test/interop/bridge.py", "--flood", "tap2", "10000");
  const through = await a.must("ping", "-q", "-c", "100", "-W", "10", "-i", "0.02", "10.0.0.2");
  const to = await b.must("ping", "-q", "-c", "50", "-W", "10", "-i", "0.02", "10.0.0.9");
  await flood;
  t.regex(through, /100 received, 0% packet loss/);
  t.regex(to, /50 received, 0% packet loss/);
  // The host of the first port moves to the third: its address speaks there from now on.
  const mac = /link\/ether (\S+)/.exec(await a.must("ip", "link", "show", "tap0"))![1]!;
  await a.must("ip", "link", "set", "tap0", "address", "02:00:00:00:99:99");
  await c.must("ip", "link", "set", "tap2", "address", mac);
  await c.must("ip", "addr", "add", "10.0.0.1/24", "dev", "tap2");
  await c.must("ping", "-q", "-c", "1", "-W", "5", "-I", "10.0.0.1", "10.0.0.2");
  t.regex(await b.must("ping", "-q", "-c", "10", "-W", "5", "-i", "0.02", "10.0.0.1"), /10 received, 0% packet loss/);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart);
  const fdb = report.pools.find(({ name }) => name === "bridge_fdb")!;
  t.true(fdb.peak > 100, `${fdb.peak} of ${fdb.size} entries at most, ${fdb.failures} times none`);
  t.log(`${fdb.peak} of ${fdb.size} entries at most, ${fdb.failures} times none`);
});
