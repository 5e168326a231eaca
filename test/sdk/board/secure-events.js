/** The SDK's EventSource over its TLS. */
import EventSource from "eventsource";

const source = new EventSource("https://httpbin.org/events");

source.onopen = () => trace("opened\n");
source.onerror = () => trace("failed\n");
source.onmessage = ({ data }) => trace(`message ${data}\n`);
source.addEventListener("ping", ({ data, lastEventID }) => trace(`ping ${data} ${lastEventID}\n`));
