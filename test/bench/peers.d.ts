/** The parts of the npm libraries in `bench route` that it calls; they come without types. */
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
