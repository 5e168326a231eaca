/** Link-local addresses: chosen, probed for, announced, defended and given up, as RFC 3927 has it, on a virtual clock. */
import test, { type ExecutionContext } from "ava";
import type { Impairment } from "../../../hal/mock/impair.ts";
import { ip } from "../../../src/commands/index.ts";
import { inetDelAddress } from "../../../src/index.ts";
import { packet } from "../../../src/packet.ts";
import { autoip, AUTOIP_BOUND, AUTOIP_PROBING, type AutoipClient, type AutoipOptions, autoipStop } from "../../../src/services/autoip.ts";
import { dhcp, DHCP_EVENT_BOUND, DHCP_EVENT_SILENCE, dhcpStop } from "../../../src/services/dhcp.ts";
import { addr, DhcpServerPeer, dutiful, u32 } from "../../lib/dhcp.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { createLab, type Lab, type LabHost } from "../../lib/lab.ts";

interface Bench {
  readonly lab: Lab;
  readonly board: LabHost;
  /** Hears all ARP, and claims addresses when told to. */
  readonly other: DhcpServerPeer;
  readonly client: AutoipClient;
  readonly told: string[];
  addresses(): string[];
}

function setUp(t: ExecutionContext, options: AutoipOptions = {}, wire: Impairment = {}): Bench {
  const lab = createLab(t, { hosts: ["board"], neighbours: false, initcalls: [packet], wire });
  const board = lab.host("board");
  inetDelAddress(board.net, board.dev, board.addr, 24);
  lab.runFor(100);
  const other = new DhcpServerPeer(lab, "169.254.7.7", () => null);
  const told: string[] = [];
  const client = autoip(board.net, "eth0", { onChange: (_, chosen) => told.push(addressText(chosen)), ...options });
  t.teardown(() => autoipStop(client));
  const addresses = (): string[] => [...ip(board.net, "-o addr show dev eth0").text.matchAll(/inet (\S+) .* (\S+)\\/g)].map(([, a, label]) => `${a} ${label}`);
  return { lab, board, other, client, told, addresses };
}

const asked = ({ other }: Bench, address: string): number[] => other.arps.filter(([, spa, tpa]) => spa === "0.0.0.0" && tpa === address).map(([at]) => at);
const announced = ({ other }: Bench, address: string): number[] => other.arps.filter(([, spa, tpa]) => spa === address && tpa === address).map(([at]) => at);

test.serial("three probes, then the address, then its announcement; the same address at each start", (t) => {
  const bench = setUp(t);
  const { lab, client, told, addresses } = bench;
  lab.runFor(20_000);
  t.is(client.state, AUTOIP_BOUND);
  const [address] = told;
  t.regex(address!, /^169\.254\.(?!0\.|255\.)\d+\.\d+$/);
  t.deepEqual(addresses(), [`${address}/16 eth0:ll`]);
  const probes = asked(bench, address!);
  t.is(probes.length, 3);
  t.true(probes[0]! <= 1100);
  for (let i = 1; i < 3; i++) t.true(probes[i]! - probes[i - 1]! >= 1000 && probes[i]! - probes[i - 1]! <= 2000);
  // The stack announces by itself an address that it is given, when the first of ours goes out.
  const since = announced(bench, address!).map((at) => at - probes[2]!);
  t.true(since.length >= 2 && since.every((ms) => Math.abs(ms - 2000) <= 2 || Math.abs(ms - 4000) <= 2), String(since));
  autoipStop(client);
  t.deepEqual(addresses(), []);
  const again = autoip(bench.board.net, "eth0");
  t.teardown(() => autoipStop(again));
  t.is(addressText(again.addr), address!);
});

test.serial("an address that somebody has, or wants too, is not taken; after ten of them a minute passes before each", (t) => {
  const bench = setUp(t);
  const { lab, client, other, told } = bench;
  const tried: string[] = [];
  const begun: number[] = [];
  while (tried.length < 13) {
    const address = addressText(client.addr);
    lab.runUntil(() => asked(bench, address).length > 0, 120_000);
    begun.push(lab.nowMs);
    tried.push(address);
    if (tried.length % 2 === 0) other.claim(address);
    else other.probe(address);
    lab.runFor(1);
  }
  t.is(new Set(tried).size, 13);
  t.deepEqual(told, []);
  begun.slice(1).forEach((at, i) => {
    const gap = at - begun[i]!;
    if (i + 1 < 10) t.true(gap <= 1010, `${i}: ${gap}`);
    else t.true(gap >= 60_000 && gap <= 61_010, `${i}: ${gap}`);
  });
  lab.runFor(70_000);
  t.is(told.length, 1);
});

test.serial("one conflict is answered, a second one within ten seconds costs the address", (t) => {
  const bench = setUp(t, { request: addressNumber("169.254.5.5") });
  const { lab, client, other, told, addresses } = bench;
  lab.runFor(20_000);
  t.deepEqual(told, ["169.254.5.5"]);
  other.arps.length = 0;
  other.claim("169.254.5.5");
  lab.runFor(10_001);
  t.is(announced(bench, "169.254.5.5").length, 1);
  other.claim("169.254.5.5");
  lab.runFor(9000);
  t.is(client.state, AUTOIP_BOUND);
  other.claim("169.254.5.5");
  lab.runFor(10);
  t.is(client.state, AUTOIP_PROBING);
  t.deepEqual(told, ["169.254.5.5", "0.0.0.0"]);
  t.deepEqual(addresses(), []);
  lab.runFor(20_000);
  t.is(told.length, 3);
  t.not(told[2], "169.254.5.5");
});

test.serial("it waits for the link, and holds through losses", (t) => {
  const { lab, client, told } = setUp(t, {}, { loss: 0.5 });
  lab.wire.setCarrier(false);
  lab.runFor(60_000);
  t.deepEqual(told, []);
  lab.wire.setCarrier(true);
  lab.runFor(20_000);
  t.is(told.length, 1);
  t.is(client.state, AUTOIP_BOUND);
});

test.serial("when the link was away the address is asked for again before it is used, and another one where somebody has it now", (t) => {
  const bench = setUp(t);
  const { lab, client, other, told, addresses } = bench;
  lab.runFor(20_000);
  const [address] = told;
  const replug = (): void => {
    other.arps.length = told.length = 0;
    lab.wire.setCarrier(false);
    lab.runFor(1000);
    lab.wire.setCarrier(true);
    lab.runFor(1);
  };
  replug();
  t.is(client.state, AUTOIP_PROBING);
  t.deepEqual(addresses(), []);
  t.deepEqual(told, ["0.0.0.0"]);
  lab.runFor(20_000);
  t.is(asked(bench, address!).length, 3);
  t.deepEqual(told, ["0.0.0.0", address]);
  t.deepEqual(addresses(), [`${address}/16 eth0:ll`]);
  replug();
  lab.runUntil(() => asked(bench, address!).length > 0, 2000);
  other.claim(address!);
  lab.runFor(20_000);
  t.is(told.length, 2);
  t.not(told[1], address);
  t.deepEqual(addresses(), [`${told[1]}/16 eth0:ll`]);
  // A link that goes away while it is still asking: it begins anew, and tells nothing in between.
  replug();
  replug();
  lab.runFor(20_000);
  t.is(told.length, 1);
});

test.serial("between an address from a server and one of its own it goes both ways, as often as the server comes and goes", (t) => {
  const lab = createLab(t, { hosts: ["board"], neighbours: false, initcalls: [packet] });
  const board = lab.host("board");
  inetDelAddress(board.net, board.dev, board.addr, 24);
  lab.runFor(100);
  const server = new DhcpServerPeer(lab, "192.168.7.1", () => null);
  let own: AutoipClient | null = null;
  const client = dhcp(board.net, "eth0", {
    onChange(_, event) {
      if (event === DHCP_EVENT_SILENCE) own ??= autoip(board.net, "eth0");
      if (event !== DHCP_EVENT_BOUND || own === null) return;
      autoipStop(own);
      own = null;
    },
  });
  t.teardown(() => {
    dhcpStop(client);
    if (own !== null) autoipStop(own);
  });
  const addresses = (): string[] => [...ip(board.net, "-o addr show dev eth0").text.matchAll(/inet (\d+\.\d+)/g)].map(([, address]) => address!);
  for (let round = 0; round < 3; round++) {
    server.handler = () => null;
    lab.runFor(200_000);
    t.deepEqual(addresses(), ["169.254"], `without a server, round ${round}`);
    lab.wire.setCarrier(false);
    lab.runFor(1000);
    lab.wire.setCarrier(true);
    lab.runFor(100_000);
    t.deepEqual(addresses(), ["169.254"], "and when the link was away");
    server.handler = dutiful("192.168.7.20", [[1, addr("255.255.255.0")], [51, u32(60)]]);
    lab.runFor(120_000);
    t.deepEqual(addresses(), ["192.168"], `with one, round ${round}`);
  }
});

test.serial("where no DHCP server answers the board has such an address, until one does", (t) => {
  const lab = createLab(t, { hosts: ["board"], neighbours: false, initcalls: [packet] });
  const board = lab.host("board");
  inetDelAddress(board.net, board.dev, board.addr, 24);
  lab.runFor(100);
  const server = new DhcpServerPeer(lab, "192.168.7.1", () => null);
  let own: AutoipClient | null = null;
  const client = dhcp(board.net, "eth0", {
    onChange(_, event) {
      if (event === DHCP_EVENT_SILENCE) own = autoip(board.net, "eth0");
      else if (event === DHCP_EVENT_BOUND && own !== null) autoipStop(own);
    },
  });
  t.teardown(() => {
    dhcpStop(client);
    if (own !== null) autoipStop(own);
  });
  const text = (): string => ip(board.net, "addr show dev eth0").text;
  lab.runFor(60_000);
  t.regex(text(), /inet 169\.254\.\d+\.\d+\/16 /);
  server.handler = dutiful("192.168.7.20", [[1, addr("255.255.255.0")], [51, u32(3600)]]);
  lab.runFor(120_000);
  t.regex(text(), /inet 192\.168\.7\.20\/24 /);
  t.notRegex(text(), /169\.254/);
});

test.serial("what cannot be is named", (t) => {
  const { board } = setUp(t);
  t.throws(() => autoip(board.net, "eth0", { request: addressNumber("169.254.255.1") }), { instanceOf: RangeError });
  t.throws(() => autoip(board.net, "eth9"), { message: "autoip: device eth9: ENODEV" });
});

test.serial("without packet sockets there is none", (t) => {
  const lab = createLab(t, { hosts: ["board"] });
  t.throws(() => autoip(lab.host("board").net, "eth0"), { message: "autoip: device eth0: EAFNOSUPPORT" });
});
