/* Makes reads, writes or syncs of the store fail, as the command file says: `<errno> <w|s|b|r|a> <skip> <count>`: writes, syncs, both, reads, all; empty or missing: all is well.
   errno 0 hangs until the command changes. Loaded with LD_PRELOAD by tests/src/faulty_disk.rs; only files named station.db* are touched. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/types.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[128];
static long passed, failed;

static int read_command(char *text, size_t size) {
    const char *path = getenv("GRIDWARDEN_TEST_DISK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    return got > 0;
}

static int is_store(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(link, path, sizeof path - 1);
    if (got <= 0) return 0;
    path[got] = 0;
    /* SQLite shortens station.db-shm before it writes to it, so even a full disk has room for it. */
    return strstr(path, "station.db") != NULL && strstr(path, ".lock") == NULL && strstr(path, "-shm") == NULL;
}

/* The errno to fail with, or 0. */
static int verdict(int fd, char kind) {
    int saved = errno, answer = 0;
    char text[128];
    for (;;) {
        int code = 0;
        char which = 'b';
        long skip = 0, count = 1L << 40;
        int hang = 0;
        if (!read_command(text, sizeof text) || sscanf(text, "%d %c %ld %ld", &code, &which, &skip, &count) < 1) break;
        if (!(which == kind || which == 'a' || (which == 'b' && kind != 'r')) || !is_store(fd)) break;
        pthread_mutex_lock(&lock);
        if (strcmp(text, last) != 0) {
            strcpy(last, text);
            passed = failed = 0;
        }
        if (passed < skip) passed++;
        else if (failed < count) {
            if (code == 0) hang = 1;
            else {
                failed++;
                answer = code;
            }
        }
        pthread_mutex_unlock(&lock);
        if (!hang) break;
        usleep(20000);
    }
    errno = saved;
    return answer;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define FAIL(fd, kind) \
    do { \
        int code = verdict(fd, kind); \
        if (code) { errno = code; return -1; } \
    } while (0)

ssize_t write(int fd, const void *from, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (fd > 2) FAIL(fd, 'w');
    return real(fd, from, size);
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    FAIL(fd, 'w');
    return real(fd, from, size, at);
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    FAIL(fd, 'w');
    return real(fd, from, size, at);
}
ssize_t pread(int fd, void *to, size_t size, off_t at) {
    REAL(ssize_t, "pread", int, void *, size_t, off_t);
    FAIL(fd, 'r');
    return real(fd, to, size, at);
}
ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    FAIL(fd, 'r');
    return real(fd, to, size, at);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    FAIL(fd, 's');
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    FAIL(fd, 's');
    return real(fd);
}
int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    FAIL(fd, 'w');
    return real(fd, size);
}
