/**
 * What IPv4 can do without: parts that a program lists at boot, or that its bundle does not have. Each is a table of
 * functions here, null while it is not there. Linux has them as CONFIG_ options or always.
 */
import type { Net } from "../core/net.ts";
import type { Neighbour } from "../core/neighbour.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { Msghdr } from "../core/sockaddr.ts";
import type { SkBuff } from "../core/skbuff.ts";
import type { Sock } from "../core/sock.ts";
import type { PneighEntry } from "./arp-proxy.ts";
import type { InDevice } from "./devinet.ts";
import type { FibConfig } from "./fib-config.ts";
import type { FibResult, Flowi4 } from "./flow.ts";
import type { InetSk } from "./inet-sock.ts";
import type { IpcmCookie } from "./ip-sockglue.ts";
import type { Rtable } from "./rtable.ts";
import type { TcpSk } from "./tcp-sock.ts";

/** Fragments: reassembly (ip-fragment.ts), and sending in pieces (ip-do-fragment.ts). */
export interface FragmentOps {
  /**
   * Takes a fragment for this host, data at its IP header.
   * @returns the whole datagram when this was the last piece that was missing, else null: the fragment is kept or dropped
   */
  defrag(skb: SkBuff): SkBuff | null;
  /** Sends a packet that is longer than `mtu` in pieces, each by ipOutput(): 0 or a negative errno; the packet is gone. */
  fragment(skb: SkBuff, mtu: number): number;
  /**
   * Appends a message to a datagram that does not fit one packet. @param skb its first packet, data behind the transport
   * header of `transport` bytes that is still to come @returns 0, -ENOBUFS or -EFAULT: the datagram is the caller's to free
   */
  append(sk: Sock, skb: SkBuff, msg: Msghdr, length: number, mtu: number, transport: number): number;
}

/** IP options: of packets that come in (ip-options.ts), and of those that are sent (ip-options-send.ts). */
export interface OptionOps {
  /** Reads and fills in the options of a packet, its route set: SKB_NOT_DROPPED_YET, or why it is to be dropped. */
  receive(skb: SkBuff, dev: NetDevice): number;
  /** That packet has been dealt with. */
  done(): void;
  /** Has a packet that came in a source route? 0 none, 1 a loose one, 2 a strict one. */
  sourceRoute(skb: SkBuff): number;
  /** Are routers to look at a packet that came in? */
  routerAlert(skb: SkBuff): boolean;
  /** A packet with options is forwarded, by its route. */
  forward(skb: SkBuff): void;
  /** Prepares the options of an answer to a packet: their bytes, or -1 when there must be no answer. */
  echo(net: Net, skb: SkBuff): number;
  /** Has `owner` keep those of an answer to a SYN, if there are any. Owners are handles of socks and complements of requests. */
  keepEcho(net: Net, skb: SkBuff, owner: number): boolean;
  /** What a request keeps is the sock's now. */
  move(from: number, sk: Sock): void;
  /** Prepares those of an owner: their bytes. */
  prepare(owner: number): number;
  /** The bytes of a socket's options. */
  length(sk: Sock): number;
  /** Prepares those of a control message, IP_RETOPTS: their bytes, or -EINVAL. @param at, words where they are in `control` */
  prepareCmsg(sk: Sock, control: Int32Array, at: number, words: number): number;
  /** Delivers the control messages about a packet's options, IP_RECVOPTS and IP_RETOPTS. */
  receiveCmsg(sk: InetSk, msg: Msghdr, skb: SkBuff): void;
  /** Where a packet with the prepared options is sent to first. */
  firstHop(daddr: number): number;
  /** Do the prepared options name every hop (strict source route)? */
  strict(): boolean;
  /** Like ipPushHeader(), with the prepared options. */
  push(skb: SkBuff, sk: Sock | null, saddr: number, daddr: number, protocol: number, ttl: number, tos: number, df: boolean): void;
  /** IP_OPTIONS. */
  set(sk: Sock, bytes: Uint8Array | Int32Array): number;
  get(sk: Sock, out: Uint8Array | Int32Array): number;
  /** The owner goes. */
  release(owner: number): void;
}

/** Forwarding (ip-forward.ts). */
export interface ForwardOps {
  /**
   * Routes a packet that came in by a device that forwards and is not for this host.
   * @param error what the lookup said, its result still in fibResult @returns as ipRouteInput()
   */
  route(skb: SkBuff, inDev: InDevice, error: number, daddr: number, saddr: number, tos: number): number;
}

/** What ARP's settings say (arp-policy.ts). */
export interface ArpPolicyOps {
  /** Is a gratuitous packet not looked at? */
  dropsGratuitous(inDev: InDevice): boolean;
  /** Is a request for an address of this host answered? @param sip 0 for a probe */
  mayReply(inDev: InDevice, sip: number, tip: number): boolean;
  /** An entry for a sender that nobody has asked for, where the device learns from such; else null. */
  learn(skb: SkBuff, inDev: InDevice, op: number, sip: number, shaHi: number, shaLo: number): Neighbour | null;
  /** May a question for `target` name the source of the packet that waits? */
  mayAnnounce(dev: NetDevice, saddr: number, target: number): boolean;
}

/** Proxy ARP (arp-proxy.ts). */
export interface ArpProxyOps {
  /**
   * Takes a question that is not for this host, its route set, if this host answers it for somebody else.
   * @returns whether the packet was taken
   */
  answer(skb: SkBuff, dev: NetDevice): boolean;
  /** Publishes an address, by one device or any (null): 0 or -ENOBUFS. @param flags as Neighbour.flags */
  add(net: Net, key: number, dev: NetDevice | null, flags: number): number;
  /** Publishes it no more: 0 or -ENOENT. */
  remove(net: Net, key: number, dev: NetDevice | null): number;
  /** The first published address. */
  first(): PneighEntry | null;
}

/** Raw sockets (raw.ts). */
export interface RawOps {
  /**
   * Shows a packet for this host, data behind its IP header, to every raw socket of its protocol. The packet stays the caller's.
   * @returns whether there was one
   */
  deliver(skb: SkBuff): boolean;
  /** An ICMP error about a packet this host sent, as NetProtocol.errHandler() gets it. */
  error(skb: SkBuff, info: number): void;
  /** IP_ROUTER_ALERT: 0, -EINVAL, -EADDRINUSE (it is on), -ENOBUFS (it is off). */
  setRouterAlert(sk: InetSk, on: boolean): number;
  /** Gives a packet on its way through to the sockets that hear router alerts: is it theirs now? */
  routerAlert(skb: SkBuff): boolean;
}

/** Ping sockets (ping.ts). */
export interface PingOps {
  /** Takes an echo reply, data at the ICMP header. */
  receive(skb: SkBuff): number;
  /** An ICMP error about an ICMP message this host sent, as NetProtocol.errHandler() gets it. */
  error(skb: SkBuff, info: number): void;
}

/** Netfilter's hooks (src/stack/netfilter). */
export interface HookOps {
  /**
   * Shows a packet to what is registered at a hook. @param hook NF_INET_* @param inDev, outDev null where there is none
   * @returns 1 to go on; else the packet is gone or kept, and this is what its sender is told: 0 or a negative errno
   */
  run(hook: number, net: Net, skb: SkBuff, inDev: NetDevice | null, outDev: NetDevice | null): number;
  /** The next packet of this host, which is sent at once, is an error about this one. */
  attach(skb: SkBuff): void;
}

/** Multicast beyond 224.0.0.1 (igmp.ts, ip-mc-socket.ts). */
export interface MulticastOps {
  /** Is a packet to the group for this host? @param saddr 0 for not known yet @param protocol of the packet */
  check(dev: NetDevice, group: number, saddr: number, protocol: number): boolean;
  /** Does the socket hear a packet to that group, which came in by device `dif`? */
  allow(sk: InetSk, group: number, saddr: number, dif: number): boolean;
  /** The socket is closed: its memberships end. */
  drop(sk: InetSk): void;
  /** The multicast options; -ENOPROTOOPT for any other. */
  set(sk: InetSk, name: number, value: number, bytes: Uint8Array | Int32Array | null): number;
  get(sk: InetSk, name: number, out: Uint8Array | Int32Array): number;
}

/** The SYN guard (syn-guard.ts). */
export interface SynGuardOps {
  /** May a SYN from there take a request? SKB_NOT_DROPPED_YET, or why it is to be dropped. */
  check(sk: TcpSk, saddr: number): number;
  /** How often a SYN-ACK may be sent again that without the guard would be sent so often. */
  retries(sk: TcpSk, retries: number): number;
}

/** Options of level SOL_IP, control messages and the error queue (ip-control.ts). */
export interface IpControlOps {
  /** 0 or a negative errno, -ENOPROTOOPT for any other option. */
  set(sk: InetSk, name: number, value: number, bytes: Uint8Array | Int32Array | null): number;
  get(sk: InetSk, name: number, out: Uint8Array | Int32Array): number;
  /** Delivers the control messages that the socket asked for about a packet. */
  receive(sk: InetSk, msg: Msghdr, skb: SkBuff): void;
  /** Reads the control messages of sendmsg(): 0, or -EINVAL for a malformed or unknown one. */
  send(sk: Sock, msg: Msghdr, ipc: IpcmCookie): number;
  /** Queues an ICMP error, as ipIcmpError(). */
  icmpError(sk: Sock, skb: SkBuff, err: number, port: number, payload: number, info: number): void;
  /** Queues an error of this host's own, as ipLocalError(). */
  localError(sk: InetSk, err: number, daddr: number, port: number, info: number): void;
  /** recvmsg(MSG_ERRQUEUE). */
  recvError(sk: InetSk, msg: Msghdr, length: number): number;
}

/** Options of level SOL_IP that belong to no socket but to the namespace (iptables). Linux: struct nf_sockopt_ops. */
export interface SockoptOps {
  /** 0, or a negative errno: -ENOPROTOOPT when the option is not theirs. */
  set(net: Net, name: number, opt: Uint8Array | Int32Array | null): number;
  /** Elements written, or a negative errno. */
  get(net: Net, name: number, out: Uint8Array | Int32Array): number;
}

/** What only hosts with several ways need (fib-rules.ts, fib-multipath.ts, fib-default.ts). Linux: CONFIG_IP_ADVANCED_ROUTER. */
export interface AdvancedRouterOps {
  /** Asks the tables in the order of the namespace's rules: as fibLookup(). */
  lookup(net: Net, flow: Flowi4, res: FibResult): number;
  /** Devices have come, gone or been renamed: the rules' may be others. */
  attach(net: Net): void;
  /** Puts the next hops of a multipath route into the wanted fib_info and rows behind it: 0 or a negative errno. */
  nexthops(cfg: FibConfig): number;
  /** A next hop of a multipath route has come to life or died. */
  rebalance(fi: number): void;
  /** The next hop of a multipath route for a flow of this host. @param first what the lookup has chosen */
  select(net: Net, fi: number, fl: Flowi4, first: number): number;
  /** The same for a packet that is forwarded. */
  forward(net: Net, fi: number, skb: SkBuff, first: number): number;
  /** Chooses among default routes: were there several? */
  selectDefault(net: Net, flow: Flowi4, res: FibResult): boolean;
}

/** What is learned of the way to single destinations: path MTUs, better gateways (fib-exception.ts, route-learn.ts). */
export interface RouteExceptionOps {
  /** The exception of the next hop for that destination, or 0. */
  find(nh: number, daddr: number): number;
  /** The next hop goes, and its exceptions with it. */
  forget(nh: number): void;
  /** The path to a destination takes less than was thought. */
  updatePmtu(net: Net, rt: Rtable, daddr: number, saddr: number, mtu: number): void;
  /** A redirect, as NetProtocol.errHandler() gets it. */
  redirect(skb: SkBuff): void;
}

/** Options of level SOL_IP that few programs ask for (inet-sockopt.ts), and what follows from them. */
export interface InetSockoptOps {
  /** 0 or a negative errno, -ENOPROTOOPT for any other option. */
  set(sk: InetSk, name: number, value: number): number;
  get(sk: InetSk, name: number, out: Uint8Array | Int32Array): number;
  /** The least TTL of a segment for the socket. */
  minTtl(sk: Sock): number;
  /** Its own range of local ports: the highest in the upper 16 bits, the lowest in the lower; 0 for none. */
  ports(sk: Sock): number;
  /** The device for what it sends to hosts, 0 for any. */
  unicastIf(sk: Sock): number;
  /** Does bind() leave the port to connect()? */
  noPort(sk: Sock): boolean;
  /** Delivers the control message about a packet's destination. */
  origdstaddr(msg: Msghdr, skb: SkBuff): void;
}

export let ipFragments: FragmentOps | null = null;
export let ipOptions: OptionOps | null = null;
export let ipForwarding: ForwardOps | null = null;
export let ipArpPolicy: ArpPolicyOps | null = null;
export let ipArpProxy: ArpProxyOps | null = null;
export let ipRaw: RawOps | null = null;
export let ipPing: PingOps | null = null;
export let ipHooks: HookOps | null = null;
export let ipMulticast: MulticastOps | null = null;
export let synGuard: SynGuardOps | null = null;
export let ipSockopts: SockoptOps | null = null;
export let inetSockopts: InetSockoptOps | null = null;
export let ipControl: IpControlOps | null = null;
export let ipAdvancedRouter: AdvancedRouterOps | null = null;
export let ipExceptions: RouteExceptionOps | null = null;

/** Boot: no part is there. */
export function ipPartsInit(): void {
  ipFragments = null;
  ipOptions = null;
  ipForwarding = null;
  ipArpPolicy = null;
  ipArpProxy = null;
  ipRaw = null;
  ipPing = null;
  ipHooks = null;
  ipMulticast = null;
  synGuard = null;
  ipSockopts = null;
  inetSockopts = null;
  ipControl = null;
  ipAdvancedRouter = null;
  ipExceptions = null;
}

export function registerIpFragments(ops: FragmentOps): void {
  ipFragments = ops;
}

export function registerIpOptions(ops: OptionOps): void {
  ipOptions = ops;
}

export function registerIpForwarding(ops: ForwardOps): void {
  ipForwarding = ops;
}

export function registerIpArpPolicy(ops: ArpPolicyOps): void {
  ipArpPolicy = ops;
}

export function registerIpArpProxy(ops: ArpProxyOps): void {
  ipArpProxy = ops;
}

export function registerIpRaw(ops: RawOps): void {
  ipRaw = ops;
}

export function registerIpPing(ops: PingOps): void {
  ipPing = ops;
}

export function registerIpHooks(ops: HookOps): void {
  ipHooks = ops;
}

export function registerIpMulticast(ops: MulticastOps): void {
  ipMulticast = ops;
}

export function registerSynGuard(ops: SynGuardOps): void {
  synGuard = ops;
}

export function registerIpSockopts(ops: SockoptOps): void {
  ipSockopts = ops;
}

export function registerInetSockopts(ops: InetSockoptOps): void {
  inetSockopts = ops;
}

export function registerIpAdvancedRouter(ops: AdvancedRouterOps): void {
  ipAdvancedRouter = ops;
}

export function registerIpExceptions(ops: RouteExceptionOps): void {
  ipExceptions = ops;
}

export function registerIpControl(ops: IpControlOps): void {
  ipControl = ops;
}
