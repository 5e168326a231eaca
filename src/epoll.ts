/**
 * epoll as a part. boot() lists it, a program of startKernel() where it wants it; without it epollCreate1() is -ENFILE, and a program asks
 * by poll() or by trying. Its sizes are the options epolls and epollItems; of 0 instances there is nothing.
 */
import { type Config, EPOLL_SIZES } from "./config.ts";
import { FS_INITCALL, type Initcall } from "./lib/initcall.ts";
import { epPoll, eventpollFree, eventpollInit, eventpollRelease } from "./stack/socket/eventpoll.ts";
import { registerEpoll } from "./stack/socket/files.ts";

/** Not made at boot: there it would be in RAM. */
const EPOLL = Object.freeze({ release: eventpollRelease, free: eventpollFree, poll: epPoll });

/** For the option `initcalls`. */
export const epoll: Initcall<Config> = Object.freeze({
  level: FS_INITCALL,
  name: "eventpoll",
  sizes: EPOLL_SIZES,
  init({ epolls, epollItems }: Config) {
    if (epolls === 0) return;
    eventpollInit(epolls, epollItems);
    registerEpoll(EPOLL);
  },
});
