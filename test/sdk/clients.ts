/**
 * The SDK's own ECMA-419 clients, each by the example that comes with it, and what is to be seen when one works: in what the
 * example prints, and on Linux's side.
 */
import { BOARD, must, PAGE, type Servers } from "./network.ts";
import { GREETING, LETTERS, LONG_MESSAGE } from "./web.ts";

export interface ClientCase {
  /** Module of board/manifest.json. */
  readonly module: string;
  /** Default "board". */
  readonly program?: "board" | "resolver";
  /** The SDK's classes in it, for the table. */
  readonly what: string;
  readonly peer: string;
  /** Everything that the example must print. */
  readonly prints: readonly RegExp[];
  /** What must be seen beside it, sooner or later. @throws Error saying what was not */
  readonly seen?: (servers: Servers, printed: () => string) => void;
}

/** What is found, and what is not there. */
const NAMES: readonly RegExp[] = [
  /^Moddable 10\.0\.0\.10$/m, /^Yahoo 10\.0\.0\.1$/m, /^Desk-Lamp 10\.0\.0\.1$/m, /^global garbage undefined$/m, /^local garbage undefined$/m,
];
const CLOCK_TOLERANCE_MS = 3000;

function expect(what: string, condition: boolean): void {
  if (!condition) throw new Error(what);
}

/** The page thrice. */
function pages(_servers: Servers, printed: () => string): void {
  expect("the page came three times", printed().split(PAGE.trim()).length === 4);
}

/** A date is printed, of now. */
function isNow(_servers: Servers, printed: () => string): void {
  const [date = ""] = /^\w{3} \w{3} \d\d .*$/m.exec(printed()) ?? [];
  expect(`${date} is now`, Math.abs(Date.parse(date) - Date.now()) < CLOCK_TOLERANCE_MS);
}

const curl = (port: number, ...args: string[]): string => must("curl", "-sS", "-m", "20", ...args, `http://${BOARD}:${port}/`);
const ANSWER = "1 2 3 4 5 6 7 8\n";
const count = (text: string, part: string | RegExp): number => text.split(part).length - 1;

/** What example/fetch asks, by each scheme on one connection. */
const FETCHED: readonly string[] = ["POST /post", "PUT /put", "GET /gzip", "GET /json", "GET /encoding/utf8"];

function fetched({ web }: Servers, printed: () => string): void {
  const { requests } = web.asked;
  for (const scheme of ["http", "https"]) {
    const own = requests.filter(([, what]) => what.startsWith(`${scheme} `));
    expect(`${scheme}: ${JSON.stringify(own)}`, own.map(([, what]) => what).join() === FETCHED.map((what) => `${scheme} ${what}`).join());
    expect(`${scheme}: on one connection`, own.every(([connection]) => connection === own[0]![0]));
  }
  expect("the letters came twice", count(printed(), LETTERS) === 2);
  expect("the gzip header came twice", count(printed(), /^31,139,8,/m) === 2);
  expect("two forms and two bodies came back", count(printed(), `"Input": "This is no input!"`) === 2 && count(printed(), `"data": "This is no data!"`) === 2);
}

export const CLIENTS: readonly ClientCase[] = [
  {
    module: "example/http-client", what: "HTTP client", peer: "nginx",
    prints: [/Status 200/, /DONE 0/, /DONE 1/, /DONE 2/], seen: pages,
  },
  {
    module: "example/http-server", what: "HTTP server; WebSocket at both ends, over loopback", peer: "curl",
    prints: [/CLIENT HELLO/, /onmessage hello/, /CLIENT GOODBYE/, /GET \//, /POST \//, /done/],
    seen: () => {
      expect("curl reads the reply", curl(8080) === ANSWER);
      expect("curl posts 20,000 bytes", curl(8080, "-d", "x".repeat(20_000)) === ANSWER);
    },
  },
  {
    module: "example/websocket-client", what: "WebSocket client", peer: "npm's ws",
    prints: [/^this is a test 1$/m, /^this is a test 2this is a test 3$/m, new RegExp(`^(${"abcdefghijklmnopqrstuvwyxz"}){8}$`, "m"), /PONG!/, /^tick 3$/m],
  },
  {
    module: "example/mqtt-client", what: "MQTT client", peer: "mosquitto",
    prints: [/SUBACK/, /UNSUBACK/, /PUBREC/, /PUBCOMP/, /PUBACK - 1234/, /Ping response/, /SMALL/, /XXLA+/],
  },
  { module: "example/ntp", what: "NTP client", peer: "chrony", prints: [/\d{4}/], seen: isNow },
  { module: "example/sntp", what: "SNTP client", peer: "chrony", prints: [/\d{4}/], seen: isNow },
  { module: "example/dns", program: "resolver", what: "Resolver: unicast and .local", peer: "dnsmasq, Avahi", prints: NAMES },
  { module: "example/dns", what: "its example over our Resolver", peer: "dnsmasq, Avahi", prints: NAMES },
  {
    module: "example/http-client", program: "resolver", what: "HTTP client, with that Resolver", peer: "dnsmasq, nginx",
    prints: [/Status 200/, /DONE 0/, /DONE 1/, /DONE 2/], seen: pages,
  },
  {
    // Avahi is not asked for the text: the SDK sends an empty one until updateTXT().
    module: "dnssd", what: "DNS-SD: claim, advertise, discover", peer: "Avahi",
    prints: [/a-server claimed/, /Found: "Living Room" on \S+ @ 10\.0\.0\.1:7000/, /model:linnet/],
    seen: (servers) => {
      const found = servers.avahi("avahi-browse", "-prt", "_http._tcp");
      expect(`Avahi sees the board's service: ${found}`, /^=;br0;IPv4;419\\032Web\\032Server;.*;a-server\.local;10\.0\.0\.2;8080;/m.test(found));
    },
  },
  { module: "example/dnssd-discover", what: "UDP in a group, by hand", peer: "Avahi", prints: [/packet from 10\.0\.0\.1/, /_airplay\._tcp\.local/] },
  {
    module: "example/https-client", what: "HTTP client over TLS socket (TLS 1.2 in JavaScript, the chain verified)", peer: "nginx",
    prints: [/Status 200/, /DONE 0/, /DONE 1/, /DONE 2/], seen: pages,
  },
  { module: "tls", what: "TLS socket alone", peer: "openssl s_server", prints: [/^result: pass$/m] },
  {
    module: "example/mqtts-client", what: "MQTT client over TLS socket", peer: "mosquitto",
    prints: [/SUBACK/, /UNSUBACK/, /PUBREC/, /PUBCOMP/, /PUBACK - 1234/, /Ping response/, /SMALL/, /XXLA+/],
  },
  {
    module: "example/wss-client", what: "WebSocket client over TLS socket", peer: "Node's https, npm's ws",
    prints: [new RegExp(`^${GREETING}$`, "m"), new RegExp(`^${LONG_MESSAGE}$`, "m"), /PING!/, /Connection Closing/, /Connection Closed/],
    seen: ({ web }) => expect(`asked: ${web.asked.handshakes.join()}`, web.asked.handshakes.join().endsWith(" realtime=v1 TLSv1.2")),
  },
  {
    module: "example/fetch", what: "fetch over the HTTP client and over TLS socket, five requests on each connection", peer: "Node's http, https",
    prints: Array.from(["http", "https"], (scheme) => new RegExp(`^${scheme}://httpbin\\.org/encoding/utf8 200 OK`, "m")), seen: fetched,
  },
  {
    module: "example/fetch-stream", program: "resolver", what: "fetch with streams", peer: "Node's http", prints: [new RegExp(LETTERS.trim())],
  },
  {
    module: "events", what: "EventSource, and the HTTP server's server-sent events, over loopback", peer: "itself",
    prints: [/Connection to server opened/, /^ping: 1$/m, /^message: one\ntwo$/m],
  },
  {
    module: "secure-events", what: "EventSource over TLS socket", peer: "Node's https",
    prints: [/^opened$/m, /^ping \{"number":3\} 3$/m, /^message message 3,\ntwo lines$/m],
  },
  {
    module: "example/websocket", what: "WebSocket of HTML", peer: "npm's ws",
    prints: [/^onmessage Hello$/m, /^onmessage binary 8192$/m, /^onmessage Goodbye$/m, /^onclose 1000/m],
  },
  {
    module: "example/mqtt-js", program: "resolver", what: "MQTT.js", peer: "mosquitto",
    prints: [/^subscribed .*xs\/test 2$/m, /^published zero/m, /^published one/m, /^published two/m, /^published data/m,
      /^message xs\/test zero$/m, /^message xs\/test one$/m, /^message xs\/test two$/m, new RegExp(`^message xs/test (?:${"0123456789ABCDEF"}){1024}$`, "m")],
  },
  {
    module: "example/listen", what: "HTTP server as an asynchronous iteration", peer: "curl", prints: [/^POST$/m],
    seen: () => {
      expect("curl reads the reply", curl(80) === ANSWER);
      expect("curl posts 20,000 bytes", curl(80, "-d", "x".repeat(20_000)) === ANSWER);
    },
  },
  { module: "example/simple-http-get", what: "TCP by hand", peer: "Node's http", prints: [/^HTTP\/1\.1 200 OK/m, /\*\* DONE \*\*/] },
  {
    module: "example/simple-http-server", what: "Listener and TCP by hand", peer: "curl", prints: [],
    seen: () => {
      for (let i = 0; i < 3; i++) expect("the request comes back", /^GET \/ HTTP\/1\.1[^]*Response \d+\. .* 10\.0\.0\.1:\d+$/.test(curl(80)));
    },
  },
];
