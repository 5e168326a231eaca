import test from "ava";
import {
  bind, close, connect, devClose, getsockname, getsockopt, initNet, recv, recvfrom, sendto, setsockopt, socket,
} from "../../../src/index.ts";
import {
  NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_LIST_MEMBERSHIPS, NETLINK_NO_ENOBUFS, netlinkBroadcast, netlinkKernelCreate,
  netlinkRcvSkb, netlinkUnicast, nlmsgNew, SockaddrNl,
} from "../../../src/netlink.ts";
import { devGetByName } from "../../../src/netif/dev.ts";
import { mem8 } from "../../../src/lib/memory.ts";
import { skbPutData } from "../../../src/stack/core/skbuff.ts";
import {
  EADDRINUSE, EAGAIN, EAFNOSUPPORT, ECONNREFUSED, EINVAL, EMSGSIZE, ENOBUFS, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from "../../../src/uapi/errno.ts";
import { AF_NETLINK, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, SOL_NETLINK, SOL_SOCKET, SO_RCVBUF } from "../../../src/uapi/socket.ts";
import { boot } from "../../../src/index.ts";
import { bootNetlink, hex, messages, receive, rtnlOpen, send, shutdownNetlink } from "./harness.ts";

const OWN = 31;
const NOOP_REQUEST = "10000000 1000 0500 07000000 00000000";

test.beforeEach(() => bootNetlink());
test.afterEach((t) => t.is(shutdownNetlink(), 0, "pools full again"));

test.serial("without netlink at boot there is no such family", (t) => {
  boot({ preset: "tiny" });
  t.is(socket(AF_NETLINK, SOCK_RAW, 0), -EAFNOSUPPORT);
  bootNetlink();
  t.is(socket(AF_NETLINK, SOCK_STREAM, 0), -ESOCKTNOSUPPORT);
  t.is(socket(AF_NETLINK, SOCK_DGRAM, 7), -EPROTONOSUPPORT);
  t.is(socket(AF_NETLINK, SOCK_DGRAM, 40), -EPROTONOSUPPORT);
});

test.serial("port ids: given by bind or by the first message, one owner each", (t) => {
  const a = rtnlOpen();
  const b = rtnlOpen();
  const name = new SockaddrNl();
  t.is(bind(a, new SockaddrNl(77)), 0);
  t.is(bind(b, new SockaddrNl(77)), -EADDRINUSE);
  t.is(bind(a, new SockaddrNl(78)), -EINVAL, "it has one already");
  t.is(bind(b, new SockaddrNl(0, 1)), 0);
  getsockname(a, name);
  t.deepEqual([name.portid, name.groups], [77, 0]);
  getsockname(b, name);
  t.not(name.portid, 0);
  t.is(name.groups, 1);
  close(a);
  close(b);
});

test.serial("acknowledgments: for what asks for one and for what fails, with the whole request unless it is capped", (t) => {
  const fd = rtnlOpen();
  send(fd, hex("1400000022 00 0100 09000000 00000000 00000000"));
  const [failed] = messages(fd);
  t.is(failed!.type, 2);
  t.true(failed!.body.readInt32LE(0) < 0);
  t.is(failed!.body.readUInt32LE(4), 20, "the request's header");
  t.true(failed!.body.length >= 4 + 20, "and the rest of it");
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  send(fd, hex("1400000022 00 0100 09000000 00000000 00000000"));
  const [capped] = messages(fd);
  t.is(capped!.flags & 0x100, 0x100);
  send(fd, hex("10000000 0100 0500 0a000000 00000000"));
  const [noop] = messages(fd);
  t.is(noop!.body.readInt32LE(0), 0, "NLMSG_NOOP that asks for it");
  send(fd, hex("10000000 0100 0100 0a000000 00000000"));
  t.is(receive(fd), null, "and one that does not");
  close(fd);
});

test.serial("several messages in one packet are answered in order; a length that lies ends it", (t) => {
  const fd = rtnlOpen();
  send(fd, hex("10000000 0100 0500 01000000 00000000 10000000 0100 0500 02000000 00000000 90000000 0100 0500 03000000 00000000"));
  t.deepEqual(messages(fd).map((m) => m.body.readUInt32LE(12)), [1, 2]);
  close(fd);
});

test.serial("a program's own protocol: its kernel side hears, answers and tells a group", (t) => {
  const heard: string[] = [];
  t.is(netlinkKernelCreate(OWN, (skb, sk) => {
    heard.push(Buffer.from(mem8.slice(skb.data, skb.data + skb.len)).toString());
    const answer = nlmsgNew()!;
    skbPutData(answer, new Uint8Array(Buffer.from("pong")));
    netlinkUnicast(sk.net, OWN, answer, skb.seq, null);
  }, 4), 0);
  t.is(netlinkKernelCreate(OWN, () => undefined), -EADDRINUSE);
  const fd = socket(AF_NETLINK, SOCK_RAW, OWN);
  const from = new SockaddrNl(9, 9);
  const buffer = new Uint8Array(16);
  t.is(send(fd, new Uint8Array(Buffer.from("ping"))), 4);
  t.deepEqual(heard, ["ping"]);
  t.is(recvfrom(fd, buffer, 0, 16, 0, from), 4);
  t.deepEqual([from.portid, from.groups], [0, 0], "from the kernel");
  t.is(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 5), -EINVAL, "it has four groups");
  t.is(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 4), 0);
  const members = new Int32Array(1);
  getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, members);
  t.is(members[0], 8);
  const news = nlmsgNew()!;
  skbPutData(news, new Uint8Array(Buffer.from("news")));
  t.is(netlinkBroadcast(initNet, OWN, news, 0, 4), 0);
  t.is(recvfrom(fd, buffer, 0, 16, 0, from), 4);
  t.deepEqual([from.portid, from.groups], [0, 8]);
  close(fd);
});

test.serial("netlinkRcvSkb serves a protocol of one's own message by message", (t) => {
  const types: number[] = [];
  netlinkKernelCreate(30, (skb, sk) => netlinkRcvSkb(skb, sk, (_skb, nlh) => {
    types.push(mem8[nlh + 4]!);
    return -EINVAL;
  }));
  const fd = socket(AF_NETLINK, SOCK_RAW, 30);
  send(fd, hex(NOOP_REQUEST));
  t.deepEqual(types, [16]);
  t.is(messages(fd)[0]!.body.readInt32LE(0), -EINVAL);
  close(fd);
});

test.serial("programs talk to each other by port id", (t) => {
  const a = rtnlOpen();
  const b = rtnlOpen();
  bind(a, new SockaddrNl(5));
  const from = new SockaddrNl();
  const buffer = new Uint8Array(8);
  t.is(sendto(b, hex("010203"), 0, 3, 0, new SockaddrNl(5)), 3);
  t.is(recvfrom(a, buffer, 0, 8, 0, from), 3);
  t.is(sendto(a, hex("04"), 0, 1, 0, from), 1);
  t.is(recv(b, buffer, 0, 8, 0), 1);
  t.is(sendto(b, hex("04"), 0, 1, 0, new SockaddrNl(99)), -ECONNREFUSED);
  t.is(connect(b, new SockaddrNl(5)), 0);
  t.is(send(b, hex("0506")), 2);
  t.is(recv(a, buffer, 0, 8, 0), 2);
  t.is(send(b, new Uint8Array(5000)), -EMSGSIZE);
  close(a);
  close(b);
});

test.serial("a reader that falls behind is told once with ENOBUFS, then reads on", (t) => {
  const fd = rtnlOpen();
  const deaf = rtnlOpen();
  const buffer = new Uint8Array(2048);
  for (const s of [fd, deaf]) {
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, 1);
    setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, 1);
  }
  setsockopt(deaf, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
  const dev = devGetByName(initNet, "d0")!;
  for (let i = 0; i < 20; i++) {
    devClose(dev);
    send(fd, hex("20000000 1000 0100 d36a076b 00000000 00000000 02000000 01000000 01000000"));
  }
  t.is(recv(fd, buffer, 0, 2048, 0), -ENOBUFS);
  let count = 0;
  while (recv(fd, buffer, 0, 2048, 0) > 0) count++;
  t.true(count > 0);
  t.is(recv(fd, buffer, 0, 2048, 0), -EAGAIN);
  t.true(recv(deaf, buffer, 0, 2048, 0) > 0, "who asked not to be told is not");
  devClose(dev);
  t.true(recv(fd, buffer, 0, 2048, 0) > 0, "news comes again");
  close(fd);
  close(deaf);
});

test.serial("groups hear of addresses, routes and devices of their own namespace", (t) => {
  const fd = rtnlOpen();
  bind(fd, new SockaddrNl(0, 1 | (1 << 4) | (1 << 6)));
  send(rtnlOpenOnce(), hex("2800000014000506c76a076b000000000218000002000000080002000a000001080001000a000001"));
  const types = messages(fd).map((m) => m.type);
  t.true(types.includes(20) && types.includes(24), String(types));
  devClose(devGetByName(initNet, "d0")!);
  t.true(messages(fd).some((m) => m.type === 16));
  close(fd);
  close(once);
});

let once = 0;

function rtnlOpenOnce(): number {
  once = rtnlOpen();
  return once;
}
