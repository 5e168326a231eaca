/**
 * A board for tests of the services against the real servers: a TAP whose address comes by DHCP, then names asked of the lease's
 * name server, the time of its time server. Its argument is a ServicesPlan as JSON; it prints a line for each thing that happens,
 * asks for all of it again at SIGUSR1, and prints its report when SIGINT ends it.
 */
import type { Impairment } from "../../hal/mock/impair.ts";
import { finalReport } from "../../hal/node/report.ts";
import { requestTurn, run } from "../../hal/node/run.ts";
import { openTap } from "../../hal/node/tap.ts";
import { igmp } from "../../src/igmp.ts";
import { boot, devOpen, inetAddAddress, initNet, poolsInUse } from "../../src/index.ts";
import { packet } from "../../src/packet.ts";
import { autoip, autoipStop } from "../../src/services/autoip.ts";
import { dhcp, DHCP_EVENT_BOUND, DHCP_EVENT_SILENCE, type DhcpClient, dhcpRelease, dhcpRenew, dhcpStop } from "../../src/services/dhcp.ts";
import { dns, dnsResolve, dnsReverse, dnsSearch, dnsServers, dnsStop, EAI_AGAIN } from "../../src/services/dns.ts";
import { mdns, MDNS_FOUND, mdnsBrowse, mdnsLookup, mdnsPublish, mdnsResolve, type MdnsResponder, mdnsStop } from "../../src/services/mdns.ts";
import { sntp, sntpNow, sntpServers, sntpStop } from "../../src/services/sntp.ts";
import { addressNumber, addressText } from "../lib/frames.ts";

export interface ServicesPlan {
  readonly tap: string;
  /** Names to be looked up once there is a lease; addresses for their names. */
  readonly names?: readonly string[];
  readonly hostname?: string;
  /** An address to ask for again. */
  readonly request?: string;
  /** Use an address without asking whether somebody has it, which takes seconds. */
  readonly unprobed?: boolean;
  /** What the line does to frames, both ways. */
  readonly impairment?: Impairment;
  /** ms after the first lease at which it is given back; 0: never. */
  readonly releaseAfterMs?: number;
  /** Begin with an address out of 169.254.0.0/16, at once; or with that one, should it be free. */
  readonly autoip?: true | string;
  /** Be that host in mDNS at 10.0.0.2, publish a page, look for all of `_http._tcp` and for the host linux.local. */
  readonly mdns?: string;
}

const LAST_TURN_MS = 100;
const EVENTS = ["", "bound", "renewed", "expired", "refused", "conflict", "released", "silence"];

const plan = JSON.parse(process.argv[2]!) as ServicesPlan;
boot({ preset: "default", initcalls: [packet, igmp] });
const { dev, close } = openTap({ tap: plan.tap, impairment: plan.impairment });
const before = poolsInUse();
initNet.register(dev);
devOpen(dev);
const loop = run(initNet);

const resolver = dns(initNet);
const clock = sntp(initNet, {
  onTime: (client) => console.log(`time ${sntpNow(client) - Date.now()} ${client.delayMs} ${client.stratum}`),
});

function lookUp(name: string): void {
  const done = (error: number, answer: { readonly addresses: Int32Array; readonly count: number; readonly name: string }): void => {
    const found = answer.name !== "" ? answer.name : Array.from(answer.addresses.subarray(0, answer.count), addressText).join(",");
    console.log(`name ${name} ${error < 0 ? error : found}`);
    // On a bad line all attempts may be lost.
    if (error === EAI_AGAIN && plan.impairment !== undefined) lookUp(name);
  };
  const handle = /^[\d.]+$/.test(name) ? dnsReverse(resolver, addressNumber(name), done) : dnsResolve(resolver, name, done);
  // As many as can be asked at once are on their way.
  if (handle < 0) setTimeout(() => lookUp(name), 50);
}

function askServers({ lease }: DhcpClient): void {
  sntpServers(clock, lease.ntp, lease.ntpCount);
  for (const name of plan.names ?? []) lookUp(name);
}

function onChange(client: DhcpClient, event: number): void {
  const { lease } = client;
  console.log(`dhcp ${EVENTS[event]} ${addressText(lease.addr)} ${addressText(lease.mask)} ${addressText(lease.router)} `
    + `${addressText(lease.server)} ${lease.leaseSec} ${lease.domain}`);
  if (event === DHCP_EVENT_SILENCE) console.log("silence");
  if (event !== DHCP_EVENT_BOUND) return;
  dnsServers(resolver, lease.dns, lease.dnsCount);
  dnsSearch(resolver, lease.domain === "" ? [] : [lease.domain]);
  askServers(client);
  if ((plan.releaseAfterMs ?? 0) > 0) setTimeout(() => dhcpRelease(client), plan.releaseAfterMs);
}

const { hostname, request } = plan;
const own = plan.autoip === undefined ? null : autoip(initNet, "eth0", {
  onChange: (_, addr) => console.log(`autoip ${addressText(addr)}`),
  ...(plan.autoip === true ? {} : { request: addressNumber(plan.autoip) }),
});
const client = plan.autoip !== undefined || plan.mdns !== undefined ? null : dhcp(initNet, "eth0", {
  onChange, probe: plan.unprobed !== true, ...(hostname === undefined ? {} : { hostname }),
  ...(request === undefined ? {} : { request: addressNumber(request) }),
});
let names: MdnsResponder | null = null;

function startMdns(host: string): MdnsResponder {
  inetAddAddress(initNet, dev, addressNumber("10.0.0.2"), 24);
  const responder = mdns(initNet, "eth0", { host, onName: (claim, name) => console.log(`mdns ${claim} ${name}`) });
  mdnsPublish(responder, "Seite des Boards", "_http._tcp", 8080, ["path=/index"]);
  mdnsBrowse(responder, "_http._tcp", (event, instance) => {
    console.log(`${event === MDNS_FOUND ? "found" : "lost"} ${instance}`);
    if (event !== MDNS_FOUND) return;
    mdnsResolve(responder, instance, "_http._tcp", (error, { host: at, addr, port, txt, txtBytes }) => {
      console.log(`resolved ${error} ${at} ${addressText(addr)} ${port} ${Buffer.from(txt.subarray(1, txtBytes)).toString()}`);
    });
  });
  mdnsLookup(responder, "linux.local", (error, { addr }) => console.log(`linux.local ${error} ${addressText(addr)}`));
  return responder;
}

if (plan.mdns !== undefined) names = startMdns(plan.mdns);
console.log("ready");

process.on("SIGUSR1", () => {
  if (client !== null) {
    dhcpRenew(client);
    askServers(client);
  }
  requestTurn();
});

process.on("SIGINT", () => {
  if (client !== null) dhcpStop(client);
  if (own !== null) autoipStop(own);
  dnsStop(resolver);
  sntpStop(clock);
  if (names !== null) mdnsStop(names);
  // The last words have a turn.
  setTimeout(() => {
    loop.stop();
    close();
    console.log(`report: ${JSON.stringify(finalReport(initNet, dev, () => false, before))}`);
    process.exit(0);
  }, LAST_TURN_MS);
});
