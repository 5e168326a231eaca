/** The parts of what benchmarks call that comes without types. */
declare module "longest-prefix-match" {
  export default class LongestPrefixMatch {
    addPrefix(prefix: string, payload: number): void;
    getMatch(prefix: string, all: boolean): number[];
  }
}

declare module "ip-set" {
  export default class IPSet {
    add(block: string): void;
    contains(address: number): boolean;
  }
}

declare module "*/rollup.config.mjs" {
  import type { Plugin } from "rollup";
  export const BOARD_MODULES: readonly (string | RegExp)[];
  export function plugins(platformFile: string): Plugin[];
  export function boardPlugins(): Plugin[];
}
