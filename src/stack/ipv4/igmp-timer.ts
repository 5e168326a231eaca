/**
 * When IGMP reports: the timers of groups and devices, with their random delays. Linux: igmp_start_timer(), igmp_ifc_event(),
 * igmp_timer_expire() and their kind in net/ipv4/igmp.c. Read first: RFC 3376 sections 5.1 and 5.2, RFC 2236 section 3. Owns
 * nothing. As on Linux every delay is two ms longer than drawn.
 */
import { getRandomBelow } from "../../lib/random.ts";
import { words } from "../../lib/table.ts";
import { delTimer, jiffies, modTimer, timerExpires, timerPending } from "../../lib/timer.ts";
import {
  G_DEVICE, G_FLAGS, G_REPORTER, G_TIMER, G_UNSOLICITED, groupByIndex, type IgmpDevice, igmpDeviceByIndex, igmpVersion, NONE,
} from "./igmp-memory.ts";
import { igmpSendReport, igmpv3SendChanges, igmpv3SendReport } from "./igmp-report.ts";

/** Between unsolicited reports: net.ipv4.conf.DEV.igmpv2_unsolicited_report_interval and that of version 3. */
const V2_UNSOLICITED_MS = 10000;
const V3_UNSOLICITED_MS = 1000;
/** What is added to each delay. */
const DELAY_MS = 2;

/** The robustness variable on the device's link. */
export function igmpRobustness(device: IgmpDevice): number {
  return device.qrv !== 0 ? device.qrv : device.dev!.net!.ipv4.igmpQrv;
}

function unsolicitedInterval(device: IgmpDevice): number {
  return igmpVersion(device) === 3 ? V3_UNSOLICITED_MS : V2_UNSOLICITED_MS;
}

/** The group is reported within so many ms. Linux: igmp_start_timer(). */
export function igmpStartTimer(group: number, maxDelayMs: number): void {
  modTimer(words[group + G_TIMER]!, jiffies + getRandomBelow(maxDelayMs) + DELAY_MS);
}

/** The group need not be reported. Linux: igmp_stop_timer(). */
export function igmpStopTimer(group: number): void {
  delTimer(words[group + G_TIMER]!);
  words[group + G_FLAGS]! &= ~G_REPORTER;
  words[group + G_UNSOLICITED] = 0;
}

/** A query asks for the group: it is reported within so many ms, or earlier where that was due. Linux: igmp_mod_timer(). */
export function igmpModTimer(group: number, maxDelayMs: number): void {
  const timer = words[group + G_TIMER]!;
  words[group + G_UNSOLICITED] = 0;
  if (timerPending(timer) && timerExpires(timer) - jiffies < maxDelayMs) return;
  igmpStartTimer(group, maxDelayMs);
}

/** Linux: igmp_timer_expire(). */
export function igmpTimerExpire(index: number): void {
  const group = groupByIndex(index);
  const device = igmpDeviceByIndex(words[group + G_DEVICE]!);
  const left = words[group + G_UNSOLICITED]!;
  if (left > 0) words[group + G_UNSOLICITED] = left - 1;
  if (left > 1) igmpStartTimer(group, unsolicitedInterval(device));
  words[group + G_FLAGS]! |= G_REPORTER;
  igmpSendReport(device, group);
}

/** A general query is answered within its time (version 3). Linux: igmp_gq_start_timer(). */
export function igmpGqStartTimer(device: IgmpDevice): void {
  const timer = device.generalTimer;
  const expires = (jiffies + getRandomBelow(device.maxDelayMs) + DELAY_MS) | 0;
  if (timerPending(timer) && ((expires - timerExpires(timer)) | 0) >= 0) return;
  modTimer(timer, expires);
}

/** Linux: igmp_gq_timer_expire(). */
export function igmpGqTimerExpire(index: number): void {
  igmpv3SendReport(igmpDeviceByIndex(index), NONE);
}

/** The memberships of a device have changed: it is reported as often as the robustness variable says. Linux: igmp_ifc_event(). */
export function igmpIfcEvent(device: IgmpDevice): void {
  if (igmpVersion(device) !== 3) return;
  device.changeReports = igmpRobustness(device);
  modTimer(device.changeTimer, jiffies + DELAY_MS);
}

/** Linux: igmp_ifc_timer_expire(). */
export function igmpIfcTimerExpire(index: number): void {
  const device = igmpDeviceByIndex(index);
  igmpv3SendChanges(device);
  if (device.changeReports > 0 && --device.changeReports > 0) {
    modTimer(device.changeTimer, jiffies + getRandomBelow(unsolicitedInterval(device)) + DELAY_MS);
  }
}

/** No report is due any more. */
export function igmpStopDevice(device: IgmpDevice): void {
  device.changeReports = 0;
  delTimer(device.changeTimer);
  delTimer(device.generalTimer);
}
