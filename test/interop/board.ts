/**
 * A board for tests of IP itself: any number of TAPs with addresses, the parts of IPv4 that it is to have, commands and settings,
 * and an echo of UDP datagrams of every length; on request an agent (agent.ts). Its one argument is a BoardPlan as JSON; ended by SIGINT, it prints its
 * report like `npm run board`.
 */
import { finalReport } from "../../hal/node/report.ts";
import { run } from "../../hal/node/run.ts";
import { openTap, type TapDevice } from "../../hal/node/tap.ts";
import { fragments } from "../../src/fragments.ts";
import { conntrack as conntrackCommand, ip, iptables as iptablesCommand } from "../../src/commands/index.ts";
import { conntrack, nfConntrackFlush } from "../../src/conntrack.ts";
import { ftp } from "../../src/conntrack-ftp.ts";
import { ctHelpers } from "../../src/conntrack-helpers.ts";
import { forwarding } from "../../src/forwarding.ts";
import { igmp } from "../../src/igmp.ts";
import { ipOptions } from "../../src/ip-options.ts";
import { iptables } from "../../src/iptables.ts";
import { nat } from "../../src/nat.ts";
import { netfilter } from "../../src/netfilter.ts";
import { ping, raw } from "../../src/raw.ts";
import {
  AF_INET, bind, boot, devOpen, inetAddAddress, initNet, poolsInUse, recvfrom, sendto, setsockopt, SO_RCVBUF, SO_SNDBUF,
  SOCK_DGRAM, SockaddrIn, socket, SOL_SOCKET,
} from "../../src/index.ts";
import { unregisterNetdev } from "../../src/netif/dev.ts";
import { bridge } from "../../src/bridge.ts";
import { vlan } from "../../src/vlan.ts";
import { addressNumber } from "../lib/frames.ts";
import { agent } from "./agent.ts";

/** The parts that a plan can ask for. */
const PARTS = Object.freeze({
  fragments, ipOptions, forwarding, vlan, bridge, netfilter, iptables, conntrack, nat, ctHelpers, ftp,
});

export interface BoardPlan {
  readonly taps: readonly { readonly tap: string; readonly addr?: string; readonly mtu?: number }[];
  readonly parts?: readonly (keyof typeof PARTS)[];
  /** Given to the command `ip` once the devices are up: `route add …`, taken back at the end. */
  readonly commands?: readonly string[];
  /** Given to the command `iptables`. With the part `conntrack` the board prints its connections when it is asked by SIGUSR2. */
  readonly iptables?: readonly string[];
  /** Settings of net.ipv4 by their field of the namespace. */
  readonly settings?: Readonly<Record<string, number>>;
  /** Runs the agent of agent.ts, with the parts that it needs. */
  readonly agent?: boolean;
}

const GRACE_MS = 300;
const ECHO_PORT = 7;
const LONGEST = 65507;
const SOCKET_BYTES = 400_000;

function prefix(text: string): { addr: number; length: number } {
  const [addr = "", length = "32"] = text.split("/");
  return { addr: addressNumber(addr), length: Number(length) };
}

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

function echo(): () => boolean {
  const buffer = new Uint8Array(LONGEST);
  const from = new SockaddrIn();
  const fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  must(bind(fd, new SockaddrIn(0, ECHO_PORT)), "bind");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
  return () => {
    const count = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (count < 0) return false;
    sendto(fd, buffer, 0, count, 0, from);
    return true;
  };
}

function main(plan: BoardPlan): void {
  const parts = (plan.parts ?? []).map((name) => PARTS[name]);
  boot({ preset: "host", initcalls: plan.agent === true ? [...parts, igmp, raw, ping] : parts });
  Object.assign(initNet.ipv4, plan.settings);
  const inUse = poolsInUse();
  const taps = plan.taps.map(({ tap, addr, mtu }): TapDevice => {
    const device = openTap({ tap, ...(mtu === undefined ? {} : { mtu }) });
    initNet.register(device.dev);
    must(devOpen(device.dev), tap);
    if (addr !== undefined) {
      const { addr: address, length } = prefix(addr);
      must(inetAddAddress(initNet, device.dev, address, length), addr);
    }
    return device;
  });
  for (const command of plan.commands ?? []) {
    const { status, error } = ip(initNet, command);
    if (status !== 0) throw new Error(`ip ${command}: ${error}`);
  }
  for (const rule of plan.iptables ?? []) {
    const { status, error } = iptablesCommand(initNet, rule);
    if (status !== 0) throw new Error(`iptables ${rule}: ${error}`);
  }
  let asked = 0;
  process.on("SIGUSR2", () => console.log(`connections ${++asked}: ${JSON.stringify(conntrackCommand(initNet, "-L").text)}`));
  const withDevices = poolsInUse();
  const echoStep = echo();
  const agentStep = plan.agent === true ? agent() : () => false;
  const step = (): boolean => [echoStep(), agentStep()].includes(true);
  const atStart = inUse + poolsInUse() - withDevices;
  const loop = run(initNet, step);
  process.on("SIGINT", () => {
    setTimeout(() => {
      loop.stop();
      if (parts.includes(conntrack)) nfConntrackFlush(initNet);
      // Routes that belong to no device.
      for (const command of plan.commands ?? []) ip(initNet, command.replace(" add ", " del "));
      for (const { dev, close } of taps) {
        close();
        if (dev !== taps[0]!.dev) unregisterNetdev(dev);
      }
      console.log(`report: ${JSON.stringify(finalReport(initNet, taps[0]!.dev, step, atStart))}`);
      process.exit(0);
    }, GRACE_MS);
  });
  console.log(`ready: ${taps.map(({ dev }) => dev.name).join(" ")}`);
}

main(JSON.parse(process.argv[2]!) as BoardPlan);
