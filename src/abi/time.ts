// Clocks and timers (include/uapi/linux/time.h, clock_gettime(2), timer_create(2)).

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;
/** Negative ids name a process or thread: (~pid << 3) | per-thread 4 | type (clock_getcpuclockid(3)). */
export const CPUCLOCK_PERTHREAD = 4;
export const CPUCLOCK_TYPE_MASK = 3;
export const CPUCLOCK_PROF = 0;
export const CPUCLOCK_VIRT = 1;
export const CPUCLOCK_SCHED = 2;

export const TIMER_ABSTIME = 1;
export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

export const SIGEV_SIGNAL = 0;
export const SIGEV_NONE = 1;
export const SIGEV_THREAD = 2;
export const SIGEV_THREAD_ID = 4;

/** sysconf(_SC_CLK_TCK). */
export const USER_HZ = 100;
export const TICK_NS = 10_000_000;
/** Resolution of the coarse clocks: a kernel of 250 Hz. */
export const COARSE_NS = 4_000_000;
