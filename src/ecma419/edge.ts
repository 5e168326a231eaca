/**
 * The edge between the stack and the callbacks of ECMA-419: a descriptor whose readiness becomes calls of a program's functions.
 * It hears of its socket by a wait-queue entry and acts from the work queue, which runs in a turn of the stack and never inside
 * a call of the program's: so no callback is synchronous, and none comes after edgeDetach(). Linux has no counterpart but epoll.
 *
 * The socket's wait queue refers to the edge and that to the program's instance: an instance lives until it is closed.
 */
import { cancelWork, queueWork, Work } from "../lib/softirq.ts";
import { words } from "../lib/table.ts";
import { SK_ACK_BACKLOG } from "../stack/core/sock.ts";
import { addWaitQueue, removeWaitQueue, WaitQueueEntry } from "../stack/core/wait.ts";
import { fdWaitQueue, sockfdLookup } from "../stack/socket/files.ts";
import { ioctl } from "../stack/socket/socket.ts";
import { errnoName } from "../uapi/errno.ts";

/** Where ioctl() answers: no call runs inside another. Made with the first instance. */
let answer: Int32Array | null = null;

export abstract class Edge extends WaitQueueEntry {
  /** -1 when the instance is closed, or has given its connection to another. */
  fd = -1;
  /** What the program was told is there (bytes, datagrams, connections), less what it has taken since. */
  told = 0;
  readonly work = new Work<Edge>();

  constructor() {
    super();
    this.func = edgeWake;
    this.work.fn = edgeRun;
    this.work.arg = this;
  }

  /** Calls the callbacks that are due. It must look at `fd` after each: the program may have closed. */
  abstract dispatch(): void;

  /** EPOLL* bits that hold now. */
  mask(): number {
    const sock = sockfdLookup(this.fd)!;
    return sock.ops!.poll(sock);
  }

  /** What an ioctl of one number answers, 0 when it fails. */
  ask(request: number): number {
    answer ??= new Int32Array(1);
    return ioctl(this.fd, request, answer) < 0 ? 0 : answer[0]!;
  }

  /** Something is more than the program knows of: remembers, and answers whether it is to be told. */
  news(count: number): boolean {
    const more = count > this.told;
    this.told = count;
    return more;
  }

  /** The program took so many. */
  took(count: number): void {
    this.told = this.told > count ? this.told - count : 0;
  }
}

function edgeWake(entry: WaitQueueEntry): void {
  queueWork((entry as Edge).work);
}

function edgeRun(edge: Edge): void {
  if (edge.fd < 0) return;
  try {
    edge.dispatch();
  } catch (error) {
    // Of one callback; the others are to come.
    if (edge.fd >= 0) queueWork(edge.work);
    throw error;
  }
}

/** From now on the edge hears of the descriptor; what holds already is told in the next turn. */
export function edgeAttach(edge: Edge, fd: number): void {
  edge.fd = fd;
  addWaitQueue(fdWaitQueue(fd)!, edge);
  queueWork(edge.work);
}

/** The edge hears nothing more; no callback follows. @returns the descriptor, the caller's to close or to attach again */
export function edgeDetach(edge: Edge): number {
  const fd = edge.fd;
  edge.fd = -1;
  removeWaitQueue(fdWaitQueue(fd)!, edge);
  cancelWork(edge.work);
  return fd;
}

/** Has the edge look in the next turn. */
export function edgeCheck(edge: Edge): void {
  queueWork(edge.work);
}

/** Has onWritable told when the peer's acknowledgment makes room, whether or not a send was refused. */
export function edgeWantsRoom(edge: Edge): void {
  sockfdLookup(edge.fd)!.noSpace = true;
}

/** Connections that wait to be accepted. */
export function edgePendingConnections(edge: Edge): number {
  return words[sockfdLookup(edge.fd)!.sk!.cold + SK_ACK_BACKLOG]!;
}

/** Datagrams that wait to be read. */
export function edgePendingDatagrams(edge: Edge): number {
  return sockfdLookup(edge.fd)!.sk!.receiveQueue.qlen;
}

/** The exception for what the stack refuses. @param err negative errno */
export function stackError(what: string, err: number): Error {
  return new Error(`${what}: ${errnoName(err)}`);
}
