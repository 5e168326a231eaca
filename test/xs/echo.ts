/** A TCP echo server of ECMA-419 classes in the XS guest: what programs for Moddable are made of. */
import { Listener } from "../../src/ecma419/listener.ts";
import { TCP } from "../../src/ecma419/tcp.ts";

/** Listens on the port and sends back what comes, until the peer ends. */
export function startEcho(port: number): void {
  new Listener({
    port,
    onReadable(count) {
      for (; count > 0; count--) {
        const from = this.read();
        if (from === undefined) return;
        new TCP({
          from,
          onReadable() {
            this.write(this.read() as ArrayBuffer);
          },
          onError() {
            this.close();
          },
        });
      }
    },
  });
}
