/**
 * The SDK's EventSource by its example, which asks its own machine at port 8000: here the SDK's HTTP server is there, and its
 * server-sent events.
 */
import HTTPServer from "embedded:network/http/server";
import ServerSentEvents from "embedded:network/http/server/options/serversendevents";
import Listener from "embedded:io/socket/listener";

const route = {
  ...ServerSentEvents,
  onConnection() {
    this.write({ event: "ping", data: "1" });
    this.write();
    this.write({ data: "one\ntwo" });
  },
};

new HTTPServer({
  io: Listener,
  port: 8000,
  onConnect(connection) {
    connection.accept({
      onRequest() {
        this.route = route;
      },
    });
  },
});

import("example/eventsource");
