/**
 * Initcalls: the start-up work of every subsystem, run level by level. Linux: include/linux/init.h, do_initcalls().
 * A subsystem that is not in the list given to boot() is not started, and not in a bundle that does not import it.
 */

export const CORE_INITCALL = 1;
export const SUBSYS_INITCALL = 4;
export const FS_INITCALL = 5;
export const DEVICE_INITCALL = 6;

/** One subsystem's start: `C` is the configuration it is given. */
export interface Initcall<C> {
  readonly level: number;
  readonly name: string;
  /** The table of the sizes that are its own (config.ts); none when missing. */
  readonly sizes?: Readonly<Record<string, string>>;
  /** Words its tables will take (lib/table.ts); none when missing. */
  words?(config: C): number;
  init(config: C): void;
  /** Opens the part's doors in rtnetlink, when that starts; none when missing. */
  rtnl?(): void;
}

/** Words that the tables of all calls will take together. */
export function initcallWords<C>(calls: readonly Initcall<C>[], config: C): number {
  let sum = 0;
  for (let i = 0; i < calls.length; i++) sum += calls[i]!.words?.(config) ?? 0;
  return sum;
}

/** Runs all calls of level 1, then 2, …; within a level in the order of the list. */
export function doInitcalls<C>(calls: readonly Initcall<C>[], config: C): void {
  for (let level = CORE_INITCALL; level <= DEVICE_INITCALL; level++) {
    for (const call of calls) if (call.level === level) call.init(config);
  }
}
