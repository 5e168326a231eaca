/** The DHCP server: the client of this project against it, hosts that the test plays, and what it refuses. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { inetDelAddress } from "../../../src/index.ts";
import { dhcp, DHCP_BOUND, DHCP_FOREVER, dhcpRelease, dhcpStop } from "../../../src/services/dhcp.ts";
import { dhcpd, type DhcpdOptions, dhcpdForEach, dhcpdStop, type DhcpServer } from "../../../src/services/dhcpd.ts";
import { addr, u32 } from "../../lib/dhcp.ts";
import { DhcpHost } from "../../lib/dhcp-host.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab } from "../../lib/lab.ts";

const FIRST = addressNumber("10.0.0.100");

interface Bench {
  readonly lab: Lab;
  readonly server: DhcpServer;
  host(lo: number): DhcpHost;
  leases(): string[];
}

function setUp(t: ExecutionContext, options: Partial<DhcpdOptions> = {}): Bench {
  const lab = createLab(t, { hosts: ["router"], neighbours: false });
  const server = dhcpd(lab.host("router").net, "eth0", { first: FIRST, last: FIRST + 2, ...options });
  t.teardown(() => dhcpdStop(server));
  const leases = (): string[] => {
    const found: string[] = [];
    dhcpdForEach(server, (address, _hi, lo, left) => found.push(`${addressText(address)} ${lo} ${left}`));
    return found;
  };
  return { lab, server, host: (lo) => new DhcpHost(lab, lo), leases };
}

test.serial("a host gets an address with all that belongs to it", (t) => {
  const { host, leases } = setUp(t, { dns: [addressNumber("9.9.9.9")], ntp: [addressNumber("10.0.0.7")], domain: "lan", leaseSec: 7200 });
  const board = host(1);
  const offer = board.ask("DISCOVER")!;
  t.is(offer.type, "OFFER");
  t.is(offer.frame.ip!.daddr, "255.255.255.255");
  const ack = board.ask("REQUEST", [[50, addr(offer.yiaddr)], [54, addr("10.0.0.1")]])!;
  t.is(ack.yiaddr, "10.0.0.100");
  const expected: [number, number[]][] = [
    [1, addr("255.255.255.0")], [3, addr("10.0.0.1")], [6, addr("9.9.9.9")], [15, [...Buffer.from("lan")]], [28, addr("10.0.0.255")],
    [42, addr("10.0.0.7")], [51, u32(7200)], [54, addr("10.0.0.1")], [58, u32(3600)], [59, u32(6300)],
  ];
  for (const [code, bytes] of expected) t.deepEqual(ack.options.get(code), bytes, `option ${code}`);
  t.deepEqual(leases(), ["10.0.0.100 1 7200"]);
});

test.serial("every host has an address of its own, the same again, and none is left for one too many", (t) => {
  const { lab, host, leases } = setUp(t, { leaseSec: 600 });
  const [a, b, c, d] = [host(1), host(2), host(3), host(4)];
  t.deepEqual([a.get(), b.get(), c.get(), d.get()], ["10.0.0.100", "10.0.0.101", "10.0.0.102", "silence"]);
  t.is(b.get(), "10.0.0.101");
  a.ask("RELEASE", [[54, addr("10.0.0.1")]], { ciaddr: "10.0.0.100" });
  t.is(d.get(), "10.0.0.100");
  t.is(a.get(), "silence");
  lab.runFor(601_000);
  t.deepEqual(leases(), []);
  t.is(c.get(), "10.0.0.102", "the one it had");
});

test.serial("an offer that is not taken, or whose host takes another's, is free again", (t) => {
  const { lab, host } = setUp(t, { last: FIRST });
  const [a, b] = [host(1), host(2)];
  t.is(a.ask("DISCOVER")!.yiaddr, "10.0.0.100");
  t.is(b.ask("DISCOVER"), null);
  a.ask("REQUEST", [[50, addr("10.0.0.9")], [54, addr("10.0.0.99")]]);
  t.is(b.ask("DISCOVER")!.yiaddr, "10.0.0.100");
  lab.runFor(31_000);
  t.is(a.get(), "10.0.0.100");
});

test.serial("renewing, rebooting: the owner keeps the address, others are refused, a free one may be had", (t) => {
  const { host } = setUp(t);
  const [a, b] = [host(1), host(2)];
  a.get();
  const renewed = a.ask("REQUEST", [], { ciaddr: "10.0.0.100", broadcast: false });
  // The host has no stack to answer ARP with: the answer goes by the name of its link address.
  t.true(renewed === null || renewed.type === "ACK");
  t.is(a.ask("REQUEST", [[50, addr("10.0.0.100")]])!.type, "ACK");
  t.is(b.ask("REQUEST", [[50, addr("10.0.0.100")]])!.type, "NAK");
  t.is(b.ask("REQUEST", [[50, addr("192.168.1.1")]])!.type, "NAK");
  t.is(b.ask("REQUEST", [[50, addr("10.0.0.1")]])!.type, "NAK", "the server's own");
  t.is(b.ask("REQUEST", [[50, addr("10.0.0.102")]])!.type, "ACK", "of an earlier life of the server");
  t.is(b.get(), "10.0.0.102");
});

test.serial("without the broadcast flag the answer goes to the address that it brings", (t) => {
  const { host } = setUp(t);
  const offer = host(5).ask("DISCOVER", [], { broadcast: false })!;
  t.is(offer.frame.ip!.daddr, "10.0.0.100");
  t.is(offer.frame.dst, "02:06:00:00:00:05");
});

test.serial("reserved addresses are for their hosts alone", (t) => {
  const reserved = [{ addr: addressNumber("10.0.0.50"), hwHi: 0x0206, hwLo: 7 }, { addr: FIRST, hwHi: 0x0206, hwLo: 8 }];
  const { host } = setUp(t, { reserved, last: FIRST + 1 });
  t.is(host(1).get(), "10.0.0.101");
  t.is(host(2).get(), "silence");
  t.is(host(8).get(), "10.0.0.100");
  const seven = host(7);
  t.is(seven.get(), "10.0.0.50");
  t.is(seven.ask("REQUEST", [[50, addr("10.0.0.101")]])!.type, "NAK");
});

test.serial("a declined address rests for ten minutes", (t) => {
  const { lab, host } = setUp(t, { last: FIRST + 1 });
  const a = host(1);
  a.get();
  a.ask("DECLINE", [[50, addr("10.0.0.100")], [54, addr("10.0.0.1")]]);
  t.is(a.get(), "10.0.0.101");
  t.is(host(2).get(), "silence");
  lab.runFor(601_000);
  t.is(host(3).get(), "10.0.0.100");
});

test.serial("a host with an address is told the rest; relayed messages are not answered", (t) => {
  const { host, leases } = setUp(t);
  const a = host(1);
  t.is(a.ask("DISCOVER", [], { giaddr: "10.9.0.1" }), null);
  a.ask("INFORM", [], { ciaddr: "10.0.0.77" });
  t.deepEqual(leases(), []);
});

test.serial("the lease time is the one asked for, within limits; without end is possible", (t) => {
  const { host, server } = setUp(t, { leaseSec: 1000 });
  const a = host(1);
  const time = (wanted: number): readonly number[] => a.ask("DISCOVER", [[51, u32(wanted)]])!.options.get(51)!;
  t.deepEqual(time(100), u32(100));
  t.deepEqual(time(1), u32(60));
  t.deepEqual(time(DHCP_FOREVER), u32(1000));
  server.leaseSec = DHCP_FOREVER;
  t.deepEqual(time(DHCP_FOREVER), u32(DHCP_FOREVER));
});

test.serial("the client of this project and the server agree, over a bad line and a restart of the server", (t) => {
  const lab = createLab(t, { hosts: ["router", "b1", "b2"], wire: { loss: 0.2, delayMs: 5, duplicate: 0.1 }, neighbours: false });
  const router = lab.host("router");
  const clients = ["b1", "b2"].map((name) => {
    const { net, dev, addr: own } = lab.host(name);
    inetDelAddress(net, dev, own, 24);
    return dhcp(net, "eth0");
  });
  const options = { first: FIRST, last: FIRST + 1, leaseSec: 120 };
  let server = dhcpd(router.net, "eth0", options);
  t.teardown(() => {
    for (const client of clients) dhcpStop(client);
    dhcpdStop(server);
  });
  lab.runUntil(() => clients.every(({ state }) => state === DHCP_BOUND), 200_000);
  const given = clients.map(({ lease }) => addressText(lease.addr));
  t.deepEqual([...given].sort(), ["10.0.0.100", "10.0.0.101"]);
  lab.runFor(1_000_000);
  dhcpdStop(server);
  lab.runFor(20_000);
  server = dhcpd(router.net, "eth0", options);
  lab.runFor(1_000_000);
  lab.runUntil(() => clients.every(({ applied }) => applied), 200_000);
  t.deepEqual(clients.map(({ lease }) => addressText(lease.addr)).sort(), ["10.0.0.100", "10.0.0.101"]);
  dhcpRelease(clients[0]!);
  lab.runFor(5000);
  t.false(clients[0]!.applied);
});

test.serial("bad options and a device without an address are named", (t) => {
  const { lab } = setUp(t);
  const { net, dev, addr: own } = lab.host("router");
  t.throws(() => dhcpd(net, "eth0", { first: 10, last: 1000 }), { instanceOf: RangeError, message: /991 addresses/ });
  t.throws(() => dhcpd(net, "eth0", { first: FIRST, last: FIRST, leaseSec: 5 }), { message: /leaseSec is 5; it must be 60 to 4294967295/ });
  inetDelAddress(net, dev, own, 24);
  t.throws(() => dhcpd(net, "eth0", { first: FIRST, last: FIRST }), { message: "dhcpd: device eth0: EADDRNOTAVAIL" });
});

test.serial("no message whatever disturbs the server", (t) => {
  const { lab, host, leases } = setUp(t, { leaseSec: 60 });
  const mallory = host(66);
  const whole = mallory.message("REQUEST", [[50, addr("10.0.0.101")], [54, addr("10.0.0.1")], [61, [1, 2, 3]]]);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }), fc.nat(whole.length), (changes, length) => {
    const bytes = Uint8Array.from(whole.subarray(0, length));
    for (const [at, value] of changes) if (at < length) bytes[at] = value;
    mallory.sendRaw(bytes);
    lab.runFor(1);
  }), { numRuns: 500 });
  lab.runFor(700_000);
  t.deepEqual(leases(), []);
  t.regex(host(1).get(), /^10\.0\.0\.10[0-2]$/);
});
