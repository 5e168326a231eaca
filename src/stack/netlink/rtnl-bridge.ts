/**
 * `ip link add NAME type bridge`, and what bridges and their ports tell of themselves. Linux: net/bridge/br_netlink.c. Owns nothing.
 * Their forwarding database is in rtnl-fdb.ts. There is no spanning tree, no VLAN filtering and no snooping of groups, and messages
 * that ask for one are refused.
 */
import { mem8, memView } from "../../lib/memory.ts";
import { devGetFlags, unregisterNetdev } from "../../netif/dev.ts";
import type { Bridge } from "../../netif/bridge/br-forward.ts";
import { bridgeOps, bridgePortOf, bridgeSetAgeing, createBridgeDev, registerBridgeDev } from "../../netif/bridge/br-if.ts";
import { EMSGSIZE, EOPNOTSUPP, ERANGE } from "../../uapi/errno.ts";
import {
  BR_STATE_DISABLED, BR_STATE_FORWARDING, IFLA_ADDRESS, IFLA_BR_AGEING_TIME, IFLA_BR_BRIDGE_ID, IFLA_BR_STP_STATE, IFLA_BRPORT_COST,
  IFLA_BRPORT_LEARNING, IFLA_BRPORT_MODE, IFLA_BRPORT_PRIORITY, IFLA_BRPORT_STATE, IFLA_BRPORT_UNICAST_FLOOD, IFLA_IFNAME, IFLA_LINK,
  IFLA_MASTER, IFLA_MTU, IFLA_PROTINFO,
} from "../../uapi/if-link.ts";
import { NLA_F_NESTED, NLA_HDRLEN, NLMSG_HDRLEN } from "../../uapi/netlink.ts";
import { RTM_GETLINK, RTM_NEWLINK } from "../../uapi/rtnetlink.ts";
import { AF_BRIDGE } from "../../uapi/socket.ts";
import { nlErrMsg } from "../core/extack.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { SkBuff } from "../core/skbuff.ts";
import { nlmsgPutDump } from "./netlink-deliver.ts";
import type { NetlinkSock } from "./netlink-sock.ts";
import {
  nlaGetU32, nlaLen, nlaNestEnd, nlaNestStart, nlaNext, nlaOk, nlaPut, nlaPutLladdr, nlaPutString, nlaPutU16, nlaPutU32, nlaPutU8, nlaType,
  nlmsgFinish,
} from "./nlattr.ts";
import { rtnlFdbInit } from "./rtnl-fdb.ts";
import { rtnlRegister } from "./rtnetlink.ts";
import { linkRequestApply, linkRequestFlags, rtnlLinkRegister, type LinkRequest, type RtnlLinkOps } from "./rtnl-newlink.ts";

/** Times in messages are in hundredths of a second. */
const MS_PER_TICK = 10;
const AGEING_MAX_TICKS = 0x7fffffff / MS_PER_TICK;
/** Priority in a bridge's identifier, as it is without a spanning tree. */
const BRIDGE_PRIORITY = 0x8000;
const BRIDGE_ID_BYTES = 8;
/** What a port has of a spanning tree without one: its priority, and the cost of a link of unknown speed. */
const PORT_PRIORITY = 32;
const PORT_COST = 100;
/** ifinfomsg: its size and the offsets of its fields behind the message header. */
const IFINFOMSG_BYTES = 16;
const IFI_TYPE = NLMSG_HDRLEN + 2;
const IFI_INDEX = NLMSG_HDRLEN + 4;
const IFI_FLAGS = NLMSG_HDRLEN + 8;

/** Netlink starts: bridges can be made by messages. */
export function rtnlBridgeInit(): void {
  rtnlLinkRegister(bridgeLinkOps);
  rtnlRegister(RTM_GETLINK, AF_BRIDGE, null, bridgeDumpPorts);
  rtnlFdbInit();
}

/** Linux: br_changelink(). */
function bridgeChangelink(dev: NetDevice, data: number): number {
  const end = data + NLA_HDRLEN + nlaLen(data);
  for (let at = data + NLA_HDRLEN; nlaOk(at, end); at = nlaNext(at)) {
    const type = nlaType(at);
    if (nlaLen(at) < 4) return -ERANGE;
    const value = nlaGetU32(at) >>> 0;
    if (type === IFLA_BR_AGEING_TIME) {
      if (value > AGEING_MAX_TICKS) return -ERANGE;
      bridgeSetAgeing(dev.priv as Bridge, value * MS_PER_TICK);
    } else if (type !== IFLA_BR_STP_STATE || value !== 0) {
      return nlErrMsg(-EOPNOTSUPP, "The bridge has no such option");
    }
  }
  return 0;
}

/** Linux: br_dev_newlink(). */
function bridgeNewlink(net: Net, request: LinkRequest): number {
  const dev = createBridgeDev("bridge%d");
  const br = dev.priv as Bridge;
  let err = linkRequestApply(request, dev);
  if (err < 0) return err;
  br.addrSet = request.hasAddress;
  br.mtuSet = request.mtu !== 0;
  err = registerBridgeDev(net, dev);
  if (err < 0) return err;
  if (request.data !== 0) err = bridgeChangelink(dev, request.data);
  if (err === 0) err = linkRequestFlags(request, dev);
  if (err < 0) unregisterNetdev(dev);
  return err;
}

/** Linux: br_fill_info(). */
function bridgeFillInfo(skb: SkBuff, dev: NetDevice): boolean {
  if (!nlaPutU32(skb, IFLA_BR_AGEING_TIME, ((dev.priv as Bridge).ageingMs / MS_PER_TICK) | 0)) return false;
  if (!nlaPutU32(skb, IFLA_BR_STP_STATE, 0)) return false;
  const at = nlaPut(skb, IFLA_BR_BRIDGE_ID, BRIDGE_ID_BYTES);
  if (at < 0) return false;
  memView.setUint16(at, BRIDGE_PRIORITY);
  memView.setUint16(at + 2, dev.addrHi);
  memView.setInt32(at + 4, dev.addrLo);
  return true;
}

/** What a port tells. Linux: br_port_fill_attrs(). */
function bridgeFillPort(skb: SkBuff, dev: NetDevice): boolean {
  return nlaPutU8(skb, IFLA_BRPORT_STATE, bridgePortOf(dev)!.forwarding ? BR_STATE_FORWARDING : BR_STATE_DISABLED)
    && nlaPutU16(skb, IFLA_BRPORT_PRIORITY, PORT_PRIORITY)
    && nlaPutU32(skb, IFLA_BRPORT_COST, PORT_COST)
    && nlaPutU8(skb, IFLA_BRPORT_MODE, 0)
    && nlaPutU8(skb, IFLA_BRPORT_LEARNING, 1)
    && nlaPutU8(skb, IFLA_BRPORT_UNICAST_FLOOD, 1);
}

/** Writes a port behind the header `nlh`: 0, or -EMSGSIZE after taking it back. Linux: br_fill_ifinfo(). */
function fillPort(skb: SkBuff, nlh: number, dev: NetDevice, master: NetDevice): number {
  if (nlh < 0) return -EMSGSIZE;
  mem8[nlh + NLMSG_HDRLEN] = AF_BRIDGE;
  memView.setUint16(nlh + IFI_TYPE, dev.type, true);
  memView.setInt32(nlh + IFI_INDEX, dev.ifindex, true);
  memView.setInt32(nlh + IFI_FLAGS, devGetFlags(dev), true);
  const peer = dev.peer;
  let fits = nlaPutString(skb, IFLA_IFNAME, dev.name)
    && nlaPutU32(skb, IFLA_MASTER, master.ifindex)
    && nlaPutU32(skb, IFLA_MTU, dev.mtu)
    && nlaPutLladdr(skb, IFLA_ADDRESS, dev.addrHi, dev.addrLo)
    && (peer === null || peer.net !== dev.net || nlaPutU32(skb, IFLA_LINK, peer.ifindex));
  const nest = fits ? nlaNestStart(skb, IFLA_PROTINFO | NLA_F_NESTED) : -1;
  fits = nest >= 0 && bridgeFillPort(skb, dev);
  if (fits) nlaNestEnd(skb, nest);
  return nlmsgFinish(skb, nlh, fits);
}

/** The ports of the namespace's bridges; arg0 is the last one told. Linux: rtnl_bridge_getlink(), br_getlink(). */
function bridgeDumpPorts(skb: SkBuff, cb: NetlinkSock): number {
  for (let dev = cb.net!.devices; dev !== null; dev = dev.nextDev) {
    const port = bridgePortOf(dev);
    if (port === null || dev.ifindex <= cb.arg0) continue;
    const err = fillPort(skb, nlmsgPutDump(skb, cb, RTM_NEWLINK, IFINFOMSG_BYTES), dev, port.br.dev);
    if (err !== 0) return err;
    cb.arg0 = dev.ifindex;
  }
  return 0;
}

const bridgeLinkOps: RtnlLinkOps = Object.freeze({
  kind: "bridge", ops: bridgeOps, newlink: bridgeNewlink, dellink: unregisterNetdev, changelink: bridgeChangelink,
  fillInfo: bridgeFillInfo, fillSlaveInfo: bridgeFillPort,
});
