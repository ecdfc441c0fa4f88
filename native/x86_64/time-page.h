/*
 * The time page: written by the Sentry (loop/time-page.ts), read by the vDSO and by the Sentry's own clock.
 * ns = base + (tsc - tscBase) * multiplier / 2^32, under a sequence count (odd while being written).
 */
#pragma once
#include <stdint.h>

#define TIME_MODE_SYSCALL 0 /* ask the kernel */
#define TIME_MODE_TSC 1
#define TIME_MODE_FROZEN 2 /* the bases as they stand (virtual time) */

#define TIME_MONOTONIC 0
#define TIME_REALTIME 1
#define TIME_BOOTTIME 2

struct time_page {
  volatile uint32_t sequence;
  volatile uint32_t mode;
  volatile uint64_t tsc_base;
  volatile uint64_t multiplier;
  volatile uint64_t base[3]; /* by TIME_* */
};

static inline __attribute__((always_inline)) int time_page_read(const struct time_page *p, int clock,
                                                                uint64_t *ns) {
  for (;;) {
    uint32_t sequence = p->sequence;
    if (sequence & 1) {
      asm volatile("pause");
      continue;
    }
    asm volatile("" ::: "memory");
    uint32_t mode = p->mode;
    uint64_t base = p->base[clock];
    if (mode == TIME_MODE_TSC) {
      uint32_t lo, hi;
      /* lfence: the clock must not be read before what the program did before it. */
      asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
      uint64_t tsc = (uint64_t)hi << 32 | lo;
      uint64_t delta = tsc > p->tsc_base ? tsc - p->tsc_base : 0;
      base += (uint64_t)(((unsigned __int128)delta * p->multiplier) >> 32);
    }
    asm volatile("" ::: "memory");
    if (p->sequence != sequence) continue;
    if (mode == TIME_MODE_SYSCALL) return 0;
    *ns = base;
    return 1;
  }
}
