/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remote of the provider "local": a node is a directory of this host
 * (endpoint.host), programs are our children.  Node paths below /data and /run
 * mean the same below that directory: in put and get, and in every word of a
 * command that begins with them.  DIR/bin stands first in PATH, and
 * ORDEAL_NODE_DIR names DIR.
 *
 * Failure modes are those of the SSH remote, without a connection to lose: a
 * program that cannot be started exits with 127 (absent) or 126.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/process.h"
#include "harness/remote/remote.h"

#define LOCAL_CHUNK_BYTES 65536
#define LOCAL_ENVIRONMENT_MAX 512

extern char **environ;

static const char *
local_dir(const struct remote *r)
{
    return r->endpoint.host;
}

static bool
local_below(const char *path, const char *top)
{
    size_t len = strlen(top);

    return strncmp(path, top, len) == 0 &&
           (path[len] == '\0' || path[len] == '/');
}

/* The host's path of a node path; other words as they are. */
static char *
local_map(const struct remote *r, struct arena *a, const char *word)
{
    if (local_below(word, "/data") || local_below(word, "/run"))
        return arena_printf(a, "%s%s", local_dir(r), word);
    return arena_strdup(a, word);
}

static const char **
local_environment(const struct remote *r, struct arena *a)
{
    const char **env =
        arena_alloc(a, (LOCAL_ENVIRONMENT_MAX + 3) * sizeof(*env));
    const char *path = getenv("PATH");
    size_t count = 0;

    env[count++] = arena_printf(a, "PATH=%s/bin:%s", local_dir(r),
                                path == NULL ? "/usr/bin:/bin" : path);
    env[count++] = arena_printf(a, "ORDEAL_NODE_DIR=%s", local_dir(r));
    for (char **e = environ; *e != NULL && count < LOCAL_ENVIRONMENT_MAX; e++)
        if (strncmp(*e, "PATH=", 5) != 0 &&
            strncmp(*e, "ORDEAL_NODE_DIR=", 16) != 0)
            env[count++] = *e;
    return env;
}

static int
local_open(struct remote *r, int64_t deadline_ns, struct error *err)
{
    struct stat st;

    if (stat(local_dir(r), &st) < 0)
        return error_errno(err, ERROR_TRANSIENT, errno, "'%s'", local_dir(r));
    return 0;
}

static int
local_exec(struct remote *r, const char *const argv[],
           const struct exec_options *o, struct exec_result *ret,
           struct error *err)
{
    CLEANUP(arena_release) struct arena a = {0};
    CLEANUP(process_result_release) struct process_result result;
    struct process_options po = {.input = o->input,
                                 .input_len = o->input_len,
                                 .directory = local_dir(r),
                                 .output_max = o->output_max};
    const char **words;
    size_t count = 0;

    process_result_init(&result);
    if (local_open(r, 0, err) < 0)
        return -1;
    while (argv[count] != NULL)
        count++;
    words = arena_alloc(&a, (count + 1) * sizeof(*words));
    for (size_t i = 0; i < count; i++)
        words[i] = local_map(r, &a, argv[i]);
    po.environment = local_environment(r, &a);
    if (process_run(words, &po, clock_now_ns(r->clock) + o->timeout_ns, &result,
                    err) < 0) {
        if (err->code != ENOENT && err->code != EACCES)
            return -1;
        ret->status = err->code == ENOENT ? 127 : 126;
        buf_puts(&ret->err, err->text);
        return 0;
    }
    ret->status = result.status;
    if (result.signo != 0)
        snprintf(ret->signal, sizeof(ret->signal), "%s",
                 sigabbrev_np(result.signo));
    ret->out = result.out;
    ret->err = result.err;
    process_result_init(&result);
    return 0;
}

static int
local_copy(int from, int to, size_t max_bytes, struct error *err)
{
    CLEANUP_FREE char *chunk = xcalloc(1, LOCAL_CHUNK_BYTES);
    size_t total = 0;

    for (;;) {
        ssize_t n = read(from, chunk, LOCAL_CHUNK_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "read");
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max_bytes)
            return error_set(err, ERROR_CONFIG, "larger than %zu bytes",
                             max_bytes);
        if (file_write_all(to, chunk, (size_t)n) < 0)
            return error_errno(err, ERROR_ENVIRONMENT, errno, "write");
    }
}

/* Whole or not at all, under its name. */
static int
local_copy_file(const char *from_path, const char *to_path, mode_t mode,
                size_t max_bytes, struct error *err)
{
    CLEANUP_FREE char *temp = xasprintf("%s.tmp.XXXXXX", to_path);
    CLEANUP_CLOSE int from = open(from_path, O_RDONLY | O_CLOEXEC);
    CLEANUP_CLOSE int to = -1;
    struct stat st;
    int rc;

    if (from < 0 || fstat(from, &st) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", from_path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_CONFIG, "'%s' is not a file", from_path);
    to = mkostemp(temp, O_CLOEXEC);
    if (to < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", temp);
    rc = local_copy(from, to, max_bytes, err);
    if (rc == 0 &&
        (fchmod(to, mode) < 0 || fsync(to) < 0 || rename(temp, to_path) < 0))
        rc = error_errno(err, ERROR_ENVIRONMENT, errno, "'%s'", to_path);
    if (rc < 0)
        unlink(temp);
    return rc;
}

static int
local_put(struct remote *r, const char *local, const char *path, mode_t mode,
          struct error *err)
{
    CLEANUP(arena_release) struct arena a = {0};

    return local_copy_file(local, local_map(r, &a, path), mode,
                           REMOTE_PUT_BYTES_MAX, err);
}

static int
local_get(struct remote *r, const char *path, const char *local,
          size_t max_bytes, struct error *err)
{
    CLEANUP(arena_release) struct arena a = {0};

    return local_copy_file(local_map(r, &a, path), local, 0600, max_bytes, err);
}

static void
local_close(struct remote *r)
{
    r->state = NULL;
}

const struct remote_ops remote_local_ops = {
    .name = "local",
    .open = local_open,
    .exec = local_exec,
    .put = local_put,
    .get = local_get,
    .close = local_close,
};
