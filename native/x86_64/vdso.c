/*
 * The vDSO that programs get: clocks from the Sentry's time page without a trap. The time page is the
 * page mapped right before the image. Symbols and version as in Linux's (vdso(7)).
 */
#include "time-page.h"
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#define SECOND 1000000000ull

/* The linker script puts this symbol one page before the image. */
extern const struct time_page time_page __attribute__((visibility("hidden")));

INLINE long sc3(long n, const void *a, const void *b, const void *c) {
  long r;
  asm volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return r;
}

/* Index into the bases, or -1: the kernel knows. */
INLINE int base_of(clockid_t clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
      return TIME_REALTIME;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
      return TIME_MONOTONIC;
    case CLOCK_BOOTTIME:
      return TIME_BOOTTIME;
    default:
      return -1;
  }
}

EXPORT int __vdso_clock_gettime(clockid_t clock, struct timespec *ts) {
  int base = base_of(clock);
  uint64_t ns;
  if (base < 0 || !time_page_read(&time_page, base, &ns))
    return sc3(SYS_clock_gettime, (void *)(long)clock, ts, 0);
  ts->tv_sec = ns / SECOND;
  ts->tv_nsec = ns % SECOND;
  return 0;
}

EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz) {
  uint64_t ns;
  if (!time_page_read(&time_page, TIME_REALTIME, &ns)) return sc3(SYS_gettimeofday, tv, tz, 0);
  if (tv) {
    tv->tv_sec = ns / SECOND;
    tv->tv_usec = ns % SECOND / 1000;
  }
  if (tz) {
    tz->tz_minuteswest = 0;
    tz->tz_dsttime = 0;
  }
  return 0;
}

EXPORT time_t __vdso_time(time_t *t) {
  uint64_t ns;
  if (!time_page_read(&time_page, TIME_REALTIME, &ns)) return sc3(SYS_time, t, 0, 0);
  time_t seconds = ns / SECOND;
  if (t) *t = seconds;
  return seconds;
}

EXPORT int __vdso_clock_getres(clockid_t clock, struct timespec *ts) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
      if (ts) {
        ts->tv_sec = 0;
        ts->tv_nsec = 1;
      }
      return 0;
    default:
      return sc3(SYS_clock_getres, (void *)(long)clock, ts, 0);
  }
}

/* The sandbox has one memory node; the CPU is the one the host runs us on, as the program could ask anyway. */
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused) {
  return sc3(SYS_getcpu, cpu, node, unused);
}

#define ALIAS(name) __attribute__((weak, visibility("default"), alias("__vdso_" #name)))
int clock_gettime(clockid_t, struct timespec *) ALIAS(clock_gettime);
int gettimeofday(struct timeval *, void *) ALIAS(gettimeofday);
time_t time(time_t *) ALIAS(time);
int clock_getres(clockid_t, struct timespec *) ALIAS(clock_getres);
long getcpu(unsigned *, unsigned *, void *) ALIAS(getcpu);

/* For handlers installed without SA_RESTORER. */
EXPORT __attribute__((naked)) void __netcell_sigreturn(void) { asm volatile("mov $15, %eax; syscall"); }
