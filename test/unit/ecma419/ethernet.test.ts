/** Ethernet over a device of the wire: its states, what changes them, and who hears. */
import test from "ava";
import { Ethernet, type EthernetOptions, ethernetUse } from "../../../src/ecma419/ethernet.ts";
import { devClose, ESRCH, inetAddAddress, inetDelAddress } from "../../../src/index.ts";
import { parseAddress } from "../../../src/ecma419/address.ts";
import { inDevGet } from "../../../src/stack/ipv4/devinet.ts";
import { ipRouteDel } from "../../../src/stack/ipv4/fib-frontend.ts";
import { A, Hosts } from "./hosts.ts";

function make(hosts: Hosts, options: EthernetOptions = {}): Ethernet {
  return hosts.on("a", () => hosts.keep(new Ethernet(options)));
}

/** Host a as it is before anything was configured: its device is down and without an address. */
function bare(hosts: Hosts): void {
  const { net, dev, addr } = hosts.lab.host("a");
  inetDelAddress(net, dev, addr, 24);
  devClose(dev);
  hosts.run(1);
}

test.serial("it sees the device as it is, and starts nothing", (t) => {
  const hosts = new Hosts(t);
  const ethernet = make(hosts);
  t.is(ethernet.connection, 500);
  t.is(ethernet.address, A);
  t.is(ethernet.MAC, "02:00:0a:00:00:01");
  bare(hosts);
  t.is(ethernet.connection, 0);
  t.is(ethernet.address, undefined);
  t.is(ethernet.MAC, "02:00:0a:00:00:01", "as soon as there is a device");
  t.is(make(hosts, { port: "eth7" }).connection, 0);
  t.is(make(hosts, { port: "eth7" }).MAC, undefined);
  t.is(make(hosts, { port: 0 }).connection, 0);
});

test.serial("onChanged tells of the link and of the address, and never from inside a call", (t) => {
  const hosts = new Hosts(t);
  const changes: string[] = [];
  const ethernet = make(hosts, { port: "eth0", onChanged: (name) => changes.push(`${name} ${ethernet.connection}`) });
  const { net, dev, addr } = hosts.lab.host("a");
  hosts.lab.wire.setCarrier(false);
  hosts.run(5000);
  hosts.lab.wire.setCarrier(true);
  hosts.run(5000);
  inetDelAddress(net, dev, addr, 24);
  t.is(changes.length, 4);
  hosts.run(1);
  inetAddAddress(net, dev, addr, 24);
  hosts.run(1);
  t.deepEqual(changes, [
    "connection 200", "address 200", "connection 500", "address 500", "connection 400", "address 400", "connection 500", "address 500",
  ]);
});

test.serial("connect with a fixed address: up, address, gateway; disconnect takes all away", (t) => {
  const hosts = new Hosts(t);
  bare(hosts);
  const changes: string[] = [];
  const ethernet = make(hosts, { onChanged: (name) => changes.push(name) });
  ethernet.configure({ hostname: "board", static: { address: "10.0.0.77", mask: "255.255.255.0", gateway: "10.0.0.2" } });
  ethernet.connect();
  t.deepEqual(changes, []);
  t.throws(() => { ethernet.connect(); }, { instanceOf: Error, message: /connected or connecting already/ });
  hosts.run(1000);
  t.is(ethernet.connection, 500);
  t.is(ethernet.address, "10.0.0.77");
  t.deepEqual(changes, ["connection", "address"]);
  make(hosts, { port: "eth0" }).disconnect();
  hosts.run(1);
  t.is(ethernet.connection, 0);
  ethernet.disconnect();
  ethernet.configure({ static: false });
  ethernet.connect();
  hosts.run(1000);
  t.is(ethernet.connection, 400);
});

test.serial("connect asks the address source that the program named, and disconnect ends it", (t) => {
  const hosts = new Hosts(t);
  bare(hosts);
  const calls: unknown[] = [];
  t.teardown(() => { ethernetUse(null); });
  ethernetUse((net, name, hostname) => {
    calls.push(name, hostname);
    inetAddAddress(net, hosts.lab.host("a").dev, hosts.lab.host("a").addr, 24);
    return () => {
      calls.push("end");
      inetDelAddress(net, hosts.lab.host("a").dev, hosts.lab.host("a").addr, 24);
    };
  });
  const ethernet = make(hosts);
  ethernet.configure({ hostname: "board7" });
  ethernet.connect();
  hosts.run(100);
  t.is(ethernet.connection, 500);
  ethernet.disconnect();
  t.deepEqual(calls, ["eth0", "board7", "end"]);
});

test.serial("a fixed address that is configured while connected holds at once, and so does that there is none", (t) => {
  const hosts = new Hosts(t);
  bare(hosts);
  const changes: string[] = [];
  const ethernet = make(hosts, { onChanged: (name) => changes.push(`${name} ${ethernet.address}`) });
  const fixed = { address: "10.0.0.77", mask: "255.255.255.0", gateway: "10.0.0.2" };
  ethernet.configure({ hostname: { toString: () => "board" } as unknown as string, static: fixed });
  t.is(ethernet.connection, 0, "it connects nothing");
  ethernet.connect();
  hosts.run(100);
  ethernet.configure({ static: { ...fixed, address: "10.0.0.78" } });
  hosts.run(100);
  ethernet.configure({ static: false });
  hosts.run(100);
  t.deepEqual(changes, [
    "connection 10.0.0.77", "address 10.0.0.77", "address 10.0.0.78", "connection undefined", "address undefined",
  ]);
  t.is(ethernet.connection, 400);
  t.is(ipRouteDel(hosts.lab.host("a").net, 0, 0, parseAddress("10.0.0.2")!, 0), -ESRCH, "the route to the gateway is gone");
});

test.serial("connect that throws leaves the device down and free of addresses, for another try", (t) => {
  const hosts = new Hosts(t);
  bare(hosts);
  const { dev } = hosts.lab.host("a");
  const ethernet = make(hosts);
  t.teardown(() => { ethernetUse(null); });
  ethernetUse(() => { throw new Error("of the source"); });
  t.throws(() => { ethernet.connect(); }, { message: "of the source" });
  t.is(ethernet.connection, 0);
  ethernet.configure({ static: { address: "10.0.0.77", mask: "255.255.255.0", gateway: "10.9.9.9" } });
  t.throws(() => { ethernet.connect(); }, { message: "Ethernet: gateway 10.9.9.9: ENETUNREACH" });
  t.is(ethernet.connection, 0);
  t.is(inDevGet(dev)?.ifaList ?? null, null);
  ethernet.configure({ static: { address: "10.0.0.77", mask: "255.255.255.0", gateway: "10.0.0.2" } });
  ethernet.connect();
  t.is(ethernet.connection, 500);
});

test.serial("a device that somebody else takes down: disconnect, or the next connect, ends what connect began", (t) => {
  const hosts = new Hosts(t);
  bare(hosts);
  const { dev } = hosts.lab.host("a");
  const calls: string[] = [];
  t.teardown(() => { ethernetUse(null); });
  ethernetUse(() => {
    calls.push("begin");
    return () => calls.push("end");
  });
  const ethernet = make(hosts);
  ethernet.connect();
  devClose(dev);
  ethernet.connect();
  t.deepEqual(calls, ["begin", "end", "begin"]);
  devClose(dev);
  ethernet.disconnect();
  ethernet.disconnect();
  t.deepEqual(calls, ["begin", "end", "begin", "end"]);
});

test.serial("what a callback does: close and nothing follows; disconnect and it is told once; throw and the rest is told", (t) => {
  const hosts = new Hosts(t);
  const changes: string[] = [];
  const fixed = { address: "10.0.0.77", mask: "255.255.255.0", gateway: "10.0.0.2" };
  const closing = make(hosts, {
    onChanged(name) {
      changes.push(`closing ${name}`);
      this.close();
    },
  });
  const leaving = make(hosts, {
    onChanged(name) {
      changes.push(`leaving ${name} ${this.connection}`);
      if (this.connection === 500) this.disconnect();
    },
  });
  bare(hosts);
  t.deepEqual(changes, ["closing connection", "leaving connection 0", "leaving address 0"]);
  t.throws(() => { closing.configure({}); }, { instanceOf: SyntaxError });
  changes.length = 0;
  leaving.configure({ static: fixed });
  leaving.connect();
  hosts.run(100);
  t.deepEqual(changes, ["leaving connection 500", "leaving connection 0"], "the address has come and gone in between");
  changes.length = 0;
  leaving.close();
  const throwing = make(hosts, {
    onChanged(name) {
      changes.push(name);
      throw new Error("of the program");
    },
  });
  throwing.configure({ static: fixed });
  throwing.connect();
  for (let i = 0; i < 2; i++) t.throws(() => { hosts.run(100); }, { message: "of the program" });
  hosts.run(100);
  t.deepEqual(changes, ["connection", "address"]);
});

test.serial("close: no callback, no method; the device stays as it is", (t) => {
  const hosts = new Hosts(t);
  let calls = 0;
  const ethernet = make(hosts, { onChanged: () => calls++ });
  ethernet.close();
  ethernet.close();
  hosts.lab.wire.setCarrier(false);
  hosts.run(1000);
  t.is(calls, 0);
  for (const use of [() => ethernet.connection, () => ethernet.MAC, () => { ethernet.connect(); }, () => { ethernet.disconnect(); }]) {
    t.throws(use, { instanceOf: SyntaxError });
  }
  t.true(hosts.lab.host("a").dev.running);
});

test.serial("options that are wrong throw and say which", (t) => {
  const hosts = new Hosts(t);
  t.throws(() => make(hosts, { port: {} as never }), { instanceOf: TypeError, message: /port/ });
  t.throws(() => make(hosts, { onChanged: "x" as never }), { instanceOf: TypeError, message: /onChanged/ });
  const ethernet = make(hosts);
  const good = { address: "10.0.0.7", mask: "255.255.255.0", gateway: "10.0.0.1" };
  t.throws(() => { ethernet.configure({ static: { ...good, mask: "255.0.255.0" } }); }, { instanceOf: RangeError, message: /mask/ });
  t.throws(() => { ethernet.configure({ static: { ...good, address: "board" } }); }, { instanceOf: RangeError, message: /address/ });
  t.throws(() => { ethernet.configure({ static: { ...good, gateway: "999.999.999.999" } }); }, { instanceOf: RangeError, message: /gateway/ });
  for (const hostname of ["", "a".repeat(64)]) {
    t.throws(() => { ethernet.configure({ hostname }); }, { instanceOf: RangeError, message: /hostname is .*; .* from 1 to 63/ });
  }
  t.throws(() => { make(hosts, { port: "eth9" }).connect(); }, { instanceOf: Error, message: /no device eth9/ });
});
