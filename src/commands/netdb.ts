/**
 * Names of protocols and services. Their counterparts are /etc/protocols and /etc/services with getprotobyname(), getservbyname() and
 * the ways back: a board has no such files, so here is of both what people write in rules. Names and numbers are IANA's, as Debian
 * spells them.
 */
import { IPPROTO_TCP, IPPROTO_UDP } from "../uapi/in.ts";

const PROTOCOLS: readonly (readonly [string, number])[] = Object.freeze([
  ["all", 0], ["icmp", 1], ["igmp", 2], ["ipencap", 4], ["tcp", 6], ["egp", 8], ["udp", 17], ["dccp", 33], ["ipv6", 41], ["ipv6-route", 43],
  ["ipv6-frag", 44], ["rsvp", 46], ["gre", 47], ["esp", 50], ["ah", 51], ["ipv6-icmp", 58], ["icmpv6", 58], ["ipv6-nonxt", 59], ["ipv6-opts", 60],
  ["eigrp", 88], ["ospf", 89], ["ipip", 94], ["etherip", 97], ["pim", 103], ["ipcomp", 108], ["vrrp", 112], ["l2tp", 115], ["sctp", 132],
  ["udplite", 136],
] as const);

const TCP = 1;
const UDP = 2;
const BOTH = TCP | UDP;
/** Name, port, and the protocols that have it. */
const SERVICES: readonly (readonly [string, number, number])[] = Object.freeze([
  ["echo", 7, BOTH], ["discard", 9, BOTH], ["daytime", 13, BOTH], ["ftp-data", 20, TCP], ["ftp", 21, TCP], ["ssh", 22, TCP], ["telnet", 23, TCP],
  ["smtp", 25, TCP], ["time", 37, BOTH], ["domain", 53, BOTH], ["bootps", 67, UDP], ["bootpc", 68, UDP], ["tftp", 69, UDP], ["http", 80, TCP],
  ["kerberos", 88, BOTH], ["pop3", 110, TCP], ["ntp", 123, UDP], ["netbios-ns", 137, UDP], ["netbios-dgm", 138, UDP], ["netbios-ssn", 139, TCP],
  ["imap2", 143, TCP], ["snmp", 161, BOTH], ["snmp-trap", 162, BOTH], ["bgp", 179, TCP], ["ldap", 389, BOTH], ["https", 443, BOTH],
  ["microsoft-ds", 445, TCP], ["isakmp", 500, UDP], ["syslog", 514, UDP], ["submission", 587, TCP], ["ipp", 631, TCP], ["ldaps", 636, BOTH],
  ["rsync", 873, TCP], ["imaps", 993, TCP], ["pop3s", 995, TCP], ["openvpn", 1194, BOTH], ["radius", 1812, BOTH], ["nfs", 2049, BOTH],
  ["mysql", 3306, TCP], ["ipsec-nat-t", 4500, UDP], ["sip", 5060, BOTH], ["postgresql", 5432, TCP], ["mdns", 5353, UDP], ["http-alt", 8080, TCP],
] as const);

/** The number of a protocol, in whatever case its name is written; -1 for unknown ones. */
export function protoByName(name: string): number {
  const known = name.toLowerCase();
  return PROTOCOLS.find(([called]) => called === known)?.[1] ?? -1;
}

/** The name of a protocol, if it has one. */
export function protoByNumber(proto: number): string | undefined {
  return PROTOCOLS.find(([, number]) => number === proto)?.[0];
}

/** The port of a service, whichever its protocol; -1 for unknown ones. */
export function portByName(name: string): number {
  return SERVICES.find(([called]) => called === name)?.[1] ?? -1;
}

/** The service at a port, if it has a name. */
export function serviceByPort(port: number, proto: number): string | undefined {
  const bit = proto === IPPROTO_TCP ? TCP : proto === IPPROTO_UDP ? UDP : 0;
  return SERVICES.find(([, number, protos]) => number === port && (protos & bit) !== 0)?.[0];
}
