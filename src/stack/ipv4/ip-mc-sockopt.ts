/**
 * The multicast options of level SOL_IP. Linux: their cases in do_ip_setsockopt() and do_ip_getsockopt() of net/ipv4/ip_sockglue.c;
 * read first ip(7), RFC 3678. Owns nothing.
 *
 * What Linux has as structures are Int32Arrays of their fields in order: ip_mreq is [group, address], ip_mreqn [group, address,
 * ifindex], ip_mreq_source [group, address, source], ip_msfilter [group, address, mode, count, sources…], group_req [ifindex, group],
 * group_source_req [ifindex, group, source], group_filter [ifindex, group, mode, count, sources…].
 */
import { words } from "../../lib/table.ts";
import { devGetByIndex } from "../../netif/dev.ts";
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENOPROTOOPT, EPROTO } from "../../uapi/errno.ts";
import {
  IP_ADD_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE, IP_DROP_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP, IP_MSFILTER,
  IP_MULTICAST_ALL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_UNBLOCK_SOURCE, MCAST_BLOCK_SOURCE, MCAST_EXCLUDE,
  MCAST_INCLUDE, MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_GROUP, MCAST_LEAVE_SOURCE_GROUP, MCAST_MSFILTER,
  MCAST_UNBLOCK_SOURCE,
} from "../../uapi/in.ts";
import { SOCK_STREAM } from "../../uapi/socket.ts";
import { SK_MC_ADDR, SK_MC_INDEX, SK_MC_TTL, SK_TYPE } from "../core/sock.ts";
import { inetLookupIfaddr } from "./devinet.ts";
import { INET_MC_ALL, INET_MC_LOOP, type InetSk } from "./inet-sock.ts";
import { ipMcJoinGroup, ipMcLeaveGroup, ipMcMsfget, ipMcMsfilter, ipMcSource } from "./ip-mc-socket.ts";

/** Fields of a filter in front of its sources. */
const FILTER_FIELDS = 4;

function setFlag(sk: InetSk, flag: number, on: boolean): number {
  if (on) sk.inet.flags |= flag;
  else sk.inet.flags &= ~flag;
  return 0;
}

/** IP_MULTICAST_IF: an address, an ip_mreq or an ip_mreqn. */
function setInterface(sk: InetSk, value: number, fields: Int32Array | null): number {
  const cold = sk.cold;
  if (words[cold + SK_TYPE] === SOCK_STREAM) return -EINVAL;
  const address = fields !== null && fields.length >= 2 ? fields[1]! : value;
  const ifindex = fields !== null && fields.length >= 3 ? fields[2]! : 0;
  let index = ifindex;
  if (ifindex === 0 && address === 0) {
    words[cold + SK_MC_INDEX] = words[cold + SK_MC_ADDR] = 0;
    return 0;
  }
  if (ifindex === 0) {
    const ifa = inetLookupIfaddr(sk.net, address);
    if (ifa === null) return -EADDRNOTAVAIL;
    index = ifa.dev!.ifindex;
  } else if (devGetByIndex(sk.net, ifindex) === null) {
    return -EADDRNOTAVAIL;
  }
  if (sk.boundDevIf !== 0 && sk.boundDevIf !== index) return -EINVAL;
  words[cold + SK_MC_INDEX] = index;
  words[cold + SK_MC_ADDR] = address;
  return 0;
}

/** A source of a group: joined by it, left, blocked or heard again. @param name as of IP_* */
function setSource(sk: InetSk, name: number, group: number, source: number, address: number, ifindex: number): number {
  const include = name === IP_ADD_SOURCE_MEMBERSHIP || name === IP_DROP_SOURCE_MEMBERSHIP;
  if (name === IP_ADD_SOURCE_MEMBERSHIP) {
    const err = ipMcJoinGroup(sk, group, address, ifindex, MCAST_INCLUDE);
    if (err < 0 && err !== -EADDRINUSE) return err;
  }
  const add = name === IP_ADD_SOURCE_MEMBERSHIP || name === IP_BLOCK_SOURCE;
  return ipMcSource(sk, add, include ? MCAST_INCLUDE : MCAST_EXCLUDE, group, source, address, ifindex);
}

/** IP_MSFILTER, MCAST_MSFILTER. */
function setFilter(sk: InetSk, fields: Int32Array, group: number, address: number, ifindex: number): number {
  const count = fields[3]!;
  if (count < 0 || count > sk.net.ipv4.igmpMaxMsf) return -ENOBUFS;
  if (count > fields.length - FILTER_FIELDS) return -EINVAL;
  return ipMcMsfilter(sk, group, address, ifindex, fields[2]!, fields, FILTER_FIELDS, count);
}

/** Options that are several numbers. */
function setFields(sk: InetSk, name: number, fields: Int32Array | null): number {
  const count = fields === null ? 1 : fields.length;
  const first = fields === null ? 0 : fields[0]!;
  const second = count < 2 ? 0 : fields![1]!;
  const third = count < 3 ? 0 : fields![2]!;
  switch (name) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
      if (words[sk.cold + SK_TYPE] === SOCK_STREAM) return -EPROTO;
      if (count < 2) return -EINVAL;
      return name === IP_ADD_MEMBERSHIP ? ipMcJoinGroup(sk, first, second, third, MCAST_EXCLUDE) : ipMcLeaveGroup(sk, first, second, third);
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP:
      if (count < 2) return -EINVAL;
      return name === MCAST_JOIN_GROUP ? ipMcJoinGroup(sk, second, 0, first, MCAST_EXCLUDE) : ipMcLeaveGroup(sk, second, 0, first);
    case IP_ADD_SOURCE_MEMBERSHIP:
    case IP_DROP_SOURCE_MEMBERSHIP:
    case IP_BLOCK_SOURCE:
    case IP_UNBLOCK_SOURCE:
      return count === 3 ? setSource(sk, name, first, third, second, 0) : -EINVAL;
    case MCAST_JOIN_SOURCE_GROUP:
      return count === 3 ? setSource(sk, IP_ADD_SOURCE_MEMBERSHIP, second, third, 0, first) : -EINVAL;
    case MCAST_LEAVE_SOURCE_GROUP:
      return count === 3 ? setSource(sk, IP_DROP_SOURCE_MEMBERSHIP, second, third, 0, first) : -EINVAL;
    case MCAST_BLOCK_SOURCE:
      return count === 3 ? setSource(sk, IP_BLOCK_SOURCE, second, third, 0, first) : -EINVAL;
    case MCAST_UNBLOCK_SOURCE:
      return count === 3 ? setSource(sk, IP_UNBLOCK_SOURCE, second, third, 0, first) : -EINVAL;
    case IP_MSFILTER:
      return count < FILTER_FIELDS ? -EINVAL : setFilter(sk, fields!, first, second, 0);
    case MCAST_MSFILTER:
      return count < FILTER_FIELDS ? -EINVAL : setFilter(sk, fields!, second, 0, first);
    default:
      return -ENOPROTOOPT;
  }
}

/**
 * Sets a multicast option.
 * @param value the int @param bytes options of several numbers (see above)
 * @returns 0, -ENOPROTOOPT (no such option), -EINVAL (bad value, too short, not of a stream), -EADDRNOTAVAIL (IP_MULTICAST_IF: no
 *   such device), -EPROTO (membership of a stream), and as ipMcJoinGroup() and its kind
 */
export function ipMcSetsockopt(sk: InetSk, name: number, value: number, bytes: Uint8Array | Int32Array | null): number {
  const fields = bytes instanceof Int32Array ? bytes : null;
  switch (name) {
    case IP_MULTICAST_TTL: {
      if (words[sk.cold + SK_TYPE] === SOCK_STREAM || value < -1 || value > 255) return -EINVAL;
      words[sk.cold + SK_MC_TTL] = value === -1 ? 1 : value;
      return 0;
    }
    case IP_MULTICAST_LOOP:
      return setFlag(sk, INET_MC_LOOP, value !== 0);
    case IP_MULTICAST_ALL:
      return value === 0 || value === 1 ? setFlag(sk, INET_MC_ALL, value === 1) : -EINVAL;
    case IP_MULTICAST_IF:
      return setInterface(sk, value, fields);
    default:
      return setFields(sk, name, fields);
  }
}

/**
 * Reads a multicast option into `out`: one int; a filter is asked for by its fields in `out` up to the count, which says how many
 * sources there is room for.
 * @returns the numbers written, -ENOPROTOOPT, and as ipMcMsfget()
 */
export function ipMcGetsockopt(sk: InetSk, name: number, out: Uint8Array | Int32Array): number {
  switch (name) {
    case IP_MULTICAST_TTL: out[0] = words[sk.cold + SK_MC_TTL]!; return 1;
    case IP_MULTICAST_LOOP: out[0] = (sk.inet.flags & INET_MC_LOOP) !== 0 ? 1 : 0; return 1;
    case IP_MULTICAST_ALL: out[0] = (sk.inet.flags & INET_MC_ALL) !== 0 ? 1 : 0; return 1;
    case IP_MULTICAST_IF: out[0] = words[sk.cold + SK_MC_ADDR]!; return 1;
    case IP_MSFILTER:
    case MCAST_MSFILTER: {
      if (!(out instanceof Int32Array) || out.length < FILTER_FIELDS) return -EINVAL;
      const own = name === IP_MSFILTER;
      const left = out.length - FILTER_FIELDS;
      const room = out[3]! < left ? out[3]! : left;
      const written = ipMcMsfget(sk, own ? out[0]! : out[1]!, own ? out[1]! : 0, own ? 0 : out[0]!, out, 2, room);
      return written < 0 ? written : FILTER_FIELDS + written;
    }
    default:
      return -ENOPROTOOPT;
  }
}
