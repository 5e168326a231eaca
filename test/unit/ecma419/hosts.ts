/**
 * Two hosts with the stack on a wire, and the ECMA-419 classes on either: what the tests of src/ecma419 share. Whatever a test
 * leaves open is closed at its end.
 */
import type { ExecutionContext } from "ava";
import { Listener, type ListenerOptions } from "../../../src/ecma419/listener.ts";
import { TCP, type TCPOptions } from "../../../src/ecma419/tcp.ts";
import { UDP, type UDPOptions } from "../../../src/ecma419/udp.ts";
import { type ConfigOptions, setNs } from "../../../src/index.ts";
import { createLab, type Lab } from "../../lib/lab.ts";

export const A = "10.0.0.1";
export const B = "10.0.0.2";
export const LOCAL = "127.0.0.1";
/** What the web server of the tests answers. */
export const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
export const REQUEST = "GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";

type Closable = { close(): void };

export function bytesOf(text: string): ArrayBuffer {
  return new TextEncoder().encode(text).buffer as ArrayBuffer;
}

export function textOf(data: unknown): string {
  return new TextDecoder().decode(data as ArrayBuffer);
}

export class Hosts {
  readonly lab: Lab;
  private readonly opened: Closable[] = [];

  constructor(t: ExecutionContext, config?: ConfigOptions) {
    this.lab = createLab(t, { hosts: ["a", "b"], wire: { delayMs: 1 }, ...(config === undefined ? {} : { config }) });
    // Runs before the lab's own check, whose teardown was registered first.
    t.teardown(() => this.closeAll());
  }

  keep<T extends Closable>(instance: T): T {
    this.opened.push(instance);
    return instance;
  }

  /** What is made by the function is of that host; a is where tests are at home. */
  on<T>(host: "a" | "b", make: () => T): T {
    setNs(this.lab.host(host).net);
    try {
      return make();
    } finally {
      setNs(this.lab.host("a").net);
    }
  }

  tcp(options: TCPOptions, host: "a" | "b" = "a"): TCP {
    return this.on(host, () => this.keep(new TCP(options)));
  }

  listener(options: ListenerOptions, host: "a" | "b" = "a"): Listener {
    return this.on(host, () => this.keep(new Listener(options)));
  }

  udp(options: UDPOptions, host: "a" | "b" = "a"): UDP {
    return this.on(host, () => this.keep(new UDP(options)));
  }

  /** A web server on b, port 80: one answer to each connection, which it then ends. */
  serve(answer = ANSWER): void {
    const { keep } = this;
    const take = keep.bind(this);
    this.listener({
      port: 80,
      onReadable() {
        for (let from = this.read(); from !== undefined; from = this.read()) {
          take(new TCP({
            from,
            onReadable() {
              this.read();
              this.write(bytesOf(answer));
              this.close();
            },
            onError() {
              this.close();
            },
          }));
        }
      },
    }, "b");
  }

  /** A connection from a to b, both ends with their options. */
  pair(client: Partial<TCPOptions> = {}, server: Omit<TCPOptions, "from"> = {}, port = 4000): { client: TCP; server: TCP } {
    const listener = this.listener({ port }, "b");
    const one = this.tcp({ address: B, port, ...client });
    let from: TCP | undefined;
    this.lab.runUntil(() => (from ??= listener.read()) !== undefined, 1000);
    const other = this.tcp({ ...server, from: from! }, "b");
    listener.close();
    return { client: one, server: other };
  }

  run(ms = 100): void {
    this.lab.runFor(ms);
  }

  until(condition: () => boolean, ms = 5000): void {
    this.lab.runUntil(condition, ms);
  }

  private closeAll(): void {
    for (const instance of this.opened) instance.close();
  }
}
