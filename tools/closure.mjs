/**
 * A board's module through Google's Closure Compiler, its level SIMPLE, which keeps property names. A minifier that writes the
 * body of a function where it is called, but as a function expression, makes XS allocate a function in each call; Closure
 * writes statements, so what the sources do not allocate the board does not either. It also shares local variables.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { children, visit } from "./flash.mjs";
import { statements } from "./statements.mjs";

const CLI = join(dirname(createRequire(import.meta.url).resolve("google-closure-compiler/package.json")), "cli.js");
/** Of these, `--debug` leaves the sources' names in what it writes, by which merge.mjs knows a function. */
const FLAGS = [
  "--compilation_level", "SIMPLE", "--env", "CUSTOM", "--assume_function_wrapper", "--strict_mode_input", "--formatting", "PRETTY_PRINT",
  "--language_in", "ECMASCRIPT_NEXT", "--language_out", "ECMASCRIPT_NEXT", "--warning_level", "QUIET", "--debug",
];

/** Stands for the module's list of exports while the compiler, which would follow it, looks at the rest. */
const EXPORTS = "linnetExports";
/** Chunks of texts and no packets: there a function may be made in a call. */
const MAY_ALLOCATE = new Set(["linnet/commands", "tests"]);
/** Stands for the `#` of private names, which it does not know. */
const PRIVATE = "private$";

function compile(text, externs) {
  const folder = mkdtempSync(join(tmpdir(), "linnet-closure-"));
  try {
    const [input, names, output] = ["in.js", "externs.js", "out.js"].map((file) => join(folder, file));
    writeFileSync(input, text);
    writeFileSync(names, `/** @externs */\n${externs.map((name) => `var ${name};\n`).join("")}`);
    const { status, stderr } = spawnSync(process.execPath, [CLI, ...FLAGS, "--js", input, "--externs", names, "--js_output_file", output], { encoding: "utf8" });
    if (status !== 0) throw new Error(`closure compiler: exit status ${status}\n${stderr}`);
    return readFileSync(output, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function edited(text, edits) {
  const pieces = [];
  let rest = text.length;
  // From the last place to the first; what is put in goes before what is put in the place of something.
  for (const { start, end, text: by } of edits.sort((a, b) => b.start - a.start || b.end - a.end)) {
    if (end > rest) throw new Error(`two edits of ${text.slice(start, end)}`);
    pieces.push(text.slice(end, rest), by);
    rest = start;
  }
  return [...pieces, text.slice(0, rest)].reverse().join("");
}

/** The module without its imports and exports, and these: the compiler sees imported names as somebody else's variables. */
function apart(ast, code) {
  const imports = [];
  const exports = [];
  const externs = new Set([EXPORTS]);
  const edits = [];
  for (const node of ast.body) {
    const { type, start, end, specifiers = [], source } = node;
    if (type === "ImportDeclaration" || (type.startsWith("Export") && source)) {
      imports.push(code.slice(start, end));
      for (const { local } of type === "ImportDeclaration" ? specifiers : []) externs.add(local.name);
    } else if (type === "ExportNamedDeclaration" && !node.declaration) {
      for (const { local, exported } of specifiers) exports.push(`${exported.name}: () => ${local.name}`);
    } else if (type.startsWith("Export")) {
      throw new Error(`${type}: rollup lists a module's exports at its end`);
    } else {
      continue;
    }
    edits.push({ start, end, text: "" });
  }
  visit(ast, { type: "" }, ({ type, start, end, name }) => {
    if (type !== "PrivateIdentifier") return;
    externs.add(PRIVATE + name);
    edits.push({ start, end, text: PRIVATE + name });
  });
  return { imports, externs: [...externs], text: `${edited(code, edits)}\n${EXPORTS}({ ${exports.join(", ")} });\n` };
}

/** Names that are assigned to somewhere: the compiler turns every variable of a module into a `var`. */
function assignedIn(ast) {
  const names = new Set();
  const target = (node) => visit(node, { type: "" }, ({ type, name }) => type === "Identifier" && names.add(name));
  visit(ast, { type: "" }, ({ type, left, argument }) => {
    if (type === "AssignmentExpression" && left.type !== "MemberExpression") target(left);
    if (type === "UpdateExpression" && argument.type === "Identifier") target(argument);
  });
  return names;
}

/** Functions, and each block or loop in which a `let` would live, by the node that has it as a child. */
const isFunction = ({ type }) => /Function/.test(type);
const BLOCKS = new Set(["BlockStatement", "ForStatement", "ForOfStatement", "ForInStatement"]);

/** Names that a function has from elsewhere, or more than once: their `var` stays. */
function declared(body) {
  const once = new Map();
  const inner = (node, parent, block) => {
    if (isFunction(node)) return;
    const here = BLOCKS.has(node.type) ? node : block;
    if (node.type === "VariableDeclaration" && node.kind === "var") {
      const place = BLOCKS.has(parent.type) ? here : null;
      for (const { id } of node.declarations) once.set(id.name, once.has(id.name) ? null : { node, place });
    }
    for (const child of children(node)) inner(child, node, here);
  };
  inner(body, { type: "" }, body);
  return once;
}

/**
 * Edits that make `var` of functions `let`, where the variable is used in its block alone and after its declaration: XS gives every `var`
 * the value undefined first, whenever the function is called.
 */
function lexical(ast) {
  const edits = [];
  visit(ast, { type: "" }, (node) => {
    if (!isFunction(node) || node.body.type !== "BlockStatement") return;
    const names = declared(node.body);
    const parameters = new Set();
    for (const parameter of node.params) visit(parameter, node, ({ type, name }) => type === "Identifier" && parameters.add(name));
    const uses = new Map();
    visit(node.body, node, (use) => {
      if (use.type !== "Identifier" || !names.has(use.name)) return;
      if (!uses.has(use.name)) uses.set(use.name, { from: use.start, to: use.end });
      const range = uses.get(use.name);
      range.from = Math.min(range.from, use.start);
      range.to = Math.max(range.to, use.end);
    });
    // A declaration of several names is there for each of them.
    const declarations = new Map([...names.values()].filter((one) => one !== null).map((one) => [one.node, one.place]));
    for (const [at, place] of declarations) {
      const safe = at.declarations.every(({ id, init }) => {
        if (id.type !== "Identifier" || place === null || names.get(id.name)?.node !== at || parameters.has(id.name)) return false;
        const { from, to } = uses.get(id.name);
        return from >= id.start && to <= place.end && (init !== null || place === node.body || /^For/.test(place.type));
      });
      if (safe) edits.push({ start: at.start, end: at.start + 3, text: "let" });
    }
  });
  return edits;
}

/** The compiled text as a module again: constants are `const`, which the linker leaves in flash, and the exports are back. */
function together(ast, code, imports) {
  const assigned = assignedIn(ast);
  const edits = [...lexical(ast), ...statements(ast, code)];
  const exports = [];
  for (const node of ast.body) {
    const { type, start, end, declarations, expression } = node;
    if (type === "VariableDeclaration") {
      let from = start;
      for (const { id, init, ...at } of declarations) {
        const keyword = init === null || assigned.has(id.name) ? "let" : "const";
        edits.push({ start: from, end: at.start, text: `${from === start ? "" : ";\n"}${keyword} ` });
        from = at.end;
      }
    } else if (type === "ExpressionStatement" && expression.type === "CallExpression" && expression.callee.name === EXPORTS) {
      const made = [];
      for (const { key, value } of expression.arguments[0].properties) {
        const { type: kind, name, start: from, end: to } = value.body;
        const local = kind === "Identifier" ? name : `exported$${key.name}`;
        if (kind !== "Identifier") made.push(`const ${local} = ${code.slice(from, to)};`);
        exports.push(local === key.name ? local : `${local} as ${key.name}`);
      }
      edits.push({ start, end, text: made.join("\n") });
    }
  }
  const list = exports.length === 0 ? "" : `export { ${exports.join(", ")} };\n`;
  return `${imports.join("\n")}\n${edited(code, edits).replaceAll(PRIVATE, "#")}\n${list}`;
}

/** Functions that are made to be called at once, and so in each call of what they are in. */
function calledWhereMade(ast) {
  let count = 0;
  visit(ast, { type: "" }, ({ type, callee }) => {
    if (type === "CallExpression" && isFunction(callee)) count++;
  });
  return count;
}

export const closure = () => ({
  name: "closure",
  renderChunk(code, { name }) {
    const source = this.parse(code);
    const { imports, externs, text } = apart(source, code);
    const out = compile(text, externs);
    const ast = this.parse(out);
    const more = calledWhereMade(ast) - calledWhereMade(source);
    if (more > 0 && !MAY_ALLOCATE.has(name)) throw new Error(`closure compiler: ${name}: ${more} function expressions where they are called`);
    return { code: together(ast, out, imports), map: null };
  },
});
