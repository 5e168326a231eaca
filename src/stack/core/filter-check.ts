/**
 * The verifier of socket filters: what passes it ends, jumps forward only and inside of itself, and uses no scratch word before it
 * has a value. Linux: bpf_check_classic(), chk_code_allowed() and check_load_and_stores() of net/core/filter.c. Owns the scratch
 * masks. A program is an array of four numbers an instruction: code, jt, jf, k.
 */
import { halves, halfTable } from "../../lib/table.ts";
import { EINVAL, ENOMEM } from "../../uapi/errno.ts";
import {
  BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_CLASS_MASK, BPF_DIV, BPF_H, BPF_IMM, BPF_IND, BPF_JA, BPF_JMP, BPF_JSET, BPF_K,
  BPF_LD, BPF_LDX, BPF_LEN, BPF_LSH, BPF_MAXINSNS, BPF_MEM, BPF_MEMWORDS, BPF_MISC, BPF_MOD, BPF_MSH, BPF_NEG, BPF_RET, BPF_RSH,
  BPF_ST, BPF_STX, BPF_TAX, BPF_TXA, BPF_W, BPF_X, BPF_XOR, SKF_AD_NLATTR, SKF_AD_NLATTR_NEST, SKF_AD_OFF, SKF_AD_PAY_OFFSET,
  SKF_AD_VLAN_TPID,
} from "../../uapi/filter.ts";

/** Numbers of an instruction. */
export const INSN_NUMBERS = 4;
const ALL_WORDS = 0xffff;

/** Where in `halves` is, for each instruction, which scratch words have a value on every way to it. */
let masks = 0;
let maxInsns = 0;

/** Boot. @param insns of the longest program */
export function filterCheckInit(insns: number): void {
  masks = halfTable("sk_filter", insns);
  maxInsns = insns;
}

function loadAllowed(code: number): boolean {
  switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_B | BPF_MSH:
    case BPF_LDX | BPF_IMM:
    case BPF_LDX | BPF_MEM:
      return true;
    default:
      return false;
  }
}

/** Is there such an instruction? Linux: chk_code_allowed(). */
function codeAllowed(code: number): boolean {
  const operation = code & 0xf0;
  switch (code & BPF_CLASS_MASK) {
    case BPF_LD:
    case BPF_LDX:
      return loadAllowed(code);
    case BPF_ST:
    case BPF_STX:
      return code === BPF_ST || code === BPF_STX;
    case BPF_ALU:
      return code <= (BPF_ALU | BPF_XOR | BPF_X) && (operation !== BPF_NEG || code === (BPF_ALU | BPF_NEG));
    case BPF_JMP:
      return code <= (BPF_JMP | BPF_JSET | BPF_X) && (operation !== BPF_JA || code === (BPF_JMP | BPF_JA));
    case BPF_RET:
      return code === (BPF_RET | BPF_K) || code === (BPF_RET | BPF_A);
    default:
      return code === (BPF_MISC | BPF_TAX) || code === (BPF_MISC | BPF_TXA);
  }
}

/** Is a load from that offset of the packet, or of what the stack knows of it? Those of netlink messages and dissectors are not there. */
function ancillaryAllowed(k: number): boolean {
  if (k < SKF_AD_OFF || k >= 0) return true;
  const what = k - SKF_AD_OFF;
  return (what & 3) === 0 && what >= 0 && what <= SKF_AD_VLAN_TPID
    && what !== SKF_AD_NLATTR && what !== SKF_AD_NLATTR_NEST && what !== SKF_AD_PAY_OFFSET;
}

/** May the operand be? @param left instructions behind this one */
function operandAllowed(code: number, jt: number, jf: number, k: number, left: number): boolean {
  switch (code & BPF_CLASS_MASK) {
    case BPF_ALU:
      if ((code & BPF_X) !== 0) return true;
      if (code === (BPF_ALU | BPF_DIV) || code === (BPF_ALU | BPF_MOD)) return k !== 0;
      return (code !== (BPF_ALU | BPF_LSH) && code !== (BPF_ALU | BPF_RSH)) || k >>> 0 < 32;
    case BPF_ST:
    case BPF_STX:
      return k >>> 0 < BPF_MEMWORDS;
    case BPF_LD:
    case BPF_LDX:
      if ((code & 0xe0) === BPF_MEM) return k >>> 0 < BPF_MEMWORDS;
      return code !== (BPF_LD | (code & 0x18) | BPF_ABS) || ancillaryAllowed(k);
    case BPF_JMP:
      return code === (BPF_JMP | BPF_JA) ? k >>> 0 < left : jt < left && jf < left;
    default:
      return true;
  }
}

/** Has every scratch word that is read a value on each way there? Linux: check_load_and_stores(). */
function scratchAllowed(program: Int32Array, count: number): boolean {
  for (let pc = 0; pc < count; pc++) halves[masks + pc] = ALL_WORDS;
  let valid = 0;
  for (let pc = 0; pc < count; pc++) {
    valid &= halves[masks + pc]!;
    const at = pc * INSN_NUMBERS;
    const code = program[at]!;
    const k = program[at + 3]!;
    if (code === BPF_ST || code === BPF_STX) {
      valid |= 1 << k;
    } else if (code === (BPF_LD | BPF_MEM) || code === (BPF_LDX | BPF_MEM)) {
      if ((valid & (1 << k)) === 0) return false;
    } else if (code === (BPF_JMP | BPF_JA)) {
      halves[masks + pc + 1 + k]! &= valid;
      valid = ALL_WORDS;
    } else if ((code & BPF_CLASS_MASK) === BPF_JMP) {
      halves[masks + pc + 1 + program[at + 1]!]! &= valid;
      halves[masks + pc + 1 + program[at + 2]!]! &= valid;
      valid = ALL_WORDS;
    }
  }
  return true;
}

/**
 * May the program run? 0, -EINVAL for one that is none, -ENOMEM for one longer than there is room for.
 * Linux: bpf_check_classic().
 */
export function filterCheck(program: Int32Array): number {
  const count = program.length / INSN_NUMBERS;
  if ((count | 0) !== count || count === 0 || count > BPF_MAXINSNS) return -EINVAL;
  if (count > maxInsns) return -ENOMEM;
  for (let pc = 0; pc < count; pc++) {
    const at = pc * INSN_NUMBERS;
    const code = program[at]!;
    const jt = program[at + 1]!;
    const jf = program[at + 2]!;
    if ((code & 0xff) !== code || (jt & 0xff) !== jt || (jf & 0xff) !== jf || !codeAllowed(code)) return -EINVAL;
    if (!operandAllowed(code, jt, jf, program[at + 3]!, count - pc - 1)) return -EINVAL;
  }
  if ((program[(count - 1) * INSN_NUMBERS]! & BPF_CLASS_MASK) !== BPF_RET) return -EINVAL;
  return scratchAllowed(program, count) ? 0 : -EINVAL;
}
