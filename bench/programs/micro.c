// One operation many times; prints "NAME NANOSECONDS-PER-OPERATION". Usage: micro NAME [ROUNDS]
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}
static char *self;

static void op_syscall(long n) {
  for (long i = 0; i < n; i++) syscall(SYS_getppid);
}
static void op_clock(long n) {
  struct timespec t;
  for (long i = 0; i < n; i++) clock_gettime(CLOCK_MONOTONIC, &t);
}
static void op_read_zero(long n) {
  int fd = open("/dev/zero", O_RDONLY);
  char c;
  for (long i = 0; i < n; i++)
    if (read(fd, &c, 1) != 1) exit(1);
  close(fd);
}
static void op_stat(long n) {
  struct stat st;
  for (long i = 0; i < n; i++)
    if (stat("/etc/passwd", &st) != 0) exit(1);
}
static void op_open(long n) {
  char buf[64];
  for (long i = 0; i < n; i++) {
    int fd = open("/etc/passwd", O_RDONLY);
    if (fd < 0 || read(fd, buf, sizeof buf) < 1) exit(1);
    close(fd);
  }
}
static void op_pipe(long n) {
  int a[2], b[2];
  char c = 0;
  if (pipe(a) || pipe(b)) exit(1);
  pid_t pid = fork();
  if (pid == 0) {
    for (long i = 0; i < n; i++)
      if (read(a[0], &c, 1) != 1 || write(b[1], &c, 1) != 1) _exit(1);
    _exit(0);
  }
  for (long i = 0; i < n; i++)
    if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) exit(1);
  waitpid(pid, NULL, 0);
}
static atomic_int turn;
static long futex(atomic_int *p, int op, int v) { return syscall(SYS_futex, p, op, v, NULL, NULL, 0); }
static void *futex_peer(void *arg) {
  for (long n = (long)arg; n > 0; n--) {
    while (atomic_load(&turn) != 1) futex(&turn, FUTEX_WAIT_PRIVATE, 0);
    atomic_store(&turn, 0);
    futex(&turn, FUTEX_WAKE_PRIVATE, 1);
  }
  return NULL;
}
static void op_futex(long n) {
  pthread_t t;
  pthread_create(&t, NULL, futex_peer, (void *)n);
  for (long i = 0; i < n; i++) {
    atomic_store(&turn, 1);
    futex(&turn, FUTEX_WAKE_PRIVATE, 1);
    while (atomic_load(&turn) != 0) futex(&turn, FUTEX_WAIT_PRIVATE, 1);
  }
  pthread_join(t, NULL);
}
/* n is pages: 65536 are 256 MiB */
static void op_touch(long n) {
  char *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) exit(1);
  for (long i = 0; i < n; i++) p[i * 4096] = 1;
  munmap(p, n * 4096);
}
static void fork_exec(long n, char *program, char *arg) {
  for (long i = 0; i < n; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      execl(program, program, arg, NULL);
      _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) exit(1);
  }
}
static void op_forkexec(long n) { fork_exec(n, self, "nothing"); }
static void op_forkexec_dynamic(long n) { fork_exec(n, "/bin/true", NULL); }

static const struct {
  const char *name;
  void (*run)(long);
  long rounds;
} OPS[] = {
    {"syscall", op_syscall, 200000}, {"clock_gettime", op_clock, 5000000},
    {"read_zero", op_read_zero, 200000}, {"stat", op_stat, 50000},
    {"open_read_close", op_open, 20000}, {"pipe", op_pipe, 20000},
    {"futex", op_futex, 20000}, {"touch", op_touch, 65536},
    {"forkexec", op_forkexec, 200}, {"forkexec_dynamic", op_forkexec_dynamic, 200},
};

int main(int argc, char **argv) {
  static char path[4096];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
  self = len > 0 ? path : argv[0];
  if (argc < 2) return 2;
  if (strcmp(argv[1], "nothing") == 0) return 0;
  for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++) {
    if (strcmp(OPS[i].name, argv[1]) != 0) continue;
    long rounds = argc > 2 ? atol(argv[2]) : OPS[i].rounds;
    OPS[i].run(rounds / 10 + 1);
    double took[3];
    for (int k = 0; k < 3; k++) {
      double start = now();
      OPS[i].run(rounds);
      took[k] = (now() - start) / rounds;
    }
    double low = took[0] < took[1] ? took[0] : took[1], high = took[0] < took[1] ? took[1] : took[0];
    printf("%s %.1f\n", argv[1], took[2] < low ? low : took[2] > high ? high : took[2]);
    return 0;
  }
  return 2;
}
