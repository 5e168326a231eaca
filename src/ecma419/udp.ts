/**
 * UDP: a socket for datagrams. ECMA-419 clause 11.5 over the BSD calls; read first udp(7). Owns its descriptor. Methods of a
 * closed instance throw a SyntaxError, as Moddable's tests ask for; its options `multicast` and `timeToLive`, which the draft of
 * the fourth edition has no more, are understood.
 */
import { close } from "../stack/socket/files.ts";
import { recvfrom, sendto } from "../stack/socket/sendrecv.ts";
import { bind, getNs, socket } from "../stack/socket/socket.ts";
import { setsockopt, setsockoptBytes } from "../stack/socket/sockopt.ts";
import type { Net } from "../stack/core/net.ts";
import { devGetDefault } from "../stack/core/net-device.ts";
import { SockaddrIn } from "../stack/core/sockaddr.ts";
import { EAGAIN, ENETUNREACH, ENODEV } from "../uapi/errno.ts";
import { IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL } from "../uapi/in.ts";
import {
  AF_INET, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, SO_BINDTODEVICE, SO_BROADCAST, SOCK_DGRAM, SOCK_NONBLOCK, SOL_IP, SOL_SOCKET,
} from "../uapi/socket.ts";
import { formatAddress } from "./address.ts";
import { Edge, edgeAttach, edgeDetach, edgePendingDatagrams, stackError } from "./edge.ts";
import {
  type ByteBuffer, checkAddress, checkBytes, checkCallback, checkFormat, checkInteger, checkOptions, checkPort, closedError,
} from "./options.ts";

export type UDPFormat = "buffer";

/** A datagram that was read: its bytes, and who sent it. */
export type UDPPacket = ArrayBuffer & { address: string; port: number };

export interface UDPOptions {
  /** The port of this host, 0 to 65535; 0, which is the default, for a free one. */
  readonly port?: number;
  /** Address of this host to which datagrams come, and from which they are sent. Default: any. */
  readonly address?: string;
  /** A group to be in from the start, as by add(). */
  readonly multicast?: string;
  /** Routers a datagram may pass, and one to a group: 1 to 255. Default: the namespace's, and 1. */
  readonly timeToLive?: number;
  /** Called with the number of datagrams to read, all of them, each time there are more. */
  readonly onReadable?: ((this: UDP, packets: number) => void) | null;
  /** Never called: nothing ends such a socket but close(). */
  readonly onError?: ((this: UDP) => void) | null;
  readonly format?: UDPFormat;
  /** Becomes the property of that name. */
  readonly target?: unknown;
}

const NAME = "UDP";
const FORMATS: readonly UDPFormat[] = Object.freeze<UDPFormat[]>(["buffer"]);

class UdpEdge extends Edge {
  readonly owner: UDP;
  onReadable: ((this: UDP, packets: number) => void) | null = null;
  readonly net: Net = getNs();
  /** Who sent the last datagram, and where the next goes. */
  readonly peer = new SockaddrIn();

  constructor(owner: UDP) {
    super();
    this.owner = owner;
  }

  dispatch(): void {
    const packets = edgePendingDatagrams(this);
    if (this.news(packets)) this.onReadable?.call(this.owner, packets);
  }
}

export class UDP {
  declare target?: unknown;
  readonly #edge: UdpEdge;

  /**
   * Binds to a port.
   * @throws RangeError (port, timeToLive, format, addresses), TypeError (of another type), Error (port in use, not an address of
   * this host, no socket left, the group cannot be joined)
   */
  constructor(options: UDPOptions) {
    checkOptions(NAME, options);
    const { target, format, address, port, multicast, timeToLive } = options;
    const edge = new UdpEdge(this);
    this.#edge = edge;
    edge.onReadable = checkCallback(NAME, "onReadable", options.onReadable);
    checkCallback(NAME, "onError", options.onError);
    if (format !== undefined) checkFormat(NAME, format, FORMATS);
    const hops = timeToLive === undefined ? 0 : checkInteger(NAME, "timeToLive", timeToLive, 1, 255);
    const group = multicast === undefined ? 0 : checkAddress(NAME, "multicast", multicast);
    const local = new SockaddrIn(
      address === undefined ? 0 : checkAddress(NAME, "address", address), port === undefined ? 0 : checkPort(NAME, port),
    );
    if (target !== undefined) this.target = target;
    const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0) throw stackError(`${NAME}: no socket`, fd);
    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, 1);
    // As on Moddable's boards: the SDK's DNS-SD would take its own questions for another host's.
    setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, 0);
    if (hops > 0) {
      setsockopt(fd, SOL_IP, IP_TTL, hops);
      setsockopt(fd, SOL_IP, IP_MULTICAST_TTL, hops);
    }
    let err = bind(fd, local);
    if (err >= 0 && group !== 0) err = membership(edge, fd, IP_ADD_MEMBERSHIP, group);
    if (err < 0) {
      close(fd);
      throw stackError(`${NAME}: port ${local.port}`, err);
    }
    edgeAttach(edge, fd);
  }

  /** The edge of an instance that is open. @throws SyntaxError */
  static #edgeOf(self: unknown): UdpEdge {
    if (typeof self === "object" && self !== null && #edge in self && self.#edge.fd >= 0) return self.#edge;
    throw closedError(NAME);
  }

  get format(): UDPFormat {
    UDP.#edgeOf(this);
    return "buffer";
  }

  /** @throws RangeError for any but "buffer" */
  set format(format: UDPFormat) {
    UDP.#edgeOf(this);
    checkFormat(NAME, format, FORMATS);
  }

  /**
   * Takes the next datagram whole, or undefined when there is none: into a new ArrayBuffer, or into a buffer, then its length is
   * answered. The sender's `address` and `port` become properties of the buffer.
   * @throws TypeError (no buffer), RangeError (it is too short: the datagram stays)
   */
  read(): UDPPacket | undefined;
  read(buffer: ByteBuffer): number | undefined;
  read(into?: ByteBuffer): UDPPacket | number | undefined {
    const edge = UDP.#edgeOf(this);
    let bytes = into === undefined ? new Uint8Array(0) : checkBytes(NAME, into);
    const length = recvfrom(edge.fd, bytes, 0, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, null);
    if (length === -EAGAIN) return undefined;
    if (length < 0) throw stackError(`${NAME}: read`, length);
    if (into === undefined) bytes = new Uint8Array(length);
    else if (bytes.length < length) throw new RangeError(`${NAME}: read into ${bytes.length} bytes; the datagram has ${length}`);
    recvfrom(edge.fd, bytes, 0, length, MSG_DONTWAIT, edge.peer);
    edge.took(1);
    const packet = (into ?? bytes.buffer) as UDPPacket;
    packet.address = formatAddress(edge.peer.addr);
    packet.port = edge.peer.port;
    return into === undefined ? packet : length;
  }

  /**
   * Sends one datagram; broadcasts and groups need nothing else.
   * @param address IPv4 address @param port 1 to 65535 (there is nobody at 0: EINVAL)
   * @throws TypeError, RangeError (the arguments), Error (no route, too long, or no room now: nothing is sent)
   */
  write(buffer: ByteBuffer, address: string, port: number): void {
    const edge = UDP.#edgeOf(this);
    const bytes = checkBytes(NAME, buffer);
    const { peer } = edge;
    peer.addr = checkAddress(NAME, "address", address);
    peer.port = checkPort(NAME, port);
    let sent = sendto(edge.fd, bytes, 0, bytes.length, MSG_DONTWAIT, peer);
    if (sent === -ENETUNREACH) sent = sendUnrouted(edge, bytes);
    if (sent < 0) throw stackError(`${NAME}: write of ${bytes.length} bytes to ${address}:${port}`, sent);
  }

  /** Joins a group. @throws TypeError, RangeError (the address), Error (no such group, joined already, no room) */
  add(multicast: string): void {
    change(UDP.#edgeOf(this), IP_ADD_MEMBERSHIP, multicast);
  }

  /** Leaves a group. @throws TypeError, RangeError (the address), Error (not a member) */
  remove(multicast: string): void {
    change(UDP.#edgeOf(this), IP_DROP_MEMBERSHIP, multicast);
  }

  /** Ends it. No callback follows, and closing again does nothing. @throws SyntaxError when this is no UDP */
  close(): void {
    const self: unknown = this;
    if (typeof self !== "object" || self === null || !(#edge in self)) throw closedError(NAME);
    if (self.#edge.fd >= 0) close(edgeDetach(self.#edge));
  }
}

/** Sends to where no route leads, by the default device, if that can be: a group, or 255.255.255.255. */
function sendUnrouted(edge: UdpEdge, bytes: Uint8Array): number {
  const { fd, peer } = edge;
  const ifindex = devGetDefault(edge.net)?.ifindex ?? 0;
  const isGroup = peer.addr >>> 28 === 14;
  if (ifindex === 0 || (!isGroup && peer.addr !== -1)) return -ENETUNREACH;
  if (isGroup) setsockoptBytes(fd, SOL_IP, IP_MULTICAST_IF, Int32Array.of(0, 0, ifindex));
  else setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifindex);
  const sent = sendto(fd, bytes, 0, bytes.length, MSG_DONTWAIT, peer);
  if (!isGroup) setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, 0);
  return sent;
}

/** struct ip_mreqn: the group and no address; of the device that a route leads to, or of the default one. */
function membership(edge: UdpEdge, fd: number, option: number, group: number): number {
  const err = setsockoptBytes(fd, SOL_IP, option, Int32Array.of(group, 0, 0));
  return err === -ENODEV ? setsockoptBytes(fd, SOL_IP, option, Int32Array.of(group, 0, devGetDefault(edge.net)?.ifindex ?? 0)) : err;
}

function change(edge: UdpEdge, option: number, multicast: string): void {
  const err = membership(edge, edge.fd, option, checkAddress(NAME, "multicast", multicast));
  if (err < 0) throw stackError(`${NAME}: group ${multicast}`, err);
}
