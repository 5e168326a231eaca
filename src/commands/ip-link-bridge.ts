/** The words and the text of bridges and their ports in `ip link`. iproute2's counterparts are ip/iplink_bridge.c and iplink_bridge_slave.c. */
import {
  IFLA_BR_AGEING_TIME, IFLA_BR_BRIDGE_ID, IFLA_BR_STP_STATE, IFLA_BRPORT_LEARNING, IFLA_BRPORT_COST, IFLA_BRPORT_MODE, IFLA_BRPORT_PRIORITY, IFLA_BRPORT_STATE,
  IFLA_BRPORT_UNICAST_FLOOD,
} from "../uapi/if-link.ts";
import { type Args, CommandEnd, matches, numberArg } from "./command.ts";
import type { IpContext } from "./ip-context.ts";
import { Item } from "./ip-item.ts";
import type { Attrs, Request } from "./libnetlink.ts";

const USAGE = "Usage: ... bridge [ ageing_time AGEING_TIME ] [ stp_state STP_STATE ]\n";

const PORT_STATES: readonly string[] = Object.freeze(["disabled", "listening", "learning", "forwarding", "blocking"]);

/** Reads the words behind `type bridge`. iproute2: bridge_parse_opt(). */
export function bridgeWords(_ip: IpContext, args: Args, request: Request): void {
  for (; args.more; args.at++) {
    const word = args.word;
    if (matches(word, "ageing_time")) request.u32(IFLA_BR_AGEING_TIME, numberArg(args.next(), "invalid ageing_time"));
    else if (matches(word, "stp_state")) request.u32(IFLA_BR_STP_STATE, numberArg(args.next(), "invalid stp_state"));
    else throw new CommandEnd(1, matches(word, "help") ? USAGE : `bridge: unknown command "${word}"?\n${USAGE}`);
  }
}

/** Priority and address: "8000.2:0:0:0:0:1". iproute2: br_dump_bridge_id(). */
function bridgeId(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16));
  return `${[...bytes.subarray(0, 2)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}.${hex.slice(2).join(":")}`;
}

/** What a bridge tells of itself. iproute2: bridge_print_opt(). */
export function bridgeItem(_ip: IpContext, data: Attrs): Item {
  const item = new Item();
  const number = (key: string, type: number): void => {
    if (data.has(type)) item.put(key, data.u32(type), `${key} ${data.u32(type)} `);
  };
  number("ageing_time", IFLA_BR_AGEING_TIME);
  number("stp_state", IFLA_BR_STP_STATE);
  if (data.has(IFLA_BR_BRIDGE_ID)) {
    const id = bridgeId(data.data(IFLA_BR_BRIDGE_ID));
    item.put("bridge_id", id, `bridge_id ${id} `);
  }
  return item;
}

function onOff(data: Attrs, type: number, name: string): string {
  return data.has(type) ? `${name} ${data.u8(type) !== 0 ? "on" : "off"} ` : "";
}

/** What a port of a bridge tells. iproute2: bridge_slave_print_opt(). */
export function bridgePortItem(_ip: IpContext, data: Attrs): Item {
  const item = new Item().say(bridgePortState(data) + bridgePortFlags(data));
  item.note("state", PORT_STATES[data.u8(IFLA_BRPORT_STATE)] ?? `(${data.u8(IFLA_BRPORT_STATE)})`);
  item.note("priority", data.u16(IFLA_BRPORT_PRIORITY)).note("cost", data.u32(IFLA_BRPORT_COST));
  const flags: readonly (readonly [string, number])[] = [
    ["hairpin", IFLA_BRPORT_MODE], ["learning", IFLA_BRPORT_LEARNING], ["flood", IFLA_BRPORT_UNICAST_FLOOD],
  ];
  for (const [key, type] of flags) if (data.has(type)) item.note(key, data.u8(type) !== 0);
  return item;
}

/** Where it is in the spanning tree. */
export function bridgePortState(data: Attrs): string {
  const state = data.u8(IFLA_BRPORT_STATE);
  const name = PORT_STATES[state];
  return `state ${name ?? `(${state})`} priority ${data.u16(IFLA_BRPORT_PRIORITY)} cost ${data.u32(IFLA_BRPORT_COST)} `;
}

/** What it does with frames. */
export function bridgePortFlags(data: Attrs): string {
  return onOff(data, IFLA_BRPORT_MODE, "hairpin") + onOff(data, IFLA_BRPORT_LEARNING, "learning") + onOff(data, IFLA_BRPORT_UNICAST_FLOOD, "flood");
}
