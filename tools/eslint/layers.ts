/**
 * ESLint rule linnet/layers: dependencies point one way.
 *
 * The table below is the whole plan: a folder (or one file), and the folders it may import from. The longest entry that
 * contains a file is its layer; a layer may always import from itself. Upward knowledge goes through registration
 * (devAddPack, inetAddProtocol, sockRegister, initcalls), so an import that this rule reports is a missing hook.
 */
import type { Rule } from "eslint";
import { dirname, join, relative, sep } from "node:path";

export interface Layer {
  /** Folders or files it may import from, besides itself. */
  readonly from: readonly string[];
  /** Folders or files it may import types from. */
  readonly types?: readonly string[];
  /** Packages and runtime modules it may import. */
  readonly packages?: RegExp;
}

const BASE = ["src/lib", "src/uapi", "src/stack/wire"];
const CORE = [...BASE, "src/stack/core", "src/kernel.ts"];
const LINK = [...CORE, "src/netif"];
const SOCKET = [...CORE, "src/stack/socket"];
const CONTRACT = ["hal/hal.ts"];

export const LAYERS: Readonly<Record<string, Layer>> = Object.freeze({
  "src/uapi": { from: [] },
  "src/lib": { from: ["src/uapi"], types: CONTRACT },
  "src/stack/wire": { from: ["src/uapi"] },
  "src/config.ts": { from: BASE },
  "src/kernel.ts": { from: BASE, types: CONTRACT },
  "src/stack/core": { from: CORE, types: CONTRACT },
  "src/netif": { from: CORE },
  "src/stack/ipv4": { from: LINK },
  "src/stack/packet": { from: LINK },
  // rtnetlink is a door to IPv4's tables, and netfilter stands on its packets' way; IPv4 never knows that they are there.
  "src/stack/netlink": { from: [...LINK, "src/stack/ipv4"] },
  "src/stack/netfilter": { from: [...LINK, "src/stack/ipv4"] },
  "src/stack/unix": { from: LINK },
  "src/stack/socket": { from: CORE },
  "src/services": { from: [...SOCKET, "src/services/interface.ts", "src/services/link.ts"] },
  // Loads the ioctl() requests that services configure devices by.
  "src/services/interface.ts": { from: [...SOCKET, "src/ioctl.ts"] },
  // Hears of a device's link where a Linux program has rtnetlink.
  "src/services/link.ts": { from: [...CORE, "src/netif/dev.ts", "src/services/service.ts"] },
  "src/ecma419": { from: [...SOCKET, "src/services"] },
  "src/ecma419/index.ts": { from: ["src/ecma419"] },
  // The device is what Ethernet is about; the other classes know sockets and services only.
  "src/ecma419/ethernet.ts": { from: [...LINK, "src/stack/ipv4", "src/stack/socket", "src/ecma419"] },
  "src/commands": { from: SOCKET },
  // The commands' entrance loads what they speak to; the commands themselves know sockets only.
  "src/commands/index.ts": { from: ["src"] },
  // The files directly in src/ (index.ts, boot.ts, sets of initcalls) put the house together.
  src: { from: ["src"], types: CONTRACT, packages: /^#platform$/ },
  "hal/hal.ts": { from: [] },
  "hal/platform.d.ts": { from: [], types: CONTRACT },
  "hal/enc28j60": { from: ["src", "hal/hal.ts", "hal/mac.ts"], packages: /^embedded:/ },
  // Built on the host's virtual time and wire; the driver may not import it, so no board's bundle has it.
  "hal/enc28j60/simulator": { from: ["src", "hal/mock", "hal/mac.ts"] },
  "hal/esp32": { from: ["src", "hal/hal.ts"] },
  "hal/xs": { from: ["src", "hal/hal.ts", "hal/enc28j60/index.ts"], packages: /^(timer|time|embedded:.*)$/ },
  "hal/node": { from: ["src", "hal"], packages: /^(node:.*|koffi|#platform|linnet(\/.*)?)$/ },
  examples: {
    from: ["src/index.ts", "src/services", "src/commands", "src/ecma419"],
    packages: /^(linnet(\/.*)?|timer|embedded:.*)$/,
  },
});

/** True when `path` is `entry` or lies in that folder. */
function contains(entry: string, path: string): boolean {
  return path === entry || path.startsWith(`${entry}/`);
}

/** The name of the layer a repository path belongs to: the longest entry of the table that contains it. */
export function layerOf(path: string, layers: Readonly<Record<string, Layer>> = LAYERS): string | undefined {
  let best: string | undefined;
  for (const name of Object.keys(layers)) {
    if (contains(name, path) && name.length > (best?.length ?? 0)) best = name;
  }
  return best;
}

export const layers: Rule.RuleModule = {
  meta: {
    type: "problem",
    docs: { description: "Dependencies between the folders point one way." },
    schema: [],
    messages: {
      upward: "{{layer}} may not import {{target}}: dependencies point one way; register with the lower layer instead.",
      typesOnly: "{{layer}} may import only types from {{target}}.",
      package: "{{layer}} may not import the package {{target}}.",
    },
  },
  create(context): Rule.RuleListener {
    const path = relative(context.cwd, context.filename).split(sep).join("/");
    const layer = layerOf(path);
    if (layer === undefined) return {};
    const rules = LAYERS[layer]!;

    function check(node: Rule.Node, source: unknown, typeOnly: boolean): void {
      if (typeof source !== "string" || layer === undefined) return;
      if (!source.startsWith(".")) {
        if (!rules.packages?.test(source)) context.report({ node, messageId: "package", data: { layer, target: source } });
        return;
      }
      const file = join(dirname(path), source).split(sep).join("/");
      const target = layerOf(file) ?? file;
      if (target === layer || rules.from.some((entry) => contains(entry, file))) return;
      if (rules.types?.some((entry) => contains(entry, file))) {
        if (!typeOnly) context.report({ node, messageId: "typesOnly", data: { layer, target } });
        return;
      }
      context.report({ node, messageId: "upward", data: { layer, target } });
    }

    const declaration = (node: Rule.Node): void => {
      const { source, importKind, exportKind } = node as unknown as {
        source: { value: unknown } | null;
        importKind?: string;
        exportKind?: string;
      };
      if (source !== null) check(node, source.value, importKind === "type" || exportKind === "type");
    };
    return {
      ImportDeclaration: declaration,
      ExportNamedDeclaration: declaration,
      ExportAllDeclaration: declaration,
      ImportExpression(node) {
        check(node, node.source.type === "Literal" ? node.source.value : undefined, false);
      },
    };
  },
};
