import { moduleScope } from "../../../tools/eslint/module-scope.ts";
import { ruleTester } from "./rule-tester.ts";

ruleTester().run("linnet/module-scope", moduleScope, {
  valid: [
    "let pool: Uint8Array; export function poolInit() { pool = new Uint8Array(4); }",
    "export const TABLE = Object.freeze([1, Object.freeze({ a: [2] })]);",
    "export class Sock { queue = new Queue(); static readonly SIZE = 4; }",
    'export const EINVAL = 22; export const NAME = "tcp";',
  ],
  invalid: [
    { code: "const memory = new Uint8Array(4);", errors: [{ messageId: "new" }] },
    { code: "const names = new Map();", errors: [{ messageId: "new" }] },
    { code: "const names = { a: 1 };", errors: [{ messageId: "loose" }] },
    { code: "let list = [];", errors: [{ messageId: "loose" }] },
    { code: "class A { static count = 0; }", errors: [{ messageId: "static" }] },
  ],
});
