/**
 * A TCP connection of ECMA-419 as protocols like it: what is written waits here until the connection takes it, in order, and what
 * has come arrives as bytes. Read first: ECMA-419 clause 11.3. Owns the TCP.
 */
import { TCP } from "linnet/ecma419";

/** Where to connect to, or a connection that is there already. */
export type Peer = { readonly address: string; readonly port: number } | { readonly from: TCP };

export interface ConnectionEvents {
  /** Bytes have come; they are the receiver's to keep. */
  onData(bytes: Uint8Array): void;
  /** It is over and everything that had come was told: refused, reset, or ended by the peer. */
  onEnd(): void;
}

export class Connection {
  private readonly tcp: TCP;
  private readonly events: ConnectionEvents;
  private queue: Uint8Array[] = [];
  /** Bytes of the queue's first that have been taken. */
  private taken = 0;
  private room = 0;
  private ending = false;
  /** Nothing more will be told or written. */
  closed = false;

  /** @throws what TCP's constructor throws: no address, or no socket left */
  constructor(peer: Peer, events: ConnectionEvents) {
    this.events = events;
    this.tcp = new TCP({
      ...peer,
      onReadable: () => this.receive(),
      onWritable: (room) => {
        this.room = room;
        this.flush();
      },
      onError: () => this.over(),
    });
  }

  get remoteAddress(): string {
    return this.tcp.remoteAddress ?? "";
  }

  /** Bytes that are written but not taken yet. */
  get waiting(): number {
    return this.queue.reduce((sum, bytes) => sum + bytes.length, -this.taken);
  }

  /** Writes; the bytes are kept until the connection takes them. */
  write(bytes: Uint8Array): void {
    if (this.closed || this.ending || bytes.length === 0) return;
    this.queue.push(bytes);
    this.flush();
  }

  /** Closes when all that was written has been taken. */
  end(): void {
    this.ending = true;
    if (this.queue.length === 0) this.close();
  }

  /** Closes now; what waits is lost. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.queue = [];
    this.tcp.close();
  }

  private receive(): void {
    const data = this.tcp.read();
    if (data !== undefined && !this.ending) this.events.onData(new Uint8Array(data as ArrayBuffer));
  }

  private flush(): void {
    while (this.queue.length > 0 && this.room > 0) {
      const first = this.queue[0]!;
      const left = first.length - this.taken;
      const count = left < this.room ? left : this.room;
      this.room = this.tcp.write(first.subarray(this.taken, this.taken + count), { more: this.queue.length > 1 });
      this.taken += count;
      if (this.taken < first.length) return;
      this.queue.shift();
      this.taken = 0;
    }
    if (this.ending && this.queue.length === 0) this.close();
  }

  private over(): void {
    if (this.closed) return;
    this.close();
    this.events.onEnd();
  }
}
