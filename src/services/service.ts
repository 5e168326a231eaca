/**
 * What every service stands on: it is run, outside of softirqs, when one of its sockets may be ready or its time has come.
 * Linux has a process with poll() in its place. Owns the list of what runs, and the one buffer in which all of them build and
 * read their messages.
 *
 * A service does all that is due in one go and then says when it wants to be run again. Starting one allocates, running it
 * does not. It tells the program what happened last of all: the program may use another service then, and with it the buffer.
 */
import { account } from "../lib/account.ts";
import { cancelWork, queueWork, Work, workSetup } from "../lib/softirq.ts";
import { createTimer, delTimer, jiffies, modTimer, timerFree } from "../lib/timer.ts";
import { initNet, type Net } from "../stack/core/net.ts";
import { addWaitQueue, removeWaitQueue, WaitQueueEntry } from "../stack/core/wait.ts";
import { close, fdWaitQueue } from "../stack/socket/files.ts";
import { socketIn } from "../stack/socket/socket.ts";

/** The longest time a timer is set for: a day. Who wants to sleep longer is run in between. */
export const LONGEST_SLEEP_MS = 86_400_000;

/** One service; each kind extends it with its own state. */
export class Service {
  readonly net: Net;
  readonly work: Work<Service> = new Work<Service>();
  /** Row of its timer, -1 once it has been stopped. */
  timer = -1;
  /** ms since it was made, and jiffies when they were counted last: read by serviceClock(). */
  clockMs = 0;
  countedAt = jiffies;

  constructor(net: Net) {
    this.net = net;
  }
}

/** A socket of a service, open or not. */
export class ServiceSocket extends WaitQueueEntry {
  readonly service: Service;
  /** -1: not open. */
  fd = -1;

  constructor(service: Service) {
    super();
    this.service = service;
    this.func = socketReady;
  }
}

/** Services by the argument of their timer; null where one was stopped. */
let running: (Service | null)[];
/** The boot that these belong to: each makes another namespace. */
let bootNet: Net | null = null;

/** Where messages are built and read; another one once a service that needs more has been started. */
export let scratch: Uint8Array;
export let scratchView: DataView;
let scratchBytes = 0;

function socketReady(entry: WaitQueueEntry): void {
  queueWork((entry as ServiceSocket).service.work);
}

function timerDue(place: number): void {
  const service = running[place];
  if (service !== null && service !== undefined) queueWork(service.work);
}

/**
 * Starts a service: from now on `run` is called with it when there may be something to do. Allocates.
 * @param name its state and its timer are in the memory budget under it @param bytes its longest message
 */
export function serviceStart<T extends Service>(service: T, name: string, bytes: number, run: (service: T) => void): void {
  if (bootNet !== initNet) {
    bootNet = initNet;
    running = account("services", []);
    scratchBytes = 0;
  }
  let place = running.indexOf(null);
  if (place < 0) place = running.length;
  running[place] = account(name, service);
  service.timer = createTimer(name, timerDue, place);
  workSetup(service.work as unknown as Work<T>, run, service);
  if (bytes <= scratchBytes) return;
  scratchBytes = bytes;
  scratch = account("service_buffer", new Uint8Array(bytes));
  scratchView = account("service_buffer", new DataView(scratch.buffer));
}

/** Ends a service, whose sockets are closed. */
export function serviceStop(service: Service): void {
  if (service.timer < 0) return;
  running[running.indexOf(service)] = null;
  timerFree(service.timer);
  service.timer = -1;
  cancelWork(service.work);
}

/** Has it run soon, but not within this call; not once it has been stopped. */
export function serviceWake(service: Service): void {
  if (service.timer >= 0) queueWork(service.work);
}

/** Has it run in so many ms, or a day when that is longer, whatever was asked for before; with a negative number never. */
export function serviceSleep(service: Service, ms: number): void {
  if (service.timer < 0) return;
  if (ms < 0) delTimer(service.timer);
  else modTimer(service.timer, jiffies + (ms < LONGEST_SLEEP_MS ? ms : LONGEST_SLEEP_MS));
}

/** ms since the service was made. Unlike jiffies they do not wrap, for a service that asks at least once in 24 days, as one does that always sleeps. */
export function serviceClock(service: Service): number {
  service.clockMs += (jiffies - service.countedAt) | 0;
  service.countedAt = jiffies;
  return service.clockMs;
}

/** Opens the socket in the service's namespace: 0, or what socket() answers. */
export function serviceOpen(socket: ServiceSocket, family: number, type: number, protocol: number): number {
  const fd = socketIn(socket.service.net, family, type, protocol);
  if (fd < 0) return fd;
  socket.fd = fd;
  addWaitQueue(fdWaitQueue(fd)!, socket);
  return 0;
}

/** Closes it, if it is open. */
export function serviceClose(socket: ServiceSocket): void {
  const fd = socket.fd;
  if (fd < 0) return;
  socket.fd = -1;
  removeWaitQueue(fdWaitQueue(fd)!, socket);
  close(fd);
}
