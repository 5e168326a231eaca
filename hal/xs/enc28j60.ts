/** The bundle of a board with an ENC28J60: all of linnet's public face, and the driver. */
export * from "../../src/index.ts";
export { Enc28j60, type Enc28j60Options, type EncStats } from "../enc28j60/index.ts";
