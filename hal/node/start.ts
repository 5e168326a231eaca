/**
 * `npm start`: a virtual board with the HTTP sketch, reached at http://localhost:8080. No root, nothing to configure.
 * The port is 8080, or the next that is free, or PORT of the environment.
 */
import { budget } from "../../src/budget.ts";
import { formatAddress, parseBoardOptions, UserError } from "./options.ts";
import { startBoard, type VirtualBoard } from "./virtual-board.ts";

const PRESET = "small";
const FIRST_PORT = 8080;
const PORTS_TRIED = 20;
const BOARD_PORT = 80;
const NAME = "linnet";
/** One socket more than the preset has: mDNS takes one, and as many guests are to fit as without. */
const SIZES = Object.freeze(["--set", "files=7", "--set", "socks=6"]);
/** The board probes for its name a second before it answers to it. */
const LOOKUPS = 5;

function chosenPort(): number | null {
  const text = process.env["PORT"];
  if (text === undefined || text === "") return null;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65535) throw new UserError(`PORT is ${text}; it must be a port from 0 to 65535`);
  return port;
}

/** Forwards a port of this machine; says so when the first choice is taken. */
async function forward(board: VirtualBoard): Promise<number> {
  const chosen = chosenPort();
  const first = chosen ?? FIRST_PORT;
  const last = chosen === null ? FIRST_PORT + PORTS_TRIED - 1 : chosen;
  for (let port = first; ; port++) {
    try {
      return await board.host!.forward(port, BOARD_PORT);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
      const why = code === "EACCES" ? "is not yours to use" : "is taken by another program";
      if (port >= last) throw new UserError(`port ${port} ${why}; choose another: PORT=9000 npm start`);
      console.log(`Port ${port} ${why}; trying ${port + 1}.`);
    }
  }
}

/** Looks from the other end of the wire who has the name. */
async function announceName(board: VirtualBoard): Promise<void> {
  for (let n = 0; n < LOOKUPS; n++) {
    const addr = await board.host!.lookup(`${NAME}.local`);
    if (addr === null) continue;
    console.log(`  ${NAME}.local is ${formatAddress(addr)} to the other end of the wire, by mDNS.\n`);
    return;
  }
}

async function main(): Promise<void> {
  // It boots to count, so it comes first.
  const options = parseBoardOptions(["http-server", "--preset", PRESET, ...SIZES, "--dhcp", "--mdns", NAME]);
  const bytes = budget(options.config).total;
  const board = await startBoard(options);
  const port = await forward(board);
  console.log(`
  linnet  a virtual board with Linux's network stack is up

    open     http://localhost:${port}/
    sketch   examples/http-server/main.ts, at ${formatAddress(board.addr)} on a virtual wire, by DHCP; ${NAME}.local by mDNS
    device   a simulated ENC28J60, by the driver and over the SPI class of a real board
    memory   preset ${PRESET}: ${(bytes / 1024).toFixed(1)} KB on a 32-bit board, all taken at boot

  Ctrl-C ends it.
`);
  const end = (): void => {
    console.log("\nThe board is off.");
    process.exit(0);
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  await announceName(board);
}

main().catch((error: unknown) => {
  console.error(error instanceof UserError ? `linnet: ${error.message}` : error);
  process.exit(1);
});
