/**
 * The sysctls of net.ipv4 of one namespace, with Linux's defaults. Linux: include/net/netns/ipv4.h,
 * Documentation/networking/ip-sysctl. Fields carry the sysctl's name in TypeScript's case; times in the unit of the sysctl.
 *
 * A namespace's object is empty at first and has the defaults as its prototype, which are made when the module is loaded and on a
 * board lie in flash: a sysctl takes a slot of RAM when it is set, and none before.
 */
export class NetnsIpv4 {
  ipDefaultTtl = 64;
  ipNoPmtuDisc = 0;
  /** Devices that are registered from now on forward. For those that are there: ipForwardSet(). */
  ipForward = 0;
  /** net.ipv4.conf.all.rp_filter: the larger of this and the device's counts. */
  rpFilter = 0;
  /**
   * The switches of net.ipv4.conf.all (ipv4/devinet.ts, ipv4/arp-conf.ts): those about redirects and arp_evict_nocarrier are on.
   */
  confAll = 0x20003c;
  /** Those of devices to come, net.ipv4.conf.default: the same, and arp_notify. */
  confDefault = 0x30003c;
  /** 32 bits that decide which next hop of a multipath route each flow takes; 0: drawn when first needed. */
  fibMultipathHashSeed = 0;
  /**
   * What of a flow decides: 0 addresses, 1 ports too, 2 addresses inside of tunnels, 3 what fibMultipathHashFields names. Ways that
   * have been chosen stay until a route changes.
   */
  fibMultipathHashPolicy = 0;
  /** Bits: 1 source, 2 destination, 4 protocol, 0x10 source port, 0x20 destination port. */
  fibMultipathHashFields = 7;
  icmpEchoIgnoreAll = 0;
  icmpEchoIgnoreBroadcasts = 1;
  /** Errors about broadcasts, which nobody should send, reach the socket; 0: they do not. */
  icmpIgnoreBogusErrorResponses = 1;
  /** Errors about packets that came in are sent from an address of the device they came in by, not of the one the error leaves by. */
  icmpErrorsUseInboundIfaddr = 0;
  /** Milliseconds between two rate-limited ICMP errors to one destination. */
  icmpRatelimit = 1000;
  /** Bit n: ICMP type n is rate limited (default: unreachable, source quench, time exceeded, parameter problem). */
  icmpRatemask = 0x1818;
  /** Rate-limited ICMP messages per second to all destinations together, and how many may go at once. */
  icmpMsgsPerSec = 1000;
  icmpMsgsBurst = 50;
  /** Seconds in which all fragments of a datagram must come. */
  ipfragTime = 30;
  /** Fragments that a source may send of other datagrams before the next one of a datagram; 0 for any number. */
  ipfragMaxDist = 64;
  ipLocalPortRangeLow = 32768;
  ipLocalPortRangeHigh = 60999;
  /** First port that needs no privilege; 0 on a board, where there are no users. */
  ipUnprivilegedPortStart = 0;
  /** Groups whose programs may open ping sockets. The program of a board has group 0; Linux begins with none, 1 to 0. */
  pingGroupRangeLow = 0;
  pingGroupRangeHigh = 0;
  /** Groups that a socket may join, and sources that it may name for each. */
  igmpMaxMemberships = 20;
  igmpMaxMsf = 10;
  /** Robustness variable where no querier says: how often a change is reported. */
  igmpQrv = 2;
  /** Groups of 224.0.0.0/24 are reported, too. */
  igmpLinkLocalMcastReports = 1;
  somaxconn = 4096;
  tcpMaxSynBacklog = 128;
  /** SYN cookies: 1 when the SYN queue is full, 2 always, 0 never. */
  tcpSyncookies = 1;
  /** The SYN guard, where that part is started: 0 off, 1 on, 2 on while there is a flood (syn-guard.ts). Here only, like the next ones. */
  tcpSynGuard = 2;
  /** New sources per second below which the rate is low, normal, high. */
  tcpSynGuardLow = 10;
  tcpSynGuardNormal = 1000;
  tcpSynGuardHigh = 10000;
  /** Seconds for which a source is known at least, at each of these rates and at a higher one. */
  tcpSynGuardLowPeriod = 30;
  tcpSynGuardNormalPeriod = 10;
  tcpSynGuardHighPeriod = 3;
  tcpSynGuardAttackPeriod = 1;
  /** Seconds without a SYN after which a source gives its place in the table to another. */
  tcpSynGuardIdle = 3;
  /** Most SYN-ACKs that are sent again while the SYN queue is half full. */
  tcpSynGuardRetries = 3;
  tcpSynRetries = 6;
  /** SYNs that go again each second before the timeout is doubled. */
  tcpSynLinearTimeouts = 4;
  tcpSynackRetries = 5;
  /** Connections of few segments in flight do not double their first timeouts, as with TCP_THIN_LINEAR_TIMEOUTS. */
  tcpThinLinearTimeouts = 0;
  tcpRetries1 = 3;
  tcpRetries2 = 15;
  tcpOrphanRetries = 0;
  /** Seconds. */
  tcpFinTimeout = 60;
  /** Seconds. */
  tcpKeepaliveTime = 7200;
  tcpKeepaliveIntvl = 75;
  tcpKeepaliveProbes = 9;
  tcpTimestamps = 1;
  tcpWindowScaling = 1;
  tcpSack = 1;
  tcpDsack = 1;
  /** 0: never, 1: asked for and agreed to, 2: agreed to (RFC 3168). */
  tcpEcn = 2;
  /** A SYN sent again asks no more. */
  tcpEcnFallback = 1;
  /** The algorithm of new sockets: set by tcpSetDefaultCongestionControl(). Where CUBIC is not started they have Reno. */
  tcpCongestionControl = "cubic";
  /** Segments that may arrive out of order before one counts as lost. */
  tcpReordering = 3;
  /** Bit 1: a reordering window that does not adapt; bit 2: no three-duplicates rule. RACK itself (bit 0) is always on. */
  tcpRecovery = 1;
  /** 3: tail loss probes; less: none. */
  tcpEarlyRetrans = 3;
  tcpFrto = 2;
  /** Seconds for which the shortest round trip is remembered. */
  tcpMinRttWlen = 300;
  tcpAbortOnOverflow = 0;
  tcpRfc1337 = 0;
  /** 2: only for loopback. */
  tcpTwReuse = 2;
  tcpSlowStartAfterIdle = 1;
  tcpAdvWinScale = 1;
  /** Receive buffers grow, as far as rcvbufMaxPackets of boot() lets them. */
  tcpModerateRcvbuf = 1;
  tcpInvalidRatelimitMs = 500;
  tcpChallengeAckLimit = 1000;
  tcpMinSndMss = 48;
  /** Segments of a burst that belong together: PSH is on the last of them. */
  tcpMinTsoSegs = 2;
  /** Search for the path MTU (RFC 4821): 0 never, 1 after a black hole, 2 always; from which MSS on, and down to which. */
  tcpMtuProbing = 0;
  tcpBaseMss = 1024;
  tcpMtuProbeFloor = 48;
  /** Bytes of MTU that are not worth a probe; seconds after which a search starts anew. */
  tcpProbeThreshold = 8;
  tcpProbeInterval = 600;
  /** Bits TFO_*: 1 client, 2 server, 0x200 server without cookies, 0x400 server without TCP_FASTOPEN. */
  tcpFastopen = 1;
  /** Words of one key or two for cookies; null: that of the machine (tcp-fastopen-key.ts). */
  tcpFastopenKey: Int32Array | null = null;
  /** Unsent bytes up to which a socket may write; negative for no limit. */
  tcpNotsentLowat = -1;
}

/**
 * Keeps the defaults, which nobody writes to. They are not frozen: what is read-only in an object cannot be set in one that
 * inherits from it.
 */
class Ipv4Defaults {
  static readonly IPV4: NetnsIpv4 = new NetnsIpv4();
}

/** The sysctls of a new namespace. */
export function createNetnsIpv4(): NetnsIpv4 {
  return Object.create(Ipv4Defaults.IPV4) as NetnsIpv4;
}
