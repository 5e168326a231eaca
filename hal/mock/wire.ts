/**
 * A virtual Ethernet segment that joins any number of ports: what one sends, all others hear. Two ports are a cable, more
 * are a hub. Each port's way out has its own line with the wire's settings (impair.ts), so directions do not disturb each
 * other. Frames in flight are plain host memory; the wire knows nothing of the stack, and may join two kernels.
 */
import { Impairer, type Impairment, type LineStats } from "./impair.ts";
import type { Scheduler } from "./schedule.ts";

/** Sees each frame as it is sent, before anything happens to it. */
export type WireObserver = (frame: Uint8Array, from: WirePort, timeMs: number) => void;

export class WirePort {
  readonly wire: Wire;
  readonly name: string;
  /** Gets each frame that arrives; the frame may be shared and may not be written. */
  receive: (frame: Uint8Array) => void;
  /** Told when the cable is pulled (false) or plugged in (true). */
  onCarrier: (carrier: boolean) => void = () => undefined;
  private readonly line: Impairer;

  constructor(wire: Wire, name: string, receive: (frame: Uint8Array) => void, line: Impairer) {
    this.wire = wire;
    this.name = name;
    this.receive = receive;
    this.line = line;
  }

  /** Sends a frame, which is the wire's from then on; returns the time in ms at which its last bit has left. */
  send(frame: Uint8Array): number {
    const { wire } = this;
    const now = wire.scheduler.timeMs();
    for (const observe of wire.observers) observe(frame, this, now);
    return wire.carrier ? this.line.send(frame) : now;
  }

  /** What became of the frames this port sent. */
  get stats(): LineStats {
    return this.line.stats;
  }
}

export class Wire {
  readonly scheduler: Scheduler;
  readonly settings: Impairment;
  readonly ports: WirePort[] = [];
  readonly observers: WireObserver[] = [];
  carrier = true;

  /** @throws RangeError naming a setting out of range */
  constructor(scheduler: Scheduler, settings: Impairment = {}) {
    this.scheduler = scheduler;
    this.settings = settings;
  }

  /** Joins a port. @param settings for this port's way out, where they differ from the wire's */
  attach(name: string, receive: (frame: Uint8Array) => void, settings: Impairment = this.settings): WirePort {
    const line = new Impairer(settings, this.scheduler, (frame) => this.deliver(frame, port), this.ports.length);
    const port = new WirePort(this, name, receive, line);
    this.ports.push(port);
    return port;
  }

  detach(port: WirePort): void {
    const at = this.ports.indexOf(port);
    if (at >= 0) this.ports.splice(at, 1);
  }

  /** Pulls the cable out (frames in flight are lost) or plugs it in. */
  setCarrier(carrier: boolean): void {
    if (carrier === this.carrier) return;
    this.carrier = carrier;
    for (const port of this.ports) port.onCarrier(carrier);
  }

  private deliver(frame: Uint8Array, from: WirePort): void {
    if (!this.carrier) return;
    for (const port of [...this.ports]) if (port !== from) port.receive(frame);
  }
}
