/**
 * The 21 cases of Moddable's own tests of TCP (tests/modules/io/socket/tcp), restated: each title begins with the file's name.
 * Its web server is host b, loopback is loopback.
 */
import test from "ava";
import type { TCP } from "../../../src/ecma419/tcp.ts";
import { A, B, bytesOf, Hosts, LOCAL, REQUEST, textOf } from "./hosts.ts";

const ADDRESS = B;
const PORT = 80;
const symbol = Symbol.match as unknown as number;
/** Receivers that are no instance. */
const STRANGERS: readonly unknown[] = [new (class Foreign {})(), {}, "a string", [], null, undefined];

/** Connects to the server, asks it, and calls back when it has answered. */
function ask(hosts: Hosts, onReadable: (this: TCP, count: number) => void): void {
  hosts.serve();
  let wrote = false;
  let answered = false;
  hosts.tcp({
    address: ADDRESS,
    port: PORT,
    onWritable() {
      if (!wrote) this.write(bytesOf(REQUEST));
      wrote = true;
    },
    onReadable(count) {
      answered = true;
      onReadable.call(this, count);
    },
  });
  hosts.until(() => answered);
}

/** Connects, and calls back when it is. */
function connect(hosts: Hosts, onWritable: (this: TCP, count: number) => void): void {
  hosts.serve();
  let connected = false;
  hosts.tcp({
    address: ADDRESS,
    port: PORT,
    onWritable(count) {
      if (!connected) onWritable.call(this, count);
      connected = true;
    },
  });
  hosts.until(() => connected);
}

test.serial("close-immediate: a socket taken over in its own onReadable and closed at once ends the peer's", (t) => {
  const hosts = new Hosts(t);
  const port = 1234;
  let sent = false;
  let ended = false;
  const received: string[] = [];
  hosts.listener({
    port,
    onReadable() {
      hosts.tcp({
        from: this.read()!,
        onReadable(count) {
          received.push(textOf(this.read(count)));
          this.write(bytesOf("HTTP Response"));
          hosts.tcp({ from: this }).close();
        },
      });
    },
  });
  hosts.tcp({
    address: LOCAL,
    port,
    onReadable(count) {
      received.push(textOf(this.read(count)));
    },
    onWritable() {
      if (!sent) this.write(bytesOf("HTTP Request"));
      sent = true;
    },
    onError() {
      ended = true;
    },
  });
  hosts.until(() => ended);
  t.deepEqual(received, ["HTTP Request", "HTTP Response"]);
});

test.serial("close: it can be closed twice; then everything throws and no callback comes", (t) => {
  const hosts = new Hosts(t);
  let late = 0;
  let closed = false;
  hosts.serve();
  hosts.tcp({
    address: ADDRESS,
    port: PORT,
    onWritable() {
      if (closed) late++;
      this.write(bytesOf(REQUEST));
      this.close();
      closed = true;
      this.close();
      for (const use of [
        () => this.write(Uint8Array.of(1)), () => this.read(), () => this.remoteAddress, () => this.remotePort,
        () => this.format, () => (this.format = "number"),
      ]) t.throws(use, { instanceOf: SyntaxError });
    },
    onReadable: () => late++,
    onError: () => late++,
  });
  hosts.until(() => closed);
  hosts.run(10_000);
  t.is(late, 0);
});

test.serial("constructor-no-address: an address is required", (t) => {
  const hosts = new Hosts(t);
  t.throws(() => hosts.tcp({ port: 80 }), { instanceOf: Error, message: "TCP: address is undefined; it must be an IPv4 address, four numbers from 0 to 255" });
});

test.serial("constructor-port: a port is required, from 0 to 65535", (t) => {
  const hosts = new Hosts(t);
  const address = ADDRESS;
  const missing = t.throws(() => hosts.tcp({ address }))!;
  t.is(missing.constructor, Error);
  const undef: object = { address, port: undefined };
  t.is(t.throws(() => hosts.tcp(undef)).constructor, Error);
  for (const port of [-1, 65536, 1.5, NaN, "http" as unknown as number]) {
    t.throws(() => hosts.tcp({ address, port }), { instanceOf: RangeError, message: /port is .*; it must be a whole number from 0 to 65535/ });
  }
  t.throws(() => hosts.tcp({ address, port: symbol }), { instanceOf: TypeError, message: /TCP: port is Symbol/ });
});

test.serial("constructor: a connection opens and onWritable tells", (t) => {
  const hosts = new Hosts(t);
  connect(hosts, (count) => t.true(count > 0));
});

test.serial("format: buffer by default, number when asked for, no other", (t) => {
  const hosts = new Hosts(t);
  const options = { address: ADDRESS, port: PORT };
  t.is(hosts.tcp(options).format, "buffer");
  t.is(hosts.tcp({ ...options, format: "buffer" }).format, "buffer");
  t.is(hosts.tcp({ ...options, format: "number" }).format, "number");
  t.throws(() => hosts.tcp({ ...options, format: "INVALID FORMAT" as never }), {
    instanceOf: RangeError, message: 'TCP: format is "INVALID FORMAT"; it must be "buffer" or "number"',
  });
});

test.serial("from: the connection moves, the options do not", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  let old = 0;
  let told = 0;
  const from = hosts.tcp({
    address: ADDRESS, port: PORT, format: "number", onReadable: () => old++, onWritable: () => old++, onError: () => old++,
  });
  hosts.tcp({
    from,
    onWritable(count) {
      t.is(this.format, "buffer");
      told = count;
      this.close();
    },
  });
  t.throws(() => hosts.tcp({ from }), { instanceOf: SyntaxError });
  from.close();
  from.close();
  t.throws(() => from.read(), { instanceOf: SyntaxError });
  for (const stranger of [[], {}, new ArrayBuffer(1), "TCP", 5]) {
    t.throws(() => hosts.tcp({ from: stranger as never }), { instanceOf: SyntaxError });
  }
  hosts.until(() => told > 0);
  t.is(old, 0);
});

test.serial("invalid-receiver: methods of something else throw and do nothing", (t) => {
  const hosts = new Hosts(t);
  const { client, server } = hosts.pair();
  server.write(bytesOf("HTTP/1.1 200"));
  hosts.run();
  const bytes = new Uint8Array(8);
  for (const stranger of STRANGERS) {
    for (const [method, ...args] of [[client.write, bytes], [client.read], [client.close]] as const) {
      t.throws(() => Reflect.apply(method, stranger, args) as unknown, { instanceOf: SyntaxError });
    }
  }
  t.is(client.read(bytes), 8);
  t.is(textOf(bytes), "HTTP/1.1");
  client.format = "number";
  t.is(client.read(), 32);
});

test.serial("no-callbacks: it works by looking", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  const socket = hosts.tcp({ address: ADDRESS, port: PORT });
  t.is(socket.read(Uint8Array.of(1)), undefined, "read before connected");
  hosts.until(() => {
    try {
      socket.write(bytesOf(REQUEST));
      return true;
    } catch {
      return false;
    }
  });
  let data: ArrayBuffer | undefined;
  hosts.until(() => (data = socket.read() as ArrayBuffer | undefined) !== undefined);
  t.is(textOf(data).slice(0, 8), "HTTP/1.1");
});

test.serial("onError: what the peer wrote before it ended comes first", (t) => {
  const hosts = new Hosts(t);
  const calls: string[] = [];
  hosts.listener({
    port: 1234,
    onReadable() {
      hosts.tcp({
        from: this.read()!,
        onWritable() {
          this.write(bytesOf("Goodbye!"));
          this.close();
        },
        onError: () => calls.push("incoming socket failed"),
      });
    },
  });
  hosts.tcp({
    address: LOCAL,
    port: 1234,
    onReadable() {
      calls.push(textOf(this.read()));
    },
    onError: () => calls.push("error"),
  });
  hosts.until(() => calls.includes("error"));
  t.deepEqual(calls, ["Goodbye!", "error"]);
});

test.serial("onReadable: reads by count, into a buffer and by byte; arguments of other types throw", (t) => {
  const hosts = new Hosts(t);
  t.plan(13);
  ask(hosts, function (count) {
    t.is(typeof count, "number");
    t.true(count > 0);
    t.is(this.format, "buffer");
    t.throws(() => this.read(symbol), { instanceOf: TypeError });
    const start = this.read(4);
    t.true(start instanceof ArrayBuffer);
    t.is(start!.byteLength, 4);
    t.is(textOf(start), "HTTP");
    const into = new Uint8Array(4);
    t.is(this.read(into), 4);
    t.is(textOf(into), "/1.1");
    this.format = "number";
    t.is(this.read(), 32);
    this.format = "buffer";
    t.throws(() => this.read(Uint16Array.of(2) as never), { instanceOf: TypeError });
    t.throws(() => this.read(Math.sin as never), { instanceOf: TypeError });
    this.close();
    t.pass();
  });
});

test.serial("onWritable-overflow: exactly as much as was told can be written, in bytes and in buffers", (t) => {
  const hosts = new Hosts(t, { sndbufPackets: 4 });
  connect(hosts, function (count) {
    t.throws(() => this.write(new ArrayBuffer(count + 1)), { instanceOf: Error, message: /there is room for/ });
    this.format = "number";
    for (let i = 0; i < count - 1; i++) this.write(32);
    this.format = "buffer";
    t.is(this.write(Uint8Array.of(32)), 0);
    t.throws(() => this.write(new Uint8Array(count)), { instanceOf: Error });
    this.close();
  });
});

test.serial("onWritable: a number of bytes; each format takes its own type only", (t) => {
  const hosts = new Hosts(t);
  connect(hosts, function (count) {
    t.is(typeof count, "number");
    t.true(count > 0);
    t.is(this.format, "buffer");
    t.throws(() => this.write(32), { instanceOf: TypeError });
    this.write(new ArrayBuffer(12));
    t.throws(() => this.write(symbol), { instanceOf: TypeError });
    this.format = "number";
    this.write(32);
    t.throws(() => this.write(symbol), { instanceOf: TypeError });
    this.close();
  });
});

test.serial("read-beyond-available: more than is there throws, and what is there stays", (t) => {
  const hosts = new Hosts(t);
  ask(hosts, function (count) {
    t.is(t.throws(() => this.read(count * 4)).constructor, Error);
    t.is(this.read(count)!.byteLength, count);
    this.close();
  });
});

test.serial("read-into-view: bytes outside the view stay as they are", (t) => {
  const hosts = new Hosts(t);
  ask(hosts, function () {
    const buffer = new ArrayBuffer(512);
    const view = new Uint8Array(buffer, 256, 8);
    t.is(this.read(view), 8);
    t.is(textOf(view), "HTTP/1.1");
    const all = new Uint8Array(buffer);
    t.true(all.subarray(0, 256).every((byte) => byte === 0));
    t.true(all.subarray(264).every((byte) => byte === 0));
    this.close();
  });
});

test.serial("read-no-argument: all that has come", (t) => {
  const hosts = new Hosts(t);
  ask(hosts, function (count) {
    const data = this.read();
    t.true(data instanceof ArrayBuffer);
    t.true((data as ArrayBuffer).byteLength >= count);
    this.close();
  });
});

test.serial("read-outside-callback: any time will do", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  let wrote = false;
  let readable = 0;
  const socket = hosts.tcp({
    address: ADDRESS,
    port: PORT,
    onWritable() {
      if (!wrote) this.write(bytesOf(REQUEST));
      wrote = true;
    },
    onReadable: (count) => (readable = count),
  });
  t.is(socket.read(Uint8Array.of(1)), undefined);
  hosts.until(() => readable >= 8);
  const bytes = new Uint8Array(8);
  t.is(socket.read(bytes), 8);
  t.is(textOf(bytes), "HTTP/1.1");
  socket.format = "number";
  t.is(socket.read(), 32);
});

test.serial("remoteAddress: what was asked for; it cannot be set", (t) => {
  const hosts = new Hosts(t);
  connect(hosts, function () {
    t.is(this.remoteAddress, ADDRESS);
    t.throws(() => ((this as { remoteAddress: string }).remoteAddress = A), { instanceOf: TypeError });
    t.is(this.remoteAddress, ADDRESS);
  });
});

test.serial("remotePort: what was asked for; it cannot be set", (t) => {
  const hosts = new Hosts(t);
  connect(hosts, function () {
    t.is(this.remotePort, PORT);
    t.throws(() => ((this as { remotePort: number }).remotePort = -123), { instanceOf: TypeError });
    t.is(this.remotePort, PORT);
  });
});

test.serial("target: the object given, in callbacks too", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  const target = {};
  let seen: unknown;
  const socket = hosts.tcp({
    address: ADDRESS,
    port: PORT,
    target,
    onWritable() {
      seen = this.target;
    },
  });
  t.is(socket.target, target);
  hosts.until(() => seen !== undefined);
  t.is(seen, target);
});

test.serial("write-outside-callback: not before it is connected, then as much as was told", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  let writable = 0;
  const socket = hosts.tcp({ address: ADDRESS, port: PORT, onWritable: (count) => (writable = count) });
  t.is(t.throws(() => socket.write(Uint8Array.of(1))).constructor, Error);
  hosts.until(() => writable > 0);
  t.is(socket.write(new ArrayBuffer(writable)), 0);
});
