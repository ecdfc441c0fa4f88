// Vector registers and the x87/SSE control words must survive system calls, signals (whose handlers
// scribble over them) and switches between threads.
#define _GNU_SOURCE
#include <fenv.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static volatile int signals;
__attribute__((target("avx"))) static void handler(int sig) {
  (void)sig;
  __m256d junk = _mm256_set1_pd(-1.0);
  __asm__ volatile("vmovapd %0, %%ymm0\n vmovapd %0, %%ymm7\n vmovapd %0, %%ymm15" ::"x"(junk)
                   : "xmm0", "xmm7", "xmm15");
  signals++;
}
__attribute__((target("avx"))) static int spin(double seed, int rounds) {
  double in[4] = {seed, seed * 2, seed * 3, seed * 4}, out[4];
  for (int i = 0; i < rounds; i++) {
    long ret;
    __asm__ volatile(
        "vmovupd (%2), %%ymm0\n vmovupd (%2), %%ymm7\n vmovupd (%2), %%ymm15\n"
        "mov %3, %%eax\n syscall\n"
        "vaddpd %%ymm0, %%ymm7, %%ymm7\n vaddpd %%ymm15, %%ymm7, %%ymm7\n vmovupd %%ymm7, (%1)\n"
        : "=&a"(ret)
        : "r"(out), "r"(in), "i"(SYS_getppid)
        : "rcx", "r11", "memory", "xmm0", "xmm7", "xmm15");
    for (int k = 0; k < 4; k++)
      if (out[k] != in[k] * 3) return 1;
  }
  return 0;
}
static void *thread(void *arg) { return (void *)(long)spin((double)(long)arg, 20000); }

int main(void) {
  struct sigaction sa = {0};
  sa.sa_handler = handler;
  sa.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &sa, NULL);
  struct itimerval it = {{0, 2000}, {0, 2000}};
  fesetround(FE_UPWARD);
  setitimer(ITIMER_REAL, &it, NULL);
  pthread_t t[3];
  for (long i = 0; i < 3; i++) pthread_create(&t[i], NULL, thread, (void *)(i + 1));
  int bad = spin(0.5, 20000);
  for (int i = 0; i < 3; i++) {
    void *r;
    pthread_join(t[i], &r);
    bad |= r != NULL;
  }
  if (__builtin_cpu_supports("avx") == 0) bad = 0;
  printf("%s, rounding %s, signals %s\n", bad ? "lost" : "kept", fegetround() == FE_UPWARD ? "kept" : "lost",
         signals > 0 ? "seen" : "none");
  return bad;
}
