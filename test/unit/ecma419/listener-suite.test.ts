/** The 10 cases of Moddable's own tests of Listener (tests/modules/io/socket/listener), restated under the names of their files. */
import test from "ava";
import { TCP } from "../../../src/ecma419/tcp.ts";
import { Hosts, LOCAL } from "./hosts.ts";

const STRANGERS: readonly unknown[] = [new (class Foreign {})(), {}, "a string", [], null, undefined];

test.serial("close: it can be closed twice inside its callback; then read throws", (t) => {
  const hosts = new Hosts(t);
  let called = 0;
  const listener = hosts.listener({
    port: 8080,
    onReadable() {
      called++;
      this.close();
      this.close();
      t.throws(() => this.read(), { instanceOf: SyntaxError });
      t.throws(() => this.port, { instanceOf: SyntaxError });
      t.throws(() => this.format, { instanceOf: SyntaxError });
    },
  });
  hosts.tcp({ address: LOCAL, port: listener.port });
  hosts.run(5000);
  t.is(called, 1);
});

test.serial("constructor-port: from 0 to 65535, as text too; undefined is none", (t) => {
  const hosts = new Hosts(t);
  const undef: object = { port: undefined };
  t.is(t.throws(() => hosts.listener(undef)).constructor, Error);
  for (const port of [-1, 65536, 0.5, NaN]) {
    t.throws(() => hosts.listener({ port }), { instanceOf: RangeError, message: /Listener: port is .*; .* from 0 to 65535/ });
  }
  t.throws(() => hosts.listener({ port: Symbol.match as unknown as number }), { instanceOf: TypeError });
  for (const options of [{ port: "0" as unknown as number }, {}]) {
    const { port } = hosts.listener(options);
    t.true(Number.isInteger(port) && port >= 1 && port <= 65535);
  }
});

test.serial("constructor: three clients, each a TCP of format buffer with its address", (t) => {
  const hosts = new Hosts(t);
  let read = 0;
  let connected = 0;
  hosts.listener({
    port: 8080,
    onReadable(count) {
      while (count-- > 0) {
        const tcp = hosts.keep(this.read()!);
        t.true(tcp instanceof TCP);
        t.is(tcp.remoteAddress, LOCAL);
        t.is(tcp.format, "buffer");
        read++;
      }
    },
  });
  for (let i = 0; i < 3; i++) {
    hosts.tcp({
      address: LOCAL,
      port: 8080,
      onWritable() {
        t.is(this.remotePort, 8080);
        t.is(this.remoteAddress, LOCAL);
        t.is(this.format, "buffer");
        connected++;
      },
    });
  }
  hosts.until(() => connected === 3 && read === 3);
});

test.serial("ephemeral-port: a port of its own, and nothing to read at first", (t) => {
  const hosts = new Hosts(t);
  let pending = 0;
  const listener = hosts.listener({
    onReadable(count) {
      pending = count;
      this.close();
    },
  });
  t.is(listener.read(), undefined);
  hosts.tcp({ address: LOCAL, port: listener.port });
  hosts.until(() => pending > 0);
  t.is(pending, 1);
});

test.serial("format: socket/tcp and no other", (t) => {
  const hosts = new Hosts(t);
  const listener = hosts.listener({ port: 8080 });
  t.is(listener.format, "socket/tcp");
  t.throws(() => (listener.format = "123" as never), { instanceOf: RangeError });
  t.is(listener.format, "socket/tcp");
  t.throws(() => hosts.listener({ format: "buffer" as never }), { instanceOf: RangeError });
});

test.serial("invalid-receiver: methods of something else throw and do nothing", (t) => {
  const hosts = new Hosts(t);
  let pending = 0;
  const listener = hosts.listener({ port: 8080, onReadable: (count) => (pending = count) });
  const strangers = (): void => {
    for (const stranger of STRANGERS) {
      for (const method of [listener.read, listener.close]) {
        t.throws(() => Reflect.apply(method, stranger, []) as unknown, { instanceOf: SyntaxError });
      }
    }
  };
  strangers();
  hosts.tcp({ address: LOCAL, port: 8080 });
  hosts.until(() => pending === 1);
  strangers();
  t.true(hosts.keep(listener.read()!) instanceof TCP);
});

test.serial("no-callbacks: it works by looking", (t) => {
  const hosts = new Hosts(t);
  const listener = hosts.listener({ port: 8080 });
  t.is(listener.read(), undefined);
  hosts.tcp({ address: LOCAL, port: 8080 });
  let tcp: TCP | undefined;
  hosts.until(() => (tcp = listener.read()) !== undefined);
  hosts.keep(tcp!);
  listener.close();
  t.true(tcp instanceof TCP);
  t.is(tcp!.remoteAddress, LOCAL);
  t.is(tcp!.format, "buffer");
});

test.serial("read-outside-callback: one connection, then undefined", (t) => {
  const hosts = new Hosts(t);
  let pending = 0;
  const listener = hosts.listener({ port: 8080, onReadable: (count) => (pending = count) });
  hosts.tcp({ address: LOCAL, port: 8080 });
  hosts.until(() => pending > 0);
  t.is(pending, 1);
  const tcp = hosts.keep(listener.read()!);
  t.is(tcp.remoteAddress, LOCAL);
  t.is(tcp.format, "buffer");
  t.is(listener.read(), undefined);
});

test.serial("target: the object given, in callbacks too", (t) => {
  const hosts = new Hosts(t);
  const target = {};
  let seen: unknown;
  const listener = hosts.listener({
    port: 8080,
    target,
    onReadable() {
      seen = this.target;
    },
  });
  t.is(listener.target, target);
  hosts.tcp({ address: LOCAL, port: 8080 });
  hosts.until(() => seen !== undefined);
  t.is(seen, target);
});

test.serial("tcp-write-afterr-connect: what was accepted writes in its first onWritable and closes", (t) => {
  const hosts = new Hosts(t);
  const received: number[] = [];
  const listener = hosts.listener({
    onReadable() {
      hosts.tcp({
        from: this.read()!,
        onWritable() {
          this.write(Uint8Array.of(1, 2, 3, 4));
          this.close();
          listener.close();
        },
      });
    },
  });
  hosts.tcp({
    address: LOCAL,
    port: listener.port,
    onReadable() {
      received.push(...new Uint8Array(this.read() as ArrayBuffer));
    },
  });
  hosts.until(() => received.length === 4);
  t.deepEqual(received, [1, 2, 3, 4]);
});
