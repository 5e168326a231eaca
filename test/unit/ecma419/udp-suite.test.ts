/**
 * The 10 cases of Moddable's own tests of UDP (tests/modules/io/socket/udp), restated under the names of their files. Their time
 * server is a UDP on host b that sends each datagram back.
 */
import test from "ava";
import type { UDP } from "../../../src/ecma419/udp.ts";
import { B, bytesOf, Hosts, LOCAL, textOf } from "./hosts.ts";

const TEXT = "This is a test!";
const PORT = 51515;
const SNTP_PORT = 123;
const STRANGERS: readonly unknown[] = [new (class Foreign {})(), {}, "a string", [], null, undefined];

function serve(hosts: Hosts): void {
  hosts.udp({
    port: SNTP_PORT,
    onReadable() {
      for (let packet = this.read(); packet !== undefined; packet = this.read()) this.write(packet, packet.address, packet.port);
    },
  }, "b");
}

/** Three questions, as the suite sends them. */
function ask(udp: UDP): void {
  const packet = new Uint8Array(48);
  packet[0] = (4 << 3) | 3;
  for (let i = 0; i < 3; i++) udp.write(packet, B, SNTP_PORT);
}

test.serial("close: it can be closed twice; then everything throws", (t) => {
  const hosts = new Hosts(t);
  const udp = hosts.udp({});
  udp.close();
  udp.close();
  for (const use of [
    () => udp.read(), () => udp.write(Uint8Array.of(1), LOCAL, 80), () => udp.format, () => udp.add("224.0.0.251"),
  ]) t.throws(use, { instanceOf: SyntaxError });
});

test.serial("constructor-port: the sender's port is another; a symbol is none", (t) => {
  const hosts = new Hosts(t);
  t.plan(6);
  let done = false;
  hosts.udp({
    port: PORT,
    onReadable() {
      const packet = this.read()!;
      t.is(typeof packet.port, "number");
      t.not(packet.port, PORT);
      t.is(packet.address, LOCAL);
      t.is(textOf(packet), TEXT);
      this.close();
      done = true;
    },
  });
  const sender = hosts.udp({});
  sender.write(bytesOf(TEXT), LOCAL, PORT);
  sender.close();
  t.throws(() => hosts.udp({ port: Symbol() as unknown as number }), { instanceOf: TypeError });
  t.throws(() => hosts.udp({ port: 65536 }), { instanceOf: RangeError, message: /UDP: port is 65536; .* from 0 to 65535/ });
  hosts.until(() => done);
});

test.serial("constructor: every option may be missing; a port is free again after close", (t) => {
  const hosts = new Hosts(t);
  for (const options of [{}, { onReadable: () => undefined }, { port: 1234 }, { port: 1234, onReadable: () => undefined }]) {
    hosts.udp(options).close();
  }
  t.pass();
});

test.serial("format: buffer and no other", (t) => {
  const hosts = new Hosts(t);
  t.is(hosts.udp({}).format, "buffer");
  t.is(hosts.udp({ format: "buffer" }).format, "buffer");
  for (const format of ["number", "INVALID FORMAT"]) {
    t.throws(() => hosts.udp({ format: format as never }), { instanceOf: RangeError });
  }
});

test.serial("invalid-receiver: methods of something else throw and do nothing", (t) => {
  const hosts = new Hosts(t);
  let pending = 0;
  const udp = hosts.udp({ port: PORT, onReadable: (count) => (pending = count) });
  for (const stranger of STRANGERS) {
    const args = [new ArrayBuffer(1), LOCAL, PORT];
    for (const method of [udp.write, udp.read, udp.close, udp.add, udp.remove]) {
      t.throws(() => Reflect.apply(method, stranger, args) as unknown, { instanceOf: SyntaxError });
    }
  }
  udp.write(new ArrayBuffer(1), LOCAL, PORT);
  hosts.until(() => pending >= 1);
  t.is(udp.read()!.byteLength, 1);
});

test.serial("no-callback: it works by looking", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const udp = hosts.udp({});
  t.is(udp.read(), undefined);
  ask(udp);
  let packet: ArrayBuffer | undefined;
  hosts.until(() => (packet = udp.read()) !== undefined);
  t.true(packet instanceof ArrayBuffer);
});

test.serial("onReadable: a count of datagrams, each read whole, then undefined", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  let done = false;
  const udp = hosts.udp({
    onReadable(count) {
      t.true(count > 0);
      t.is(this.format, "buffer");
      t.true(this.read() instanceof ArrayBuffer);
      this.read();
      this.read();
      t.is(this.read(), undefined);
      this.close();
      done = true;
    },
  });
  ask(udp);
  hosts.until(() => done);
});

test.serial("read-outside-callback: any time will do", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  let count = 0;
  const udp = hosts.udp({ onReadable: (packets) => (count = packets) });
  t.is(udp.read(), undefined);
  ask(udp);
  hosts.until(() => count >= 1);
  t.true(udp.read() instanceof ArrayBuffer);
});

test.serial("target: the object given, in callbacks too", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const target = {};
  let seen: unknown;
  const udp = hosts.udp({
    target,
    onReadable() {
      seen = this.target;
      this.close();
    },
  });
  t.is(udp.target, target);
  ask(udp);
  hosts.until(() => seen !== undefined);
  t.is(seen, target);
});

test.serial("write: wrong types throw and send nothing; of a view only its own bytes go", (t) => {
  const hosts = new Hosts(t);
  const packets: string[] = [];
  hosts.udp({
    port: PORT,
    onReadable() {
      const packet = this.read()!;
      packets.push(textOf(packet), packet.address);
    },
  });
  const udp = hosts.udp({});
  const symbol = Symbol() as never;
  t.throws(() => udp.write(new ArrayBuffer(1), LOCAL, symbol), { instanceOf: TypeError });
  t.throws(() => udp.write(new ArrayBuffer(1), symbol, PORT), { instanceOf: TypeError });
  t.throws(() => udp.write(symbol, LOCAL, PORT), { instanceOf: TypeError });
  const bytes = new Uint8Array(bytesOf(`__${TEXT}__`));
  udp.write(bytes.subarray(2, -2), LOCAL, PORT);
  udp.close();
  hosts.run();
  t.deepEqual(packets, [TEXT, LOCAL]);
});
