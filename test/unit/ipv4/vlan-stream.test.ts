/** TCP over a VLAN between two hosts: whole segments, no copy of them for the tag, and what a packet socket sees of it. */
import test from "ava";
import { packet } from "../../../src/packet.ts";
import { vlan, vlanCreate } from "../../../src/vlan.ts";
import { captureStart, captureStop } from "../../../src/netif/capture.ts";
import { devOpen, unregisterNetdev } from "../../../src/netif/dev.ts";
import { memView } from "../../../src/lib/memory.ts";
import { poolForEach } from "../../../src/lib/pool.ts";
import { SockaddrIn } from "../../../src/stack/core/sockaddr.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { accept4, bind, close, connect, listen, recv, send, setNs, socket } from "../../../src/stack/socket/index.ts";
import { ETH_P_ALL } from "../../../src/uapi/if-ether.ts";
import { AF_PACKET, SOCK_RAW, SOCK_STREAM } from "../../../src/uapi/socket.ts";
import { a, b, bootHosts, devA, devB, finish, open, turn } from "./two-hosts.ts";

const VLAN_A = 0x0a000a01;
const VLAN_B = 0x0a000a02;
const TOTAL = 100_000;

function peakPackets(): number {
  let peak = 0;
  poolForEach((pool) => (peak = pool.name === "skbuff_data" ? pool.peak : peak));
  return peak;
}

for (const watched of [false, true]) {
  test.serial(`100 KB over a VLAN arrive${watched ? ", and a packet socket on it sees each frame without its tag" : ""}`, (t) => {
    bootHosts({ initcalls: [vlan, packet] });
    const va = vlanCreate(devA, 10);
    const vb = vlanCreate(devB, 10);
    devOpen(va);
    devOpen(vb);
    inetAddAddress(a, va, VLAN_A, 24);
    inetAddAddress(b, vb, VLAN_B, 24);
    let tagged = 0;
    let longest = 0;
    const capture = captureStart(devA, (skb) => {
      if (memView.getUint32(skb.mac + 12) === 0x8100000a) tagged++;
      longest = Math.max(longest, skb.tail - skb.mac);
    });
    const listener = open(b, SOCK_STREAM);
    bind(listener, new SockaddrIn(0, 80));
    listen(listener, 1);
    const client = open(a, SOCK_STREAM);
    connect(client, new SockaddrIn(VLAN_B, 80));
    turn(20);
    const server = accept4(listener, null);
    t.true(server >= 0);
    setNs(a);
    const eye = watched ? socket(AF_PACKET, SOCK_RAW, ETH_P_ALL) : -1;
    const out = new Uint8Array(TOTAL).map((_, i) => (i * 7) ^ (i >> 8));
    const back = new Uint8Array(TOTAL);
    const frame = new Uint8Array(2000);
    let sent = 0;
    let got = 0;
    let plain = 0;
    while (got < TOTAL) {
      const n = sent < TOTAL ? send(client, out, sent, Math.min(4000, TOTAL - sent), 0) : 0;
      if (n > 0) sent += n;
      turn(2);
      const r = recv(server, back, got, TOTAL - got, 0);
      if (r > 0) got += r;
      for (let length = watched ? recv(eye, frame, 0, 2000, 0) : -1; length > 0; length = recv(eye, frame, 0, 2000, 0)) {
        const type = (frame[12]! << 8) | frame[13]!;
        if (type === 0x0800) plain++;
        else t.is(type, 0x8100, "nothing but whole headers");
      }
    }
    t.deepEqual(back, out);
    t.is(longest, 1518);
    t.true(tagged > TOTAL / 1448);
    if (watched) t.true(plain > TOTAL / 1448);
    else t.true(peakPackets() < 40);
    captureStop(capture);
    if (watched) close(eye);
    close(server);
    for (const dev of [va, vb]) unregisterNetdev(dev);
    finish(t, 200_000);
  });
}
