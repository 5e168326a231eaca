/**
 * Functions that are not called for packets share one function. To XS a function is 5 slots of 16 bytes and one for each name of its
 * module that it uses, whatever it does; a dozen functions of the same files use much the same names. So those that are only ever
 * called become the cases of a function whose first argument says which, and a call of one names its number. What is called for
 * packets (hot.mjs) stays as it is, because a call here costs a few comparisons more.
 */
import { children, isName, visit } from "./flash.mjs";
import { sourceName } from "./hot.mjs";

/** Names of the module that a shared function uses at most: each is a slot of stack for as long as it runs. */
const MOST_NAMES = 20;
/** The chip's driver polls, and no XS test sees its traffic. */
const DRIVERS = /^linnet\/hal\//;
/** The compiler's way to write names: `$name$$`, `$name$jscomp$1$$`. */
const originalName = (name) => sourceName(name.replace(/^\$?(.*?)(\$jscomp\$\d+)?\$\$(\d+)?$/, "$1"));

const isFunction = ({ type }) => /Function|^Class/.test(type);

/** Names that functions of the module declare, at any depth: such a name outside says nothing about one inside. */
function localNames(ast) {
  const names = new Set();
  const pattern = (node) => visit(node, { type: "" }, ({ type, name }) => type === "Identifier" && names.add(name));
  const walk = (node, depth) => {
    if (depth > 0 && node.type === "VariableDeclarator") pattern(node.id);
    if (node.type === "CatchClause" && node.param !== null) pattern(node.param);
    if (isFunction(node)) {
      node.params?.forEach(pattern);
      if (depth > 0 && node.id) names.add(node.id.name);
    }
    for (const child of children(node)) walk(child, depth + (isFunction(node) ? 1 : 0));
  };
  walk(ast, 0);
  return names;
}

/** Constant arrows that could be cases: their parameters are plain and they make no functions. */
function candidates(ast, stays) {
  const found = new Map();
  for (const { type, kind, declarations, start, end } of ast.body) {
    if (type !== "VariableDeclaration" || kind !== "const" || declarations.length !== 1) continue;
    const [{ id, init }] = declarations;
    if (init?.type !== "ArrowFunctionExpression" || init.async || stays(id.name)) continue;
    if (init.params.some((parameter) => parameter.type !== "Identifier")) continue;
    const params = new Set(init.params.map(({ name }) => name));
    let plain = params.size === init.params.length;
    visit(init.body, init, (node) => (plain &&= !isFunction(node) && !(node.type === "VariableDeclarator" && params.has(node.id.name))));
    if (plain) found.set(id.name, { name: id.name, params: init.params.map(({ name }) => name), body: init.body, start, end, uses: new Set() });
  }
  return found;
}

/** Leaves those that something but a call refers to, and notes which names of the module each of them uses. */
function onlyCalled(ast, found, locals) {
  const globals = new Set();
  for (const { type, declarations, id, specifiers } of ast.body) {
    if (type === "ImportDeclaration") specifiers.forEach(({ local }) => globals.add(local.name));
    else if (type === "VariableDeclaration") declarations.forEach((one) => globals.add(one.id.name));
    else if (id) globals.add(id.name);
  }
  const walk = (node, parent, inside) => {
    if (node.type === "Identifier" && !isName(node, parent) && globals.has(node.name) && !(parent.type === "VariableDeclarator" && parent.id === node)) {
      inside?.uses.add(node.name);
      const called = parent.type === "CallExpression" && parent.callee === node && parent.arguments.every(({ type }) => type !== "SpreadElement");
      if (!called || parent.optional) found.delete(node.name);
    }
    for (const child of children(node)) walk(child, node, inside);
  };
  for (const node of ast.body) walk(node, { type: "" }, node.type === "VariableDeclaration" ? found.get(node.declarations[0].id.name) : undefined);
  for (const name of found.keys()) if (locals.has(name)) found.delete(name);
}

/** Neighbours in the module, as many as use no more than so many names together: what they call of each other is one name. */
function groupsOf(found) {
  const groups = [];
  let group = { cases: [], uses: new Set() };
  for (const one of found.values()) {
    const uses = new Set([...group.uses, ...one.uses]);
    for (const { name } of [...group.cases, one]) uses.delete(name);
    if (uses.size > MOST_NAMES && group.cases.length > 0) {
      groups.push(group);
      group = { cases: [one], uses: new Set(one.uses) };
    } else {
      group = { cases: [...group.cases, one], uses };
    }
  }
  return [...groups, group].filter(({ cases }) => cases.length > 1);
}

/** Text between two places with the edits that lie there. */
function rewritten(code, edits, from, to) {
  let out = "";
  let at = from;
  for (const { start, end, text } of edits) {
    if (start < from || end > to) continue;
    out += code.slice(at, start) + text;
    at = end;
  }
  return out + code.slice(at, to);
}

/** Which case it is, by halves. */
function choice(cases, from, write) {
  if (cases.length === 1) return write(cases[0]);
  const half = cases.length >> 1;
  const rest = cases.slice(half);
  return `if (which$ < ${from + half}) {\n${choice(cases.slice(0, half), from, write)}\n} else {\n${choice(rest, from + half, write)}\n}`;
}

/** The module's text with its cold functions merged. @param isHot says of a name whether the function stays */
export function merged(ast, code, isHot) {
  const locals = localNames(ast);
  const exported = new Set();
  for (const { type, specifiers } of ast.body) if (type.startsWith("Export")) specifiers.forEach(({ local }) => exported.add(local.name));
  const found = candidates(ast, (name) => exported.has(name) || isHot(name));
  onlyCalled(ast, found, locals);
  const groups = groupsOf(found);
  const where = new Map(groups.flatMap(({ cases }, group) => cases.map(({ name }, i) => [name, { group, i }])));
  const edits = [];
  const renamed = new Map();
  const walk = (node, parent, names) => {
    if (node.type === "Identifier" && !isName(node, parent)) {
      const to = names.get(node.name);
      if (to !== undefined) edits.push({ start: node.start, end: node.end, text: parent.shorthand ? `${node.name}: ${to}` : to });
    }
    const place = node.type === "CallExpression" && node.callee.type === "Identifier" ? where.get(node.callee.name) : undefined;
    if (place !== undefined) {
      const [first] = node.arguments;
      edits.push({ start: node.callee.start, end: first?.start ?? node.end, text: `shared$${place.group}(${place.i}${first ? ", " : ")"}` });
    }
    for (const child of children(node)) {
      const again = node.shorthand && child === node.key;
      if (!again && (place === undefined || child !== node.callee)) walk(child, node, names);
    }
  };
  for (const node of ast.body) {
    const one = node.type === "VariableDeclaration" ? found.get(node.declarations[0].id.name) : undefined;
    const names = one !== undefined && where.has(one.name) ? new Map(one.params.map((name, i) => [name, `arg$${i}`])) : renamed;
    walk(one === undefined ? node : one.body, node, names);
  }
  edits.sort((a, b) => a.start - b.start || a.end - b.end);
  let out = "";
  let at = 0;
  const shared = groups.map(({ cases }, group) => {
    const count = Math.max(...cases.map(({ params }) => params.length));
    const text = ({ body }) => {
      const inside = rewritten(code, edits, body.start, body.end);
      return body.type === "BlockStatement" ? inside.slice(1, -1) : `return (${inside});`;
    };
    const parameters = Array.from({ length: count }, (_, i) => `, arg$${i}`).join("");
    return `const shared$${group} = (which$${parameters}) => {\n${choice(cases, 0, text)}\n};\n`;
  });
  for (const { name, start, end } of found.values()) {
    if (!where.has(name)) continue;
    out += rewritten(code, edits, at, start);
    at = end;
  }
  out += rewritten(code, edits, at, code.length);
  const imports = ast.body.filter(({ type }) => type === "ImportDeclaration");
  const top = imports.at(-1)?.end ?? 0;
  return `${out.slice(0, top)}\n${shared.join("")}${out.slice(top)}`;
}

/** @param hot gives a promise of the names of the sources' functions that stay */
export const mergeCold = (hot) => ({
  name: "merge-cold",
  async renderChunk(code, { name }) {
    if (DRIVERS.test(name)) return null;
    const names = await hot();
    return { code: merged(this.parse(code), code, (one) => names.has(originalName(one))), map: null };
  },
});
