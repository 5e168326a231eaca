/**
 * Clients and servers over the stack against those of Linux: nginx and curl, mosquitto and its tools, npm's ws on Linux's own sockets.
 * npm's clients through hal/node's sockets, and our own small ones over the classes of ECMA-419.
 */
import type { ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { BOARD_ADDR, interopMissing, LINUX_ADDR, Netns } from "./netns.ts";

const web = interopMissing(["nginx", "curl"]) === null ? test.serial : test.serial.skip;
const broker = interopMissing(["mosquitto", "mosquitto_pub", "mosquitto_sub"]) === null ? test.serial : test.serial.skip;
const sockets = interopMissing([]) === null ? test.serial : test.serial.skip;

const PATIENCE_MS = 120_000;
const HTTP_PORT = 8080;
const WS_PORT = 8081;
const NOTHING = { tap: "tap0", server: LINUX_ADDR, httpPort: 0, webSocketPort: 0, mqtt: false };

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), "linnet-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Waits until a port of the Linux side answers. */
async function listening(net: Netns, port: number): Promise<void> {
  const script = `import socket,sys,time
for _ in range(300):
    try: socket.create_connection(("${LINUX_ADDR}", ${port}), 1).close(); sys.exit(0)
    except OSError: time.sleep(0.1)
sys.exit(1)`;
  await net.must("python3", "-c", script);
}

/** Collects what a program prints, and waits for it. */
function listen(child: ChildProcess): (pattern: RegExp) => Promise<void> {
  let text = "";
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return async (pattern) => {
    for (const end = Date.now() + PATIENCE_MS; !pattern.test(text);) {
      if (Date.now() > end) throw new Error(`not printed: ${String(pattern)}: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
}

web("nginx serves undici and our own client, over kept connections and in chunks; curl asks our own server", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const dir = folder(t);
  const body = randomBytes(300_000);
  const page = `<!doctype html>${"<p>linnet</p>".repeat(500)}`;
  writeFileSync(join(dir, "body.bin"), body);
  writeFileSync(join(dir, "page.html"), page);
  writeFileSync(join(dir, "nginx.conf"), `daemon off; master_process off; pid ${dir}/pid; error_log stderr;
events {} http { types { text/html html; } log_format c "$connection $request_uri $status"; access_log ${dir}/access.log c;
gzip on; gzip_min_length 100; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u;
scgi_temp_path ${dir}/s; server { listen ${LINUX_ADDR}:${HTTP_PORT}; root ${dir}; } }`);
  net.spawn("nginx", ["-c", join(dir, "nginx.conf"), "-p", dir]);
  await listening(net, HTTP_PORT);
  const board = await net.clients({ ...NOTHING, httpPort: HTTP_PORT });
  await board.printed(/^done all/m, PATIENCE_MS);
  const sum = sha256(body);
  t.true(board.text.includes(`done undici: ${sum} ${sum}\n`), board.text);
  t.true(board.text.includes(`done http: ${sum} true ${sha256(page)} 404\n`), board.text);
  const log = (await net.must("cat", join(dir, "access.log"))).trim().split("\n").map((line) => line.split(" ")[0]!);
  t.is(log.length, 5);
  t.is(new Set(log).size, 2, "one connection each");

  const put = join(dir, "put.bin");
  writeFileSync(put, body.subarray(0, 16_000));
  const asked = await net.must("curl", "-sS", `http://${BOARD_ADDR}/a`, "--next", "-sS", "-T", put, `http://${BOARD_ADDR}/b`, "--next",
    "-sS", "-w", "%{http_code} %{num_connects}", "-T", join(dir, "body.bin"), `http://${BOARD_ADDR}/c`);
  t.is(asked, `GET /a ${sha256("")}PUT /b ${sha256(body.subarray(0, 16_000))}413 0`);
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

sockets("npm's WebSocket server answers its own client over the stack and ours; its client talks to our server", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  net.spawn(process.execPath, ["--import=tsx", "test/interop/ws-peer.ts", "serve", LINUX_ADDR, String(WS_PORT)]);
  await listening(net, WS_PORT);
  const board = await net.clients({ ...NOTHING, webSocketPort: WS_PORT });
  await board.printed(/^done all/m, PATIENCE_MS);
  t.true(board.text.includes("done npm-ws: 5 1000\n"), board.text);
  t.true(board.text.includes("done ws: 5 1000\n"), board.text);
  const asked = await net.must(process.execPath, "--import=tsx", "test/interop/ws-peer.ts", "ask", `ws://${BOARD_ADDR}/echo`);
  t.is(asked.trim(), "5 in parts 1000");
  const report = await board.stop();
  t.is(report.inUseAtEnd, report.inUseAtStart, JSON.stringify(report.pools));
});

broker("mosquitto carries messages of npm's client and of ours, which comes back when the broker does and leaves a will when it dies", async (t) => {
  t.timeout(300_000);
  const net = await Netns.create(t);
  const conf = join(folder(t), "mosquitto.conf");
  writeFileSync(conf, `listener 1883 ${LINUX_ADDR}\nallow_anonymous true\nuser root\n`);
  const first = net.spawn("mosquitto", ["-c", conf]);
  await listening(net, 1883);
  const board = await net.clients({ ...NOTHING, mqtt: true });
  await board.printed(/^done all/m, PATIENCE_MS);
  t.true(board.text.includes("done npm-mqtt: 3\n"), board.text);
  const say = async (text: string): Promise<string> => {
    const heard = net.must("mosquitto_sub", "-h", LINUX_ADDR, "-q", "1", "-C", "1", "-W", "60", "-t", "board/echo");
    const again = setInterval(() => void net.run("mosquitto_pub", ["-h", LINUX_ADDR, "-q", "1", "-t", "board/say", "-m", text]), 1000);
    return (await heard.finally(() => clearInterval(again))).trim();
  };
  await board.printed(/^mqtt connected$/m, PATIENCE_MS);
  t.is(await say("hello"), "hello");
  first.kill("SIGKILL");
  await board.printed(/^mqtt lost 0$/m, PATIENCE_MS);
  net.spawn("mosquitto", ["-c", conf]);
  await board.printed(/^mqtt connected$[\s\S]*^mqtt connected$/m, PATIENCE_MS);
  t.is(await say("again"), "again");
  const heard = listen(net.spawn("mosquitto_sub", ["-h", LINUX_ADDR, "-v", "-t", "board/state"]));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  board.kill();
  await heard(/board\/state gone/);
});
