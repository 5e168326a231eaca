/**
 * Undoes what a minifier does to be short as text, where XS has more to do for it: `if (a) b` written as `a && b`, for which XS keeps
 * a value that nobody asks for, and `!0` for true. In edits, each a place in the text and what stands there instead.
 */
import { visit } from "./flash.mjs";

/**
 * Edits that make statements of an expression which stands between two places: `a && b` is `if (a) b`, for which XS does not keep a
 * value that nobody asks for.
 */
function statement(node, code, from, to, before, after, edits) {
  const put = (start, end, text) => edits.push({ start, end, text });
  switch (node.type) {
    case "LogicalExpression": {
      const { left, right, operator } = node;
      if (operator === "??") break;
      const not = operator === "||";
      put(from, left.start, `${before}if (${not ? "!(" : ""}`);
      statement(right, code, left.end, to, `${not ? ")" : ""}) {\n`, `}${after}`, edits);
      return;
    }
    case "ConditionalExpression": {
      const { test, consequent, alternate } = node;
      put(from, test.start, `${before}if (`);
      statement(consequent, code, test.end, consequent.end, ") {\n", "} else ", edits);
      statement(alternate, code, consequent.end, to, "{\n", `}${after}`, edits);
      return;
    }
    case "SequenceExpression": {
      const last = node.expressions.length - 1;
      node.expressions.forEach((one, i) => {
        const start = i === 0 ? from : node.expressions[i - 1].end;
        statement(one, code, start, i === last ? to : one.end, i === 0 ? before : "", i === last ? after : "", edits);
      });
      return;
    }
  }
  const brace = /^[{f[]/.test(code[node.start]);
  put(from, node.start, `${before}${brace ? "(" : ""}`);
  put(node.end, to, `${brace ? ")" : ""};\n${after}`);
}

/** The edits of a whole module. @param code its text @param ast what the text was parsed into */
export function statements(ast, code) {
  const edits = [];
  visit(ast, { type: "" }, (node) => {
    const { type, start, end, expression, operator, argument } = node;
    if (type === "UnaryExpression" && operator === "!" && argument.type === "Literal" && typeof argument.value === "number") {
      edits.push({ start, end, text: ` ${argument.value === 0}` });
    } else if (type === "ExpressionStatement" && /^(Logical|Conditional|Sequence)/.test(expression.type)) {
      statement(expression, code, start, end, "{", "}", edits);
    }
  });
  return edits;
}
