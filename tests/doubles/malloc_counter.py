"""A library in C that stands before the allocator and counts."""

MALLOC_COUNTER = r"""
#include <dlfcn.h>
#include <stddef.h>
/* Counts the calls of this process's allocator made by one thread between start and stop. */
static __thread int counting;
static __thread long count;
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void __libc_free(void *);
void *malloc(size_t n) { count += counting; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { count += counting; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { count += counting; return __libc_realloc(p, n); }
void free(void *p) { count += counting; __libc_free(p); }
typedef int (*callback)(void *, void *, unsigned long, void *, unsigned long, void *);
long count_in(callback f, void *in, void *out, unsigned long n, void *userdata, int times) {
    counting = 1; count = 0;
    for (int i = 0; i < times; i++) f(in, out, n, 0, 0, userdata);
    counting = 0;
    return count;
}
int allocates(void *in, void *out, unsigned long n, void *t, unsigned long flags, void *userdata) {
    void *volatile p = malloc(100); free(p); return 0;
}
"""
