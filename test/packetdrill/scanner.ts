/**
 * Characters of a script, read from front to back: the tokens of packetdrill's language have no more context than that.
 * White space and comments (// and C's) separate; line numbers are kept for messages.
 */

export class ScriptError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const SPACE = /(?:\s+|\/\/[^\n]*|\/\*[^]*?\*\/|^#![^\n]*)+/y;

export class Scanner {
  private at = 0;
  private readonly text: string;
  private readonly firstLine: number;

  constructor(text: string, firstLine = 1) {
    this.text = text;
    this.firstLine = firstLine;
    this.skipSpace();
  }

  get line(): number {
    return this.firstLine + this.text.slice(0, this.at).split("\n").length - 1;
  }

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  private skipSpace(): void {
    SPACE.lastIndex = this.at;
    if (SPACE.test(this.text)) this.at = SPACE.lastIndex;
  }

  fail(message: string): never {
    throw new ScriptError(this.line, message);
  }

  /** Takes what the pattern (sticky) matches here, and the space behind it; null when it does not match. */
  match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at = pattern.lastIndex;
    this.skipSpace();
    return found;
  }

  /** Does the pattern match here? Takes nothing. */
  peek(pattern: RegExp): boolean {
    pattern.lastIndex = this.at;
    return pattern.test(this.text);
  }

  /** Takes the text when it stands here. */
  accept(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    this.skipSpace();
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`expected ${text}, found ${JSON.stringify(this.rest())}`);
  }

  need(pattern: RegExp, what: string): RegExpExecArray {
    return this.match(pattern) ?? this.fail(`expected ${what}, found ${JSON.stringify(this.rest())}`);
  }

  private rest(): string {
    return this.text.slice(this.at, this.at + 30).split("\n")[0]!;
  }
}

const NUMBER = /0x[0-9a-fA-F]+|-?\d+/y;

export function integer(scanner: Scanner): number {
  return Number(scanner.need(NUMBER, "a number")[0]);
}

export function optionalInteger(scanner: Scanner): number | null {
  const found = scanner.match(NUMBER);
  return found === null ? null : Number(found[0]);
}
