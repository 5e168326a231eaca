/**
 * The assertions of %{ … }% blocks: the part of Python that scripts use. Statements `assert EXPRESSION[, MESSAGE]` and
 * `print …`, with numbers, names, arithmetic, bits, comparisons (chained ones too), not, and, or.
 */
import { Scanner } from "./scanner.ts";

export type Names = (name: string) => number | null;

type Evaluate = () => number;

class Parser {
  private readonly scanner: Scanner;
  private readonly names: Names;

  constructor(scanner: Scanner, names: Names) {
    this.scanner = scanner;
    this.names = names;
  }

  expression(): number {
    let value = this.conjunction();
    while (this.scanner.match(/or\b/y) !== null) {
      const other = this.conjunction();
      value = value !== 0 ? value : other;
    }
    return value;
  }

  private conjunction(): number {
    let value = this.negation();
    while (this.scanner.match(/and\b/y) !== null) {
      const other = this.negation();
      value = value !== 0 ? other : value;
    }
    return value;
  }

  private negation(): number {
    if (this.scanner.match(/not\b/y) !== null) return this.negation() === 0 ? 1 : 0;
    return this.comparison();
  }

  private comparison(): number {
    let left = this.bits();
    let holds = true;
    let compared = false;
    for (;;) {
      const operator = this.scanner.match(/==|!=|<=|>=|<(?!<)|>(?!>)/y)?.[0];
      if (operator === undefined) return compared ? Number(holds) : left;
      const right = this.bits();
      compared = true;
      holds = holds && compare(operator, left, right);
      left = right;
    }
  }

  private chain(pattern: RegExp, operand: Evaluate, apply: (operator: string, a: number, b: number) => number): number {
    let value = operand();
    for (;;) {
      const operator = this.scanner.match(pattern)?.[0];
      if (operator === undefined) return value;
      value = apply(operator, value, operand());
    }
  }

  private bits(): number {
    return this.chain(/\|/y, () => this.exclusive(), (_, a, b) => a | b);
  }

  private exclusive(): number {
    return this.chain(/\^/y, () => this.intersection(), (_, a, b) => a ^ b);
  }

  private intersection(): number {
    return this.chain(/&/y, () => this.shift(), (_, a, b) => a & b);
  }

  private shift(): number {
    return this.chain(/<<|>>/y, () => this.sum(), (o, a, b) => (o === "<<" ? a * 2 ** b : Math.floor(a / 2 ** b)));
  }

  private sum(): number {
    return this.chain(/[+-]/y, () => this.product(), (o, a, b) => (o === "+" ? a + b : a - b));
  }

  private product(): number {
    return this.chain(/\/\/|[*/%]/y, () => this.unary(), (o, a, b) => {
      if (o === "*") return a * b;
      if (o === "/") return a / b;
      const quotient = Math.floor(a / b);
      return o === "//" ? quotient : a - b * quotient;
    });
  }

  private unary(): number {
    if (this.scanner.accept("-")) return -this.unary();
    if (this.scanner.accept("~")) return ~this.unary();
    if (this.scanner.accept("(")) {
      const value = this.expression();
      this.scanner.expect(")");
      return value;
    }
    const number = this.scanner.match(/0x[0-9a-fA-F]+|\d+(\.\d+)?/y);
    if (number !== null) return Number(number[0]);
    const name = this.scanner.need(/[A-Za-z_]\w*/y, "a value")[0];
    if (name === "abs" || name === "int") return name === "abs" ? Math.abs(this.unary()) : Math.trunc(this.unary());
    return this.names(name) ?? this.scanner.fail(`no value named ${name}`);
  }
}

function compare(operator: string, a: number, b: number): boolean {
  switch (operator) {
    case "==": return a === b;
    case "!=": return a !== b;
    case "<": return a < b;
    case "<=": return a <= b;
    case ">": return a > b;
    default: return a >= b;
  }
}

/** Runs a block. @returns null, or the assertion that does not hold, with the values of its message. @throws ScriptError */
export function runCode(text: string, names: Names, line: number): string | null {
  const statements = text.split(/\n|;/).map((statement) => statement.replace(/#.*/, "").trim());
  for (const statement of statements) {
    if (statement === "" || statement.startsWith("print")) continue;
    const scanner = new Scanner(statement, line);
    if (scanner.match(/assert\b/y) === null) scanner.fail(`not an assertion: ${statement}`);
    const parser = new Parser(scanner, names);
    if (parser.expression() !== 0) continue;
    const values = [...new Set(statement.match(/\btcpi_\w+/g) ?? [])].map((name) => `${name} = ${names(name) ?? "?"}`);
    return `${statement} does not hold: ${values.join(", ")}`;
  }
  return null;
}
