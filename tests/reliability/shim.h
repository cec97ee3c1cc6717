/*
 * What the calls of shim.c share: which paths count, the fault at the n-th call, and the log.
 * System calls are made directly, so that nothing here comes back to the shim.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROOM (PATH_MAX + 64)
#define NEW_FILES 1024
/* <linux/fs.h> says so, and is not installed everywhere. */
#define CLONE_ONE 0x40049409ul
#define CLONE_RANGE 0x4020940dul

enum { NEVER, BEFORE, AFTER, HALF };

static char root[PATH_MAX];
static size_t root_len;
static long fail_at, kill_at;
static int fail_errno, short_writes, lies, kill_when;
static const char *hit_path;
static int log_fd = -1;
static atomic_long calls;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static struct { dev_t dev; ino_t ino; int used; } fresh[NEW_FILES];

static void die(const char *why)
{
    dprintf(2, "shim: %s\n", why);
    _exit(99);
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("SHIM_ROOT");
    if (!text || !realpath(text, root))
        return;
    root_len = strlen(root);
    if ((text = getenv("SHIM_FAIL_AT")))
        fail_at = atol(text);
    if ((text = getenv("SHIM_KILL_AT")))
        kill_at = atol(text);
    text = getenv("SHIM_ERROR");
    if (fail_at && !text)
        die("SHIM_FAIL_AT without SHIM_ERROR");
    if (text) {
        lies = !strcmp(text, "LIE");
        short_writes = lies || !strcmp(text, "SHORT");
        fail_errno = !strcmp(text, "EIO") ? EIO : !strcmp(text, "ENOSPC") ? ENOSPC : 0;
        if (!short_writes && !fail_errno)
            die("SHIM_ERROR is not known");
    }
    text = getenv("SHIM_KILL");
    kill_when = !text || !strcmp(text, "AFTER") ? AFTER : !strcmp(text, "BEFORE") ? BEFORE : HALF;
    hit_path = getenv("SHIM_HIT");
    if ((text = getenv("SHIM_LOG"))) {
        log_fd = syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (log_fd < 0)
            die("the log cannot be opened");
    }
}

/* ---- Paths ---- */

static int inside(const char *path)
{
    return root_len && !strncmp(path, root, root_len) && (path[root_len] == '/' || !path[root_len]);
}

/* The path of what a descriptor has open; "" if it has none. */
static void path_of(int fd, char *out)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    out[len > 0 ? len : 0] = 0;
}

/* The absolute path; links in the folders are followed, and a link at its end is not. */
static void absolute(int dir, const char *path, char *out)
{
    char joined[ROOM * 2], parent[PATH_MAX];
    out[0] = 0;
    if (!root_len || !path)
        return;
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else {
        char base[ROOM];
        if (dir == AT_FDCWD) {
            if (!getcwd(base, PATH_MAX))
                return;
        } else {
            path_of(dir, base);
        }
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    }
    size_t len = strlen(joined);
    while (len > 1 && joined[len - 1] == '/')
        joined[--len] = 0;
    char *slash = strrchr(joined, '/');
    if (!slash)
        return;
    const char *name = slash + 1;
    if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) {
        if (realpath(joined, parent))
            snprintf(out, PATH_MAX, "%s", parent);
        return;
    }
    *slash = 0;
    if (realpath(*joined ? joined : "/", parent)
        && snprintf(out, PATH_MAX, "%s/%s", parent[1] ? parent : "", name) >= PATH_MAX)
        out[0] = 0;
}

/* ---- Counting, and the fault ---- */

struct call { int seen, fail, half, lie, die; };

static void hit(const char *name, const char *path)
{
    if (!hit_path)
        return;
    int fd = syscall(SYS_openat, AT_FDCWD, hit_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    char line[ROOM];
    int len = snprintf(line, sizeof line, "%s %s\n", name, path);
    if (fd < 0 || syscall(SYS_write, fd, line, len) != len)
        die("the hit cannot be written");
    syscall(SYS_close, fd);
}

/* `writes` is how many bytes the call wants to write, or 0 if it does something else. */
static struct call begin(const char *name, const char *path, size_t writes)
{
    struct call call = {0};
    if (!inside(path))
        return call;
    call.seen = 1;
    if (log_fd >= 0)
        pthread_mutex_lock(&order);
    if (fail_at && (!short_writes || writes > 1)
        && atomic_fetch_add(&calls, 1) + 1 == fail_at) {
        hit(name, path);
        call.fail = fail_errno;
        call.half = short_writes;
        call.lie = lies;
    }
    if (kill_at && (kill_when != HALF || writes > 1)
        && atomic_fetch_add(&calls, 1) + 1 == kill_at) {
        hit(name, path);
        if (kill_when == BEFORE)
            kill(getpid(), SIGKILL);
        call.half = kill_when == HALF;
        call.die = 1;
    }
    if (call.fail)
        errno = call.fail;
    return call;
}

static void end(struct call *call)
{
    if (call->die) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
    if (call->seen && log_fd >= 0) {
        int kept = errno;
        pthread_mutex_unlock(&order);
        errno = kept;
    }
}

/* What the program is told of `done` bytes, when it wanted to write `len`. */
static ssize_t told(const struct call *call, ssize_t done, size_t len)
{
    return call->lie && done >= 0 ? (ssize_t)len : done;
}

/* Files that this process has made and not yet synced. */
static void remember(int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return;
    for (int i = 0; i < NEW_FILES; i++) {
        int unused = 0;
        if (__atomic_compare_exchange_n(&fresh[i].used, &unused, 1, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            fresh[i].dev = st.st_dev;
            fresh[i].ino = st.st_ino;
            return;
        }
    }
}

static int forget(int fd)
{
    struct stat st;
    if (fstat(fd, &st))
        return 0;
    for (int i = 0; i < NEW_FILES; i++)
        if (fresh[i].used && fresh[i].dev == st.st_dev && fresh[i].ino == st.st_ino) {
            fresh[i].used = 0;
            return 1;
        }
    return 0;
}

/* What could not be written is gone: the file keeps its length and loses its bytes. */
static void drop_pages(int fd)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !forget(fd))
        return;
    if (syscall(SYS_ftruncate, fd, 0) || syscall(SYS_ftruncate, fd, st.st_size))
        die("pages cannot be dropped");
}

/* ---- The log ---- */

static void put(const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t done = syscall(SYS_write, log_fd, at, len);
        if (done <= 0)
            die("the log cannot be written");
        at += done;
        len -= done;
    }
}

__attribute__((format(printf, 2, 3))) static void note(const struct call *call, const char *format, ...)
{
    if (!call->seen || log_fd < 0)
        return;
    int kept = errno;
    char line[ROOM * 2];
    va_list list;
    va_start(list, format);
    int len = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    put(line, len);
    errno = kept;
}

static unsigned long inode(int fd)
{
    struct stat st;
    return fstat(fd, &st) ? 0 : st.st_ino;
}

static void note_bytes(const struct call *call, int fd, off_t at, const void *bytes, size_t len)
{
    if (!call->seen || log_fd < 0)
        return;
    note(call, "write\t%lu\t%lld\t%zu\n", inode(fd), (long long)at, len);
    put(bytes, len);
    put("\n", 1);
}

static off_t place(const struct call *call, int fd)
{
    struct stat st;
    if (!call->seen || log_fd < 0)
        return 0;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstat(fd, &st) ? 0 : st.st_size;
    return lseek(fd, 0, SEEK_CUR);
}
