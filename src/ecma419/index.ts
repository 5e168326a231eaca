/** The ECMA-419 classes by name, for programs that import them from linnet; the standard's module names are in manifest.json. */
export { Listener, type ListenerOptions } from "./listener.ts";
export type { ByteBuffer } from "./options.ts";
export { TCP, type TCPOptions, type TCPWriteOptions } from "./tcp.ts";
export { UDP, type UDPOptions, type UDPPacket } from "./udp.ts";
