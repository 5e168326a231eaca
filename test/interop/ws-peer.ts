/** npm's ws on Linux's own sockets: `serve ADDRESS PORT` says again what it hears; `ask URL` has lengths of messages said again. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";

const LENGTHS = [0, 1, 125, 126, 60_000];

async function ask(url: string): Promise<void> {
  const client = new WebSocket(url);
  await once(client, "open");
  let right = 0;
  for (const length of LENGTHS) {
    const sent = randomBytes(length);
    client.send(sent);
    const [back] = (await once(client, "message")) as [Buffer];
    if (back.equals(sent)) right++;
  }
  // In fragments, with a ping between them.
  client.send("in ", { fin: false });
  client.ping();
  client.send("parts", { fin: true });
  const [whole] = (await once(client, "message")) as [Buffer];
  client.close(1000);
  const [code] = (await once(client, "close")) as [number];
  console.log(`${right} ${String(whole)} ${code}`);
}

const [verb, first = "", port = ""] = process.argv.slice(2);
if (verb === "ask") {
  await ask(first);
} else {
  new WebSocketServer({ host: first, port: Number(port), perMessageDeflate: false }).on("connection", (one) => {
    one.on("message", (data, binary) => one.send(data, { binary }));
  }).on("listening", () => console.log("listening"));
}
