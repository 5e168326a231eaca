/** TCP's tables alone, without devices or an IP layer: what the unit tests of the tables stand on. */
import { memoryInit } from "../../../src/lib/memory.ts";
import { poolsReset } from "../../../src/lib/pool.ts";
import { randomInit } from "../../../src/lib/random.ts";
import { timersInit } from "../../../src/lib/timer.ts";
import { initNet, type Net, netInit } from "../../../src/stack/core/net.ts";
import { skbInit } from "../../../src/stack/core/skbuff.ts";
import { type Proto, skAlloc, sockInit } from "../../../src/stack/core/sock.ts";
import { inetBindBucketInit } from "../../../src/stack/ipv4/inet-bind-bucket.ts";
import { inetBindInit, inetCskGetPort } from "../../../src/stack/ipv4/inet-bind.ts";
import { inetHash, inetHashtablesInit, inetUnhash } from "../../../src/stack/ipv4/inet-hashtables.ts";
import { inetListenHashInit } from "../../../src/stack/ipv4/inet-listen-hash.ts";
import { inetSockInit, inetSockReset } from "../../../src/stack/ipv4/inet-sock.ts";
import { inetTimewaitInit } from "../../../src/stack/ipv4/inet-timewait-sock.ts";
import { requestSockInit } from "../../../src/stack/ipv4/request-sock.ts";
import { tcpReno } from "../../../src/stack/ipv4/tcp-cong.ts";
import { tcpListenOps } from "../../../src/stack/ipv4/tcp-listen.ts";
import { tcpOptionsInit } from "../../../src/stack/ipv4/tcp-options.ts";
import { registerTcpListening, tcpPartsInit } from "../../../src/stack/ipv4/tcp-parts.ts";
import { tcpPartsAlloc, tcpPartsFree, type TcpSk, tcpSockInit } from "../../../src/stack/ipv4/tcp-sock.ts";
import { AF_INET } from "../../../src/uapi/socket.ts";
import { TCP_CLOSE } from "../../../src/uapi/tcp.ts";

export interface TableSizes {
  socks: number;
  requests: number;
  timewaits: number;
  bindBuckets: number;
  ehashBuckets: number;
  onTimeout: (req: number) => void;
}

const DEFAULTS: TableSizes = {
  socks: 32, requests: 16, timewaits: 16, bindBuckets: 24, ehashBuckets: 8, onTimeout: () => undefined,
};

/** Socks that the tests' protocol was asked to reset. */
export const disconnected: TcpSk[] = [];

const testProto = {
  name: "test",
  alloc: (net: Net) => makeSock(net, true),
  init: () => 0,
  getPort: inetCskGetPort,
  hash: inetHash,
  unhash: inetUnhash,
  disconnect(sk: TcpSk): number {
    inetUnhash(sk);
    sk.state = TCP_CLOSE;
    disconnected.push(sk);
    return 0;
  },
  free(sk: TcpSk): void {
    tcpPartsFree(sk);
  },
} as unknown as Proto;

/** Builds everything anew; the clock stands at 1000. */
export function tablesBoot(sizes: Partial<TableSizes> = {}): void {
  const all = { ...DEFAULTS, ...sizes };
  poolsReset();
  memoryInit(64 * 1024, 0);
  timersInit(1000);
  randomInit(new Uint8Array(32).fill(7));
  netInit({ register: () => 0, poll: () => -1 });
  skbInit(16, 12, 1536);
  sockInit(all.socks, 65536, 65536, initNet);
  inetSockInit(all.socks);
  tcpSockInit(all.socks, tcpReno);
  inetHashtablesInit(all.socks, all.requests, all.timewaits, all.ehashBuckets);
  tcpPartsInit();
  registerTcpListening(tcpListenOps);
  inetListenHashInit(all.socks);
  inetBindBucketInit(all.bindBuckets);
  inetBindInit();
  inetTimewaitInit(all.timewaits);
  requestSockInit(all.requests, all.onTimeout);
  tcpOptionsInit();
  disconnected.length = 0;
}

/** A sock with all its parts, closed and in no table. */
export function makeSock(net?: Net): TcpSk;
export function makeSock(net: Net, mayFail: boolean): TcpSk | null;
export function makeSock(net: Net = initNet, mayFail = false): TcpSk | null {
  const sk = skAlloc(net, AF_INET, testProto) as TcpSk | null;
  if (sk === null) {
    if (mayFail) return null;
    throw new Error("no sock left");
  }
  inetSockReset(sk, 0);
  tcpPartsAlloc(sk);
  return sk;
}

/** 10.0.0.n as an int32. */
export function host(n: number): number {
  return (0x0a000000 + n) | 0;
}
