// Recovers from SIGSEGV three ways: siglongjmp, mprotect and return, and on an alternate stack after
// running out of the ordinary one. Checks the siginfo of each.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int code;
static void *volatile addr;
static volatile char *page;

static void jump(int sig, siginfo_t *si, void *uc) {
  (void)uc;
  code = si->si_code;
  addr = si->si_addr;
  siglongjmp(back, sig);
}
static void repair(int sig, siginfo_t *si, void *uc) {
  (void)sig;
  (void)uc;
  code = si->si_code;
  addr = si->si_addr;
  mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
}
static int deep(int n) {
  volatile char frame[4096];
  memset((char *)frame, n, sizeof frame);
  return deep(n + 1) + frame[n & 4095];
}
static void install(void (*f)(int, siginfo_t *, void *), int flags) {
  struct sigaction sa = {0};
  sa.sa_sigaction = f;
  sa.sa_flags = SA_SIGINFO | flags;
  sigaction(SIGSEGV, &sa, NULL);
  sigaction(SIGBUS, &sa, NULL);
}
#define CHECK(c) do { if (!(c)) { printf("failed: %s (code %d addr %p)\n", #c, code, addr); return 1; } } while (0)

int main(void) {
  install(jump, 0);
  if (sigsetjmp(back, 1) == 0) { *(volatile int *)0x10 = 1; return 1; }
  CHECK(code == SEGV_MAPERR && addr == (void *)0x10);

  page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  install(repair, 0);
  page[5] = 'x';
  CHECK(page[5] == 'x' && code == SEGV_ACCERR && addr == (void *)(page + 5));

  stack_t ss = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&ss, NULL);
  install(jump, SA_ONSTACK);
  if (sigsetjmp(back, 1) == 0) return deep(0);
  CHECK(code == SEGV_MAPERR || code == SEGV_ACCERR);

  struct sigaction fpe = {0};
  fpe.sa_sigaction = jump;
  fpe.sa_flags = SA_SIGINFO;
  sigaction(SIGFPE, &fpe, NULL);
  sigaction(SIGILL, &fpe, NULL);
  volatile int zero = 0, seven = 7;
  if (sigsetjmp(back, 1) == 0) { code = seven / zero; return 1; }
  CHECK(code == FPE_INTDIV);
  if (sigsetjmp(back, 1) == 0) { __asm__ volatile("ud2"); return 1; }
  CHECK(code == ILL_ILLOPN || code == ILL_ILLOPC);
  puts("recovered");
  return 0;
}
