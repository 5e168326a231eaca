import type { Plugin } from "rollup";

export declare function closure(): Plugin;
