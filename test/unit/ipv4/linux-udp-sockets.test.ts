/** Which of several UDP sockets gets a packet, in random sequences of calls as Linux answered them: linux-udp-sockets.json, by linux-udp-sockets.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { ip } from "../../../src/commands/index.ts";
import { igmp } from "../../../src/igmp.ts";
import {
  AF_INET, AF_UNSPEC, bind, boot, close, connect, devOpen, getpeername, getsockname, initNet, IP_ADD_MEMBERSHIP, Msghdr, MSG_DONTWAIT,
  msgSetBuffer, poolsInUse, recv, recvmsg, sendto, setsockopt, setsockoptBytes, shutdown, SO_BINDTODEVICE, SO_REUSEPORT, SOCK_DGRAM, SockaddrIn,
  socket, SOL_IP, SOL_SOCKET,
} from "../../../src/index.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { ethReceive } from "../../../src/netif/ethernet.ts";
import { socketOptions } from "../../../src/socket-options.ts";
import { fibFlushCached } from "../../../src/stack/ipv4/fib-sync.ts";
import { addressNumber, addressText } from "../../lib/frames.ts";
import { fakeDevice, type FakeDevice, packet } from "../netif/harness.ts";
import { ipPacket } from "./harness.ts";

type Step = [what: string, args: (number | string)[], answer: unknown];
interface Recorded { kernel: string; sequences: [count: number, steps: Step[]][] }

const recorded = JSON.parse(readFileSync(new URL("linux-udp-sockets.json", import.meta.url), "utf8")) as Recorded;
const MARK = Buffer.from("packet");
const LOWEST = 32768;
const UDP = 17;
const ICMP = 1;
const SETUP = [
  "addr add 10.0.0.1/24 brd + dev d0", "addr add 10.0.0.9/24 brd + dev d0", "addr add 10.1.0.1/24 brd + dev d1",
  "neigh add 10.0.0.2 lladdr 02:00:00:00:01:02 dev d0", "neigh add 10.1.0.2 lladdr 02:00:00:00:01:03 dev d1", "route add 10.2.0.0/16 via 10.1.0.2",
];

function udp(src: string, sport: number, dst: string, dport: number): Uint8Array {
  const payload = Buffer.alloc(8 + MARK.length);
  payload.writeUInt16BE(sport, 0);
  payload.writeUInt16BE(dport, 2);
  payload.writeUInt16BE(payload.length, 4);
  payload.set(MARK, 8);
  return ipPacket({ saddr: addressNumber(src), daddr: addressNumber(dst), protocol: UDP, payload });
}

class Host {
  private readonly devices: FakeDevice[] = [];
  private readonly grouped = new Set<number>();
  private readonly fds: number[] = [];
  private readonly buffer = new Uint8Array(2000);

  constructor(count: number) {
    for (const [name, last] of [["d0", 1], ["d1", 2]] as const) {
      const dev = fakeDevice(name);
      dev.addrLo = last;
      initNet.register(dev);
      devOpen(dev);
      this.devices.push(dev);
    }
    for (const line of SETUP) {
      const { status, error } = ip(initNet, line);
      if (status !== 0) throw new Error(`ip ${line}: ${error}`);
    }
    for (let i = 0; i < count; i++) this.fds.push(socket(AF_INET, SOCK_DGRAM, 0));
  }

  end(): void {
    for (const fd of this.fds) close(fd);
    fibFlushCached(initNet);
    for (const dev of this.devices) unregisterNetdev(dev);
  }

  /** IP packets that came out, UDP and ICMP only, with the device's index. */
  private heard(): [number, Buffer][] {
    for (let i = 0; i < 5; i++) initNet.poll();
    return this.devices.flatMap((dev, i) => dev.sent.splice(0).map((frame): [number, Buffer] => [i + 2, Buffer.from(frame.subarray(14))]))
      .filter(([, bytes]) => bytes[9] === UDP || bytes[9] === ICMP);
  }

  act(what: string, args: (number | string)[]): unknown {
    const fd = this.fds[args[0] as number]!;
    const [, first, second] = args as number[];
    switch (what) {
      case "set":
        if (first === SOL_SOCKET && second === SO_REUSEPORT) this.grouped.add(args[0] as number);
        return setsockopt(fd, first!, second!, args[3] as number);
      case "device": return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, first!);
      case "join": return setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, Int32Array.of(addressNumber(args[1] as string), 0, second!));
      case "bind": return bind(fd, this.to(args)!);
      case "connect": return connect(fd, this.to(args) ?? this.unspec());
      case "shutdown": return shutdown(fd, first!);
      case "close": return this.reopen(args[0] as number);
      case "name": return this.place(getsockname, fd);
      case "peer": return this.place(getpeername, fd);
      case "send": return this.send(fd, this.to(args));
      case "recv": return this.recv(fd, first!);
      default: return this.input(args[0] as number, args as [number, string, number, string, number]);
    }
  }

  private to([, addr, port]: (number | string)[]): SockaddrIn | null {
    return addr === undefined ? null : new SockaddrIn(addressNumber(addr as string), port as number);
  }

  private unspec(): SockaddrIn {
    const none = new SockaddrIn();
    none.family = AF_UNSPEC;
    return none;
  }

  private reopen(which: number): number {
    close(this.fds[which]!);
    this.fds[which] = socket(AF_INET, SOCK_DGRAM, 0);
    this.grouped.delete(which);
    return 0;
  }

  private place(ask: (fd: number, addr: SockaddrIn) => number, fd: number): unknown {
    const name = new SockaddrIn();
    const err = ask(fd, name);
    return err < 0 ? err : [addressText(name.addr), name.port >= LOWEST ? "P" : name.port];
  }

  private send(fd: number, to: SockaddrIn | null): unknown {
    const result = sendto(fd, MARK, 0, MARK.length, 0, to);
    return [result, this.heard().map(([index, bytes]) => {
      const sport = bytes.readUInt16BE(20);
      return [index, addressText(bytes.readInt32BE(12)), sport >= LOWEST ? "P" : sport, addressText(bytes.readInt32BE(16)), bytes.readUInt16BE(22)];
    })];
  }

  private recv(fd: number, flags: number): unknown {
    const msg = new Msghdr();
    msgSetBuffer(msg, this.buffer, 0, 100);
    msg.control = new Int32Array(32);
    const count = recvmsg(fd, msg, flags | MSG_DONTWAIT);
    if (count < 0) return count;
    const [, , , , port = 0, addr = 0] = msg.control;
    return [count, msg.controllen > 0 ? [[addressText(addr), port]] : []];
  }

  private input(index: number, [, src, sport, dst, dport]: [number, string, number, string, number]): unknown {
    const dev = this.devices[index - 2]!;
    const mac = dst.endsWith("255") ? "ffffffffffff" : dst.startsWith("239") ? "01005e010101" : `02000000000${index - 1}`;
    const frame = Buffer.concat([Buffer.from(`${mac}02000000010${index}0800`, "hex"), udp(src, sport, dst, dport)]);
    ethReceive(packet(null, frame, 2), dev);
    const out = this.heard().map(([came, bytes]) => [came, bytes[20], bytes[21]]);
    const got: (number | string)[] = [];
    this.fds.forEach((fd, which) => {
      while (recv(fd, this.buffer, 0, 100, 0) === MARK.length) got.push(this.grouped.has(which) ? "?" : which);
    });
    return [got.sort((a, b) => (String(a) < String(b) ? -1 : 1)), out];
  }
}

recorded.sequences.forEach(([count, steps], number) => {
  test.serial(`sequence ${number} of ${steps.length} steps: as Linux ${recorded.kernel}`, (t) => {
    boot({ preset: "host", initcalls: [igmp, socketOptions] });
    initNet.ipv4.icmpRatelimit = 0;
    const inUse = poolsInUse();
    const host = new Host(count);
    for (const [at, [what, args, answer]] of steps.entries()) {
      const ours = host.act(what, args);
      if (JSON.stringify(ours) === JSON.stringify(answer)) continue;
      const before = steps.slice(0, at).filter(([call, [which]]) => call === "input" || which === args[0] || what === "input");
      t.deepEqual(ours, answer, `step ${at}: ${what} ${JSON.stringify(args)} after\n${before.map((step) => JSON.stringify(step)).join("\n")}`);
    }
    host.end();
    t.is(poolsInUse(), inUse);
  });
});
