/**
 * What iperf3 says on the wire, without a socket in sight: the states of the control connection, the cookie, the header
 * of a datagram and what a receiver makes of it. Numbers are big-endian.
 */

/** States: one byte each, from the server unless it says otherwise. */
export const TEST_START = 1;
export const TEST_RUNNING = 2;
/** From the client: time or bytes are up. */
export const TEST_END = 4;
export const PARAM_EXCHANGE = 9;
export const CREATE_STREAMS = 10;
export const SERVER_TERMINATE = 11;
/** From the client: interrupted. */
export const CLIENT_TERMINATE = 12;
export const EXCHANGE_RESULTS = 13;
export const DISPLAY_RESULTS = 14;
/** From the client: goodbye. */
export const IPERF_DONE = 16;
/** Another test is running. */
export const ACCESS_DENIED = -1;
/** Two words follow: iperf3's own error number and an errno. */
export const SERVER_ERROR = -2;
/** iperf3's error number for an option that is not implemented. */
export const IEUNIMP = 13;

/** Opens every connection: 36 letters and digits and a 0. */
export const COOKIE_BYTES = 37;
const COOKIE_LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/** The datagrams that open a UDP stream, in the byte order of the machines that iperf3 runs on. */
export const UDP_CONNECT_MSG = 0x36373839;
export const UDP_CONNECT_REPLY = 0x39383736;
/** The reply of servers before 3.12. */
export const UDP_CONNECT_REPLY_OLD = 987654321;
export const UDP_CONNECT_BYTES = 4;

/** Seconds, microseconds, and a count of 32 or of 64 bits. */
export const UDP_HEADER_BYTES = 12;
export const UDP_WIDE_HEADER_BYTES = 16;

export function makeCookie(): Uint8Array {
  const cookie = new Uint8Array(COOKIE_BYTES);
  for (let i = 0; i < COOKIE_BYTES - 1; i++) cookie[i] = COOKIE_LETTERS.charCodeAt((Math.random() * COOKIE_LETTERS.length) | 0);
  return cookie;
}

/** The number iperf3 gives a test's stream: 1, 3, 4, 5, … */
export function streamId(index: number): number {
  return index === 0 ? 1 : index + 2;
}

export function isUdpConnectReply(word: number): boolean {
  return word === UDP_CONNECT_REPLY || word === UDP_CONNECT_REPLY_OLD;
}

/** @param count of this datagram, from 1 @param wide whether counts have 64 bits */
export function writeUdpHeader(view: DataView, nowMs: number, count: number, wide: boolean): void {
  view.setUint32(0, Math.floor(nowMs / 1000));
  view.setUint32(4, (nowMs % 1000) * 1000);
  if (wide) view.setUint32(8, Math.floor(count / 0x100000000));
  view.setUint32(wide ? 12 : 8, count >>> 0);
}

/** What a receiver of datagrams counts: lost ones by their numbers, jitter as RTP has it (RFC 1889 section 6.3.1). */
export class UdpMeter {
  /** Highest number received. */
  packets = 0;
  lost = 0;
  outOfOrder = 0;
  /** Seconds. */
  jitter = 0;
  private transit = 0;
  private started = false;

  /** Takes note of a datagram whose header is in the view and which came at that time. */
  receive(view: DataView, nowMs: number, wide: boolean): void {
    const count = wide ? view.getUint32(8) * 0x100000000 + view.getUint32(12) : view.getUint32(8);
    if (count > this.packets) {
      this.lost += count - this.packets - 1;
      this.packets = count;
    } else {
      // It was counted as lost when a later one came.
      this.outOfOrder++;
      if (this.lost > 0) this.lost--;
    }
    // The clocks need not agree: only the difference to the datagram before counts.
    const transit = nowMs / 1000 - (view.getUint32(0) + view.getUint32(4) / 1e6);
    if (this.started) this.jitter += (Math.abs(transit - this.transit) - this.jitter) / 16;
    this.transit = transit;
    this.started = true;
  }
}
