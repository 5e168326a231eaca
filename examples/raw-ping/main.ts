/**
 * ping, by a raw socket: `raw-ping ADDRESS [COUNT]`. One echo request a second; each reply with its time, and at the end the sum.
 */
import { AF_INET, type Net, recvfrom, sendto, SOCK_RAW, SockaddrIn, socket } from "linnet";
import { raw } from "linnet/raw";
import { formatIp, parseIp } from "../common/address.ts";
import { echoRequest, numberOfReply } from "../common/icmp.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [raw];

const IPPROTO_ICMP = 1;
const INTERVAL_MS = 1000;
const COUNT = 4;
/** Marks our requests among those of other programs. */
const IDENTIFIER = 0x7069;
const TTL = 8;

export default function main(_net: Net, destination?: string, times: string = String(COUNT)): () => boolean | number {
  if (destination === undefined) throw new TypeError("raw-ping ADDRESS [COUNT]");
  const to = new SockaddrIn(parseIp(destination));
  const from = new SockaddrIn();
  const buffer = new Uint8Array(1500);
  const count = Number(times);
  const sentAt: number[] = [];
  const trips: number[] = [];
  const fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  if (fd < 0) throw new Error(`socket: error ${fd}`);
  let ended = false;

  function hear(length: number): void {
    const at = (buffer[0]! & 15) * 4;
    const number = numberOfReply(buffer, at, length, IDENTIFIER);
    if (number < 0 || number >= sentAt.length || trips[number] !== undefined) return;
    trips[number] = Date.now() - sentAt[number]!;
    trace(`${length - at} bytes from ${formatIp(from.addr)}: icmp_seq=${number} ttl=${buffer[TTL]} time=${trips[number]} ms\n`);
  }

  function sum(): boolean {
    const came = trips.filter((trip) => trip !== undefined);
    const times = came.length === 0 ? "" : `, ${Math.min(...came)}/${Math.max(...came)} ms at least/at most`;
    trace(`${count} sent, ${came.length} received${times}\n`);
    ended = true;
    return false;
  }

  return () => {
    if (ended) return false;
    const length = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (length > 0) {
      hear(length);
      return true;
    }
    const now = Date.now();
    const sent = sentAt.length;
    const left = sent === 0 ? 0 : sentAt[sent - 1]! + INTERVAL_MS - now;
    if (sent === count) return trips.filter((trip) => trip !== undefined).length === count || left <= 0 ? sum() : left;
    if (left > 0) return left;
    const request = echoRequest(IDENTIFIER, sent);
    const err = sendto(fd, request, 0, request.length, 0, to);
    if (err < 0) trace(`icmp_seq=${sent}: error ${err}\n`);
    sentAt.push(now);
    return INTERVAL_MS;
  };
}
