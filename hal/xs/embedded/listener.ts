/** `embedded:io/socket/listener` on a board. */
export { Listener as default } from "../../../src/ecma419/listener.ts";
