/** Resolver over the DNS service, against a name server of the tests on host b. */
import test from "ava";
import { Resolver, type ResolverOptions } from "../../../src/ecma419/resolver.ts";
import { wordTable } from "../../../src/lib/table.ts";
import { B, Hosts } from "./hosts.ts";

const KNOWN = "10.9.8.7";

/** A server that knows each name which begins with "known", and no other. It counts what it was asked. */
function serve(hosts: Hosts): { asked: number } {
  const count = { asked: 0 };
  hosts.udp({
    port: 53,
    onReadable() {
      for (let query = this.read(); query !== undefined; query = this.read()) {
        count.asked++;
        const question = Buffer.from(query);
        const end = question.indexOf(0, 12) + 5;
        const known = question.toString("latin1", 13, 18) === "known";
        const reply = Buffer.concat([question.subarray(0, end), known ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 8, 7]) : Buffer.alloc(0)]);
        reply.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
        reply.writeUInt16BE(known ? 1 : 0, 6);
        reply.writeUInt16BE(0, 8);
        reply.writeUInt16BE(0, 10);
        this.write(Uint8Array.from(reply), query.address, query.port);
      }
    },
  }, "b");
  return count;
}

function make(hosts: Hosts, options: Partial<ResolverOptions> = {}): Resolver {
  return hosts.on("a", () => hosts.keep(new Resolver({ servers: [B], ...options })));
}

test.serial("a name becomes an address, by callback as in the fourth edition", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const target = {};
  const resolver = make(hosts, { target, socket: { io: null } });
  const calls: unknown[][] = [];
  resolver.resolve({ host: "known.test" }, function (error, address, host) {
    t.is(this, resolver);
    t.is(this.target, target);
    calls.push([error, address, host]);
  });
  t.deepEqual(calls, []);
  hosts.run(1000);
  t.deepEqual(calls, [[null, KNOWN, "known.test"]]);
});

test.serial("a name becomes an address, by onResolved as in the third edition", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const calls: unknown[][] = [];
  const resolver = make(hosts);
  resolver.resolve({
    host: "known.test",
    onResolved: (host, address) => calls.push([host, address]),
    onError: (host) => calls.push([host]),
  });
  resolver.resolve({ host: "other.test", onError: (host) => calls.push([host]) });
  hosts.run(1000);
  t.deepEqual(calls, [["known.test", KNOWN], ["other.test"]]);
});

test.serial("addresses and localhost are answered later, and nobody is asked", (t) => {
  const hosts = new Hosts(t);
  const count = serve(hosts);
  const resolver = make(hosts);
  const calls: unknown[] = [];
  resolver.resolve({ host: "192.0.2.5" }, (_error, address) => calls.push(address));
  resolver.resolve({ host: "localhost" }, (_error, address) => calls.push(address));
  t.deepEqual(calls, []);
  hosts.run(1);
  t.deepEqual(calls, ["192.0.2.5", "127.0.0.1"]);
  t.is(count.asked, 0);
});

test.serial("more requests than the service takes at once: each is answered once", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const resolver = make(hosts);
  const calls: string[] = [];
  for (let i = 0; i < 20; i++) {
    resolver.resolve({ host: `${i % 2 === 0 ? "known" : "other"}${i}.test` }, (error, _address, host) => calls.push(error === null ? host! : "error"));
  }
  hosts.run(10_000);
  t.is(calls.length, 20);
  t.is(calls.filter((call) => call === "error").length, 10);
  t.is(new Set(calls).size, 11);
});

test.serial("no server answers, or the name is none: an error", (t) => {
  const hosts = new Hosts(t);
  const resolver = make(hosts);
  const errors: (Error | null)[] = [];
  resolver.resolve({ host: "known.test" }, (error) => errors.push(error));
  resolver.resolve({ host: `${"x".repeat(64)}.test` }, (error) => errors.push(error));
  hosts.run(120_000);
  t.is(errors.length, 2);
  for (const error of errors) t.true(error instanceof Error && /has no address/.test(error.message));
});

test.serial("close: no callback comes; twice, and from inside a callback, is no harm", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const one = make(hosts);
  let calls = 0;
  one.resolve({ host: "known.test" }, () => calls++);
  one.close();
  one.close();
  t.throws(() => one.resolve({ host: "known.test" }, () => calls++), { instanceOf: SyntaxError });
  const two = make(hosts);
  two.resolve({ host: "known.test" }, () => {
    calls++;
    two.close();
    two.close();
  });
  two.resolve({ host: "known2.test" }, () => calls++);
  hosts.run(10_000);
  t.is(calls, 1);
});

test.serial("the callbacks are those that resolve() was given, whatever becomes of the options", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const calls: unknown[] = [];
  const options: { host: string; onResolved?: (host: string, address: string) => void } = {
    host: "known.test", onResolved: (_host, address) => calls.push(address),
  };
  make(hosts).resolve(options);
  options.onResolved = (): void => { calls.push("another"); };
  hosts.run(1000);
  t.deepEqual(calls, [KNOWN]);
});

test.serial("a resolver that asks nothing holds nothing: Moddable's clients make one each, and close none", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const calls: unknown[] = [];
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i++) {
      hosts.on("a", () => new Resolver({ servers: [B] })).resolve({ host: `known${i}.test` }, (_error, address) => calls.push(address));
      hosts.run(100);
    }
  };
  rounds(2);
  const before = wordTable("test", 0);
  rounds(20);
  t.is(calls.filter((address) => address === KNOWN).length, 22);
  t.is(wordTable("test", 0), before, "no more timers than for one");
});

test.serial("from inside a callback another question can be asked, and one that throws takes no answer from others", (t) => {
  const hosts = new Hosts(t);
  serve(hosts);
  const calls: string[] = [];
  const resolver = make(hosts);
  resolver.resolve({ host: "10.0.0.9" }, (_error, address) => {
    calls.push(address!);
    resolver.resolve({ host: "known.test" }, (_again, other) => {
      calls.push(other!);
      throw new Error("of the program");
    });
    resolver.resolve({ host: "known2.test" }, (_again, other) => calls.push(other!));
    resolver.resolve({ host: "other.test" }, (error) => calls.push(error!.message));
  });
  t.throws(() => { hosts.run(1000); }, { message: "of the program" });
  hosts.run(1000);
  t.deepEqual(calls, ["10.0.0.9", KNOWN, KNOWN, "Resolver: other.test has no address"]);
});

test.serial("options that are wrong throw and say which", (t) => {
  const hosts = new Hosts(t);
  t.throws(() => make(hosts, { servers: "10.0.0.1" as never }), { instanceOf: TypeError, message: /servers is "10.0.0.1"/ });
  t.throws(() => make(hosts, { servers: [] }), { instanceOf: RangeError, message: /servers is .*; it must be an array of 1/ });
  t.throws(() => make(hosts, { servers: ["ns.test"] }), { instanceOf: RangeError, message: /servers is "ns.test"/ });
  const resolver = make(hosts);
  t.throws(() => { resolver.resolve({} as never, () => undefined); }, { instanceOf: Error, message: /host is undefined; it must be/ });
  t.throws(() => { resolver.resolve({ host: "x" }); }, { instanceOf: Error, message: /callback is undefined; it must be a function/ });
  t.throws(() => { resolver.resolve({ host: "x" }, 5 as never); }, { instanceOf: TypeError, message: /callback is 5/ });
  t.throws(() => { resolver.resolve({ host: Symbol() as never }, () => undefined); }, { instanceOf: TypeError });
  t.throws(() => { resolver.resolve(null as never); }, { instanceOf: TypeError });
  t.throws(() => Reflect.apply(resolver.resolve, [], [{ host: "x" }]) as unknown, { instanceOf: SyntaxError });
});
