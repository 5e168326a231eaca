/**
 * A netlink socket for commands: requests are built here, sent, and their answers taken apart. iproute2's counterpart is
 * lib/libnetlink.c. Errors become its complaints. Allocates.
 */
import type { Net } from "../stack/core/net.ts";
import { SockaddrNl } from "../stack/core/sockaddr.ts";
import { close } from "../stack/socket/files.ts";
import { recv, sendto } from "../stack/socket/sendrecv.ts";
import { setsockopt } from "../stack/socket/sockopt.ts";
import { bind, socketIn } from "../stack/socket/socket.ts";
import { EAGAIN, ENOBUFS } from "../uapi/errno.ts";
import {
  NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_ROUTE, NLA_HDRLEN, NLA_TYPE_MASK, NLM_F_ACK, NLM_F_ACK_TLVS,
  NLM_F_CAPPED, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN, NLMSGERR_ATTR_MSG,
} from "../uapi/netlink.ts";
import { AF_NETLINK, SOCK_CLOEXEC, SOCK_RAW, SOL_NETLINK } from "../uapi/socket.ts";
import { CommandEnd } from "./command.ts";
import { strerror } from "./strerror.ts";

/** Largest request a command builds, and largest packet it takes. */
const REQUEST_BYTES = 1024;
const ANSWER_BYTES = 16384;

/** A request on its way to be sent. */
export class Request {
  readonly bytes = new Uint8Array(REQUEST_BYTES);
  readonly view: DataView = new DataView(this.bytes.buffer);
  length: number;

  /** @param header bytes of the family's own header, which follows that of the message, all zeros */
  constructor(type: number, flags: number, header: number) {
    this.length = NLMSG_HDRLEN + header;
    this.view.setUint16(4, type, true);
    this.view.setUint16(6, flags | NLM_F_REQUEST, true);
  }

  /** Sets a byte of the family's header. */
  setU8(at: number, value: number): void {
    this.bytes[NLMSG_HDRLEN + at] = value;
  }

  setU16(at: number, value: number): void {
    this.view.setUint16(NLMSG_HDRLEN + at, value, true);
  }

  setU32(at: number, value: number): void {
    this.view.setInt32(NLMSG_HDRLEN + at, value, true);
  }

  getU32(at: number): number {
    return this.view.getInt32(NLMSG_HDRLEN + at, true);
  }

  private attr(type: number, length: number): number {
    const at = this.length;
    if (at + NLA_HDRLEN + length > REQUEST_BYTES) throw new CommandEnd(2, `addattr_l ERROR: message exceeded bound of ${REQUEST_BYTES}\n`);
    this.view.setUint16(at, NLA_HDRLEN + length, true);
    this.view.setUint16(at + 2, type, true);
    this.length = at + ((NLA_HDRLEN + length + 3) & ~3);
    return at + NLA_HDRLEN;
  }

  /** Adds a number. */
  u32(type: number, value: number): this {
    this.view.setInt32(this.attr(type, 4), value | 0, true);
    return this;
  }

  u16(type: number, value: number): this {
    this.view.setUint16(this.attr(type, 2), value, true);
    return this;
  }

  /** Adds a port, in the order of the wire. */
  port(type: number, value: number): this {
    this.view.setUint16(this.attr(type, 2), value);
    return this;
  }

  u8(type: number, value: number): this {
    this.bytes[this.attr(type, 1)] = value;
    return this;
  }

  /** Adds an IPv4 address. */
  addr(type: number, addr: number): this {
    this.view.setInt32(this.attr(type, 4), addr);
    return this;
  }

  /** Adds a text with its final zero. */
  string(type: number, text: string): this {
    const at = this.attr(type, text.length + 1);
    for (let i = 0; i < text.length; i++) this.bytes[at + i] = text.charCodeAt(i);
    return this;
  }

  data(type: number, bytes: Uint8Array): this {
    this.bytes.set(bytes, this.attr(type, bytes.length));
    return this;
  }

  /** Adds raw bytes, no attribute (a next hop's header); where they are. */
  raw(bytes: number): number {
    const at = this.length;
    this.length = at + bytes;
    return at;
  }

  /** Begins an attribute that holds others. */
  nest(type: number): number {
    return this.attr(type, 0) - NLA_HDRLEN;
  }

  nestEnd(nest: number): void {
    this.view.setUint16(nest, this.length - nest, true);
  }
}

/** A message as it came. */
export class Answer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly type: number;
  readonly flags: number;
  readonly seq: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.type = this.view.getUint16(4, true);
    this.flags = this.view.getUint16(6, true);
    this.seq = this.view.getUint32(8, true);
  }

  u8(at: number): number {
    return this.bytes[NLMSG_HDRLEN + at]!;
  }

  u16(at: number): number {
    return this.view.getUint16(NLMSG_HDRLEN + at, true);
  }

  u32(at: number): number {
    return this.view.getInt32(NLMSG_HDRLEN + at, true);
  }

  /** The attributes behind a family header of that many bytes. */
  attrs(header: number): Attrs {
    return new Attrs(this.bytes, NLMSG_HDRLEN + header, this.bytes.length);
  }
}

/** Attributes by type. Linux: parse_rtattr(). */
export class Attrs {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly found = new Map<number, number>();

  constructor(bytes: Uint8Array, from: number, end: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let at = from; at + NLA_HDRLEN <= end;) {
      const length = this.view.getUint16(at, true);
      if (length < NLA_HDRLEN || at + length > end) break;
      this.found.set(this.view.getUint16(at + 2, true) & NLA_TYPE_MASK, at);
      at += (length + 3) & ~3;
    }
  }

  has(type: number): boolean {
    return this.found.has(type);
  }

  private at(type: number): number {
    return this.found.get(type)! + NLA_HDRLEN;
  }

  u32(type: number, otherwise = 0): number {
    return this.found.has(type) ? this.view.getUint32(this.at(type), true) : otherwise;
  }

  u16(type: number, otherwise = 0): number {
    return this.found.has(type) ? this.view.getUint16(this.at(type), true) : otherwise;
  }

  u8(type: number, otherwise = 0): number {
    return this.found.has(type) ? this.bytes[this.at(type)]! : otherwise;
  }

  addr(type: number): number {
    return this.found.has(type) ? this.view.getInt32(this.at(type)) : 0;
  }

  /** A 64-bit counter inside the attribute. */
  u64(type: number, at: number): number {
    const from = this.at(type) + at;
    return this.view.getUint32(from, true) + this.view.getUint32(from + 4, true) * 4294967296;
  }

  /** The attribute's bytes; none when it is not there. */
  data(type: number): Uint8Array {
    if (!this.found.has(type)) return new Uint8Array(0);
    const at = this.at(type);
    return this.bytes.slice(at, at - NLA_HDRLEN + this.view.getUint16(at - NLA_HDRLEN, true));
  }

  string(type: number): string {
    let text = "";
    for (const byte of this.data(type)) {
      if (byte === 0) break;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** The attributes inside one. */
  nested(type: number): Attrs {
    const data = this.data(type);
    return new Attrs(data, 0, data.length);
  }
}

/** One socket of NETLINK_ROUTE. */
export class Rtnl {
  private readonly fd: number;
  private readonly buffer = new Uint8Array(ANSWER_BYTES);
  private seq = 0;

  /** Opens one in the namespace. @param groups RTNLGRP_* to join, as bits */
  constructor(net: Net, groups = 0) {
    this.fd = socketIn(net, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (this.fd < 0) throw new CommandEnd(1, `Cannot open netlink socket: ${strerror(this.fd)}\n`);
    setsockopt(this.fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    setsockopt(this.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    bind(this.fd, new SockaddrNl(0, groups));
  }

  close(): void {
    close(this.fd);
  }

  private send(request: Request): void {
    request.view.setUint32(0, request.length, true);
    request.view.setUint32(8, ++this.seq, true);
    const sent = sendto(this.fd, request.bytes, 0, request.length, 0, null);
    if (sent < 0) throw new CommandEnd(2, `Cannot talk to rtnetlink: ${strerror(sent)}\n`);
  }

  /** The messages of the next packet; none when nothing waits. */
  read(): Answer[] {
    const length = recv(this.fd, this.buffer, 0, ANSWER_BYTES, 0);
    if (length === -EAGAIN) return [];
    if (length === -ENOBUFS) throw new CommandEnd(2, `netlink receive error ${strerror(length)} (${ENOBUFS})\n`);
    if (length < 0) throw new CommandEnd(2, `netlink receive error ${strerror(length)} (${-length})\n`);
    const view = new DataView(this.buffer.buffer);
    const list: Answer[] = [];
    for (let at = 0; at + NLMSG_HDRLEN <= length;) {
      const size = view.getUint32(at, true);
      if (size < NLMSG_HDRLEN || at + size > length) break;
      list.push(new Answer(this.buffer.slice(at, at + size)));
      at += (size + 3) & ~3;
    }
    return list;
  }

  /**
   * Sends a request and waits for its answer.
   * @returns null for a bare acknowledgment
   * @throws CommandEnd with status 2 and the reason when it is refused
   */
  talk(request: Request, ack = true): Answer | null {
    const refusal = this.tryTalk(request, ack);
    if (refusal instanceof Answer || refusal === null) return refusal;
    throw new CommandEnd(2, refusal.complaint);
  }

  /** talk() that answers an error instead of ending the command. */
  tryTalk(request: Request, ack = true): Answer | null | { readonly errno: number; readonly complaint: string } {
    if (ack) request.view.setUint16(6, request.view.getUint16(6, true) | NLM_F_ACK, true);
    this.send(request);
    for (let list = this.read(); list.length > 0; list = this.read()) {
      for (const answer of list) {
        if (answer.seq !== this.seq) continue;
        if (answer.type !== NLMSG_ERROR) return answer;
        const error = answer.u32(0);
        return error === 0 ? null : { errno: -error, complaint: complain(answer, error) };
      }
    }
    return { errno: 0, complaint: "Unexpected reply!!!\n" };
  }

  /** Sends a dump request and gives each message to the visitor. @param what the word for it in complaints */
  dump(request: Request, visit: (answer: Answer) => void, what = "Dump"): void {
    request.view.setUint16(6, request.view.getUint16(6, true) | NLM_F_DUMP, true);
    this.send(request);
    for (let list = this.read(); list.length > 0; list = this.read()) {
      for (const answer of list) {
        if (answer.seq !== this.seq) continue;
        if (answer.type === NLMSG_DONE || answer.type === NLMSG_ERROR) {
          const error = answer.u32(0);
          if (error < 0) throw new CommandEnd(2, `${complain(answer, error)}${what} terminated\n`);
          return;
        }
        visit(answer);
      }
    }
  }
}

/** What rtnl_talk() says of a refusal: the kernel's own words if it has any. */
function complain(answer: Answer, error: number): string {
  if ((answer.flags & NLM_F_ACK_TLVS) !== 0) {
    const isError = answer.type === NLMSG_ERROR;
    const quoted = (answer.flags & NLM_F_CAPPED) !== 0 ? NLMSG_HDRLEN : (answer.u32(4) + 3) & ~3;
    const text = answer.attrs(isError ? 4 + quoted : 4).string(NLMSGERR_ATTR_MSG);
    if (text !== "") return `Error: ${text}${text.endsWith(".") ? "" : "."}\n`;
  }
  return `RTNETLINK answers: ${strerror(error)}\n`;
}

