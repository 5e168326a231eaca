/**
 * A board for tests of clients and servers against real ones: npm's clients by the sockets of hal/node, and our own of examples/common
 * over the classes of ECMA-419. It does its plan's jobs one after another and prints `done JOB: RESULT`, then serves pages and
 * WebSockets and keeps an MQTT client until SIGINT ends it.
 */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { gunzipSync } from "node:zlib";
import { MqttClient as NpmMqtt } from "mqtt";
import { Agent, fetch } from "undici";
import { WebSocket as NpmWebSocket } from "ws";
import { HttpClient } from "../../examples/common/http-client.ts";
import { HttpServer } from "../../examples/common/http-server.ts";
import { MqttClient } from "../../examples/common/mqtt-client.ts";
import { connectWebSocket } from "../../examples/common/websocket.ts";
import { createConnection } from "../../hal/node/net-socket.ts";
import { finalReport } from "../../hal/node/report.ts";
import { requestTurn, run } from "../../hal/node/run.ts";
import { openTap } from "../../hal/node/tap.ts";
import { boot, devOpen, inetAddAddress, initNet, poolsInUse } from "../../src/index.ts";
import { addressNumber } from "../lib/frames.ts";

export interface ClientsPlan {
  readonly tap: string;
  /** Where the real servers are. */
  readonly server: string;
  /** Of nginx, of the WebSocket server; 0 for none. MQTT's is 1883. */
  readonly httpPort: number;
  readonly webSocketPort: number;
  readonly mqtt: boolean;
}

const BOARD = "10.0.0.2";
const LAST_TURN_MS = 300;
const MQTT_PORT = 1883;
const MESSAGE_LENGTHS = [0, 1, 125, 126, 65_000];

const plan = JSON.parse(process.argv[2]!) as ClientsPlan;
const { server, httpPort, webSocketPort } = plan;
boot({ preset: "default" });
const { dev, close } = openTap({ tap: plan.tap });
const before = poolsInUse();
initNet.register(dev);
devOpen(dev);
inetAddAddress(initNet, dev, addressNumber(BOARD), 24);

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const stack = (port: number): Duplex => createConnection(initNet, port, server);

/** undici: a page, and again over the same connection. */
async function undici(): Promise<string> {
  const agent = new Agent({
    connections: 1,
    connect: (_, done) => {
      const socket = createConnection(initNet, httpPort, server);
      socket.once("connect", () => done(null, socket as unknown as Socket)).once("error", (error) => done(error, null));
    },
  });
  const sums: string[] = [];
  for (let n = 0; n < 2; n++) sums.push(sha256(await (await fetch(`http://${server}:${httpPort}/body.bin`, { dispatcher: agent })).bytes()));
  await agent.close();
  return sums.join(" ");
}

/** Our own client: pages one after another, one in chunks, one that is not there. */
function http(): Promise<string> {
  const client = new HttpClient({ address: server, port: httpPort });
  const fetchOne = (path: string, headers: Record<string, string> = {}): Promise<{ status: number; chunked: boolean; body: Buffer }> =>
    new Promise((resolve, reject) => {
      let status = 0;
      let chunked = false;
      const parts: Buffer[] = [];
      client.request({
        path,
        headers,
        onHead: (code, all) => {
          status = code;
          chunked = all.get("transfer-encoding") === "chunked";
        },
        onBody: (bytes) => void parts.push(Buffer.from(bytes)),
        onDone: () => resolve({ status, chunked, body: Buffer.concat(parts) }),
        onError: (reason) => reject(new Error(reason)),
      });
      requestTurn();
    });
  return (async () => {
    const [plain, packed, absent] = await Promise.all([
      fetchOne("/body.bin"), fetchOne("/page.html", { "Accept-Encoding": "gzip" }), fetchOne("/absent"),
    ]);
    client.close();
    return `${sha256(plain.body)} ${packed.chunked} ${sha256(gunzipSync(packed.body))} ${absent.status}`;
  })();
}

/** npm's ws client. */
async function npmWebSocket(): Promise<string> {
  const client = new NpmWebSocket(`ws://${server}:${webSocketPort}/`, { createConnection: (() => stack(webSocketPort)) as never });
  await once(client, "open");
  let right = 0;
  for (const length of MESSAGE_LENGTHS) {
    const sent = randomBytes(length);
    client.send(sent);
    const [back] = (await once(client, "message")) as [Buffer];
    if (back.equals(sent)) right++;
  }
  client.close(1000);
  const [code] = (await once(client, "close")) as [number];
  return `${right} ${code}`;
}

/** Our own WebSocket. */
function webSocket(): Promise<string> {
  return new Promise((resolve) => {
    let right = 0;
    let sent = Buffer.alloc(0);
    const socket = connectWebSocket({ address: server, port: webSocketPort }, {
      onOpen: () => next(),
      onMessage: (data) => {
        if (sent.equals(data)) right++;
        next();
      },
      onClose: (code) => resolve(`${right} ${code}`),
    });
    let n = 0;
    const next = (): void => {
      if (n === MESSAGE_LENGTHS.length) {
        socket.close();
        return;
      }
      sent = randomBytes(MESSAGE_LENGTHS[n++]!);
      socket.send(sent);
    };
    requestTurn();
  });
}

/** npm's MQTT client: a message of each quality of service comes back. */
async function npmMqtt(): Promise<string> {
  const client = new NpmMqtt(() => stack(MQTT_PORT), { clientId: "npm", reconnectPeriod: 0, keepalive: 60 });
  const next = (name: string): Promise<unknown[]> => new Promise((resolve) => {
    (client as unknown as NodeJS.EventEmitter).once(name, (...all: unknown[]) => resolve(all));
  });
  await next("connect");
  await client.subscribeAsync("npm/#", { qos: 2 });
  let right = 0;
  for (const qos of [0, 1, 2] as const) {
    const payload = randomBytes(3000);
    const heard = next("message");
    await client.publishAsync(`npm/${qos}`, payload, { qos });
    const [topic, message] = await heard;
    if (topic === `npm/${qos}` && payload.equals(message as Buffer)) right++;
  }
  await client.endAsync();
  return String(right);
}

/** Our own: says again at board/echo what it hears at board/say. */
const mqtt = new MqttClient({
  address: server,
  clientId: "board",
  keepAliveSec: 4,
  will: { topic: "board/state", payload: Buffer.from("gone"), qos: 1 },
  onConnect: () => console.log("mqtt connected"),
  onLost: (code) => console.log(`mqtt lost ${code}`),
  onMessage: ({ payload }) => void mqtt.publish({ topic: "board/echo", payload, qos: 1 }),
});
mqtt.subscribe("board/say", 1);

const web = new HttpServer({
  port: 80,
  onRequest: ({ method, path, body }) => ({ body: `${method} ${path} ${sha256(body)}` }),
  onWebSocket: (path) => (path !== "/echo" ? null : (socket) => ({
    onMessage: (data, isText) => (isText ? socket.sendText(data) : socket.send(data)),
  })),
});

const loop = run(initNet, () => (plan.mqtt ? Math.max(1, mqtt.poll(Date.now())) : false));

async function jobs(): Promise<void> {
  const all: [string, boolean, () => Promise<string>][] = [
    ["undici", httpPort > 0, undici], ["http", httpPort > 0, http], ["npm-ws", webSocketPort > 0, npmWebSocket],
    ["ws", webSocketPort > 0, webSocket], ["npm-mqtt", plan.mqtt, npmMqtt],
  ];
  for (const [name, wanted, job] of all) {
    if (wanted) console.log(`done ${name}: ${await job().catch((error: Error) => `failed: ${error.message}`)}`);
  }
  console.log("done all: ok");
}

console.log("ready");
void jobs();

process.on("SIGINT", () => {
  mqtt.close();
  web.close();
  requestTurn();
  setTimeout(() => {
    loop.stop();
    close();
    console.log(`report: ${JSON.stringify(finalReport(initNet, dev, () => false, before))}`);
    process.exit(0);
  }, LAST_TURN_MS);
});
