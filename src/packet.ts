/**
 * Packet sockets and socket filters as two parts to be had or not: AF_PACKET, and SO_ATTACH_FILTER with classic BPF programs for
 * datagram, raw and packet sockets. A program lists what it uses at boot, `boot({ initcalls: [packet, socketFilter] })`; one of
 * startKernel() lists `socketControl` too, whose option attaches a filter. Their sizes are the options packetSocks,
 * packetMemberships, bpfFilters and bpfInsns. With packet sockets the DHCP client can check addresses.
 */
import { type Config, PACKET_SIZES, SOCKET_FILTER_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { acdCheck } from "./services/acd.ts";
import { registerAddressCheck } from "./services/address-check.ts";
import { filterInit, filterWords } from "./stack/core/filter.ts";
import { packetInit } from "./stack/packet/af-packet.ts";

export { SockaddrLl } from "./stack/core/sockaddr.ts";
export * from "./uapi/filter.ts";
export * from "./uapi/if-ether.ts";
export * from "./uapi/if-packet.ts";

/** For boot()'s option `initcalls`. */
export const packet: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "packet",
  sizes: PACKET_SIZES,
  init(config: Config) {
    packetInit(config.packetSocks, config.packetMemberships);
    registerAddressCheck(acdCheck);
  },
});

/** For boot()'s option `initcalls`. */
export const socketFilter: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "sk_filter",
  sizes: SOCKET_FILTER_SIZES,
  words: (config: Config) => filterWords(config.bpfFilters, config.bpfInsns),
  init: (config: Config) => filterInit(config.bpfFilters, config.bpfInsns),
});
