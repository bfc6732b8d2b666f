/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkdir with mode 0700 either makes the directory or says that somebody was
 * there first; what is there must be a real directory, ours and closed to
 * others, or it is not used.
 *
 * Failure modes: $XDG_RUNTIME_DIR unset, too long or unusable: /tmp is used.
 * /tmp/ordeal-UID prepared by somebody else: refused, with its name.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/provider/runtime-dir.h"

/* "/run/user/1000/ordeal" fits; socket paths below it stay under 108. */
#define RUNTIME_BASE_MAX 32
#define RUNTIME_TRIES 16

int
runtime_dir_check(const char *path, struct error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return error_errno(err, ERROR_CONFIG, errno, "runtime directory '%s'",
                           path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 077) != 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "'%s' is not a directory of ours with mode 0700: "
                         "remove it, or have its owner do so",
                         path);
    return 0;
}

static int
runtime_dir_base(const char *base, struct error *err)
{
    if (mkdir(base, 0700) < 0 && errno != EEXIST)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "mkdir '%s'", base);
    return runtime_dir_check(base, err);
}

/* The two places, best first; false when there is no such place. */
static bool
runtime_dir_place(int which, char ret[static RUNTIME_BASE_MAX])
{
    const char *xdg = getenv("XDG_RUNTIME_DIR");
    int n;

    if (which == 0 && (xdg == NULL || xdg[0] != '/'))
        return false;
    if (which == 0)
        n = snprintf(ret, RUNTIME_BASE_MAX, "%s/ordeal", xdg);
    else
        n = snprintf(ret, RUNTIME_BASE_MAX, "/tmp/ordeal-%u",
                     (unsigned)geteuid());
    return n > 0 && n < RUNTIME_BASE_MAX;
}

static int
runtime_dir_find_base(char ret[static RUNTIME_BASE_MAX], struct error *err)
{
    struct error ignored;

    if (runtime_dir_place(0, ret) && runtime_dir_base(ret, &ignored) == 0)
        return 0;
    runtime_dir_place(1, ret);
    return runtime_dir_base(ret, err);
}

static int
runtime_dir_mark(const char *path, const char *run_id, struct error *err)
{
    CLEANUP_FREE char *owner_path = xasprintf("%s/owner", path);
    CLEANUP_FREE char *owner = NULL;
    uint64_t ticks = 0;

    if (!process_start_ticks(getpid(), &ticks))
        return error_set(err, ERROR_ENVIRONMENT, "/proc/self/stat: unreadable");
    owner = xasprintf("%d %" PRIu64 " %s\n", (int)getpid(), ticks, run_id);
    return file_write_atomic(owner_path, owner, strlen(owner), 0600, err);
}

int
runtime_dir_create(const char *run_id, char ret[static RUNTIME_DIR_SIZE],
                   struct error *err)
{
    char base[RUNTIME_BASE_MAX], path[RUNTIME_DIR_SIZE];

    if (runtime_dir_find_base(base, err) < 0)
        return -1;
    for (int try = 0; try < RUNTIME_TRIES; try++) {
        struct error ignored;
        uint32_t id = 0;

        if (getrandom(&id, sizeof(id), 0) != sizeof(id))
            return error_errno(err, ERROR_ENVIRONMENT, errno, "getrandom");
        snprintf(path, sizeof(path), "%s/%08x", base, id);
        if (mkdir(path, 0700) < 0) {
            /* another process took the name, or removed an empty base */
            if (errno == EEXIST ||
                (errno == ENOENT && runtime_dir_base(base, &ignored) == 0))
                continue;
            return error_errno(err, ERROR_ENVIRONMENT, errno, "mkdir '%s'",
                               path);
        }
        if (runtime_dir_mark(path, run_id, err) < 0) {
            dir_remove(path, &ignored);
            return -1;
        }
        memcpy(ret, path, sizeof(path));
        return 0;
    }
    return error_set(err, ERROR_ENVIRONMENT, "no free name below '%s'", base);
}

int
runtime_dir_adopt(const char *path, const char *run_id, struct error *err)
{
    char base[RUNTIME_BASE_MAX];

    if (runtime_dir_find_base(base, err) < 0 || runtime_dir_base(path, err) < 0)
        return -1;
    return runtime_dir_mark(path, run_id, err);
}

int
runtime_dir_remove(const char *path, struct error *err)
{
    char base[RUNTIME_DIR_SIZE];
    char *slash;

    if (dir_remove(path, err) < 0)
        return -1;
    snprintf(base, sizeof(base), "%s", path);
    slash = strrchr(base, '/');
    if (slash != NULL && slash != base) {
        *slash = '\0';
        rmdir(base); /* fails, rightly, while others are below it */
    }
    return 0;
}

static size_t
runtime_dir_list_base(const char *base, char (*ret)[RUNTIME_DIR_SIZE],
                      size_t max)
{
    DIR *dir = opendir(base);
    struct dirent *entry;
    size_t count = 0;

    while (dir != NULL && count < max && (entry = readdir(dir)) != NULL) {
        struct error ignored;
        char path[RUNTIME_DIR_SIZE];

        if (strlen(entry->d_name) != 8 ||
            strspn(entry->d_name, "0123456789abcdef") != 8)
            continue;
        snprintf(path, sizeof(path), "%s/%.8s", base, entry->d_name);
        if (runtime_dir_check(path, &ignored) == 0)
            memcpy(ret[count++], path, sizeof(path));
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

size_t
runtime_dir_list(char (*ret)[RUNTIME_DIR_SIZE], size_t max)
{
    size_t count = 0;

    for (int which = 0; which < 2; which++) {
        char base[RUNTIME_BASE_MAX];
        struct error ignored;

        if (runtime_dir_place(which, base) &&
            runtime_dir_check(base, &ignored) == 0)
            count += runtime_dir_list_base(base, ret + count, max - count);
    }
    return count;
}

bool
runtime_dir_owner(const char *path, int *ret_pid)
{
    CLEANUP_FREE char *owner_path = xasprintf("%s/owner", path);
    struct error err = {0};
    CLEANUP_FREE char *text = file_read(owner_path, 256, NULL, &err);
    uint64_t noted, ticks;
    int pid;

    if (text == NULL || sscanf(text, "%d %" SCNu64, &pid, &noted) != 2)
        return false;
    if (pid <= 0 || !process_start_ticks(pid, &ticks) || ticks != noted)
        return false;
    *ret_pid = pid;
    return true;
}
