/** How iptables complains, and how it reads and writes words. iptables' counterpart is libxtables/xtables.c. */
import { CommandEnd, parseNumber } from "./command.ts";

export const PROGRAM = "iptables v1.8.9 (legacy)";
const TRY = "Try `iptables -h' or 'iptables --help' for more information.\n";

/** A wrong parameter ends the command. Linux: xtables_error(PARAMETER_PROBLEM). */
export function problem(text: string): never {
  throw new CommandEnd(2, `${PROGRAM}: ${text}\n${TRY}`);
}

/** An option that must be given is missing. */
export function missing(owner: string, option: string): never {
  return problem(`${owner}: option "${option}" must be specified\n`);
}

/** A wrong argument that iptables tells with a line of its own. */
export function badArgument(word: string): never {
  throw new CommandEnd(2, `Bad argument \`${word}'\n${TRY}`);
}

/** A number as xtables_strtoui() reads it. */
export function optionNumber(owner: string, option: string, word: string, max = 0xffffffff): number {
  const value = parseNumber(word, max);
  if (value < 0) problem(`${owner}: bad integer value for option "${option}", or out of range.\n`);
  return value;
}

/** Quotes where a shell wants them. Linux: xtables_save_string(). */
export function quoted(text: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(text)) return text;
  return `"${text.replace(/["\\']/g, "\\$&")}"`;
}
