/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Harm to the bytes of one file, while nobody has it open or while somebody
 * does: bits flipped, the end cut off, a chunk as it was in an older copy.
 *
 * Failure modes: harm that would change nothing (an empty file, a copy that is
 * no different) is an error: it must not be claimed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/rng.h"
#include "nemesis/harm/harm.h"

#define FILE_BLOCK 4096
#define FILE_FLIPS_MAX 4096

static int
harm_file_open(const char *path, int flags, int64_t *ret_size,
               struct error *err)
{
    struct stat s;
    int fd = open(path, flags | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &s) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (!S_ISREG(s.st_mode)) {
        close(fd);
        return error_set(err, ERROR_CONFIG, "'%s' is no file", path);
    }
    *ret_size = s.st_size;
    return fd;
}

/* On disk, and what was cached of it gone: readers see what is there. */
static int
harm_file_sync(int fd, const char *path, struct error *err)
{
    if (fsync(fd) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return 0;
}

int
harm_flip(const char *path, int64_t count, uint64_t seed, struct error *err)
{
    int64_t size = 0;
    CLEANUP_CLOSE int fd = harm_file_open(path, O_RDWR, &size, err);
    struct rng rng;

    if (fd < 0)
        return -1;
    if (size == 0 || count < 1 || count > FILE_FLIPS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "'%s': no bits to flip, or not 1 to %d", path,
                         FILE_FLIPS_MAX);
    rng_init(&rng, seed);
    for (int64_t i = 0; i < count; i++) {
        off_t at = (off_t)rng_below(&rng, (uint64_t)size);
        unsigned char byte;

        if (pread(fd, &byte, 1, at) != 1)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
        byte ^= (unsigned char)(1u << rng_below(&rng, 8));
        if (pwrite(fd, &byte, 1, at) != 1)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    }
    if (harm_file_sync(fd, path, err) < 0)
        return -1;
    printf("{\"size\":%" PRId64 ",\"flipped\":%" PRId64 "}\n", size, count);
    return 0;
}

int
harm_cut(const char *path, int64_t bytes, struct error *err)
{
    int64_t size = 0;
    CLEANUP_CLOSE int fd = harm_file_open(path, O_RDWR, &size, err);

    if (fd < 0)
        return -1;
    if (size == 0 || bytes < 1)
        return error_set(err, ERROR_CONFIG, "'%s': nothing to cut off", path);
    if (bytes > size)
        bytes = size;
    if (ftruncate(fd, size - bytes) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    if (harm_file_sync(fd, path, err) < 0)
        return -1;
    printf("{\"size\":%" PRId64 ",\"cut\":%" PRId64 "}\n", size, bytes);
    return 0;
}

/* Whether block 'at' differs; what is past an end differs from what is not. */
static bool
harm_block_differs(int fd, int old, int64_t at)
{
    char a[FILE_BLOCK], b[FILE_BLOCK];
    ssize_t n = pread(fd, a, sizeof(a), at), m = pread(old, b, sizeof(b), at);

    return n != m || (n > 0 && memcmp(a, b, (size_t)n) != 0);
}

/* A block that differs, each with the same chance; -1: none does. */
static int64_t
harm_choose_block(int fd, int old, int64_t end, uint64_t seed)
{
    int64_t chosen = -1;
    uint64_t seen = 0;
    struct rng rng;

    rng_init(&rng, seed);
    for (int64_t at = 0; at < end; at += FILE_BLOCK)
        if (harm_block_differs(fd, old, at) && rng_below(&rng, ++seen) == 0)
            chosen = at;
    return chosen;
}

/* The bytes from 'at' as they were; what was not there yet is cut off. */
static int
harm_restore_chunk(int fd, int old, int64_t at, int64_t bytes, int64_t old_size)
{
    char block[FILE_BLOCK];
    int64_t end = at + bytes;

    for (; at < end && at < old_size; at += FILE_BLOCK) {
        ssize_t n = pread(old, block, sizeof(block), at);

        if (n <= 0 || pwrite(fd, block, (size_t)n, at) != n)
            return -1;
    }
    return end > old_size ? ftruncate(fd, old_size) : 0;
}

int
harm_roll(const char *path, const char *old_path, int64_t bytes, uint64_t seed,
          struct error *err)
{
    int64_t size = 0, old_size = 0, at;
    CLEANUP_CLOSE int fd = harm_file_open(path, O_RDWR, &size, err);
    CLEANUP_CLOSE int old =
        fd < 0 ? -1 : harm_file_open(old_path, O_RDONLY, &old_size, err);

    if (fd < 0 || old < 0)
        return -1;
    at = harm_choose_block(fd, old, size > old_size ? size : old_size, seed);
    if (at < 0 || bytes < 1)
        return error_set(err, ERROR_ENVIRONMENT,
                         "'%s' is no different from its older copy", path);
    if (harm_restore_chunk(fd, old, at, bytes, old_size) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    if (harm_file_sync(fd, path, err) < 0)
        return -1;
    printf("{\"size\":%" PRId64 ",\"old_size\":%" PRId64 ",\"at\":%" PRId64
           ",\"bytes\":%" PRId64 "}\n",
           size, old_size, at, bytes);
    return 0;
}
