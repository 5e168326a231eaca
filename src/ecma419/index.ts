/** The ECMA-419 classes by name, for programs that import them from linnet; the standard's module names are in manifest.json. */
export {
  type AddressSource, Ethernet, type EthernetConfiguration, type EthernetOptions, ethernetUse,
} from "./ethernet.ts";
export { Listener, type ListenerOptions } from "./listener.ts";
export type { ByteBuffer } from "./options.ts";
export { Resolver, type ResolveCallback, type ResolveOptions, type ResolverOptions } from "./resolver.ts";
export { TCP, type TCPOptions, type TCPWriteOptions } from "./tcp.ts";
export { UDP, type UDPOptions, type UDPPacket } from "./udp.ts";
