/**
 * What all text commands share: words in, text and an exit status out, and the complaints that iproute2's programs have in
 * common (its lib/utils.c). Configuration for people: commands allocate, and inside them a wrong argument is thrown.
 */

/** What a command answers. */
export interface CommandResult {
  /** Exit status: 0 done, else as the program of that name ends. */
  readonly status: number;
  /** Standard output. */
  readonly text: string;
  /** Standard error. */
  readonly error: string;
}

/** The command ends here, with that status and complaint. */
export class CommandEnd extends Error {
  readonly status: number;

  constructor(status: number, complaint: string) {
    super(complaint);
    this.status = status;
  }
}

/** The output of a command that is running. */
export class Output {
  text = "";
  error = "";
}

/** Splits a line into words at blanks; quotes keep blanks in a word. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (const char of line) {
    if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === " " || char === "\t" || char === "\n") {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

/** Runs a command: what it throws as its end becomes its answer. */
export function runCommand(
  argv: string | readonly string[], body: (words: readonly string[], out: Output) => number,
): CommandResult {
  const out = new Output();
  const words = typeof argv === "string" ? splitWords(argv) : argv;
  let status: number;
  try {
    status = body(words, out);
  } catch (end) {
    if (!(end instanceof CommandEnd)) throw end;
    out.error += end.message;
    status = end.status;
  }
  return { status, text: out.text, error: out.error };
}

/** The words of a command, one after the other. */
export class Args {
  readonly words: readonly string[];
  at: number;

  constructor(words: readonly string[], at = 0) {
    this.words = words;
    this.at = at;
  }

  get more(): boolean {
    return this.at < this.words.length;
  }

  /** The word at hand; "" at the end. */
  get word(): string {
    return this.words[this.at] ?? "";
  }

  /** Moves on to a word that must be there. Linux: NEXT_ARG(). */
  next(): string {
    this.at++;
    if (!this.more) throw new CommandEnd(255, 'Command line is not complete. Try option "help"\n');
    return this.word;
  }
}

/** Is the word the beginning of that keyword? Linux: matches(). */
export function matches(word: string, keyword: string): boolean {
  return word !== "" && keyword.startsWith(word);
}

export function invalidArg(reason: string, word: string): never {
  throw new CommandEnd(255, `Error: argument "${word}" is wrong: ${reason}\n`);
}

export function duplicateArg(key: string, word: string): never {
  throw new CommandEnd(255, `Error: duplicate "${key}": "${word}" is the second value.\n`);
}

export function garbageArg(key: string, word: string): never {
  throw new CommandEnd(255, `Error: either "${key}" is duplicate, or "${word}" is a garbage.\n`);
}

/** A word that people know and nothing here does. */
export function notOffered(word: string): never {
  throw new CommandEnd(255, `Error: "${word}" is not offered here.\n`);
}

export function noDevice(name: string): never {
  throw new CommandEnd(1, `Cannot find device "${name}"\n`);
}

/** A number as strtoul() with base 0 reads it, or -1. */
export function parseNumber(word: string, max = 0xffffffff): number {
  if (!/^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(word)) return -1;
  const value = /^0[0-7]+$/.test(word) ? parseInt(word, 8) : Number(word);
  return value <= max ? value : -1;
}

/** The number at hand, or the complaint. */
export function numberArg(word: string, complaint: string, max = 0xffffffff): number {
  const value = parseNumber(word, max);
  return value < 0 ? invalidArg(complaint, word) : value;
}
