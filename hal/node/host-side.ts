/**
 * The host's end of a virtual board's wire: a kernel of its own (loaded by importInKernel) with large pools, one device, the
 * port forwarding, a DHCP server that has the board's address to give, and mDNS. It is to the board what a desktop on the same
 * cable would be.
 */
import { boot, devOpen, inetAddAddress, initNet } from "../../src/index.ts";
import { igmp } from "../../src/igmp.ts";
import { dhcpd, dhcpdStop } from "../../src/services/dhcpd.ts";
import { mdns, mdnsLookup, mdnsStop } from "../../src/services/mdns.ts";
import { createWireDevice } from "../mock/wire-device.ts";
import type { Wire } from "../mock/wire.ts";
import { Forwarder } from "./forward.ts";
import { requestTurn, run } from "./run.ts";

export interface HostSide {
  /** Forwards 127.0.0.1:hostPort to a port of the board; resolves to the port, rejects with Node's error. */
  forward(hostPort: number, boardPort: number): Promise<number>;
  /** Asks the wire by mDNS who has the name; resolves to the address, or to null when nobody says so. */
  lookup(name: string): Promise<number | null>;
  stop(): void;
}

/** What the host side is called in mDNS. */
const NAME = "linnet-host";

/** Boots the host side on the wire. @param addr its own address @param board the board's */
export function startHostSide(wire: Wire, mac: string, addr: number, prefixLength: number, board: number): HostSide {
  boot({ preset: "host", initcalls: [igmp] });
  const dev = createWireDevice(wire, { mac });
  initNet.register(dev);
  devOpen(dev);
  inetAddAddress(initNet, dev, addr, prefixLength);
  const server = dhcpd(initNet, dev.name, { first: board, last: board });
  const names = mdns(initNet, dev.name, { host: NAME });
  const forwarder = new Forwarder(initNet);
  const loop = run(initNet, () => forwarder.step());
  return {
    forward: (hostPort, boardPort) => forwarder.listen(hostPort, board, boardPort),
    lookup: (name) => new Promise((resolve) => {
      mdnsLookup(names, name, (error, { addr }) => resolve(error < 0 ? null : addr));
      requestTurn();
    }),
    stop: () => {
      forwarder.close();
      dhcpdStop(server);
      mdnsStop(names);
      loop.stop();
    },
  };
}
