/**
 * The tables of sizes: every pool of the stack, what it is for, its count in each preset and the range allowed.
 * Nothing else in the source has a size. There is one for every program and one for each part, so that a board carries no others.
 * lwIP's memp_std.h is the idea; `npm run budget` prints what a choice costs.
 *
 * Presets, as total bytes on a 32-bit XS machine: tiny up to 24 KB, small 64 KB, default 160 KB, host as tests like.
 * tiny is one listener, one connection and one datagram socket.
 */

export type Preset = "tiny" | "small" | "default" | "host";

export interface Row {
  readonly tiny: number;
  readonly small: number;
  readonly default: number;
  readonly host: number;
  readonly min: number;
  readonly max: number;
  /** The value must be a multiple of this. */
  readonly step: number;
}

/**
 * A row as text, which is one slot of a board's flash where an object of these seven would be nine.
 * The mark lets a bundle leave tables out that no part of it names.
 */
/* @__NO_SIDE_EFFECTS__ */ function row(tiny: number, small: number, normal: number, host: number, min: number, max: number, step = 1): string {
  return `${tiny},${small},${normal},${host},${min},${max},${step}`;
}

/** Rows of some options. */
export type SizeTable = { readonly [K in ConfigOption]?: string };

/** Smallest buffer: the 576 bytes every IPv4 host must take (RFC 791), Ethernet's header, and TCP's headroom. */
const MIN_BUFFER_BYTES = 612;

/** What every program has. A part's sizes are in the table that its initcall names. */
export const HOST_SIZES = Object.freeze({
  /** Bytes of one packet buffer; 36 more than the largest MTU. */
  bufferBytes: row(612, 1536, 1536, 1536, MIN_BUFFER_BYTES, 9216, 4),
  /** Packet buffers. */
  buffers: row(5, 11, 31, 4096, 4, 16384),
  /** Packet headers (a sent TCP segment takes two). */
  skbs: row(6, 16, 42, 8192, 6, 30000),
  /** Bytes of packet memory for the program's own buffers. */
  userMemory: row(0, 0, 4096, 65536, 0, 16777216, 4),
  /** Bytes for copies between packet memory and a program's arrays, a power of two. */
  staging: row(64, 512, 2048, 2048, 64, 2048),
  /** Descriptors. */
  files: row(3, 6, 14, 1024, 1, 16384),
  /** Sockets inside the stack. */
  socks: row(3, 5, 13, 1024, 1, 16384),
  /** Neighbour (ARP) entries. */
  neighbours: row(2, 4, 8, 256, 2, 4096),
  /** Interface addresses, loopback included. */
  ifaddrs: row(2, 3, 4, 64, 2, 1024),
  /** Routes in all tables, those of addresses included. */
  routes: row(8, 9, 20, 512, 8, 131000),
  /** Cached routing decisions. */
  rtables: row(4, 4, 10, 512, 4, 8192),
  /** Destinations with learned metrics (TCP); for each two ICMP rates and four identifications are kept; a power of two. */
  destinations: row(2, 4, 4, 4, 1, 256),
  /** Full packets a socket may hold unread (SO_RCVBUF's default). */
  rcvbufPackets: row(3, 6, 12, 256, 2, 4096),
  /** Full packets a socket may have unsent or unacknowledged (SO_SNDBUF's default). */
  sndbufPackets: row(2, 4, 8, 256, 1, 4096),
  /** Packets waiting on loopback and veth (netdev_max_backlog). */
  backlog: row(6, 12, 40, 1000, 1, 16384),
});

export const EPOLL_SIZES = Object.freeze({
  /** Epoll instances; 0: a program asks by poll() or by trying. */
  epolls: row(0, 1, 2, 64, 0, 1024),
  /** Descriptors watched by epoll. */
  epollItems: row(0, 5, 14, 2048, 0, 16384),
});

/** TCP, with its parts. */
export const TCP_SIZES = Object.freeze({
  /** TCP connections and listeners among them. */
  tcpSocks: row(2, 4, 10, 1024, 1, 16384),
  /** Half-open connections (SYN queue). */
  requestSocks: row(1, 4, 16, 1024, 1, 8192),
  /** Connections in TIME_WAIT. */
  timewaitSocks: row(1, 8, 32, 16384, 1, 30000),
  /** Local TCP ports in use. */
  bindBuckets: row(2, 6, 16, 2048, 1, 16384),
  /** Heads of the TCP connection table, a power of two. */
  ehashBuckets: row(4, 16, 64, 1024, 4, 65536),
  /** Full packets that the buffer of a busy TCP socket may grow to, 0 for no growth. */
  rcvbufMaxPackets: row(0, 0, 24, 0, 0, 4096),
  /** 1: TCP can search for the path MTU (net.ipv4.tcp_mtu_probing). */
  mtuProbes: row(0, 0, 1, 1, 0, 1),
  /** 1: TCP measures how fast data is delivered (tcpi_delivery_rate). */
  deliveryRates: row(0, 0, 0, 1, 0, 1),
  /** Keys of TCP_MD5SIG. */
  md5Keys: row(0, 0, 0, 64, 0, 1024),
});

export const SYN_GUARD_SIZES = Object.freeze({
  /** Bits of each of the two filters of sources, where `synGuard` is started; a power of two. */
  synGuardBits: row(1024, 4096, 16384, 4194304, 32, 67108864),
  /** Bits of a filter that each source sets. */
  synGuardHashes: row(5, 5, 5, 5, 1, 16),
  /** Sources whose SYNs are counted one by one; a power of two. */
  synGuardSources: row(16, 64, 256, 4096, 4, 65536),
  /** SYNs of one of them that are let through in a second. */
  synGuardSyns: row(10, 10, 10, 10, 1, 60),
});

export const FIB_TRIE_SIZES = Object.freeze({
  /** Distinct sets of next hop and attributes, where `fibTrie` is started; each further next hop of a route counts as one. */
  fibInfos: row(6, 7, 10, 256, 6, 16000),
  /** Routing tables of all namespaces (main and local of each included), there. */
  fibTables: row(2, 2, 4, 512, 2, 16384),
  /** Routes' sets of metrics other than MTU and ADVMSS. */
  fibMetrics: row(0, 0, 1, 64, 0, 4096),
  /** Most next hops of one route. */
  nexthops: row(1, 1, 4, 32, 1, 256),
});

export const ADVANCED_ROUTER_SIZES = Object.freeze({
  /** Policy rules of all namespaces, with the three of each whose rules are changed; 0: they cannot be. */
  fibRules: row(0, 0, 6, 128, 0, 4096),
});

export const ROUTE_EXCEPTIONS_SIZES = Object.freeze({
  /** Destinations with a path MTU or a gateway of their own. */
  fibExceptions: row(1, 1, 4, 256, 1, 4096),
});

export const NEIGHBOURS_SIZES = Object.freeze({
  /** Addresses that a router answers ARP for (ip neigh add proxy), where `proxyArp` is started. */
  arpProxies: row(1, 1, 2, 64, 1, 1024),
});

export const FRAGMENTS_SIZES = Object.freeze({
  /** Datagrams being put together of fragments, where `fragments` is started. */
  fragQueues: row(1, 2, 4, 64, 1, 1024),
  /** Packets that may wait there, out of `buffers`. */
  fragPackets: row(2, 3, 14, 2048, 2, 16384),
});

export const IP_OPTIONS_SIZES = Object.freeze({
  /** Sockets and half-open connections with IP options, where `ipOptions` is started. */
  ipOptionSocks: row(1, 1, 2, 16, 1, 1024),
});

export const IGMP_SIZES = Object.freeze({
  /** Groups that devices receive, 224.0.0.1 of each included, where `igmp` is started. */
  mcGroups: row(3, 4, 8, 256, 2, 16384),
  /** Sources that groups and memberships name, each one for itself. */
  mcSources: row(0, 2, 8, 512, 0, 16384),
  /** Memberships of sockets. */
  mcMemberships: row(1, 2, 6, 256, 1, 16384),
  /** Link addresses that a person has devices receive (ip maddress add), where `igmp` is started. */
  mcStatic: row(0, 0, 2, 64, 0, 4096),
});

export const PACKET_SIZES = Object.freeze({
  /** Packet sockets among them, where `packet` is started. */
  packetSocks: row(1, 1, 2, 64, 1, 1024),
  /** What they ask of devices (PACKET_ADD_MEMBERSHIP). */
  packetMemberships: row(1, 1, 2, 64, 1, 1024),
});

export const SOCKET_FILTER_SIZES = Object.freeze({
  /** Sockets with a filter (SO_ATTACH_FILTER), where `socketFilter` is started. */
  bpfFilters: row(1, 1, 2, 32, 1, 1024),
  /** Instructions of the longest filter. */
  bpfInsns: row(32, 48, 64, 512, 1, 4096),
});

export const UNIX_SIZES = Object.freeze({
  /** UNIX sockets among them, where `unix` is started. */
  unixSocks: row(2, 2, 4, 64, 2, 1024),
});

export const BRIDGE_SIZES = Object.freeze({
  /** Stations that bridges know, addresses of their own included, where `bridge` is started. */
  bridgeFdb: row(8, 32, 64, 4096, 4, 16384),
});

export const IPTABLES_SIZES = Object.freeze({
  /** Words for iptables' rules of all namespaces, about 30 a rule, where `iptables` is started; to change a set takes as many again. */
  nfRuleWords: row(512, 1024, 4096, 65536, 256, 1048576),
});

export const CONNTRACK_SIZES = Object.freeze({
  /** Connections that netfilter tracks, about 101 bytes each, where `conntrack` is started. */
  nfConntracks: row(16, 32, 128, 4096, 8, 32766),
});

export const CT_HELPERS_SIZES = Object.freeze({
  /** Connections among them that a helper reads (FTP's control), about 60 bytes each, where `ctHelpers` is started. */
  nfHelped: row(1, 2, 4, 64, 1, 8192),
  /** Connections that those have announced. */
  nfExpects: row(1, 2, 4, 64, 1, 8192),
});

export const NETLINK_SIZES = Object.freeze({
  /** Netlink sockets among them, where netlink is started. */
  netlinkSocks: row(1, 1, 2, 64, 1, 1024),
});

/** All tables in one: boot() takes the sizes of parts that are not started, too. */
export function allSizes() {
  return {
    ...HOST_SIZES, ...EPOLL_SIZES, ...TCP_SIZES, ...SYN_GUARD_SIZES, ...FIB_TRIE_SIZES, ...ADVANCED_ROUTER_SIZES,
    ...ROUTE_EXCEPTIONS_SIZES, ...NEIGHBOURS_SIZES, ...FRAGMENTS_SIZES, ...IP_OPTIONS_SIZES, ...IGMP_SIZES, ...PACKET_SIZES,
    ...SOCKET_FILTER_SIZES, ...UNIX_SIZES, ...BRIDGE_SIZES, ...IPTABLES_SIZES, ...CONNTRACK_SIZES, ...CT_HELPERS_SIZES, ...NETLINK_SIZES,
  } as const;
}

export type ConfigOption = keyof ReturnType<typeof allSizes>;

/** The names of a table's rows, in its order. */
export function configOptions(sizes: SizeTable): ConfigOption[] {
  return Object.keys(sizes) as ConfigOption[];
}

/** A row of a table. */
export function configRow(sizes: SizeTable, option: ConfigOption): Row {
  const numbers = sizes[option]!.split(",").map(Number) as [number, number, number, number, number, number, number];
  const [tiny, small, normal, host, min, max, step] = numbers;
  return { tiny, small, default: normal, host, min, max, step };
}

/** A count or size for every row of the tables; of those of parts that are started. */
export type Config = { readonly [K in ConfigOption]: number };
/** What boot() takes: a preset, single sizes that differ from it, or both. */
export type ConfigOptions = { readonly preset?: Preset } & { readonly [K in ConfigOption]?: number };

const PRESETS: readonly string[] = Object.freeze(["tiny", "small", "default", "host"]);

const POWERS_OF_TWO: readonly ConfigOption[] = Object.freeze([
  "ehashBuckets", "staging", "destinations", "synGuardBits", "synGuardSources",
] as const);

function checkValue(option: ConfigOption, value: unknown, { min, max, step }: Row): number {
  if (typeof value !== "number") {
    throw new TypeError(`boot: option ${option} is ${String(value)}; it must be a number from ${min} to ${max}`);
  }
  const range = `from ${min} to ${max}${step > 1 ? `, a multiple of ${step}` : ""}`;
  if (!Number.isInteger(value) || value < min || value > max || value % step !== 0) {
    throw new RangeError(`boot: option ${option} is ${value}; it must be a whole number ${range}`);
  }
  if (POWERS_OF_TWO.includes(option) && (value & (value - 1)) !== 0) {
    throw new RangeError(`boot: option ${option} is ${value}; it must be a power of two ${range}`);
  }
  return value;
}

/** Options whose pools stand on each other: the first may not be larger than the second. */
const AT_MOST: readonly (readonly [ConfigOption, ConfigOption])[] = Object.freeze([
  Object.freeze(["tcpSocks", "socks"] as const),
  Object.freeze(["buffers", "skbs"] as const),
]);

/**
 * The sizes for these options, all checked.
 * @param sizes the tables of what is started
 * @throws TypeError for an unknown option or preset or a value that is no number; RangeError for one out of range: both name
 * the option, its value and its range
 */
export function resolveConfig(options: ConfigOptions, sizes: SizeTable): Config {
  const preset: unknown = options.preset === undefined ? "default" : options.preset;
  if (typeof preset !== "string" || !PRESETS.includes(preset)) {
    throw new TypeError(`boot: option preset is ${String(preset)}; it must be one of ${PRESETS.join(", ")}`);
  }
  for (const key of Object.keys(options)) {
    if (key !== "preset" && !Object.hasOwn(sizes, key)) {
      throw new TypeError(`boot: there is no option ${key}; options are preset, ${configOptions(sizes).join(", ")}`);
    }
  }
  const config = {} as Record<ConfigOption, number>;
  for (const option of configOptions(sizes)) {
    const given: unknown = options[option];
    const size = configRow(sizes, option);
    config[option] = given === undefined ? size[preset as Preset] : checkValue(option, given, size);
  }
  for (const [smaller, larger] of AT_MOST) {
    if (config[smaller] > config[larger]) {
      throw new RangeError(
        `boot: option ${smaller} is ${config[smaller]}; it must be at most ${larger}, which is ${config[larger]}`,
      );
    }
  }
  return config;
}
