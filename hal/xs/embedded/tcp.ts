/** `embedded:io/socket/tcp` on a board. */
export { TCP as default } from "../../../src/ecma419/tcp.ts";
