/**
 * ESLint rule linnet/no-allocation: after boot nothing allocates on a packet, timer or system-call path.
 *
 * It forbids the syntax that makes an object in XS (measured: a closure 5 slots, for…of 8, `subarray` 4, a template string a
 * chunk). Allowed are module scope, constructors and class fields (pool objects are built at boot), `throw` (ends
 * everything), functions that by their name run at boot or make text, and what the `offPath` option lists with its reason.
 */
import type { Rule } from "eslint";
import type { CallExpression, Function as FunctionNode, Node } from "estree";
import { relative, sep } from "node:path";

export interface OffPath {
  /** Path from the repository's root. */
  readonly file: string;
  /** Functions of that file; the whole file when absent. */
  readonly functions?: readonly string[];
  /** Why it never runs for a packet. */
  readonly reason: string;
}

/** Functions that run at boot, at registration of a device or family, or make and read text for people. */
const OFF_PATH_NAME =
  /Init$|(Register|Unregister)(?![a-z])|^(init|register|unregister|boot|create|format|parse|print)(?![a-z])/;

/** Methods whose result is a new object or string (not `bind`: it is also a socket operation), or that XS makes an object for: a look into a string. */
const ALLOCATING_METHODS = new Set(
  "subarray slice splice map filter concat split join flat flatMap entries toString padStart repeat charAt charCodeAt codePointAt".split(" "),
);

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

type Linked = Node & { parent?: Linked | null };

/** The name a function goes by: its own, or that of the variable or member it is the value of. */
function functionName(node: Linked): string {
  const own = "id" in node && node.id !== null && node.id?.type === "Identifier" ? node.id : undefined;
  if (own !== undefined) return own.name;
  const holder = node.parent;
  if (holder?.type === "VariableDeclarator" && holder.id.type === "Identifier") return holder.id.name;
  if (holder && "key" in holder && holder.key.type === "Identifier") return holder.key.name;
  return "";
}

function isConstructor(node: Linked): boolean {
  return node.parent?.type === "MethodDefinition" && node.parent.kind === "constructor";
}

/** What the called member is named: `b.subarray(…)` → subarray; undefined for a plain call. */
function calledMember(node: CallExpression): { object: string; member: string } | undefined {
  const { callee } = node;
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier" || callee.computed) return undefined;
  return { object: callee.object.type === "Identifier" ? callee.object.name : "", member: callee.property.name };
}

export const noAllocation: Rule.RuleModule = {
  meta: {
    type: "problem",
    docs: { description: "No allocation on packet, timer and system-call paths." },
    schema: [
      {
        type: "object",
        properties: {
          offPath: {
            type: "array",
            items: {
              type: "object",
              properties: {
                file: { type: "string" },
                functions: { type: "array", items: { type: "string" }, minItems: 1 },
                reason: { type: "string", minLength: 1 },
              },
              required: ["file", "reason"],
              additionalProperties: false,
            },
          },
        },
        additionalProperties: false,
      },
    ],
    defaultOptions: [{ offPath: [] }],
    messages: { allocates: "{{what}} allocates; this file is on the packet path." },
  },
  create(context): Rule.RuleListener {
    const path = relative(context.cwd, context.filename).split(sep).join("/");
    const { offPath } = context.options[0] as { offPath: readonly OffPath[] };
    const exempt = offPath.filter((entry) => entry.file === path);
    if (exempt.some((entry) => entry.functions === undefined)) return {};
    const exemptFunctions = new Set(exempt.flatMap((entry) => entry.functions ?? []));

    /** True when the node runs for packets: inside a function, and none of the exceptions encloses it. */
    function onPacketPath(node: Linked): boolean {
      let inFunction = false;
      for (let at = node.parent ?? null; at !== null; at = at.parent ?? null) {
        if (at.type === "ThrowStatement" || at.type === "PropertyDefinition") return false;
        if (!FUNCTIONS.has(at.type)) continue;
        const name = functionName(at);
        if (isConstructor(at) || OFF_PATH_NAME.test(name) || exemptFunctions.has(name)) return false;
        inFunction = true;
      }
      return inFunction;
    }

    function report(node: Node, what: string): void {
      if (onPacketPath(node)) context.report({ node, messageId: "allocates", data: { what } });
    }

    function checkFunction(node: FunctionNode & Rule.NodeParentExtension): void {
      const name = functionName(node);
      if (OFF_PATH_NAME.test(name) || exemptFunctions.has(name)) return;
      const data = { what: node.async === true ? "an async function" : "a generator" };
      if (node.async === true || node.generator === true) context.report({ node, messageId: "allocates", data });
      else if (node.parent.type !== "MethodDefinition") report(node, "a function inside a function");
    }

    return {
      FunctionDeclaration: checkFunction,
      FunctionExpression: checkFunction,
      ArrowFunctionExpression: checkFunction,
      ClassExpression: (node) => report(node, "a class"),
      SpreadElement: (node) => report(node, "a spread"),
      RestElement: (node) => report(node, "a rest element"),
      ArrayPattern: (node) => report(node, "array destructuring"),
      ObjectExpression: (node) => report(node, "an object literal"),
      ArrayExpression: (node) => report(node, "an array literal"),
      NewExpression: (node) => report(node, "new"),
      ForOfStatement: (node) => report(node, "for…of"),
      ForInStatement: (node) => report(node, "for…in"),
      TemplateLiteral(node) {
        if (node.expressions.length > 0) report(node, "a template string");
      },
      BinaryExpression(node) {
        const isText = (side: Node): boolean =>
          side.type === "TemplateLiteral" || (side.type === "Literal" && typeof side.value === "string");
        if (node.operator === "+" && (isText(node.left) || isText(node.right))) report(node, "joining strings");
      },
      Literal(node) {
        if ("bigint" in node) report(node, "a bigint");
        else if ("regex" in node) report(node, "a regular expression");
      },
      CallExpression(node) {
        const called = calledMember(node);
        if (called === undefined) return;
        const { object, member } = called;
        if (object === "Object" || object === "Array" || object === "String") {
          if (member !== "isArray" && member !== "is") report(node, `${object}.${member}()`);
        } else if (ALLOCATING_METHODS.has(member)) report(node, `.${member}()`);
      },
    };
  },
};
