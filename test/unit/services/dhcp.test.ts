/** The DHCP client against a server that the test plays: every state of RFC 2131 with its times, options, and what goes wrong. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Impairment } from "../../../hal/mock/impair.ts";
import { ip } from "../../../src/commands/index.ts";
import { inetDelAddress } from "../../../src/index.ts";
import { packet } from "../../../src/packet.ts";
import {
  dhcp, DHCP_BOUND, DHCP_CHECKING, DHCP_EVENT_BOUND, DHCP_EVENT_CONFLICT, DHCP_EVENT_EXPIRED, DHCP_EVENT_REFUSED, DHCP_EVENT_RELEASED,
  DHCP_EVENT_RENEWED, DHCP_EVENT_SILENCE, DHCP_FOREVER, DHCP_REBINDING, DHCP_REBOOTING, DHCP_RENEWING, DHCP_REQUESTING, DHCP_SELECTING,
  DHCP_STOPPED, DHCP_WAITING, type DhcpClient, type DhcpOptions, dhcpRelease, dhcpRenew, dhcpStop,
} from "../../../src/services/dhcp.ts";
import { dhcpCheck, dhcpOption, dhcpType } from "../../../src/services/dhcp-message.ts";
import { scratch } from "../../../src/services/service.ts";
import { addr, addrs, type DhcpHandler, dhcpReply, DhcpServerPeer, dutiful, text, u32 } from "../../lib/dhcp.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";

const SERVER = "192.168.7.1";
const GIVEN = "192.168.7.20";
const HOUR = 3600;
const MASK = [1, addr("255.255.255.0")] as const;
const lease = (seconds: number): readonly [number, number[]] => [51, u32(seconds)];
const ONE_HOUR = [MASK, lease(HOUR)];

interface Bench {
  readonly lab: Lab;
  readonly board: LabHost;
  readonly server: DhcpServerPeer;
  readonly client: DhcpClient;
  readonly events: number[];
  /** `ip addr` and `ip route` of the board, without what is always there. */
  config(): string;
}

interface Setting {
  readonly options?: DhcpOptions;
  readonly wire?: Impairment;
  readonly packets?: boolean;
}

function setUp(t: ExecutionContext, handler: DhcpHandler, { options = {}, wire = {}, packets = false }: Setting = {}): Bench {
  const lab = createLab(t, { hosts: ["board"], wire, neighbours: false, ...(packets ? { initcalls: [packet] } : {}) });
  const board = lab.host("board");
  inetDelAddress(board.net, board.dev, board.addr, 24);
  lab.runFor(100);
  const server = new DhcpServerPeer(lab, SERVER, handler);
  const events: number[] = [];
  const client = dhcp(board.net, "eth0", { onChange: (_, event) => events.push(event), ...options });
  t.teardown(() => dhcpStop(client));
  const config = (): string => {
    const addresses = [...ip(board.net, "-o addr show dev eth0").text.matchAll(/inet (\S+) brd (\S+)/g)].map(([, a, b]) => `${a} ${b}`);
    return [...addresses, ...ip(board.net, "route").text.split("\n").map((line) => line.trim().replace(/ +/g, " "))].filter(Boolean).join("; ");
  };
  return { lab, board, server, client, events, config };
}

function near(t: ExecutionContext, ms: number, expected: number, slack: number, what: string): void {
  t.true(Math.abs(ms - expected) <= slack, `${what}: ${ms} ms, expected ${expected} ± ${slack}`);
}

test.serial("DISCOVER, OFFER, REQUEST, ACK: the address, its routes and the lease", (t) => {
  const { lab, server, client, events, config } = setUp(t, dutiful(GIVEN, [
    MASK, lease(HOUR), [3, addrs("192.168.7.1", "192.168.7.2")], [6, addrs("192.168.7.53", "9.9.9.9")], [12, text("board7")],
    [15, text("lan.example")], [28, addr("192.168.7.255")], [42, addr("192.168.7.123")], [26, [0x05, 0xb4]],
  ]), { options: { hostname: "hello" } });
  lab.runFor(100);
  t.deepEqual(server.types, ["DISCOVER", "REQUEST"]);
  const [discover, request] = server.heard;
  t.like(discover, { saddr: "0.0.0.0", daddr: "255.255.255.255", broadcast: true, ciaddr: "0.0.0.0", secs: 0, requested: undefined });
  t.deepEqual([...discover!.options.get(55)!], [1, 121, 3, 6, 12, 15, 26, 28, 33, 42, 51, 54, 58, 59]);
  t.deepEqual([...discover!.options.get(61)!], [1, 2, 0, 10, 0, 0, 1]);
  t.deepEqual([...discover!.options.get(57)!], [2, 64]);
  t.is(Buffer.from(discover!.options.get(12)!).toString(), "hello");
  t.like(request, { saddr: "0.0.0.0", daddr: "255.255.255.255", requested: GIVEN, server: SERVER, ciaddr: "0.0.0.0", xid: discover!.xid });
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
  t.is(config(), "192.168.7.20/24 192.168.7.255; default via 192.168.7.1 dev eth0; 192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.20");
  t.is(lab.host("board").dev.mtu, 1460);
  t.like(client.lease, { hostname: "board7", domain: "lan.example", dnsCount: 2, ntpCount: 1, leaseSec: HOUR, t1Sec: 1800, t2Sec: 3150 });
  t.deepEqual(Array.from(client.lease.dns.subarray(0, 2), addressText), ["192.168.7.53", "9.9.9.9"]);
  t.is(addressText(client.lease.ntp[0]!), "192.168.7.123");
});

test.serial("without an answer it asks after 4, 8, 16, 32, 64 and 64 s, each a second more or less, and says so once", (t) => {
  const { lab, server, client, events } = setUp(t, () => null);
  lab.runFor(260_000);
  const times = server.heard.map(({ at }) => at);
  [4000, 8000, 16_000, 32_000, 64_000, 64_000].forEach((wait, i) => near(t, times[i + 1]! - times[i]!, wait, 1000, `message ${i + 1}`));
  t.true(times.slice(1).some((at, i) => (at - times[i]!) % 1000 !== 0), "with jitter");
  t.is(server.heard[4]!.secs, Math.floor((times[4]! - times[0]!) / 1000));
  t.is(new Set(server.heard.map(({ xid }) => xid)).size, 1);
  t.is(client.state, DHCP_SELECTING);
  t.deepEqual(events, [DHCP_EVENT_SILENCE]);
});

test.serial("it waits for the link", (t) => {
  const { lab, board, server, events } = setUp(t, dutiful(GIVEN, ONE_HOUR));
  lab.wire.setCarrier(false);
  lab.runFor(60_000);
  t.is(server.heard.length, 0);
  lab.wire.setCarrier(true);
  lab.runFor(300);
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
  t.true(board.dev.carrier);
});

/** The cable is out for a second. */
function replug({ lab }: Bench): void {
  lab.wire.setCarrier(false);
  lab.runFor(1000);
  lab.wire.setCarrier(true);
}

test.serial("when the link was away the address is asked for again, as after a restart, and stays meanwhile", (t) => {
  const bench = setUp(t, dutiful(GIVEN, [...ONE_HOUR, [3, addr(SERVER)]]));
  const { lab, server, client, events, config } = bench;
  lab.runFor(100);
  const before = config();
  replug(bench);
  lab.runFor(100);
  t.deepEqual(server.types, ["DISCOVER", "REQUEST", "REQUEST"]);
  t.like(server.last, { daddr: "255.255.255.255", requested: GIVEN, server: undefined, ciaddr: "0.0.0.0" });
  t.not(server.last.xid, server.heard[1]!.xid);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_RENEWED]);
  t.is(client.state, DHCP_BOUND);
  t.is(config(), before);
});

test.serial("the link came back in another network: its server refuses the address and gives one of its own", (t) => {
  const bench = setUp(t, dutiful(GIVEN, ONE_HOUR));
  const { lab, server, events, config } = bench;
  lab.runFor(100);
  server.handler = dutiful("192.168.9.9", ONE_HOUR);
  replug(bench);
  lab.runFor(1000);
  t.deepEqual(server.types, ["DISCOVER", "REQUEST", "REQUEST", "DISCOVER", "REQUEST"]);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_REFUSED, DHCP_EVENT_BOUND]);
  t.regex(config(), /^192\.168\.9\.9\/24/);
});

test.serial("the link came back and nobody answers: the address stays until its time is over, renewed when the server is back", (t) => {
  const bench = setUp(t, dutiful(GIVEN, ONE_HOUR));
  const { lab, server, client, events } = bench;
  lab.runFor(100);
  server.handler = () => null;
  replug(bench);
  lab.runFor(60_000);
  t.is(client.state, DHCP_BOUND);
  t.is(server.types.length, 5, "three requests");
  server.handler = dutiful(GIVEN, ONE_HOUR);
  lab.runFor(HOUR * 500);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_RENEWED]);
  server.handler = () => null;
  replug(bench);
  lab.runFor(2 * HOUR * 1000);
  t.is(events[2], DHCP_EVENT_EXPIRED);
});

test.serial("the link goes and comes before there is an address: it begins anew at once", (t) => {
  const bench = setUp(t, () => null);
  const { lab, server, events } = bench;
  lab.runFor(50_000);
  const asked = server.heard.length;
  server.handler = dutiful(GIVEN, ONE_HOUR);
  replug(bench);
  lab.runFor(100);
  t.is(server.heard.length, asked + 2);
  t.deepEqual(events.slice(-1), [DHCP_EVENT_BOUND]);
});

test.serial("renewed from the server at T1, without the address leaving the device", (t) => {
  const { lab, server, client, events, config } = setUp(t, dutiful(GIVEN, [...ONE_HOUR, [3, addr(SERVER)]]));
  lab.runFor(100);
  const before = config();
  lab.runUntil(() => client.state === DHCP_RENEWING, HOUR * 1000);
  near(t, lab.nowMs, 1_786_000, 15_000, "T1");
  lab.runFor(1000);
  t.like(server.last, { type: "REQUEST", saddr: GIVEN, daddr: SERVER, ciaddr: GIVEN, requested: undefined, server: undefined, broadcast: false });
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_RENEWED]);
  t.is(client.state, DHCP_BOUND);
  t.is(config(), before);
  lab.runFor(HOUR * 1000 * 5);
  t.is(events.length, 12);
});

test.serial("T1 and T2 of the server count; without an answer it asks all at T2, and gives the address up at the end", (t) => {
  let silent = false;
  const good = dutiful(GIVEN, [...ONE_HOUR, [58, u32(600)], [59, u32(1200)]]);
  const { lab, server, client, events, config } = setUp(t, (message) => (silent ? null : good(message)));
  lab.runFor(100);
  silent = true;
  server.heard.length = 0;
  lab.runUntil(() => client.state === DHCP_REBINDING, HOUR * 1000);
  t.is(Math.round(lab.nowMs / 1000), 1200);
  const renewals = server.heard.filter(({ daddr }) => daddr === SERVER).map(({ at }) => Math.round(at / 1000));
  // Half of what is left each time, at least a minute.
  t.true(renewals.length >= 4 && renewals[0]! >= 590 && renewals[0]! <= 600, String(renewals));
  renewals.slice(1).forEach((at, i) => t.true(Math.abs(at - renewals[i]! - Math.max(60, (1200 - renewals[i]!) / 2)) <= 1, String(renewals)));
  lab.runFor(100);
  t.like(server.last, { type: "REQUEST", saddr: GIVEN, daddr: "255.255.255.255", ciaddr: GIVEN });
  lab.runUntil(() => events.length > 1, HOUR * 1000);
  t.is(Math.round(lab.nowMs / 1000), HOUR);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_EXPIRED]);
  t.is(config(), "");
  silent = false;
  lab.runFor(10_000);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_EXPIRED, DHCP_EVENT_BOUND]);
});

test.serial("another server may prolong the lease at T2", (t) => {
  const good = dutiful(GIVEN, ONE_HOUR);
  const { lab, server, client, events } = setUp(t, good);
  lab.runFor(100);
  server.handler = (message) => (message.daddr === SERVER ? null : good(message));
  lab.runFor(HOUR * 1000);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_RENEWED]);
  t.is(client.state, DHCP_BOUND);
});

test.serial("times of the server that make no sense are replaced by the usual ones", (t) => {
  const { lab, client } = setUp(t, dutiful(GIVEN, [...ONE_HOUR, [58, u32(5000)], [59, u32(100)]]));
  lab.runFor(100);
  t.like(client.lease, { t1Sec: 1800, t2Sec: 3150 });
});

test.serial("a lease without end is never renewed, one of years is in time", (t) => {
  const { lab, server, client } = setUp(t, dutiful(GIVEN, [MASK, lease(DHCP_FOREVER)]));
  lab.runFor(100);
  t.is(client.lease.leaseSec, DHCP_FOREVER);
  lab.runFor(100 * 86_400_000);
  t.is(server.heard.length, 2);
  server.handler = dutiful(GIVEN, [MASK, lease(2 * 365 * 86_400)]);
  dhcpRenew(client);
  lab.runFor(1000);
  t.is(server.heard.length, 3);
  lab.runFor(350 * 86_400_000);
  t.is(server.heard.length, 3);
  lab.runFor(20 * 86_400_000);
  t.is(server.heard.length, 4);
});

test.serial("refused at renewal: the address goes at once, and another one is asked for", (t) => {
  const { lab, server, events, config } = setUp(t, dutiful(GIVEN, ONE_HOUR));
  lab.runFor(100);
  server.handler = dutiful("192.168.7.99", ONE_HOUR);
  lab.runFor(HOUR * 500);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_REFUSED, DHCP_EVENT_BOUND]);
  t.regex(config(), /^192\.168\.7\.99\/24/);
});

test.serial("a server that always refuses is asked ever more rarely", (t) => {
  const { lab, server, client } = setUp(t, ({ type }) =>
    type === "DISCOVER" ? { type: "OFFER", yiaddr: GIVEN, options: ONE_HOUR } : { type: "NAK" });
  lab.runFor(600_000);
  const discovers = server.heard.filter(({ type }) => type === "DISCOVER").length;
  t.true(discovers >= 10 && discovers <= 18, String(discovers));
  t.is(client.state, DHCP_WAITING);
});

test.serial("an offer that is not acknowledged is given up after four requests", (t) => {
  const { lab, server } = setUp(t, ({ type }) => (type === "DISCOVER" ? { type: "OFFER", yiaddr: GIVEN, options: ONE_HOUR } : null));
  lab.runFor(70_000);
  t.deepEqual(server.types.slice(0, 6), ["DISCOVER", "REQUEST", "REQUEST", "REQUEST", "REQUEST", "DISCOVER"]);
});

test.serial("INIT-REBOOT: an address from before is asked for, and kept, refused, or unknown to all", (t) => {
  const { lab, server, client, events } = setUp(t, dutiful(GIVEN, ONE_HOUR), { options: { request: addressNumber(GIVEN) } });
  lab.runFor(100);
  t.deepEqual(server.types, ["REQUEST"]);
  t.like(server.last, { requested: GIVEN, server: undefined, ciaddr: "0.0.0.0", saddr: "0.0.0.0", daddr: "255.255.255.255" });
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
  t.is(client.state, DHCP_BOUND);
});

test.serial("INIT-REBOOT refused begins anew at once, unanswered after three requests", (t) => {
  const { lab, server, client, events } = setUp(t, () => null, { options: { request: addressNumber("10.9.9.9") } });
  lab.runFor(100);
  t.is(client.state, DHCP_REBOOTING);
  lab.runUntil(() => server.types.includes("DISCOVER"), 60_000);
  t.deepEqual(server.types, ["REQUEST", "REQUEST", "REQUEST", "DISCOVER"]);
  server.handler = dutiful(GIVEN, ONE_HOUR);
  lab.runFor(10_000);
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
});

test.serial("RELEASE: the server is told, then the address goes and the client ends", (t) => {
  const { lab, server, client, events, config } = setUp(t, dutiful(GIVEN, ONE_HOUR));
  lab.runFor(100);
  dhcpRelease(client);
  lab.runFor(2000);
  t.like(server.last, { type: "RELEASE", ciaddr: GIVEN, server: SERVER, daddr: SERVER, saddr: GIVEN });
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_RELEASED]);
  t.is(client.state, DHCP_STOPPED);
  t.is(config(), "");
  t.is(lab.host("board").dev.mtu, 1500);
});

test.serial("classless routes count instead of router and static routes", (t) => {
  const { lab, client, config } = setUp(t, dutiful(GIVEN, [
    ...ONE_HOUR, [3, addr("192.168.7.9")], [33, addrs("10.1.0.0", "192.168.7.9")],
    [121, [24, 10, 5, 6, ...addr("192.168.7.5"), 0, ...addr("192.168.7.1"), 16, 172, 20, ...addr("0.0.0.0")]],
  ]));
  lab.runFor(100);
  t.deepEqual(config().split("; ").slice(1), [
    "default via 192.168.7.1 dev eth0", "10.5.6.0/24 via 192.168.7.5 dev eth0", "172.20.0.0/16 dev eth0 scope link",
    "192.168.7.0/24 dev eth0 proto kernel scope link src 192.168.7.20",
  ]);
  t.is(addressText(client.lease.router), "192.168.7.1");
});

test.serial("static routes are those of their classes; a malformed option 121 is none", (t) => {
  const { lab, config } = setUp(t, dutiful(GIVEN, [
    ...ONE_HOUR, [3, addr("192.168.7.9")], [33, addrs("10.1.0.0", "192.168.7.5", "0.0.0.0", "192.168.7.6")], [121, [33, 1, 2, 3]],
  ]));
  lab.runFor(100);
  t.deepEqual(config().split("; ").slice(1, 3), ["default via 192.168.7.9 dev eth0", "10.0.0.0/8 via 192.168.7.5 dev eth0"]);
});

test.serial("a lease of a single address has its router on the link", (t) => {
  const { lab, config } = setUp(t, dutiful(GIVEN, [[1, addr("255.255.255.255")], lease(HOUR), [3, addr("192.168.7.1")]]));
  lab.runFor(100);
  t.regex(config(), /default via 192\.168\.7\.1 dev eth0; 192\.168\.7\.1 dev eth0 scope link/);
});

test.serial("options in the fields file and sname, and in several parts", (t) => {
  const { lab, client } = setUp(t, ({ type }) => ({
    type: type === "DISCOVER" ? "OFFER" : "ACK", yiaddr: GIVEN,
    options: [MASK, [52, [3]], [15, text("very-")]],
    file: [51, 4, ...u32(HOUR), 15, 5, ...text("long."), 255], sname: [15, 6, ...text("domain"), 255],
  }));
  lab.runFor(100);
  t.is(client.state, DHCP_BOUND);
  t.like(client.lease, { domain: "very-long.domain", leaseSec: HOUR });
});

test.serial("what is malformed, foreign or nonsense is not taken, and does not disturb", (t) => {
  const good = { type: "OFFER", yiaddr: GIVEN, options: ONE_HOUR } as const;
  const { lab, server, client } = setUp(t, ({ type, xid, mac }) => (type === "DISCOVER"
    ? [
      { ...good, xid: xid ^ 1 }, { ...good, chaddr: { hi: mac.hi, lo: mac.lo ^ 1 } }, { ...good, noServerId: true },
      { ...good, yiaddr: "0.0.0.0" }, { ...good, yiaddr: "127.0.0.1" }, { ...good, yiaddr: "224.0.0.1" }, { ...good, yiaddr: "255.255.255.255" },
      { ...good, options: [MASK, lease(1)] }, { ...good, options: [[1, addr("255.0.255.0")], lease(HOUR)] },
      { ...good, type: "ACK" }, { ...good, type: "NAK", xid: xid ^ 1 }, { ...good, type: "REQUEST" },
      { ...good, spoil: (bytes) => bytes.subarray(0, 100) }, { ...good, spoil: (bytes) => bytes.fill(0, 236, 240) },
      { ...good, spoil: (bytes) => bytes.fill(1, 0, 1) }, { ...good, spoil: (bytes) => bytes.fill(17, 2, 3) },
      // The last option cut short; all whole, but without an end.
      { ...good, spoil: (bytes) => bytes.subarray(0, bytes.length - 3) }, { ...good, spoil: (bytes) => bytes.subarray(0, bytes.length - 1) },
      { ...good, options: [[52, [1]], ...ONE_HOUR], file: [15, 200] },
    ]
    : null));
  lab.runFor(60_000);
  t.is(client.state, DHCP_SELECTING);
  t.deepEqual(new Set(server.types), new Set(["DISCOVER"]));
  server.handler = dutiful(GIVEN, ONE_HOUR);
  lab.runFor(70_000);
  t.is(client.state, DHCP_BOUND);
});

test.serial("a NAK of another server than the chosen one is none", (t) => {
  const { lab, client, server } = setUp(t, ({ type }) => (type === "DISCOVER" ? { type: "OFFER", yiaddr: GIVEN, options: ONE_HOUR }
    : [{ type: "NAK", noServerId: true }, { type: "NAK", noServerId: true, options: [[54, addr("192.168.7.66")]] }]));
  lab.runFor(1000);
  t.is(client.state, DHCP_REQUESTING);
  t.deepEqual(server.types, ["DISCOVER", "REQUEST"]);
});

test.serial("the address is probed for before it is used, and announced", (t) => {
  const { lab, server, client, events, config } = setUp(t, dutiful(GIVEN, ONE_HOUR), { packets: true });
  lab.runFor(1500);
  t.is(client.state, DHCP_CHECKING);
  t.is(config(), "");
  lab.runFor(10_000);
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
  // The stack itself announces an address that it is given, at the same time as the first of ours.
  const mine = server.arps.filter(([at, spa, tpa], i) => tpa === GIVEN && (spa === "0.0.0.0" || at !== server.arps[i - 1]![0]));
  t.deepEqual(mine.map(([, spa]) => spa), ["0.0.0.0", "0.0.0.0", "0.0.0.0", GIVEN, GIVEN]);
  const gaps = mine.slice(1).map(([at], i) => at - mine[i]![0]);
  t.true(gaps[0]! >= 1000 && gaps[0]! <= 2000 && gaps[1]! >= 1000 && gaps[1]! <= 2000, String(gaps));
  t.deepEqual(gaps.slice(2), [2000, 2000]);
});

test.serial("an address that another host has is declined, and another one asked for ten seconds later", (t) => {
  let offered = GIVEN;
  const { lab, server, events, client } = setUp(t, (message) => dutiful(offered, ONE_HOUR)(message), { packets: true });
  lab.runUntil(() => server.arps.some(([, , tpa]) => tpa === GIVEN));
  server.claim(GIVEN);
  lab.runFor(100);
  t.like(server.last, { type: "DECLINE", requested: GIVEN, server: SERVER, ciaddr: "0.0.0.0", saddr: "0.0.0.0", daddr: "255.255.255.255" });
  t.deepEqual(events, [DHCP_EVENT_CONFLICT]);
  const declined = server.last.at;
  offered = "192.168.7.21";
  lab.runUntil(() => client.state === DHCP_BOUND, 30_000);
  const again = server.heard.find(({ type, at }) => type === "DISCOVER" && at > declined)!;
  near(t, again.at - declined, 10_000, 1, "wait");
});

test.serial("somebody who probes for the same address at the same time has it too", (t) => {
  const { lab, server } = setUp(t, dutiful(GIVEN, ONE_HOUR), { packets: true });
  lab.runUntil(() => server.arps.some(([, , tpa]) => tpa === GIVEN));
  server.probe(GIVEN);
  lab.runFor(100);
  t.is(server.last.type, "DECLINE");
});

test.serial("in use the address is defended once in ten seconds, and given up to who insists", (t) => {
  const { lab, server, events, config } = setUp(t, dutiful(GIVEN, ONE_HOUR), { packets: true });
  lab.runFor(12_000);
  server.arps.length = 0;
  server.claim(GIVEN);
  lab.runFor(100);
  t.deepEqual(server.arps.map(([, spa, tpa]) => [spa, tpa]), [[GIVEN, GIVEN]]);
  lab.runFor(11_000);
  server.claim(GIVEN);
  lab.runFor(5000);
  t.deepEqual(events, [DHCP_EVENT_BOUND]);
  server.claim(GIVEN);
  lab.runFor(100);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_CONFLICT]);
  t.is(server.last.type, "DECLINE");
  t.is(server.last.requested, GIVEN);
  t.is(config(), "");
});

test.serial("over a line that loses, delays, duplicates and reorders the address comes and stays", (t) => {
  const { lab, client, events, board } = setUp(t, dutiful(GIVEN, [MASK, lease(600)]), {
    wire: { loss: 0.3, delayMs: 20, jitterMs: 15, duplicate: 0.1, reorder: 0.1 },
  });
  lab.runFor(24 * HOUR * 1000);
  t.true(client.applied);
  t.true(events.filter((event) => event === DHCP_EVENT_RENEWED).length > 200);
  t.true(board.dev.carrier);
});

test.serial("a server that restarts and knows nothing of the lease costs the address, not the client", (t) => {
  const { lab, server, client, events } = setUp(t, dutiful(GIVEN, ONE_HOUR));
  lab.runFor(100);
  server.handler = () => null;
  lab.runFor(HOUR * 400);
  server.handler = ({ type, requested }) => {
    if (type === "DISCOVER") return { type: "OFFER", yiaddr: "192.168.7.40", options: ONE_HOUR };
    return requested === "192.168.7.40" ? { type: "ACK", yiaddr: "192.168.7.40", options: ONE_HOUR } : { type: "NAK" };
  };
  lab.runFor(HOUR * 500);
  t.deepEqual(events, [DHCP_EVENT_BOUND, DHCP_EVENT_REFUSED, DHCP_EVENT_BOUND]);
  t.is(addressText(client.lease.addr), "192.168.7.40");
});

test.serial("bad options and a device that is not there are named", (t) => {
  const { board } = setUp(t, () => null);
  t.throws(() => dhcp(board.net, "eth7"), { message: "dhcp: device eth7: ENODEV" });
  t.throws(() => dhcp(board.net, "eth0", { hostname: "a b" }), { instanceOf: RangeError, message: /hostname is a b/ });
  t.throws(() => dhcp(board.net, "eth0", { clientId: new Uint8Array(1) }), { message: /clientId has 1 bytes/ });
});

test.serial("no message whatever leads the reader out of the buffer", (t) => {
  setUp(t, () => null);
  const asked = { mac: { hi: 0, lo: 0 }, xid: 7 } as never;
  const whole = dhcpReply(asked, SERVER, { type: "ACK", yiaddr: GIVEN, options: [...ONE_HOUR, [52, [3]]], file: [15, 3, 1, 2, 3, 255], sname: [12, 1, 65, 255] });
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(whole.length), (changes, length) => {
    scratch.fill(0xaa);
    scratch.set(whole);
    for (const [at, value] of changes) scratch[at] = value;
    if (!dhcpCheck(length, 2)) return;
    for (let code = 0; code < 256; code++) t.true(dhcpOption(code) <= 255);
    t.true(dhcpType() >= 0);
  }), { numRuns: 500 });
});
