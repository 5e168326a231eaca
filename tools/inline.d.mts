import type { Plugin } from "rollup";

export declare function inline(): Plugin;
