/**
 * What iptables' matches and targets are, and what they are asked about. Linux: net/netfilter/x_tables.c, struct xt_action_param.
 * Owns the list of both, by their numbers in uapi/ip-tables.ts, and the question.
 */
import { NF_DROP } from "../../uapi/netfilter.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";

/** A match says: not this packet. */
export const XT_NO = 0;
export const XT_YES = 1;
/** A match says: nobody wants this packet (a header that is cut off). */
export const XT_HOTDROP = -1;
/** A target's verdict: on with the next rule. */
export const XT_CONTINUE = -1;

/** A kind of match or target. */
export interface XtExtension {
  /** Data words, or -1 when each has a length of its own. */
  readonly size: number;
  /** Bits of the tables and hooks (1 << n) it may be in; 0 for all. */
  readonly tables: number;
  readonly hooks: number;
  /** The protocol its rule must be about; 0 for any. */
  readonly proto: number;
  /**
   * May it stand so? Called once for each rule when a set is loaded; it may fill in words of its own.
   * @param at in `words`, of XT_SIZE @param entry of its rule @returns 0 or a negative errno
   */
  check?(at: number, entry: number): number;
}

export interface XtMatch extends XtExtension {
  /** Does the packet of the question match? XT_NO, XT_YES or XT_HOTDROP. @param at in `words`, of XT_SIZE */
  match(skb: SkBuff, at: number): number;
}

export interface XtTarget extends XtExtension {
  /** Deals with the packet of the question: XT_CONTINUE or a verdict NF_*. @param at in `words`, of XT_SIZE */
  target(skb: SkBuff, at: number): number;
}

/** The question: which hook, in which namespace, between which devices. */
export let xtHook = 0;
export let xtNet: Net;
export let xtIn: NetDevice | null = null;
export let xtOut: NetDevice | null = null;
/** Offset of the fragment in 8 bytes; 0 for what has a transport header. */
export let xtFragoff = 0;
/** Where the transport header is in the arena. */
export let xtThoff = 0;

/** By number; holes where the part that has it was not listed at boot. */
export let xtMatches: (XtMatch | undefined)[];
export let xtTargets: (XtTarget | undefined)[];

/** Boot: nothing is registered. */
export function xtInit(): void {
  xtMatches = [];
  xtTargets = [];
  xtIn = xtOut = null;
}

/** Boot time. @param type XT_MATCH_* */
export function xtRegisterMatch(type: number, match: XtMatch): void {
  xtMatches[type] = match;
}

/** Boot time. @param type XT_TARGET_* */
export function xtRegisterTarget(type: number, target: XtTarget): void {
  xtTargets[type] = target;
}

/** Sets the question, but for the packet. */
export function xtAsk(net: Net, hook: number, inDev: NetDevice | null, outDev: NetDevice | null): void {
  xtNet = net;
  xtHook = hook;
  xtIn = inDev;
  xtOut = outDev;
}

/** Where the packet's transport header is. */
export function xtAskAt(thoff: number, fragoff: number): void {
  xtThoff = thoff;
  xtFragoff = fragoff;
}

/** The verdict of a match's XT_HOTDROP. */
export const XT_HOTDROP_VERDICT = NF_DROP;
