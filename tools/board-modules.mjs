/**
 * The bundles of a board as Moddable's tools want them: each entry is an XS module under the name that programs import, code
 * that several of them use is a module of its own, and beside each entry there is a manifest that lists exactly what it needs.
 * So a project's flash has what its manifest includes and nothing else.
 */
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

/** Services, parts and drivers: `linnet/<name>` for each; their sources. */
const PARTS = {
  ...Object.fromEntries(
    ["acd", "autoip", "dhcp", "dhcpd", "dns", "mdns", "sntp"].map((name) => [`services/${name}`, `src/services/${name}.ts`]),
  ),
  ...Object.fromEntries(
    [
      "advanced-router", "arp-policy", "bridge", "conntrack", "conntrack-ftp", "conntrack-helpers", "epoll", "fib-trie", "forwarding", "fragments", "igmp",
      "ioctl", "ip-options", "iptables", "nat", "neighbours", "netfilter", "netlink", "packet", "raw", "route-exceptions", "sched",
      "socket-control", "socket-options", "start-kernel", "syn-guard", "syncookies", "tcp", "tcp-client", "tcp-cubic", "tcp-ecn",
      "tcp-fastopen", "tcp-info", "tcp-md5", "tcp-mtu-probing", "tcp-pacing", "tcp-rack", "tcp-rcvbuf", "tcp-server", "tcp-socket-options",
      "tcp-undo", "tcp-urgent", "udp", "unix", "vlan",
    ].map((name) => [name, `src/${name}.ts`]),
  ),
  "ecma419": "src/ecma419/index.ts",
  "commands": "src/commands/index.ts",
  "run": "hal/xs/run.ts",
  "start": "hal/xs/start.ts",
  "hal/enc28j60": "hal/enc28j60/index.ts",
  "hal/esp32": "hal/esp32/index.ts",
  "hal/linux": "hal/linux/device.ts",
};

/** The standard's module names. */
const EMBEDDED = {
  "io/socket/tcp": "hal/xs/embedded/tcp.ts",
  "io/socket/udp": "hal/xs/embedded/udp.ts",
  "io/socket/listener": "hal/xs/embedded/listener.ts",
  "network/dns/resolver/udp": "hal/xs/embedded/resolver.ts",
  "network/interface/ethernet": "hal/xs/embedded/ethernet.ts",
};


/** By file, the source of each entry, from the project's folder. */
export const boardEntries = Object.fromEntries([
  ["linnet", "src/index.ts"],
  ...Object.entries(PARTS).map(([name, source]) => [`linnet/${name}`, source]),
  ...Object.entries(EMBEDDED).map(([name, source]) => [`embedded/${name}`, source]),
]);

/** What no chip's flash will hold stays out of the linker's memory, too. */
const SIMULATED = "linnet/hal/linux";

/** The module name of a file of the output. */
function moduleOf(file) {
  const name = file.replace(/\.js$/, "");
  return name.startsWith("embedded/") ? name.replace("/", ":") : name;
}

/** Code of several entries: a module below linnet/, called after its first source. */
export function sharedName(chunk) {
  const { moduleIds } = chunk;
  const first = moduleIds[moduleIds.length - 1] ?? "shared";
  return `linnet/shared/${first.replace(/^.*\//, "").replace(/\.ts$/, "")}`;
}

/** Modules import each other by name, as XS finds them; each entry gets its manifest. */
export const boardManifests = () => ({
  name: "board-manifests",
  generateBundle(_options, bundle) {
    const files = Object.keys(bundle);
    for (const file of files) {
      const chunk = bundle[file];
      chunk.code = chunk.code.replace(/^(import |export )(.*from |)(['"])(\.\.?\/[^'"]+)\3;$/gm, (_all, verb, what, _quote, target) => {
        const url = new URL(target, `file:///${file}`);
        return `${verb}${what}"${moduleOf(url.pathname.substring(1))}";`;
      });
    }
    for (const file of files.filter((name) => bundle[name].isEntry)) {
      const needed = new Set([file]);
      for (const name of needed) for (const other of bundle[name].imports) if (other in bundle) needed.add(other);
      const up = "../".repeat(file.split("/").length - 1) || "./";
      const modules = Object.fromEntries([...needed].map((name) => [moduleOf(name), up + name.replace(/\.js$/, "")]));
      const types = relative(dirname(path(`dist/board/${file}`)), path("dist/types")) + bundle[file].facadeModuleId.substring(path("").length - 1);
      this.emitFile({
        type: "asset",
        fileName: file.replace(/\.js$/, ".d.ts"),
        source: `export * from "${types}";\n${bundle[file].exports.includes("default") ? `export { default } from "${types}";\n` : ""}`,
      });
      this.emitFile({
        type: "asset",
        fileName: file.replace(/\.js$/, ".json"),
        source: `${JSON.stringify({ modules, preload: Object.keys(modules).filter((name) => name !== SIMULATED) }, null, 2)}\n`,
      });
    }
  },
});

/** Files of numbers alone: those who use them have them written in (flash.mjs), so only programs still import them. */
const isNumbers = (id, code) => /\/src\/uapi\//.test(id) && !/function|Object|=>|\[/.test(code);

/**
 * The kernel is one module: what start-kernel.ts and the BSD calls of index.ts need. UDP, TCP and all else are modules of their
 * own, as far as they are not the kernel's already, and so are the numbers of src/uapi.
 */
export function boardChunk(id, { getModuleInfo }) {
  if (kernel.size === 0) {
    const walk = (source) => {
      if (kernel.has(source)) return;
      kernel.add(source);
      getModuleInfo(source)?.importedIds.forEach(walk);
    };
    const index = getModuleInfo(path("src/index.ts"));
    const calls = [...index.importedIds, ...(index.exportedIds ?? [])].filter((source) => source !== path("src/boot.ts"));
    [path("src/start-kernel.ts"), ...calls].forEach(walk);
  }
  if (isNumbers(id, getModuleInfo(id)?.code ?? "")) return "linnet/uapi";
  return kernel.has(id) ? "linnet/start-kernel" : null;
}

const kernel = new Set();
