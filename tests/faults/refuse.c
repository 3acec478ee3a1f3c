/* Preloaded into every process of a run: counts changes of files below some folders, and refuses or dies at one.
 *
 * KPACK_FAULT is "NUMBER ERRNO COUNTER FOLDER[:FOLDER...]": from change NUMBER on every change fails with ERRNO (0 kills the process
 * that makes it; NUMBER 0 only counts). COUNTER is a file of 8 bytes that all processes of the run share.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static volatile long *counter;
static long number;
static int error;
static char folders[4096];

static void __attribute__((constructor)) begin(void) {
    char path[2048];
    const char *told = getenv("KPACK_FAULT");
    if (!told || sscanf(told, "%ld %d %2047s %4095s", &number, &error, path, folders) != 4) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *place = mmap(0, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (place != MAP_FAILED) counter = place;
}

static int below(const char *path) {
    for (const char *from = folders; *from;) {
        size_t length = strcspn(from, ":");
        if (length && !strncmp(path, from, length)) return 1;
        from += length + (from[length] == ':');
    }
    return 0;
}

static int fails(const char *path) {
    if (!counter || !below(path)) return 0;
    long now = __sync_add_and_fetch(counter, 1);
    if (!number || now < number) return 0;
    if (!error) {
        if (now == number) kill(getpid(), SIGKILL);
        return 0;
    }
    errno = error;
    return 1;
}

static int fails_at(int folder, const char *path) {
    char place[8192] = "", link[64];
    if (!counter || !path) return 0;
    if (path[0] != '/') {
        ssize_t size = -1;
        if (folder == AT_FDCWD) {
            if (getcwd(place, 4096)) size = strlen(place);
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            size = readlink(link, place, 4096);
        }
        if (size < 0) return 0;
        place[size] = '/';
        place[size + 1] = 0;
    }
    strncat(place, path, 4000);
    return fails(place);
}

static int fails_on(int fd) {
    char place[4200], link[64];
    if (!counter) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, place, 4100);
    if (size < 0 || place[0] != '/') return 0;
    place[size] = 0;
    return fails(place);
}

#define REAL(name, type, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name, int, int, const char *, int, ...); \
        va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
        if ((flags & (O_CREAT | O_TRUNC)) && fails_at(folder, path)) return -1; \
        return real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name, int, const char *, int, ...); \
        va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
        if ((flags & (O_CREAT | O_TRUNC)) && fails_at(AT_FDCWD, path)) return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define ON(name, type, params, args, fd) \
    type name params { \
        static type (*real) params; \
        if (!real) real = (type (*) params)dlsym(RTLD_NEXT, #name); \
        if (fails_on(fd)) return -1; \
        return real args; \
    }
ON(write, ssize_t, (int fd, const void *data, size_t size), (fd, data, size), fd)
ON(pwrite, ssize_t, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), fd)
ON(pwrite64, ssize_t, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), fd)
ON(ftruncate, int, (int fd, off_t size), (fd, size), fd)
ON(ftruncate64, int, (int fd, off64_t size), (fd, size), fd)
ON(fsync, int, (int fd), (fd), fd)
ON(sendfile, ssize_t, (int out, int in, off_t *at, size_t size), (out, in, at, size), out)
ON(sendfile64, ssize_t, (int out, int in, off64_t *at, size_t size), (out, in, at, size), out)
ON(copy_file_range, ssize_t, (int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags), (in, from, out, to, size, flags), out)

#define AT(name, params, args, folder, path) \
    int name params { \
        static int (*real) params; \
        if (!real) real = (int (*) params)dlsym(RTLD_NEXT, #name); \
        if (fails_at(folder, path)) return -1; \
        return real args; \
    }
AT(rename, (const char *a, const char *b), (a, b), AT_FDCWD, b)
AT(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b), y, b)
AT(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
AT(mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), folder, path)
AT(link, (const char *a, const char *b), (a, b), AT_FDCWD, b)
AT(linkat, (int x, const char *a, int y, const char *b, int flags), (x, a, y, b, flags), y, b)
AT(symlink, (const char *a, const char *b), (a, b), AT_FDCWD, b)
AT(symlinkat, (const char *a, int y, const char *b), (a, y, b), y, b)
AT(chmod, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
