// Both ends of the network measurements.
//   net serve ADDR PORT            forks per connection; first byte says what the client wants
//   net send|recv ADDR PORT MIB    one stream; prints Gbit/s
//   net rr ADDR PORT ROUNDS        one byte there and back; prints the median in us
//   net http ADDR PORT CONNECTIONS SECONDS   keep-alive GET /; prints requests per second
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
static char buf[CHUNK];
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}
static void die(const char *what) {
  perror(what);
  exit(1);
}
static struct sockaddr_in at(const char *addr, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, addr, &a.sin_addr) != 1) die("address");
  return a;
}
static int dial(const char *addr, int port) {
  struct sockaddr_in a = at(addr, port);
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) die("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}
static void serve_one(int fd) {
  char what;
  int64_t left;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (read(fd, &what, 1) != 1) exit(0);
  if (what == 'E')
    while (read(fd, buf, 1) == 1) if (write(fd, buf, 1) != 1) break;
  if (what == 'R') {
    if (recv(fd, &left, 8, MSG_WAITALL) != 8) exit(1);
    while (left > 0) {
      ssize_t n = write(fd, buf, left < CHUNK ? left : CHUNK);
      if (n <= 0) exit(1);
      left -= n;
    }
    shutdown(fd, SHUT_WR);
    while (read(fd, buf, CHUNK) > 0);
  }
  if (what == 'S') {
    while (read(fd, buf, CHUNK) > 0);
    if (write(fd, buf, 1) != 1) exit(1);
  }
  exit(0);
}
static void serve(const char *addr, int port) {
  struct sockaddr_in a = at(addr, port);
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64)) die("listen");
  signal(SIGCHLD, SIG_IGN);
  puts("ready");
  fflush(stdout);
  for (;;) {
    int c = accept(fd, NULL, NULL);
    if (c < 0) continue;
    if (fork() == 0) serve_one(c);
    close(c);
  }
}
static int by_value(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : 1; }

static void http(const char *addr, int port, int connections, double seconds) {
  static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
  int ep = epoll_create1(0);
  size_t *left = calloc(connections + 64, sizeof *left);
  for (int i = 0; i < connections; i++) {
    int fd = dial(addr, port);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    if (write(fd, request, sizeof request - 1) < 0) die("write");
  }
  long done = 0;
  double start = now();
  while (now() - start < seconds) {
    struct epoll_event ev[64];
    int n = epoll_wait(ep, ev, 64, 1000);
    for (int i = 0; i < n; i++) {
      int fd = ev[i].data.fd;
      ssize_t r = read(fd, buf, CHUNK - 1);
      if (r <= 0) die("read");
      buf[r] = 0;
      size_t *l = &left[fd];
      if (*l == 0) {
        char *body = strstr(buf, "\r\n\r\n"), *len = strcasestr(buf, "content-length:");
        if (!body || !len) die("answer");
        size_t total = strtoul(len + 15, NULL, 10), have = r - (body + 4 - buf);
        *l = total - have;
      } else *l -= r;
      if (*l == 0) {
        done++;
        if (write(fd, request, sizeof request - 1) < 0) die("write");
      }
    }
  }
  printf("http %.1f\n", done / (now() - start));
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  const char *what = argv[1], *addr = argv[2];
  int port = atoi(argv[3]);
  long n = argc > 4 ? atol(argv[4]) : 0;
  if (!strcmp(what, "serve")) serve(addr, port);
  if (!strcmp(what, "http")) {
    http(addr, port, n, atof(argv[5]));
    return 0;
  }
  int fd = dial(addr, port);
  if (!strcmp(what, "rr")) {
    double *t = calloc(n, sizeof *t);
    char c = 'E';
    if (write(fd, &c, 1) != 1) die("write");
    for (long i = 0; i < n; i++) {
      double s = now();
      if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1) die("round trip");
      t[i] = (now() - s) * 1e6;
    }
    qsort(t, n, sizeof *t, by_value);
    printf("rr %.1f\n", t[n / 2]);
    return 0;
  }
  int64_t total = (int64_t)n << 20, left = total;
  double start = now();
  if (!strcmp(what, "send")) {
    if (write(fd, "S", 1) != 1) die("write");
    while (left > 0) {
      ssize_t k = write(fd, buf, left < CHUNK ? left : CHUNK);
      if (k <= 0) die("write");
      left -= k;
    }
    shutdown(fd, SHUT_WR);
    if (read(fd, buf, 1) != 1) die("read");
  } else {
    char ask[9] = {'R'};
    memcpy(ask + 1, &total, 8);
    if (write(fd, ask, 9) != 9) die("write");
    while (left > 0) {
      ssize_t k = read(fd, buf, CHUNK);
      if (k <= 0) die("read");
      left -= k;
    }
  }
  printf("%s %.3f\n", what, total * 8 / (now() - start) / 1e9);
  return 0;
}
