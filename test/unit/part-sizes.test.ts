/** Parts and their sizes: what a part reads at boot is of its own tables or of every program's, and nothing else is an option. */
import test from "ava";
import { type Config, NETLINK_SIZES } from "../../src/config.ts";
import type { Initcall } from "../../src/lib/initcall.ts";
import { advancedRouter } from "../../src/advanced-router.ts";
import { arpPolicy } from "../../src/arp-policy.ts";
import { bridge } from "../../src/bridge.ts";
import { conntrack } from "../../src/conntrack.ts";
import { ftp } from "../../src/conntrack-ftp.ts";
import { ctHelpers } from "../../src/conntrack-helpers.ts";
import { epoll } from "../../src/epoll.ts";
import { fibTrie } from "../../src/fib-trie.ts";
import { forwarding } from "../../src/forwarding.ts";
import { fragments } from "../../src/fragments.ts";
import { igmp } from "../../src/igmp.ts";
import { ioctls } from "../../src/ioctl.ts";
import { ipOptions } from "../../src/ip-options.ts";
import { iptables } from "../../src/iptables.ts";
import { nat } from "../../src/nat.ts";
import { proxyArp } from "../../src/neighbours.ts";
import { netfilter } from "../../src/netfilter.ts";
import { netlink } from "../../src/netlink.ts";
import { packet, socketFilter } from "../../src/packet.ts";
import { ping, raw } from "../../src/raw.ts";
import { routeExceptions } from "../../src/route-exceptions.ts";
import { sched } from "../../src/sched.ts";
import { socketControl } from "../../src/socket-control.ts";
import { socketOptions } from "../../src/socket-options.ts";
import { bootConfig, startKernel } from "../../src/start-kernel.ts";
import { synGuard } from "../../src/syn-guard.ts";
import { syncookies } from "../../src/syncookies.ts";
import { tcp } from "../../src/tcp.ts";
import { tcpClient } from "../../src/tcp-client.ts";
import { cubic } from "../../src/tcp-cubic.ts";
import { fastopen } from "../../src/tcp-fastopen.ts";
import { tcpInfo } from "../../src/tcp-info.ts";
import { tcpMd5Sig } from "../../src/tcp-md5.ts";
import { mtuProbing } from "../../src/tcp-mtu-probing.ts";
import { tcpServer } from "../../src/tcp-server.ts";
import { tcpSocketOptions } from "../../src/tcp-socket-options.ts";
import { udp } from "../../src/udp.ts";
import { unix } from "../../src/unix.ts";
import { vlan } from "../../src/vlan.ts";

const hal = { now: () => 0, entropy: (into: Uint8Array) => void into.fill(3), wake: () => undefined };

/** The part as it is, but that it may read only sizes that were given. */
function strict(part: Initcall<Config>): Initcall<Config> {
  const known = (config: Config): Config => new Proxy(config, {
    get(target, option: string) {
      if (!(option in target)) throw new Error(`${part.name} reads ${option}, which is not of its sizes`);
      return target[option as keyof Config];
    },
  });
  return { ...part, words: (config) => part.words?.(known(config)) ?? 0, init: (config) => part.init(known(config)) };
}

/** Every part, behind those that it needs. */
const PARTS: readonly (readonly Initcall<Config>[])[] = [
  [udp], [epoll], [arpPolicy], [tcp], [tcpClient], [tcpServer], [tcpServer, syncookies], [tcpServer, fastopen], [tcpServer, tcpInfo], [tcpServer, tcpMd5Sig],
  [tcpServer, mtuProbing], [tcpServer, tcpSocketOptions], [tcpServer, cubic], [tcpServer, synGuard], [fibTrie], [fibTrie, advancedRouter],
  [routeExceptions], [socketControl], [socketOptions], [fragments], [forwarding], [proxyArp], [ipOptions], [igmp], [packet], [socketFilter],
  [raw], [ping], [unix], [bridge], [vlan], [netlink], [netfilter, iptables], [netfilter, conntrack], [netfilter, conntrack, nat],
  [netfilter, conntrack, ctHelpers], [netfilter, conntrack, ctHelpers, ftp], [ioctls], [sched],
];

for (const [number, parts] of PARTS.entries()) {
  test.serial(`${number} ${parts.map(({ name }) => name).join(", ")}: started with sizes of their own and no others`, (t) => {
    t.notThrows(() => startKernel({ hal, preset: "small", initcalls: parts.map(strict) }));
    t.throws(() => startKernel({ hal, initcalls: parts, nonsense: 1 } as object), { instanceOf: TypeError });
  });
}

test.serial("a size of a part that is not started is no option; a part that is started later has it", (t) => {
  t.throws(() => startKernel({ hal, initcalls: [udp], tcpSocks: 2 }), { instanceOf: TypeError, message: /no option tcpSocks; options are preset, bufferBytes/ });
  t.notThrows(() => startKernel({ hal, initcalls: [udp, tcpClient], tcpSocks: 2 }));
  startKernel({ hal, preset: "small", initcalls: [udp] });
  t.is(bootConfig(NETLINK_SIZES).netlinkSocks, 1);
});
