/**
 * What BSD sockets have beside sending and receiving, as a part: all options of levels SOL_SOCKET and SOL_IP but SO_REUSEADDR,
 * SO_BROADCAST, SO_KEEPALIVE, SO_BINDTODEVICE by ifindex, SO_ERROR and IP_TTL, which are always there; control messages of sendmsg()
 * and recvmsg(); the error queue (IP_RECVERR, MSG_ERRQUEUE). boot() lists it, a program of startKernel() where it wants it. Without it
 * these options are -ENOPROTOOPT, sendmsg() with control messages is -EINVAL, and the error queue is empty.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { SKB_OVERHEAD_BYTES } from "./stack/core/skbuff.ts";
import { registerSkControl } from "./stack/core/sock.ts";
import { sockControlGet, sockControlInit, sockControlSet } from "./stack/core/sockopt-control.ts";
import {
  ipCmsgRecv, ipCmsgSend, ipControlGet, ipControlSet, ipIcmpError, ipLocalError, ipRecvError,
} from "./stack/ipv4/ip-control.ts";
import { registerIpControl } from "./stack/ipv4/ip-parts.ts";

/** Not made at boot: there it would be in RAM. */
const SOCKET = Object.freeze({ set: sockControlSet, get: sockControlGet });
const IP = Object.freeze({
  set: ipControlSet, get: ipControlGet, receive: ipCmsgRecv, send: ipCmsgSend, icmpError: ipIcmpError, localError: ipLocalError,
  recvError: ipRecvError,
});

/** For the option `initcalls`. */
export const socketControl: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "socket_control",
  init({ bufferBytes, rcvbufPackets, sndbufPackets }: Config) {
    const packet = bufferBytes + SKB_OVERHEAD_BYTES;
    sockControlInit(rcvbufPackets * packet, sndbufPackets * packet);
    registerSkControl(SOCKET);
    registerIpControl(IP);
  },
});
