import tseslint from "typescript-eslint";
import { tsImport } from "tsx/esm/api";

const { plugin } = await tsImport("./tools/eslint/index.ts", import.meta.url);

/**
 * What may allocate in the packet-path folders, beyond functions named …Init, register…, create…, format…: each entry
 * says why it never runs for a packet. Without `functions` the whole file is meant.
 */
const offPath = [
  { file: "hal/enc28j60/options.ts", reason: "a device is made once" },
  { file: "hal/enc28j60/init.ts", functions: ["hex"], reason: "text of encIdentifyInit's exceptions" },
  { file: "src/lib/initcall.ts", functions: ["doInitcalls"], reason: "boot" },
  { file: "src/lib/list.ts", functions: ["hlistTableCreate"], reason: "tables of chains are made at boot" },
  { file: "src/lib/memory.ts", functions: ["userBuffer"], reason: "a program's own buffers, taken at its start" },
  { file: "src/lib/pool.ts", functions: ["poolsReset", "poolCreate", "slabCreate"], reason: "pools are made at boot" },
  { file: "src/services/service.ts", functions: ["serviceStart"], reason: "a service is started once" },
  { file: "src/services/autoip.ts", functions: ["autoip"], reason: "starts a client" },
  { file: "src/services/dhcp-client.ts", functions: ["dhcpCheckOptions"], reason: "starts a client" },
  { file: "src/services/dhcp.ts", functions: ["dhcp", "open"], reason: "starts a client" },
  { file: "src/services/dhcpd.ts", functions: ["dhcpd", "open"], reason: "starts a server" },
  { file: "src/services/dns.ts", functions: ["dns", "dnsSearch"], reason: "starts a resolver; configuration" },
  { file: "src/services/dns.ts", functions: ["dnsReverse"], reason: "a question of the program's, whose name is a text" },
  { file: "src/services/mdns.ts", functions: ["mdns", "open"], reason: "starts a responder" },
  {
    file: "src/services/mdns.ts",
    functions: ["nameBytes", "typeBytes", "instanceBytes", "textBytes", "mdnsPublish"],
    reason: "the program names what is published or asked for",
  },
  { file: "src/services/mdns-records.ts", functions: ["utf8Bytes", "utf8Text"], reason: "a program's text" },
  { file: "src/services/dns-name.ts", functions: ["dnsNameFromText", "dnsNameText"], reason: "a program's text" },
  { file: "src/services/dhcp-lease.ts", functions: ["nameText"], reason: "text for a program that asks for it" },
  { file: "src/netif/dev.ts", functions: ["devValidName"], reason: "registration of a device" },
  { file: "src/stack/core/sockopt-control.ts", functions: ["deviceByNameBytes", "putDevice"], reason: "the option that names a device" },
  { file: "src/stack/ipv4/tcp-sockopt-more.ts", functions: ["putName"], reason: "the option that names an algorithm" },
  { file: "src/stack/ipv4/tcp-cong.ts", functions: ["nameEquals"], reason: "the option that names an algorithm" },
  { file: "src/stack/netlink/nlattr.ts", functions: ["nlaStrEquals", "nlaPutString"], reason: "configuration: names of devices and kinds" },
  { file: "src/stack/netfilter/nf-conntrack-helper.ts", functions: ["find"], reason: "rules are loaded" },
  { file: "src/stack/netfilter/ip-tables.ts", functions: ["writeName"], reason: "once for each device, as long as there are no more than are kept" },
  { file: "src/services/sntp.ts", functions: ["sntp"], reason: "starts a client" },
  { file: "src/stack/core/neigh-parms.ts", functions: ["neighParmsSet"], reason: "configuration: net.ipv4.neigh.DEV.*" },
  { file: "src/lib/pool.ts", functions: ["column"], reason: "part of the text of formatSlabinfo" },
  { file: "src/lib/table.ts", reason: "typed tables are made at boot" },
  { file: "src/netif/vlan-dev.ts", functions: ["vlanCreate"], reason: "makes devices" },
  { file: "src/netif/bridge/br-if.ts", functions: ["bridgeCreate"], reason: "makes devices" },
  { file: "src/netif/veth.ts", functions: ["vethCreate"], reason: "makes devices" },
  { file: "src/stack/ipv4/devinet.ts", functions: ["inetdevEvent"], reason: "once per registered device" },
  { file: "src/stack/ipv4/fib-frontend.ts", functions: ["routeConfig", "fibMagic"], reason: "text commands and configuration" },
];

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "test/out/", "hal/esp32/emac.js"] },
  {
    files: ["**/*.{ts,mjs}"],
    linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "error" },
    languageOptions: { parser: tseslint.parser, ecmaVersion: 2022, sourceType: "module" },
    plugins: { "@typescript-eslint": tseslint.plugin, linnet: plugin },
    rules: {
      eqeqeq: "error",
      "no-constant-condition": ["error", { checkLoops: false }],
      "no-debugger": "error",
      "no-dupe-else-if": "error",
      "no-duplicate-case": "error",
      "no-empty": "error",
      "no-fallthrough": "error",
      "no-self-assign": "error",
      "no-self-compare": "error",
      "no-sparse-arrays": "error",
      "no-unreachable": "error",
      "no-unsafe-finally": "error",
      "no-useless-escape": "error",
      "no-var": "error",
      "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx"] }],
      "prefer-const": "error",
      "@typescript-eslint/ban-ts-comment": "error",
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", caughtErrors: "none" }],
      "@typescript-eslint/no-unused-expressions": "error",
    },
  },
  {
    files: ["src/**/*.ts", "hal/**/*.ts", "examples/**/*.ts"],
    rules: { "linnet/layers": "error" },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "linnet/module-scope": "error",
      "no-restricted-globals": ["error", "Date", "setTimeout", "setInterval", "console", "process", "Buffer"],
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Named exports only." },
        { selector: "ImportNamespaceSpecifier", message: "Named imports only: XS walks a namespace object's properties." },
      ],
    },
  },
  {
    files: ["src/lib/**/*.ts", "src/netif/**/*.ts", "src/stack/**/*.ts", "src/services/**/*.ts", "hal/enc28j60/*.ts"],
    rules: { "linnet/no-allocation": ["error", { offPath }] },
  },
  {
    files: ["hal/node/**/*.ts", "test/**/*.ts", "tools/**/*.ts", "examples/**/*.ts"],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: { "@typescript-eslint/no-floating-promises": "error" },
  },
);
