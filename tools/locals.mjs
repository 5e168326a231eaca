/**
 * Variables of functions: where they are declared and used, and names for them that nothing else in the module has, so that a
 * function's text can stand in another.
 */
import { children, isName, visit } from "./flash.mjs";

export const isFunction = ({ type }) => /Function/.test(type);
export const isLabel = (node, { type, label }) => label === node && /^(Labeled|Break|Continue)/.test(type);

/** Names that a pattern declares. */
function declaredBy(pattern, names = []) {
  switch (pattern?.type) {
    case "Identifier":
      names.push(pattern.name);
      break;
    case "AssignmentPattern":
      declaredBy(pattern.left, names);
      break;
    case "RestElement":
      declaredBy(pattern.argument, names);
      break;
    case "ArrayPattern":
      for (const one of pattern.elements) declaredBy(one, names);
      break;
    case "ObjectPattern":
      for (const one of pattern.properties) declaredBy(one.value ?? one, names);
      break;
  }
  return names;
}

/** What is declared in a function's body, however deep, but not in functions in it: names, each with its kind. */
export function localsOf(node) {
  const found = [];
  const inner = (one) => {
    if (one.type === "VariableDeclaration") {
      for (const { id } of one.declarations) for (const name of declaredBy(id)) found.push({ name, kind: one.kind });
    }
    if (one.type === "CatchClause") for (const name of declaredBy(one.param)) found.push({ name, kind: "let" });
    if (/^(Class|Function)Declaration/.test(one.type)) found.push({ name: one.id.name, kind: "let" });
    if (!isFunction(one)) children(one).forEach(inner);
  };
  children(node.body).forEach(inner);
  return found;
}

/** Names that a block declares itself. */
function lexicalIn(node) {
  const cases = node.cases?.flatMap(({ consequent }) => consequent);
  const list = cases ?? (Array.isArray(node.body) ? node.body : [node.init ?? node.left]);
  return list.flatMap((one) => {
    if (one?.type === "VariableDeclaration" && one.kind !== "var") return one.declarations.flatMap(({ id }) => declaredBy(id));
    return /^(Class|Function)Declaration/.test(one?.type) ? [one.id.name] : [];
  });
}

const SCOPES = /^(BlockStatement|For|Switch|StaticBlock)/;

/**
 * Edits that give each variable of a function a name of its own.
 * @param fresh makes a name of another
 * @returns also the names, without those that a function within theirs assigns to
 */
export function uniqueLocals(ast, fresh) {
  const edits = [];
  const names = new Set();
  const shared = new Set();
  const scoped = (outer, declared, owner) => ({ outer, owner, names: new Map(declared.map((name) => [name, owner === null ? name : fresh(name)])) });
  const find = (scope, name) => (scope === null ? undefined : scope.names.has(name) ? { scope, as: scope.names.get(name) } : find(scope.outer, name));
  const walk = (node, parent, scope, owner, writes) => {
    if (node.type === "Identifier") {
      if (isName(node, parent) || isLabel(node, parent)) return;
      const found = find(scope, node.name);
      if (found === undefined || found.scope.owner === null) return;
      names.add(found.as);
      if (writes && found.scope.owner !== owner) shared.add(found.as);
      edits.push({ start: node.start, end: node.end, text: found.as });
      return;
    }
    let inner = scope;
    let within = owner;
    if (isFunction(node)) {
      within = node;
      const own = node.type === "FunctionExpression" && node.id ? [node.id.name] : [];
      const vars = localsOf(node).filter(({ kind }) => kind === "var").map(({ name }) => name);
      inner = scoped(scope, [...own, ...node.params.flatMap((one) => declaredBy(one)), ...vars], within);
    } else if (SCOPES.test(node.type)) inner = scoped(scope, lexicalIn(node), owner);
    else if (node.type === "CatchClause") inner = scoped(scope, declaredBy(node.param), owner);
    else if (node.type === "ClassExpression" && node.id) inner = scoped(scope, [node.id.name], owner);
    if (node.type === "Property" && node.shorthand) {
      const { name } = node.key;
      const found = find(scope, name);
      if (found !== undefined && found.scope.owner !== null) edits.push({ start: node.start, end: node.start, text: `${name}: ` });
      walk(node.value, node, scope, owner, writes);
      return;
    }
    const into = node.type === "AssignmentExpression" || /^For(In|Of)/.test(node.type) ? node.left : node.type === "UpdateExpression" ? node.argument : null;
    for (const child of children(node)) {
      // A function's name is outside of it; a member that is written to is no variable.
      const around = node.type === "FunctionDeclaration" && child === node.id ? scope : inner;
      walk(child, node, around, within, child === into || (writes && node.type !== "MemberExpression"));
    }
  };
  walk(ast, { type: "" }, null, null, false);
  return { edits, names: new Set([...names].filter((name) => !shared.has(name))) };
}

/** Names that are in a module's text as variables or properties. */
export function namesIn(ast) {
  const names = new Set();
  visit(ast, { type: "" }, ({ type, name }) => type === "Identifier" && names.add(name));
  return names;
}
