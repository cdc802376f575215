/* A known cost for positive controls: every response waits BENCH_BUSY_WAIT_NS more before it leaves.
 * Loaded with LD_PRELOAD; Apache hands a response of one page to the kernel in one writev. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

static ssize_t (*real_writev)(int, const struct iovec *, int);
static long wait_ns;

__attribute__((constructor)) static void begin(void) {
    const char *asked = getenv("BENCH_BUSY_WAIT_NS");
    wait_ns = asked ? atol(asked) : 0;
    real_writev = dlsym(RTLD_NEXT, "writev");
}

static long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    for (long until = now_ns() + wait_ns; now_ns() < until;) {
    }
    return real_writev(fd, parts, count);
}
