/** hal/node's sockets and servers: Node's own http, client and server, through the stack, in real time over a veth pair. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import test from "ava";
import { StackServer } from "../../../hal/node/net-server.ts";
import { addressNumber, createConnection, type StackSocket } from "../../../hal/node/net-socket.ts";
import { SERVER, within, type World } from "./veth-world.ts";

/** Serves with Node's http on port 80. */
async function serve(world: World, handler: http.RequestListener): Promise<StackServer> {
  const web = http.createServer(handler);
  const server = new StackServer(world.server, (socket) => web.emit("connection", socket)).listen(80);
  await once(server, "listening");
  return server;
}

async function stop(server: StackServer): Promise<void> {
  server.closeAllConnections();
  await once(server.close(), "close");
}

/** Node's client through the stack; the socket is made by createConnection. */
function request(world: World, options: http.RequestOptions): http.ClientRequest {
  return http.request({
    host: SERVER, ...options, createConnection: () => createConnection(world.client, 80, SERVER) as never,
  });
}

test.serial("http: a request with a body and its answer, a megabyte each way", (t) =>
  within(t, async (world) => {
    const body = randomBytes(1_000_000);
    const sum = createHash("sha256").update(body).digest("hex");
    const server = await serve(world, (incoming, answer) => {
      const hash = createHash("sha256");
      incoming.on("data", (chunk: Buffer) => hash.update(chunk)).on("end", () => {
        answer.setHeader("x-sum", hash.digest("hex")).end(body);
      });
    });
    const asked = request(world, { method: "POST", path: "/" });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [http.IncomingMessage];
    t.is(answer.headers["x-sum"], sum);
    const hash = createHash("sha256");
    for await (const chunk of answer) hash.update(chunk as Buffer);
    t.is(hash.digest("hex"), sum);
    await stop(server);
  }));

test.serial("http: connections are kept by an agent, and the addresses are the stack's", (t) =>
  within(t, async (world) => {
    const ports = new Set<number>();
    const server = await serve(world, ({ socket }, answer) => {
      ports.add(socket.remotePort!);
      answer.end(`${socket.remoteAddress} to ${socket.localAddress}:${socket.localPort}`);
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => createConnection(world.client, 80, SERVER) as never;
    for (let i = 0; i < 3; i++) {
      const asked = http.get({ host: SERVER, agent });
      const [answer] = (await once(asked, "response")) as [http.IncomingMessage];
      t.is(await text(answer), `10.1.0.1 to ${SERVER}:80`);
    }
    t.is(ports.size, 1);
    agent.destroy();
    await stop(server);
  }));

test.serial("nobody listens: an error as Node has it", (t) =>
  within(t, async (world) => {
    const socket = createConnection(world.client, 81, SERVER);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    t.like(error, { code: "ECONNREFUSED", syscall: "connect", address: SERVER, port: 81, message: `connect ECONNREFUSED ${SERVER}:81` });
    t.true(socket.destroyed);
  }));

test.serial("a port that is taken: the server's error", (t) =>
  within(t, async (world) => {
    const first = new StackServer(world.server).listen(80);
    await once(first, "listening");
    t.like(first.address(), { port: 80, address: "0.0.0.0" });
    const second = new StackServer(world.server).listen(80);
    const [error] = (await once(second, "error")) as [NodeJS.ErrnoException];
    t.is(error.code, "EADDRINUSE");
    await stop(first);
  }));

test.serial("half close, end of stream, reset and the timeout come as with net.Socket", (t) =>
  within(t, async (world) => {
    const accepted: StackSocket[] = [];
    const server = new StackServer(world.server, (socket) => void accepted.push(socket)).listen(80);
    await once(server, "listening");
    const one = createConnection(world.client, 80, SERVER);
    await once(one, "connect");
    t.is(one.readyState, "open");
    one.end("question");
    while (accepted.length < 1) await once(server, "connection");
    t.is(await text(accepted[0]!), "question");
    await once(one.resume(), "close");

    const two = createConnection(world.client, 80, SERVER);
    await once(two, "connect");
    while (accepted.length < 2) await once(server, "connection");
    two.setTimeout(20);
    await once(two, "timeout");
    accepted[1]!.resetAndDestroy();
    const [error] = (await once(two.resume(), "error")) as [NodeJS.ErrnoException];
    t.is(error.code, "ECONNRESET");
    await stop(server);
  }));

test("hosts are addresses", (t) => {
  t.is(addressNumber("localhost"), 0x7f000001);
  t.is(addressNumber("10.1.0.2"), 0x0a010002);
  for (const host of ["", "example.com", "10.0.0", "10.0.0.256", "::1"]) t.throws(() => addressNumber(host), { instanceOf: RangeError });
});
