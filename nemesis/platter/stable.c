/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "nemesis/platter/stable.h"

#define STABLE_CHUNK_BYTES 65536u

int
stable_read(int fd, void *buf, uint64_t length, uint64_t offset)
{
    unsigned char *p = buf;

    while (length > 0) {
        ssize_t n = pread(fd, p, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* the file has become shorter */
        p += n;
        length -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int
stable_write(int fd, const void *buf, uint64_t length, uint64_t offset)
{
    const unsigned char *p = buf;

    while (length > 0) {
        ssize_t n = pwrite(fd, p, length, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        length -= (uint64_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int
stable_zero(int fd, uint64_t offset, uint64_t length)
{
    static const unsigned char zeros[STABLE_CHUNK_BYTES];
    int rc = 0;

    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                  (off_t)length) == 0)
        return 0;
    if (errno != EOPNOTSUPP)
        return -errno;
    for (uint64_t done = 0; rc == 0 && done < length;
         done += STABLE_CHUNK_BYTES) {
        uint64_t n = length - done;

        rc = stable_write(fd, zeros,
                          n < STABLE_CHUNK_BYTES ? n : STABLE_CHUNK_BYTES,
                          offset + done);
    }
    return rc;
}

int
stable_apply(int fd, const struct store_record *r, uint64_t from,
             uint64_t length)
{
    if (r->kind == STORE_WRITE)
        return stable_write(fd, r->data + from, length, r->offset + from);
    return stable_zero(fd, r->offset + from, length);
}

static uint64_t
stable_count_differing(const unsigned char *file, const unsigned char *record,
                       uint64_t length)
{
    static const unsigned char zeros[STORE_SECTOR_BYTES];
    uint64_t count = 0;

    for (uint64_t i = 0; i < length; i += STORE_SECTOR_BYTES) {
        const unsigned char *wanted = record == NULL ? zeros : record + i;

        count += memcmp(file + i, wanted, STORE_SECTOR_BYTES) != 0;
    }
    return count;
}

int64_t
stable_differs(int fd, const struct store_record *r, uint64_t start,
               uint64_t end)
{
    CLEANUP_FREE unsigned char *chunk = xcalloc(1, STABLE_CHUNK_BYTES);
    uint64_t count = 0;

    for (uint64_t at = start; at < end;) {
        uint64_t n = end - at;
        int rc;

        if (r->kind != STORE_WRITE) { /* holes are zeros: go to the next data */
            off_t data = lseek(fd, (off_t)at, SEEK_DATA);

            if (data < 0 && errno == ENXIO)
                break;
            if (data >= (off_t)(at + STORE_SECTOR_BYTES)) {
                at = (uint64_t)data - (uint64_t)data % STORE_SECTOR_BYTES;
                continue;
            }
        }
        n = n < STABLE_CHUNK_BYTES ? n : STABLE_CHUNK_BYTES;
        rc = stable_read(fd, chunk, n, at);
        if (rc < 0) {
            errno = -rc;
            return -1;
        }
        count += stable_count_differing(
            chunk, r->kind == STORE_WRITE ? r->data + (at - r->offset) : NULL,
            n);
        at += n;
    }
    return (int64_t)count;
}
