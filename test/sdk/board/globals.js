/**
 * What the SDK's testmc gives the SDK's tests, and a host gives ECMA-419's examples: `$DONE` and its like, `$NETWORK`, `System`.
 * Printed lines that begin with `result:` are for the runner (tools/sdk-servers.mjs). `assert` is the SDK's own module "harness".
 */
import "harness";
import Resolver from "embedded:network/dns/resolver/udp";
import UDP from "embedded:io/socket/udp";
import Net from "net";
import Timer from "timer";

/** Stand-ins of C, by the SDK's own hosttest.c: receivers that are no instance. */
class HostObject extends Native("xs_hostobject_destructor") {
  constructor() { super(); native("xs_hostobject").call(this); }
}
class HostObjectChunk extends Native("xs_hostobjectchunk_destructor") {
  constructor() { super(); native("xs_hostobjectchunk").call(this); }
}
class HostBuffer extends Native("xs_hostbuffer_destructor") {
  constructor() { super(); native("xs_hostbuffer").call(this); }
}

let resolver;

function resolve(host, onResolved, onError) {
  resolver ??= new Resolver({ servers: Net.get("DNS"), socket: { io: UDP } });
  resolver.resolve({ host, onResolved: (_name, address) => onResolved(address), onError });
}

let done = false;

globalThis.$DONE = (error) => {
  if (!done) trace(`result: ${error === undefined ? "pass" : `fail ${String(error)}`}\n`);
  done = true;
};
globalThis.$DO = (test) => (...args) => {
  try {
    test(...args);
    $DONE();
  } catch (error) {
    $DONE(error);
  }
};
globalThis.$TESTMC = {
  HostObject,
  HostObjectChunk,
  HostBuffer,
  timeout(ms, message = "timeout") {
    Timer.set(() => $DONE(message), ms);
  },
};
globalThis.$NETWORK = {
  connected: Promise.resolve(),
  resolve: (host) => new Promise((onResolved, onError) => resolve(host, onResolved, onError)),
};
globalThis.System = {
  resolve: (host, callback) => resolve(host, (address) => callback(host, address), () => callback(host)),
  setInterval: Timer.repeat,
  clearInterval: Timer.clear,
};
