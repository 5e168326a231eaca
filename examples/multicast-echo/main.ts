/**
 * Joins a group and says again what it hears there: each datagram to 239.255.7.7 port 7007 goes to all members of the group at port
 * 7008, behind the address it came from. `multicast-echo 239.1.2.3` takes another group.
 */
import {
  AF_INET, bind, devGetByName, IP_ADD_MEMBERSHIP, IP_MULTICAST_IF, IP_MULTICAST_LOOP, type Net, recvfrom, sendto, setsockopt,
  setsockoptBytes, SO_REUSEADDR, SOCK_DGRAM, SockaddrIn, socket, SOL_IP, SOL_SOCKET,
} from "linnet";
import { igmp } from "linnet/igmp";
import { formatIp, parseIp } from "../common/address.ts";

/** The parts that a board must list when it boots for this sketch. */
export const initcalls = [igmp];

const GROUP = "239.255.7.7";
const HEARD_PORT = 7007;
const SAID_PORT = 7008;
const LONGEST = 1400;

export default function main(net: Net, group: string = GROUP): () => boolean {
  const addr = parseIp(group);
  // Groups have no route on a board without a gateway: the device is named.
  const device = Int32Array.of(addr, 0, devGetByName(net, "eth0")!.ifindex);
  const buffer = new Uint8Array(LONGEST);
  const from = new SockaddrIn();
  const to = new SockaddrIn(addr, SAID_PORT);
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  setsockopt(fd, SOL_IP, IP_MULTICAST_LOOP, 0);
  const err = bind(fd, new SockaddrIn(addr, HEARD_PORT)) || setsockoptBytes(fd, SOL_IP, IP_ADD_MEMBERSHIP, device)
    || setsockoptBytes(fd, SOL_IP, IP_MULTICAST_IF, device);
  if (err < 0) throw new Error(`group ${group}: error ${err}`);
  trace(`${group}: joined\n`);
  return () => {
    const count = recvfrom(fd, buffer, 0, buffer.length, 0, from);
    if (count < 0) return false;
    const head = `${formatIp(from.addr)}: `;
    const said = new Uint8Array(head.length + count);
    for (let i = 0; i < head.length; i++) said[i] = head.charCodeAt(i);
    said.set(buffer.subarray(0, count), head.length);
    sendto(fd, said, 0, said.length, 0, to);
    return true;
  };
}
