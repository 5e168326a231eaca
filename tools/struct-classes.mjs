/**
 * What structs.mjs knows of the classes at the top of a bundle's chunks: what they are made of, and how each is used in all
 * of the chunks.
 */
import { posix } from "node:path";
import { children, isName, visit } from "./flash.mjs";

const OBJECT_NAMES = new Set(Object.getOwnPropertyNames(Object.prototype));

/** A field, static or not, that an object literal or an assignment makes as well. */
export const isField = ({ type, computed, key }) =>
  type === "PropertyDefinition" && !computed && key.type === "Identifier" && !OBJECT_NAMES.has(key.name);
export const isConstructor = ({ kind }) => kind === "constructor";

/** Whether `this` of the function or class around a node is used in it. */
export function usesThis(node) {
  if (/^(ThisExpression|MetaProperty|Super)$/.test(node.type) || (node.type === "Identifier" && node.name === "arguments")) return true;
  return !/^(FunctionExpression|FunctionDeclaration|Class)/.test(node.type) && children(node).some(usesThis);
}

/** Names of variables in nodes. */
export function variablesOf(nodes) {
  const names = new Set();
  for (const node of nodes) visit(node, { type: "" }, (one, parent) => one.type === "Identifier" && !isName(one, parent) && names.add(one.name));
  return names;
}

/** Values that are the same whenever they are made. @param parameters names that nobody assigns to */
export function isPure(node, parameters) {
  switch (node.type) {
    case "Literal":
    case "ArrowFunctionExpression":
      return true;
    case "Identifier":
      return parameters.has(node.name);
    case "UnaryExpression":
    case "BinaryExpression":
    case "ArrayExpression":
      return node.operator !== "delete" && children(node).every((child) => isPure(child, parameters));
    default:
      return false;
  }
}

/** Values that are read and do nothing. */
export function isRead(node) {
  if (node.type === "Identifier" || node.type === "Literal") return true;
  return /^(Member|Unary|Binary|Logical|Conditional)Expression$/.test(node.type) && node.operator !== "delete" && children(node).every(isRead);
}

/** The parts of a class. @returns null when there is something that nobody here understands */
function shapeOf({ superClass, body }) {
  const own = body.body.find(isConstructor);
  const fields = body.body.filter((member) => isField(member) && !member.static);
  const parameters = own?.value.params ?? [];
  const statements = own?.value.body.body ?? [];
  const declared = variablesOf(parameters);
  let strange = !parameters.every(({ type, right }) => type === "Identifier" || (type === "AssignmentPattern" && isPure(right, declared)));
  let supers = 0;
  for (const statement of statements) {
    visit(statement, { type: "" }, ({ type, id }) => type === "VariableDeclarator" && variablesOf([id]).forEach((name) => declared.add(name)));
    visit(statement, { type: "" }, ({ type, name, left, argument, callee }) => {
      const target = type === "AssignmentExpression" ? left : type === "UpdateExpression" ? argument : null;
      strange ||= /^(Return|Meta|Function)/.test(type) || name === "arguments" || (target?.type === "Identifier" && declared.has(target.name));
      if (callee?.type === "Super") supers++;
    });
  }
  const call = statements[0]?.expression?.callee?.type === "Super" ? statements[0].expression : null;
  if (supers !== (call === null ? 0 : 1) || (superClass !== null && own !== undefined && call === null)) return null;
  // The values of fields see the module and not the constructor's variables.
  const values = variablesOf(fields.flatMap(({ value }) => value ?? []));
  if (strange || [...values].some((name) => declared.has(name))) return null;
  return { own, fields, parameters, superArguments: call?.arguments ?? [], body: statements.slice(call === null ? 0 : 1) };
}

/** A chunk's classes, and what it has from others and gives to them. */
function read({ file, code, ast, exported }) {
  const chunk = { file, code, ast, exported, classes: new Map(), imports: new Map(), exports: new Map(), whole: [] };
  const fileOf = (source) => posix.join(posix.dirname(file), source.value);
  for (const node of ast.body) {
    if (node.type === "ClassDeclaration") {
      const { name } = node.id;
      const uses = { known: true, exported: false, news: [], reads: [], heirs: [] };
      chunk.classes.set(name, { chunk, name, node, shape: shapeOf(node), base: undefined, ...uses });
    } else if (node.type === "ImportDeclaration") {
      for (const { type, imported, local } of node.specifiers) {
        if (type === "ImportSpecifier") chunk.imports.set(local.name, { file: fileOf(node.source), name: imported.name });
        else chunk.whole.push(fileOf(node.source));
      }
    } else if (node.type.startsWith("Export") && node.source) {
      chunk.whole.push(fileOf(node.source));
    } else if (node.type === "ExportNamedDeclaration") {
      for (const { local, exported: as } of node.specifiers) chunk.exports.set(as.name, local.name);
    }
  }
  return chunk;
}

/** The classes of all chunks with their uses: `new`, reads of static fields, heirs; not known is one that is used in another way. */
export function survey(sources) {
  const chunks = sources.map(read);
  const byFile = new Map(chunks.map((chunk) => [chunk.file, chunk]));
  const find = (chunk, name) => {
    const from = chunk.imports.get(name);
    if (from === undefined) return chunk.classes.get(name);
    const other = byFile.get(from.file);
    return other === undefined ? undefined : find(other, other.exports.get(from.name));
  };
  for (const chunk of chunks) {
    const written = new Set();
    visit(chunk.ast, { type: "" }, ({ type, left, argument }) => {
      if (type === "AssignmentExpression") written.add(left);
      if (type === "UpdateExpression" || type === "UnaryExpression") written.add(argument);
    });
    visit(chunk.ast, { type: "" }, (node, parent) => {
      if (node.type !== "Identifier" || isName(node, parent)) return;
      const found = find(chunk, node.name);
      if (found === undefined || found.node.id === node) return;
      const heir = parent.type === "ClassDeclaration" ? chunk.classes.get(parent.id.name) : undefined;
      const use = { chunk, node: parent };
      if (parent.type === "NewExpression" && parent.callee === node) found.news.push(use);
      else if (parent.type === "MemberExpression" && parent.object === node && !parent.computed && !written.has(parent)) found.reads.push(use);
      else if (heir?.node === parent) {
        found.heirs.push(heir);
        heir.base = found;
      } else found.known = false;
    });
    for (const file of chunk.whole) {
      const other = byFile.get(file);
      for (const local of other?.exports.values() ?? []) Object.assign(find(other, local) ?? {}, { known: false });
    }
    for (const [as, local] of chunk.exports) {
      if (chunk.exported === null || chunk.exported.has(as)) Object.assign(find(chunk, local) ?? {}, { exported: true });
    }
  }
  return chunks;
}

/** Whether all that a class has are fields of its instances, whose values do not ask for one another. */
export function fieldsOnly({ shape, node }) {
  const ofAnInstance = (member) => isField(member) && !member.static && (member.value === null || !usesThis(member.value));
  return shape !== null && node.body.body.every((member) => isConstructor(member) || ofAnInstance(member));
}

/** Whether all that a class has are constants, which its own chunk reads. */
export function constantsOnly({ chunk, node, known, exported, news, reads, heirs }) {
  const members = node.body.body;
  if (!known || exported || news.length > 0 || heirs.length > 0 || node.superClass !== null || members.length === 0) return false;
  const names = new Set(members.map(({ key }) => key?.name));
  const taken = variablesOf([chunk.ast]);
  const isConstant = (member) => isField(member) && member.static && member.value !== null && !usesThis(member.value);
  if (!members.every((member) => isConstant(member) && !taken.has(`${node.id.name}$${member.key.name}`))) return false;
  return reads.every((one) => one.chunk === chunk && names.has(one.node.property.name));
}

/** A class with all that it extends and all that extend it, null where one of them is somebody else's. */
export function family(made) {
  let top = made;
  while (top.node.superClass !== null) {
    if (top.base === undefined) return null;
    top = top.base;
  }
  const all = [top];
  for (const one of all) all.push(...one.heirs);
  return all;
}
