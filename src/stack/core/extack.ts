/**
 * The reason beside an error number: a text for people, and where in a request the fault is. Linux: struct netlink_ext_ack.
 * Any function that refuses a person's order may leave one; netlink's acknowledgment takes it along (NETLINK_EXT_ACK),
 * every other door forgets it. Owns the one that is being made: an order is carried out in one go.
 */

/** What is wrong with the order being carried out, or null. */
export let extackMsg: string | null = null;
/** Offset in the arena of the attribute at fault, 0 for none. */
export let extackAttr = 0;

/** A new order: nothing is wrong yet. */
export function extackReset(): void {
  extackMsg = null;
  extackAttr = 0;
}

/** Leaves a reason (a constant text) and gives the error number back. Linux: NL_SET_ERR_MSG(). */
export function nlErrMsg(error: number, text: string): number {
  extackMsg = text;
  return error;
}

/** Leaves a reason and the attribute it is about. Linux: NL_SET_ERR_MSG_ATTR(). */
export function nlErrMsgAttr(error: number, attr: number, text: string): number {
  extackMsg = text;
  extackAttr = attr;
  return error;
}
