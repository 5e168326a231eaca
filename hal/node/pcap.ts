/**
 * Captures in pcap's classic file format, with nanoseconds: to a file while the board runs, or kept in memory (the last
 * megabytes) until a test wants them. Read first: https://wiki.wireshark.org/Development/LibpcapFileFormat
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { mem8 } from "../../src/lib/memory.ts";
import { captureStart, captureStop } from "../../src/netif/capture.ts";
import type { NetDevice } from "../../src/stack/core/net-device.ts";
import type { SkBuff } from "../../src/stack/core/skbuff.ts";

const MAGIC_NANOSECONDS = 0xa1b23c4d;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const LINKTYPE_ETHERNET = 1;
const DEFAULT_SNAPLEN = 65535;
const FLUSH_BYTES = 256 * 1024;
/** A file that someone watches is at most this old. */
const FLUSH_MS = 200;

/** The header of a capture file of Ethernet frames. */
export function pcapHeader(snaplen = DEFAULT_SNAPLEN): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.writeUInt32LE(MAGIC_NANOSECONDS, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snaplen, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}

/** Writes a record's header: a frame of `length` bytes at that time, of which `kept` follow. */
function putRecordHeader(into: Buffer, at: number, timeMs: number, kept: number, length: number): void {
  const seconds = Math.floor(timeMs / 1000);
  into.writeUInt32LE(seconds >>> 0, at);
  into.writeUInt32LE(Math.min(999_999_999, Math.max(0, Math.round((timeMs - seconds * 1000) * 1e6))), at + 4);
  into.writeUInt32LE(kept, at + 8);
  into.writeUInt32LE(length, at + 12);
}

/** A record: header and frame. */
export function pcapRecord(frame: Uint8Array, timeMs: number, snaplen = DEFAULT_SNAPLEN): Buffer {
  const kept = Math.min(frame.length, snaplen);
  const record = Buffer.alloc(RECORD_HEADER_BYTES + kept);
  putRecordHeader(record, 0, timeMs, kept, frame.length);
  record.set(frame.subarray(0, kept), RECORD_HEADER_BYTES);
  return record;
}

/** A capture file that is being written. */
export class PcapWriter {
  private readonly fd: number;
  private readonly snaplen: number;
  private readonly buffer = Buffer.alloc(FLUSH_BYTES);
  private used = 0;
  private readonly timer: NodeJS.Timeout;

  /** @throws Error of the file system when the file cannot be made */
  constructor(path: string, snaplen = DEFAULT_SNAPLEN) {
    this.fd = openSync(path, "w");
    this.snaplen = snaplen;
    writeSync(this.fd, pcapHeader(snaplen));
    this.timer = setInterval(() => this.flush(), FLUSH_MS);
    this.timer.unref();
  }

  /** Adds a frame: bytes of an array, at a time in ms since 1970. */
  write(bytes: Uint8Array, offset: number, length: number, timeMs: number): void {
    const kept = Math.min(length, this.snaplen);
    const size = RECORD_HEADER_BYTES + kept;
    if (this.used + size > FLUSH_BYTES) this.flush();
    putRecordHeader(this.buffer, this.used, timeMs, kept, length);
    this.buffer.set(bytes.subarray(offset, offset + kept), this.used + RECORD_HEADER_BYTES);
    this.used += size;
  }

  flush(): void {
    if (this.used > 0) writeSync(this.fd, this.buffer, 0, this.used);
    this.used = 0;
  }

  close(): void {
    clearInterval(this.timer);
    this.flush();
    closeSync(this.fd);
  }
}

/** Writes every frame of a device to the file, in real time; the returned function ends it and closes the file. */
export function capturePcap(dev: NetDevice, path: string, snaplen?: number): () => void {
  const writer = new PcapWriter(path, snaplen);
  const capture = captureStart(dev, (skb: SkBuff) => {
    writer.write(mem8, skb.mac, skb.tail - skb.mac, performance.timeOrigin + performance.now());
  });
  return () => {
    captureStop(capture);
    writer.close();
  };
}
