/**
 * What boot builds, told to whoever wants to add it up: the memory budget on the host. On a board nobody listens, and
 * the calls cost a comparison each. Linux's counterpart is the table of /proc/slabinfo with its object sizes.
 */

/** Hears of each object made at boot (with all it owns), under the name of the pool or table it belongs to. */
export type AccountWatch = (name: string, object: object) => void;

let watch: AccountWatch | null = null;

/** Installs the listener, or with null removes it. Before boot. */
export function setAccountWatch(listener: AccountWatch | null): void {
  watch = listener;
}

/** Reports an object. Boot time only. */
export function account<T extends object>(name: string, object: T): T {
  if (watch !== null) watch(name, object);
  return object;
}
