/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"

char *
file_read(const char *path, size_t max_bytes, size_t *ret_len,
          struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *data = NULL;
    size_t len = 0, cap = 0;

    if (fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
        return NULL;
    }
    for (;;) {
        ssize_t n;

        if (cap - len < 2) {
            cap = cap == 0 ? 8192 : cap * 2;
            data = xrealloc(data, cap);
        }
        n = read(fd, data + len, cap - len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_errno(err, ERROR_ENVIRONMENT, errno, "%s: read", path);
            return NULL;
        }
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max_bytes) {
            error_set(err, ERROR_CONFIG, "%s: larger than %zu bytes", path,
                      max_bytes);
            return NULL;
        }
    }
    data[len] = '\0';
    if (ret_len != NULL)
        *ret_len = len;
    return TAKE(data);
}

int
file_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int
dir_sync(const char *path, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: sync", path);
    return 0;
}

int
file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                  struct error *err)
{
    CLEANUP_FREE char *temp = xasprintf("%s.tmp.%d", path, (int)getpid());
    CLEANUP_FREE char *copy = xstrdup(path);
    CLEANUP_CLOSE int fd =
        open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", temp);
    if (file_write_all(fd, data, len) < 0 || fsync(fd) < 0 ||
        rename(temp, path) < 0) {
        int saved = errno;

        unlink(temp);
        return error_errno(err, ERROR_ENVIRONMENT, saved, "%s: write", path);
    }
    return dir_sync(dirname(copy), err);
}

int
dir_make(const char *path, mode_t mode, struct error *err)
{
    CLEANUP_FREE char *copy = xstrdup(path);

    for (char *p = copy + 1;; p++) {
        char saved = *p;

        if (saved != '/' && saved != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "mkdir '%s'",
                               copy);
        *p = saved;
        if (saved == '\0')
            return 0;
    }
}

static int
dir_remove_entry(const char *path, const struct stat *st, int type,
                 struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int
dir_remove(const char *path, struct error *err)
{
    if (!path_exists(path))
        return 0;
    if (nftw(path, dir_remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) <
            0 &&
        errno != ENOENT)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "remove '%s'", path);
    return 0;
}

bool
path_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}
