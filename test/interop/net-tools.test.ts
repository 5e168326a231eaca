/** The commands of the unit test given to net-tools in a network namespace: the facts it holds ours against are still facts. */
import { spawnSync } from "node:child_process";
import test from "ava";
import { normalised } from "../unit/commands/net-tools.ts";
import { NET_TOOLS_ANSWERS } from "../unit/commands/net-tools-answers.ts";
import { interopMissing } from "./netns.ts";

const missing = interopMissing(["ip", "ifconfig", "route", "arp"]);
const interop = missing === null ? test.serial : test.serial.skip;

interop("net-tools answers as the unit test of ifconfig, route and arp says", (t) => {
  const script = [
    // Names are asked of nobody: the question would go to a device that swallows it.
    "mount -t tmpfs tmpfs /mnt; echo nameserver 127.0.0.1 > /mnt/resolv.conf; mount --bind /mnt/resolv.conf /etc/resolv.conf",
    "exec 2>&1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1", "ip link set lo up",
    "for i in 0 1; do ip link add name d$i address 02:00:00:00:00:0$((i+1)) txqueuelen 32 type ifb; ip link set d$i up; done",
    ...NET_TOOLS_ANSWERS.map(([line]) => `echo "$ ${line}"; ${line}; echo "=$?"`),
  ].join("\n");
  const { stdout } = spawnSync("unshare", [process.getuid?.() === 0 ? "-nm" : "-rnm", "sh"], { input: script, encoding: "utf8" });
  const answers = stdout.split(/^\$ .*\n/m).slice(1);
  NET_TOOLS_ANSWERS.forEach(([line, text, status], i) => {
    const [, said, ended] = /^([^]*)=(\d+)\n$/.exec(answers[i]!)!;
    t.deepEqual([line, normalised(line, said!), Number(ended)], [line, normalised(line, text), status]);
  });
});
