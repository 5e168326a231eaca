/**
 * The sketch of `npm run sdk -- tests` and `-- clients`: its first argument names one of the SDK's own modules, a test or an
 * example's main, which is imported once the board has a link and an address. The two behind it are an authority of TLS: its key's
 * identifier and its certificate, in hexadecimal digits.
 */
import "globals";
import Ethernet from "embedded:network/interface/ethernet";
import { igmp } from "linnet/igmp";

/** DNS-SD joins a group. */
export const initcalls = [igmp];

const CONNECTED = 500;

export default function main(_net, name, identifier = "", certificate = "") {
  globalThis.$RESOURCES = { "ca.ski": Uint8Array.fromHex(identifier), "ca0.der": Uint8Array.fromHex(certificate) };
  new Ethernet({
    onChanged() {
      if (this.connection < CONNECTED) return;
      this.close();
      import(name).catch((error) => $DONE(error));
    },
  });
  return () => false;
}
