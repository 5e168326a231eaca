/** What `tc qdisc` says of each kind: its options read from words and printed. iproute2's counterparts are tc/q_fifo.c, q_tbf.c, q_prio.c. */
import {
  PSCHED_TICK_NS, TC_LINKLAYER_ETHERNET, TC_RATESPEC_LINKLAYER, TC_RATESPEC_RATE, TC_TBF_BUFFER, TC_TBF_LIMIT, TC_TBF_MTU, TC_TBF_PEAKRATE,
  TC_TBF_QOPT_BYTES, TCA_OPTIONS, TCA_TBF_BURST, TCA_TBF_PARMS, TCA_TBF_PBURST, TCA_TBF_PRATE64, TCA_TBF_RATE64,
} from "../uapi/pkt-sched.ts";
import { type Args, CommandEnd } from "./command.ts";
import type { IpContext } from "./ip-context.ts";
import type { Attrs, Request } from "./libnetlink.ts";
import { parseRate, parseSize, parseTime, rateText, sizeText, timeText } from "./tc-units.ts";

const US_PER_SECOND = 1e6;
const NS_PER_US = 1000;
const U32_MAX = 0xffffffff;

const FIFO_USAGE = "Usage: ... pfifo [ limit NUMBER ]\n";
const TBF_USAGE = "Usage: ... tbf limit BYTES burst BYTES rate KBPS [ mtu BYTES ]\n\t[ peakrate KBPS ] [ latency TIME ]\n";

/** A kind of discipline. */
export interface TcKind {
  /** Reads the words behind the kind into a request, to their end. */
  parse(request: Request, args: Args): void;
  /** The text of its options. */
  print(attrs: Attrs, ip: IpContext): string;
}

function parsePfifo(request: Request, args: Args): void {
  let limit = -1;
  for (; args.more; args.at++) {
    if (args.word === "limit") {
      limit = parseSize(args.next());
      if (limit < 0) throw new CommandEnd(1, `pfifo: Illegal value for "limit": "${args.word}"\n`);
    } else if (args.word === "help") {
      throw new CommandEnd(1, FIFO_USAGE);
    } else {
      throw new CommandEnd(1, `pfifo: unknown parameter "${args.word}"\n${FIFO_USAGE}`);
    }
  }
  if (limit >= 0) request.u32(TCA_OPTIONS, limit);
}

function printPfifo(attrs: Attrs): string {
  return attrs.has(TCA_OPTIONS) ? `limit ${attrs.u32(TCA_OPTIONS)}p` : "";
}

/** The words of a tbf that have a number behind them, by their meaning. */
const TBF_WORDS: Readonly<Record<string, { readonly option: keyof TbfOptions; readonly called: string; read(word: string): number }>> =
  Object.freeze({
    limit: { option: "limit", called: "limit", read: parseSize },
    latency: { option: "latency", called: "latency", read: parseTime },
    burst: { option: "burst", called: "buffer/burst/maxburst", read: parseSize },
    buffer: { option: "burst", called: "buffer/burst/maxburst", read: parseSize },
    maxburst: { option: "burst", called: "buffer/burst/maxburst", read: parseSize },
    mtu: { option: "mtu", called: "mtu/minburst", read: parseSize },
    minburst: { option: "mtu", called: "mtu/minburst", read: parseSize },
    rate: { option: "rate", called: "rate", read: parseRate },
    peakrate: { option: "peak", called: "peakrate", read: parseRate },
  });

interface TbfOptions {
  limit: number;
  latency: number;
  burst: number;
  mtu: number;
  rate: number;
  peak: number;
}

/** The keyword that a word means: iproute2 takes the beginning of `latency`. */
function tbfWord(word: string): string {
  return word !== "" && "latency".startsWith(word) ? "latency" : word;
}

function readTbf(args: Args): TbfOptions {
  const found: TbfOptions = { limit: 0, latency: 0, burst: 0, mtu: 0, rate: 0, peak: 0 };
  for (; args.more; args.at++) {
    if (args.word === "help") throw new CommandEnd(1, TBF_USAGE);
    const word = tbfWord(args.word);
    const meaning = Object.hasOwn(TBF_WORDS, word) ? TBF_WORDS[word]! : null;
    if (meaning === null) throw new CommandEnd(1, `tbf: unknown parameter "${args.word}"\n${TBF_USAGE}`);
    const { option, called, read } = meaning;
    const text = args.next();
    if (found[option] !== 0) throw new CommandEnd(1, `tbf: duplicate "${called}" specification\n`);
    const other = option === "limit" ? found.latency : option === "latency" ? found.limit : 0;
    if (other !== 0) throw new CommandEnd(1, 'tbf: specifying both "limit" and "/latency" is not allowed\n');
    found[option] = read(text);
    if (found[option] < 0) throw new CommandEnd(1, `tbf: illegal value for "${word}": "${text}"\n`);
  }
  return found;
}

/** Units of 64 ns that so many bytes take. iproute2: tc_calc_xmittime() */
function ticksOf(bytes: number, rate: number): number {
  return Math.floor((Math.floor((bytes / rate) * US_PER_SECOND) * NS_PER_US) / PSCHED_TICK_NS);
}

function parseTbf(request: Request, args: Args): void {
  const { limit, latency, burst, mtu, rate, peak } = readTbf(args);
  let complaint = "";
  if (rate === 0) complaint += 'tbf: the "rate" parameter is mandatory.\n';
  if (burst === 0) complaint += 'tbf: the "burst" parameter is mandatory.\n';
  if (peak !== 0 && mtu === 0) complaint += 'tbf: when "peakrate" is specified, "mtu" must also be specified.\n';
  if (limit === 0 && latency === 0) complaint += 'tbf: either "limit" or "latency" is required.\n';
  if (complaint !== "") throw new CommandEnd(1, complaint + TBF_USAGE);
  let bytes = limit;
  if (limit === 0) {
    bytes = (rate * latency) / US_PER_SECOND + burst;
    if (peak !== 0) bytes = Math.min(bytes, (peak * latency) / US_PER_SECOND + mtu);
  }
  const parms = new Uint8Array(TC_TBF_QOPT_BYTES);
  const view = new DataView(parms.buffer);
  const putRate = (at: number, value: number): void => {
    parms[at + TC_RATESPEC_LINKLAYER] = TC_LINKLAYER_ETHERNET;
    view.setUint32(at + TC_RATESPEC_RATE, Math.min(value, U32_MAX), true);
  };
  const wide = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value % 4294967296, Math.floor(value / 4294967296)).buffer);
  putRate(0, rate);
  if (peak !== 0) putRate(TC_TBF_PEAKRATE, peak);
  view.setUint32(TC_TBF_LIMIT, Math.min(bytes, U32_MAX), true);
  view.setUint32(TC_TBF_BUFFER, ticksOf(burst, rate), true);
  if (peak !== 0) view.setUint32(TC_TBF_MTU, ticksOf(mtu, peak), true);
  const nest = request.nest(TCA_OPTIONS);
  request.data(TCA_TBF_PARMS, parms).u32(TCA_TBF_BURST, burst);
  if (rate > U32_MAX) request.data(TCA_TBF_RATE64, wide(rate));
  if (peak > U32_MAX) request.data(TCA_TBF_PRATE64, wide(peak));
  if (peak !== 0) request.u32(TCA_TBF_PBURST, mtu);
  request.nestEnd(nest);
}

/** Whole microseconds of so many units. iproute2: tc_core_tick2time() */
function ticksToUs(ticks: number): number {
  return Math.floor((ticks * PSCHED_TICK_NS) / NS_PER_US);
}

function printTbf(attrs: Attrs, ip: IpContext): string {
  const options = attrs.nested(TCA_OPTIONS);
  const parms = options.data(TCA_TBF_PARMS);
  if (parms.length < TC_TBF_QOPT_BYTES) return "";
  const view = new DataView(parms.buffer, parms.byteOffset, parms.length);
  const rate = options.has(TCA_TBF_RATE64) ? options.u64(TCA_TBF_RATE64, 0) : view.getUint32(TC_RATESPEC_RATE, true);
  const peak = options.has(TCA_TBF_PRATE64) ? options.u64(TCA_TBF_PRATE64, 0) : view.getUint32(TC_TBF_PEAKRATE + TC_RATESPEC_RATE, true);
  const limit = view.getUint32(TC_TBF_LIMIT, true);
  const bufferUs = ticksToUs(view.getUint32(TC_TBF_BUFFER, true));
  const mtuUs = ticksToUs(view.getUint32(TC_TBF_MTU, true));
  const bucket = (us: number, bytesPerSecond: number): string => sizeText(Math.floor((bytesPerSecond * us) / US_PER_SECOND));
  const more = ip.details ? "/1 mpu 0b " : " ";
  let text = `rate ${rateText(rate)} burst ${bucket(bufferUs, rate)}${more}`;
  let latency = (US_PER_SECOND * limit) / rate - bufferUs;
  if (peak !== 0) {
    const minburst = view.getUint32(TC_TBF_MTU, true);
    text += `peakrate ${rateText(peak)} `;
    if (minburst !== 0) text += `${ip.details ? "mtu" : "minburst"} ${bucket(mtuUs, peak)}${more}`;
    latency = Math.max(latency, (US_PER_SECOND * limit) / peak - mtuUs);
  }
  text += latency >= 0 ? `lat ${timeText(latency)} ` : `limit ${sizeText(limit)} `;
  return ip.details ? `${text}linklayer ethernet ` : text;
}

function parseNothing(_request: Request, args: Args): void {
  if (args.more) throw new CommandEnd(255, `qdisc 'pfifo_fast' does not support option parsing\n`);
}

function printPriomap(attrs: Attrs): string {
  const map = attrs.data(TCA_OPTIONS);
  return map.length < 20 ? "" : `bands ${map[0]} priomap ${[...map.slice(4, 20)].join(" ")}`;
}

/** The kinds that have options. */
export const TC_KINDS: Readonly<Record<string, TcKind>> = Object.freeze({
  pfifo: { parse: parsePfifo, print: printPfifo },
  tbf: { parse: parseTbf, print: printTbf },
  pfifo_fast: { parse: parseNothing, print: printPriomap },
});
