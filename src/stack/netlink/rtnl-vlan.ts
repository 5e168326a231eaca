/**
 * `ip link add link DEV … type vlan id ID`, and what such a device tells of itself. Linux: net/8021q/vlan_netlink.c. Owns nothing:
 * the attributes of a message are read in place.
 *
 * Unlike Linux priorities of packets above 15 cannot be mapped.
 */
import { memView } from "../../lib/memory.ts";
import { devGetByIndex, unregisterNetdev } from "../../netif/dev.ts";
import { VLAN_QOS_EGRESS, VLAN_QOS_ENTRIES, VLAN_QOS_INGRESS, VLAN_QOS_PRIORITIES, type VlanDev } from "../../netif/vlan.ts";
import { createVlanDev, registerVlanDev, vlanOps } from "../../netif/vlan-dev.ts";
import { EINVAL, ENODEV, EPROTONOSUPPORT, ERANGE } from "../../uapi/errno.ts";
import { ETH_P_8021AD, ETH_P_8021Q } from "../../uapi/if-ether.ts";
import {
  IFLA_VLAN_EGRESS_QOS, IFLA_VLAN_FLAGS, IFLA_VLAN_ID, IFLA_VLAN_INGRESS_QOS, IFLA_VLAN_PROTOCOL, IFLA_VLAN_QOS_MAPPING,
  VLAN_FLAG_BRIDGE_BINDING, VLAN_FLAG_GVRP, VLAN_FLAG_LOOSE_BINDING, VLAN_FLAG_MVRP, VLAN_FLAG_REORDER_HDR,
} from "../../uapi/if-link.ts";
import { NLA_HDRLEN } from "../../uapi/netlink.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { VLAN_N_VID } from "../wire/vlan.ts";
import {
  nlaFindNested, nlaGetU16, nlaLen, nlaNestEnd, nlaNestStart, nlaNext, nlaOk, nlaPut, nlaPutU16, nlaType,
} from "./nlattr.ts";
import { linkRequestApply, linkRequestFlags, rtnlLinkRegister, type LinkRequest, type RtnlLinkOps } from "./rtnl-newlink.ts";

const KNOWN_FLAGS = VLAN_FLAG_REORDER_HDR | VLAN_FLAG_GVRP | VLAN_FLAG_LOOSE_BINDING | VLAN_FLAG_MVRP | VLAN_FLAG_BRIDGE_BINDING;
/** ifla_vlan_flags: the flags and which of them are meant; ifla_vlan_qos_mapping: from and to. */
const PAIR_BYTES = 8;
/** Priorities of a tag. */
const PCP_MAX = 7;

/** Netlink starts: VLANs can be made by messages. */
export function rtnlVlanInit(): void {
  rtnlLinkRegister(vlanLinkOps);
}

/** The EtherType of the tag in network order, or the usual one. */
function protocolOf(data: number): number {
  const at = nlaFindNested(data, IFLA_VLAN_PROTOCOL);
  return at === 0 ? ETH_P_8021Q : memView.getUint16(at + NLA_HDRLEN);
}

/** Are a map's numbers ones that can be kept? @param fromMax, toMax the largest */
function checkMap(map: number, fromMax: number, toMax: number): number {
  if (map === 0) return 0;
  const end = map + NLA_HDRLEN + nlaLen(map);
  for (let at = map + NLA_HDRLEN; nlaOk(at, end); at = nlaNext(at)) {
    if (nlaType(at) !== IFLA_VLAN_QOS_MAPPING || nlaLen(at) < PAIR_BYTES) return nlErrMsg(-EINVAL, "Invalid VLAN QoS mapping");
    const from = memView.getUint32(at + NLA_HDRLEN, true);
    const to = memView.getUint32(at + NLA_HDRLEN + 4, true);
    if (from > fromMax || to > toMax) return nlErrMsg(-EINVAL, "VLAN QoS mapping out of range");
  }
  return 0;
}

/** Linux: vlan_validate(). */
function validate(data: number): number {
  if (data === 0) return nlErrMsg(-EINVAL, "VLAN properties not specified");
  const protocol = protocolOf(data);
  if (protocol !== ETH_P_8021Q && protocol !== ETH_P_8021AD) return nlErrMsg(-EPROTONOSUPPORT, "Invalid VLAN protocol");
  const id = nlaFindNested(data, IFLA_VLAN_ID);
  if (id !== 0 && nlaLen(id) < 2) return -ERANGE;
  if (id !== 0 && nlaGetU16(id) >= VLAN_N_VID - 1) return nlErrMsg(-ERANGE, "Invalid VLAN id");
  const flags = nlaFindNested(data, IFLA_VLAN_FLAGS);
  if (flags !== 0 && nlaLen(flags) < PAIR_BYTES) return -ERANGE;
  if (flags !== 0 && (flagsOf(flags) & ~KNOWN_FLAGS) !== 0) return nlErrMsg(-EINVAL, "Invalid VLAN flags");
  const err = checkMap(nlaFindNested(data, IFLA_VLAN_INGRESS_QOS), PCP_MAX, 0x7fffffff);
  return err !== 0 ? err : checkMap(nlaFindNested(data, IFLA_VLAN_EGRESS_QOS), VLAN_QOS_PRIORITIES - 1, PCP_MAX);
}

/** The flags that are set among those that are meant. */
function flagsOf(at: number): number {
  return memView.getInt32(at + NLA_HDRLEN, true) & memView.getInt32(at + NLA_HDRLEN + 4, true);
}

function readMap(vlan: VlanDev, map: number, column: number): void {
  if (map === 0) return;
  const qos = vlan.qos ?? createQos();
  vlan.qos = qos;
  const end = map + NLA_HDRLEN + nlaLen(map);
  for (let at = map + NLA_HDRLEN; nlaOk(at, end); at = nlaNext(at)) {
    qos[column + memView.getInt32(at + NLA_HDRLEN, true)] = memView.getInt32(at + NLA_HDRLEN + 4, true);
  }
}

function createQos(): Int32Array {
  return new Int32Array(VLAN_QOS_ENTRIES);
}

/** Gives a VLAN what was asked for: 0 or a negative errno. Linux: vlan_changelink(). */
function vlanChangelink(dev: NetDevice, data: number): number {
  const err = validate(data);
  if (err !== 0) return err;
  const vlan = dev.priv as VlanDev;
  const flags = nlaFindNested(data, IFLA_VLAN_FLAGS);
  if (flags !== 0) {
    const mask = memView.getInt32(flags + NLA_HDRLEN + 4, true);
    vlan.flags = (vlan.flags & ~mask) | flagsOf(flags);
  }
  readMap(vlan, nlaFindNested(data, IFLA_VLAN_INGRESS_QOS), VLAN_QOS_INGRESS);
  readMap(vlan, nlaFindNested(data, IFLA_VLAN_EGRESS_QOS), VLAN_QOS_EGRESS);
  return 0;
}

/** Linux: vlan_newlink(). */
function vlanNewlink(net: Net, request: LinkRequest): number {
  const data = request.data;
  const invalid = validate(data);
  if (invalid !== 0) return invalid;
  const id = nlaFindNested(data, IFLA_VLAN_ID);
  if (id === 0) return nlErrMsg(-EINVAL, "VLAN id not specified");
  if (request.link === 0) return nlErrMsg(-EINVAL, "link not specified");
  const real = devGetByIndex(net, request.link);
  if (real === null) return nlErrMsg(-ENODEV, "link does not exist");
  const dev = createVlanDev("vlan%d", real, protocolOf(data), nlaGetU16(id));
  vlanChangelink(dev, data);
  let err = linkRequestApply(request, dev);
  if (err < 0) return err;
  (dev.priv as VlanDev).inherits = !request.hasAddress;
  err = registerVlanDev(dev);
  if (err < 0) return err;
  err = linkRequestFlags(request, dev);
  if (err < 0) unregisterNetdev(dev);
  return err;
}

/** Writes the numbers of a map that are not 0; false when there is no room. */
function putMap(skb: SkBuff, type: number, qos: Int32Array, from: number, to: number): boolean {
  let nest = 0;
  for (let i = from; i < to; i++) {
    if (qos[i] === 0) continue;
    if (nest === 0) nest = nlaNestStart(skb, type);
    const at = nest < 0 ? -1 : nlaPut(skb, IFLA_VLAN_QOS_MAPPING, PAIR_BYTES);
    if (at < 0) return false;
    memView.setInt32(at, i - from, true);
    memView.setInt32(at + 4, qos[i]!, true);
  }
  if (nest > 0) nlaNestEnd(skb, nest);
  return true;
}

/** Linux: vlan_fill_info(). */
function vlanFillInfo(skb: SkBuff, dev: NetDevice): boolean {
  const { proto, id, flags, qos } = dev.priv as VlanDev;
  const protocol = nlaPut(skb, IFLA_VLAN_PROTOCOL, 2);
  if (protocol < 0) return false;
  memView.setUint16(protocol, proto);
  if (!nlaPutU16(skb, IFLA_VLAN_ID, id)) return false;
  const at = nlaPut(skb, IFLA_VLAN_FLAGS, PAIR_BYTES);
  if (at < 0) return false;
  memView.setInt32(at, flags, true);
  memView.setInt32(at + 4, -1, true);
  return qos === null || (putMap(skb, IFLA_VLAN_INGRESS_QOS, qos, VLAN_QOS_INGRESS, VLAN_QOS_EGRESS)
    && putMap(skb, IFLA_VLAN_EGRESS_QOS, qos, VLAN_QOS_EGRESS, VLAN_QOS_ENTRIES));
}

const vlanLinkOps: RtnlLinkOps = Object.freeze({
  kind: "vlan", ops: vlanOps, newlink: vlanNewlink, dellink: unregisterNetdev, changelink: vlanChangelink, fillInfo: vlanFillInfo,
});
