/*
 * Hostile: says by its own register frame that it has called exit_group, and runs on. Then it looks for pages
 * that it had and that have been given to somebody else. Prints "leaks N".
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 0x6f0000100000ul /* of the first thread; see native/x86_64/layout.h */
#define HEADER (SLOT + 0x3f00)
#define PAGES 2048
#define MINE 0x4d494e45u
#define MAGIC1 0x1122334455667788ul
#define MAGIC2 0x99aabbccddeeff00ul

/* Where its frame keeps RDI: RSI follows, and RAX, with the result of the call, is five further. */
static volatile uint64_t *frame_rdi(void) {
  uint64_t parent = syscall(SYS_getppid, MAGIC1, MAGIC2);
  for (volatile uint64_t *w = (uint64_t *)SLOT; w < (uint64_t *)HEADER - 8; w++)
    if (w[0] == MAGIC1 && w[1] == MAGIC2 && w[5] == parent) return w;
  return NULL;
}

static void hostile(volatile uint32_t *found) {
  volatile uint32_t *pages = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < PAGES; i++) pages[i * 1024] = MINE;
  volatile uint64_t *rdi = frame_rdi();
  if (rdi == NULL) _exit(2);
  found[1] = 1; /* a fault here and now: the next would write the frame anew */
  rdi[0] = 0;
  rdi[5] = SYS_exit_group; /* rax */
  *(volatile uint32_t *)HEADER = 2; /* stopped */
  for (;;)
    for (int i = 0; i < PAGES; i++)
      if (pages[i * 1024] != MINE) found[0]++;
}

int main(void) {
  volatile uint32_t *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status, failed = 0;
  for (int round = 0; round < 10; round++) {
    pid_t pid = fork();
    if (pid == 0) hostile(found);
    /* Nobody rings the bell for a forged stop: keep the kernel awake. */
    while (waitpid(pid, &status, WNOHANG) == 0) {}
    if (status != 0) failed = 1;
    char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 0x55, PAGES * 4096);
    munmap(p, PAGES * 4096);
  }
  printf("forged %u, status %d, leaks %u\n", found[1], failed, found[0]);
  return 0;
}
