import type { Plugin } from "rollup";

export declare function mergeCold(hot: () => Promise<Set<string>>): Plugin;
