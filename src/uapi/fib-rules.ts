/*
 * Policy rule numbers. Linux: linux/fib_rules.h. Read first: ip-rule(8).
 */

/** What a rule does. */
export const FR_ACT_UNSPEC = 0;
export const FR_ACT_TO_TBL = 1;
export const FR_ACT_GOTO = 2;
export const FR_ACT_NOP = 3;
export const FR_ACT_BLACKHOLE = 6;
export const FR_ACT_UNREACHABLE = 7;
export const FR_ACT_PROHIBIT = 8;

/** Flags of a rule. */
export const FIB_RULE_PERMANENT = 0x01;
export const FIB_RULE_INVERT = 0x02;
/** GOTO whose target is not there. */
export const FIB_RULE_UNRESOLVED = 0x04;
/** The device of that name is not there. */
export const FIB_RULE_IIF_DETACHED = 0x08;
export const FIB_RULE_OIF_DETACHED = 0x10;
