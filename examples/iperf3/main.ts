/** iperf3, server (-s) and client (-c ADDRESS), over TCP and UDP: the real iperf3 talks to it. Options in params.ts. */
import type { Net } from "linnet";
import { Client } from "./client.ts";
import { parseCommand } from "./params.ts";
import { Server } from "./server.ts";

export default function main(_net: Net, ...args: string[]): () => boolean | number {
  const command = parseCommand(args);
  const side = command.server === null ? new Server(command.port) : new Client(command);
  return () => side.step(Date.now());
}
