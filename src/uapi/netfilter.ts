/** Netfilter's numbers: hooks, verdicts, protocols, priorities. Linux: linux/netfilter.h, linux/netfilter_ipv4.h. */

export const NF_INET_PRE_ROUTING = 0;
export const NF_INET_LOCAL_IN = 1;
export const NF_INET_FORWARD = 2;
export const NF_INET_LOCAL_OUT = 3;
export const NF_INET_POST_ROUTING = 4;
export const NF_INET_NUMHOOKS = 5;

export const NF_DROP = 0;
export const NF_ACCEPT = 1;
/** The hook keeps the packet, or has ended it. */
export const NF_STOLEN = 2;
/** To the queue handler; its number is in the upper 16 bits. */
export const NF_QUEUE = 3;
/** The same hook once more. */
export const NF_REPEAT = 4;
export const NF_VERDICT_MASK = 0xff;
export const NF_VERDICT_SHIFT = 16;
/** With NF_QUEUE: when nobody listens to the queue the packet passes instead of being dropped. */
export const NF_VERDICT_FLAG_QUEUE_BYPASS = 0x8000;

export const NFPROTO_IPV4 = 2;

export const NF_IP_PRI_FIRST = -0x80000000;
export const NF_IP_PRI_RAW_BEFORE_DEFRAG = -450;
export const NF_IP_PRI_CONNTRACK_DEFRAG = -400;
export const NF_IP_PRI_RAW = -300;
export const NF_IP_PRI_CONNTRACK = -200;
export const NF_IP_PRI_MANGLE = -150;
export const NF_IP_PRI_NAT_DST = -100;
export const NF_IP_PRI_FILTER = 0;
export const NF_IP_PRI_NAT_SRC = 100;
export const NF_IP_PRI_CONNTRACK_HELPER = 300;
export const NF_IP_PRI_CONNTRACK_CONFIRM = 0x7fffffff;
export const NF_IP_PRI_LAST = 0x7fffffff;

/** A verdict that drops the packet and tells its sender this errno. Linux: NF_DROP_ERR(). */
export function nfDropErr(errno: number): number {
  return (errno << NF_VERDICT_SHIFT) | NF_DROP;
}

/** A verdict that sends the packet to a queue (0..65535). Linux: NF_QUEUE_NR(). */
export function nfQueueNr(queue: number): number {
  return (queue << NF_VERDICT_SHIFT) | NF_QUEUE;
}
