/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: begin and done each format one line, write it with one write(2)
 * and fdatasync it.  A reader takes every line whose checksum holds, adds on
 * begin, removes on done, and turns what is left around.
 *
 * Failure modes: a failed write or sync fails the call, and every later one: a
 * journal that may have a torn line in it takes nothing more.  A torn tail of
 * a driver that was killed is cut off when the journal is opened again.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/crc32c.h"
#include "harness/base/file.h"
#include "nemesis/journal.h"

/* {"crc":"1a2b3c4d","entry": */
#define JOURNAL_PREFIX_LEN 26

struct journal {
    int fd;
    bool failed;
    char *path;
};

static int
journal_lock(int fd, const char *path, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    if (errno == EACCES || errno == EAGAIN)
        return error_set(err, ERROR_CONFIG,
                         "%s: in use by a driver that still runs", path);
    return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: lock", path);
}

/* Cuts off what follows the last newline. */
static int
journal_cut_tail(int fd, const char *path, struct error *err)
{
    off_t end = lseek(fd, 0, SEEK_END), keep = end;

    if (end < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: seek", path);
    while (keep > 0) {
        char c;

        if (pread(fd, &c, 1, keep - 1) != 1)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: read", path);
        if (c == '\n')
            break;
        keep--;
    }
    if (keep != end && (ftruncate(fd, keep) < 0 || fsync(fd) < 0))
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: truncate", path);
    return 0;
}

struct journal *
journal_open(const char *path, struct error *err)
{
    CLEANUP_CLOSE int fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    CLEANUP_FREE char *copy = xstrdup(path);
    struct journal *j;

    if (fd < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
        return NULL;
    }
    if (journal_lock(fd, path, err) < 0 || journal_cut_tail(fd, path, err) < 0)
        return NULL;
    if (dir_sync(dirname(copy), err) < 0)
        return NULL;
    j = xcalloc(1, sizeof(*j));
    j->fd = fd;
    j->path = xstrdup(path);
    fd = -1;
    return j;
}

void
journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    close(j->fd);
    free(j->path);
    free(j);
}

/* Takes 'entry'. */
static int
journal_append(struct journal *j, json_t *entry, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(entry, JSON_COMPACT);
    CLEANUP_FREE char *line = NULL;
    size_t len;

    json_decref(entry);
    assert(text != NULL);
    if (j->failed)
        return error_set(err, ERROR_ENVIRONMENT, "%s: an earlier write failed",
                         j->path);
    line = xasprintf("{\"crc\":\"%08" PRIx32 "\",\"entry\":%s}\n",
                     crc32c(0, text, strlen(text)), text);
    len = strlen(line);
    if (len > JOURNAL_LINE_BYTES_MAX)
        return error_set(err, ERROR_BUG, "%s: undo record of %zu bytes",
                         j->path, len);
    if (file_write_all(j->fd, line, len) < 0 || fdatasync(j->fd) < 0) {
        j->failed = true;
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s: write", j->path);
    }
    return 0;
}

int
journal_begin(struct journal *j, uint64_t id, const json_t *undo,
              struct error *err)
{
    assert(json_is_object(undo));
    assert(id > 0 && id <= INT64_MAX);
    return journal_append(j,
                          json_pack("{s:s, s:I, s:O}", "type", "begin", "id",
                                    (json_int_t)id, "undo", undo),
                          err);
}

int
journal_done(struct journal *j, uint64_t id, struct error *err)
{
    return journal_append(
        j, json_pack("{s:s, s:I}", "type", "done", "id", (json_int_t)id), err);
}

/* The entry of a whole line (without its newline), NULL when damaged. */
static json_t *
journal_parse(const char *line, size_t len)
{
    char prefix[JOURNAL_PREFIX_LEN + 1];
    const char *entry = line + JOURNAL_PREFIX_LEN;
    size_t entry_len;

    if (len > JOURNAL_LINE_BYTES_MAX || len <= JOURNAL_PREFIX_LEN + 1 ||
        line[len - 1] != '}')
        return NULL;
    entry_len = len - JOURNAL_PREFIX_LEN - 1;
    snprintf(prefix, sizeof(prefix), "{\"crc\":\"%08" PRIx32 "\",\"entry\":",
             crc32c(0, entry, entry_len));
    if (memcmp(line, prefix, JOURNAL_PREFIX_LEN) != 0)
        return NULL;
    return json_loadb(entry, entry_len, JSON_REJECT_DUPLICATES, NULL);
}

static void
journal_remove(struct journal_pending *p, uint64_t id)
{
    for (size_t i = p->record_count; i > 0; i--) {
        if (p->records[i - 1].id != id)
            continue;
        json_decref(p->records[i - 1].undo);
        memmove(&p->records[i - 1], &p->records[i],
                (p->record_count - i) * sizeof(*p->records));
        p->record_count--;
        return;
    }
}

/* Applies one entry; false when it is not one of ours. */
static bool
journal_apply(struct journal_pending *p, const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "type"));
    json_t *undo = json_object_get(entry, "undo");
    json_int_t id = json_integer_value(json_object_get(entry, "id"));

    if (type == NULL || id <= 0)
        return false;
    if (strcmp(type, "done") == 0) {
        journal_remove(p, (uint64_t)id);
        return true;
    }
    if (strcmp(type, "begin") != 0 || !json_is_object(undo))
        return false;
    p->records =
        xrealloc(p->records, (p->record_count + 1) * sizeof(*p->records));
    p->records[p->record_count++] =
        (struct journal_record){.id = (uint64_t)id, .undo = json_incref(undo)};
    if ((uint64_t)id > p->id_max)
        p->id_max = (uint64_t)id;
    return true;
}

static void
journal_reverse(struct journal_pending *p)
{
    for (size_t i = 0; i < p->record_count / 2; i++) {
        struct journal_record *other = &p->records[p->record_count - 1 - i];
        struct journal_record swap = p->records[i];

        p->records[i] = *other;
        *other = swap;
    }
}

static char *
journal_read(int fd, const char *path, size_t *ret_len, struct error *err)
{
    CLEANUP_FREE char *text = NULL;
    struct stat st;
    size_t len = 0;

    if (fstat(fd, &st) < 0 || st.st_size > (off_t)JOURNAL_BYTES_MAX) {
        error_set(err, ERROR_ENVIRONMENT, "%s: not a journal", path);
        return NULL;
    }
    text = xcalloc((size_t)st.st_size + 1, 1);
    while (len < (size_t)st.st_size) {
        ssize_t n = pread(fd, text + len, (size_t)st.st_size - len, (off_t)len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_errno(err, ERROR_ENVIRONMENT, errno, "%s: read", path);
            return NULL;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return TAKE(text);
}

static int
journal_pending_fd(int fd, const char *path, struct journal_pending *ret,
                   struct error *err)
{
    struct journal_pending p = {0};
    CLEANUP_FREE char *text = NULL;
    size_t len = 0;

    text = journal_read(fd, path, &len, err);
    if (text == NULL)
        return -1;
    for (char *line = text, *end = text + len; line < end;) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        json_t *entry;

        if (newline == NULL)
            break; /* torn: its call never returned */
        entry = journal_parse(line, (size_t)(newline - line));
        if ((entry == NULL || !journal_apply(&p, entry)) && newline + 1 < end)
            p.damaged_count++;
        json_decref(entry);
        line = newline + 1;
    }
    journal_reverse(&p);
    *ret = p;
    return 0;
}

int
journal_pending_open(struct journal *j, struct journal_pending *ret,
                     struct error *err)
{
    return journal_pending_fd(j->fd, j->path, ret, err);
}

int
journal_pending(const char *path, struct journal_pending *ret,
                struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        *ret = (struct journal_pending){0};
        return 0;
    }
    if (fd < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    return journal_pending_fd(fd, path, ret, err);
}

void
journal_pending_release(struct journal_pending *p)
{
    for (size_t i = 0; i < p->record_count; i++)
        json_decref(p->records[i].undo);
    free(p->records);
    *p = (struct journal_pending){0};
}
