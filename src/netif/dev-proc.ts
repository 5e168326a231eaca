/**
 * /proc/net/dev as text: what each device has counted. Linux: net/core/net-procfs.c. For people and for `ifconfig`: makes strings.
 */
import type { Net } from "../stack/core/net.ts";
import type { NetDevice } from "../stack/core/net-device.ts";

const HEADER = "Inter-|   Receive                                                |  Transmit\n"
  + " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
/** Widths of the columns behind the name. */
const WIDTHS: readonly number[] = Object.freeze([7, 7, 4, 4, 4, 5, 10, 9, 8, 7, 4, 4, 4, 5, 7, 10]);

/** Linux: dev_seq_printf_stats(). */
function formatStats(dev: NetDevice): string {
  const stats = dev.stats;
  const values = [
    stats.rxBytes, stats.rxPackets, stats.rxErrors, stats.rxDropped, stats.rxFifoErrors, stats.rxLengthErrors, 0, stats.multicast,
    stats.txBytes, stats.txPackets, stats.txErrors, stats.txDropped, 0, 0, 0, 0,
  ];
  return `${dev.name.padStart(6)}: ${values.map((value, i) => String(value).padStart(WIDTHS[i]!)).join(" ")}\n`;
}

/** What `cat /proc/net/dev` prints. */
export function formatNetDev(net: Net): string {
  let text = HEADER;
  for (let dev = net.devices; dev !== null; dev = dev.nextDev) text += formatStats(dev);
  return text;
}
