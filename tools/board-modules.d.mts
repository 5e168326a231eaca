import type { Plugin, PreRenderedChunk } from "rollup";

export declare const boardEntries: Readonly<Record<string, string>>;
export declare function boardChunk(id: string, meta: { getModuleInfo(id: string): unknown }): string | null;
export declare function boardManifests(): Plugin;
export declare function sharedName(chunk: PreRenderedChunk): string;
