/* A line server on port 8080, over IPv4 or with $SIX over IPv6 alone, with a planted bug: a size of more than 99 kills it, or with an argument makes it say
 * what a sanitizer says. Answers every line, so that a fuzzer can tell what it reached. */

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int is_sanitized;

/* As built with -fsanitize=address: the report, then exit with 1. */
static void die(void) {
  if (!is_sanitized) raise(SIGSEGV);
  fprintf(stderr, "==7==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x7ffc0f00\n");
  exit(1);
}

static int handle(int fd, const char *line) {
  char answer[64];
  if (strncmp(line, "SET ", 4) == 0) {
    long n = atol(line + 4);
    if (n > 99) die();
    snprintf(answer, sizeof answer, "SIZE %ld\n", n > 99 ? 100 : n > 9 ? 10 : n);
  } else if (strncmp(line, "NAME ", 5) == 0) {
    snprintf(answer, sizeof answer, "HELLO %.1s\n", line + 5);
  } else if (strcmp(line, "QUIT") == 0) {
    return 0;
  } else {
    snprintf(answer, sizeof answer, "WHAT %zu\n", strlen(line) & 7);
  }
  return write(fd, answer, strlen(answer)) > 0;
}

static void serve(int fd) {
  char buffer[1024];
  size_t have = 0;
  for (;;) {
    ssize_t n = read(fd, buffer + have, sizeof buffer - 1 - have);
    if (n <= 0) return;
    have += n;
    buffer[have] = 0;
    for (char *end; (end = strchr(buffer, '\n')) != NULL;) {
      *end = 0;
      if (!handle(fd, buffer)) return;
      have -= end + 1 - buffer;
      memmove(buffer, end + 1, have + 1);
    }
    if (have == sizeof buffer - 1) return;
  }
}

static int bound(void) {
  int one = 1;
  int is_six = getenv("SIX") != NULL;
  int listener = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8080)};
  struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (is_six) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  struct sockaddr *at = is_six ? (struct sockaddr *)&any6 : (struct sockaddr *)&any;
  if (bind(listener, at, is_six ? sizeof any6 : sizeof any) != 0) return -1;
  return listener;
}

int main(int argc, char **argv) {
  (void)argv;
  is_sanitized = argc > 1;
  signal(SIGPIPE, SIG_IGN);
  int listener = bound();
  if (listener < 0 || listen(listener, 8) != 0) return 1;
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    serve(fd);
    close(fd);
  }
}
