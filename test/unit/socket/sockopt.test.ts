import test from "ava";
import { words } from "../../../src/lib/table.ts";
import { SK_ERR_SOFT, SK_LINGERTIME_MS, SK_PROTOCOL } from "../../../src/stack/core/sock.ts";
import { EDOM, EFAULT, EINVAL, ENODEV, ENOPROTOOPT } from "../../../src/uapi/errno.ts";
import {
  AF_UNIX, SO_ACCEPTCONN, SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_BROADCAST, SO_DOMAIN, SO_ERROR, SO_KEEPALIVE,
  SO_LINGER, SO_MARK, SO_NO_CHECK, SO_OOBINLINE, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO,
  SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_SNDTIMEO, SO_TIMESTAMP, SO_TYPE, SOCK_STREAM, SOL_SOCKET, SOL_TCP,
} from "../../../src/uapi/socket.ts";
import { TCP_LISTEN } from "../../../src/uapi/tcp.ts";
import { initNet } from "../../../src/stack/core/net.ts";
import { NetDevice } from "../../../src/stack/core/net-device.ts";
import { close, getsockopt, setsockopt, setsockoptBytes, socket } from "../../../src/stack/socket/index.ts";
import { bootFake, inUse, skOf } from "./fake-family.ts";

const out = new Int32Array(2);

function get(fd: number, name: number): number {
  const n = getsockopt(fd, SOL_SOCKET, name, out);
  return n < 0 ? n : out[0]!;
}

test.serial("flags are set, read and cleared", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const names = [SO_REUSEADDR, SO_REUSEPORT, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_TIMESTAMP];
  for (const name of names) {
    t.is(get(fd, name), 0);
    t.is(setsockopt(fd, SOL_SOCKET, name, 7), 0);
    for (const other of names) t.is(get(fd, other), other === name ? 1 : 0, `${name} ${other}`);
    t.is(setsockopt(fd, SOL_SOCKET, name, 0), 0);
    t.is(get(fd, name), 0);
  }
  close(fd);
  t.is(inUse(), 0);
});

test.serial("numbers", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const packet = 640 + 512;
  // name, value set, value read; maximum of the buffers is 8192
  const cases: [number, number, number][] = [
    [SO_SNDBUF, 4000, 8000],
    [SO_SNDBUF, 100000, 16384],
    [SO_SNDBUF, -1, 16384],
    [SO_SNDBUF, 0, 2 * packet],
    [SO_RCVBUF, 4000, 8000],
    [SO_RCVBUF, 100000, 16384],
    [SO_RCVBUF, 1, packet],
    [SO_PRIORITY, 6, 6],
    [SO_MARK, 0x1234, 0x1234],
    [SO_RCVLOWAT, 0, 1],
    [SO_RCVLOWAT, 100, 100],
    [SO_RCVLOWAT, -1, 0x7fffffff],
  ];
  for (const [name, value, expected] of cases) {
    t.is(setsockopt(fd, SOL_SOCKET, name, value), 0);
    t.is(get(fd, name), expected, `${name} ${value}`);
  }
  close(fd);
  t.is(inUse(), 0);
});

test.serial("what can only be read", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const sk = skOf(fd);
  words[sk.cold + SK_PROTOCOL] = 6;
  t.is(get(fd, SO_TYPE), SOCK_STREAM);
  t.is(get(fd, SO_DOMAIN), AF_UNIX);
  t.is(get(fd, SO_PROTOCOL), 6);
  t.is(get(fd, SO_ACCEPTCONN), 0);
  sk.state = TCP_LISTEN;
  t.is(get(fd, SO_ACCEPTCONN), 1);
  sk.err = 111;
  t.is(get(fd, SO_ERROR), 111);
  t.is(get(fd, SO_ERROR), 0, "once");
  words[sk.cold + SK_ERR_SOFT] = 113;
  t.is(get(fd, SO_ERROR), 113);
  t.is(get(fd, SO_ERROR), 0);
  for (const name of [SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR, 999]) {
    t.is(setsockopt(fd, SOL_SOCKET, name, 1), -ENOPROTOOPT);
  }
  t.is(get(fd, 999), -ENOPROTOOPT);
  t.is(getsockopt(fd, SOL_SOCKET, SO_TYPE, new Int32Array(0)), -EFAULT);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("pairs: SO_LINGER and the timeouts", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  t.is(setsockopt(fd, SOL_SOCKET, SO_LINGER, 1, 30), 0);
  t.is(getsockopt(fd, SOL_SOCKET, SO_LINGER, out), 2);
  t.deepEqual([...out], [1, 30]);
  t.is(words[skOf(fd).cold + SK_LINGERTIME_MS]!, 30000);
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_LINGER, Int32Array.of(0, 5)), 0);
  getsockopt(fd, SOL_SOCKET, SO_LINGER, out);
  t.deepEqual([...out], [0, 30], "switched off, the time stays");
  t.is(getsockopt(fd, SOL_SOCKET, SO_LINGER, new Int32Array(1)), -EINVAL);
  for (const name of [SO_RCVTIMEO, SO_SNDTIMEO]) {
    t.is(setsockopt(fd, SOL_SOCKET, name, 2, 500001), 0);
    t.is(getsockopt(fd, SOL_SOCKET, name, out), 2);
    t.deepEqual([...out], [2, 501000], "whole milliseconds, rounded up");
    t.is(setsockopt(fd, SOL_SOCKET, name, 0, 1000000), -EDOM);
    t.is(setsockopt(fd, SOL_SOCKET, name, 0, 0), 0);
    getsockopt(fd, SOL_SOCKET, name, out);
    t.deepEqual([...out], [0, 0]);
  }
  close(fd);
  t.is(inUse(), 0);
});

test.serial("SO_BINDTODEVICE by index and by name", (t) => {
  bootFake();
  const dev = new NetDevice("eth0", 1, 1500, 14, { ndoStartXmit: () => 0 });
  dev.ifindex = 3;
  initNet.devices = dev;
  const fd = socket(AF_UNIX, SOCK_STREAM);
  const bytes = new Uint8Array(16);
  t.is(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bytes), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 2), -ENODEV);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, -1), -EINVAL);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 3), 0);
  t.is(get(fd, SO_BINDTODEVICE), 3);
  t.is(get(fd, SO_BINDTOIFINDEX), 3);
  t.is(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bytes), 5);
  t.is(Buffer.from(bytes.subarray(0, 5)).toString("latin1"), "eth0\0");
  t.is(setsockoptBytes(fd, SOL_SOCKET, SO_BINDTODEVICE, new Uint8Array(0)), 0);
  t.is(get(fd, SO_BINDTODEVICE), 0);
  const names = [["eth0", 0], ["eth0\0rest", 0], ["eth", -ENODEV], ["eth01", -ENODEV], ["\0", 0]] as const;
  for (const [name, expected] of names) {
    t.is(setsockoptBytes(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(name, "latin1")), expected, name);
  }
  t.is(get(fd, SO_BINDTODEVICE), 0);
  t.is(setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, 3), 0);
  t.is(get(fd, SO_BINDTODEVICE), 3);
  close(fd);
  t.is(inUse(), 0);
});

test.serial("other levels are the family's", (t) => {
  bootFake();
  const fd = socket(AF_UNIX, SOCK_STREAM);
  t.is(setsockopt(fd, SOL_TCP, 1, 4), 0);
  t.is(setsockopt(fd, SOL_TCP, 2, 4), -ENOPROTOOPT);
  t.is(getsockopt(fd, SOL_TCP, 1, out), 1);
  t.is(out[0], 5);
  t.is(getsockopt(fd, SOL_TCP, 2, out), -ENOPROTOOPT);
  close(fd);
  t.is(inUse(), 0);
});
