/** A booted stack with d0 and d1 for commands: netlink is started by them. */
import { ip } from "../../../src/commands/index.ts";
import { boot, type BootOptions, devOpen, initNet } from "../../../src/index.ts";
import { addDummy, countPools, forgetDummies, leaked, removeDummies } from "../netlink/harness.ts";

export function bootIp(options: BootOptions = {}): void {
  boot({ preset: "host", ...options });
  countPools();
  forgetDummies();
  devOpen(addDummy("d0", 1));
  devOpen(addDummy("d1", 2));
}

/** How many objects are in use beyond those of the start, once the devices are gone and routes of no device deleted. */
export function shutdownIp(): number {
  ip(initNet, "route flush table main");
  removeDummies();
  return leaked();
}

/** The text of a command that must succeed. */
export function run(words: string): string {
  const result = ip(initNet, words);
  if (result.status !== 0) throw new Error(`ip ${words}: ${result.error}`);
  return result.text;
}

export { boot, initNet };
export type { CommandResult } from "../../../src/commands/index.ts";
