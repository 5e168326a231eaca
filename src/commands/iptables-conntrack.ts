/**
 * The options of iptables' matches `state` and `conntrack`, of the latter those for what a packet is to its connection: --ctstate,
 * --ctstatus, --ctdir. iptables' counterpart is extensions/libxt_conntrack.c. Allocates.
 */
import {
  XT_CONNTRACK_AS_CONNTRACK, XT_CONNTRACK_DIRECTION, XT_CONNTRACK_INV_STATE, XT_CONNTRACK_INV_STATUS, XT_CONNTRACK_REPLY,
  XT_CONNTRACK_STATE, XT_CONNTRACK_STATUS, XT_CONNTRACK_STATUS_SHIFT, XT_MATCH_STATE, XT_STATE_DNAT, XT_STATE_ESTABLISHED, XT_STATE_INVALID, XT_STATE_MASK,
  XT_STATE_NEW, XT_STATE_RELATED, XT_STATE_SNAT, XT_STATE_UNTRACKED,
} from "../uapi/ip-tables.ts";
import { IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY } from "../uapi/nf-conntrack.ts";
import { missing, problem } from "./iptables-errors.ts";
import type { MatchKind } from "./iptables-matches.ts";

type Names = readonly (readonly [string, number])[];

const STATES: Names = Object.freeze([
  ["INVALID", XT_STATE_INVALID], ["NEW", XT_STATE_NEW], ["RELATED", XT_STATE_RELATED], ["ESTABLISHED", XT_STATE_ESTABLISHED],
  ["UNTRACKED", XT_STATE_UNTRACKED],
] as const);
const CT_STATES: Names = Object.freeze([...STATES, ["SNAT", XT_STATE_SNAT], ["DNAT", XT_STATE_DNAT]] as const);
const STATUSES: Names = Object.freeze([
  ["NONE", 0], ["EXPECTED", IPS_EXPECTED], ["SEEN_REPLY", IPS_SEEN_REPLY], ["ASSURED", IPS_ASSURED], ["CONFIRMED", IPS_CONFIRMED],
] as const);

/** The bits of a list of names. @param what they are, for the complaint */
function bitsOf(names: Names, what: string, text: string): number {
  let bits = 0;
  for (const word of text.split(",")) {
    const name = names.find(([known]) => known === word.toUpperCase());
    if (name === undefined) return problem(`Bad ${what} "${word}"`);
    bits |= name[1];
  }
  return bits;
}

function namesOf(names: Names, bits: number): string {
  return names.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name).join(",");
}

/** Marks an option as given. */
function once(data: number[], owner: string, option: string, bit: number): void {
  if ((data[1]! & bit) !== 0) problem(`${owner}: option "${option}" can only be used once.\n`);
  data[1]! |= bit;
}

export const state: MatchKind = Object.freeze<MatchKind>({
  name: "state",
  type: XT_MATCH_STATE,
  empty: Object.freeze([0, 0]),
  proto: 0,
  parse(data, option, inverted, value) {
    if (option !== "--state") return false;
    once(data, "state", option, XT_CONNTRACK_STATE);
    data[0] = bitsOf(STATES, "state", value());
    if (inverted) data[1]! |= XT_CONNTRACK_INV_STATE;
    return true;
  },
  finish(data) {
    if ((data[1]! & XT_CONNTRACK_STATE) === 0) missing("state", "--state");
  },
  save: (data) => `${(data[1]! & XT_CONNTRACK_INV_STATE) !== 0 ? " !" : ""} --state ${namesOf(STATES, data[0]!)}`,
  print: (data) => `${(data[1]! & XT_CONNTRACK_INV_STATE) !== 0 ? " !" : ""} state ${namesOf(STATES, data[0]!)}`,
});

/** All options that were given. @param dashes before their names */
function conntrackText([bits, how]: readonly number[], dashes: string): string {
  const not = (bit: number): string => ((how! & bit) !== 0 ? " !" : "");
  let text = "";
  if ((how! & XT_CONNTRACK_STATE) !== 0) text += `${not(XT_CONNTRACK_INV_STATE)} ${dashes}ctstate ${namesOf(CT_STATES, bits! & XT_STATE_MASK)}`;
  if ((how! & XT_CONNTRACK_STATUS) !== 0) {
    text += `${not(XT_CONNTRACK_INV_STATUS)} ${dashes}ctstatus ${namesOf(STATUSES, bits! >> XT_CONNTRACK_STATUS_SHIFT) || "NONE"}`;
  }
  if ((how! & XT_CONNTRACK_DIRECTION) !== 0) text += ` ${dashes}ctdir ${(how! & XT_CONNTRACK_REPLY) !== 0 ? "REPLY" : "ORIGINAL"}`;
  return text;
}

export const conntrack: MatchKind = Object.freeze<MatchKind>({
  name: "conntrack",
  type: XT_MATCH_STATE,
  empty: Object.freeze([0, XT_CONNTRACK_AS_CONNTRACK]),
  proto: 0,
  parse(data, option, inverted, value) {
    if (option === "--ctstate") {
      once(data, "conntrack", option, XT_CONNTRACK_STATE);
      data[0]! |= bitsOf(CT_STATES, "ctstate", value());
      if (inverted) data[1]! |= XT_CONNTRACK_INV_STATE;
    } else if (option === "--ctstatus") {
      once(data, "conntrack", option, XT_CONNTRACK_STATUS);
      data[0]! |= bitsOf(STATUSES, "ctstatus", value()) << XT_CONNTRACK_STATUS_SHIFT;
      if (inverted) data[1]! |= XT_CONNTRACK_INV_STATUS;
    } else if (option === "--ctdir") {
      if (inverted) problem(`conntrack: option "${option}" cannot be inverted.\n`);
      once(data, "conntrack", option, XT_CONNTRACK_DIRECTION);
      const word = value();
      if (word.toUpperCase() === "REPLY") data[1]! |= XT_CONNTRACK_REPLY;
      else if (word.toUpperCase() !== "ORIGINAL") problem(`conntrack: Bad value for "--ctdir" option: "${word}"`);
    } else {
      return false;
    }
    return true;
  },
  finish(data) {
    if ((data[1]! & (XT_CONNTRACK_STATE | XT_CONNTRACK_STATUS | XT_CONNTRACK_DIRECTION)) === 0) problem("conntrack: At least one option is required");
  },
  save: (data) => conntrackText(data, "--"),
  print: (data) => conntrackText(data, ""),
});
