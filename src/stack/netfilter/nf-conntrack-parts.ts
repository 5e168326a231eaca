/**
 * What connection tracking can do without: parts that a program lists at boot behind it. Each is a table of functions here, null
 * while it is not there. Linux: nf_nat_hook, struct nf_ct_ext.
 */
import type { SkBuff } from "../core/skbuff.ts";

/** Translation of addresses and ports (nf-nat-core.ts). */
export interface CtNatOps {
  /** A row is given back. */
  destroy(row: number): void;
  /**
   * Decides what one end of a new connection's packets becomes, as nfNatSetupInfo(): to an address, and to a port with
   * NF_NAT_RANGE_PROTO_SPECIFIED. @param destination that end, else the source @param flags NF_NAT_RANGE_* @returns a verdict
   */
  setup(row: number, destination: boolean, flags: number, addr: number, port: number): number;
}

/** Helpers and expectations (nf-conntrack-helper.ts). */
export interface CtHelperOps {
  /** Number, from 1, of the helper whose name is in XT_CT_HELPER_WORDS words at `name`; -1 when the protocol has none of it. */
  find(name: number, protocol: number): number;
  /** A row was made for the first packet of a connection, which may be expected. @param number of the helper asked for, 0 for none */
  begin(row: number, number: number): void;
  /** A packet of a connection with IPS_HELPER leaves, or is about to be delivered. @returns a verdict */
  leave(skb: SkBuff, row: number, ctinfo: number, hooknum: number): number;
  /** How far a sequence number of that direction's sender is moved on its way; 0 where nothing was changed. */
  seqOffset(row: number, direction: number, seq: number): number;
  /** A row is given back. */
  destroy(row: number): void;
}

export let ctNat: CtNatOps | null = null;
export let ctHelpers: CtHelperOps | null = null;

/** Boot: no part is there. */
export function nfCtPartsInit(): void {
  ctNat = null;
  ctHelpers = null;
}

export function registerCtNat(ops: CtNatOps): void {
  ctNat = ops;
}

export function registerCtHelpers(ops: CtHelperOps): void {
  ctHelpers = ops;
}
