/**
 * Writes functions where they are called, when that saves flash: in XS one is 5 slots of 16 bytes, an environment of 2 more, one for
 * each name of the module that it uses, and its call. Closure does so too, but it counts characters, and a return in the middle
 * or a value that a branch asks for is too much for it. Here the body is a block, its parameters are its variables, and a
 * return leaves the block by its label. No function is made in a call by that.
 *
 * A function's variables and the names that it uses are slots of the stack while it runs, so what needs many is not written into
 * another (STACK_SLOTS).
 */
import { edited } from "./closure.mjs";
import { children, isName, visit } from "./flash.mjs";
import { isFunction, isLabel, localsOf, namesIn, uniqueLocals } from "./locals.mjs";

const SLOT_BYTES = 16;
/** An instance, its code, its variable, and an environment. */
const FUNCTION_BYTES = 5 * SLOT_BYTES + 12;
const ENVIRONMENT_BYTES = 2 * SLOT_BYTES;
const PARAMETER_BYTES = 8;
/** A call with its result; each argument is there with or without it. */
const CALL_BYTES = 8;
/** What XS's code has of a node of the tree, on average. */
const NODE_BYTES = 2.2;
/** By how many slots of the stack a function may grow for one that is written into it. */
const STACK_SLOTS = 12;

const isConstant = ({ type, operator, argument }) =>
  type === "Literal" || (type === "UnaryExpression" && /^(-|void|!)$/.test(operator) && argument.type === "Literal");

/** Names that are variables somewhere in a node, and how many of its nodes there are. */
function survey(node) {
  const names = new Set();
  let nodes = 0;
  visit(node, { type: "" }, (one, parent) => {
    nodes++;
    if (one.type === "Identifier" && !isName(one, parent) && !isLabel(one, parent)) names.add(one.name);
  });
  return { names, nodes };
}

/** Whether a statement never goes on behind itself. */
function leaves(node) {
  if (node === undefined) return false;
  if (node.type === "ReturnStatement" || node.type === "ThrowStatement") return true;
  if (node.type === "BlockStatement") return leaves(node.body.at(-1));
  return node.type === "IfStatement" && node.alternate !== null && leaves(node.consequent) && leaves(node.alternate);
}

/** Returns that are the last thing their function does, whichever way it goes. */
function lastReturns(node, found = new Set()) {
  if (node?.type === "ReturnStatement") found.add(node);
  if (node?.type === "BlockStatement") lastReturns(node.body.at(-1), found);
  if (node?.type === "IfStatement") {
    lastReturns(node.consequent, found);
    lastReturns(node.alternate, found);
  }
  return found;
}

/** What a function is that can be written elsewhere, or null. */
function templateOf(name, init) {
  if (init?.type !== "ArrowFunctionExpression" || init.async || init.body.type !== "BlockStatement") return null;
  let strange = !init.params.every(({ type }) => type === "Identifier" || type === "AssignmentPattern");
  const written = new Set();
  const used = new Map();
  const check = (node, parent) => {
    const { type, kind, declarations, left, argument } = node;
    if (isFunction(node) || /^(Class|ThisExpression|MetaProperty|AwaitExpression|YieldExpression)/.test(type)) strange = true;
    if (type === "Identifier" && (node.name === name || node.name === "arguments")) strange = true;
    if (type === "Identifier") used.set(node.name, (used.get(node.name) ?? 0) + 1);
    const target = type === "AssignmentExpression" ? left : type === "UpdateExpression" ? argument : /^For(In|Of)/.test(type) ? left : null;
    if (target !== null && target.type !== "MemberExpression") survey(target).names.forEach((one) => written.add(one));
    if (type === "VariableDeclaration" && kind === "var") {
      const again = parent !== init.body && parent.left !== node;
      if (declarations.some((one) => one.id.type !== "Identifier" || (one.init === null && again))) strange = true;
    }
  };
  for (const parameter of init.params) if (parameter.type === "AssignmentPattern") visit(parameter.right, parameter, check);
  visit(init.body, init, check);
  if (strange || init.params.some(({ type, left }) => type === "AssignmentPattern" && left.type !== "Identifier")) return null;
  return { name, init, written, used, locals: localsOf(init), ...survey(init) };
}

/** Whether what is evaluated before a call would be the same after it: variables of functions, and what never changes. */
const unmoved = (node, constant) => isConstant(node) || (node.type === "Identifier" && constant(node.name));

/** The call that is evaluated first in an expression, if that is one of those wanted. */
function firstCall(node, wanted, constant) {
  if (node === null) return null;
  switch (node.type) {
    case "CallExpression": {
      if (node.callee.type === "MemberExpression" && !node.optional) return firstCall(node.callee, wanted, constant);
      if (node.callee.type !== "Identifier") return null;
      if (wanted(node)) return node;
      if (!constant(node.callee.name)) return null;
      for (const argument of node.arguments) {
        const found = firstCall(argument, wanted, constant);
        if (found !== null) return found;
        if (!unmoved(argument, constant)) return null;
      }
      return null;
    }
    case "BinaryExpression":
      return firstCall(node.left, wanted, constant) ?? (unmoved(node.left, constant) ? firstCall(node.right, wanted, constant) : null);
    case "LogicalExpression":
      return firstCall(node.left, wanted, constant);
    case "ConditionalExpression":
      return firstCall(node.test, wanted, constant);
    case "UnaryExpression":
      return node.operator === "delete" ? null : firstCall(node.argument, wanted, constant);
    case "MemberExpression":
      if (node.optional) return null;
      return firstCall(node.object, wanted, constant) ?? (node.computed && unmoved(node.object, constant) ? firstCall(node.property, wanted, constant) : null);
    case "AssignmentExpression": {
      const { left, right, operator } = node;
      if (/&&|\|\||\?\?/.test(operator)) return null;
      const place = left.type === "MemberExpression" && !left.computed && unmoved(left.object, constant);
      const still = left.type === "Identifier" ? operator === "=" || constant(left.name) : operator === "=" && place;
      return still ? firstCall(right, wanted, constant) : null;
    }
    default:
      return null;
  }
}

/** Calls that can be written out: each with the statement it is in, and what becomes of its value. */
function sites(ast, wanted, constant) {
  const found = [];
  const add = (statement, parent, call, kind, more = {}) => call !== null && found.push({ statement, parent, call, kind, ...more });
  const inside = (node, parent, within) => {
    const here = isFunction(node) ? node : within;
    if (here !== null) {
      const { type } = node;
      const inList = parent.type === "BlockStatement";
      if (type === "ExpressionStatement") {
        const { expression } = node;
        if (wanted(expression)) add(node, parent, expression, "nothing");
        else {
          const call = firstCall(expression, wanted, constant);
          const assigns = call !== null && expression.type === "AssignmentExpression" && expression.operator === "=" && expression.right === call;
          add(node, parent, call, assigns ? "assign" : "value", { target: expression.left });
        }
      } else if (type === "ReturnStatement" && node.argument !== null) {
        if (wanted(node.argument)) add(node, parent, node.argument, "return");
        else add(node, parent, firstCall(node.argument, wanted, constant), "value");
      } else if (type === "IfStatement") add(node, parent, firstCall(node.test, wanted, constant), "value");
      else if (type === "SwitchStatement") add(node, parent, firstCall(node.discriminant, wanted, constant), "value");
      else if (type === "VariableDeclaration" && inList) {
        const [{ id, init }] = node.declarations;
        if (init !== null && id.type === "Identifier" && wanted(init)) add(node, parent, init, "declare");
        else if (init !== null) add(node, parent, firstCall(init, wanted, constant), "value");
      }
    }
    for (const child of children(node)) inside(child, node, here);
  };
  inside(ast, { type: "" }, null);
  return found;
}

const isNumber = ({ type, value }) => type === "Literal" && typeof value === "number";

/** Whether an expression assigns to something. */
const changes = (node) => /^(Assignment|Update|Await|Yield)Expression/.test(node.type) || children(node).some(changes);

/** The text of a call's function in its place; null when that cannot be written. */
function written({ statement, parent, call, kind, target }, { init, written: assigned, used, locals }, { code, fresh, constant }) {
  const slice = ({ start, end }) => code.slice(start, end);
  const names = new Map();
  const labels = new Map();
  const head = [];
  const simple = call.arguments.every((one) => !/Spread/.test(one.type)) && !call.arguments.some(changes);
  if (!simple || call.arguments.length > init.params.length) return null;
  for (const [i, parameter] of init.params.entries()) {
    const { name } = parameter.left ?? parameter;
    const given = call.arguments[i];
    if (parameter.right !== undefined && !(given === undefined ? isConstant(parameter.right) : isNumber(given))) return null;
    const value = given ?? parameter.right;
    const uses = used.get(name) ?? 0;
    if (value !== undefined && !assigned.has(name) && unmoved(value, constant)) {
      names.set(name, value.type === "UnaryExpression" ? `(${slice(value)})` : slice(value));
    } else if (uses === 0) {
      if (value !== undefined) head.push(`${slice(value)};`);
    } else {
      names.set(name, fresh(name));
      head.push(value === undefined ? `let ${names.get(name)};` : `let ${names.get(name)} = ${slice(value)};`);
    }
  }
  for (const { name, kind: how } of locals) {
    names.set(name, fresh(name));
    if (how === "var") head.push(`let ${names.get(name)};`);
  }
  const last = lastReturns(init.body);
  const label = fresh("to");
  let result = "";
  if (kind === "declare") result = slice(statement.declarations[0].id);
  if (kind === "assign") result = slice(target);
  if (kind === "value") result = fresh("is");
  if (kind === "assign" && !leaves(init.body)) return null;
  const edits = [];
  let labelled = false;
  visit(init.body, init, (node, above) => {
    const { type, start, end } = node;
    if (type === "Identifier") {
      if (isLabel(node, above)) {
        if (!labels.has(node.name)) labels.set(node.name, fresh("to"));
        edits.push({ start, end, text: labels.get(node.name) });
      } else if (!isName(node, above) && names.has(node.name)) edits.push({ start, end, text: names.get(node.name) });
    } else if (type === "VariableDeclaration" && node.kind === "var") {
      edits.push({ start, end: node.declarations[0].start, text: "" });
      for (const one of node.declarations) if (one.init === null && above.left !== node) edits.push({ start: one.end, end: one.end, text: " = void 0" });
    } else if (type === "ReturnStatement" && kind !== "return") {
      const leave = last.has(node) ? "" : ` break ${label};`;
      labelled ||= leave !== "";
      const { argument } = node;
      if (argument === null) edits.push({ start, end, text: `{ ${kind === "assign" ? `${result} = void 0;` : ""}${leave} }` });
      else {
        edits.push({ start, end: argument.start, text: result === "" ? "{ (" : `{ ${result} = (` });
        edits.push({ start: argument.end, end, text: `);${leave} }` });
      }
    }
  });
  const { start, end } = init.body;
  const body = edited(code.slice(start, end), edits.map((edit) => ({ start: edit.start - start, end: edit.end - start, text: edit.text })));
  const block = `{\n${head.join("\n")}\n${labelled ? `${label}: ` : ""}${body}\n}`;
  const wrap = (text) => (parent.type === "BlockStatement" ? text : `{\n${text}\n}`);
  switch (kind) {
    case "nothing":
    case "assign":
      return { ...statement, text: block };
    case "return":
      return { ...statement, text: wrap(leaves(init.body) ? block : `${block}\nreturn;`) };
    case "declare": {
      const keyword = statement.kind === "var" ? "var" : "let";
      const [, next] = statement.declarations;
      const rest = next === undefined ? "" : `\n${statement.kind} ${code.slice(next.start, statement.end)}`;
      return { ...statement, text: `${keyword} ${result};\n${block}${rest}` };
    }
    default: {
      const rest = `${code.slice(statement.start, call.start)}${result}${code.slice(call.end, statement.end)}`;
      return { ...statement, text: wrap(`let ${result};\n${block}\n${rest}`) };
    }
  }
}

/** The module's functions that can be written elsewhere, with where they are called, and what each name of the module is used by. */
function look(ast) {
  const constants = new Map();
  const top = new Set();
  for (const { type, kind, declarations } of ast.body) {
    if (type !== "VariableDeclaration") continue;
    for (const one of declarations) {
      top.add(one.id.name);
      if (kind === "const") constants.set(one.id.name, { init: one.init, place: declarations.length === 1 ? one : null, calls: 0, others: 0 });
    }
  }
  visit(ast, { type: "" }, (node, parent) => {
    const found = node.type === "Identifier" ? constants.get(node.name) : undefined;
    if (found === undefined || (isName(node, parent) && !/^Export/.test(parent.type)) || isLabel(node, parent)) return;
    if (parent.type === "VariableDeclarator" && parent.id === node) return;
    if (parent.type === "CallExpression" && parent.callee === node) found.calls++;
    else found.others++;
  });
  return { constants, top };
}

/** Bytes that writing a function out at all its calls saves. */
function saving({ init, names, nodes }, calls, top, callers) {
  const uses = [...names].filter((name) => top.has(name));
  const body = nodes * NODE_BYTES;
  const environment = uses.length > 0 ? ENVIRONMENT_BYTES + SLOT_BYTES * uses.length : 0;
  const alone = FUNCTION_BYTES + PARAMETER_BYTES * init.params.length + environment + body;
  const more = callers.reduce((sum, caller) => sum + uses.filter((name) => !caller.has(name)).length - 1, 0);
  return alone + calls * CALL_BYTES - calls * (body + PARAMETER_BYTES * init.params.length) - SLOT_BYTES * more;
}

/** One round: functions that are not in one another are written out. @returns the new text, or null when there are none */
function round(code, ast, fresh, locals) {
  const { constants, top } = look(ast);
  const constant = (name) => locals.has(name) || constants.has(name);
  const functions = ast.body.filter(({ type }) => type === "VariableDeclaration" || /^Class/.test(type));
  const ownerOf = ({ start, end }) => functions.find((one) => one.start <= start && end <= one.end);
  const templates = new Map();
  for (const [name, { init, calls, others, place }] of constants) {
    const template = others === 0 && calls > 0 && place !== null ? templateOf(name, init) : null;
    if (template !== null) templates.set(name, template);
  }
  const wanted = ({ type, optional, callee }) => type === "CallExpression" && !optional && callee.type === "Identifier" && templates.has(callee.name);
  const byName = new Map([...templates.keys()].map((name) => [name, []]));
  for (const site of sites(ast, wanted, constant)) byName.get(site.call.callee.name).push(site);
  const edits = [];
  const gone = new Set();
  const touched = new Set();
  const surveys = new Map();
  for (const [name, template] of [...templates].sort(([, a], [, b]) => a.nodes - b.nodes)) {
    const places = byName.get(name);
    const declaration = ownerOf(template.init);
    if (places.length !== constants.get(name).calls || touched.has(declaration)) continue;
    const owners = new Set(places.map(({ statement }) => ownerOf(statement)));
    if (owners.has(undefined) || [...owners].some((owner) => gone.has(owner))) continue;
    for (const owner of owners) if (!surveys.has(owner)) surveys.set(owner, survey(owner).names);
    const callers = [...owners].map((owner) => surveys.get(owner));
    if (saving(template, places.length, top, callers) <= 0) continue;
    const uses = [...template.names].filter((one) => top.has(one));
    if (callers.some((caller) => template.locals.length + uses.filter((one) => !caller.has(one)).length > STACK_SLOTS)) continue;
    if (places.some(({ statement: a }) => edits.some((b) => a.start < b.end && b.start < a.end))) continue;
    const nested = places.some(({ statement: a }, i) => places.some(({ statement: b }, k) => i !== k && a.start < b.end && b.start < a.end));
    const texts = nested ? [null] : places.map((place) => written(place, template, { code, fresh, constant }));
    if (texts.includes(null)) continue;
    edits.push(...texts, { start: declaration.start, end: declaration.end, text: "" });
    gone.add(declaration);
    for (const owner of owners) {
      touched.add(owner);
      for (const one of uses) surveys.get(owner).add(one);
    }
  }
  return edits.length === 0 ? null : edited(code, edits.map(({ start, end, text }) => ({ start, end, text })));
}

/** A module's text with functions written where they are called. @param parse makes a tree of a text */
export function inlined(code, parse) {
  const ast = parse(code);
  const taken = namesIn(ast);
  const locals = new Set();
  let count = 0;
  const fresh = (name) => {
    const stem = name.replace(/\$\d+$/, "");
    let made;
    do made = `${stem}$${++count}`; while (taken.has(made));
    locals.add(made);
    return made;
  };
  const { edits, names } = uniqueLocals(ast, fresh);
  let text = edited(code, edits);
  for (const name of locals) if (!names.has(name)) locals.delete(name);
  for (let next = text; next !== null; next = round(text, parse(text), fresh, locals)) text = next;
  return text;
}

export const inline = () => ({
  name: "inline",
  renderChunk(code) {
    return { code: inlined(code, (text) => this.parse(text)), map: null };
  },
});
