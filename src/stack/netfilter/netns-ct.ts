/**
 * The sysctls of net.netfilter that are about connection tracking, of one namespace, with Linux's defaults. Linux: struct netns_ct,
 * net/netfilter/nf_conntrack_standalone.c, Documentation/networking/nf_conntrack-sysctl. Fields carry the sysctl's name in TypeScript's
 * case; times are in seconds, up to 2,147,483. Owns the list of them by namespace.
 *
 * As with net.ipv4 (netns-ipv4.ts) a namespace's object is empty at first and has the defaults as its prototype.
 */
import { account } from "../../lib/account.ts";
import { type Net, registerPernetSubsys } from "../core/net.ts";

export class NetnsCt {
  /** 1: what comes in with a wrong checksum is INVALID; 0: checksums are not looked at. */
  nfConntrackChecksum = 1;
  /** 1: a segment outside of the window is let through like others, but for resets. */
  nfConntrackTcpBeLiberal = 0;
  /** 1: a connection that was met in its middle is tracked. */
  nfConntrackTcpLoose = 1;
  /** 1: a reset that is too old is taken for good. */
  nfConntrackTcpIgnoreInvalidRst = 0;
  /** Repetitions of a segment without an answer from which nfConntrackTcpTimeoutMaxRetrans counts. */
  nfConntrackTcpMaxRetrans = 3;
  nfConntrackTcpTimeoutEstablished = 432_000;
  /** While there is data that nobody has acknowledged, and for a connection met in its middle until it is answered. */
  nfConntrackTcpTimeoutUnacknowledged = 300;
  nfConntrackTcpTimeoutMaxRetrans = 300;
  nfConntrackTcpTimeoutSynSent = 120;
  nfConntrackTcpTimeoutSynRecv = 60;
  nfConntrackTcpTimeoutFinWait = 120;
  nfConntrackTcpTimeoutCloseWait = 60;
  nfConntrackTcpTimeoutLastAck = 30;
  nfConntrackTcpTimeoutTimeWait = 120;
  nfConntrackTcpTimeoutClose = 10;
  nfConntrackUdpTimeout = 30;
  /** Of a flow in which both have spoken, for two seconds at least. */
  nfConntrackUdpTimeoutStream = 120;
  nfConntrackIcmpTimeout = 30;
  /** Of protocols of which nothing is known but the addresses. */
  nfConntrackGenericTimeout = 600;
}

/** Keeps the defaults, which nobody writes to (netns-ipv4.ts says why they are not frozen). */
class ConntrackDefaults {
  static readonly CT: NetnsCt = new NetnsCt();
}

/** By the namespace's number. */
let list: NetnsCt[];

/** Not made at boot: there it would be in RAM. */
const NET_OPS = Object.freeze({
  init(net: Net): void {
    list[net.id] = account("nf_conntrack_sysctl", Object.create(ConntrackDefaults.CT) as NetnsCt);
  },
});

/** Boot time: every namespace has them from now on. */
export function netnsCtInit(): void {
  list = account("nf_conntrack_sysctl", []);
  registerPernetSubsys(NET_OPS);
}

/** The sysctls of a namespace, to be read and set. */
export function netnsCt(net: Net): NetnsCt {
  return list[net.id]!;
}
