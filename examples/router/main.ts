/**
 * A home router: eth0 is the way out and has its address already, eth1 is the network inside, with addresses by DHCP and one address
 * for all of them towards the outside (MASQUERADE). `router 192.168.7.1/24 [NAMESERVER]`: the inner address of the router.
 */
import { devGetByName, devOpen, inetAddAddress, type Net } from "linnet";
import { iptables } from "linnet/commands";
import { conntrack } from "linnet/conntrack";
import { forwarding, ipForwardSet } from "linnet/forwarding";
import { fragments } from "linnet/fragments";
import { iptables as ipTables } from "linnet/iptables";
import { nat } from "linnet/nat";
import { netfilter } from "linnet/netfilter";
import { dhcpd } from "linnet/services/dhcpd";
import { formatIp, parseIp } from "../common/address.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [fragments, forwarding, netfilter, ipTables, conntrack, nat];

const OUTSIDE = "eth0";
const INSIDE = "eth1";
const ADDRESS = "192.168.7.1/24";
/** Hosts inside that get an address. */
const MOST_HOSTS = 32;

/** Nobody outside begins a connection to what is inside; the router itself answers to both. */
const RULES = [
  `-t nat -A POSTROUTING -o ${OUTSIDE} -j MASQUERADE`,
  "-P FORWARD DROP",
  `-A FORWARD -i ${INSIDE} -j ACCEPT`,
  `-A FORWARD -i ${OUTSIDE} -m state --state ESTABLISHED,RELATED -j ACCEPT`,
];

export default function main(net: Net, inside: string = ADDRESS, nameServer?: string): () => boolean {
  const dev = devGetByName(net, INSIDE);
  if (dev === null) throw new Error(`the router needs a second port, ${INSIDE}`);
  const [address = "", length = "24"] = inside.split("/");
  const addr = parseIp(address);
  const bits = Number(length);
  if (!(bits >= 8 && bits <= 29)) throw new RangeError(`${inside} has the prefix length ${length}; it must be 8 to 29`);
  const err = devOpen(dev) || inetAddAddress(net, dev, addr, bits);
  if (err < 0) throw new Error(`${INSIDE}, ${inside}: error ${err}`);
  for (const rule of RULES) {
    const { error } = iptables(net, rule);
    if (error !== "") throw new Error(`iptables ${rule}: ${error}`);
  }
  ipForwardSet(net, true);
  const network = addr & (-1 << (32 - bits));
  const most = network + 2 ** (32 - bits) - 2;
  const first = addr + 1 <= most ? addr + 1 : network + 1;
  const last = Math.min(first + MOST_HOSTS - 1, first > addr ? most : addr - 1);
  dhcpd(net, INSIDE, { first, last, ...(nameServer === undefined ? {} : { dns: [parseIp(nameServer)] }) });
  trace(`routing for ${formatIp(first)} to ${formatIp(last)}\n`);
  return () => false;
}
