import test from "ava";
import {
  EACCES, EINVAL, ENOBUFS, ENOPROTOOPT, EOPNOTSUPP, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from "../../../src/uapi/errno.ts";
import {
  IP_FREEBIND, IP_HDRINCL, IP_MTU_DISCOVER, IP_MULTICAST_TTL, IP_PKTINFO, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, IP_TOS,
  IP_TTL, IPPROTO_ICMP, IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP,
} from "../../../src/uapi/in.ts";
import {
  AF_INET, SO_DOMAIN, SO_PRIORITY, SO_PROTOCOL, SO_TYPE, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_STREAM,
  SOL_IP, SOL_SOCKET,
} from "../../../src/uapi/socket.ts";
import { inetDgramOps } from "../../../src/stack/ipv4/af-inet.ts";
import {
  INET_PROTOSW_PERMANENT, inetRegisterProtosw, inetUnregisterProtosw, inetswFind, inetswInit,
} from "../../../src/stack/ipv4/inetsw.ts";
import { udpProt } from "../../../src/stack/ipv4/udp.ts";
import {
  accept4, bind, close, getsockopt, listen, setsockopt, SockaddrIn, socket,
} from "../../../src/stack/socket/index.ts";
import { a, ADDR_A, bootHosts, finish, open } from "./two-hosts.ts";

const out = new Int32Array(1);

function entry(protocol: number, flags = 0): Parameters<typeof inetRegisterProtosw>[0] {
  return { type: SOCK_RAW, protocol, prot: udpProt, ops: inetDgramOps, flags };
}

test.serial("socket(AF_INET, …): what there is and what not", (t) => {
  bootHosts();
  const cases: [number, number, number][] = [
    [SOCK_STREAM, 0, IPPROTO_TCP],
    [SOCK_STREAM, IPPROTO_TCP, IPPROTO_TCP],
    [SOCK_DGRAM, 0, IPPROTO_UDP],
    [SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDP],
    [SOCK_STREAM, IPPROTO_UDP, -EPROTONOSUPPORT],
    [SOCK_DGRAM, IPPROTO_TCP, -EPROTONOSUPPORT],
    [SOCK_DGRAM, 200, -EPROTONOSUPPORT],
    [SOCK_DGRAM, 256, -EINVAL],
    [SOCK_DGRAM, -1, -EINVAL],
    [SOCK_RDM, 0, -ESOCKTNOSUPPORT],
    [SOCK_SEQPACKET, IPPROTO_TCP, -ESOCKTNOSUPPORT],
    [0, 0, -ESOCKTNOSUPPORT],
    [11, 0, -EINVAL],
  ];
  for (const [type, protocol, expected] of cases) {
    const fd = socket(AF_INET, type, protocol);
    const name = `type ${type}, protocol ${protocol}`;
    if (expected < 0) {
      t.is(fd, expected, name);
      continue;
    }
    for (const [option, value] of [[SO_PROTOCOL, expected], [SO_TYPE, type], [SO_DOMAIN, AF_INET]] as const) {
      t.is(getsockopt(fd, SOL_SOCKET, option, out), 1);
      t.is(out[0], value, name);
    }
    close(fd);
  }
  finish(t);
});

test.serial("inetsw: exact, any request, any entry; permanent entries stay", (t) => {
  inetswInit();
  const any = entry(IPPROTO_IP);
  const icmp = entry(IPPROTO_ICMP);
  t.is(inetRegisterProtosw(any), 0);
  t.is(inetRegisterProtosw(icmp), 0);
  t.is(inetswFind(SOCK_RAW, IPPROTO_ICMP), icmp, "the newest in front");
  t.is(inetswFind(SOCK_RAW, IPPROTO_UDP), any, "an entry for any protocol");
  t.is(inetswFind(SOCK_RAW, IPPROTO_IP), icmp, "a request for any protocol");
  t.is(inetswFind(SOCK_DGRAM, IPPROTO_IP), null);
  const permanent = entry(IPPROTO_ICMP, INET_PROTOSW_PERMANENT);
  t.is(inetRegisterProtosw(permanent), 0);
  t.is(inetswFind(SOCK_RAW, IPPROTO_ICMP), permanent);
  t.is(inetRegisterProtosw(entry(IPPROTO_ICMP)), -EPERM);
  t.is(inetUnregisterProtosw(permanent), -EPERM);
  t.is(inetUnregisterProtosw(any), 0);
  t.is(inetswFind(SOCK_RAW, IPPROTO_UDP), null);
  t.is(inetRegisterProtosw({ ...any, type: 11 }), -EINVAL);
});

test.serial("ENOBUFS when the socks are used up", (t) => {
  bootHosts({ socks: 2, tcpSocks: 1 });
  const fds = [open(a, SOCK_DGRAM), open(a, SOCK_DGRAM)];
  t.true(fds.every((fd) => fd >= 0));
  t.is(socket(AF_INET, SOCK_DGRAM), -ENOBUFS);
  close(fds[0]!);
  const again = open(a, SOCK_DGRAM);
  t.true(again >= 0);
  finish(t);
});

test.serial("datagram sockets neither listen nor accept", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  t.is(listen(fd, 1), -EOPNOTSUPP);
  t.is(accept4(fd, null), -EOPNOTSUPP);
  finish(t);
});

test.serial("IP options", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  // name, value, result, read back
  const cases: [number, number, number, number][] = [
    [IP_TOS, 0x10, 0, 0x10],
    [IP_TOS, 0xb8, 0, 0xb8],
    [IP_TTL, 1, 0, 1],
    [IP_TTL, 255, 0, 255],
    [IP_TTL, 0, -EINVAL, 255],
    [IP_TTL, 256, -EINVAL, 255],
    [IP_TTL, -1, 0, 64],
    [IP_PKTINFO, 1, 0, 1],
    [IP_PKTINFO, 0, 0, 0],
    [IP_RECVTTL, 5, 0, 1],
    [IP_RECVTOS, 1, 0, 1],
    [IP_RECVTTL, 0, 0, 0],
    [IP_RECVTOS, 1, 0, 1],
    [IP_MTU_DISCOVER, 2, 0, 2],
    [IP_MTU_DISCOVER, 6, -EINVAL, 2],
    [IP_MTU_DISCOVER, -1, -EINVAL, 2],
    [IP_FREEBIND, 1, 0, 1],
    [IP_RECVERR, 1, 0, 1],
    [IP_HDRINCL, 1, -ENOPROTOOPT, 0],
    [IP_MULTICAST_TTL, 1, -ENOPROTOOPT, -ENOPROTOOPT],
    [999, 1, -ENOPROTOOPT, -ENOPROTOOPT],
  ];
  for (const [name, value, result, read] of cases) {
    t.is(setsockopt(fd, SOL_IP, name, value), result, `set ${name} ${value}`);
    const n = getsockopt(fd, SOL_IP, name, out);
    t.is(n < 0 ? n : out[0], read, `get ${name}`);
  }
  setsockopt(fd, SOL_IP, IP_TOS, 0x10);
  getsockopt(fd, SOL_SOCKET, SO_PRIORITY, out);
  t.is(out[0], 6, "low delay is interactive");
  finish(t);
});

test.serial("IP_FREEBIND binds to any address; the stream ECN bits are kept", (t) => {
  bootHosts();
  const fd = open(a, SOCK_DGRAM);
  setsockopt(fd, SOL_IP, IP_FREEBIND, 1);
  t.is(bind(fd, new SockaddrIn(0x0b000001, 5)), 0);
  const stream = open(a, SOCK_STREAM);
  setsockopt(stream, SOL_IP, IP_TOS, 0x13);
  getsockopt(stream, SOL_IP, IP_TOS, out);
  t.is(out[0], 0x10);
  a.ipv4.ipUnprivilegedPortStart = 1024;
  t.is(bind(stream, new SockaddrIn(ADDR_A, 80)), -EACCES);
  a.ipv4.ipUnprivilegedPortStart = 0;
  finish(t);
});
