/**
 * The way to a host, hop by hop: `raw-traceroute ADDRESS [MOST_HOPS]`. A raw socket of ICMP sends echo requests with a TTL of 1, 2,
 * 3 …; the router at which one ends tells us, and the host itself answers the last.
 */
import { AF_INET, IP_TTL, type Net, recvfrom, sendto, setsockopt, SOCK_RAW, SockaddrIn, socket, SOL_IP } from "linnet";
import { ICMP_DEST_UNREACH, ICMP_ECHOREPLY, ICMP_TIME_EXCEEDED, raw } from "linnet/raw";
import { formatIp, parseIp } from "../common/address.ts";
import { echoRequest, ICMP_HEADER, numberOfQuoted, numberOfReply } from "../common/icmp.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [raw];

const IPPROTO_ICMP = 1;
const PROBES = 3;
const PATIENCE_MS = 1000;
const MOST_HOPS = 30;
/** Marks our requests among those of other programs. */
const IDENTIFIER = 0x6c6e;

export default function main(_net: Net, destination?: string, mostHops: string = String(MOST_HOPS)): () => boolean | number {
  if (destination === undefined) throw new TypeError("raw-traceroute ADDRESS [MOST_HOPS]");
  const to = new SockaddrIn(parseIp(destination));
  const most = Number(mostHops);
  const from = new SockaddrIn();
  const buffer = new Uint8Array(1500);
  const fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) throw new Error(`socket: error ${fd}`);
  let ttl = 1;
  let probe = 0;
  let sentAt = 0;
  let waiting = false;
  let shown = 0;
  let ended = false;
  trace(`traceroute to ${destination}, ${most} hops max\n`);

  function send(): void {
    setsockopt(fd, SOL_IP, IP_TTL, ttl);
    const request = echoRequest(IDENTIFIER, ttl * PROBES + probe);
    sendto(fd, request, 0, request.length, 0, to);
    sentAt = Date.now();
    waiting = true;
    if (probe === 0) trace(`${String(ttl).padStart(2)} `);
  }

  /** One probe is over: answered by somebody, or by nobody. */
  function note(text: string, last: boolean): void {
    trace(text);
    waiting = false;
    if (last) ended = true;
    if (++probe < PROBES) return;
    probe = shown = 0;
    trace("\n");
    if (ended || ttl === most) {
      ended = true;
      trace("done\n");
    } else {
      ttl++;
    }
  }

  /** A message that came: is it about the probe under way? */
  function hear(length: number): void {
    const at = (buffer[0]! & 15) * 4;
    const type = buffer[at];
    const number = type === ICMP_ECHOREPLY ? numberOfReply(buffer, at, length, IDENTIFIER)
      : type === ICMP_TIME_EXCEEDED || type === ICMP_DEST_UNREACH ? numberOfQuoted(buffer, at + ICMP_HEADER, length, IDENTIFIER) : -1;
    if (number !== ttl * PROBES + probe) return;
    const name = from.addr === shown ? "" : ` ${formatIp(from.addr)}`;
    shown = from.addr;
    const mark = type === ICMP_DEST_UNREACH ? ` !${buffer[at + 1]}` : "";
    note(`${name} ${Date.now() - sentAt} ms${mark}`, type !== ICMP_TIME_EXCEEDED);
  }

  return () => {
    if (ended && probe === 0) return false;
    const length = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (length > 0) {
      hear(length);
      return true;
    }
    if (!waiting) {
      send();
      return true;
    }
    const left = sentAt + PATIENCE_MS - Date.now();
    if (left > 0) return left;
    note(" *", false);
    return true;
  };
}
