/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the disk is found by its serial under /sys/block; the
 * configuration is read whole; the data disk is mounted, after mke2fs when its
 * first bytes are all zero.
 *
 * Failure modes: no such disk before the deadline; a configuration that is too
 * large; a data disk that neither mounts nor is blank.  The last is *not* made
 * anew: it may hold what a fault damaged, and that is evidence.  One e2fsck -p
 * is tried, then the disk stays unmounted.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "vm-images/init.h"

/* Where ext4 keeps everything that tells it from nothing, and some more. */
#define BLANK_BYTES 65536
#define MKE2FS_TIMEOUT_NS (60 * NS_PER_S)
#define E2FSCK_TIMEOUT_NS (60 * NS_PER_S)

static bool
serial_matches(const char *block, const char *serial)
{
    char path[300], text[32];
    CLEANUP_CLOSE int fd = -1;
    ssize_t n;

    snprintf(path, sizeof(path), "/sys/block/%s/serial", block);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return strcmp(text, serial) == 0;
}

static bool
disk_scan(const char *serial, char ret[static DISK_NAME_MAX])
{
    DIR *dir = opendir("/sys/block");
    struct dirent *entry;
    bool found = false;

    if (dir == NULL)
        return false;
    while (!found && (entry = readdir(dir)) != NULL) {
        if (strlen(entry->d_name) > DISK_NAME_MAX - sizeof("/dev/") ||
            !serial_matches(entry->d_name, serial))
            continue;
        snprintf(ret, DISK_NAME_MAX, "/dev/%.*s",
                 (int)(DISK_NAME_MAX - sizeof("/dev/")), entry->d_name);
        found = true;
    }
    closedir(dir);
    return found;
}

int
disk_find(const char *serial, int64_t deadline_ns,
          char ret[static DISK_NAME_MAX], struct error *err)
{
    struct clock *clock = clock_monotonic();

    while (!disk_scan(serial, ret)) {
        if (clock_now_ns(clock) >= deadline_ns)
            return error_set(err, ERROR_ENVIRONMENT, "no disk with serial '%s'",
                             serial);
        clock_sleep_ns(clock, 5 * NS_PER_MS);
    }
    return 0;
}

/* Fills data as far as the disk goes.  Returns the count, or -1. */
static ssize_t
read_up_to(int fd, char *data, size_t max)
{
    size_t have = 0;

    while (have < max) {
        ssize_t n = read(fd, data + have, max - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

char *
disk_read_config(const char *path, size_t *ret_len, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *data = malloc(GUEST_CONFIG_BYTES_MAX);
    ssize_t n;

    if (fd < 0 || data == NULL) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "open '%s'", path);
        return NULL;
    }
    n = read_up_to(fd, data, GUEST_CONFIG_BYTES_MAX);
    if (n < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "read '%s'", path);
        return NULL;
    }
    *ret_len = (size_t)n;
    return TAKE(data);
}

static int
disk_is_blank(const char *path, bool *ret, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP_FREE char *data = calloc(1, BLANK_BYTES);
    ssize_t n;

    if (fd < 0 || data == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "open '%s'", path);
    n = read_up_to(fd, data, BLANK_BYTES);
    if (n <= 0)
        return error_errno(err, ERROR_ENVIRONMENT, n < 0 ? errno : ENODATA,
                           "read '%s'", path);
    *ret = data[0] == '\0' && memcmp(data, data + 1, (size_t)n - 1) == 0;
    return 0;
}

/*
 * Few inodes and a small journal: the file system is made in a moment even
 * under emulation.  Nothing is discarded: the host's disk may not be sparse.
 */
static int
data_make(const char *path, struct error *err)
{
    const char *argv[] = {"/sbin/mke2fs",
                          "-q",
                          "-F",
                          "-t",
                          "ext4",
                          "-m",
                          "0",
                          "-i",
                          "65536",
                          "-J",
                          "size=8",
                          "-E",
                          "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                          path,
                          NULL};

    return process_run(argv, MKE2FS_TIMEOUT_NS, err);
}

static int
data_mount_once(const char *path, const char *target, struct error *err)
{
    /* noinit_itable: the tables of a fresh disk are zero already. */
    if (mount(path, target, "ext4", MS_NOATIME | MS_NODEV, "noinit_itable") < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "mount '%s' on '%s'",
                           path, target);
    return 0;
}

int
disk_mount_data(const char *path, const char *target, struct error *err)
{
    const char *fsck[] = {"/sbin/e2fsck", "-p", path, NULL};
    struct error ignored;
    bool blank = false;

    if (disk_is_blank(path, &blank, err) < 0)
        return -1;
    if (blank && data_make(path, err) < 0)
        return -1;
    if (data_mount_once(path, target, &ignored) == 0)
        return 0;
    init_say("%s, trying e2fsck", ignored.text);
    /* Its status says "repaired" as well as "failed": the mount decides. */
    if (process_run(fsck, E2FSCK_TIMEOUT_NS, &ignored) < 0)
        init_say("%s, continuing", ignored.text);
    return data_mount_once(path, target, err);
}
