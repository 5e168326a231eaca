/** IGMP messages in a test: queries to be sent, and what a frame says in one line. */
import { addressNumber, addressText, type Frame, internetChecksum } from "./frames.ts";

export const PROTO_IGMP = 2;

const RECORDS = ["?", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"];
const MESSAGES: Readonly<Record<number, string>> = { 0x11: "query", 0x12: "v1 report", 0x16: "v2 report", 0x17: "leave" };

function summed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  view.setUint16(2, 0);
  view.setUint16(2, internetChecksum(bytes));
  return bytes;
}

/** A message of version 1 or 2. @param code response time in tenths of a second */
export function igmpMessage(type: number, code: number, group = "0.0.0.0"): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.set([type, code]);
  new DataView(bytes.buffer).setInt32(4, addressNumber(group));
  return summed(bytes);
}

export interface QueryFields {
  readonly code?: number;
  readonly group?: string;
  readonly sources?: readonly string[];
  readonly qrv?: number;
  readonly qqic?: number;
}

/** A query of version 3. */
export function igmpv3Query({ code = 100, group = "0.0.0.0", sources = [], qrv = 2, qqic = 125 }: QueryFields = {}): Uint8Array {
  const bytes = new Uint8Array(12 + 4 * sources.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x11, code]);
  view.setInt32(4, addressNumber(group));
  bytes.set([qrv, qqic], 8);
  view.setUint16(10, sources.length);
  sources.forEach((source, i) => view.setInt32(12 + 4 * i, addressNumber(source)));
  return summed(bytes);
}

/**
 * The message in one line, `TO_EX 239.1.1.1, ALLOW 232.1.1.1 10.0.0.9` or `v2 report 239.1.1.1`, sources in order; records and
 * sources stand in the order of their addresses, which no host is bound to.
 * @throws Error when it is none, or is not as a host must send it: TTL 1, TOS 0xc0, router alert, right checksum, right address
 */
export function igmpText(frame: Frame): string {
  const { ip, bytes } = frame;
  if (ip === undefined || ip.protocol !== PROTO_IGMP) throw new Error("no IGMP");
  const header = (bytes[14]! & 15) * 4;
  const data = bytes.slice(14 + header, 14 + ip.length);
  const view = new DataView(data.buffer);
  const option = [...bytes.subarray(34, 14 + header)].join();
  if (ip.ttl !== 1 || ip.tos !== 0xc0 || !ip.df || option !== "148,4,0,0") throw new Error(`header: ${JSON.stringify(ip)} ${option}`);
  if (internetChecksum(data) !== 0 || frame.badChecksums.length > 0) throw new Error("wrong checksum");
  if (bytes[0] !== 1) throw new Error(`to ${frame.dst}`);
  const type = data[0]!;
  if (type !== 0x22) {
    const group = addressText(view.getInt32(4));
    if (ip.daddr !== (type === 0x17 ? "224.0.0.2" : group)) throw new Error(`sent to ${ip.daddr}`);
    return `${MESSAGES[type] ?? type} ${group}`;
  }
  if (ip.daddr !== "224.0.0.22") throw new Error(`sent to ${ip.daddr}`);
  const records: string[] = [];
  let at = 8;
  for (let left = view.getUint16(6); left > 0; left--) {
    const count = view.getUint16(at + 2);
    const sources = Array.from({ length: count }, (_, i) => addressText(view.getInt32(at + 8 + 4 * i))).sort();
    records.push([RECORDS[data[at]!], addressText(view.getInt32(at + 4)), ...sources].join(" "));
    at += 8 + 4 * count;
  }
  if (at !== data.length) throw new Error(`${data.length - at} bytes left over`);
  return records.sort().join(", ");
}
