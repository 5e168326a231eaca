/**
 * The public face of linnet: boot, the namespaces, the BSD calls and their constants. Nothing else is meant for programs;
 * services, commands, drivers and the ECMA-419 classes have entrances of their own.
 */
export { boot, type BootOptions } from "./boot.ts";
export type { Config, ConfigOptions, Preset } from "./config.ts";
export { createNet, initNet, type Net } from "./stack/core/net.ts";
export { NetDevice, type NetDeviceOps } from "./stack/core/net-device.ts";
export { Msghdr, msgSetBuffer, SockaddrIn } from "./stack/core/sockaddr.ts";

export { userBuffer } from "./lib/memory.ts";
export { formatSlabinfo, poolForEach, type PoolStats, poolsInUse } from "./lib/pool.ts";

export {
  accept4, bind, connect, getpeername, getsockname, ioctl, listen, setNs, shutdown, socket, socketpair,
} from "./stack/socket/socket.ts";
export { close, fcntl } from "./stack/socket/files.ts";
export { read, recv, recvfrom, recvmsg, send, sendmsg, sendto, write } from "./stack/socket/sendrecv.ts";
export { getsockopt, setsockopt, setsockoptBytes } from "./stack/socket/sockopt.ts";
export { epollCreate1, epollCtl, epollWait } from "./stack/socket/epoll.ts";
export { poll, Pollfd } from "./stack/socket/poll.ts";

export { devChangeFlags, devClose, devGetByIndex, devGetByName, devOpen, devSetMtu } from "./netif/dev.ts";
export { vethCreate } from "./netif/veth.ts";
export { inetAddAddress, inetDelAddress } from "./stack/ipv4/devinet.ts";
export { ipRouteAdd, ipRouteDel } from "./stack/ipv4/fib-frontend.ts";

export * from "./uapi/errno.ts";
export * from "./uapi/fcntl.ts";
export * from "./uapi/if.ts";
export * from "./uapi/in.ts";
export * from "./uapi/ioctl.ts";
export * from "./uapi/poll.ts";
export * from "./uapi/socket.ts";
export * from "./uapi/tcp.ts";
