/** The text of /proc/net/fib_trie and fib_triestat: what Linux 6.18 printed for the same two addresses. */
import test from "ava";
import { devOpen } from "../../../src/netif/dev.ts";
import { inetAddAddress } from "../../../src/stack/ipv4/devinet.ts";
import { formatFibTrie, formatFibTriestat } from "../../../src/stack/ipv4/fib-proc.ts";
import { addDevice, addLoopback, bootIpv4, initNet, ip, shutdownIpv4 } from "./harness.ts";

/** 127.0.0.1/8 on lo, 10.0.0.1/24 on a device. */
const TRIE = `  +-- 0.0.0.0/1 2 0 2
     +-- 10.0.0.0/24 2 0 2
        +-- 10.0.0.0/31 1 0 0
           |-- 10.0.0.0
              /24 link UNICAST
           |-- 10.0.0.1
              /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
`;
const STAT = `	Aver depth:     2.66
	Max depth:      3
	Leaves:         6
	Prefixes:       6
	Internal nodes: 5
	  1: 2  2: 3
	Pointers: 16
Null ptrs: 6
Total size: 1  kB
`;

test.beforeEach(() => bootIpv4());
test.afterEach((t) => t.is(shutdownIpv4(), 0, "pools full again"));

test.serial("the trie of two addresses is printed as Linux prints it", (t) => {
  addLoopback();
  const eth = addDevice("eth0", false);
  inetAddAddress(initNet, eth, ip("10.0.0.1"), 24);
  devOpen(eth);
  t.is(formatFibTrie(initNet), `Main:\n${TRIE}Local:\n${TRIE}`);
  t.is(formatFibTriestat(initNet),
    `Basic info: size of leaf: 48 bytes, size of tnode: 40 bytes.\nMain:\n${STAT}Local:\n${STAT}`);
});

test.serial("without a route there is nothing to print", (t) => {
  t.is(formatFibTrie(initNet), "");
});
