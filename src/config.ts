/**
 * The one table of sizes: every pool of the stack, what it is for, its count in each preset and the range allowed.
 * Nothing else in the source has a size. lwIP's memp_std.h is the idea; `npm run budget` prints what a choice costs.
 *
 * Presets, as total bytes on a 32-bit XS machine: tiny up to 24 KB, small 64 KB, default 160 KB, host as tests like.
 * tiny is one listener, one connection and one datagram socket.
 */

export type Preset = "tiny" | "small" | "default" | "host";

interface Row {
  readonly what: string;
  readonly tiny: number;
  readonly small: number;
  readonly default: number;
  readonly host: number;
  readonly min: number;
  readonly max: number;
  /** The value must be a multiple of this. */
  readonly step: number;
}

function row(what: string, sizes: readonly [number, number, number, number], min: number, max: number, step = 1): Row {
  return Object.freeze({ what, tiny: sizes[0], small: sizes[1], default: sizes[2], host: sizes[3], min, max, step });
}

/** Smallest buffer: the 576 bytes every IPv4 host must take (RFC 791), Ethernet's header, and TCP's headroom. */
const MIN_BUFFER_BYTES = 612;

export const CONFIG_TABLE = Object.freeze({
  bufferBytes: row("bytes of one packet buffer; 36 more than the largest MTU", [612, 1536, 1536, 1536], MIN_BUFFER_BYTES, 9216, 4),
  buffers: row("packet buffers", [5, 11, 31, 4096], 4, 16384),
  skbs: row("packet headers (a sent TCP segment takes two)", [6, 16, 42, 8192], 6, 30000),
  userMemory: row("bytes of packet memory for the program's own buffers", [0, 0, 4096, 65536], 0, 16777216, 4),
  staging: row("bytes for copies between packet memory and a program's arrays, a power of two", [64, 512, 2048, 2048], 64, 2048),
  files: row("descriptors", [3, 6, 14, 1024], 1, 16384),
  socks: row("sockets inside the stack", [3, 5, 13, 1024], 1, 16384),
  tcpSocks: row("TCP connections and listeners among them", [2, 4, 10, 1024], 1, 16384),
  requestSocks: row("half-open connections (SYN queue)", [1, 4, 16, 1024], 1, 8192),
  timewaitSocks: row("connections in TIME_WAIT", [1, 8, 32, 16384], 1, 30000),
  synGuardBits: row("bits of each of the two filters of sources, where `synGuard` is started; a power of two", [1024, 4096, 16384, 4194304], 32, 67108864),
  synGuardHashes: row("bits of a filter that each source sets", [5, 5, 5, 5], 1, 16),
  synGuardSources: row("sources whose SYNs are counted one by one; a power of two", [16, 64, 256, 4096], 4, 65536),
  synGuardSyns: row("SYNs of one of them that are let through in a second", [10, 10, 10, 10], 1, 60),
  bindBuckets: row("local TCP ports in use", [2, 6, 16, 2048], 1, 16384),
  ehashBuckets: row("heads of the TCP connection table, a power of two", [4, 16, 64, 1024], 4, 65536),
  mtuProbes: row("1: TCP can search for the path MTU (net.ipv4.tcp_mtu_probing)", [0, 0, 1, 1], 0, 1),
  deliveryRates: row("1: TCP measures how fast data is delivered (tcpi_delivery_rate)", [0, 0, 0, 1], 0, 1),
  md5Keys: row("keys of TCP_MD5SIG", [0, 0, 0, 64], 0, 1024),
  epolls: row("epoll instances; 0: a program asks by poll() or by trying", [0, 1, 2, 64], 0, 1024),
  epollItems: row("descriptors watched by epoll", [0, 5, 14, 2048], 0, 16384),
  neighbours: row("neighbour (ARP) entries", [2, 4, 8, 256], 2, 4096),
  arpProxies: row("addresses that a router answers ARP for (ip neigh add proxy), where `proxyArp` is started", [1, 1, 2, 64], 1, 1024),
  ifaddrs: row("interface addresses, loopback included", [2, 3, 4, 64], 2, 1024),
  routes: row("routes in all tables, those of addresses included", [8, 9, 20, 512], 8, 131000),
  fibInfos: row("distinct sets of next hop and attributes; each further next hop of a route counts as one", [6, 7, 10, 256], 6, 16000),
  fibTables: row("routing tables of all namespaces (main and local of each included)", [2, 2, 4, 512], 2, 16384),
  fibRules: row("policy rules of all namespaces, with the three of each whose rules are changed; 0: they cannot be", [0, 0, 6, 128], 0, 4096),
  fibMetrics: row("routes' sets of metrics other than MTU and ADVMSS", [0, 0, 1, 64], 0, 4096),
  nexthops: row("most next hops of one route", [1, 1, 4, 32], 1, 256),
  fibExceptions: row("destinations with a path MTU or a gateway of their own", [1, 1, 4, 256], 1, 4096),
  rtables: row("cached routing decisions", [4, 4, 10, 512], 4, 8192),
  destinations: row("destinations with learned metrics (TCP); for each two ICMP rates and four identifications are kept; a power of two", [2, 4, 4, 4], 1, 256),
  rcvbufPackets: row("full packets a socket may hold unread (SO_RCVBUF's default)", [3, 6, 12, 256], 2, 4096),
  rcvbufMaxPackets: row("full packets that the buffer of a busy TCP socket may grow to, 0 for no growth", [0, 0, 24, 0], 0, 4096),
  sndbufPackets: row("full packets a socket may have unsent or unacknowledged (SO_SNDBUF's default)", [2, 4, 8, 256], 1, 4096),
  fragQueues: row("datagrams being put together of fragments, where `fragments` is started", [1, 2, 4, 64], 1, 1024),
  fragPackets: row("packets that may wait there, out of `buffers`", [2, 3, 14, 2048], 2, 16384),
  ipOptionSocks: row("sockets with IP_OPTIONS, where `ipOptions` is started", [1, 1, 2, 16], 1, 1024),
  mcGroups: row("groups that devices receive, 224.0.0.1 of each included, where `igmp` is started", [3, 4, 8, 256], 2, 16384),
  mcSources: row("sources that groups and memberships name, each one for itself", [0, 2, 8, 512], 0, 16384),
  mcMemberships: row("memberships of sockets", [1, 2, 6, 256], 1, 16384),
  packetSocks: row("packet sockets among them, where `packet` is started", [1, 1, 2, 64], 1, 1024),
  packetMemberships: row("what they ask of devices (PACKET_ADD_MEMBERSHIP)", [1, 1, 2, 64], 1, 1024),
  bpfFilters: row("sockets with a filter (SO_ATTACH_FILTER), where `socketFilter` is started", [1, 1, 2, 32], 1, 1024),
  bpfInsns: row("instructions of the longest filter", [32, 48, 64, 512], 1, 4096),
  unixSocks: row("UNIX sockets among them, where `unix` is started", [2, 2, 4, 64], 2, 1024),
  bridgeFdb: row("stations that bridges know, addresses of their own included, where `bridge` is started", [8, 32, 64, 4096], 4, 16384),
  nfRuleWords: row("words for iptables' rules of all namespaces, about 30 a rule, where `iptables` is started; to change a set takes as many again", [512, 1024, 4096, 65536], 256, 1048576),
  nfConntracks: row("connections that netfilter tracks, about 101 bytes each, where `conntrack` is started", [16, 32, 128, 4096], 8, 32766),
  nfHelped: row("connections among them that a helper reads (FTP's control), about 60 bytes each, where `ctHelpers` is started", [1, 2, 4, 64], 1, 8192),
  nfExpects: row("connections that those have announced", [1, 2, 4, 64], 1, 8192),
  netlinkSocks: row("netlink sockets among them, where netlink is started", [1, 1, 2, 64], 1, 1024),
  backlog: row("packets waiting on loopback and veth (netdev_max_backlog)", [6, 12, 40, 1000], 1, 16384),
} satisfies Record<string, Row>);

export type ConfigOption = keyof typeof CONFIG_TABLE;
/** A count or size for every row of the table. */
export type Config = { readonly [K in ConfigOption]: number };
/** What boot() takes: a preset, single sizes that differ from it, or both. */
export type ConfigOptions = { readonly preset?: Preset } & { readonly [K in ConfigOption]?: number };

const PRESETS: readonly string[] = Object.freeze(["tiny", "small", "default", "host"]);

const POWERS_OF_TWO: readonly ConfigOption[] = Object.freeze([
  "ehashBuckets", "staging", "destinations", "synGuardBits", "synGuardSources",
] as const);

function checkValue(option: ConfigOption, value: unknown): number {
  const { min, max, step } = CONFIG_TABLE[option];
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
 * @throws TypeError for an unknown option or preset or a value that is no number; RangeError for one out of range: both name
 * the option, its value and its range
 */
export function resolveConfig(options: ConfigOptions): Config {
  const preset: unknown = options.preset === undefined ? "default" : options.preset;
  if (typeof preset !== "string" || !PRESETS.includes(preset)) {
    throw new TypeError(`boot: option preset is ${String(preset)}; it must be one of ${PRESETS.join(", ")}`);
  }
  for (const key of Object.keys(options)) {
    if (key !== "preset" && !Object.hasOwn(CONFIG_TABLE, key)) {
      throw new TypeError(`boot: there is no option ${key}; options are preset, ${Object.keys(CONFIG_TABLE).join(", ")}`);
    }
  }
  const config = {} as Record<ConfigOption, number>;
  for (const option of Object.keys(CONFIG_TABLE) as ConfigOption[]) {
    const given: unknown = options[option];
    config[option] = given === undefined ? CONFIG_TABLE[option][preset as Preset] : checkValue(option, given);
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
