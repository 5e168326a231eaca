/** Ethernet over a device of the wire: its states, what changes them, and who hears. */
import test from "ava";
import { Ethernet, type EthernetOptions, ethernetUse } from "../../../src/ecma419/ethernet.ts";
import { devClose, inetAddAddress, inetDelAddress } from "../../../src/index.ts";
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
  t.is(ethernet.MAC, undefined);
  t.is(make(hosts, { port: "eth7" }).connection, 0);
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
  t.throws(() => { ethernet.configure({ hostname: 5 as never }); }, { instanceOf: TypeError, message: /hostname/ });
  t.throws(() => { make(hosts, { port: "eth9" }).connect(); }, { instanceOf: Error, message: /no device eth9/ });
});
