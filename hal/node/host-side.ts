/**
 * The host's end of a virtual board's wire: a kernel of its own (loaded by importInKernel) with large pools, one device, the
 * port forwarding, and a DHCP server that has the board's address to give. It is to the board what a desktop on the same cable
 * would be.
 */
import { boot, devOpen, inetAddAddress, initNet } from "../../src/index.ts";
import { dhcpd, dhcpdStop } from "../../src/services/dhcpd.ts";
import { createWireDevice } from "../mock/wire-device.ts";
import type { Wire } from "../mock/wire.ts";
import { Forwarder } from "./forward.ts";
import { run } from "./run.ts";

export interface HostSide {
  /** Forwards 127.0.0.1:hostPort to a port of the board; resolves to the port, rejects with Node's error. */
  forward(hostPort: number, boardPort: number): Promise<number>;
  stop(): void;
}

/** Boots the host side on the wire. @param addr its own address @param board the board's */
export function startHostSide(wire: Wire, mac: string, addr: number, prefixLength: number, board: number): HostSide {
  boot({ preset: "host" });
  const dev = createWireDevice(wire, { mac });
  initNet.register(dev);
  devOpen(dev);
  inetAddAddress(initNet, dev, addr, prefixLength);
  const server = dhcpd(initNet, dev.name, { first: board, last: board });
  const forwarder = new Forwarder(initNet);
  const loop = run(initNet, () => forwarder.step());
  return {
    forward: (hostPort, boardPort) => forwarder.listen(hostPort, board, boardPort),
    stop: () => {
      forwarder.close();
      dhcpdStop(server);
      loop.stop();
    },
  };
}
