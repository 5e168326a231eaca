/*
 * Queueing disciplines in rtnetlink messages (Linux: linux/rtnetlink.h, linux/pkt_sched.h, linux/gen_stats.h). Read first: tc(8).
 */

/** struct tcmsg. */
export const TCMSG_BYTES = 20;
export const TCM_IFINDEX = 4;
export const TCM_HANDLE = 8;
export const TCM_PARENT = 12;
export const TCM_INFO = 16;

/** Attributes behind it. */
export const TCA_KIND = 1;
export const TCA_OPTIONS = 2;
export const TCA_STATS = 3;
export const TCA_STATS2 = 7;
export const TCA_MAX = 16;

/** Parents that are no class. */
export const TC_H_ROOT = -1;
export const TC_H_INGRESS = -15;
/** Handles: the number of a discipline in the upper half, that of one of its classes in the lower. */
export const TC_H_MAJ_SHIFT = 16;
export const TC_H_MIN_MASK = 0xffff;

/** Attributes of tbf. */
export const TCA_TBF_PARMS = 1;
export const TCA_TBF_RATE64 = 4;
export const TCA_TBF_PRATE64 = 5;
export const TCA_TBF_BURST = 6;
export const TCA_TBF_PBURST = 7;
/** struct tc_ratespec. */
export const TC_RATESPEC_BYTES = 12;
export const TC_RATESPEC_LINKLAYER = 1;
export const TC_RATESPEC_OVERHEAD = 2;
export const TC_RATESPEC_MPU = 6;
export const TC_RATESPEC_RATE = 8;
export const TC_LINKLAYER_ETHERNET = 1;
/** struct tc_tbf_qopt: two rates, then these. */
export const TC_TBF_QOPT_BYTES = 36;
export const TC_TBF_PEAKRATE = 12;
export const TC_TBF_LIMIT = 24;
export const TC_TBF_BUFFER = 28;
export const TC_TBF_MTU = 32;
/** Time in messages is in units of 64 ns. Linux: PSCHED_SHIFT */
export const PSCHED_TICK_NS = 64;

/** struct tc_prio_qopt: bands, and the band of each of 16 priorities. */
export const TC_PRIO_QOPT_BYTES = 20;

/** Parts of TCA_STATS2, and their sizes. */
export const TCA_STATS_BASIC = 1;
export const TCA_STATS_QUEUE = 3;
export const GNET_STATS_BASIC_BYTES = 16;
export const GNET_STATS_QUEUE_BYTES = 20;
