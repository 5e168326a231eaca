/**
 * Text that a program can read of the stack, by Linux's names ("net/route"). Linux: proc_create_net(), and the files of /proc. Owns
 * the list of them; each is there once the part that shows it was started. For people and for commands: makes strings.
 */
import { account } from "../../lib/account.ts";
import type { Net } from "./net.ts";

/** One file, a link of the list. */
class ProcEntry {
  readonly path: string;
  readonly show: (net: Net) => string;
  readonly next: ProcEntry | null;

  constructor(path: string, show: (net: Net) => string, next: ProcEntry | null) {
    this.path = path;
    this.show = show;
    this.next = next;
  }
}

let entries: ProcEntry | null = null;

/** Boot: there is none. */
export function procReset(): void {
  entries = null;
}

/** Boot, or the start of a part: `path` without /proc can be read from now on. */
export function procRegister(path: string, show: (net: Net) => string): void {
  entries = account("proc", new ProcEntry(path, show, entries));
}

/** What `cat` would print of that file in a namespace; null when there is no such file. */
export function procRead(net: Net, path: string): string | null {
  for (let entry = entries; entry !== null; entry = entry.next) if (entry.path === path) return entry.show(net);
  return null;
}
