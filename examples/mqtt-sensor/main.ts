/**
 * A sensor that tells an MQTT broker what it measures: `mqtt-sensor 10.0.0.1 [NAME]`. What it measures is the stack itself, packets and
 * memory; a board's thermometer takes the place of measure(). Who publishes a number of seconds to linnet/NAME/interval sets how often.
 * On the class TCP of ECMA-419, by the small client of examples/common.
 */
import { devGetByName, type Net, poolsInUse } from "linnet";
import { asciiBytes, asciiText } from "../common/ascii.ts";
import { MqttClient } from "../common/mqtt-client.ts";

const BROKER = "10.0.0.1";
const NAME = "board";
const KEEP_ALIVE_SEC = 30;
const INTERVAL_SEC = 10;
const LONGEST_INTERVAL_SEC = 86_400;
/** Measurements that wait for a broker; older ones are worth nothing. */
const MOST_WAITING = 8;

function measure(net: Net): string {
  const { rxPackets, txPackets } = devGetByName(net, "eth0")!.stats;
  return `{"rxPackets":${rxPackets},"txPackets":${txPackets},"poolObjects":${poolsInUse()}}`;
}

export default function main(net: Net, address: string = BROKER, name: string = NAME): () => number {
  let intervalMs = INTERVAL_SEC * 1000;
  let nextMs = 0;
  const client = new MqttClient({
    address,
    clientId: `linnet-${name}`,
    keepAliveSec: KEEP_ALIVE_SEC,
    will: { topic: `linnet/${name}/state`, payload: asciiBytes("offline"), qos: 1, retain: true },
    onConnect: () => {
      trace(`${address}: connected\n`);
      client.publish({ topic: `linnet/${name}/state`, payload: asciiBytes("online"), qos: 1, retain: true });
    },
    onMessage: ({ payload }) => {
      const seconds = Number(asciiText(payload, 0, payload.length));
      if (!(seconds >= 1 && seconds <= LONGEST_INTERVAL_SEC)) return;
      trace(`every ${seconds} s\n`);
      intervalMs = seconds * 1000;
      nextMs = 0;
    },
    onLost: (code) => trace(`${address}: ${code === 0 ? "no connection" : `refused, code ${code}`}\n`),
  });
  client.subscribe(`linnet/${name}/interval`, 1);
  return () => {
    const now = Date.now();
    const wanted = client.poll(now);
    if (client.isConnected && now >= nextMs) {
      nextMs = now + intervalMs;
      if (client.waiting < MOST_WAITING) client.publish({ topic: `linnet/${name}/stack`, payload: asciiBytes(measure(net)), qos: 1 });
    }
    return client.isConnected ? Math.max(1, Math.min(wanted, nextMs - now)) : wanted;
  };
}
