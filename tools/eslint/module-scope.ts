/**
 * ESLint rule linnet/module-scope: a module's body makes nothing that changes.
 *
 * XS runs module bodies when the board's image is linked and keeps the result in flash: a buffer, Map or pool made there is
 * read-only at run time, and one made on Node would be shared by kernels that must not share. So module scope holds
 * functions, constants, frozen tables, and `let`s that a boot function fills.
 */
import type { Rule } from "eslint";
import type { Node } from "estree";

type Linked = Node & { parent?: Linked | null };

function isFreeze(node: Linked): boolean {
  return (
    node.type === "CallExpression" &&
    node.callee.type === "MemberExpression" &&
    node.callee.object.type === "Identifier" &&
    node.callee.object.name === "Object" &&
    node.callee.property.type === "Identifier" &&
    node.callee.property.name === "freeze"
  );
}

/** True when the node is evaluated by the module's body itself and Object.freeze does not enclose it. */
function isLooseModuleValue(node: Linked): boolean {
  for (let at = node.parent ?? null; at !== null; at = at.parent ?? null) {
    if (at.type.includes("Function") || at.type === "PropertyDefinition" || isFreeze(at)) return false;
  }
  return true;
}

export const moduleScope: Rule.RuleModule = {
  meta: {
    type: "problem",
    docs: { description: "Module scope holds functions, constants and frozen tables." },
    schema: [],
    messages: {
      new: "new at module scope is read-only in flash; make it in a boot function.",
      loose: "An object or array at module scope must be inside Object.freeze().",
      static: "A static field is read-only in flash; use a module-level let that a boot function fills.",
    },
  },
  create(context): Rule.RuleListener {
    const loose = (node: Node): void => {
      if (isLooseModuleValue(node)) context.report({ node, messageId: "loose" });
    };
    return {
      NewExpression(node) {
        if (isLooseModuleValue(node)) context.report({ node, messageId: "new" });
      },
      ObjectExpression: loose,
      ArrayExpression: loose,
      PropertyDefinition(node) {
        const fixed = "readonly" in node && node.readonly === true;
        if (node.static && !fixed) context.report({ node, messageId: "static" });
      },
    };
  },
};
