/** TCP where Moddable's tests do not look: options, order and times of callbacks, ends of connections. */
import test from "ava";
import fc from "fast-check";
import { TCP, type TCPOptions } from "../../../src/ecma419/tcp.ts";
import {
  FIONSPACE, getsockopt, ioctl, MSG_MORE, send, SO_KEEPALIVE, SOL_SOCKET, SOL_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_NODELAY,
} from "../../../src/index.ts";
import { fdSockets } from "../../../src/stack/socket/files.ts";
import { isTcp } from "../../lib/check.ts";
import { parseFrame } from "../../lib/frames.ts";
import { B, bytesOf, Hosts, LOCAL, textOf } from "./hosts.ts";

/** Descriptors in use. */
function openFds(): number[] {
  return [...fdSockets.keys()].filter((fd) => fdSockets[fd] !== null);
}

function option(fd: number, level: number, name: number): number {
  const out = new Int32Array(1);
  getsockopt(fd, level, name, out);
  return out[0]!;
}

/** Everything readable, as text, whatever pieces it comes in. */
function collect(into: string[]): Pick<TCPOptions, "onReadable" | "onError"> {
  return {
    onReadable() {
      into[0] = (into[0] ?? "") + textOf(this.read());
    },
    onError() {
      into[1] = "error";
    },
  };
}

test.serial("options are an object and may be frozen; unknown ones are ignored", (t) => {
  const hosts = new Hosts(t);
  for (const options of [undefined, null, 5, "x"]) t.throws(() => hosts.tcp(options as never), { instanceOf: TypeError });
  const options = Object.freeze({ address: LOCAL, port: 80, host: "localhost", io: TCP, colour: "red" });
  t.notThrows(() => hosts.tcp(options));
  t.is(hosts.tcp(options).target, undefined);
});

test.serial("every option of a wrong type or range throws before a socket is made", (t) => {
  const hosts = new Hosts(t);
  const good = { address: LOCAL, port: 80 };
  const cases: readonly [object, new (text?: string) => Error, RegExp][] = [
    [{ address: 5 }, RangeError, /address is 5/],
    [{ address: "10.0.0" }, RangeError, /address is "10\.0\.0"/],
    [{ address: "10.0.0.256" }, RangeError, /numbers from 0 to 255/],
    [{ address: "10.0.0.01" }, RangeError, /address/],
    [{ address: "example.com" }, RangeError, /address/],
    [{ onReadable: 1 }, TypeError, /onReadable is 1; it must be a function or null/],
    [{ onWritable: "x" }, TypeError, /onWritable/],
    [{ onError: {} }, TypeError, /onError/],
    [{ keepAlive: 0 }, RangeError, /keepAlive is 0; it must be a whole number from 1 to 9007199254740991/],
    [{ keepAlive: 1.5 }, RangeError, /keepAlive/],
    [{ keepAlive: Symbol() }, TypeError, /keepAlive/],
    [{ port: {} }, RangeError, /port/],
    [{ format: "" }, RangeError, /format/],
  ];
  const before = openFds();
  for (const [bad, kind, message] of cases) {
    t.throws(() => hosts.tcp({ ...good, ...bad }), { instanceOf: kind, message });
  }
  t.deepEqual(openFds(), before);
  t.notThrows(() => hosts.tcp({ ...good, onReadable: null, onWritable: null, onError: null }));
});

test.serial("noDelay, also as nodelay, and keepAlive become the socket's options", (t) => {
  const hosts = new Hosts(t);
  const fdOf = (options: object): number => {
    const before = openFds();
    hosts.tcp({ address: LOCAL, port: 80, ...options });
    return openFds().find((fd) => !before.includes(fd))!;
  };
  const plain = fdOf({});
  t.is(option(plain, SOL_TCP, TCP_NODELAY), 0);
  t.is(option(plain, SOL_SOCKET, SO_KEEPALIVE), 0);
  t.is(option(fdOf({ noDelay: true }), SOL_TCP, TCP_NODELAY), 1);
  t.is(option(fdOf({ nodelay: true }), SOL_TCP, TCP_NODELAY), 1);
  const asked = fdOf({ keepAlive: 2001 });
  t.is(option(asked, SOL_SOCKET, SO_KEEPALIVE), 1);
  t.is(option(asked, SOL_TCP, TCP_KEEPIDLE), 3);
  t.is(option(asked, SOL_TCP, TCP_KEEPINTVL), 3);
});

test.serial("no callback is called from inside the constructor or a method", (t) => {
  const hosts = new Hosts(t);
  let inside = false;
  let sync = 0;
  const note = (): void => {
    if (inside) sync++;
  };
  const within = <T>(call: () => T): T => {
    inside = true;
    try {
      return call();
    } finally {
      inside = false;
    }
  };
  const { client, server } = hosts.pair({ onReadable: note, onWritable: note, onError: note });
  server.write(bytesOf("abc"));
  hosts.run();
  const moved = within(() => hosts.tcp({ from: client, onReadable: note, onWritable: note, onError: note }));
  server.close();
  hosts.run();
  within(() => moved.write(bytesOf("x")));
  t.is(textOf(within(() => moved.read())), "abc");
  t.is(sync, 0);
});

test.serial("onReadable tells all that is unread, once for each arrival, and not again", (t) => {
  const hosts = new Hosts(t);
  const counts: number[] = [];
  const { client, server } = hosts.pair({ onReadable: (count) => counts.push(count) });
  server.write(bytesOf("abc"));
  hosts.run(1000);
  server.write(bytesOf("de"));
  hosts.run(1000);
  t.deepEqual(counts, [3, 5]);
  client.read(4);
  hosts.run(1000);
  t.deepEqual(counts, [3, 5]);
  server.write(bytesOf("f"));
  hosts.run(1000);
  t.deepEqual(counts, [3, 5, 2]);
  t.is(textOf(client.read()), "ef");
});

test.serial("onWritable tells again when an acknowledgment has made room, and not otherwise", (t) => {
  const hosts = new Hosts(t);
  const counts: number[] = [];
  const { client } = hosts.pair({ onWritable: (count) => counts.push(count) });
  hosts.run(1000);
  t.is(counts.length, 1);
  const left = client.write(new ArrayBuffer(100));
  t.true(left > 0 && left <= counts[0]!);
  hosts.run(1000);
  t.deepEqual(counts, [counts[0]!, counts[0]!]);
});

test.serial("onError waits until all is read", (t) => {
  const hosts = new Hosts(t);
  let errors = 0;
  const { client, server } = hosts.pair({ onError: () => errors++ });
  server.write(bytesOf("abcdef"));
  server.close();
  hosts.run(60_000);
  t.is(errors, 0);
  t.is(textOf(client.read(2)), "ab");
  hosts.run(1000);
  t.is(errors, 0);
  t.is(textOf(client.read()), "cdef");
  hosts.run(1);
  t.is(errors, 1);
  hosts.run(60_000);
  t.is(errors, 1);
});

test.serial("a port that nobody listens on: onError once, no onWritable; nothing can be written", (t) => {
  const hosts = new Hosts(t);
  const calls: string[] = [];
  const socket = hosts.tcp({
    address: B, port: 9, onWritable: () => calls.push("writable"), onError: () => calls.push("error"),
  });
  hosts.run(5000);
  t.deepEqual(calls, ["error"]);
  t.throws(() => socket.write(Uint8Array.of(1)), { message: /there is room for 0/ });
  t.is(socket.read(), undefined);
});

test.serial("no route: the constructor does not throw, onError tells", (t) => {
  const hosts = new Hosts(t);
  let errors = 0;
  hosts.tcp({ address: "192.0.2.1", port: 80, onError: () => errors++ });
  t.is(errors, 0);
  hosts.run(1);
  t.is(errors, 1);
});

test.serial("no socket left: the constructor throws and takes nothing", (t) => {
  const hosts = new Hosts(t, { files: 2 });
  hosts.tcp({ address: LOCAL, port: 80 });
  hosts.tcp({ address: LOCAL, port: 80 });
  t.throws(() => hosts.tcp({ address: LOCAL, port: 80 }), { instanceOf: Error, message: "TCP: no socket: EMFILE" });
});

test.serial("write then close delivers, also with bytes of the peer unread", (t) => {
  const hosts = new Hosts(t);
  const got: string[] = [];
  const { client, server } = hosts.pair({}, collect(got));
  server.write(bytesOf("unread"));
  hosts.run();
  const text = "x".repeat(20_000);
  client.write(bytesOf(text));
  client.close();
  hosts.run(5000);
  t.is(got[0], text);
  t.is(got[1], "error");
});

test.serial("a reset by the peer: what came before is read, then onError", (t) => {
  const hosts = new Hosts(t);
  const got: string[] = [];
  const { client, server } = hosts.pair({}, {});
  server.write(bytesOf("last words"));
  hosts.run();
  server.close();
  hosts.run();
  client.write(bytesOf("to nobody"));
  hosts.run();
  hosts.tcp({ from: client, ...collect(got) });
  hosts.run();
  t.deepEqual(got, ["last words", "error"]);
});

test.serial("writes of one turn leave in one segment", (t) => {
  const hosts = new Hosts(t);
  const segments: number[] = [];
  const { client } = hosts.pair({ noDelay: true });
  hosts.run();
  hosts.lab.wire.observers.push((bytes) => {
    const frame = parseFrame(bytes);
    if (isTcp()(frame) === null && frame.tcp!.payload.length > 0) segments.push(frame.tcp!.payload.length);
  });
  client.format = "number";
  for (let i = 0; i < 10; i++) client.write(i);
  client.format = "buffer";
  client.write(bytesOf("0123456789"));
  t.deepEqual(segments, []);
  hosts.run();
  t.deepEqual(segments, [20]);
});

test.serial("more: a short segment waits for the last part", (t) => {
  const hosts = new Hosts(t);
  const segments: number[] = [];
  const { client } = hosts.pair();
  hosts.run();
  hosts.lab.wire.observers.push((bytes) => {
    const frame = parseFrame(bytes);
    if (isTcp()(frame) === null && frame.tcp!.payload.length > 0) segments.push(frame.tcp!.payload.length);
  });
  client.write(bytesOf("12345"), { more: true, byteLength: 8 });
  hosts.run(100);
  t.deepEqual(segments, []);
  client.write(bytesOf("678"));
  hosts.run(100);
  t.deepEqual(segments, [8]);
  t.throws(() => client.write(bytesOf("x"), { byteLength: 0 }), { instanceOf: RangeError, message: /byteLength is 0; .* from 1/ });
});

test.serial("what read() and write() take, in each format", (t) => {
  const hosts = new Hosts(t);
  const { client, server } = hosts.pair();
  hosts.run();
  for (const data of [
    new Int8Array([1]), new DataView(new ArrayBuffer(3), 1, 1), new Uint8ClampedArray(1), new SharedArrayBuffer(1), new ArrayBuffer(0),
  ]) t.notThrows(() => client.write(data));
  for (const data of [undefined, "text", [1], {}, new Uint16Array(1), null, { byteLength: 4 }]) {
    t.throws(() => client.write(data as never), { instanceOf: TypeError });
  }
  client.format = "number";
  t.notThrows(() => client.write("7" as never));
  for (const byte of [-1, 256, 1.5, NaN, {} as never]) t.throws(() => client.write(byte), { instanceOf: RangeError, message: /from 0 to 255/ });
  t.throws(() => client.write(undefined as never), { instanceOf: Error, message: /data is undefined/ });
  hosts.run();
  for (const count of [0, -1, 1.5]) t.throws(() => server.read(count), { instanceOf: RangeError });
  const large = new Uint8Array(100);
  t.is(server.read(large), 5, "a buffer is filled as far as there is something");
  server.format = "number";
  t.throws(() => server.read(1), { instanceOf: TypeError });
  t.is(server.read(), undefined);
  t.throws(() => (server.format = "text" as never), { instanceOf: RangeError });
  t.is(server.format, "number");
});

test.serial("from with unread data: onWritable, onReadable and then onError come to the new one", (t) => {
  const hosts = new Hosts(t);
  const calls: string[] = [];
  const { client, server } = hosts.pair();
  server.write(bytesOf("abc"));
  hosts.run();
  const target = { name: "new" };
  hosts.tcp({
    from: client,
    format: "number",
    target,
    onWritable() {
      calls.push("writable");
    },
    onReadable(count) {
      calls.push(`readable ${count}`);
      while (count-- > 0) calls.push(String(this.read()));
    },
    onError() {
      calls.push("error");
    },
  });
  hosts.run();
  server.close();
  hosts.run();
  t.deepEqual(calls, ["writable", "readable 3", "97", "98", "99", "error"]);
});

test.serial("from before it is connected: the new one hears of the connection", (t) => {
  const hosts = new Hosts(t);
  hosts.serve();
  const calls: string[] = [];
  const first = hosts.tcp({ address: B, port: 80, onWritable: () => calls.push("old") });
  const second = hosts.tcp({ from: first, onWritable: () => calls.push("new") });
  hosts.run();
  t.deepEqual(calls, ["new"]);
  t.is(second.remoteAddress, B);
  t.is(second.remotePort, 80);
});

test.serial("close in each callback: no other follows", (t) => {
  const hosts = new Hosts(t);
  for (const closing of ["onWritable", "onReadable", "onError"] as const) {
    const calls: string[] = [];
    const note = (name: string) => function (this: TCP): void {
      calls.push(name);
      if (name === closing) this.close();
      else if (name === "onReadable") this.read();
    };
    const { client, server } = hosts.pair();
    server.write(bytesOf("abc"));
    server.close();
    hosts.run();
    hosts.tcp({ from: client, onWritable: note("onWritable"), onReadable: note("onReadable"), onError: note("onError") });
    hosts.run(1000);
    t.is(calls.at(-1), closing);
  }
});

test.serial("an exception of a callback reaches the loop, and the connection goes on", (t) => {
  const hosts = new Hosts(t);
  let calls = 0;
  const { client, server } = hosts.pair({
    onReadable() {
      if (calls++ === 0) throw new Error("of the program");
    },
  });
  server.write(bytesOf("abc"));
  t.throws(() => hosts.run(), { message: "of the program" });
  server.write(bytesOf("def"));
  hosts.run();
  t.is(calls, 2);
  t.is(textOf(client.read()), "abcdef");
});

test.serial("any bytes in any pieces arrive as they were sent", (t) => {
  const hosts = new Hosts(t, { sndbufPackets: 3 });
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 12 }), fc.integer({ min: 1, max: 2000 }), (pieces, step) => {
      const sent = Buffer.concat(pieces);
      const got: Buffer[] = [];
      let ended = false;
      let done = 0;
      const { client } = hosts.pair({
        noDelay: step % 2 === 0,
        onWritable(room) {
          while (room > 0 && done < sent.length) {
            const count = Math.min(room, step, sent.length - done);
            room = this.write(Uint8Array.from(sent.subarray(done, done + count)));
            done += count;
          }
          if (done === sent.length) this.close();
        },
      }, {
        onReadable() {
          got.push(Buffer.from(this.read() as ArrayBuffer));
        },
        onError() {
          ended = true;
          this.close();
        },
      });
      hosts.until(() => ended, 60_000);
      client.close();
      return Buffer.concat(got).equals(sent);
    }),
    { numRuns: 30, seed: 419 },
  );
  t.pass();
});

test.serial("exactly as much as was told is taken, however much of the pool others hold, also over loopback, which copies", (t) => {
  const hosts = new Hosts(t, { buffers: 31, skbs: 42, sndbufPackets: 8, rcvbufPackets: 32 });
  const listener = hosts.listener({ port: 4000 });
  const holder = hosts.udp({ port: 9 });
  const answer = new Int32Array(1);
  for (let held = 0; held < 16; held++) {
    let told = 0;
    const before = openFds();
    const client = hosts.tcp({ address: LOCAL, port: 4000, onWritable: (room) => (told ||= room) });
    const fd = openFds().find((one) => !before.includes(one))!;
    hosts.until(() => told > 0);
    ioctl(fd, FIONSPACE, answer);
    const room = answer[0]!;
    t.true(room > 0);
    t.is(send(fd, new Uint8Array(room), 0, room, MSG_MORE), room, `${held} held`);
    client.close();
    hosts.run();
    listener.read()?.close();
    hosts.run(120_000);
    // A datagram that is not read holds a packet buffer.
    holder.write(new ArrayBuffer(1), LOCAL, 9);
    hosts.run(1);
  }
});
