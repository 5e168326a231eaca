/** What Linux lends a board that is a program on this machine. Types and what each member does: host.d.ts. */
export class Tap extends Native("xs_tap_destructor") {
  constructor(name, onReadable) { super(); native("xs_tap_constructor").call(this, name, onReadable); }
  read(buffer) { return native("xs_tap_read").call(this, buffer); }
  write(buffer) { return native("xs_tap_write").call(this, buffer); }
  close() { return native("xs_tap_close").call(this); }
}
export function now() { return native("xs_linux_now").call(this); }
export function argument(index) { return native("xs_linux_argument").call(this, index); }
