/**
 * The undoing of a smaller window that turns out needless, by D-SACK (RFC 3708), timestamps (RFC 4015) or F-RTO (net.ipv4.tcp_frto,
 * RFC 5682), as a part of TCP: linnet/tcp has it; behind linnet/tcp-client or linnet/tcp-server it is listed,
 * `initcalls: [tcpClient, undo]`.
 */
import type { Config } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { registerTcpUndo } from "./stack/ipv4/tcp-parts.ts";
import { tcpUndoOps } from "./stack/ipv4/tcp-undo.ts";

/** For the option `initcalls`. */
export const undo: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "tcp_undo",
  init() {
    registerTcpUndo(tcpUndoOps);
  },
});
