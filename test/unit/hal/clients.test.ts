/** hal/node's sockets and servers: npm's clients through the stack, undici, ws at both ends, mqtt to the broker aedes; in real time. */
import { createHash, randomBytes } from "node:crypto";
import { type EventEmitter, once } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Aedes } from "aedes";
import test from "ava";
import { type IPublishPacket, MqttClient } from "mqtt";
import { Agent, fetch } from "undici";
import { WebSocket, WebSocketServer } from "ws";
import { StackServer } from "../../../hal/node/net-server.ts";
import { createConnection, type StackSocket } from "../../../hal/node/net-socket.ts";
import { SERVER, within, type World } from "./veth-world.ts";

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** A server of the stack that hands its connections on. */
async function listen(world: World, port: number, take: (socket: StackSocket) => void): Promise<StackServer> {
  const server = new StackServer(world.server, take).listen(port);
  await once(server, "listening");
  return server;
}

async function stop(server: StackServer): Promise<void> {
  server.closeAllConnections();
  await once(server.close(), "close");
}

/** undici's connections, made through the stack. */
function undiciAgent(world: World, opened: StackSocket[] = []): Agent {
  return new Agent({
    connections: 1,
    connect: ({ hostname, port }, done) => {
      const socket = createConnection(world.client, Number(port === "" ? 80 : port), hostname);
      opened.push(socket);
      const failed = (error: Error): void => done(error, null);
      socket.once("error", failed).once("connect", () => {
        socket.removeListener("error", failed);
        done(null, socket as unknown as Socket);
      });
    },
  });
}

test.serial("undici: fetch posts a megabyte and gets one, and keeps its connection for the next", (t) =>
  within(t, async (world) => {
    const body = randomBytes(1_000_000);
    const web = http.createServer((incoming, answer) => {
      const hash = createHash("sha256");
      incoming.on("data", (chunk: Buffer) => hash.update(chunk)).on("end", () => {
        answer.setHeader("x-sum", hash.digest("hex")).end(incoming.method === "POST" ? body : "short");
      });
    });
    const server = await listen(world, 80, (socket) => web.emit("connection", socket));
    const opened: StackSocket[] = [];
    const dispatcher = undiciAgent(world, opened);
    const posted = await fetch(`http://${SERVER}/up`, { method: "POST", body, dispatcher });
    t.is(posted.headers.get("x-sum"), sha256(body));
    t.is(sha256(await posted.bytes()), sha256(body));
    t.is(await (await fetch(`http://${SERVER}/`, { dispatcher })).text(), "short");
    t.is(opened.length, 1);
    await dispatcher.close();
    await stop(server);
  }));

test.serial("undici: nobody listens, and a server that hangs up in the middle, are errors of fetch", (t) =>
  within(t, async (world) => {
    const dispatcher = undiciAgent(world);
    const refused = await t.throwsAsync(fetch(`http://${SERVER}:81/`, { dispatcher }));
    t.is((refused?.cause as NodeJS.ErrnoException).code, "ECONNREFUSED");
    const server = await listen(world, 80, (socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot it all", () => socket.resetAndDestroy()));
    });
    await t.throwsAsync(async () => (await fetch(`http://${SERVER}/`, { dispatcher })).text());
    await dispatcher.close();
    await stop(server);
  }));

/** ws's client over a socket of the stack. */
function webSocket(world: World, port: number): WebSocket {
  return new WebSocket(`ws://${SERVER}:${port}/chat`, "echo", {
    createConnection: (() => createConnection(world.client, port, SERVER)) as never, perMessageDeflate: true,
  });
}

/** ws's server: what it hears it says again. */
function echoServer(): { web: http.Server; sockets: WebSocketServer } {
  const web = http.createServer((_, answer) => answer.writeHead(426).end());
  const sockets = new WebSocketServer({ server: web, perMessageDeflate: true });
  sockets.on("connection", (one) => one.on("message", (data, binary) => one.send(data, { binary })));
  return { web, sockets };
}

test.serial("ws: client and server over the stack, texts and binary messages of all length forms, a ping, and the closing handshake", (t) =>
  within(t, async (world) => {
    const { web, sockets } = echoServer();
    const server = await listen(world, 8080, (socket) => web.emit("connection", socket));
    const client = webSocket(world, 8080);
    await once(client, "open");
    t.is(client.protocol, "echo");
    for (const length of [0, 1, 125, 126, 65535, 65536, 300_000]) {
      const sent = randomBytes(length);
      client.send(sent);
      const [back, binary] = (await once(client, "message")) as [Buffer, boolean];
      t.true(binary && back.equals(sent), `${length} bytes`);
    }
    client.send("grüße");
    t.is(String((await once(client, "message"))[0]), "grüße");
    client.ping("there?");
    t.is(String((await once(client, "pong"))[0]), "there?");
    client.close(4001, "enough");
    const [code] = (await once(client, "close")) as [number];
    t.is(code, 4001);
    sockets.close();
    await stop(server);
  }));

/** npm's mqtt over a socket of the stack. */
function mqttClient(world: World, clientId: string, more: object = {}): MqttClient {
  const client = new MqttClient(
    () => createConnection(world.client, 1883, SERVER) as unknown as Duplex,
    { clientId, reconnectPeriod: 20, keepalive: 60, resubscribe: true, ...more },
  );
  return client.on("error", () => undefined);
}

/** What comes with its next event of that name; unlike once() whatever errors come before, as it mends them itself. */
function event(client: MqttClient, name: string): Promise<unknown[]> {
  return new Promise((resolve) => {
    (client as unknown as EventEmitter).once(name, (...all: unknown[]) => resolve(all));
  });
}

test.serial("mqtt: messages of each quality of service by way of aedes, a retained one, and a last will when the line breaks", (t) =>
  within(t, async (world) => {
    const broker = await Aedes.createBroker();
    const carried: StackSocket[] = [];
    const server = await listen(world, 1883, (socket) => {
      carried.push(socket);
      broker.handle(socket);
    });
    const hearer = mqttClient(world, "hearer");
    await event(hearer, "connect");
    await hearer.subscribeAsync("home/#", { qos: 2 });
    const teller = mqttClient(world, "teller", { will: { topic: "home/teller", payload: Buffer.from("gone"), qos: 1, retain: false } });
    await event(teller, "connect");
    for (const qos of [0, 1, 2] as const) {
      const payload = randomBytes(20_000 * (qos + 1));
      const heard = event(hearer, "message");
      await teller.publishAsync(`home/${qos}`, payload, { qos });
      const [topic, message, packet] = (await heard) as [string, Buffer, IPublishPacket];
      t.is(topic, `home/${qos}`);
      t.is(packet.qos, qos);
      t.true(message.equals(payload));
    }
    await teller.publishAsync("home/kept", "21.5", { qos: 1, retain: true });
    const late = mqttClient(world, "late");
    const kept = event(late, "message");
    await late.subscribeAsync("home/kept");
    t.is(String((await kept)[1]), "21.5");
    const will = event(hearer, "message");
    const again = event(teller, "connect");
    carried[1]!.resetAndDestroy();
    t.is(String((await will)[1]), "gone");
    await again;
    for (const one of [hearer, teller, late]) await one.endAsync();
    await new Promise<void>((resolve) => broker.close(() => resolve()));
    await stop(server);
  }));
