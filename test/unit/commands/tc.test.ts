/** `tc`: what iproute2's says, prints and counts, recorded on a TAP by tc-answers.py; real tc's bytes; notifications. */
import { readFileSync } from "node:fs";
import test from "ava";
import { ip, tc } from "../../../src/commands/index.ts";
import { bind, close, devGetByName, NetDevice } from "../../../src/index.ts";
import { SockaddrNl } from "../../../src/netlink.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { etherSetup } from "../../../src/netif/ethernet.ts";
import { sched } from "../../../src/sched.ts";
import { allocSkb, consumeSkb, skbPut, type SkBuff } from "../../../src/stack/core/skbuff.ts";
import { devQueueXmit } from "../../../src/netif/xmit.ts";
import { IFF_BROADCAST, IFF_MULTICAST } from "../../../src/uapi/if.ts";
import { ARPHRD_ETHER } from "../../../src/uapi/if-arp.ts";
import { TCM_HANDLE } from "../../../src/uapi/pkt-sched.ts";
import { RTM_DELQDISC, RTM_NEWQDISC, RTNLGRP_TC } from "../../../src/uapi/rtnetlink.ts";
import { countPools, forgetDummies, hex, messages, rtnlOpen, talk } from "../netlink/harness.ts";
import { TC_TBF } from "../netlink/iproute2-bytes.ts";
import { boot, bootIp, initNet, run, shutdownIp } from "./harness.ts";

type Row = readonly [words: string, status?: number, text?: string, error?: string];

const ROWS = JSON.parse(readFileSync(new URL("tc-answers.json", import.meta.url), "utf8")) as Row[];

/** A device that takes everything and counts it, as the TAP of the recording. */
function addTap(): void {
  const dev = new NetDevice("d0", ARPHRD_ETHER, 1500, 14, {
    ndoStartXmit(skb: SkBuff) {
      dev.stats.txPackets++;
      dev.stats.txBytes += skb.len;
      consumeSkb(skb);
      return 0;
    },
  });
  etherSetup(dev);
  dev.flags = IFF_BROADCAST | IFF_MULTICAST;
  dev.txqueuelen = 32;
  dev.addrHi = 0x0200;
  initNet.register(dev);
}

function send(count: number, length: number): void {
  for (let i = 0; i < count; i++) {
    const skb = allocSkb(length)!;
    skbPut(skb, length);
    skb.dev = devGetByName(initNet, "d0");
    devQueueXmit(skb);
  }
}

/** Usage is each program's own; so is the kind of Linux's TAP, of which the state is not known. */
function comparable(text: string): string {
  return text.replace(/Usage: [^]*/, "Usage").replace("state UNKNOWN", "state UP");
}

test.serial(`${ROWS.length} steps of tc: said, done and counted as by iproute2 and Linux`, (t) => {
  boot({ preset: "host", initcalls: [sched] });
  countPools();
  forgetDummies();
  addTap();
  run("link set d0 up");
  for (const [step, status, text = "", error = ""] of ROWS) {
    const [first, ...rest] = step.split(" ");
    if (first === "send") {
      send(Number(rest[0]), Number(rest[1]));
      initNet.poll();
    } else {
      const answer = first === "ip" ? ip(initNet, rest) : tc(initNet, step);
      if (status === undefined) continue;
      const said = first === "ip" ? answer.text.split("\n")[0]! : answer.text;
      t.deepEqual([step, answer.status, comparable(said), comparable(answer.error)], [step, status, comparable(text), comparable(error)]);
    }
  }
  unregisterNetdev(devGetByName(initNet, "d0")!);
  t.is(shutdownIp(), 0);
});

test.serial("the bytes of the real tc, with the table of times that nobody needs any more, make the same tbf", (t) => {
  bootIp({ initcalls: [sched] });
  t.is(tc(initNet, "qdisc show dev d0").status, 0);
  t.deepEqual(talk(hex(TC_TBF)), { error: 0, text: "" });
  t.is(tc(initNet, "qdisc show dev d0").text, "qdisc tbf 8001: root refcnt 2 rate 1Mbit burst 10Kb lat 50ms \n");
  t.is(shutdownIp(), 0);
});

test.serial("members of RTNLGRP_TC hear what has gone and what has come", (t) => {
  bootIp({ initcalls: [sched] });
  tc(initNet, "qdisc show");
  const fd = rtnlOpen();
  bind(fd, new SockaddrNl(0, 1 << (RTNLGRP_TC - 1)));
  const heard = (): [type: number, handle: number][] => messages(fd).map(({ type, body }) => [type, body.readUInt32LE(TCM_HANDLE) >>> 16]);
  tc(initNet, "qdisc add dev d0 root handle 7: pfifo");
  tc(initNet, "qdisc change dev d0 root pfifo limit 3");
  tc(initNet, "qdisc replace dev d0 root tbf rate 1mbit burst 10k limit 20k");
  tc(initNet, "qdisc del dev d0 root");
  t.deepEqual(heard(), [[RTM_NEWQDISC, 7], [RTM_NEWQDISC, 7], [RTM_DELQDISC, 7], [RTM_NEWQDISC, 0x8001], [RTM_DELQDISC, 0x8001]]);
  close(fd);
  t.is(shutdownIp(), 0);
});

test.serial("without the part Linux's answer without its traffic control", (t) => {
  bootIp();
  t.deepEqual(tc(initNet, "qdisc show"), { status: 2, text: "", error: "RTNETLINK answers: Operation not supported\nDump terminated\n" });
  t.deepEqual(tc(initNet, "qdisc add dev d0 root pfifo"), { status: 2, text: "", error: "RTNETLINK answers: Operation not supported\n" });
  t.is(shutdownIp(), 0);
});
