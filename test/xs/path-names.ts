/** Names of the paths that the XS tests measure, and whose functions a board's build leaves fast (tools/hot.mjs). */

/** The measured paths (paths.ts says what each does), in the order in which one board runs them. */
export const PATHS: readonly string[] = [
  "arp", "ping", "udp-echo", "forward", "tcp-receive", "tcp-send", "tcp-request", "tcp-connect", "tcp-active", "forward-nat",
];
/** Paths of parts that a board lists when it boots: of these only the slots are looked at. */
export const PART_PATHS: readonly string[] = ["raw", "packet", "multicast", "link"];
/** Paths of services, in a board with those parts. */
export const SERVICE_PATHS: readonly string[] = ["dhcp-renew", "dns-lookup", "mdns-answer", "dnssd-answer", "sntp-poll"];
