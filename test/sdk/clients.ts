/**
 * The SDK's own ECMA-419 clients, each by the example that comes with it, and what is to be seen when one works: in what the
 * example prints, and on Linux's side.
 */
import { BOARD, must, PAGE, type Servers } from "./network.ts";

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
  /** What must be seen beside it, once `prints` has begun. @throws Error saying what was not */
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

const curl = (...args: string[]): string => must("curl", "-sS", "-m", "20", ...args, `http://${BOARD}:8080/`);

export const CLIENTS: readonly ClientCase[] = [
  {
    module: "example/http-client", what: "HTTP client", peer: "nginx",
    prints: [/Status 200/, /DONE 0/, /DONE 1/, /DONE 2/], seen: pages,
  },
  {
    module: "example/http-server", what: "HTTP server; WebSocket at both ends, over loopback", peer: "curl",
    prints: [/CLIENT HELLO/, /onmessage hello/, /CLIENT GOODBYE/, /GET \//, /POST \//, /done/],
    seen: () => {
      expect("curl reads the reply", curl() === "1 2 3 4 5 6 7 8\n");
      expect("curl posts 20,000 bytes", curl("-d", "x".repeat(20_000)) === "1 2 3 4 5 6 7 8\n");
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
];
