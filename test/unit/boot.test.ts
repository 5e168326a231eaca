/** boot(): every pool at its configured size, a reboot that forgets everything, and no boot at all from bad options. */
import test from "ava";
import {
  accept4, AF_INET, bind, boot, close, connect, createNet, EAGAIN, EBADF, EINPROGRESS, ESOCKTNOSUPPORT, initNet, inetAddAddress, listen, poolForEach, poolsInUse, recvfrom, sendto,
  SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket, vethCreate,
} from "../../src/index.ts";
import { allSizes, type ConfigOption, type ConfigOptions, type Preset, resolveConfig } from "../../src/config.ts";
import { startKernel } from "../../src/start-kernel.ts";
import { tcp } from "../../src/tcp.ts";
import { udp } from "../../src/udp.ts";
import { devGetByName, devOpen } from "../../src/netif/dev.ts";
import { skbBufferBytes } from "../../src/stack/core/skbuff.ts";

let now = 0;
const hal = { now: () => now, entropy: (into: Uint8Array) => void into.fill(3), wake: () => undefined };

/** The pool that each option sizes. */
const POOLS: Readonly<Partial<Record<ConfigOption, readonly string[]>>> = {
  skbs: ["skbuff_head_cache"],
  buffers: ["skbuff_data"],
  socks: ["sock"],
  tcpSocks: ["tcp_sock"],
  requestSocks: ["request_sock_TCP"],
  timewaitSocks: ["tw_sock_TCP"],
  bindBuckets: ["tcp_bind_bucket"],
  epolls: ["eventpoll"],
  epollItems: ["eventpoll_epi"],
  neighbours: ["arp_cache"],
  ifaddrs: ["in_ifaddr"],
  routes: ["ip_fib_alias"],
  fibInfos: ["fib_info"],
  fibExceptions: ["ip_fnhe"],
  rtables: ["ip_dst_cache"],
};

function sizes(): Map<string, number> {
  const found = new Map<string, number>();
  poolForEach((pool) => found.set(pool.name, pool.size));
  return found;
}

/** A datagram to itself over loopback arrives: the kernel works. */
function works(): boolean {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, new SockaddrIn(0x7f000001, 4000)) !== 0) return false;
  const data = Uint8Array.of(1, 2, 3);
  sendto(fd, data, 0, 3, 0, new SockaddrIn(0x7f000001, 4000));
  now += 1;
  initNet.poll();
  const back = new Uint8Array(8);
  return recvfrom(fd, back, 0, 8, 0, null) === 3 && back[2] === 3;
}

for (const preset of ["tiny", "small", "default", "host"] satisfies Preset[]) {
  test.serial(`${preset}: every pool has its configured size, and the kernel works`, (t) => {
    boot({ preset, hal });
    const config = resolveConfig({ preset }, allSizes());
    const found = sizes();
    for (const [option, names] of Object.entries(POOLS)) {
      for (const name of names) t.is(found.get(name) ?? 0, config[option as ConfigOption], name);
    }
    t.is(skbBufferBytes, config.bufferBytes);
    t.true(works());
  });
}

test.serial("single options change their pools and no other", (t) => {
  boot({ preset: "small", hal });
  const plain = sizes();
  for (const [option, names] of Object.entries(POOLS)) {
    const value = resolveConfig({ preset: "small" }, allSizes())[option as ConfigOption] + 1;
    const beside: ConfigOptions = option === "tcpSocks" ? { socks: 40 } : option === "buffers" ? { skbs: 60 } : {};
    boot({ preset: "small", ...beside, [option]: value, hal });
    const found = sizes();
    for (const name of names) t.is(found.get(name), value, name);
    for (const [name, size] of plain) {
      // The trie's inner nodes follow the routes.
      if (name === "ip_fib_trie") continue;
      if (!names.includes(name) && Object.keys(beside).every((key) => !POOLS[key as ConfigOption]!.includes(name))) {
        // Every socket of the stack has a socket of the program's at most for each descriptor.
        t.is(found.get(name), size, `${name} with ${option}`);
      }
    }
  }
});

test.serial("boot again is a reboot: sockets, devices and addresses of before are gone, all pools are as after the first", (t) => {
  boot({ preset: "default", hal });
  const first = sizes();
  const inUse = poolsInUse();
  const old = initNet;
  const other = createNet();
  const dev = vethCreate(initNet, "veth0", other, "veth1");
  t.truthy(dev);
  const veth = devGetByName(initNet, "veth0")!;
  devOpen(veth);
  inetAddAddress(initNet, veth, 0x0a000001, 24);
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  t.is(bind(fd, new SockaddrIn(0, 80)), 0);
  t.is(listen(fd, 1), 0);
  t.true(poolsInUse() > inUse);

  boot({ preset: "default", hal });
  t.not(initNet, old);
  t.is(devGetByName(initNet, "veth0"), null);
  t.is(devGetByName(initNet, "lo")!.ifindex, 1);
  t.is(recvfrom(fd, new Uint8Array(1), 0, 1, 0, null), -EBADF);
  t.deepEqual(sizes(), first);
  t.is(poolsInUse(), inUse);
  const again = socket(AF_INET, SOCK_STREAM, 0);
  t.is(bind(again, new SockaddrIn(0, 80)), 0);
  t.true(works());
});

test.serial("bad options throw before anything is built: the old kernel runs on", (t) => {
  boot({ preset: "small", hal });
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  t.is(bind(fd, new SockaddrIn(0, 53)), 0);
  const kernel = initNet;
  const inUse = poolsInUse();
  const bad: unknown[] = [
    { preset: "large" }, { buffers: 0 }, { buffers: -1 }, { buffers: 4.5 }, { buffers: NaN }, { buffers: 1e9 }, { buffers: "8" },
    { bufferBytes: 256 }, { socks: 2, tcpSocks: 3 }, { bufers: 8 }, { ehashBuckets: 12 }, { staging: 300 },
  ];
  for (const options of bad) {
    const error = t.throws(() => boot({ ...(options as ConfigOptions), hal }), undefined, JSON.stringify(options))!;
    t.true(error instanceof RangeError || error instanceof TypeError);
    t.is(initNet, kernel);
    t.is(poolsInUse(), inUse);
  }
  t.is(recvfrom(fd, new Uint8Array(1), 0, 1, 0, null), -EAGAIN);
  t.true(works());
});

test.serial("a kernel started with UDP alone has no memory for TCP, and tells a program that asks for it", (t) => {
  startKernel({ preset: "tiny", hal, initcalls: [udp] });
  t.true(works());
  t.is(socket(AF_INET, SOCK_STREAM, 0), -ESOCKTNOSUPPORT);
  t.false(sizes().has("tcp_sock"));
  t.true(sizes().has("sock"));
});

test.serial("a kernel started with TCP alone connects to itself over loopback", (t) => {
  startKernel({ preset: "small", hal, initcalls: [tcp] });
  t.is(socket(AF_INET, SOCK_DGRAM, 0), -ESOCKTNOSUPPORT);
  const server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  t.is(bind(server, new SockaddrIn(0x7f000001, 80)), 0);
  t.is(listen(server, 1), 0);
  const client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  t.is(connect(client, new SockaddrIn(0x7f000001, 80)), -EINPROGRESS);
  for (let turn = 0; turn < 4; turn++) {
    now += 1;
    initNet.poll();
  }
  const accepted = accept4(server, null, 0);
  t.true(accepted >= 0);
  for (const fd of [accepted, client, server]) close(fd);
});
