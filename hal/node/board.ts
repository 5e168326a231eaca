/** `npm run board -- SKETCH …`: runs one example on this machine, on a TAP or on a virtual wire (usage in options.ts). */
import { formatMac } from "../mac.ts";
import { formatAddress, parseBoardOptions, USAGE, UsageError, UserError } from "./options.ts";
import { neighbourAddress, startBoard } from "./virtual-board.ts";

async function main(): Promise<void> {
  const options = parseBoardOptions(process.argv.slice(2));
  const board = await startBoard(options);
  const { dev, addr, prefixLength, host } = board;
  const ports: string[] = [];
  for (const { hostPort, boardPort } of options.forwards) {
    const port = await host!.forward(hostPort, boardPort).catch((error: Error) => {
      throw new UserError(`--forward ${hostPort}:${boardPort}: ${error.message}`);
    });
    ports.push(`127.0.0.1:${port} to port ${boardPort}`);
  }
  let ending = false;
  const end = (): void => {
    if (ending) process.exit(130);
    ending = true;
    void board.stop().then((report) => {
      console.log(`report: ${JSON.stringify(report)}`);
      process.exit(0);
    });
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  const where = options.tap === undefined ? "a simulated ENC28J60" : `TAP ${options.tap}`;
  console.log(
    `${options.sketch} ready: ${dev.name} on ${where}, ${formatAddress(addr)}/${prefixLength}, `
      + `mac ${formatMac(dev.addrHi, dev.addrLo)}`,
  );
  for (const port of ports) console.log(`forwarding ${port}`);
  if (options.tap !== undefined && options.prefixLength <= 30) {
    const linux = `${formatAddress(neighbourAddress(options))}/${options.prefixLength}`;
    console.log(`on the Linux side, unless done: ip addr add ${linux} dev ${options.tap}; ip link set ${options.tap} up`);
  }
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) console.error(`linnet: ${error.message}\n\n${USAGE}`);
  else if (error instanceof UserError) console.error(`linnet: ${error.message}`);
  else console.error(error);
  process.exit(2);
});
