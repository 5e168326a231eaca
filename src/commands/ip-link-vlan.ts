/** The words and the text of VLANs in `ip link`. iproute2's counterpart is ip/iplink_vlan.c. */
import { ETH_P_8021AD, ETH_P_8021Q } from "../uapi/if-ether.ts";
import {
  IFLA_VLAN_EGRESS_QOS, IFLA_VLAN_FLAGS, IFLA_VLAN_ID, IFLA_VLAN_INGRESS_QOS, IFLA_VLAN_PROTOCOL, IFLA_VLAN_QOS_MAPPING,
  VLAN_FLAG_BRIDGE_BINDING, VLAN_FLAG_GVRP, VLAN_FLAG_LOOSE_BINDING, VLAN_FLAG_MVRP, VLAN_FLAG_REORDER_HDR,
} from "../uapi/if-link.ts";
import { type Args, CommandEnd, invalidArg, matches, parseNumber } from "./command.ts";
import type { IpContext } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import type { Attrs, Request } from "./libnetlink.ts";

const USAGE = "Usage: ... vlan id VLANID\n\t\t[ protocol VLANPROTO ]\n\t\t[ reorder_hdr { on | off } ]\n"
  + "\t\t[ gvrp { on | off } ]\n\t\t[ mvrp { on | off } ]\n\t\t[ loose_binding { on | off } ]\n"
  + "\t\t[ bridge_binding { on | off } ]\n\t\t[ ingress-qos-map QOS-MAP ]\n\t\t[ egress-qos-map QOS-MAP ]\n\n"
  + "VLANID := 0-4095\nVLANPROTO: [ 802.1Q | 802.1ad ]\nQOS-MAP := [ QOS-MAP ] QOS-MAPPING\nQOS-MAPPING := FROM:TO\n";

/** In the order in which they are printed. */
const FLAGS: readonly (readonly [string, number])[] = Object.freeze([
  ["reorder_hdr", VLAN_FLAG_REORDER_HDR], ["gvrp", VLAN_FLAG_GVRP], ["mvrp", VLAN_FLAG_MVRP],
  ["loose_binding", VLAN_FLAG_LOOSE_BINDING], ["bridge_binding", VLAN_FLAG_BRIDGE_BINDING],
] as const);

const FLAGS_BYTES = 8;

function protocolNumber(word: string): number {
  const name = word.toLowerCase();
  if (name === "802.1q") return ETH_P_8021Q;
  if (name === "802.1ad") return ETH_P_8021AD;
  const number = parseNumber(word, 0xffff);
  return number < 0 ? invalidArg("protocol is invalid", word) : number;
}

/** `FROM:TO FROM:TO …` up to the first word that is none; leaves that at hand. */
function mapWords(args: Args, request: Request, type: number, complaint: string): void {
  const nest = request.nest(type);
  for (args.next(); args.more; args.at++) {
    const match = /^([0-9]+):([0-9]+)$/.exec(args.word);
    if (match === null) {
      const colon = args.word.indexOf(":");
      if (colon >= 0) invalidArg(complaint, args.word.substring(0, colon));
      break;
    }
    const pair = new Uint8Array(FLAGS_BYTES);
    const view = new DataView(pair.buffer);
    view.setUint32(0, Number(match[1]), true);
    view.setUint32(4, Number(match[2]), true);
    request.data(IFLA_VLAN_QOS_MAPPING, pair);
  }
  request.nestEnd(nest);
}

/** Reads the words behind `type vlan`. iproute2: vlan_parse_opt(). */
export function vlanWords(_ip: IpContext, args: Args, request: Request): void {
  let flags = 0;
  let mask = 0;
  while (args.more) {
    const word = args.word;
    const flag = FLAGS.find(([name]) => matches(word, name));
    if (matches(word, "protocol")) {
      const number = protocolNumber(args.next());
      request.data(IFLA_VLAN_PROTOCOL, Uint8Array.of(number >> 8, number & 0xff));
    } else if (matches(word, "id")) {
      const id = parseNumber(args.next(), 0xffff);
      request.u16(IFLA_VLAN_ID, id < 0 ? invalidArg("id is invalid", args.word) : id);
    } else if (flag !== undefined) {
      const state = args.next();
      if (state !== "on" && state !== "off") {
        throw new CommandEnd(1, `Error: argument of "${flag[0]}" must be "on" or "off", not "${state}"\n`);
      }
      mask |= flag[1];
      if (state === "on") flags |= flag[1];
      else flags &= ~flag[1];
    } else if (matches(word, "ingress-qos-map")) {
      mapWords(args, request, IFLA_VLAN_INGRESS_QOS, "invalid ingress-qos-map");
      continue;
    } else if (matches(word, "egress-qos-map")) {
      mapWords(args, request, IFLA_VLAN_EGRESS_QOS, "invalid egress-qos-map");
      continue;
    } else {
      throw new CommandEnd(1, matches(word, "help") ? USAGE : `vlan: unknown command "${word}"?\n${USAGE}`);
    }
    args.at++;
  }
  if (mask === 0) return;
  const pair = new Uint8Array(FLAGS_BYTES);
  const view = new DataView(pair.buffer);
  view.setUint32(0, flags, true);
  view.setUint32(4, mask, true);
  request.data(IFLA_VLAN_FLAGS, pair);
}

function putMap(ip: IpContext, item: Item, key: string, name: string, map: Uint8Array): void {
  const view = new DataView(map.buffer, map.byteOffset, map.length);
  const pairs: { readonly from: number; readonly to: number }[] = [];
  // Each pair is an attribute of its own.
  for (let at = 0; at + 12 <= map.length; at += 12) pairs.push({ from: view.getUint32(at + 4, true), to: view.getUint32(at + 8, true) });
  item.put(key, pairs, `${ip.newline}      ${name} { ${pairs.map(({ from, to }) => `${from}:${to} `).join("")}} `);
}

/** What a VLAN tells of itself. iproute2: vlan_print_opt(). */
export function vlanItem(ip: IpContext, data: Attrs): Item {
  const [high = 0, low = 0] = data.data(IFLA_VLAN_PROTOCOL);
  const protocol = (high << 8) | low;
  const name = protocol === ETH_P_8021Q ? "802.1Q" : protocol === ETH_P_8021AD ? "802.1ad" : `[${protocol}]`;
  const item = new Item().put("protocol", name, `protocol ${name} `);
  item.put("id", data.u16(IFLA_VLAN_ID), `id ${data.u16(IFLA_VLAN_ID)} `);
  if (data.has(IFLA_VLAN_FLAGS)) {
    const flags = data.u32(IFLA_VLAN_FLAGS);
    const names = FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([flag]) => flag.toUpperCase());
    item.put("flags", names, `<${names.join(",")}> `);
  }
  if (data.has(IFLA_VLAN_INGRESS_QOS)) putMap(ip, item, "ingress_qos", "ingress-qos-map", data.data(IFLA_VLAN_INGRESS_QOS));
  if (data.has(IFLA_VLAN_EGRESS_QOS)) putMap(ip, item, "egress_qos", "egress-qos-map", data.data(IFLA_VLAN_EGRESS_QOS));
  return item;
}
