// epoll(7) operations and flags of eventfd, timerfd and signalfd (uapi/linux/eventpoll.h and kin).
// The readiness bits are in poll.ts.
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLL_CLOEXEC = 0x80000;

// eventfd(2).
export const EFD_SEMAPHORE = 1;
export const EFD_CLOEXEC = 0x80000;
export const EFD_NONBLOCK = 0x800;

// timerfd_create(2).
export const TFD_CLOEXEC = 0x80000;
export const TFD_NONBLOCK = 0x800;
export const TFD_TIMER_ABSTIME = 1;
export const TFD_TIMER_CANCEL_ON_SET = 2;

// signalfd(2).
export const SFD_CLOEXEC = 0x80000;
export const SFD_NONBLOCK = 0x800;
/** struct signalfd_siginfo. */
export const SIGNALFD_SIGINFO_BYTES = 128;

/** struct epoll_event is packed on x86-64: events (4), data (8). */
export const EPOLL_EVENT_BYTES = 12;
/** TFD_IOC_SET_TICKS */
export const TFD_IOC_SET_TICKS = 0x40085400;
