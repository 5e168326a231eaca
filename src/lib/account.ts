/**
 * What boot builds, told to whoever wants to add it up: the memory budget on the host. On a board nobody listens, and
 * the calls cost a comparison each. Linux's counterpart is the table of /proc/slabinfo with its object sizes.
 */

/**
 * Hears of each object made at boot (with all it owns), under the name of the pool or table it belongs to; of a table in
 * `words` it hears the number of bytes.
 */
export type AccountWatch = (name: string, thing: object | number) => void;

let watch: AccountWatch | null = null;

/** Installs the listener, or with null removes it. Before boot. */
export function setAccountWatch(listener: AccountWatch | null): void {
  watch = listener;
}

/** Reports an object, or bytes of a table. Boot time only. */
export function account<T extends object | number>(name: string, thing: T): T {
  if (watch !== null) watch(name, thing);
  return thing;
}
