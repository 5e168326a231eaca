/** `embedded:io/socket/udp` on a board. */
export { UDP as default } from "../../../src/ecma419/udp.ts";
