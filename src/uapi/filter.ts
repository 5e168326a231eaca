/*
 * Classic BPF: instruction codes of socket filters (Linux: linux/filter.h, linux/bpf_common.h). Read first: McCanne and Jacobson,
 * "The BSD Packet Filter" (1993); Documentation/networking/filter. An instruction is four numbers, code, jt, jf and k, as
 * `tcpdump -ddd` prints them.
 */

/** Classes: the low three bits of a code. */
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_RET = 0x06;
export const BPF_MISC = 0x07;
export const BPF_CLASS_MASK = 0x07;

/** Sizes of loads. */
export const BPF_W = 0x00;
export const BPF_H = 0x08;
export const BPF_B = 0x10;

/** Modes of loads. */
export const BPF_IMM = 0x00;
export const BPF_ABS = 0x20;
export const BPF_IND = 0x40;
export const BPF_MEM = 0x60;
export const BPF_LEN = 0x80;
export const BPF_MSH = 0xa0;

/** Operations of BPF_ALU. */
export const BPF_ADD = 0x00;
export const BPF_SUB = 0x10;
export const BPF_MUL = 0x20;
export const BPF_DIV = 0x30;
export const BPF_OR = 0x40;
export const BPF_AND = 0x50;
export const BPF_LSH = 0x60;
export const BPF_RSH = 0x70;
export const BPF_NEG = 0x80;
export const BPF_MOD = 0x90;
export const BPF_XOR = 0xa0;

/** Operations of BPF_JMP. */
export const BPF_JA = 0x00;
export const BPF_JEQ = 0x10;
export const BPF_JGT = 0x20;
export const BPF_JGE = 0x30;
export const BPF_JSET = 0x40;

/** Where the second operand is: in the instruction, in X, or (BPF_RET) in A. */
export const BPF_K = 0x00;
export const BPF_X = 0x08;
export const BPF_A = 0x10;

/** Operations of BPF_MISC. */
export const BPF_TAX = 0x00;
export const BPF_TXA = 0x80;

/** Words of scratch memory. */
export const BPF_MEMWORDS = 16;
/** Longest program. */
export const BPF_MAXINSNS = 4096;

/** Loads from these offsets on are of what the stack knows of a packet. */
export const SKF_AD_OFF = -0x1000;
export const SKF_AD_PROTOCOL = 0;
export const SKF_AD_PKTTYPE = 4;
export const SKF_AD_IFINDEX = 8;
export const SKF_AD_NLATTR = 12;
export const SKF_AD_NLATTR_NEST = 16;
export const SKF_AD_MARK = 20;
export const SKF_AD_QUEUE = 24;
export const SKF_AD_HATYPE = 28;
export const SKF_AD_RXHASH = 32;
export const SKF_AD_CPU = 36;
export const SKF_AD_ALU_XOR_X = 40;
export const SKF_AD_VLAN_TAG = 44;
export const SKF_AD_VLAN_TAG_PRESENT = 48;
export const SKF_AD_PAY_OFFSET = 52;
export const SKF_AD_RANDOM = 56;
export const SKF_AD_VLAN_TPID = 60;
/** Loads relative to the network header, and to the link header. */
export const SKF_NET_OFF = -0x100000;
export const SKF_LL_OFF = -0x200000;
