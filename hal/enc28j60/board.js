/** `linnet/hal/enc28j60` on a board: the driver lives in the one bundle with the stack whose pools it uses. */
export { Enc28j60 } from "linnet";
