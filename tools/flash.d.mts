import type { Plugin } from "rollup";

export declare function inlineNumbers(): Plugin;
export declare function functionsToArrows(): Plugin;
export declare function shareNames(): Plugin;
