/** `embedded:network/dns/resolver/udp` on a board. */
export { Resolver as default } from "../../../src/ecma419/resolver.ts";
