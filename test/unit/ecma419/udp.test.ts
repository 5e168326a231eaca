/** UDP and Listener where no suite looks: reading into a buffer, groups, broadcasts, addresses, frozen options, callbacks' order. */
import test from "ava";
import { Listener } from "../../../src/ecma419/listener.ts";
import { UDP } from "../../../src/ecma419/udp.ts";
import { igmp } from "../../../src/igmp.ts";
import { setNs } from "../../../src/index.ts";
import { createLab } from "../../lib/lab.ts";
import { A, B, bytesOf, Hosts, LOCAL, textOf } from "./hosts.ts";

test.serial("read into a buffer: the count, the sender, and only the datagram's bytes; too short a buffer leaves it where it is", (t) => {
  const hosts = new Hosts(t);
  const here = hosts.udp({ port: 7000 });
  const there = hosts.udp({ port: 7001 }, "b");
  there.write(bytesOf("hello"), A, 7000);
  there.write(bytesOf(""), A, 7000);
  hosts.run();
  t.throws(() => here.read(new Uint8Array(4)), { instanceOf: RangeError, message: /4 bytes; the datagram has 5/ });
  const room = new Uint8Array(10).fill(46);
  const into = room.subarray(2, 9) as Uint8Array & { address?: string; port?: number };
  t.is(here.read(into), 5);
  t.is(textOf(room), "..hello...");
  t.like(into, { address: B, port: 7001 });
  t.is(here.read(new Uint8Array(0)), 0, "an empty datagram is one");
  t.is(here.read(new DataView(new ArrayBuffer(8))), undefined);
  t.throws(() => here.read(new Uint16Array(8) as never), { instanceOf: TypeError });
});

test.serial("onReadable tells how many wait in all, once for each arrival, and never from inside a call", (t) => {
  const hosts = new Hosts(t);
  const counts: number[] = [];
  const here = hosts.udp(Object.freeze({ port: 7000, extra: 1, onReadable: (packets: number) => void counts.push(packets) }));
  const there = hosts.udp({}, "b");
  there.write(bytesOf("one"), A, 7000);
  hosts.run();
  there.write(bytesOf("two"), A, 7000);
  hosts.run();
  t.deepEqual(counts, [1, 2]);
  hosts.run(1000);
  t.deepEqual(counts, [1, 2], "nothing new, nothing told");
  here.write(bytesOf("self"), LOCAL, 7000);
  t.deepEqual(counts, [1, 2]);
  here.close();
  hosts.run();
  t.deepEqual(counts, [1, 2]);
});

test.serial("address: datagrams come to it alone, and leave from it; one of another host's throws and takes nothing", (t) => {
  const hosts = new Hosts(t);
  const here = hosts.udp({ port: 7000, address: LOCAL });
  const other = hosts.udp({ port: 7000, address: A });
  const there = hosts.udp({ port: 7001 }, "b");
  there.write(bytesOf("x"), A, 7000);
  hosts.run();
  t.is(here.read(), undefined);
  t.is(textOf(other.read()), "x");
  t.throws(() => hosts.udp({ address: B }), { message: /EADDRNOTAVAIL/ });
  t.throws(() => hosts.udp({ port: 7000, address: A }), { message: /EADDRINUSE/ });
  for (const [options, error] of [
    [{ port: -1 }, RangeError], [{ port: 65536 }, RangeError], [{ port: 1.5 }, RangeError], [{ address: "10.0.0" }, RangeError],
    [{ address: 7 }, RangeError], [{ timeToLive: 0 }, RangeError], [{ onReadable: 7 }, TypeError], [{ onError: "x" }, TypeError],
  ] as const) t.throws(() => new UDP(options as never), { instanceOf: error }, JSON.stringify(options));
});

test.serial("groups: add joins, remove leaves, and what is no group or joined already throws", (t) => {
  const lab = createLab(t, { hosts: ["a", "b"], initcalls: [igmp] });
  const on = (host: "a" | "b"): UDP => {
    setNs(lab.host(host).net);
    return new UDP({ port: 7000 });
  };
  const [here, there] = [on("a"), on("b")];
  t.teardown(() => {
    here.close();
    there.close();
  });
  const heard = (to: string): string | undefined => {
    there.write(bytesOf("x"), to, 7000);
    lab.runFor(100);
    const packet = here.read();
    return packet === undefined ? undefined : textOf(packet);
  };
  t.is(heard("10.0.0.255"), "x", "a broadcast needs no option");
  t.is(heard("255.255.255.255"), "x", "nor a route");
  t.is(heard("239.1.2.3"), undefined);
  here.add("239.1.2.3");
  t.is(heard("239.1.2.3"), "x");
  t.throws(() => here.add("239.1.2.3"), { message: /EADDRINUSE/ });
  there.add("239.1.2.3");
  while (there.read() !== undefined) { /* Its own broadcasts. */ }
  there.write(bytesOf("mine"), "239.1.2.3", 7000);
  lab.runFor(100);
  t.is(textOf(here.read()), "mine");
  t.is(there.read(), undefined, "what one says to a group one is in does not come back: DNS-SD of the SDK would take it for another's");
  there.remove("239.1.2.3");
  here.remove("239.1.2.3");
  t.is(heard("239.1.2.3"), undefined);
  t.throws(() => there.write(bytesOf("x"), "192.0.2.1", 7000), { message: /ENETUNREACH/ });
  t.throws(() => here.add("10.0.0.7"), { message: /EINVAL/ });
  t.throws(() => here.add("nonsense"), { instanceOf: RangeError });
  t.throws(() => here.add(undefined as never));
  t.throws(() => here.remove("239.1.2.3"), { message: /EADDRNOTAVAIL/ });
});

test.serial("Listener: its address alone; a port in use throws; write is none; connections that wait are gone with it", (t) => {
  const hosts = new Hosts(t);
  const listener = hosts.listener(Object.freeze({ port: 7000, address: LOCAL, onError: null, extra: 1 }));
  t.is(listener.port, 7000);
  t.throws(() => hosts.listener({ port: 7000, address: LOCAL }), { message: /EADDRINUSE/ });
  t.throws(() => hosts.listener({ port: 0, address: B }), { message: /EADDRNOTAVAIL/ });
  t.throws(() => (listener.write as () => void)(), { message: /write is not supported/ });
  t.throws(() => new Listener({ port: 0, onError: 7 } as never), { instanceOf: TypeError });
  const errors: string[] = [];
  hosts.tcp({ address: A, port: 7000, onError: () => errors.push("refused") }, "b");
  const waiting = hosts.tcp({ address: LOCAL, port: 7000, onError: () => errors.push("dropped") });
  hosts.run();
  t.deepEqual(errors, ["refused"]);
  listener.close();
  hosts.run();
  t.deepEqual(errors, ["refused", "dropped"]);
  waiting.close();
});
