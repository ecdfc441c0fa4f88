/*
 * The blob that every stub runs: how it is born from the Sentry, what a runner thread does when a program
 * traps, and how it goes on. The frame the kernel builds at a signal lies in shared memory, so a trapped
 * program's registers already are where the Sentry reads and writes them. Freestanding: no libc, no data.
 * mapper.S is the other half. Nothing here is trusted by the Sentry once a program has run.
 */
#include "layout.h"
#include "time-page.h"
#include <stdint.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define U32(address) (*(volatile uint32_t *)(address))
#define U64(address) (*(volatile uint64_t *)(address))
#define GLOBAL(offset) U32(GLOBAL_BASE + (offset))
#define INLINE static inline __attribute__((always_inline))

INLINE long sc(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
  asm volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return r;
}
INLINE __attribute__((noreturn)) void die(long code) {
  for (;;) sc(SYS_exit_group, code, 0, 0, 0, 0, 0);
}
INLINE uint64_t now_tsc(void) {
  uint32_t lo, hi;
  asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
  return (uint64_t)hi << 32 | lo;
}

/* The CPU we are on: Linux keeps it in TSC_AUX. */
INLINE uint32_t current_cpu(void) {
  uint32_t lo, hi, aux;
  asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
  return aux & 0xfff;
}

void mapper(void) __attribute__((noreturn));
__attribute__((naked)) static void restorer(void) { asm volatile("mov $15, %eax; syscall"); }

/* ---- a runner ---- */

static __attribute__((noreturn)) void resume(uint64_t block, uint32_t index) {
  uint64_t slot = SLOTS_BASE + ((uint64_t)index << SLOT_SHIFT);
  uint64_t header = slot + H_OFFSET;
  U64(header + H_BLOCK) = block;
  uint64_t fs = U64(header + H_FS_BASE), gs = U64(header + H_GS_BASE);
  uint64_t frame = slot + GLOBAL(G_FRAME_OFFSET);
  asm volatile("wrfsbase %0; wrgsbase %1; mov %2, %%rsp; mov $15, %%eax; syscall" ::"r"(fs), "r"(gs),
               "r"(frame)
               : "memory");
  __builtin_unreachable();
}

/* Waits for the next word. The caller has published why it stopped. */
static __attribute__((noreturn)) void wait_for_word(uint64_t block) {
  for (;;) {
    uint64_t start = now_tsc();
    uint32_t word;
    while ((word = U32(block + R_WORD)) == WORD_IDLE) {
      if (now_tsc() - start < GLOBAL(G_RUNNER_SPIN)) {
        asm volatile("pause");
        continue;
      }
      __atomic_store_n((uint32_t *)(block + R_SLEEPING), 1, __ATOMIC_SEQ_CST);
      if (U32(block + R_WORD) == WORD_IDLE) sc(SYS_futex, block + R_WORD, 0, WORD_IDLE, 0, 0, 0);
      U32(block + R_SLEEPING) = 0;
      start = now_tsc();
    }
    if ((word & 0xff) != WORD_RESUME) die(3);
    U32(block + R_WORD) = WORD_BUSY;
    resume(block, word >> 8);
  }
}

__attribute__((noreturn, used)) void runner_main(uint64_t block) { wait_for_word(block); }

__attribute__((noreturn, noinline, used)) static void parked(uint64_t header, uint64_t block) {
  U32(block + R_WORD) = WORD_IDLE;
  __atomic_store_n((uint32_t *)(header + H_STATE), STATE_TRAPPED, __ATOMIC_SEQ_CST);
  if (GLOBAL(G_SENTRY_SLEEPING))
    sc(SYS_write, GLOBAL(G_BELL_FD), GLOBAL_BASE + G_ONE, 8, 0, 0, 0);
  wait_for_word(block);
}

static void on_trap(int sig, siginfo_t *si, void *ucontext) {
  uint64_t slot = (uint64_t)ucontext & ~(uint64_t)(SLOT_BYTES - 1);
  uint64_t header = slot + H_OFFSET;
  /* A program that moved its signal stack elsewhere has only itself to blame. */
  if (slot < SLOTS_BASE || slot >= REGION_END || (uint64_t)ucontext - slot != GLOBAL(G_FRAME_OFFSET)) die(4);
  uint64_t fs, gs;
  asm volatile("rdfsbase %0; rdgsbase %1" : "=r"(fs), "=r"(gs));
  U64(header + H_FS_BASE) = fs;
  U64(header + H_GS_BASE) = gs;
  U32(header + H_SIGNAL) = sig;
  U32(header + H_CODE) = si->si_code;
  U64(header + H_ADDRESS) = (uint64_t)si->si_addr;
  U32(header + H_ARCH) = si->si_arch;
  U32(header + H_CPU) = current_cpu();
  uint64_t block = U64(header + H_BLOCK);
  if (block < RUN_BASE || block >= RUN_BASE + RUN_BYTES || (block & (RUNNER_BYTES - 1)) != RUNNER_BLOCK) die(5);
  asm volatile("mov %1, %%rsp; mov %0, %%rdi; mov %1, %%rsi; call parked" ::"r"(header), "r"(block)
               : "rdi", "rsi", "memory");
  __builtin_unreachable();
}

/* ---- birth of the zygote ---- */

struct kernel_sigaction {
  void *handler;
  unsigned long flags;
  void *restorer;
  unsigned long mask;
};
struct spawn_args {
  uint64_t rseq_address, rseq_length;
  uint64_t shared_fd;
  uint64_t global_offset, ctl_offset, run_offset, slots_offset;
};
/* What the zygote tells of the signal frame, at the start of its RUN area. */
struct probe {
  uint32_t step, error;
  uint64_t ucontext, fpstate;
  uint32_t xstate_bytes, extended_bytes;
  uint64_t xfeatures;
};
#define PROBE ((volatile struct probe *)RUN_BASE)

static void on_probe(int sig, siginfo_t *si, void *ucontext) {
  (void)sig, (void)si;
  ucontext_t *uc = ucontext;
  uint64_t fp = (uint64_t)uc->uc_mcontext.fpregs;
  PROBE->ucontext = (uint64_t)ucontext - SLOTS_BASE;
  PROBE->fpstate = fp - SLOTS_BASE;
  /* struct _fpx_sw_bytes at 464: magic1, extended_size, xfeatures, xstate_size */
  PROBE->extended_bytes = U32(fp + 468);
  PROBE->xfeatures = U64(fp + 472);
  PROBE->xstate_bytes = U32(fp + 480);
}

INLINE void step(uint32_t n, long result) {
  PROBE->step = n;
  if (result < 0) {
    PROBE->error = -result;
    die(2);
  }
}

__attribute__((noreturn, noinline, used)) static void zygote_main(void) {
  step(1, sc(SYS_munmap, 0, REGION_BASE, 0, 0, 0, 0));
  step(2, sc(SYS_munmap, REGION_END, 0x7ffffffff000 - REGION_END, 0, 0, 0, 0));
  step(3, sc(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0));
  if (sc(SYS_getppid, 0, 0, 0, 0, 0, 0) != GLOBAL(G_SENTRY_PID)) die(1);
  char name[16] = {'n', 'e', 't', 'c', 'e', 'l', 'l', '-', 's', 't', 'u', 'b', 0};
  step(4, sc(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0));
  step(5, sc(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0));

  stack_t stack = {(void *)SLOTS_BASE, 0, H_OFFSET};
  step(6, sc(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0));
  struct kernel_sigaction action = {on_probe, SA_SIGINFO | SA_ONSTACK | 0x04000000, restorer, ~0ul};
  step(7, sc(SYS_rt_sigaction, SIGTRAP, (long)&action, 0, 8, 0, 0));
  unsigned long none = 0, all = ~0ul;
  sc(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0);
  asm volatile("int3" ::: "memory");
  stack.ss_flags = SS_DISABLE;
  stack.ss_sp = 0;
  step(8, sc(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0));

  action.handler = on_trap;
  int signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1};
  for (int i = 0; i < 7; i++) step(9, sc(SYS_rt_sigaction, signals[i], (long)&action, 0, 8, 0, 0));
  /* In the blob nothing is delivered; a frame's own mask lets signals through while a program runs. */
  step(10, sc(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0, 0));
  step(11, sc(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0));
  step(12, sc(SYS_seccomp, 1, 0, GLOBAL_BASE + G_BASE_FILTER, 0, 0, 0));
  PROBE->step = 100;
  mapper();
}

/* Called by the Sentry before it locks itself down. Returns the zygote's pid or -errno. */
__attribute__((used)) long spawn(const struct spawn_args *given) {
  struct spawn_args a = *given;
  unsigned long all = ~0ul, old;
  sc(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, 8, 0, 0);
  long pid = sc(SYS_clone, 0x400 /* CLONE_FILES */, 0, 0, 0, 0, 0);
  if (pid != 0) {
    sc(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, 8, 0, 0);
    return pid;
  }
  /* rseq would kill us at the first preemption once its area is unmapped. */
  if (a.rseq_address && sc(SYS_rseq, a.rseq_address, a.rseq_length, 1, 0x53053053, 0, 0) < 0) die(10);
  const int shared = MAP_SHARED | MAP_FIXED;
  if (sc(SYS_mmap, GLOBAL_BASE, 4096, PROT_READ, shared, a.shared_fd, a.global_offset) < 0) die(11);
  if (sc(SYS_mmap, CTL_BASE, CTL_BYTES, PROT_READ, shared, a.shared_fd, a.ctl_offset) < 0) die(12);
  if (sc(SYS_mmap, RUN_BASE, RUN_BYTES, 3, shared, a.shared_fd, a.run_offset) < 0) die(13);
  if (sc(SYS_mmap, SLOTS_BASE, SLOT_BYTES, 3, shared, a.shared_fd, a.slots_offset) < 0) die(14);
  asm volatile("mov %0, %%rsp; call zygote_main" ::"r"(RUN_BASE + RUN_BYTES) : "memory");
  __builtin_unreachable();
}

/* ---- for the Sentry itself ---- */

/* Time as the program's vDSO computes it; clock: see time-page.h. -1: not by TSC. */
__attribute__((used)) long clock_now(const struct time_page *page, int clock) {
  uint64_t ns;
  return time_page_read(page, clock, &ns) ? (long)ns : -1;
}
__attribute__((used)) long read_tsc(void) { return (long)now_tsc(); }
__attribute__((used)) int read_cpu(void) { return (int)current_cpu(); }

__attribute__((section(".entry"), naked, used)) void entry(void) {
  asm volatile("jmp spawn; .balign 16; jmp clock_now; .balign 16; jmp read_tsc; .balign 16; jmp read_cpu; .balign 16");
}
