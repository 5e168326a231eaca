/**
 * An MQTT client over the classes of ECMA-419: connects and connects again, subscribes anew each time, and keeps messages of quality 1
 * until the broker has them. Read first: MQTT 3.1.1 chapters 3 and 4. Time is told by poll(). Owns its connection.
 */
import { Connection } from "./connection.ts";
import {
  bare, CONNACK, connectPacket, DISCONNECT, type MqttLogin, type MqttMessage, type MqttPacket, packetId, parsePacket, parsePublish,
  PINGREQ, PUBACK, pubackPacket, PUBLISH, publishPacket, SUBACK, subscribePacket,
} from "./mqtt-packet.ts";

export type { MqttMessage } from "./mqtt-packet.ts";

export interface MqttClientOptions extends MqttLogin {
  readonly address: string;
  /** Default 1883. */
  readonly port?: number;
  onConnect?(): void;
  onMessage?(message: Required<MqttMessage>): void;
  /** The connection is gone, or the broker refuses with a code of table 3.1; it is tried again. */
  onLost?(code: number): void;
}

const MQTT_PORT = 1883;
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** A broker answers within this, or the connection is taken for dead. */
const PATIENCE_MS = 10_000;
const LONGEST_PACKET = 65536;
const REFUSED = 0x80;

const OFFLINE = 0;
const CONNECTING = 1;
const ONLINE = 2;

export class MqttClient {
  private readonly options: MqttClientOptions;
  private connection: Connection | null = null;
  private state = OFFLINE;
  private pending = new Uint8Array(0);
  private readonly topics = new Map<string, 0 | 1>();
  /** Messages of quality 1 that the broker has not acknowledged, by number. */
  private readonly unacknowledged = new Map<number, MqttMessage>();
  private lastId = 0;
  private nowMs = 0;
  /** When it is tried again; when we spoke last; until when an answer must be there, 0 for none expected. */
  private retryAtMs = 0;
  private spokenMs = 0;
  private answerByMs = 0;
  private failures = 0;

  constructor(options: MqttClientOptions) {
    this.options = options;
  }

  get isConnected(): boolean {
    return this.state === ONLINE;
  }

  /** Asks for messages of a topic, now and after each connection to come. */
  subscribe(topic: string, qos: 0 | 1 = 0): void {
    this.topics.set(topic, qos);
    if (this.state === ONLINE) this.say(subscribePacket(this.number(), topic, qos));
  }

  /** Sends a message: of quality 1 until it arrived, of quality 0 only while there is a connection. @returns was it sent now? */
  publish(message: MqttMessage): boolean {
    const id = message.qos === 1 ? this.number() : 0;
    if (id > 0) this.unacknowledged.set(id, message);
    if (this.state !== ONLINE) return false;
    this.say(publishPacket(message, id, false));
    return true;
  }

  /** Messages of quality 1 that the broker has not acknowledged yet. */
  get waiting(): number {
    return this.unacknowledged.size;
  }

  /** Does what is due: connects, pings, gives up on a broker that is silent. @returns ms until it wants to be called again */
  poll(nowMs: number): number {
    this.nowMs = nowMs;
    if (this.state === OFFLINE) {
      if (nowMs < this.retryAtMs) return this.retryAtMs - nowMs;
      this.open();
    }
    if (this.answerByMs > 0 && nowMs >= this.answerByMs) {
      this.lose(0);
      return RETRY_MS;
    }
    const keepAliveMs = this.options.keepAliveSec * 1000;
    if (this.state === ONLINE && keepAliveMs > 0 && nowMs - this.spokenMs >= keepAliveMs / 2) {
      this.say(bare(PINGREQ));
      this.expect();
    }
    return this.state === ONLINE && keepAliveMs > 0 ? Math.min(keepAliveMs / 2, PATIENCE_MS) : RETRY_MS;
  }

  /** Says good-bye: the broker then sends no will. */
  close(): void {
    if (this.state === ONLINE) this.say(bare(DISCONNECT));
    this.connection?.end();
    this.connection = null;
    this.state = OFFLINE;
    this.retryAtMs = Infinity;
  }

  private number(): number {
    do this.lastId = this.lastId === 0xffff ? 1 : this.lastId + 1;
    while (this.unacknowledged.has(this.lastId));
    return this.lastId;
  }

  private open(): void {
    const { address, port = MQTT_PORT } = this.options;
    this.pending = new Uint8Array(0);
    this.state = CONNECTING;
    this.connection = new Connection({ address, port }, { onData: (bytes) => this.receive(bytes), onEnd: () => this.lose(0) });
    this.say(connectPacket(this.options));
    this.expect();
  }

  private expect(): void {
    if (this.answerByMs === 0) this.answerByMs = this.nowMs + PATIENCE_MS;
  }

  private say(bytes: Uint8Array): void {
    this.spokenMs = this.nowMs;
    this.connection?.write(bytes);
  }

  private lose(code: number): void {
    this.connection?.close();
    this.connection = null;
    this.state = OFFLINE;
    this.answerByMs = 0;
    this.retryAtMs = this.nowMs + Math.min(RETRY_MS * 2 ** this.failures++, LONGEST_RETRY_MS);
    this.options.onLost?.(code);
  }

  private receive(bytes: Uint8Array): void {
    const all = new Uint8Array(this.pending.length + bytes.length);
    all.set(this.pending);
    all.set(bytes, this.pending.length);
    let at = 0;
    try {
      for (let one = parsePacket(all, at); one !== null && this.connection !== null; one = parsePacket(all, at)) {
        at += one.bytes;
        this.act(one);
      }
    } catch {
      this.lose(0);
      return;
    }
    this.pending = all.slice(at);
    if (this.pending.length > LONGEST_PACKET) this.lose(0);
  }

  private act(one: MqttPacket): void {
    this.answerByMs = 0;
    if (one.type === CONNACK) this.connected(one.body[1] ?? 0);
    else if (one.type === PUBLISH) this.heard(one);
    else if (one.type === PUBACK) this.unacknowledged.delete(packetId(one));
    else if (one.type === SUBACK && one.body[2] === REFUSED) this.options.onLost?.(REFUSED);
  }

  private connected(code: number): void {
    if (code !== 0) {
      this.lose(code);
      return;
    }
    this.state = ONLINE;
    this.failures = 0;
    for (const [topic, qos] of this.topics) this.say(subscribePacket(this.number(), topic, qos));
    for (const [id, message] of this.unacknowledged) this.say(publishPacket(message, id, true));
    this.options.onConnect?.();
  }

  private heard(one: MqttPacket): void {
    const { message, id } = parsePublish(one);
    if (id > 0) this.say(pubackPacket(id));
    this.options.onMessage?.(message);
  }
}
