// Eight threads hammer a mutex, a condition variable and mmap; the sum must come out right.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define THREADS 8
#define ROUNDS 3000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long sum, arrived;

static void *work(void *arg) {
  long id = (long)arg;
  for (int i = 0; i < ROUNDS; i++) {
    pthread_mutex_lock(&lock);
    sum += id;
    pthread_mutex_unlock(&lock);
    if (i % 16 == 0) {
      size_t bytes = (size_t)(1 + (i + id) % 7) * 4096;
      unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (p == MAP_FAILED) return (void *)1;
      memset(p, (int)id + 1, bytes);
      for (size_t k = 0; k < bytes; k += 512)
        if (p[k] != id + 1) return (void *)2;
      if (munmap(p, bytes) != 0) return (void *)3;
    }
  }
  pthread_mutex_lock(&lock);
  arrived++;
  pthread_cond_broadcast(&turn);
  while (arrived < THREADS) pthread_cond_wait(&turn, &lock);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(void) {
  pthread_t t[THREADS];
  long expected = 0;
  for (long i = 0; i < THREADS; i++) {
    expected += i * ROUNDS;
    if (pthread_create(&t[i], NULL, work, (void *)i) != 0) return 1;
  }
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(t[i], &result);
    if (result != NULL) {
      printf("thread %d failed: %ld\n", i, (long)result);
      return 1;
    }
  }
  printf("%s\n", sum == expected ? "right" : "wrong");
  return sum == expected ? 0 : 1;
}
