/** The project's own ESLint rules, loaded by eslint.config.mjs as the plugin `linnet`. */
import type { ESLint } from "eslint";
import { layers } from "./layers.ts";
import { moduleScope } from "./module-scope.ts";
import { noAllocation } from "./no-allocation.ts";

export const plugin: ESLint.Plugin = {
  rules: { layers, "module-scope": moduleScope, "no-allocation": noAllocation },
};
