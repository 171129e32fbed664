/* Counts the calls of the C library's allocator in a program that it is preloaded into (LD_PRELOAD), and the bytes asked
   for. At the program's end it writes both to the file that FOCUS_BENCH_ALLOCATIONS names. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* The allocator itself, by the names that the C library exports besides. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_ulong calls, bytes;

static void count(size_t size) {
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  count(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out == NULL ? 12 /* ENOMEM */ : 0;
}

__attribute__((destructor)) static void tell(void) {
  unsigned long told_calls = calls, told_bytes = bytes;
  const char *name = getenv("FOCUS_BENCH_ALLOCATIONS");
  FILE *file = name == NULL ? NULL : fopen(name, "w");
  if (file != NULL) {
    fprintf(file, "%lu %lu\n", told_calls, told_bytes);
    fclose(file);
  }
}
