/** `embedded:network/interface/ethernet` on a board. */
export { Ethernet as default } from "../../../src/ecma419/ethernet.ts";
