/** When callbacks come, and when not: exceptions of a program, ends in the midst of a call, bytes that are urgent, connections that broke. */
import test from "ava";
import type { TCP } from "../../../src/ecma419/tcp.ts";
import { accept4, AF_INET, bind, close, listen, MSG_OOB, send, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket } from "../../../src/index.ts";
import { B, bytesOf, Hosts, LOCAL, textOf } from "./hosts.ts";

test.serial("an exception of onWritable keeps nobody from hearing what else there is", (t) => {
  const hosts = new Hosts(t);
  const calls: string[] = [];
  const { client, server } = hosts.pair();
  server.write(bytesOf("abc"));
  server.close();
  hosts.run();
  hosts.tcp({
    from: client,
    onWritable() {
      calls.push("writable");
      throw new Error("of the program");
    },
    onReadable() {
      calls.push(textOf(this.read()));
      throw new Error("of the program, too");
    },
    onError() {
      calls.push("error");
    },
  });
  t.throws(() => { hosts.run(); }, { message: "of the program" });
  t.throws(() => { hosts.run(); }, { message: "of the program, too" });
  hosts.run();
  t.deepEqual(calls, ["writable", "abc", "error"]);
});

test.serial("urgent bytes are bytes as others are, in their place", (t) => {
  const hosts = new Hosts(t);
  const listener = hosts.on("b", () => socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  bind(listener, new SockaddrIn(0, 4000));
  listen(listener, 1);
  const counts: number[] = [];
  let errors = 0;
  const client = hosts.tcp({ address: B, port: 4000, onReadable: (count) => counts.push(count), onError: () => errors++ });
  hosts.run();
  const peer = accept4(listener, null, SOCK_NONBLOCK);
  for (const [text, flags] of [["abc", 0], ["def", MSG_OOB], ["ghi", 0]] as const) send(peer, new Uint8Array(bytesOf(text)), 0, 3, flags);
  close(peer);
  close(listener);
  hosts.run(1000);
  t.is(counts.at(-1), 9);
  t.is(errors, 0);
  t.is(textOf(client.read(8)), "abcdefgh");
  client.format = "number";
  t.is(client.read(), 105);
  t.is(client.read(), undefined);
  hosts.run();
  t.is(errors, 1);
});

test.serial("writing after onError throws; between the break and onError it is lost without a word", (t) => {
  const hosts = new Hosts(t);
  let errors = 0;
  const { client, server } = hosts.pair({ onError: () => errors++ });
  server.write(bytesOf("last words"));
  hosts.run();
  server.close();
  hosts.run();
  client.write(bytesOf("to nobody"));
  hosts.run();
  t.is(errors, 0, "something is unread");
  t.is(client.write(bytesOf("lost")), 0);
  client.read();
  hosts.run();
  t.is(errors, 1);
  t.throws(() => client.write(bytesOf("too late")), { instanceOf: Error, message: /write of 8 bytes; there is room for 0/ });
});

test.serial("what ends in the midst of a call: one that closes in a conversion throws, and so does what comes after", (t) => {
  const hosts = new Hosts(t);
  const { client } = hosts.pair();
  hosts.run();
  t.throws(() => client.write(bytesOf("x"), {
    get more(): boolean {
      client.close();
      return true;
    },
  }), { instanceOf: SyntaxError });
  t.throws(() => client.read(), { instanceOf: SyntaxError });
});

test.serial("a callback that hands its connection on, and one that closes another: neither old one hears more", (t) => {
  const hosts = new Hosts(t);
  const calls: string[] = [];
  const { client, server } = hosts.pair();
  server.write(bytesOf("abc"));
  server.close();
  hosts.run();
  const heir = function (this: TCP): void {
    calls.push("old writable");
    hosts.tcp({ from: this, onReadable: () => calls.push("new readable"), onWritable: () => calls.push("new writable") });
  };
  hosts.tcp({ from: client, onWritable: heir, onReadable: () => calls.push("old readable"), onError: () => calls.push("old error") });
  hosts.run();
  t.deepEqual(calls, ["old writable", "new writable", "new readable"]);

  const listener = hosts.listener({ port: 7000 });
  const pair: TCP[] = [];
  for (let i = 0; i < 2; i++) {
    pair.push(hosts.tcp({
      address: LOCAL, port: 7000,
      onWritable() {
        calls.push("one of two");
        for (const one of pair) one.close();
      },
    }));
  }
  hosts.run();
  t.is(calls.filter((call) => call === "one of two").length, 1);
  listener.close();
});

test.serial("port 0 is a port: nobody is there", (t) => {
  const hosts = new Hosts(t);
  let errors = 0;
  hosts.tcp({ address: B, port: 0, onError: () => errors++ });
  hosts.run(1000);
  t.is(errors, 1);
});
