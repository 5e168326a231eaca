/** Every sketch of examples/ starts and does what its first line says: one exchange each, with a second host over the virtual wire. */
import test, { type ExecutionContext } from "ava";
import { HttpServer } from "../../../examples/common/http-server.ts";
import { CONNACK, CONNECT, parsePacket, parsePublish, PUBACK, PUBLISH, SUBSCRIBE } from "../../../examples/common/mqtt-packet.ts";
import { connectWebSocket } from "../../../examples/common/websocket.ts";
import { sketches } from "../../../hal/node/options.ts";
import { Listener, TCP } from "../../../src/ecma419/index.ts";
import {
  AF_INET, bind, type BootOptions, connect, devClose, devGetByName, devOpen, initNet, type Net, recv, recvfrom, send, sendto, setNs,
  setsockoptBytes, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SockaddrIn, socket, SOL_IP, IP_ADD_MEMBERSHIP, IP_MULTICAST_IF, MSG_DONTWAIT, vethCreate,
} from "../../../src/index.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { dhcp, DHCP_BOUND, dhcpStop } from "../../../src/services/dhcp.ts";
import { addressNumber } from "../../lib/frames.ts";
import { createLab, type Lab } from "../../lib/lab.ts";
import { serveTime } from "../../lib/ntp.ts";

interface SketchModule {
  readonly default: (net: Net, ...args: string[]) => () => boolean | number;
  readonly initcalls?: NonNullable<BootOptions["initcalls"]>;
}

/** A board (10.0.0.1) that runs a sketch, beside a host (10.0.0.2) that is the test's; a third waits. */
interface World {
  readonly t: ExecutionContext;
  readonly lab: Lab;
  readonly start: (...args: string[]) => void;
  /** What the sketch has printed. */
  readonly printed: () => string;
  /** On the other host. */
  readonly there: <T>(act: () => T) => T;
}

const BOARD = "10.0.0.1";
const HOST = "10.0.0.2";
const PATIENCE_MS = 10_000;
const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const until = ({ lab }: World, condition: () => boolean): void => lab.runUntil(condition, PATIENCE_MS);

/** Says something to a port of the board by TCP; what comes back until it matches. */
function converse(world: World, port: number, words: Uint8Array, wanted: RegExp): void {
  const { t, lab, there } = world;
  const fd = there(() => socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  connect(fd, new SockaddrIn(addressNumber(BOARD), port));
  const into = new Uint8Array(2048);
  let said = 0;
  let heard = "";
  lab.runUntil(() => {
    if (said < words.length) said += Math.max(0, send(fd, words, said, words.length - said, 0));
    const count = recv(fd, into, 0, into.length, 0);
    if (count > 0) heard += Buffer.from(into.subarray(0, count)).toString("latin1");
    return wanted.test(heard);
  }, PATIENCE_MS);
  t.regex(heard, wanted);
}

/** The same by UDP, from a port of the other host, to which the answer goes. */
function ask(world: World, port: number, words: string, from = 0): string {
  const { lab, there } = world;
  const fd = there(() => socket(AF_INET, SOCK_DGRAM, 0));
  bind(fd, new SockaddrIn(0, from));
  sendto(fd, bytes(words), 0, words.length, 0, new SockaddrIn(addressNumber(BOARD), port));
  const into = new Uint8Array(2048);
  let count = -1;
  lab.runUntil(() => (count = recvfrom(fd, into, 0, into.length, MSG_DONTWAIT, null)) > 0, PATIENCE_MS);
  return Buffer.from(into.subarray(0, count)).toString("latin1");
}

/** Serves pages on the other host until the test's end. */
function serve({ t, there }: World, port: number): void {
  const server = there(() => new HttpServer({ port, onRequest: ({ path }) => ({ body: `page ${path}` }) }));
  t.teardown(() => server.close());
}

const HTTP_GET = bytes("GET / HTTP/1.1\r\nHost: board\r\n\r\n");

const TABLE: Readonly<Record<string, (world: World) => void>> = {
  "blink-udp": (world) => {
    const { t, start, printed } = world;
    start();
    t.is(ask(world, 4210, "on"), "on\n");
    t.is(ask(world, 4210, "toggle\n"), "off\n");
    t.is(ask(world, 4210, "blink 20"), "blinking, 20 ms\n");
    t.regex(ask(world, 4210, "blink never"), /blink 10 to 60000/);
    t.regex(printed(), /LED on\nLED off\n/);
  },
  "bulk-server": (world) => {
    world.start();
    converse(world, 80, bytes("GET /bytes?n=100 HTTP/1.1\r\nHost: board\r\n\r\n"), /200 OK[\s\S]*\r\n\r\n[\s\S]{100}$/);
  },
  "http-client": (world) => {
    serve(world, 8000);
    world.start(`http://${HOST}:8000/one`);
    until(world, () => /received 9 bytes, sha256 [0-9a-f]{64}/.test(world.printed()));
    world.t.pass();
  },
  "http-fetch": (world) => {
    serve(world, 8000);
    world.start(`http://${HOST}:8000/one`);
    until(world, () => /received/.test(world.printed()));
    world.t.regex(world.printed(), /200 from 10\.0\.0\.2, text\/plain\nreceived 9 bytes, sha256 [0-9a-f]{64}/);
  },
  "http-server": (world) => {
    world.start();
    converse(world, 80, HTTP_GET, /200 OK[\s\S]*<title>linnet<\/title>/);
  },
  iperf3: (world) => {
    world.start("-s");
    // A client begins with a cookie of 37 bytes, and is asked for its parameters (state 9).
    converse(world, 5201, new Uint8Array(37).fill(97), /^\x09/);
  },
  "mdns-name": (world) => {
    world.start("kitchen");
    until(world, () => /known as kitchen/.test(world.printed()));
    converse(world, 80, HTTP_GET, /This is kitchen/);
  },
  "mqtt-sensor": (world) => {
    const { t, there, start, printed } = world;
    const told: string[] = [];
    const types: number[] = [];
    there(() => {
      const broker = new Listener({
        port: 1883,
        onReadable() {
          const tcp: TCP = new TCP({
            from: this.read()!,
            onReadable() {
              const data = new Uint8Array(this.read() as ArrayBuffer);
              for (let at = 0, one = parsePacket(data, 0); one !== null; at += one.bytes, one = parsePacket(data, at)) {
                types.push(one.type);
                if (one.type === CONNECT) this.write(Uint8Array.of(CONNACK << 4, 2, 0, 0));
                if (one.type !== PUBLISH) continue;
                const { message, id } = parsePublish(one);
                told.push(`${message.topic} ${Buffer.from(message.payload).toString()}`);
                this.write(Uint8Array.of(PUBACK << 4, 2, id >> 8, id & 255));
              }
            },
          });
          t.teardown(() => tcp.close());
        },
      });
      t.teardown(() => broker.close());
    });
    start(HOST, "kitchen");
    until(world, () => told.length >= 2);
    t.is(types[0], CONNECT);
    t.true(types.includes(SUBSCRIBE));
    t.is(told[0], "linnet/kitchen/state online");
    t.regex(told[1]!, /^linnet\/kitchen\/stack \{"rxPackets":\d+,"txPackets":\d+,"poolObjects":\d+\}$/);
    t.regex(printed(), /10\.0\.0\.2: connected/);
  },
  "multicast-echo": (world) => {
    const { t, lab, there, start } = world;
    start();
    const group = addressNumber("239.255.7.7");
    const fd = there(() => socket(AF_INET, SOCK_DGRAM, 0));
    bind(fd, new SockaddrIn(0, 7008));
    const device = Int32Array.of(group, 0, devGetByName(lab.host("b").net, "eth0")!.ifindex);
    setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, device);
    setsockoptBytes(fd, SOL_IP, IP_MULTICAST_IF, device);
    lab.runFor(100);
    sendto(fd, bytes("hello"), 0, 5, 0, new SockaddrIn(group, 7007));
    const into = new Uint8Array(100);
    let count = -1;
    until(world, () => (count = recvfrom(fd, into, 0, 100, MSG_DONTWAIT, null)) > 0);
    t.is(Buffer.from(into.subarray(0, count)).toString(), "10.0.0.2: hello");
  },
  "ntp-clock": (world) => {
    const { t, lab, start, printed } = world;
    serveTime(lab, lab.host("b"), Date.UTC(2026, 10, 26, 12));
    start(HOST);
    until(world, () => /^12:00:0\d UTC$/m.test(printed()));
    t.regex(printed(), /10\.0\.0\.2: stratum 2/);
  },
  "packet-sniffer": (world) => {
    world.start();
    converse(world, 5555, new Uint8Array(0), /^\xd4\xc3\xb2\xa1/);
  },
  "raw-ping": (world) => {
    world.start(HOST, "1");
    until(world, () => /1 received/.test(world.printed()));
    world.t.regex(world.printed(), /^32 bytes from 10\.0\.0\.2: icmp_seq=0 ttl=64 time=\d+ ms\n1 sent, 1 received/);
  },
  "raw-traceroute": (world) => {
    world.start(HOST);
    until(world, () => /done/.test(world.printed()));
    world.t.regex(world.printed(), /^ 1 {2}10\.0\.0\.2 \d+ ms/m);
  },
  router: (world) => {
    const { t, lab, there, start, printed } = world;
    const { net: inside, dev } = lab.host("c");
    devClose(dev);
    vethCreate(initNet, "eth1", inside, "eth1");
    t.teardown(() => {
      for (const net of [initNet, inside]) unregisterNetdev(devGetByName(net, "eth1")!);
    });
    devOpen(devGetByName(inside, "eth1")!);
    start("192.168.7.1/24", "192.0.2.53");
    t.regex(printed(), /routing for 192\.168\.7\.2 to 192\.168\.7\.33/);
    const client = dhcp(inside, "eth1", { probe: false });
    until(world, () => client.state === DHCP_BOUND);
    t.is(client.lease.addr, addressNumber("192.168.7.2"));
    t.is(client.lease.dns[0], addressNumber("192.0.2.53"));
    const server = there(() => socket(AF_INET, SOCK_DGRAM, 0));
    bind(server, new SockaddrIn(0, 7));
    setNs(inside);
    const fd = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(fd, bytes("out"), 0, 3, 0, new SockaddrIn(addressNumber(HOST), 7));
    const into = new Uint8Array(100);
    const from = new SockaddrIn();
    until(world, () => recvfrom(server, into, 0, 100, MSG_DONTWAIT, from) === 3);
    t.is(from.addr, addressNumber(BOARD), "MASQUERADE");
    sendto(server, bytes("back"), 0, 4, 0, from);
    until(world, () => recvfrom(fd, into, 0, 100, MSG_DONTWAIT, from) === 4);
    t.is(from.addr, addressNumber(HOST));
    dhcpStop(client);
    lab.runFor(10);
  },
  "tcp-console": (world) => {
    world.start();
    converse(world, 2323, bytes("ip -4 -o addr show dev eth0\n"), /inet 10\.0\.0\.1\/24/);
  },
  "tcp-echo": (world) => {
    world.start();
    converse(world, 7, bytes("hello"), /^hello$/);
  },
  "udp-echo": (world) => {
    world.start();
    world.t.is(ask(world, 7, "hello"), "hello");
  },
  "websocket-chat": (world) => {
    const { t, there, start } = world;
    start();
    converse(world, 80, HTTP_GET, /200 OK[\s\S]*new WebSocket/);
    const heard: string[] = [];
    const one = there(() => connectWebSocket({ address: BOARD, port: 80, path: "/chat" }, {
      onMessage: (data) => void heard.push(Buffer.from(data).toString()),
    }));
    until(world, () => heard.length === 1);
    one.send("good morning");
    until(world, () => heard.length === 2);
    t.deepEqual(heard, ["board: guest 1 is here, 1 in all", "guest 1: good morning"]);
    let refused = 0;
    there(() => connectWebSocket({ address: BOARD, port: 80, path: "/elsewhere" }, {
      onMessage: () => undefined, onClose: (code) => (refused = code),
    }));
    until(world, () => refused === 1006);
    one.close();
    world.lab.runFor(100);
  },
};

test("every sketch has its test", (t) => t.deepEqual(Object.keys(TABLE).sort(), sketches()));

for (const [name, exercise] of Object.entries(TABLE)) {
  test.serial(name, async (t) => {
    const { default: main, initcalls = [] } = (await import(`../../../examples/${name}/main.ts`)) as SketchModule;
    const lab = createLab(t, { hosts: ["a", "b", "c"], initcalls });
    let text = "";
    (globalThis as { trace?: (text: string) => void }).trace = (more) => (text += more);
    const on = <T>(host: "a" | "b", act: () => T): T => {
      setNs(lab.host(host).net);
      try {
        return act();
      } finally {
        setNs(initNet);
      }
    };
    exercise({
      t,
      lab,
      printed: () => text,
      there: (act) => on("b", act),
      start: (...args) => {
        const step = on("a", () => main(lab.host("a").net, ...args));
        lab.addStep(() => {
          const result = on("a", step);
          if (typeof result === "number") lab.clock.at(lab.nowMs + result, () => undefined);
          return result === true;
        });
      },
    });
  });
}
