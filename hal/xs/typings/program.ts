/** A program of the standard's socket classes: it is checked against Moddable's typings of them, and against ours. */
import Listener from "embedded:io/socket/listener";
import TCP from "embedded:io/socket/tcp";
import UDP from "embedded:io/socket/udp";

const udp = new UDP({
  port: 7,
  onReadable(packets) {
    while (packets-- > 0) {
      const packet = this.read()!;
      this.write(packet, packet.address, packet.port);
    }
  },
});
const listener = new Listener({
  port: 80,
  onReadable(requests) {
    for (; requests > 0; requests--) {
      const from = this.read()!;
      new TCP({
        from,
        format: "buffer",
        onReadable(bytes) {
          this.write(new Uint8Array(this.read(bytes) as ArrayBuffer));
        },
        onError() {
          this.close();
        },
      });
    }
  },
});
const client = new TCP({
  address: "10.0.0.1",
  port: listener.port,
  nodelay: true,
  format: "number",
  onWritable(bytes) {
    if (bytes > 0) this.write(10);
    this.format = "buffer";
  },
});
export const peer: string | undefined = client.remoteAddress;
export { udp };
