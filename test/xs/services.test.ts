/**
 * The stack in the real XS engine as a host on a wire of messages: what it answers to ARP, ping, UDP and an HTTP request.
 * The peer is the same stack on Node, its frames carried one by one, in virtual time; ARP and ping are written by hand.
 */
import test from "ava";
import {
  boot, close, connect, initNet, recv, recvfrom, send, sendto, socket,
} from "../../src/index.ts";
import { mem8 } from "../../src/lib/memory.ts";
import { poolsInUse } from "../../src/lib/pool.ts";
import { devOpen } from "../../src/netif/dev.ts";
import { ethReceive, etherSetup } from "../../src/netif/ethernet.ts";
import { NETDEV_TX_OK, NetDevice } from "../../src/stack/core/net-device.ts";
import { consumeSkb, netdevAllocSkb, skbPutData } from "../../src/stack/core/skbuff.ts";
import { SockaddrIn } from "../../src/stack/core/sockaddr.ts";
import { inetAddAddress } from "../../src/stack/ipv4/devinet.ts";
import { EAGAIN, EINPROGRESS } from "../../src/uapi/errno.ts";
import { ARPHRD_ETHER } from "../../src/uapi/if-arp.ts";
import { ETH_DATA_LEN, ETH_HLEN } from "../../src/uapi/if-ether.ts";
import { AF_INET, SOCK_DGRAM, SOCK_STREAM } from "../../src/uapi/socket.ts";
import { PAGE } from "./page.ts";
import { XsBoard } from "./measure.ts";

const BOARD_ADDR = 0x0a000002;
const PEER_ADDR = 0x0a000001;
const BOARD_MAC = "020000000002";
const PEER_MAC = "020000000001";

let board: XsBoard;
let now = 0;
let dev: NetDevice;
const leaving: Uint8Array[] = [];

test.before(async () => {
  board = await XsBoard.start();
  await board.boot({ preset: "small" });
  await board.attach();
  await board.serve();
  boot({
    preset: "default",
    hal: { now: () => now, entropy: (into) => void into.fill(7), wake: () => undefined },
  });
  dev = new NetDevice("eth0", ARPHRD_ETHER, ETH_DATA_LEN, ETH_HLEN, {
    ndoStartXmit(skb) {
      leaving.push(mem8.slice(skb.data, skb.data + skb.len));
      consumeSkb(skb);
      return NETDEV_TX_OK;
    },
  });
  etherSetup(dev);
  dev.addrHi = 0x0200;
  dev.addrLo = 1;
  initNet.register(dev);
  devOpen(dev);
  inetAddAddress(initNet, dev, PEER_ADDR, 24);
});

test.after.always(() => board.close());

/** Both hosts have their turn at a later time; frames cross until both are silent. */
async function turn(ms: number): Promise<void> {
  now += ms;
  initNet.poll();
  let arriving = await board.exchange(now, new Uint8Array(0));
  while (arriving.length > 0 || leaving.length > 0) {
    for (const frame of arriving) {
      const skb = netdevAllocSkb(dev, frame.length)!;
      skbPutData(skb, frame);
      ethReceive(skb, dev);
    }
    arriving = [];
    initNet.poll();
    for (const frame of leaving.splice(0)) arriving.push(...(await board.exchange(now, frame)));
  }
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

test.serial("ARP: who has 10.0.0.2?", async (t) => {
  const ask = (address: string): Buffer =>
    Buffer.from(`ffffffffffff${PEER_MAC}0806` + `0001080006040001${PEER_MAC}0a000001000000000000${address}`, "hex");
  const answers = await board.exchange(now, ask("0a000002"));
  t.is(answers.length, 1);
  t.is(
    Buffer.from(answers[0]!).toString("hex"),
    `${PEER_MAC}${BOARD_MAC}0806` + `0001080006040002${BOARD_MAC}0a000002${PEER_MAC}0a000001`,
  );
  t.is((await board.exchange(now, ask("0a000003"))).length, 0);
});

test.serial("ping: identification, number and data come back, with right checksums", async (t) => {
  const icmp = Buffer.alloc(8 + 56);
  icmp.set([8, 0, 0, 0, 0x12, 0x34, 0, 7]);
  for (let i = 8; i < icmp.length; i++) icmp[i] = (i * 37) & 255;
  icmp.writeUInt16BE(checksum(icmp), 2);
  const ip = Buffer.from(`4500005400004000400100000a0000010a000002`, "hex");
  ip.writeUInt16BE(checksum(ip), 10);
  const answers = await board.exchange(now, Buffer.concat([Buffer.from(`${BOARD_MAC}${PEER_MAC}0800`, "hex"), ip, icmp]));
  t.is(answers.length, 1);
  const reply = Buffer.from(answers[0]!);
  t.is(reply.subarray(0, 14).toString("hex"), `${PEER_MAC}${BOARD_MAC}0800`);
  t.is(checksum(reply.subarray(14, 34)), 0);
  t.is(reply.subarray(26, 34).toString("hex"), "0a0000020a000001");
  t.is(reply[34], 0);
  t.is(checksum(reply.subarray(34)), 0);
  t.deepEqual(reply.subarray(38), icmp.subarray(4));
  icmp[20]! ^= 1;
  t.is(
    (await board.exchange(now, Buffer.concat([Buffer.from(`${BOARD_MAC}${PEER_MAC}0800`, "hex"), ip, icmp]))).length, 0,
    "a wrong checksum gets no answer",
  );
});

test.serial("UDP echo: every datagram comes back whole", async (t) => {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  const to = new SockaddrIn(BOARD_ADDR, 7);
  const from = new SockaddrIn();
  for (const length of [0, 1, 64, 1472]) {
    const data = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255);
    t.is(sendto(fd, data, 0, length, 0, to), length);
    await turn(1);
    const back = new Uint8Array(2000);
    t.is(recvfrom(fd, back, 0, back.length, 0, from), length);
    t.deepEqual(back.subarray(0, length), data);
    t.deepEqual([from.addr, from.port], [BOARD_ADDR, 7]);
  }
  t.is(close(fd), 0);
});

test.serial("TCP echo by ECMA-419's Listener and TCP: bytes come back in order, then the end", async (t) => {
  const before = poolsInUse();
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  t.is(connect(fd, new SockaddrIn(BOARD_ADDR, 7)), -EINPROGRESS);
  await turn(1);
  const sent = Buffer.alloc(0x1800, "0123456789abcdef");
  const back: Buffer[] = [];
  const buffer = new Uint8Array(2000);
  for (let at = 0, got = 0, turns = 0; got < sent.length && turns < 100; turns++) {
    // No more at once than the board has room to send back.
    const count = at === got ? send(fd, sent, at, Math.min(700, sent.length - at), 0) : 0;
    if (count > 0) at += count;
    await turn(50);
    for (let length = recv(fd, buffer, 0, buffer.length, 0); length > 0; length = recv(fd, buffer, 0, buffer.length, 0)) {
      back.push(Buffer.from(buffer.subarray(0, length)));
      got += length;
    }
  }
  t.true(Buffer.concat(back).equals(sent));
  t.is(close(fd), 0);
  await turn(50);
  await turn(30_000);
  await turn(31_000);
  t.is(poolsInUse(), before);
});

test.serial("HTTP over TCP: the page comes whole, the connection ends, nothing is left", async (t) => {
  const before = poolsInUse();
  for (let round = 0; round < 3; round++) {
    const fd = socket(AF_INET, SOCK_STREAM, 0);
    t.is(connect(fd, new SockaddrIn(BOARD_ADDR, 80)), -EINPROGRESS);
    await turn(1);
    const request = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
    t.is(send(fd, request, 0, request.length, 0), request.length);
    let text = "";
    const buffer = new Uint8Array(500);
    for (let turns = 0; turns < 10; turns++) {
      await turn(50);
      const count = recv(fd, buffer, 0, buffer.length, 0);
      if (count === 0) break;
      if (count !== -EAGAIN) text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    t.is(text, PAGE);
    t.is(recv(fd, buffer, 0, 1, 0), 0, "the board has ended its side");
    t.is(close(fd), 0);
    await turn(1);
  }
  // TIME_WAIT passes on either side in virtual time.
  await turn(30_000);
  await turn(31_000);
  t.is(poolsInUse(), before);
});
