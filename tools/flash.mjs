/**
 * What makes a bundle small in flash, where a function is 5 slots of 16 bytes and 5 more if it is no arrow, each name of the module
 * that it uses is one more, and each word that is a name somewhere is one for the whole image: numbers are written where they
 * are used, functions are arrows, and variables have the names of properties.
 */
import { minify } from "terser";

/** Modules that have numbers and do not import others' but of their kind. */
const NUMBERS = /\/src\/(uapi|stack\/wire)\//;

const OPERATIONS = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "|": (a, b) => a | b,
  "&": (a, b) => a & b,
  "<<": (a, b) => a << b,
  ">>": (a, b) => a >> b,
};

/** Value of an expression of literals and known names, or undefined. */
function valueOf(node, known) {
  switch (node.type) {
    case "Literal":
      return typeof node.value === "number" ? node.value : undefined;
    case "Identifier":
      return known.get(node.name);
    case "UnaryExpression": {
      const value = valueOf(node.argument, known);
      if (value === undefined) return undefined;
      return node.operator === "-" ? -value : node.operator === "~" ? ~value : undefined;
    }
    case "BinaryExpression": {
      const left = valueOf(node.left, known);
      const right = valueOf(node.right, known);
      const operation = OPERATIONS[node.operator];
      return left === undefined || right === undefined || operation === undefined ? undefined : operation(left, right);
    }
    default:
      return undefined;
  }
}

/** Places where an identifier is a name and not a variable. */
export function isName(node, parent) {
  if (parent.type === "MemberExpression") return parent.property === node && !parent.computed;
  if (parent.type === "Property" || parent.type === "PropertyDefinition" || parent.type === "MethodDefinition") {
    return parent.key === node && !parent.computed && !parent.shorthand;
  }
  return parent.type.startsWith("Import") || parent.type.startsWith("Export");
}

/** The nodes right below a node. */
export function children(node) {
  return Object.values(node).flat().filter((item) => typeof item?.type === "string");
}

export function visit(node, parent, each) {
  each(node, parent);
  for (const child of children(node)) visit(child, node, each);
}

/** Numbers that a module exports, by name. */
function numbersOf(body) {
  const known = new Map();
  for (const { type, declaration } of body) {
    if (type !== "ExportNamedDeclaration" || declaration?.type !== "VariableDeclaration" || declaration.kind !== "const") continue;
    for (const { id, init } of declaration.declarations) {
      const value = init === null ? undefined : valueOf(init, known);
      if (value !== undefined) known.set(id.name, value);
    }
  }
  return known;
}

/**
 * Numbers that another module exports are written where they are used: the minifier sees one output file at a time, and a name
 * imported by an XS module costs a slot in each function that uses it.
 */
export const inlineNumbers = () => {
  const exported = new Map();
  const exportsOf = (context, id) => {
    if (!exported.has(id)) exported.set(id, context.load({ id }).then(({ ast }) => numbersOf(ast?.body ?? [])));
    return exported.get(id);
  };
  return {
    name: "inline-numbers",
    async transform(code, id) {
      if (!id.endsWith(".ts") || NUMBERS.test(id)) return null;
      const ast = this.parse(code);
      const known = new Map();
      for (const { type, source, specifiers } of ast.body) {
        if (type !== "ImportDeclaration") continue;
        const from = await this.resolve(source.value, id);
        if (from === null || !NUMBERS.test(from.id)) continue;
        const numbers = await exportsOf(this, from.id);
        for (const { imported, local } of specifiers) {
          if (imported !== undefined && numbers.has(imported.name)) known.set(local.name, numbers.get(imported.name));
        }
      }
      const edits = [];
      visit(ast, { type: "" }, (node, parent) => {
        if (node.type !== "Identifier" || !known.has(node.name) || isName(node, parent)) return;
        const text = `(${known.get(node.name)})`;
        const shorthand = parent.type === "Property" && parent.shorthand;
        if (shorthand && parent.key !== node) return;
        edits.push({ ...node, text: shorthand ? `${node.name}: ${text}` : text });
      });
      let out = code;
      for (const { start, end, text } of edits.sort((a, b) => b.start - a.start)) out = out.slice(0, start) + text + out.slice(end);
      return { code: out, map: null };
    },
  };
};

/** Whether a function's own body has `this`, `arguments` or `new.target`, which an arrow has not. */
function usesThis(node) {
  if (node === null || typeof node !== "object") return false;
  if (Array.isArray(node)) return node.some(usesThis);
  switch (node.type) {
    case "ThisExpression":
    case "MetaProperty":
    case "Super":
      return true;
    case "Identifier":
      return node.name === "arguments";
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ClassBody":
      return false;
    default:
      return Object.values(node).some(usesThis);
  }
}

/** Functions of a module become constant arrows, 4 slots less each, at its top: as early as JavaScript would hoist them. */
export const functionsToArrows = () => ({
  name: "functions-to-arrows",
  renderChunk(code) {
    const { body } = this.parse(code);
    const arrows = [];
    let rest = "";
    let at = 0;
    for (const node of body) {
      const { type, id, params, generator, async } = node;
      if (type !== "FunctionDeclaration" || generator || usesThis(params) || usesThis(node.body.body)) continue;
      const parameters = params.map(({ start, end }) => code.slice(start, end)).join(", ");
      arrows.push(`const ${id.name} = ${async ? "async " : ""}(${parameters}) => ${code.slice(node.body.start, node.body.end)};`);
      rest += code.slice(at, node.start);
      at = node.end;
    }
    rest += code.slice(at);
    const imports = body.filter(({ type }) => type === "ImportDeclaration").map(({ start, end }) => code.slice(start, end));
    for (const text of imports) rest = rest.replace(text, "");
    return { code: [...imports, ...arrows, rest].join("\n"), map: null };
  },
});

/** Words that a property may be called and a variable may not. */
const NO_VARIABLE = new Set(
  ("arguments async await break case catch class const continue debugger default delete do else enum eval export extends false finally for " +
    "function get if implements import in instanceof interface let new null of package private protected public return set static super " +
    "switch this throw true try typeof undefined var void while with yield Infinity NaN").split(" "),
);

/** Whose properties' names are in every image of XS. */
const BUILTINS = [
  Array.prototype, ArrayBuffer.prototype, Atomics, DataView.prototype, Date.prototype, JSON, Map.prototype, Math, Number, Object, Promise,
  Reflect, Object.getPrototypeOf(Uint8Array.prototype),
];

/** Names of properties: those that a module has, the most used first, and the builtins'. */
function propertyNames(ast) {
  const uses = new Map();
  visit(ast, { type: "" }, (node, parent) => {
    if (node.type !== "Identifier" || !isName(node, parent) || /^(Import|Export)/.test(parent.type) || NO_VARIABLE.has(node.name)) return;
    uses.set(node.name, (uses.get(node.name) ?? 0) + 1);
  });
  const own = [...uses].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const builtin = BUILTINS.flatMap(Object.getOwnPropertyNames).filter((name) => /^[a-z]/.test(name) && !NO_VARIABLE.has(name));
  return [...new Set([...own, ...builtin])];
}

/**
 * Variables and functions take the names of properties, which are in the image's list of names anyway: an own name
 * is a slot, a pointer and its text. What it says then is no name for people; LINNET_NAMES=1 builds with those of the sources.
 */
export const shareNames = () => ({
  name: "share-names",
  async renderChunk(code) {
    const names = propertyNames(this.parse(code));
    const nth_identifier = { get: (n) => (n < names.length ? names[n] : `$${(n - names.length).toString(36)}`) };
    const options = { ecma: 2020, module: true, compress: false, format: { beautify: true, indent_level: 2, comments: false } };
    const { code: out } = await minify(code, { ...options, mangle: { toplevel: true, nth_identifier } });
    return { code: out, map: null };
  },
});
