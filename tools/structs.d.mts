import type { Plugin } from "rollup";

export declare function structs(): Plugin;
