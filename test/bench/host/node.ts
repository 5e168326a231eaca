/**
 * `bench host`, the peer: the same work by Node's sockets over Linux's loopback, both ends in this process, so that its CPU
 * time is that of both programs and of the kernel below them.
 */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { BULK_BYTES, type CaseName, CHUNK_BYTES, MESSAGE_BYTES } from "./cases.ts";

const HOST = "127.0.0.1";
const CHUNK = new Uint8Array(CHUNK_BYTES);
const MESSAGE = new Uint8Array(MESSAGE_BYTES);

/** One case, ready to run. */
export interface Peer {
  /** Does the case's unit of work so often. */
  run(times: number): Promise<void>;
  close(): void;
}

/** The connection that a listener gets and the client's end of it. */
async function pair(server: Server): Promise<[client: Socket, accepted: Socket]> {
  const accepting = once(server, "connection") as Promise<[Socket]>;
  const client = connect({ host: HOST, port: (server.address() as AddressInfo).port, noDelay: true });
  await once(client, "connect");
  const [accepted] = await accepting;
  accepted.setNoDelay(true);
  return [client, accepted];
}

async function listen(): Promise<Server> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, "listening");
  return server;
}

async function bulk(): Promise<Peer> {
  const server = await listen();
  const [client, accepted] = await pair(server);
  let got = 0;
  let wanted = 0;
  let whenGot: () => void = () => undefined;
  accepted.on("data", (data) => {
    got += data.length;
    if (got === wanted) whenGot();
  });
  return {
    async run(times) {
      got = 0;
      wanted = times * BULK_BYTES;
      const received = new Promise<void>((resolve) => (whenGot = resolve));
      for (let left = wanted; left > 0; left -= CHUNK_BYTES) {
        if (!client.write(left < CHUNK_BYTES ? CHUNK.subarray(0, left) : CHUNK)) await once(client, "drain");
      }
      await received;
    },
    close() {
      client.destroy();
      accepted.destroy();
      server.close();
    },
  };
}

/** Messages go to and fro; `send` sends one, and each answer calls what `onAnswer` was given. */
function echoes(send: () => void, onAnswer: (listener: () => void) => void, end: () => void): Peer {
  let left = 0;
  let done: () => void = () => undefined;
  onAnswer(() => {
    if (--left > 0) send();
    else done();
  });
  return {
    run: (times) => new Promise((resolve) => {
      left = times;
      done = resolve;
      send();
    }),
    close: end,
  };
}

async function datagrams(): Promise<Peer> {
  const bound = async (): Promise<DatagramSocket> => {
    const socket = createSocket("udp4");
    socket.bind(0, HOST);
    await once(socket, "listening");
    return socket;
  };
  const server = await bound();
  const client = await bound();
  server.on("message", (data, from) => server.send(data, from.port, from.address));
  const { port } = server.address();
  return echoes(
    () => client.send(MESSAGE, port, HOST),
    (listener) => client.on("message", listener),
    () => {
      client.close();
      server.close();
    },
  );
}

async function pingpong(): Promise<Peer> {
  const server = await listen();
  const [client, accepted] = await pair(server);
  accepted.on("data", (data) => accepted.write(data));
  return echoes(
    () => client.write(MESSAGE),
    (listener) => client.on("data", listener),
    () => {
      client.destroy();
      accepted.destroy();
      server.close();
    },
  );
}

async function connections(): Promise<Peer> {
  const server = await listen();
  return {
    async run(times) {
      for (let i = 0; i < times; i++) {
        const [client, accepted] = await pair(server);
        const closed = Promise.all([once(client, "close"), once(accepted, "close")]);
        accepted.resume();
        client.resume();
        client.end();
        await closed;
      }
    },
    close: () => server.close(),
  };
}

const PEERS: Readonly<Record<CaseName, () => Promise<Peer>>> = Object.freeze({
  "tcp-bulk": bulk,
  "udp-echo-64": datagrams,
  "tcp-pingpong-64": pingpong,
  "tcp-connclose": connections,
});

export function nodePeer(name: CaseName): Promise<Peer> {
  return PEERS[name]();
}
