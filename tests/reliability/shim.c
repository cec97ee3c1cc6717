/*
 * Faults for a real binary: loaded with LD_PRELOAD, it stands between `lab` and the C library.
 *
 * Only calls that change something below the folder SHIM_ROOT are counted, over all threads.
 *
 *   SHIM_FAIL_AT=n  SHIM_ERROR=EIO|ENOSPC|SHORT|LIE
 *       The n-th call fails once. EIO at the fsync of a file that this process has made also
 *       empties it of its bytes, as Linux drops dirty pages that it could not write. SHORT writes
 *       half and says so, LIE writes half and says all; only calls that write more than one byte
 *       are counted then.
 *   SHIM_KILL_AT=n  SHIM_KILL=BEFORE|AFTER|HALF
 *       SIGKILL before or after the n-th call, or in the middle of the n-th write.
 *   SHIM_HIT=path   Receives the name and the path of the call that was hit.
 *   SHIM_LOG=path   Receives every call that succeeded, in order, with the bytes that it wrote.
 *
 * The log is lines of words that tabs separate; a line that ends in a number of bytes is followed
 * by those bytes and a line feed. Files are called by inode, since their names change.
 *
 * What it does not see: calls made past the C library, and writes to shared memory maps. Whoever
 * reads the log must replay it and compare.
 */
#include "shim.h"

/* ---- Opening ---- */

static int opened(int dir, const char *path, int flags, mode_t mode)
{
    if (!(flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE)
        return syscall(SYS_openat, dir, path, flags, mode);
    char full[ROOM];
    struct stat st;
    absolute(dir, path, full);
    struct call call = begin("open", full, 0);
    int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    int there = !unnamed && call.seen && fstatat(AT_FDCWD, full, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (call.fail)
        errno = call.fail;
    int fd = call.fail ? -1 : syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && call.seen && !there) {
        remember(fd);
        if (unnamed)
            note(&call, "unnamed\t%lu\n", inode(fd));
        else
            note(&call, "create\t%lu\t%s\n", inode(fd), full);
    } else if (fd >= 0 && (flags & O_TRUNC)) {
        note(&call, "cut\t%lu\t0\n", inode(fd));
    }
    end(&call);
    return fd;
}

#define MODE(flags, mode)                                                                          \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = va_arg(list, mode_t);                                                               \
        va_end(list);                                                                              \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
    MODE(flags, mode)
    return opened(dir, path, flags, mode);
}

static int made(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat(const char *path, mode_t mode) { return made(path, mode); }
int creat64(const char *path, mode_t mode) { return made(path, mode); }

/* ---- Writing ---- */

ssize_t write(int fd, const void *bytes, size_t len)
{
    char path[ROOM];
    if (!root_len)
        return syscall(SYS_write, fd, bytes, len);
    path_of(fd, path);
    struct call call = begin("write", path, len);
    off_t at = place(&call, fd);
    ssize_t done = call.fail ? -1 : syscall(SYS_write, fd, bytes, call.half ? len / 2 : len);
    if (done > 0)
        note_bytes(&call, fd, at, bytes, done);
    end(&call);
    return told(&call, done, len);
}

static ssize_t written_at(int fd, const void *bytes, size_t len, off_t at)
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("pwrite", path, len);
    ssize_t done = call.fail ? -1 : syscall(SYS_pwrite64, fd, bytes, call.half ? len / 2 : len, at);
    if (done > 0)
        note_bytes(&call, fd, at, bytes, done);
    end(&call);
    return told(&call, done, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return written_at(fd, bytes, len, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) { return written_at(fd, bytes, len, at); }

/* Pieces are joined, so that half of them can be written, and logged in one line. */
static ssize_t gathered(const char *name, int fd, const struct iovec *parts, int count, off_t at)
{
    char path[ROOM];
    size_t len = 0, to = 0;
    path_of(fd, path);
    if (!inside(path))
        return at < 0 ? syscall(SYS_writev, fd, parts, count)
                      : syscall(SYS_pwritev, fd, parts, count, (long)at, 0L);
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    char *all = malloc(len + 1);
    if (!all)
        die("no memory");
    for (int i = 0; i < count; to += parts[i++].iov_len)
        memcpy(all + to, parts[i].iov_base, parts[i].iov_len);
    struct call call = begin(name, path, len);
    off_t from = at < 0 ? place(&call, fd) : at;
    size_t want = call.half ? len / 2 : len;
    ssize_t done = call.fail ? -1
        : at < 0             ? syscall(SYS_write, fd, all, want)
                             : syscall(SYS_pwrite64, fd, all, want, at);
    if (done > 0)
        note_bytes(&call, fd, from, all, done);
    int kept = errno;
    free(all);
    errno = kept;
    end(&call);
    return told(&call, done, len);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return gathered("writev", fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return gathered("pwritev", fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return gathered("pwritev", fd, parts, count, at); }

/* What the kernel copied is read back for the log. */
static void note_copied(const struct call *call, int fd, off_t at, size_t len)
{
    if (!call->seen || log_fd < 0 || !len)
        return;
    char path[64], *bytes = malloc(len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (!bytes || again < 0 || pread(again, bytes, len, at) != (ssize_t)len)
        die("a copy cannot be read back");
    syscall(SYS_close, again);
    note_bytes(call, fd, at, bytes, len);
    free(bytes);
}

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t len, unsigned flags)
{
    char path[ROOM];
    path_of(to, path);
    struct call call = begin("copy_file_range", path, len);
    off_t at = to_at ? *to_at : place(&call, to);
    ssize_t done = call.fail ? -1
        : syscall(SYS_copy_file_range, from, from_at, to, to_at, call.half ? len / 2 : len, flags);
    if (done > 0)
        note_copied(&call, to, at, done);
    end(&call);
    return done;
}

static ssize_t sent(int to, int from, off_t *from_at, size_t len)
{
    char path[ROOM];
    path_of(to, path);
    struct call call = begin("sendfile", path, len);
    off_t at = place(&call, to);
    ssize_t done = call.fail ? -1 : syscall(SYS_sendfile, to, from, from_at, call.half ? len / 2 : len);
    if (done > 0)
        note_copied(&call, to, at, done);
    end(&call);
    return done;
}

ssize_t sendfile(int to, int from, off_t *at, size_t len) { return sent(to, from, at, len); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t len) { return sent(to, from, at, len); }

static int resized(int fd, off_t len)
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("ftruncate", path, 0);
    int done = call.fail ? -1 : syscall(SYS_ftruncate, fd, len);
    if (!done)
        note(&call, "cut\t%lu\t%lld\n", inode(fd), (long long)len);
    end(&call);
    return done;
}

int ftruncate(int fd, off_t len) { return resized(fd, len); }
int ftruncate64(int fd, off64_t len) { return resized(fd, len); }

static int allocated(int fd, int mode, off_t at, off_t len)
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("fallocate", path, 0);
    int done = call.fail ? -1 : syscall(SYS_fallocate, fd, mode, at, len);
    struct stat st;
    if (!done && call.seen && !fstat(fd, &st))
        note(&call, "cut\t%lu\t%lld\n", inode(fd), (long long)st.st_size);
    end(&call);
    return done;
}

int fallocate(int fd, int mode, off_t at, off_t len) { return allocated(fd, mode, at, len); }
int fallocate64(int fd, int mode, off64_t at, off64_t len) { return allocated(fd, mode, at, len); }
int posix_fallocate(int fd, off_t at, off_t len) { return allocated(fd, 0, at, len) ? errno : 0; }
int posix_fallocate64(int fd, off64_t at, off64_t len) { return allocated(fd, 0, at, len) ? errno : 0; }

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (request != CLONE_ONE && request != CLONE_RANGE)
        return syscall(SYS_ioctl, fd, request, argument);
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("clone", path, 0);
    int done = call.fail ? -1 : syscall(SYS_ioctl, fd, request, argument);
    struct stat st;
    if (!done && call.seen && !fstat(fd, &st))
        note_copied(&call, fd, 0, st.st_size);
    end(&call);
    return done;
}

/* ---- Syncing ---- */

static int synced(const char *name, int fd, long number)
{
    char path[ROOM];
    struct stat st;
    path_of(fd, path);
    struct call call = begin(name, path, 0);
    if (call.fail == EIO)
        drop_pages(fd);
    if (call.fail)
        errno = call.fail;
    int done = call.fail ? -1 : syscall(number, fd);
    if (!done && call.seen && !fstat(fd, &st)) {
        if (S_ISDIR(st.st_mode))
            note(&call, "syncfolder\t%s\n", path);
        else
            note(&call, "sync\t%lu\n", (unsigned long)st.st_ino);
        forget(fd);
    }
    end(&call);
    return done;
}

int fsync(int fd) { return synced("fsync", fd, SYS_fsync); }
int fdatasync(int fd) { return synced("fdatasync", fd, SYS_fdatasync); }

int syncfs(int fd)
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("syncfs", path, 0);
    int done = call.fail ? -1 : syscall(SYS_syncfs, fd);
    if (!done)
        note(&call, "syncall\n");
    end(&call);
    return done;
}

/* ---- Names ---- */

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char old[ROOM], new[ROOM];
    absolute(from_dir, from, old);
    absolute(to_dir, to, new);
    struct call call = begin("rename", inside(new) ? new : old, 0);
    int done = call.fail ? -1 : syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!done)
        note(&call, "%s\t%s\t%s\n", flags & RENAME_EXCHANGE ? "exchange" : "rename", old, new);
    end(&call);
    return done;
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renamed(from_dir, from, to_dir, to, 0); }
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) { return renamed(from_dir, from, to_dir, to, flags); }

static int removed(int dir, const char *path, int flags)
{
    char full[ROOM];
    absolute(dir, path, full);
    struct call call = begin(flags & AT_REMOVEDIR ? "rmdir" : "unlink", full, 0);
    int done = call.fail ? -1 : syscall(SYS_unlinkat, dir, path, flags);
    if (!done)
        note(&call, "unlink\t%s\n", full);
    end(&call);
    return done;
}

int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return removed(dir, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int dir, const char *path, mode_t mode)
{
    char full[ROOM];
    absolute(dir, path, full);
    struct call call = begin("mkdir", full, 0);
    int done = call.fail ? -1 : syscall(SYS_mkdirat, dir, path, mode);
    if (!done)
        note(&call, "mkdir\t%s\n", full);
    end(&call);
    return done;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char full[ROOM];
    struct stat st = {0};
    absolute(to_dir, to, full);
    struct call call = begin("link", full, 0);
    int done = call.fail ? -1 : syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (!done && call.seen && !fstatat(AT_FDCWD, full, &st, AT_SYMLINK_NOFOLLOW))
        note(&call, "link\t%lu\t%s\n", (unsigned long)st.st_ino, full);
    end(&call);
    return done;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dir, const char *path)
{
    char full[ROOM];
    absolute(dir, path, full);
    struct call call = begin("symlink", full, 0);
    int done = call.fail ? -1 : syscall(SYS_symlinkat, target, dir, path);
    if (!done)
        note(&call, "symlink\t%s\t%s\n", target, full);
    end(&call);
    return done;
}

int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

/* ---- Modes and times: counted, and nothing that the log needs ---- */

int fchmod(int fd, mode_t mode)
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("chmod", path, 0);
    int done = call.fail ? -1 : syscall(SYS_fchmod, fd, mode);
    end(&call);
    return done;
}

int chmod(const char *path, mode_t mode)
{
    char full[ROOM];
    absolute(AT_FDCWD, path, full);
    struct call call = begin("chmod", full, 0);
    int done = call.fail ? -1 : syscall(SYS_fchmodat, AT_FDCWD, path, mode);
    end(&call);
    return done;
}

int futimens(int fd, const struct timespec times[2])
{
    char path[ROOM];
    path_of(fd, path);
    struct call call = begin("utime", path, 0);
    int done = call.fail ? -1 : syscall(SYS_utimensat, fd, NULL, times, 0);
    end(&call);
    return done;
}
