/** A host on a lab's wire that has no stack: it says to a DHCP server what a test tells it to, and keeps the answers. Written from RFC 2131 alone. */
import type { WirePort } from "../../hal/mock/wire.ts";
import { addr, MESSAGES } from "./dhcp.ts";
import {
  addressNumber, addressText, BROADCAST, ETHER_IP, ethernetFrame, type Frame, ipPacket, parseFrame, PROTO_UDP, udpDatagram,
} from "./frames.ts";
import type { Lab } from "./lab.ts";

export interface DhcpAnswer {
  readonly type: string;
  readonly yiaddr: string;
  readonly options: ReadonlyMap<number, readonly number[]>;
  readonly frame: Frame;
}

/** Its link address is 02:06, and `lo`. */
export class DhcpHost {
  readonly lo: number;
  private readonly port: WirePort;
  private readonly inbox: DhcpAnswer[] = [];
  private readonly lab: Lab;

  constructor(lab: Lab, lo: number) {
    this.lab = lab;
    this.lo = lo;
    this.port = lab.wire.attach(`h${lo}`, (bytes) => {
      const frame = parseFrame(bytes, lab.nowMs);
      if (frame.udp?.dport !== 68) return;
      const { payload } = frame.udp;
      const view = new DataView(payload.buffer, payload.byteOffset);
      if (view.getInt32(30) !== lo) return;
      const options = new Map<number, readonly number[]>();
      for (let at = 240; payload[at] !== 255; at += 2 + payload[at + 1]!) {
        options.set(payload[at]!, [...payload.subarray(at + 2, at + 2 + payload[at + 1]!)]);
      }
      this.inbox.push({ type: MESSAGES[options.get(53)![0]!]!, yiaddr: addressText(view.getInt32(16)), options, frame });
    });
  }

  message(type: string, options: readonly (readonly [number, readonly number[]])[], { ciaddr = "0.0.0.0", giaddr = "0.0.0.0", broadcast = true } = {}): Uint8Array {
    const head = new Uint8Array(240);
    const view = new DataView(head.buffer);
    head.set([1, 1, 6, 0, 1, 2, 3, 4]);
    head[10] = broadcast ? 0x80 : 0;
    head.set(addr(ciaddr), 12);
    head.set(addr(giaddr), 24);
    view.setUint16(28, 0x0206);
    view.setInt32(30, this.lo);
    view.setUint32(236, 0x63825363);
    const all = [[53, [MESSAGES.indexOf(type)]] as const, ...options];
    return Uint8Array.from([...head, ...all.flatMap(([code, bytes]) => [code, bytes.length, ...bytes]), 255]);
  }

  sendRaw(payload: Uint8Array, saddr = "0.0.0.0"): void {
    const source = addressNumber(saddr);
    const packet = ipPacket({ saddr: source, daddr: -1, protocol: PROTO_UDP }, udpDatagram(source, -1, 68, 67, payload));
    this.port.send(ethernetFrame(BROADCAST, { hi: 0x0206, lo: this.lo }, ETHER_IP, packet));
  }

  /** Sends a message; the answer, or null. */
  ask(type: string, options: readonly (readonly [number, readonly number[]])[] = [], more: Parameters<DhcpHost["message"]>[2] = {}): DhcpAnswer | null {
    this.inbox.length = 0;
    this.sendRaw(this.message(type, options, more), more?.ciaddr);
    this.lab.runFor(50);
    return this.inbox[0] ?? null;
  }

  /** DISCOVER and REQUEST: the address it has got, or the type of the refusal. */
  get(): string {
    const offer = this.ask("DISCOVER");
    if (offer === null) return "silence";
    const answer = this.ask("REQUEST", [[50, addr(offer.yiaddr)], [54, offer.options.get(54)!]]);
    return answer?.type === "ACK" ? answer.yiaddr : String(answer?.type);
  }
}
