/**
 * Classes that are nothing but their fields become functions that return an object literal, and `new X(a)` becomes `X(a)`: of a
 * class with fields XS makes two functions, each with a prototype, which is 230 bytes of flash more than an arrow; the object is
 * the same, with the same fields in the same order. A class that stays, because it has methods or programs may extend it, has its
 * fields set by its constructor: one function less. One that keeps constants gives them to the module.
 *
 * A class can only go if nobody asks for it but by `new`, in any chunk, so they are looked at together (struct-classes.mjs); one
 * that extends another of its chunk takes over its fields.
 */
import { edited } from "./closure.mjs";
import { children, visit } from "./flash.mjs";
import { constantsOnly, family, fieldsOnly, isConstructor, isField, isPure, isRead, survey, usesThis, variablesOf } from "./struct-classes.mjs";

/** The class that one extends, where its fields can be taken over: null for none, undefined if it must stay. */
function baseOf({ chunk, node, base }) {
  if (node.superClass === null) return null;
  return base?.chunk === chunk && base.known && fieldsOnly(base) && layout(base).rest.length === 0 ? base : undefined;
}

/** The fields that a class takes over, with what it gives to super() for the other's parameters; null when that is too much. */
function inherited(base, { shape }) {
  const own = variablesOf(shape.parameters);
  const given = new Map();
  for (const [i, parameter] of base.shape.parameters.entries()) {
    const argument = shape.superArguments[i] ?? parameter.right;
    if (argument === undefined || !(argument.type === "Identifier" || isPure(argument, own))) return null;
    given.set((parameter.left ?? parameter).name, argument);
  }
  if (shape.superArguments.length > base.shape.parameters.length) return null;
  const fields = [];
  for (const field of layout(base).fields) {
    const uses = field.value !== null && [...variablesOf([field.value])].some((name) => given.has(name));
    if (uses && (field.given.size > 0 || !isRead(field.value))) return null;
    fields.push(uses ? { ...field, given, pure: false } : { ...field });
  }
  return fields;
}

/**
 * An object's fields in their order, the constructor's simple assignments among them, and the statements of the constructor that
 * are left; whether it still extends another class.
 */
function layout(made) {
  return (made.layout ??= layOut(made));
}

function layOut(made) {
  const { shape } = made;
  const base = baseOf(made);
  const taken = base ? inherited(base, made) : [];
  const fields = taken ?? [];
  const parameters = variablesOf(shape.parameters);
  for (const { key, value } of shape.fields) {
    fields.push({ name: key.name, value, given: new Map(), pure: value === null || isPure(value, parameters) });
  }
  const rest = [...shape.body];
  for (const set = new Set(); rest.length > 0; rest.shift()) {
    const { left, right, operator } = rest[0].expression ?? {};
    if (operator !== "=" || left?.type !== "MemberExpression" || left.object.type !== "ThisExpression" || left.computed || usesThis(right)) break;
    const at = fields.findIndex(({ name }) => name === left.property.name);
    if (at < 0 || set.has(at)) break;
    const pure = isPure(right, parameters);
    // It is made before the values of the fields that follow.
    if (!pure && !fields.slice(at + 1).every((field) => field.pure)) break;
    if (fields[at].value !== null && !isRead(fields[at].value)) break;
    fields[at] = { name: fields[at].name, value: right, given: new Map(), pure };
    set.add(at);
  }
  return { fields, rest, extending: base === undefined || taken === null };
}

/** Whether a class becomes a function. */
function goes(made) {
  const { known, exported, reads, heirs } = made;
  if (!known || exported || reads.length > 0 || !fieldsOnly(made) || layout(made).extending) return false;
  return heirs.every((heir) => heir.shape !== null && baseOf(heir) === made && !layout(heir).extending && (goes(heir) || setsFields(heir)));
}

/** Whether the constructor of a class that stays can set its fields: nothing in its family answers instead. */
function setsFields(made) {
  const { node, shape } = made;
  if (shape === null || !node.body.body.every((member) => isField(member) || member.type === "MethodDefinition")) return false;
  if (node.body.body.some(({ type, key, static: isStatic }) => type === "PropertyDefinition" && !isStatic && key.type !== "Identifier")) return false;
  const { fields, extending } = layout(made);
  if (fields.length === 0 || (extending && shape.own === undefined && !needsNothing(made.base))) return false;
  const all = family(made);
  const names = new Set(fields.map(({ name }) => name));
  return all !== null && all.every((one) => one.node.body.body.every(({ type, key }) => type !== "MethodDefinition" || !names.has(key.name)));
}

/** Whether a class is made without arguments. */
function needsNothing(made) {
  if (made === undefined || made.shape === null) return false;
  return made.shape.own === undefined && made.node.superClass !== null ? needsNothing(made.base) : made.shape.parameters.length === 0;
}

/** The places of `this` in statements. */
function thises(node, places = []) {
  if (node.type === "ThisExpression") places.push(node);
  if (!/^(FunctionExpression|FunctionDeclaration|Class)/.test(node.type)) for (const child of children(node)) thises(child, places);
  return places;
}

/** The text of nodes of a chunk: with the edits that lie within, and others. */
const writer = ({ code }, edits) => ({ start, end }, more = []) => {
  const inside = [...edits.filter((edit) => edit.start >= start && edit.end <= end), ...more];
  return edited(code.slice(start, end), inside.map((edit) => ({ start: edit.start - start, end: edit.end - start, text: edit.text })));
};

/** The value of a field as text. */
function valueText({ value, given }, text) {
  if (value === null) return "void 0";
  const edits = [];
  visit(value, { type: "" }, ({ type, name, start, end }) => {
    if (type === "Identifier" && given.has(name)) edits.push({ start, end, text: `(${text(given.get(name))})` });
  });
  return text(value, edits);
}

/** The function that stands for a class. */
function functionText(made, text) {
  const { fields, rest } = layout(made);
  const { name, node, shape } = made;
  const literal = `{ ${fields.map((field) => `${field.name}: ${valueText(field, text)}`).join(", ")} }`;
  const head = `function ${name}(${shape.parameters.map((one) => text(one)).join(", ")}) {\n`;
  if (rest.length === 0) return `${head}return ${literal};\n}`;
  const used = variablesOf([node]);
  let self = "self";
  while (used.has(self)) self += "$";
  const statements = rest.map((one) => text(one, thises(one).map(({ start, end }) => ({ start, end, text: self }))));
  return `${head}const ${self} = ${literal};\n${statements.join("\n")}\nreturn ${self};\n}`;
}

/** A class with a constructor that sets its fields. */
function classText(made, text) {
  const { fields, rest, extending } = layout(made);
  const { name, node, shape } = made;
  const first = !extending ? "" : shape.own === undefined ? "super();\n" : `super(${shape.superArguments.map((one) => text(one)).join(", ")});\n`;
  const sets = fields.map((field) => `this.${field.name} = ${valueText(field, text)};`);
  const parameters = shape.parameters.map((one) => text(one)).join(", ");
  const constructor = `constructor(${parameters}) {\n${first}${[...sets, ...rest.map((one) => text(one))].join("\n")}\n}`;
  const others = node.body.body.filter((member) => !isConstructor(member) && !(isField(member) && !member.static));
  return `class ${name}${extending ? ` extends ${text(node.superClass)}` : ""} {\n${[constructor, ...others.map((one) => text(one))].join("\n")}\n}`;
}

const constantText = ({ name }, { key, value }, text) => `const ${name}$${key.name} = ${text(value)};`;

/**
 * The texts of all chunks of a bundle without these classes.
 * @param sources of each its file, code, ast, and the names that programs import from it: null for all that it exports
 */
export function withoutClasses(sources) {
  const chunks = survey(sources);
  const all = chunks.flatMap(({ classes }) => [...classes.values()]);
  const edits = new Map(chunks.map((chunk) => [chunk, []]));
  const gone = all.filter(goes);
  for (const { news } of gone) {
    for (const { chunk, node } of news) {
      edits.get(chunk).push({ start: node.start, end: node.callee.start, text: "" });
      if (node.end === node.callee.end) edits.get(chunk).push({ start: node.end, end: node.end, text: "()" });
    }
  }
  const constants = all.filter(constantsOnly);
  for (const { reads } of constants) {
    for (const { chunk, node } of reads) edits.get(chunk).push({ start: node.start, end: node.end, text: `${node.object.name}$${node.property.name}` });
  }
  return chunks.map((chunk) => {
    const text = writer(chunk, edits.get(chunk));
    const places = [];
    for (const made of chunk.classes.values()) {
      const { start, end, body } = made.node;
      if (gone.includes(made)) places.push({ start, end, text: functionText(made, text) });
      else if (constants.includes(made)) places.push({ start, end, text: body.body.map((one) => constantText(made, one, text)).join("\n") });
      else if (setsFields(made)) places.push({ start, end, text: classText(made, text) });
    }
    const outside = edits.get(chunk).filter((edit) => !places.some(({ start, end }) => edit.start >= start && edit.end <= end));
    return edited(chunk.code, [...places, ...outside]);
  });
}

/** Rollup hands over all chunks at once: each waits until the last is there. */
export const structs = () => {
  let waiting = [];
  return {
    name: "structs",
    renderStart() {
      waiting = [];
    },
    renderChunk(code, { fileName, isEntry, facadeModuleId }, _options, { chunks }) {
      const names = isEntry ? (this.getModuleInfo(facadeModuleId)?.exports ?? ["*"]) : [];
      const source = { file: fileName, code, ast: this.parse(code), exported: names.includes("*") ? null : new Set(names) };
      return new Promise((resolve, reject) => {
        waiting.push({ source, resolve, reject });
        if (waiting.length < Object.keys(chunks).length) return;
        try {
          const texts = withoutClasses(waiting.map((one) => one.source));
          waiting.forEach((one, i) => one.resolve({ code: texts[i], map: null }));
        } catch (error) {
          for (const one of waiting) one.reject(error);
        }
      });
    },
  };
};
