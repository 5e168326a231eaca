/**
 * What ifconfig, route and arp share: a socket for ioctl(), addresses as inet_aton() reads them, and complaints. net-tools'
 * counterpart is its lib/. Names are not looked up: there are only numbers. Allocates.
 */
import type { IoctlRecord } from "../stack/core/ifreq.ts";
import type { Net } from "../stack/core/net.ts";
import { procRead } from "../stack/core/proc.ts";
import { close } from "../stack/socket/files.ts";
import { ioctl, socketIn } from "../stack/socket/socket.ts";
import { AF_INET, SOCK_DGRAM } from "../uapi/socket.ts";
import { CommandEnd, type Output, parseNumber } from "./command.ts";
import { strerror } from "./strerror.ts";

/** Exit statuses of net-tools. */
export const E_OPTERR = 3;
export const E_LOOKUP = 6;
export const E_SOCK = 7;

/** A command at work: its socket and its output. */
export class NetTool {
  readonly net: Net;
  readonly out: Output;
  private readonly fd: number;

  constructor(net: Net, out: Output) {
    this.net = net;
    this.out = out;
    this.fd = socketIn(net, AF_INET, SOCK_DGRAM, 0);
    if (this.fd < 0) throw new CommandEnd(1, `socket: ${strerror(this.fd)}\n`);
  }

  close(): void {
    close(this.fd);
  }

  print(text: string): void {
    this.out.text += text;
  }

  complain(text: string): void {
    this.out.error += text;
  }

  /** The lines of a file of /proc/net, without its `header` first ones. */
  lines(file: string, header: number): string[] {
    return (procRead(this.net, `net/${file}`) ?? "").split("\n").slice(header, -1);
  }

  /** A request: 0 or a negative errno. */
  ioctl(request: number, record: IoctlRecord): number {
    return ioctl(this.fd, request, record);
  }

  /** A request whose failure is told under its name; did it succeed? POSIX: perror(). */
  must(name: string, request: number, record: IoctlRecord): boolean {
    const err = this.ioctl(request, record);
    if (err < 0) this.complain(`${name}: ${strerror(err)}\n`);
    return err >= 0;
  }
}

/** Runs a command with its socket, which is closed at its end. */
export function withNetTool(net: Net, out: Output, body: (tool: NetTool) => number): number {
  const tool = new NetTool(net, out);
  try {
    return body(tool);
  } finally {
    tool.close();
  }
}

/** An address of one to four numbers, the last of which fills what is left ("10.2" is 10.0.0.2); null for none. POSIX: inet_aton(). */
export function parseAton(text: string): number | null {
  const parts = text.split(".").map((part) => parseNumber(part));
  const last = parts.length - 1;
  if (last > 3) return null;
  let addr = 0;
  for (let i = 0; i <= last; i++) {
    const value = parts[i]!;
    if (value < 0 || value >= 2 ** (i === last ? 8 * (4 - last) : 8)) return null;
    addr |= i === last ? value : value << (24 - i * 8);
  }
  return addr;
}

/** The same; "default" is 0. */
export function parseHost(text: string): number | null {
  return text === "default" ? 0 : parseAton(text);
}

/** An address, and the prefix length behind a slash (-1: none). Null for no address or a length over 32. */
export function parseHostPrefix(text: string): { readonly addr: number; readonly length: number } | null {
  const slash = text.indexOf("/");
  const addr = parseHost(slash < 0 ? text : text.substring(0, slash));
  const length = slash < 0 ? -1 : /^[0-9]+$/.test(text.substring(slash + 1)) ? Number(text.substring(slash + 1)) : 33;
  return addr === null || length > 32 ? null : { addr, length };
}

/** The netmask of a prefix length 0..32. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length);
}

export function unknownHost(text: string): string {
  return `${text}: Unknown host\n`;
}

/** A whole number as atoi() reads it. */
export function atoi(text: string): number {
  return Number(/^\s*[-+]?[0-9]+/.exec(text)?.[0] ?? 0) | 0;
}
