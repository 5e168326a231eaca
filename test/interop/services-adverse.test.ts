/**
 * The services when Linux's servers are stopped, come back and know nothing any more, when the line between is bad, and when what
 * answers is nonsense.
 */
import test, { type ExecutionContext } from "ava";
import { type Board, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";
import { Avahi, folder, forgetLeases, OTHER_RANGE, RANGE, startChronyd, startDnsmasq } from "./servers.ts";

const served = interopMissing(["dnsmasq"]) === null ? test.serial : test.serial.skip;
const timed = interopMissing(["dnsmasq", "chronyd"]) === null ? test.serial : test.serial.skip;
const named = interopMissing(["avahi-daemon", "avahi-browse", "dbus-daemon"]) === null ? test.serial : test.serial.skip;
const answered = interopMissing(["python3"]) === null ? test.serial : test.serial.skip;

const PATIENCE_MS = 120_000;
const BAD_LINE = Object.freeze({ loss: 0.05, duplicate: 0.1, reorder: 0.1, corrupt: 0.02, delayMs: 5, jitterMs: 4, seed: 7 });
const NTP_OPTION = `--dhcp-option=option:ntp-server,${LINUX_ADDR}`;

/** Waits until it has printed that line so often. */
async function printed(board: Board, line: string, times: number): Promise<void> {
  await board.printed(new RegExp(Array.from({ length: times }, () => `^${line}$`).join("[\\s\\S]*"), "m"), PATIENCE_MS);
}

/** Everything comes back. */
async function end(t: ExecutionContext, board: Board): Promise<void> {
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
}

served("dnsmasq comes back without its leases, then with another range: the address stays, then another one is asked for", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  const names = (addr: string): string[] => ["--domain=lan", "--local=/lan/", `--host-record=printer.lan,${addr}`];
  const first = startDnsmasq(net, dir, [RANGE, ...names("10.0.0.200")]);
  const board = await net.services({ tap: "tap0", unprobed: true, names: ["printer"] });
  const [, addr] = await board.printed(/^dhcp bound (10\.0\.0\.5\d) /m, PATIENCE_MS);
  await printed(board, "name printer 10\\.0\\.0\\.200", 1);
  await first.stop();
  forgetLeases(dir);

  const second = startDnsmasq(net, dir, [RANGE, ...names("10.0.0.201")]);
  await net.must("sh", "-c", "for i in $(seq 100); do ss -lun | grep -q :67 && exit 0; sleep 0.1; done; exit 1");
  board.askAgain();
  await printed(board, `dhcp renewed ${addr} .*`, 1);
  await printed(board, "name printer 10\\.0\\.0\\.201", 1);
  t.false(second.log().includes("DHCPNAK"));
  await second.stop();
  forgetLeases(dir);

  const third = startDnsmasq(net, dir, [OTHER_RANGE, ...names("10.0.0.202")]);
  await net.must("sh", "-c", "for i in $(seq 100); do ss -lun | grep -q :67 && exit 0; sleep 0.1; done; exit 1");
  board.askAgain();
  await printed(board, "dhcp refused .*", 1);
  await printed(board, "dhcp bound 10\\.0\\.0\\.7\\d .*", 1);
  await printed(board, "name printer 10\\.0\\.0\\.202", 1);
  t.true(third.log().includes("DHCPNAK"));
  await end(t, board);
});

served("dnsmasq over a bad line: an address, names over UDP and TCP, and the lease given back", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const many = Array.from({ length: 120 }, (_, i) => `--host-record=many.lan,10.7.${i >> 7}.${i + 1}`);
  startDnsmasq(net, folder(t), [
    RANGE, "--domain=lan", "--local=/lan/", "--host-record=printer.lan,10.0.0.200", "--cname=alias.lan,printer.lan", ...many,
  ]);
  const board = await net.services({
    tap: "tap0", unprobed: true, impairment: BAD_LINE, names: ["printer", "alias.lan", "none.lan", "many.lan", "10.0.0.200"],
  });
  await board.printed(/^dhcp bound 10\.0\.0\.5\d 255\.255\.255\.0 10\.0\.0\.1 10\.0\.0\.1 600 lan$/m, PATIENCE_MS);
  for (const line of ["printer 10\\.0\\.0\\.200", "alias\\.lan 10\\.0\\.0\\.200", "none\\.lan -2", "10\\.0\\.0\\.200 printer\\.lan"]) {
    await printed(board, `name ${line}`, 1);
  }
  const [, addresses] = await board.printed(/^name many\.lan ([\d.,]+)$/m, PATIENCE_MS);
  t.is(addresses!.split(",").length, 8);
  await end(t, board);
});

timed("chronyd stops and comes back: the time is asked for again and again until it is told, over a bad line too", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  startDnsmasq(net, dir, [RANGE, NTP_OPTION]);
  const first = startChronyd(net, dir);
  const board = await net.services({ tap: "tap0", unprobed: true, impairment: BAD_LINE });
  await printed(board, "time .* 5", 1);
  await first.stop();
  // Nobody listens: the client tries again some seconds later, and finds the second one.
  board.askAgain();
  await new Promise((resolve) => setTimeout(resolve, 500));
  startChronyd(net, dir);
  await printed(board, "time .* 5", 2);
  const [, error] = await board.printed(/^time (\S+) /m, PATIENCE_MS);
  t.true(Math.abs(Number(error)) < 1000, `${error} ms from Linux's time`);
  await end(t, board);
});

named("Avahi stops and comes back: its page is lost and found again, and it finds ours anew, over a bad line", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const avahi = await Avahi.start(net, folder(t));
  const page = avahi.spawn("avahi-publish", "-s", "Linux page", "_http._tcp", "8000", "path=/linux");
  const board = await net.services({ tap: "tap0", mdns: "board7", impairment: BAD_LINE });
  await printed(board, "mdns 0 board7", 1);
  await printed(board, "resolved 0 linux\\.local 10\\.0\\.0\\.1 8000 path=/linux", 1);
  page.kill("SIGTERM");
  await printed(board, "lost Linux page", 1);
  await avahi.stopDaemon();

  await avahi.startDaemon();
  avahi.spawn("avahi-publish", "-s", "Linux page", "_http._tcp", "8001", "path=/again");
  await printed(board, "resolved 0 linux\\.local 10\\.0\\.0\\.1 8001 path=/again", 1);
  const again = "for i in $(seq 20); do avahi-browse -pkrt _http._tcp | grep -q '^=;tap0;IPv4;Seite.*board7.local;10.0.0.2;8080' && exit 0; sleep 0.5; done; exit 1";
  await t.notThrowsAsync(avahi.must("sh", "-c", again));
  await end(t, board);
});

answered("nonsense from servers of all kinds is passed over, and the right answer behind it taken", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const liar = net.spawn("python3", ["test/interop/liar.py", LINUX_ADDR]);
  let said = "";
  liar.stdout!.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const names = Array.from({ length: 12 }, (_, n) => `bad${n}.lan`);
  const board = await net.services({ tap: "tap0", unprobed: true, names: [...names, "good.lan"] });
  await board.printed(/^dhcp bound 10\.0\.0\.50 255\.255\.255\.0 10\.0\.0\.1 10\.0\.0\.1 3600 lan$/m, PATIENCE_MS);
  for (const name of [...names, "good.lan"]) await printed(board, `name ${name} 10\\.0\\.0\\.77`, 1);
  await printed(board, "time .* 3", 1);
  t.regex(said, /offers \d+ acks \d+/);
  await end(t, board);
});

answered("nonsense in mDNS does not keep a board from answering to its name", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const board = await net.services({ tap: "tap0", mdns: "board7" });
  await printed(board, "mdns 0 board7", 1);
  t.is((await net.must("python3", "test/interop/liar.py", LINUX_ADDR, "board7")).trim(), "board7 10.0.0.2");
  t.true(board.alive);
  t.false(/mdns 0 board7-2/.test(board.text));
  await end(t, board);
});
