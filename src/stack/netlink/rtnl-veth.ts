/**
 * `ip link add … type veth`: both ends are made at once, the peer first. Linux: veth_newlink() and veth_dellink() of
 * drivers/net/veth.c. Owns the record of the peer.
 */
import { account } from "../../lib/account.ts";
import { memView } from "../../lib/memory.ts";
import { registerNetdev, unregisterNetdev } from "../../netif/dev.ts";
import { vethOps, vethPair } from "../../netif/veth.ts";
import { EINVAL } from "../../uapi/errno.ts";
import { IFLA_MAX, VETH_INFO_PEER } from "../../uapi/if-link.ts";
import type { Net } from "../core/net.ts";
import type { NetDevice } from "../core/net-device.ts";
import { nlaLen, nlaOk, nlaParse, nlaType } from "./nlattr.ts";
import { linkPolicy } from "./rtnl-link.ts";
import {
  LinkRequest, linkRequestApply, linkRequestFlags, linkRequestRead, rtnlLinkRegister, type RtnlLinkOps,
} from "./rtnl-newlink.ts";

/** ifinfomsg in front of the peer's attributes, and two of its fields. */
const IFINFOMSG_BYTES = 16;
const IFI_FLAGS = 8;
const IFI_CHANGE = 12;

let peerRequest: LinkRequest;

/** Boot: veth can be made by messages. After rtnlNewlinkInit(). */
export function rtnlVethInit(): void {
  peerRequest = account("rtnetlink", new LinkRequest());
  rtnlLinkRegister(vethLinkOps);
}

/** What is said of the peer: 0, or a negative errno. */
function readPeer(data: number): number {
  const peer = peerRequest;
  const at = data === 0 ? 0 : data + 4;
  if (at === 0 || !nlaOk(at, at + nlaLen(data)) || nlaType(at) !== VETH_INFO_PEER) {
    peer.name = "";
    peer.hasAddress = false;
    peer.mtu = peer.flags = peer.change = 0;
    peer.txqlen = -1;
    return 0;
  }
  const header = at + 4;
  if (nlaLen(at) < IFINFOMSG_BYTES) return -EINVAL;
  const err = nlaParse(header + IFINFOMSG_BYTES, header + nlaLen(at), IFLA_MAX, linkPolicy);
  if (err !== 0) return err;
  return linkRequestRead(peer, memView.getInt32(header + IFI_FLAGS, true), memView.getInt32(header + IFI_CHANGE, true));
}

function vethNewlink(net: Net, request: LinkRequest): number {
  let err = readPeer(request.data);
  if (err !== 0) return err;
  const dev = vethPair("veth%d", "veth%d");
  const peer = dev.peer!;
  err = linkRequestApply(peerRequest, peer);
  if (err === 0) err = linkRequestApply(request, dev);
  if (err === 0) err = registerNetdev(net, peer);
  if (err === 0) err = linkRequestFlags(peerRequest, peer);
  if (err === 0) err = registerNetdev(net, dev);
  if (err === 0) err = linkRequestFlags(request, dev);
  if (err !== 0) vethDellink(dev);
  return err;
}

function vethDellink(dev: NetDevice): void {
  const peer = dev.peer;
  unregisterNetdev(dev);
  if (peer !== null) unregisterNetdev(peer);
}

const vethLinkOps: RtnlLinkOps = Object.freeze({ kind: "veth", ops: vethOps, newlink: vethNewlink, dellink: vethDellink });
