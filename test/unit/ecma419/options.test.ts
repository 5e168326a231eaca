/** What constructors and methods take: conversions as in the standard's Annex A, options read once, and nothing kept by one that throws. */
import test from "ava";
import { Listener } from "../../../src/ecma419/listener.ts";
import { Resolver } from "../../../src/ecma419/resolver.ts";
import { TCP } from "../../../src/ecma419/tcp.ts";
import { UDP } from "../../../src/ecma419/udp.ts";
import { getsockopt, SO_KEEPALIVE, SOL_SOCKET, SOL_TCP, TCP_KEEPIDLE } from "../../../src/index.ts";
import { fdSockets } from "../../../src/stack/socket/files.ts";
import { A, B, bytesOf, Hosts, LOCAL, textOf } from "./hosts.ts";

/** Descriptors in use. */
function openFds(): number[] {
  return [...fdSockets.keys()].filter((fd) => fdSockets[fd] !== null);
}

/** What ECMAScript 2024 has and this project's library of types has not. */
const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
const Growable = SharedArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => SharedArrayBuffer;

/** The options by getters of a prototype, and how often each was asked for. */
function counted(options: object): { options: never; counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  const prototype = {};
  for (const [name, value] of Object.entries(options)) {
    Object.defineProperty(prototype, name, {
      get: () => {
        counts[name] = (counts[name] ?? 0) + 1;
        return value as unknown;
      },
    });
  }
  return { options: Object.create(prototype) as never, counts };
}

test.serial("each option is read once, whether it is inherited or a getter", (t) => {
  const hosts = new Hosts(t);
  const call = (): void => undefined;
  const cases: readonly [(options: never) => unknown, object][] = [
    [(options) => hosts.tcp(options), {
      address: LOCAL, port: 80, noDelay: true, keepAlive: 1000, onReadable: call, onWritable: call, onError: call, format: "number", target: 1,
    }],
    [(options) => hosts.udp(options), { address: LOCAL, port: 0, timeToLive: 1, onReadable: call, onError: call, format: "buffer", target: 1 }],
    [(options) => hosts.listener(options), { address: LOCAL, port: 0, onReadable: call, onError: call, format: "socket/tcp", target: 1 }],
    [(options) => hosts.keep(new Resolver(options)), { servers: [B], target: 1 }],
    [(options) => { hosts.keep(new Resolver({ servers: [B] })).resolve(options); }, { host: LOCAL, onResolved: call, onError: call }],
    [(options) => hosts.pair().client.write(new ArrayBuffer(0), options), { more: true, byteLength: 5 }],
  ];
  for (const [use, values] of cases) {
    const { options, counts } = counted(values);
    use(options);
    hosts.run();
    t.deepEqual(counts, Object.fromEntries(Object.keys(values).map((name) => [name, 1])));
  }
});

test.serial("numbers and texts are converted as the language does, and then looked at", (t) => {
  const hosts = new Hosts(t);
  const text = (value: string): string => ({ toString: () => value }) as unknown as string;
  const socket = hosts.tcp({ address: text(LOCAL), port: { valueOf: () => 80 } as unknown as number, format: text("number") as "number" });
  t.is(socket.remoteAddress, LOCAL);
  t.is(socket.remotePort, 80);
  t.is(socket.format, "number");
  socket.format = text("buffer") as "buffer";
  t.is(socket.format, "buffer");
  t.is(hosts.listener({ port: "7000" as unknown as number }).port, 7000);
  t.is(hosts.tcp({ address: LOCAL, port: null as unknown as number }).remotePort, 0, "as ToNumber() has it");
  for (const [options, error] of [
    [{ address: 5 }, RangeError], [{ address: null }, RangeError], [{ address: Symbol() }, TypeError], [{ address: "0000:0000:0000:0000:0000:0000:0000:0001" }, RangeError],
    [{ address: "::1" }, RangeError], [{ address: "010.0.0.1" }, RangeError], [{ address: "1.2.3" }, RangeError], [{ address: " 10.0.0.1" }, RangeError],
    [{ port: {} }, RangeError], [{ port: "x" }, RangeError], [{ port: NaN }, RangeError], [{ port: Symbol() }, TypeError],
    [{ format: Symbol() }, TypeError], [{ format: null }, RangeError], [{ from: null }, SyntaxError], [{ from: {} }, SyntaxError],
  ] as const) t.throws(() => hosts.tcp({ address: LOCAL, port: 80, ...options } as never), { instanceOf: error }, JSON.stringify(options));
});

test.serial("keepAlive and byteLength are any whole number from 1 on", (t) => {
  const hosts = new Hosts(t);
  const before = openFds();
  hosts.tcp({ address: LOCAL, port: 80, keepAlive: Number.MAX_SAFE_INTEGER });
  const fd = openFds().find((one) => !before.includes(one))!;
  const out = new Int32Array(1);
  getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, out);
  t.is(out[0], 1);
  getsockopt(fd, SOL_TCP, TCP_KEEPIDLE, out);
  t.is(out[0], 32_767, "the longest that TCP can wait");
  const { client } = hosts.pair();
  hosts.run();
  t.notThrows(() => client.write(new ArrayBuffer(1), { more: true, byteLength: 2 ** 40 }));
  for (const byteLength of [0, -1, 1.5, NaN, Infinity, null]) {
    t.throws(() => client.write(new ArrayBuffer(1), { byteLength } as never), { instanceOf: RangeError, message: /byteLength/ });
  }
});

test.serial("a constructor that throws keeps nothing, whichever line of it: the port is free, and from is as it was", (t) => {
  const hosts = new Hosts(t);
  const { client, server } = hosts.pair();
  const before = openFds();
  const target = { get target(): unknown { return undefined; }, set target(_: unknown) { throw new Error("no target"); } };
  for (const kind of [TCP, UDP, Listener, Resolver]) {
    class Picky extends (kind as new (options: object) => object) {}
    Object.defineProperties(Picky.prototype, Object.getOwnPropertyDescriptors(target));
    for (const more of kind === TCP ? [{ address: LOCAL, port: 80 }, { from: client }] : [{ port: 7000, servers: [B] }]) {
      t.throws(() => new Picky({ ...more, target: 1 }), { message: "no target" });
    }
  }
  for (const bad of [{ format: "text" }, { keepAlive: 0 }, { onError: 1 }]) {
    t.throws(() => hosts.tcp({ from: client, ...bad } as never));
  }
  t.throws(() => hosts.udp({ port: 7000, multicast: "10.0.0.7" }), { message: /EINVAL|ENOPROTOOPT/ });
  t.deepEqual(openFds(), before);
  t.notThrows(() => hosts.udp({ port: 7000 }));
  server.write(bytesOf("still there"));
  hosts.run();
  t.is(textOf(client.read()), "still there");
});

test.serial("views of all kinds are read from and written to where they say", (t) => {
  const hosts = new Hosts(t);
  const { client, server } = hosts.pair();
  hosts.run();
  const bytes = new Uint8Array(bytesOf("0123456789"));
  const growing = new Resizable(2, { maxByteLength: 4 });
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(growing).set(bytes.subarray(0, 2));
  new Uint8Array(shared).set(bytes.subarray(2, 4));
  for (const data of [growing, shared, new Int8Array(bytes.buffer, 4, 2), new DataView(bytes.buffer, 6, 3), bytes.subarray(9)]) client.write(data);
  hosts.run();
  const room = new Uint8Array(12).fill(46);
  t.is(server.read(new DataView(room.buffer, 1, 3)), 3);
  t.is(server.read(new Int8Array(room.buffer, 5, 2)), 2);
  t.is(server.read(room.subarray(8, 8)), 0);
  t.is(textOf(room), ".012.34.....");
  const wide = new Growable(5, { maxByteLength: 8 });
  t.is(server.read(wide), 5);
  t.is(textOf(new Uint8Array(wide).slice()), "56789");
  const gone = new ArrayBuffer(4);
  structuredClone(gone, { transfer: [gone] });
  t.throws(() => client.write(gone), { instanceOf: TypeError });
  for (const count of [0, -1, 1.5, NaN, Infinity, -Infinity]) t.throws(() => server.read(count), { instanceOf: RangeError });
});

test.serial("UDP: a port of 0 cannot be sent to; every other argument that is wrong throws and sends nothing", (t) => {
  const hosts = new Hosts(t);
  const here = hosts.udp({ port: 7000 });
  const there = hosts.udp({}, "b") as unknown as { write(...args: unknown[]): void };
  const data = bytesOf("x");
  for (const args of [[], [data], [data, A], [data, A, 0], [data, A, 65_536], [data, A, NaN], [data, "a.test", 7000], ["x", A, 7000], [[1], A, 7000]]) {
    t.throws(() => { there.write(...args); });
  }
  hosts.run();
  t.is(here.read(), undefined);
});
