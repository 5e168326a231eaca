/**
 * `bench host`, our side: two hosts of one kernel and a program on either, all in one thread, joined by a veth cable (the
 * stack and nothing else) or by the virtual wire (each frame copied to the host and back, as drivers on Node do). Time is
 * virtual: when nothing is left to do, the next timer is due.
 */
import { VirtualClock } from "../../../hal/mock/clock.ts";
import { Wire } from "../../../hal/mock/wire.ts";
import { createWireDevice } from "../../../hal/mock/wire-device.ts";
import {
  accept4, AF_INET, bind, boot, close, connect, createNet, devOpen, EAGAIN, EINPROGRESS, inetAddAddress, initNet, listen, type Net,
  type NetDevice, recv, recvfrom, send, sendto, setNs, SOCK_DGRAM, SOCK_STREAM, SockaddrIn, socket, vethCreate,
} from "../../../src/index.ts";
import { BULK_BYTES, type CaseName, CHUNK_BYTES, MESSAGE_BYTES } from "./cases.ts";

const CLIENT_ADDR = 0x0a000001;
const SERVER_ADDR = 0x0a000002;
const PORT = 7;
/** Virtual time between connections, so that TIME_WAIT ends for some of them. */
const CONNECTION_MS = 10;

export type Cable = "veth" | "wire";

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${-result}`);
  return result;
}

export class Ours {
  private readonly clock = new VirtualClock();
  private readonly other: Net;
  private readonly buffer = new Uint8Array(CHUNK_BYTES);
  private readonly from = new SockaddrIn();
  private readonly server = new SockaddrIn(SERVER_ADDR, PORT);
  private listenFd = -1;
  private clientFd = -1;
  private serverFd = -1;

  /** Boots, and makes the case ready to run. */
  constructor(name: CaseName, cable: Cable) {
    boot({ preset: "host", hal: this.clock });
    this.other = createNet();
    this.clock.drive(initNet);
    if (cable === "veth") this.joinByVeth();
    else this.joinByWire();
    if (name === "udp-echo-64") this.openDatagrams();
    else this.openListener();
    if (name === "tcp-bulk" || name === "tcp-pingpong-64") this.openConnection();
  }

  /** Does the case's unit of work so often. */
  run(name: CaseName, times: number): void {
    const once = name === "tcp-bulk" ? this.bulk : name === "udp-echo-64" ? this.datagram
      : name === "tcp-pingpong-64" ? this.pingpong : this.connection;
    for (let i = 0; i < times; i++) once.call(this);
  }

  private joinByVeth(): void {
    const dev = vethCreate(initNet, "eth0", this.other, "eth0");
    this.bringUp(initNet, dev, CLIENT_ADDR);
    this.bringUp(this.other, dev.peer!, SERVER_ADDR);
  }

  private joinByWire(): void {
    const wire = new Wire(this.clock);
    for (const [net, addr] of [[initNet, CLIENT_ADDR], [this.other, SERVER_ADDR]] as const) {
      const dev = createWireDevice(wire, { name: "eth0", mac: `02:00:00:00:00:0${addr & 15}` });
      dev.carrier = true;
      net.register(dev);
      this.bringUp(net, dev, addr);
    }
  }

  private bringUp(net: Net, dev: NetDevice, addr: number): void {
    devOpen(dev);
    must(inetAddAddress(net, dev, addr, 24), "address");
    this.clock.runFor(1);
  }

  private open(net: Net, type: number): number {
    setNs(net);
    return must(socket(AF_INET, type, 0), "socket");
  }

  private openDatagrams(): void {
    this.clientFd = this.open(initNet, SOCK_DGRAM);
    this.serverFd = this.open(this.other, SOCK_DGRAM);
    must(bind(this.serverFd, this.server), "bind");
  }

  private openListener(): void {
    this.listenFd = this.open(this.other, SOCK_STREAM);
    must(bind(this.listenFd, this.server), "bind");
    must(listen(this.listenFd, 16), "listen");
  }

  private openConnection(): void {
    this.clientFd = this.open(initNet, SOCK_STREAM);
    if (connect(this.clientFd, this.server) !== -EINPROGRESS) throw new Error("connect");
    this.turn();
    this.serverFd = must(accept4(this.listenFd, null, 0), "accept");
  }

  /** All that can be done at this instant; on the wire, until it is silent. */
  private turn(): void {
    this.clock.runFor(0);
  }

  private bulk(): void {
    const { buffer } = this;
    let sent = 0;
    for (let got = 0; got < BULK_BYTES; ) {
      const before = got + sent;
      while (sent < BULK_BYTES) {
        const count = send(this.clientFd, buffer, 0, Math.min(CHUNK_BYTES, BULK_BYTES - sent), 0);
        if (count === -EAGAIN) break;
        sent += must(count, "send");
      }
      this.turn();
      for (;;) {
        const count = recv(this.serverFd, buffer, 0, CHUNK_BYTES, 0);
        if (count === -EAGAIN) break;
        got += must(count, "recv");
      }
      // What is on its way waits for a timer.
      if (got + sent === before) this.clock.runFor(1);
    }
  }

  private datagram(): void {
    const { buffer, from } = this;
    must(sendto(this.clientFd, buffer, 0, MESSAGE_BYTES, 0, this.server), "sendto");
    this.turn();
    const count = must(recvfrom(this.serverFd, buffer, 0, CHUNK_BYTES, 0, from), "recvfrom");
    must(sendto(this.serverFd, buffer, 0, count, 0, from), "sendto");
    this.turn();
    if (recvfrom(this.clientFd, buffer, 0, CHUNK_BYTES, 0, from) !== MESSAGE_BYTES) throw new Error("no echo");
  }

  private pingpong(): void {
    const { buffer } = this;
    must(send(this.clientFd, buffer, 0, MESSAGE_BYTES, 0), "send");
    this.turn();
    must(send(this.serverFd, buffer, 0, must(recv(this.serverFd, buffer, 0, CHUNK_BYTES, 0), "recv"), 0), "send");
    this.turn();
    if (recv(this.clientFd, buffer, 0, CHUNK_BYTES, 0) !== MESSAGE_BYTES) throw new Error("no answer");
  }

  private connection(): void {
    this.openConnection();
    close(this.clientFd);
    this.turn();
    if (recv(this.serverFd, this.buffer, 0, 1, 0) !== 0) throw new Error("the end did not come");
    close(this.serverFd);
    this.clock.runFor(CONNECTION_MS);
  }
}
