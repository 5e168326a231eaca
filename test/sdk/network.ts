/**
 * The other end of the SDK's examples: a TAP and Linux's own servers in the network namespace that `npm run sdk` has made. The
 * examples go to hosts of the internet by way of the name server 1.1.1.1; here it is dnsmasq, and all those hosts are this machine.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Web } from "./web.ts";

export const TAP = "tap0";
const BRIDGE = "br0";
export const LINUX = "10.0.0.1";
export const BOARD = "10.0.0.2";
/** nginx, npm's ws, openssl s_server, Node's servers: each has port 80 or 443 to itself. */
export const WEB = "10.0.0.10";
const WEB_SOCKETS = "10.0.0.11";
const REVERSER = "10.0.0.12";
const BIN = "10.0.0.13";
const REALTIME = "10.0.0.14";
const NAME_SERVER = "1.1.1.1";

/** What the page of nginx says. */
export const PAGE = `<html>${"The board has read all of this page. ".repeat(100)}</html>\n`;

/** Names of the examples and where they are; one without an address is not there. */
const HOSTS: readonly (readonly [string, string])[] = [
  ["example.com", WEB], ["www.example.edu", WEB], ["moddable.com", WEB], ["yahoo.com", LINUX], ["pool.ntp.org", LINUX],
  ["test.mosquitto.org", LINUX], ["broker.hivemq.com", LINUX], ["websockets.chilkat.io", WEB_SOCKETS], ["reverser.test", REVERSER],
  ["httpbin.org", BIN], ["api.openai.com", REALTIME], ["net", ""],
];
/**
 * Left to the client it is one of CBC: then the SDK's TLS says that there is room for more than there is (it counts on 32 bytes for a
 * record's own, which are up to 69), and its example's long message is an exception of TCP's write().
 */
const MQTT_CIPHERS = "ECDHE-RSA-AES128-GCM-SHA256";
/** The hosts that have a certificate. */
const SECURE_HOSTS = ["www.example.edu", "reverser.test", "broker.hivemq.com", "httpbin.org", "api.openai.com"];

const BUS_POLICY = `<busconfig><type>system</type><listen>unix:path=BUS</listen><auth>EXTERNAL</auth><policy context="default">
<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>`;

const WS_PEER = fileURLToPath(new URL("../interop/ws-peer.ts", import.meta.url));
const READY_MS = 20_000;
const LOOK_MS = 100;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs a program to its end. @returns what it printed, on stdout @throws Error when it fails */
export function must(name: string, ...args: string[]): string {
  const { status, error, stdout, stderr } = spawnSync(name, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${name} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

export class Servers {
  /** The authority that has signed for SECURE_HOSTS: its key's identifier, its certificate, in hexadecimal digits. */
  readonly authority: readonly [string, string];
  private readonly folder = mkdtempSync(join(tmpdir(), "linnet-sdk-"));
  private readonly bus = `unix:path=${join(this.folder, "bus")}`;
  private readonly running: ChildProcess[] = [];
  private started: Web | undefined;

  constructor() {
    // The TAP has a link only while a board runs; the servers are on a bridge that always has one.
    for (const command of [
      "link set lo up", `link add ${BRIDGE} type bridge mcast_snooping 0`, "link add stub type veth peer name end", `link set stub master ${BRIDGE} up`,
      "link set end up", `link set ${BRIDGE} up`, `tuntap add dev ${TAP} mode tap`, `link set ${TAP} master ${BRIDGE} up`, `addr add ${LINUX}/24 dev ${BRIDGE}`,
      ...[WEB, WEB_SOCKETS, REVERSER, BIN, REALTIME, NAME_SERVER].map((address) => `addr add ${address}/32 dev lo`),
    ]) must("ip", ...command.split(" "));
    this.authority = this.sign();
  }

  /** An authority with a key of RSA, which the SDK's TLS wants, and the servers' certificate of it. */
  private sign(): [string, string] {
    const [authority, authorityKey, certificate, key, request] = ["ca.pem", "ca.key", "server.pem", "server.key", "server.csr"].map(this.file) as
      [string, string, string, string, string];
    writeFileSync(this.file("names"), `subjectAltName=${SECURE_HOSTS.map((host) => `DNS:${host}`).join()}\nauthorityKeyIdentifier=keyid\n`);
    must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=linnet", "-out", authority, "-keyout", authorityKey);
    must("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=www.example.edu", "-out", request, "-keyout", key);
    must("openssl", "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authorityKey, "-days", "2", "-extfile", this.file("names"),
      "-out", certificate);
    // The SDK looks for names in a certificate that has its authority's behind it.
    writeFileSync(certificate, readFileSync(certificate, "utf8") + readFileSync(authority, "utf8"));
    const { raw, publicKey } = new X509Certificate(readFileSync(authority));
    const identifier = createHash("sha1").update(publicKey.export({ type: "pkcs1", format: "der" })).digest("hex");
    return [identifier, raw.toString("hex")];
  }

  private readonly file = (name: string): string => join(this.folder, name);

  private start(name: string, ...args: string[]): void {
    const child = spawn(name, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: this.bus } });
    child.stderr.resume();
    this.running.push(child);
  }

  /** Waits for a condition. @throws Error naming it */
  private async until(what: string, condition: () => boolean): Promise<void> {
    for (let left = READY_MS / LOOK_MS; !condition(); left--) {
      if (left === 0) throw new Error(`${what} is not ready after ${READY_MS / 1000} s`);
      await sleep(LOOK_MS);
    }
  }

  private listens(port: number, kind: "-lnt" | "-lnu"): boolean {
    return new RegExp(`:${port}\\s`).test(must("ss", kind));
  }

  /** What a program of Avahi's prints. */
  avahi(name: string, ...args: string[]): string {
    return spawnSync(name, args, { encoding: "utf8", env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: this.bus }, timeout: READY_MS }).stdout;
  }

  /** Node's servers. @throws Error before startAll() */
  get web(): Web {
    if (this.started === undefined) throw new Error("the servers have not been started");
    return this.started;
  }

  async startAll(): Promise<void> {
    const { file } = this;
    this.start("dnsmasq", "-k", "-C", "/dev/null", "-R", "-h", `--listen-address=${NAME_SERVER}`, "--bind-interfaces",
      `--pid-file=${file("dnsmasq.pid")}`, ...HOSTS.map(([name, address]) => `--address=/${name}/${address}`));
    mkdirSync(file("www"));
    writeFileSync(file("www/index.html"), PAGE);
    writeFileSync(file("nginx.conf"), `daemon off; master_process off; user root; pid ${file("nginx.pid")}; events {} http { access_log off; root ${file("www")};
      server { listen ${WEB}:80; } server { listen ${WEB}:443 ssl; ssl_protocols TLSv1.2; ssl_certificate ${file("server.pem")};
      ssl_certificate_key ${file("server.key")}; } }\n`);
    this.start("nginx", "-c", file("nginx.conf"), "-e", "stderr");
    this.start("openssl", "s_server", "-accept", `${REVERSER}:443`, "-cert", file("server.pem"), "-cert_chain", file("ca.pem"), "-key", file("server.key"), "-tls1_2", "-rev");
    writeFileSync(file("mosquitto.conf"), `user root\nlistener 1883 ${LINUX}\nlistener 8883 ${LINUX}\ncertfile ${file("server.pem")}\nkeyfile ${file("server.key")}\nciphers ${MQTT_CIPHERS}\n`
      + "allow_anonymous true\n");
    this.start("mosquitto", "-c", file("mosquitto.conf"));
    this.start(process.execPath, "--import=tsx", WS_PEER, "serve", WEB_SOCKETS, "80");
    this.started = new Web(BIN, REALTIME, { cert: readFileSync(file("server.pem"), "utf8"), key: readFileSync(file("server.key"), "utf8") });
    writeFileSync(file("chrony.conf"), `local stratum 5\nallow all\nbindaddress ${LINUX}\ncmdport 0\npidfile ${file("chronyd.pid")}\n`);
    this.start("chronyd", "-d", "-x", "-u", "root", "-f", file("chrony.conf"));
    writeFileSync(file("bus.conf"), BUS_POLICY.replace("BUS", file("bus")));
    this.start("dbus-daemon", `--config-file=${file("bus.conf")}`, "--nofork", "--nopidfile");
    await sleep(1000);
    writeFileSync(file("avahi.conf"), `[server]\nhost-name=Desk-Lamp\nuse-ipv6=no\nallow-interfaces=${BRIDGE}\n[publish]\npublish-workstation=no\n`);
    this.start("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits", "-f", file("avahi.conf"));
    await this.until("Avahi", () => this.avahi("avahi-resolve", "-4", "-n", "Desk-Lamp.local").includes("10.0.0."));
    this.start("avahi-publish", "-s", "Living Room", "_airplay._tcp", "7000", "model=linnet");
    for (const [what, port, kind] of [
      ["dnsmasq", 53, "-lnu"], ["nginx", 80, "-lnt"], ["openssl s_server", 443, "-lnt"], ["mosquitto", 8883, "-lnt"], ["chronyd", 123, "-lnu"],
    ] as const) await this.until(what, () => this.listens(port, kind));
    await this.until("the WebSocket server", () => must("ss", "-lnt").includes(`${WEB_SOCKETS}:80 `));
  }

  stop(): void {
    this.started?.stop();
    for (const child of this.running) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
