/** SIOCSARP, SIOCGARP and SIOCDARP with every flag, as Linux answered 60 random sequences of them: linux-arp-ioctl.json, by linux-arp-ioctl.py. */
import { readFileSync } from "node:fs";
import test from "ava";
import { ip } from "../../../src/commands/index.ts";
import { AF_INET, boot, close, devOpen, initNet, ioctl, poolsInUse, SOCK_DGRAM, socket } from "../../../src/index.ts";
import { Arpreq, ioctls } from "../../../src/ioctl.ts";
import { arpConf, PROXY_ARP, proxyArp } from "../../../src/neighbours.ts";
import { unregisterNetdev } from "../../../src/netif/dev.ts";
import { procRead } from "../../../src/stack/core/proc.ts";
import { inDevGet } from "../../../src/stack/ipv4/devinet.ts";
import { fibFlushCached } from "../../../src/stack/ipv4/fib-sync.ts";
import { SIOCGARP } from "../../../src/uapi/ioctl.ts";
import { addressNumber } from "../../lib/frames.ts";
import { fakeDevice } from "../netif/harness.ts";

type Call = [request: number, address: string, flags: number, type: number, last: number, netmask: string, device: string, answer: unknown];
interface Recorded { kernel: string; sequences: [calls: Call[], left: [string[], number[]]][] }

const recorded = JSON.parse(readFileSync(new URL("linux-arp-ioctl.json", import.meta.url), "utf8")) as Recorded;

function call(fd: number, [request, address, flags, type, last, netmask, device]: Call): unknown {
  const r = new Arpreq();
  r.pa.family = AF_INET;
  r.pa.addr = addressNumber(address);
  Object.assign(r, { flags, haType: type, haHi: 0x0200, haLo: last, netmask: addressNumber(netmask), dev: device });
  const err = ioctl(fd, request, r);
  return err < 0 || request !== SIOCGARP ? err : [r.haType, r.haLo & 255, r.flags];
}

recorded.sequences.forEach(([calls, [lines, proxies]], number) => {
  test.serial(`sequence ${number} of ${calls.length} calls: as Linux ${recorded.kernel}`, (t) => {
    boot({ preset: "host", initcalls: [ioctls, proxyArp] });
    const inUse = poolsInUse();
    const devices = ["d0", "d1"].map((name, i) => {
      const dev = fakeDevice(name);
      dev.addrLo = i + 1;
      initNet.register(dev);
      devOpen(dev);
      ip(initNet, `addr add 10.${i}.0.1/24 dev ${name}`);
      return dev;
    });
    const fd = socket(AF_INET, SOCK_DGRAM, 0);
    calls.forEach((one, at) => t.deepEqual(call(fd, one), one[7], `call ${at}: ${JSON.stringify(one)}`));
    const known = procRead(initNet, "net/arp")!.split("\n").slice(1, -1).map((line) => line.split(/ +/).join(" ")).sort();
    t.deepEqual(known, lines);
    const own = devices.map((dev) => {
      const all = initNet.ipv4.confAll;
      initNet.ipv4.confAll = 0;
      const value = arpConf(inDevGet(dev)!, PROXY_ARP);
      initNet.ipv4.confAll = all;
      return value;
    });
    t.deepEqual(own, proxies.slice(1));
    ip(initNet, "neigh flush all");
    for (const line of ip(initNet, "neigh show proxy").text.split("\n").filter((text) => text !== "")) {
      t.is(ip(initNet, `neigh del proxy ${line.replace(/ +proxy.*/, "")}`).status, 0, line);
    }
    for (const dev of devices) unregisterNetdev(dev);
    close(fd);
    fibFlushCached(initNet);
    t.is(poolsInUse(), inUse);
  });
});
