/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system without room: one file takes all but ARG KiB, and again
 * whenever there is more.
 *
 * Failure modes: a file system that cannot allocate at once (EOPNOTSUPP) fails
 * the act.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "nemesis/harm/harm.h"

#define FILL_KIB INT64_C(1024)
/* The least that allocating tries for: a block. */
#define FILL_STEP_MIN (4 * FILL_KIB)
#define FILL_PROBE_NAME ".ordeal-probe"

static int
fill_prepare(struct harm *h, struct error *err)
{
    if (h->args[0] < 0)
        return error_set(err, ERROR_CONFIG, "a negative reserve");
    return 0;
}

static int64_t
fill_free_bytes(int fd)
{
    struct statvfs s;

    /* The daemon is root: blocks kept for root are free to it. */
    return fstatvfs(fd, &s) < 0 ? -1 : (int64_t)s.f_bfree * (int64_t)s.f_frsize;
}

/* Allocates until 'reserve' is left: large steps first. */
static int
fill_take(int fd, int64_t reserve)
{
    int64_t left = fill_free_bytes(fd), step = left - reserve;
    off_t end = lseek(fd, 0, SEEK_END);

    while (left >= 0 && left - reserve >= FILL_STEP_MIN &&
           step >= FILL_STEP_MIN) {
        if (step > left - reserve)
            step = left - reserve;
        if (fallocate(fd, 0, end, step) == 0)
            end += step;
        else if (errno != ENOSPC)
            return -1;
        else
            step /= 2;
        left = fill_free_bytes(fd);
    }
    return 0;
}

static int
fill_act(struct harm *h, struct error *err)
{
    int fd = open(h->note.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", h->note.path);
    if (fill_take(fd, h->args[0] * FILL_KIB) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "'%s': fallocate",
                    h->note.path);
        close(fd);
        return -1;
    }
    close(fd);
    return 0;
}

static int64_t
fill_step(struct harm *h)
{
    int fd = open(h->note.path, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        /* What does not succeed now is seen in the proof. */
        (void)fill_take(fd, h->args[0] * FILL_KIB);
        close(fd);
    }
    return HARM_LOOK_NS;
}

static int
fill_undo(const struct harm_note *note, struct error *err)
{
    if (unlink(note->path) < 0 && errno != ENOENT)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", note->path);
    return 0;
}

const struct harm_kind harm_fill = {
    .name = "fill",
    .has_path = true,
    .arg_count = 1,
    .prepare = fill_prepare,
    .act = fill_act,
    .step = fill_step,
    .undo = fill_undo,
};

/* Really written and synced: what was only promised is no room. */
static int
fill_write(int fd, int64_t bytes)
{
    static const char zeros[65536];

    for (int64_t done = 0; done < bytes;) {
        int64_t n = bytes - done < (int64_t)sizeof(zeros)
                        ? bytes - done
                        : (int64_t)sizeof(zeros);
        ssize_t written = write(fd, zeros, (size_t)n);

        if (written <= 0)
            return errno;
        done += written;
    }
    return fsync(fd) < 0 ? errno : 0;
}

int
harm_probe_space(const char *dir, int64_t bytes, struct error *err)
{
    char path[HARM_PATH_MAX];
    int64_t left;
    int fd, code;

    snprintf(path, sizeof(path), "%s/" FILL_PROBE_NAME, dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 && errno != ENOSPC)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", path);
    code = fd < 0 ? ENOSPC : fill_write(fd, bytes);
    if (fd >= 0)
        close(fd);
    unlink(path);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    left = fd < 0 ? -1 : fill_free_bytes(fd);
    if (fd >= 0)
        close(fd);
    printf("{\"written\":%s,\"error\":\"%s\",\"free_kib\":%" PRId64 "}\n",
           code == 0 ? "true" : "false",
           code == 0 ? "" : (code == ENOSPC ? "ENOSPC" : strerror(code)),
           left / FILL_KIB);
    return 0;
}
