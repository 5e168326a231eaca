/** `npm start` and `npm run board` as a user meets them: the page through the forwarded port, and clear errors. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { parseBoardOptions, UsageError } from "../../hal/node/options.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function start(t: ExecutionContext, file: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ["--import=tsx", `hal/node/${file}.ts`, ...args], {
    cwd: ROOT, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  return child;
}

/** Waits for what the program prints. */
function printed(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  return new Promise((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
      const match = pattern.exec(text);
      if (match !== null) resolve(match);
    };
    child.stdout!.on("data", take);
    child.stderr!.on("data", take);
    child.on("close", () => reject(new Error(`it ended without ${String(pattern)}: ${text}`)));
  });
}

const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once("close", resolve));

test.serial("npm start serves the page on the port it prints, and Ctrl-C ends it cleanly", async (t) => {
  const child = start(t, "start", [], { PORT: "0" });
  const named = printed(child, /linnet\.local is 10\.0\.0\.2 to the other end of the wire, by mDNS/);
  const [, port] = await printed(child, /http:\/\/localhost:(\d+)\/[\s\S]*at 10\.0\.0\.2 on a virtual wire, by DHCP/);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  t.is(page.status, 200);
  t.regex(await page.text(), /<title>linnet<\/title>/);
  t.is((await fetch(`http://127.0.0.1:${port}/nothing-here`)).status, 404);
  await named;
  const over = ended(child);
  child.kill("SIGINT");
  t.is(await over, 0);
});

test.serial("a port that is taken is said so", async (t) => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  t.teardown(() => server.close());
  const child = start(t, "start", [], { PORT: String(port) });
  const over = ended(child);
  await printed(child, new RegExp(`port ${port} is taken by another program; choose another: PORT=`));
  t.is(await over, 1);
});

test.serial("bodies go both ways through the forwarded port unchanged, and the board gives everything back", async (t) => {
  const child = start(t, "board", ["bulk-server", "--preset", "small", "--forward", "0:80"]);
  const [, port] = await printed(child, /forwarding 127\.0\.0\.1:(\d+) to port 80/);
  const report = printed(child, /^report: (.*)$/m);
  const bytes = 3_000_000;
  const body = Buffer.from(await (await fetch(`http://127.0.0.1:${port}/bytes?n=${bytes}`)).arrayBuffer());
  t.is(body.length, bytes);
  const sha256 = createHash("sha256").update(body).digest("hex");
  t.is((await (await fetch(`http://127.0.0.1:${port}/sha256?n=${bytes}`)).text()).trim(), sha256);
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: "PUT", body });
  t.is((await answer.text()).trim(), `${bytes} ${sha256}`);
  child.kill("SIGINT");
  const { inUseAtStart, inUseAtEnd, pools } = JSON.parse((await report)[1]!) as { inUseAtStart: number; inUseAtEnd: number; pools: unknown };
  t.is(inUseAtEnd, inUseAtStart, JSON.stringify(pools));
});

test.serial("half close and reset pass the forwarded port", async (t) => {
  const child = start(t, "board", ["tcp-echo", "--forward", "0:7"]);
  const [, port] = await printed(child, /forwarding 127\.0\.0\.1:(\d+) to port 7/);
  const text = await new Promise<string>((resolve, reject) => {
    let got = "";
    const client = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true }, () => client.end("half a line"));
    client.on("data", (chunk: Buffer) => (got += chunk.toString()));
    client.on("end", () => resolve(got));
    client.on("error", reject);
  });
  t.is(text, "half a line");
  const closed = start(t, "board", ["udp-echo", "--forward", "0:99"]);
  const [, refused] = await printed(closed, /forwarding 127\.0\.0\.1:(\d+) to port 99/);
  const error = await new Promise<string>((resolve) => {
    const client = connect(Number(refused), "127.0.0.1");
    client.on("error", (reason: NodeJS.ErrnoException) => resolve(reason.code ?? ""));
    client.on("close", () => resolve("closed"));
  });
  t.is(error, "ECONNRESET");
});

test.serial("a bad command line ends with what is wrong and the usage", async (t) => {
  const child = start(t, "board", ["no-such-sketch"]);
  const over = ended(child);
  await printed(child, /there is no sketch no-such-sketch in examples\/[\s\S]*usage: npm run board/);
  t.is(await over, 2);
});

for (const [args, message] of [
  [[], /no SKETCH given/],
  [["udp-echo", "--loss", "2"], /loss is 2; it must be a probability/],
  [["udp-echo", "--delay", "soon"], /--delay is soon; it must be a number/],
  [["udp-echo", "--addr", "10.0.0.256/24"], /--addr is 10\.0\.0\.256/],
  [["udp-echo", "--addr", "10.0.0.2/33"], /prefix length 33/],
  [["udp-echo", "--forward", "80"], /--forward is 80; it must be HOST:BOARD/],
  [["udp-echo", "--forward", "70000:80"], /port from 0 to 65535/],
  [["udp-echo", "--tap", "tap0", "--forward", "1:2"], /exclude each other/],
  [["router", "--tap2", "tap1"], /--tap2 is a second port beside that of --tap/],
  [["udp-echo", "--mac", "nonsense"], /mac is nonsense/],
  [["udp-echo", "--speed", "9"], /--speed/],
  [["udp-echo", "more"], /unexpected more/],
] as const) {
  test(`refused: board ${args.join(" ")}`, (t) => {
    t.throws(() => parseBoardOptions(args), { instanceOf: UsageError, message });
  });
}

test("a whole command line is understood", (t) => {
  const options = parseBoardOptions([
    "http-client", "--tap", "tap0", "--addr", "10.1.2.3/16", "--preset", "tiny", "--set", "buffers=12", "--loss", "0.02", "--rate", "10",
    "--seed", "7", "--", "http://10.0.0.1/", "--x",
  ]);
  t.like(options, {
    sketch: "http-client", sketchArgs: ["http://10.0.0.1/", "--x"], tap: "tap0", addr: 0x0a010203, prefixLength: 16,
    config: { preset: "tiny", buffers: 12 }, impairment: { loss: 0.02, rateBps: 10_000_000, seed: 7 },
  });
});
