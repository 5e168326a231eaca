/**
 * What connection tracking can do without: parts that a program lists at boot behind it. Each is a table of functions here, null
 * while it is not there. Linux: nf_nat_hook, struct nf_ct_ext.
 */

/** Translation of addresses and ports (nf-nat-core.ts). */
export interface CtNatOps {
  /** A row is given back. */
  destroy(row: number): void;
}

export let ctNat: CtNatOps | null = null;

/** Boot: no part is there. */
export function nfCtPartsInit(): void {
  ctNat = null;
}

export function registerCtNat(ops: CtNatOps): void {
  ctNat = ops;
}
