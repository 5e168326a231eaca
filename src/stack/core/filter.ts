/**
 * Socket filters: classic BPF programs that say of each packet whether a socket gets it, and how much of it. Linux:
 * net/core/filter.c (sk_attach_filter(), sk_filter_trim_cap(), the interpreter); the verifier is filter-check.ts. Owns the memory
 * of the programs, one row for each filter (options bpfFilters, bpfInsns), and the scratch words.
 *
 * A program runs over packet memory and allocates nothing. Every load is checked against the packet's ends; one outside of it ends
 * the program with 0, "not wanted".
 */
import { MEM_STAGING, mem8, memView } from "../../lib/memory.ts";
import { type Slab, slabAlloc, slabCreate, slabFree, slabWords } from "../../lib/pool.ts";
import { getRandomU32 } from "../../lib/random.ts";
import { halfWords, words, wordTable } from "../../lib/table.ts";
import { EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from "../../uapi/errno.ts";
import {
  BPF_A, BPF_ABS, BPF_ADD, BPF_ALU, BPF_AND, BPF_B, BPF_DIV, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JGT, BPF_JMP,
  BPF_K, BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MEM, BPF_MEMWORDS, BPF_MISC, BPF_MOD, BPF_MSH, BPF_MUL, BPF_OR,
  BPF_RET, BPF_RSH, BPF_ST, BPF_STX, BPF_SUB, BPF_TAX, BPF_TXA, BPF_X, BPF_XOR, SKF_AD_ALU_XOR_X, SKF_AD_HATYPE, SKF_AD_IFINDEX,
  SKF_AD_MARK, SKF_AD_OFF, SKF_AD_PKTTYPE, SKF_AD_PROTOCOL, SKF_AD_RANDOM, SKF_LL_OFF, SKF_NET_OFF,
} from "../../uapi/filter.ts";
import { AF_NETLINK, SOCK_STREAM } from "../../uapi/socket.ts";
import { filterCheck, filterCheckInit, INSN_NUMBERS } from "./filter-check.ts";
import { skbCopyBits } from "./skb-frags.ts";
import type { SkBuff } from "./skbuff.ts";
import { registerSkFilter, SK_FAMILY, SK_TYPE, type Sock, SOCK_FILTERED } from "./sock.ts";

/** Words of a row: the handle of its socket, the numbers of its program, then two for each instruction: code, jt, jf in bytes 0, 2, 3; and k. */
const ROW_HEAD = 2;

let filters: Slab;
let filterCount = 0;
let rows = 0;
let rowWords = 0;
/** M[]. */
let scratch = 0;
/** What a load found; whether it was inside of the packet is what load() answers. */
let loaded = 0;

/** Not made at boot: there it would be in RAM. */
const OPS = Object.freeze({ attach: skAttachFilter, detach: skDetachFilter, get: skGetFilter, run: skRunFilter });

/** Words that the tables take. */
export function filterWords(count: number, insns: number): number {
  return count * (ROW_HEAD + 2 * insns) + BPF_MEMWORDS + halfWords(insns) + slabWords(count);
}

/** Boot: SO_ATTACH_FILTER works. @param count filters at once @param insns instructions of each at most */
export function filterInit(count: number, insns: number): void {
  rowWords = ROW_HEAD + 2 * insns;
  filterCount = count;
  filters = slabCreate("sk_filter", count);
  rows = wordTable("sk_filter", count * rowWords, -1);
  scratch = wordTable("sk_filter", BPF_MEMWORDS);
  filterCheckInit(insns);
  registerSkFilter(OPS);
}

/** The row of a socket's filter, -1 for none. There are few filters. */
function rowOf(sk: Sock): number {
  const index = sk.index;
  for (let row = 0; row < filterCount; row++) if (words[rows + row * rowWords] === index) return row;
  return -1;
}

/**
 * Gives a datagram, raw or packet socket its filter, in the place of the one before.
 * @param program four numbers an instruction, as `tcpdump -ddd` prints them behind the count
 * @returns 0, -EINVAL (no program that may run), -ENOMEM, -EOPNOTSUPP (streams, netlink). Linux: sk_attach_filter()
 */
function skAttachFilter(sk: Sock, program: Int32Array): number {
  if (words[sk.cold + SK_TYPE] === SOCK_STREAM || words[sk.cold + SK_FAMILY] === AF_NETLINK) return -EOPNOTSUPP;
  const err = filterCheck(program);
  if (err < 0) return err;
  let row = rowOf(sk);
  if (row < 0) row = slabAlloc(filters);
  if (row < 0) return -ENOMEM;
  let to = rows + row * rowWords;
  words[to] = sk.index;
  words[to + 1] = program.length;
  for (let at = 0; at < program.length; at += INSN_NUMBERS) {
    to += 2;
    words[to] = program[at]! | (program[at + 1]! << 16) | (program[at + 2]! << 24);
    words[to + 1] = program[at + 3]!;
  }
  sk.flags |= SOCK_FILTERED;
  return 0;
}

/** Takes the filter away: 0 or -ENOENT. Linux: sk_detach_filter(). */
function skDetachFilter(sk: Sock): number {
  const row = (sk.flags & SOCK_FILTERED) === 0 ? -1 : rowOf(sk);
  if (row < 0) return -ENOENT;
  sk.flags &= ~SOCK_FILTERED;
  words[rows + row * rowWords] = -1;
  slabFree(filters, row);
  return 0;
}

/** Reads a socket's program: the numbers written, 0 without one, -EINVAL when `out` is too short. Linux: sk_get_filter(). */
function skGetFilter(sk: Sock, out: Int32Array): number {
  if ((sk.flags & SOCK_FILTERED) === 0) return 0;
  let from = rows + rowOf(sk) * rowWords;
  const length = words[from + 1]!;
  if (length > out.length) return -EINVAL;
  for (let at = 0; at < length; at += INSN_NUMBERS) {
    from += 2;
    const insn = words[from]!;
    out[at] = insn & 0xffff;
    out[at + 1] = (insn >> 16) & 255;
    out[at + 2] = insn >>> 24;
    out[at + 3] = words[from + 1]!;
  }
  return length;
}

/** Reads 1, 2 or 4 bytes of a packet into `loaded`: false when they are not all there. Linux: bpf_skb_load_helper_*(). */
function load(skb: SkBuff, offset: number, size: number): boolean {
  let at = skb.data + offset;
  if (offset < 0) {
    if (offset >= SKF_NET_OFF) at = skb.nh + offset - SKF_NET_OFF;
    else if (offset >= SKF_LL_OFF) at = skb.mac + offset - SKF_LL_OFF;
    else return false;
    if (at < skb.head || at + size > skb.tail) return false;
  } else if (at + size > skb.tail) {
    if (offset + size > skb.len || skbCopyBits(skb, offset, MEM_STAGING, size) < 0) return false;
    at = MEM_STAGING;
  }
  loaded = size === 4 ? memView.getInt32(at) : size === 2 ? memView.getUint16(at) : mem8[at]!;
  return true;
}

/** What the stack knows of a packet. A device has one queue, this machine one CPU; tags are part of the packet. */
function ancillary(skb: SkBuff, what: number): number {
  switch (what) {
    case SKF_AD_PROTOCOL: return skb.protocol;
    case SKF_AD_PKTTYPE: return skb.pktType;
    case SKF_AD_IFINDEX: return skb.dev === null ? 0 : skb.dev.ifindex;
    case SKF_AD_HATYPE: return skb.dev === null ? 0 : skb.dev.type;
    case SKF_AD_MARK: return skb.mark;
    case SKF_AD_RANDOM: return getRandomU32() | 0;
    default: return 0;
  }
}

/** A op operand. Division by zero is the caller's. */
function alu(operation: number, a: number, operand: number): number {
  switch (operation) {
    case BPF_ADD: return (a + operand) | 0;
    case BPF_SUB: return (a - operand) | 0;
    case BPF_MUL: return Math.imul(a, operand);
    case BPF_DIV: return ((a >>> 0) / (operand >>> 0)) | 0;
    case BPF_MOD: return ((a >>> 0) % (operand >>> 0)) | 0;
    case BPF_OR: return a | operand;
    case BPF_AND: return a & operand;
    case BPF_XOR: return a ^ operand;
    case BPF_LSH: return a << operand;
    case BPF_RSH: return (a >>> operand) | 0;
    default: return -a | 0;
  }
}

function jumps(operation: number, a: number, operand: number): boolean {
  switch (operation) {
    case BPF_JEQ: return a === operand;
    case BPF_JGT: return a >>> 0 > operand >>> 0;
    case BPF_JGE: return a >>> 0 >= operand >>> 0;
    default: return (a & operand) !== 0;
  }
}

/**
 * Runs a socket's filter over a packet, from skb.data on: how many bytes of it the socket wants, 0 for none of it.
 * Linux: bpf_prog_run_clear_cb().
 */
function skRunFilter(sk: Sock, skb: SkBuff): number {
  const row = rowOf(sk);
  let at = rows + row * rowWords + ROW_HEAD;
  let a = 0;
  let x = 0;
  for (;;) {
    const insn = words[at]!;
    const k = words[at + 1]!;
    const code = insn & 0xffff;
    at += 2;
    switch (code) {
      case BPF_LD | BPF_ABS:
      case BPF_LD | BPF_H | BPF_ABS:
      case BPF_LD | BPF_B | BPF_ABS:
        if (k < 0 && k >= SKF_AD_OFF) {
          a = k === SKF_AD_OFF + SKF_AD_ALU_XOR_X ? a ^ x : ancillary(skb, k - SKF_AD_OFF);
          break;
        }
        if (!load(skb, k, (code & BPF_B) !== 0 ? 1 : (code & BPF_H) !== 0 ? 2 : 4)) return 0;
        a = loaded;
        break;
      case BPF_LD | BPF_IND:
      case BPF_LD | BPF_H | BPF_IND:
      case BPF_LD | BPF_B | BPF_IND:
        if (!load(skb, (x + k) | 0, (code & BPF_B) !== 0 ? 1 : (code & BPF_H) !== 0 ? 2 : 4)) return 0;
        a = loaded;
        break;
      case BPF_LDX | BPF_B | BPF_MSH:
        if (!load(skb, k, 1)) return 0;
        x = (loaded & 15) << 2;
        break;
      case BPF_LD | BPF_LEN: a = skb.len; break;
      case BPF_LDX | BPF_LEN: x = skb.len; break;
      case BPF_LD | BPF_IMM: a = k; break;
      case BPF_LDX | BPF_IMM: x = k; break;
      case BPF_LD | BPF_MEM: a = words[scratch + k]!; break;
      case BPF_LDX | BPF_MEM: x = words[scratch + k]!; break;
      case BPF_ST: words[scratch + k] = a; break;
      case BPF_STX: words[scratch + k] = x; break;
      case BPF_MISC | BPF_TAX: x = a; break;
      case BPF_MISC | BPF_TXA: a = x; break;
      case BPF_RET | BPF_K: return k < 0 ? 0x7fffffff : k;
      case BPF_RET | BPF_A: return a < 0 ? 0x7fffffff : a;
      case BPF_JMP | BPF_JA: at += k << 1; break;
      case BPF_ALU | BPF_DIV | BPF_X:
      case BPF_ALU | BPF_MOD | BPF_X:
        if (x === 0) return 0;
        a = alu(code & 0xf0, a, x);
        break;
      default: {
        const operand = (code & BPF_X) !== 0 ? x : k;
        if ((code & 7) === BPF_ALU) a = alu(code & 0xf0, a, operand);
        else at += (jumps(code & 0xf0, a, operand) ? (insn >> 16) & 255 : insn >>> 24) << 1;
      }
    }
  }
}
