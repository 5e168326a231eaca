/**
 * The ESP32's EMAC as the C module has it: raw frames in and out of any byte buffer, nothing allocated for a frame.
 * Its types and what each member does: emac.d.ts.
 */
export default class EMAC extends Native("xs_emac_destructor") {
  constructor(options) { super(); native("xs_emac_constructor").call(this, options); }
  close() { return native("xs_emac_close").call(this); }
  length() { return native("xs_emac_length").call(this); }
  receive(buffer, offset) { return native("xs_emac_receive").call(this, buffer, offset); }
  drop() { return native("xs_emac_drop").call(this); }
  transmit(buffer, offset, length) { return native("xs_emac_transmit").call(this, buffer, offset, length); }
  readAddress(buffer) { return native("xs_emac_readAddress").call(this, buffer); }
  setAddress(buffer) { return native("xs_emac_setAddress").call(this, buffer); }
  setPromiscuous(on) { return native("xs_emac_setPromiscuous").call(this, on); }
  get linkUp() { return native("xs_emac_get_linkUp").call(this); }
  get speed() { return native("xs_emac_get_speed").call(this); }
  get fullDuplex() { return native("xs_emac_get_fullDuplex").call(this); }
  get dropped() { return native("xs_emac_get_dropped").call(this); }
}
