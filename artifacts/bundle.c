/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle is made, filled, and finished by its manifest.  The manifest is
 * written last and atomically, so a directory without one is a run that is
 * still going on or whose driver died: everything it holds is still there, and
 * bundle_open goes on with it.
 *
 * A file is added whole or not at all; a line that could not be appended whole
 * is cut off again.  The links 'current' and 'latest' are conveniences: they
 * are replaced by rename, so they never miss.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "artifacts/bundle.h"
#include "artifacts/manifest.h"
#include "artifacts/secrets.h"
#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "harness/base/file.h"
#include "harness/base/rng.h"

#define BUNDLE_MANIFEST_BYTES_MAX (64u << 20)
/* Collisions of 16 random bits within one second of one scenario. */
#define BUNDLE_NAME_TRIES 64

struct bundle {
    pthread_mutex_t lock; /* of files that several threads write */
    char *runs, *scenario, *id, *dir;
    bool finished;
};

/* ---- names ---- */

static bool
bundle_scenario_valid(const char *name)
{
    if (*name == '\0' || *name == '.' || strlen(name) > NAME_MAX)
        return false;
    for (const char *p = name; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
            return false;
    return true;
}

/* Relative, no empty part, no "." or "..". */
static bool
bundle_name_valid(const char *name)
{
    if (strlen(name) >= PATH_MAX / 2)
        return false;
    for (const char *p = name;; p++) {
        size_t len = strcspn(p, "/");

        if (len == 0 || (len == 1 && p[0] == '.') ||
            (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += len;
        if (*p == '\0')
            return true;
    }
}

/* RUNS/name -> SCENARIO/ID, replacing what was there. */
static int
bundle_link(const struct bundle *b, const char *name, struct error *err)
{
    CLEANUP_FREE char *target = xasprintf("%s/%s", b->scenario, b->id);
    CLEANUP_FREE char *path = xasprintf("%s/%s", b->runs, name);
    CLEANUP_FREE char *temp = xasprintf("%s/.%s.%s", b->runs, name, b->id);

    if ((unlink(temp) < 0 && errno != ENOENT) || symlink(target, temp) < 0 ||
        rename(temp, path) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno, "%s: link", path);
        unlink(temp);
        return -1;
    }
    return 0;
}

/* Removes RUNS/current when it still points here. */
static void
bundle_unlink_current(const struct bundle *b)
{
    CLEANUP_FREE char *target = xasprintf("%s/%s", b->scenario, b->id);
    CLEANUP_FREE char *path = xasprintf("%s/current", b->runs);
    char now[PATH_MAX];
    ssize_t len = readlink(path, now, sizeof(now) - 1);

    if (len < 0)
        return;
    now[len] = '\0';
    if (strcmp(now, target) == 0)
        unlink(path);
}

/* ---- life ---- */

static struct bundle *
bundle_alloc(void)
{
    struct bundle *b = xcalloc(1, sizeof(*b));

    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void
bundle_free(struct bundle *b)
{
    if (b == NULL)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b->runs);
    free(b->scenario);
    free(b->id);
    free(b->dir);
    free(b);
}

/* "2026-01-31T23:59:59Z" -> "20260131T235959Z" */
static void
bundle_time_name(int64_t wall_ns, char ret[static 21])
{
    char *to = ret;

    clock_format_utc(wall_ns, ret);
    for (const char *from = ret; *from != '\0'; from++)
        if (*from != '-' && *from != ':')
            *to++ = *from;
    *to = '\0';
}

static int
bundle_make_dir(struct bundle *b, int64_t wall_ns, struct error *err)
{
    char when[21];

    bundle_time_name(wall_ns, when);
    for (int i = 0; i < BUNDLE_NAME_TRIES; i++) {
        free(b->id);
        free(b->dir);
        b->id =
            xasprintf("%s-%04x", when, (unsigned)(rng_fresh_seed() & 0xffff));
        b->dir = xasprintf("%s/%s/%s", b->runs, b->scenario, b->id);
        if (mkdir(b->dir, 0755) == 0)
            return 0;
        if (errno != EEXIST)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "mkdir '%s'",
                               b->dir);
    }
    return error_set(err, ERROR_ENVIRONMENT, "%s: exists already", b->dir);
}

static int
bundle_setup(struct bundle *b, const char *runs, const char *scenario,
             int64_t wall_ns, struct error *err)
{
    CLEANUP_FREE char *parent = xasprintf("%s/%s", runs, scenario);

    if (!bundle_scenario_valid(scenario))
        return error_set(err, ERROR_CONFIG,
                         "'%s' cannot name a directory: letters, digits, '.', "
                         "'_' and '-' only",
                         scenario);
    if (dir_make(parent, 0755, err) < 0)
        return -1;
    b->scenario = xstrdup(scenario);
    b->runs = realpath(runs, NULL);
    if (b->runs == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", runs);
    if (bundle_make_dir(b, wall_ns, err) < 0)
        return -1;
    return bundle_link(b, "current", err);
}

struct bundle *
bundle_new(const char *runs, const char *scenario, int64_t wall_ns,
           struct error *err)
{
    struct bundle *b = bundle_alloc();

    if (bundle_setup(b, runs, scenario, wall_ns, err) == 0)
        return b;
    bundle_free(b);
    return NULL;
}

struct bundle *
bundle_open(const char *dir, struct error *err)
{
    struct bundle *b = bundle_alloc();
    CLEANUP_FREE char *manifest = NULL;
    char *slash;

    b->dir = realpath(dir, NULL);
    if (b->dir == NULL) {
        error_errno(err, ERROR_CONFIG, errno, "%s", dir);
        bundle_free(b);
        return NULL;
    }
    b->runs = xstrdup(b->dir);
    slash = strrchr(b->runs, '/');
    b->id = xstrdup(slash + 1);
    *slash = '\0';
    slash = strrchr(b->runs, '/');
    if (slash == NULL || slash == b->runs) {
        error_set(err, ERROR_CONFIG, "%s: is no RUNS/SCENARIO/RUN", dir);
        bundle_free(b);
        return NULL;
    }
    b->scenario = xstrdup(slash + 1);
    *slash = '\0';
    manifest = xasprintf("%s/" BUNDLE_MANIFEST, b->dir);
    b->finished = path_exists(manifest);
    if (b->finished) {
        error_set(err, ERROR_CONFIG, "%s: this bundle is finished", dir);
        bundle_free(b);
        return NULL;
    }
    return b;
}

const char *
bundle_dir(const struct bundle *b)
{
    return b->dir;
}

const char *
bundle_id(const struct bundle *b)
{
    return b->id;
}

char *
bundle_path(struct bundle *b, const char *name, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", b->dir, name);
    CLEANUP_FREE char *copy = xstrdup(path);

    if (b->finished) {
        error_set(err, ERROR_BUG, "%s: is finished, '%s' comes too late",
                  b->dir, name);
        return NULL;
    }
    if (!bundle_name_valid(name)) {
        error_set(err, ERROR_BUG, "'%s' is no name inside a bundle", name);
        return NULL;
    }
    if (dir_make(dirname(copy), 0755, err) < 0)
        return NULL;
    return TAKE(path);
}

/* ---- files ---- */

/* Without the look for secrets: for what bundle_finish renders. */
static int
bundle_put(struct bundle *b, const char *name, const void *data, size_t len,
           mode_t mode, struct error *err)
{
    CLEANUP_FREE char *path = bundle_path(b, name, err);
    int status;

    if (path == NULL)
        return -1;
    pthread_mutex_lock(&b->lock);
    status = file_write_atomic(path, data, len, mode, err);
    pthread_mutex_unlock(&b->lock);
    return status;
}

static int
bundle_refuse_secret(const char *name, const void *data, size_t len,
                     struct error *err)
{
    if (!secrets_marker(data, len))
        return 0;
    return error_set(err, ERROR_BUG,
                     "'%s' is kept out of the bundle: it holds what looks "
                     "like a private key",
                     name);
}

int
bundle_add(struct bundle *b, const char *name, const void *data, size_t len,
           struct error *err)
{
    if (bundle_refuse_secret(name, data, len, err) < 0)
        return -1;
    return bundle_put(b, name, data, len, 0644, err);
}

int
bundle_add_json(struct bundle *b, const char *name, const json_t *json,
                struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(json, JSON_INDENT(2));
    CLEANUP_FREE char *line = NULL;

    if (text == NULL)
        return error_set(err, ERROR_BUG, "'%s' is no JSON", name);
    line = xasprintf("%s\n", text);
    return bundle_add(b, name, line, strlen(line), err);
}

int
bundle_set_status(struct bundle *b, const json_t *status, struct error *err)
{
    return bundle_add_json(b, BUNDLE_STATUS, status, err);
}

static int
bundle_append_line(const char *path, const char *line, struct error *err)
{
    CLEANUP_CLOSE int fd =
        open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    int saved;

    if (size < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", path);
    if (file_write_all(fd, line, strlen(line)) == 0)
        return 0;
    saved = errno;
    if (ftruncate(fd, size) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, saved,
                           "%s: a part of a line was written", path);
    return error_errno(err, ERROR_ENVIRONMENT, saved, "%s: write", path);
}

int
bundle_append_json(struct bundle *b, const char *name, const json_t *json,
                   struct error *err)
{
    CLEANUP_FREE char *path = bundle_path(b, name, err);
    CLEANUP_FREE char *text = json_dumps(json, JSON_COMPACT);
    CLEANUP_FREE char *line = NULL;
    int status;

    if (path == NULL)
        return -1;
    if (text == NULL)
        return error_set(err, ERROR_BUG, "'%s': a line is no JSON", name);
    line = xasprintf("%s\n", text);
    if (bundle_refuse_secret(name, line, strlen(line), err) < 0)
        return -1;
    pthread_mutex_lock(&b->lock);
    status = bundle_append_line(path, line, err);
    pthread_mutex_unlock(&b->lock);
    return status;
}

/* ---- the end ---- */

static int
bundle_render(struct bundle *b, const struct run_report *report,
              const char *name, mode_t mode,
              void (*render)(const struct run_report *, struct buf *),
              struct error *err)
{
    struct buf text;
    int status;

    buf_init(&text, REPORT_TEXT_BYTES_MAX);
    render(report, &text);
    if (text.truncated)
        status = error_set(err, ERROR_BUG, "'%s' is larger than %u bytes", name,
                           REPORT_TEXT_BYTES_MAX);
    else
        status = bundle_put(b, name, buf_text(&text), text.len, mode, err);
    buf_release(&text);
    return status;
}

static int
bundle_write_manifest(struct bundle *b, const struct run_report *report,
                      struct error *err)
{
    json_t *withheld = json_array();
    json_t *files = manifest_scan(b->dir, withheld, err);
    json_t *manifest;
    CLEANUP_FREE char *text = NULL;

    if (files == NULL) {
        json_decref(withheld);
        return -1;
    }
    manifest = report_to_json(report);
    json_object_set_new(manifest, "withheld", withheld);
    json_object_set_new(manifest, "files", files);
    text = json_dumps(manifest, JSON_INDENT(2));
    json_decref(manifest);
    if (text == NULL)
        return error_set(err, ERROR_BUG, "the manifest is no JSON");
    return bundle_put(b, BUNDLE_MANIFEST, text, strlen(text), 0644, err);
}

int
bundle_finish(struct bundle *b, const struct run_report *report,
              struct error *err)
{
    if (bundle_render(b, report, "junit.xml", 0644, junit_render, err) < 0 ||
        bundle_render(b, report, "summary.md", 0644, summary_render, err) < 0 ||
        bundle_render(b, report, "repro.sh", 0755, repro_render, err) < 0 ||
        bundle_write_manifest(b, report, err) < 0)
        return error_wrap(err, "bundle %s", b->dir);
    b->finished = true;
    if (bundle_link(b, "latest", err) < 0)
        return -1;
    bundle_unlink_current(b);
    return 0;
}

/* ---- verification ---- */

struct bundle_difference {
    unsigned count;
    const char *what; /* of the first */
    char path[256];
};

static void
bundle_differs(struct bundle_difference *d, const char *what, const char *path)
{
    if (d->count++ > 0)
        return;
    d->what = what;
    snprintf(d->path, sizeof(d->path), "%s", path == NULL ? "?" : path);
}

static bool
bundle_same_file(const json_t *a, const json_t *b)
{
    const char *x = json_string_value(json_object_get(a, "sha256"));
    const char *y = json_string_value(json_object_get(b, "sha256"));

    return x != NULL && y != NULL && strcmp(x, y) == 0 &&
           json_equal(json_object_get(a, "size"), json_object_get(b, "size"));
}

/* Both are sorted by path: one merge finds every difference. */
static void
bundle_compare(const json_t *listed, const json_t *found,
               struct bundle_difference *d)
{
    size_t i = 0, k = 0;

    while (i < json_array_size(listed) || k < json_array_size(found)) {
        const json_t *a = json_array_get(listed, i);
        const json_t *b = json_array_get(found, k);
        const char *x = json_string_value(json_object_get(a, "path"));
        const char *y = json_string_value(json_object_get(b, "path"));
        int order = a == NULL   ? 1
                    : b == NULL ? -1
                                : strcmp(x == NULL ? "" : x, y);

        if (order < 0)
            bundle_differs(d, "missing", x);
        else if (order > 0)
            bundle_differs(d, "not in the manifest", y);
        else if (!bundle_same_file(a, b))
            bundle_differs(d, "changed", x);
        i += order <= 0;
        k += order >= 0;
    }
}

static json_t *
bundle_load_manifest(const char *dir, struct error *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/" BUNDLE_MANIFEST, dir);
    CLEANUP_FREE char *text = NULL;
    json_error_t why;
    json_t *manifest;
    size_t len;

    if (!path_exists(path)) {
        error_set(err, ERROR_CONFIG,
                  "%s: has no " BUNDLE_MANIFEST ": no bundle, or of a run that "
                  "did not end ('ordeal recover' finishes it)",
                  dir);
        return NULL;
    }
    text = file_read(path, BUNDLE_MANIFEST_BYTES_MAX, &len, err);
    if (text == NULL)
        return NULL;
    manifest = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (manifest == NULL) {
        error_set(err, ERROR_CONFIG, "%s:%d: %s", path, why.line, why.text);
        return NULL;
    }
    if (!json_is_array(json_object_get(manifest, "files")) ||
        json_integer_value(json_object_get(manifest, "schema")) !=
            BUNDLE_SCHEMA_VERSION) {
        error_set(err, ERROR_CONFIG, "%s: not a manifest of schema %d", path,
                  BUNDLE_SCHEMA_VERSION);
        json_decref(manifest);
        return NULL;
    }
    return manifest;
}

int
bundle_verify(const char *dir, json_t **ret_manifest, struct error *err)
{
    struct bundle_difference d = {0};
    json_t *manifest = bundle_load_manifest(dir, err);
    json_t *found = manifest == NULL ? NULL : manifest_scan(dir, NULL, err);

    if (found == NULL) {
        json_decref(manifest);
        return -1;
    }
    bundle_compare(json_object_get(manifest, "files"), found, &d);
    json_decref(found);
    if (ret_manifest != NULL)
        *ret_manifest = json_incref(manifest);
    json_decref(manifest);
    if (d.count == 0)
        return 0;
    return error_set(err, ERROR_CONFIG,
                     "%s: '%s' is %s (%u file%s differ%s from the manifest)",
                     dir, d.path, d.what, d.count, d.count == 1 ? "" : "s",
                     d.count == 1 ? "s" : "");
}
