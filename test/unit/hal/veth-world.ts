/**
 * Two namespaces of one kernel with a cable between them, in real time: what the tests of hal/node's sockets share. At the end of a
 * test what it took is back.
 */
import type { ExecutionContext } from "ava";
import { type Loop, run } from "../../../hal/node/run.ts";
import {
  boot, type ConfigOptions, createNet, devGetByName, devOpen, formatSlabinfo, inetAddAddress, initNet, type Net, setNs, vethCreate,
} from "../../../src/index.ts";
import { poolUsage } from "../../lib/pools.ts";

/** Address of the namespace `server`; `client` is 10.1.0.1. */
export const SERVER = "10.1.0.2";

const PATIENCE_MS = 1000;
const STEP_MS = 10;

export interface World {
  readonly client: Net;
  readonly server: Net;
  readonly loop: Loop;
}

function start(config: ConfigOptions): World {
  boot({ preset: "host", ...config });
  const server = createNet();
  vethCreate(initNet, "eth0", server, "eth0");
  [initNet, server].forEach((net, i) => {
    const dev = devGetByName(net, "eth0")!;
    devOpen(dev);
    inetAddAddress(net, dev, 0x0a010001 + i, 24);
  });
  setNs(initNet);
  return { client: initNet, server, loop: run(initNet) };
}

/** What a closed connection gives back at once; in TIME_WAIT it keeps its port and its route. */
const CLOSED: readonly string[] = ["skbuff_head_cache", "skbuff_data", "sock", "socket", "tcp_sock", "request_sock_TCP"];

/** Objects that open connections hold. */
function held(): number {
  const usage = poolUsage();
  return CLOSED.reduce((sum, name) => sum + (usage.get(name) ?? 0), 0);
}

/** Runs the test's body in a new world. @param config sizes that differ from preset host */
export async function within(t: ExecutionContext, body: (world: World) => Promise<void>, config: ConfigOptions = {}): Promise<void> {
  const world = start(config);
  try {
    await body(world);
    for (let waited = 0; waited < PATIENCE_MS && held() > 0; waited += STEP_MS) {
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    t.is(held(), 0, formatSlabinfo());
  } finally {
    world.loop.stop();
  }
}
