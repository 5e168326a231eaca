/** The SDK's TLSSocket by itself: a line to a server that reverses lines, which ends the connection when all have been read. */
import TCP from "embedded:io/socket/tcp";
import TLSSocket from "embedded:io/socket/tcp/tls";

const LINE = "every byte is encrypted";
let answer = "";

let sent = false;

const socket = new TLSSocket({
  address: "10.0.0.12",
  port: 443,
  host: "reverser.test",
  TCP: { io: TCP },
  onWritable() {
    if (!sent) socket.write(ArrayBuffer.fromString(`${LINE}\n`));
    sent = true;
  },
  onReadable(count) {
    answer += String.fromArrayBuffer(socket.read(count));
    if (answer === `${LINE.split("").reverse().join("")}\n`) $DONE();
  },
  onError() {
    $DONE("onError");
  },
});
