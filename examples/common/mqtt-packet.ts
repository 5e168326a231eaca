/** Control packets of MQTT 3.1.1 as bytes. Read first: the standard's chapters 2 and 3. Owns nothing. */
import { asciiBytes, asciiText } from "./ascii.ts";

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const PINGREQ = 12;
export const DISCONNECT = 14;
const LEVEL_3_1_1 = 4;
const CLEAN_SESSION = 2;
const WILL = 4;
const USER_NAME = 0x80;
const PASSWORD = 0x40;
const RETAIN = 1;
const DUPLICATE = 8;

/** What a message is and where it goes. */
export interface MqttMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Quality of service: at most once, at least once. Default 0. */
  readonly qos?: 0 | 1;
  readonly retain?: boolean;
}

export interface MqttLogin {
  readonly clientId: string;
  readonly keepAliveSec: number;
  readonly user?: string;
  readonly password?: string;
  readonly will?: MqttMessage;
}

/** Bytes of a field behind their length, of two bytes. */
function field(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + bytes.length);
  out[0] = bytes.length >> 8;
  out[1] = bytes.length & 255;
  out.set(bytes, 2);
  return out;
}

const text = (value: string): Uint8Array => field(asciiBytes(value));
const number = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);

/** A packet of these parts behind its fixed header. */
function packet(type: number, flags: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let left = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [(type << 4) | flags];
  do {
    const low = left & 127;
    left >>= 7;
    head.push(left > 0 ? low | 128 : low);
  } while (left > 0);
  const out = new Uint8Array(head.length + parts.reduce((sum, part) => sum + part.length, 0));
  out.set(head);
  let at = head.length;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function connectPacket({ clientId, keepAliveSec, user, password, will }: MqttLogin): Uint8Array {
  let flags = CLEAN_SESSION;
  const parts = [text(clientId)];
  if (will !== undefined) {
    flags |= WILL | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0);
    parts.push(text(will.topic), field(will.payload));
  }
  if (user !== undefined) {
    flags |= USER_NAME;
    parts.push(text(user));
  }
  if (password !== undefined) {
    flags |= PASSWORD;
    parts.push(text(password));
  }
  return packet(CONNECT, 0, text("MQTT"), Uint8Array.of(LEVEL_3_1_1, flags), number(keepAliveSec), ...parts);
}

/** @param id of a message of quality 1 @param again has it been sent before? */
export function publishPacket({ topic, payload, qos = 0, retain = false }: MqttMessage, id: number, again: boolean): Uint8Array {
  const flags = (retain ? RETAIN : 0) | (qos << 1) | (again ? DUPLICATE : 0);
  return qos === 0 ? packet(PUBLISH, flags, text(topic), payload) : packet(PUBLISH, flags, text(topic), number(id), payload);
}

export function subscribePacket(id: number, topic: string, qos: number): Uint8Array {
  return packet(SUBSCRIBE, 2, number(id), text(topic), Uint8Array.of(qos));
}

export function pubackPacket(id: number): Uint8Array {
  return packet(PUBACK, 0, number(id));
}

/** PINGREQ or DISCONNECT: nothing but a type. */
export function bare(type: number): Uint8Array {
  return packet(type, 0);
}

/** A packet that came. */
export interface MqttPacket {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  /** Bytes of all of it. */
  readonly bytes: number;
}

/** The first packet in the bytes; null when it is not complete. @throws RangeError for a length that is none */
export function parsePacket(bytes: Uint8Array, at: number): MqttPacket | null {
  let length = 0;
  for (let i = 1; ; i++) {
    if (i > 4) throw new RangeError("MQTT: the length of a packet takes more than 4 bytes");
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    length += (byte & 127) * 128 ** (i - 1);
    if (byte >= 128) continue;
    const start = at + i + 1;
    if (bytes.length < start + length) return null;
    return { type: bytes[at]! >> 4, flags: bytes[at]! & 15, body: bytes.slice(start, start + length), bytes: start + length - at };
  }
}

/** A message that came, and its number when it wants to be acknowledged. @throws RangeError for one that ends too early */
export function parsePublish({ flags, body }: MqttPacket): { message: Required<MqttMessage>; id: number } {
  const topicBytes = word(body, 0);
  const qos = (flags >> 1) & 3;
  const start = 2 + topicBytes + (qos > 0 ? 2 : 0);
  if (start > body.length || qos > 1) throw new RangeError("MQTT: a message that cannot be read");
  return {
    message: { topic: asciiText(body, 2, topicBytes), payload: body.slice(start), qos: qos as 0 | 1, retain: (flags & RETAIN) !== 0 },
    id: qos > 0 ? word(body, 2 + topicBytes) : 0,
  };
}

/** The number of a packet that acknowledges one. */
export function packetId({ body }: MqttPacket): number {
  return word(body, 0);
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
