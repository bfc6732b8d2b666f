/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/file.h"
#include "systems/service.h"

const struct node *
service_node(const struct system_node *n)
{
    return &n->cluster->nodes[n->index];
}

/* ---- install ---- */

int
service_add_word(struct buf *out, const char *word, const char *where,
                 struct error *err)
{
    if (word == NULL || word[0] == '\0' || strchr(word, '\n') != NULL)
        return error_set(err, ERROR_CONFIG,
                         "%s: each word must be a string of one line", where);
    buf_printf(out, "%s\n", word);
    return 0;
}

/* A small file on the node, by way of one in our runtime directory. */
static int
service_put_text(const struct system_node *n, const char *text,
                 const char *path, struct error *err)
{
    CLEANUP_FREE char *local =
        xasprintf("%s/%s.put", n->cluster->runtime_dir, service_node(n)->name);
    int result = file_write_atomic(local, text, strlen(text), 0600, err);

    if (result == 0)
        result = remote_put(n->remote, local, path, 0644, err);
    unlink(local);
    return result;
}

int
service_make_dirs(const struct system_node *n, const char *const dirs[],
                  struct error *err)
{
    const char *argv[SERVICE_WORDS_MAX] = {"mkdir", "-p"};
    unsigned count = 2;

    for (unsigned i = 0; dirs[i] != NULL; i++) {
        assert(count < SERVICE_WORDS_MAX - 1);
        argv[count++] = dirs[i];
    }
    return remote_run(n->remote, argv, err);
}

int
service_install(const struct system_node *n, const struct service *s,
                const struct buf *words, const struct buf *first,
                struct error *err)
{
    if (words->truncated || first->truncated)
        return error_set(err, ERROR_CONFIG,
                         "service '%s': more than %d bytes of arguments",
                         s->name, SERVICE_WORDS_BYTES_MAX);
    if (service_put_text(n, buf_text(words), s->words, err) < 0)
        return -1;
    return service_put_text(n, buf_text(first), s->new_file, err);
}

/* ---- svc ---- */

/* Runs argv; its standard output goes to 'out'. */
static int
service_exec(const struct system_node *n, const char *const argv[],
             int64_t timeout_ns, struct exec_result *result, struct error *err)
{
    struct exec_options options = {.timeout_ns = timeout_ns};

    if (remote_exec(n->remote, argv, &options, result, err) < 0)
        return -1;
    if (result->status == 0)
        return 0;
    return error_set(err, ERROR_ENVIRONMENT, "'%s %s' ended with %d: %.200s",
                     argv[0], argv[1], result->status, buf_text(&result->err));
}

/*
 * The words that only the first start adds, in 'ret'; none on later ones.
 * Afterwards this start is no longer the first.
 */
static int
service_take_marker(const struct system_node *n, const struct service *s,
                    struct exec_result *ret, struct error *err)
{
    const char *const test[] = {"test", "-e", s->new_file, NULL};
    const char *const cat[] = {"cat", s->new_file, NULL};
    const char *const remove[] = {"rm", s->new_file, NULL};
    CLEANUP(exec_result_release) struct exec_result there;

    exec_result_init(&there);
    if (remote_exec(n->remote, test, NULL, &there, err) < 0)
        return -1;
    if (there.status != 0)
        return 0;
    if (service_exec(n, cat, 0, ret, err) < 0)
        return -1;
    return remote_run(n->remote, remove, err);
}

/* Adds the lines of 'text' to argv; the text is cut up. */
static int
service_split(char *text, const char *argv[], unsigned *count,
              const struct service *s, struct error *err)
{
    char *line;

    while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
        if (*count == SERVICE_WORDS_MAX - 1)
            return error_set(err, ERROR_CONFIG,
                             "service '%s': more than %u arguments", s->name,
                             *count);
        argv[(*count)++] = line;
    }
    return 0;
}

int
service_start(const struct system_node *n, const struct service *s,
              struct error *err)
{
    const char *const cat[] = {"cat", s->words, NULL};
    const char *argv[SERVICE_WORDS_MAX] = {"svc",   "start", s->name,
                                           "--log", s->log,  "--"};
    CLEANUP(exec_result_release) struct exec_result words;
    CLEANUP(exec_result_release) struct exec_result first;
    CLEANUP_FREE char *text = NULL, *first_text = NULL;
    unsigned count = 6;

    exec_result_init(&words);
    exec_result_init(&first);
    if (service_exec(n, cat, 0, &words, err) < 0 ||
        service_take_marker(n, s, &first, err) < 0)
        return error_wrap(err, "%s: start", s->name);
    text = xstrdup(buf_text(&words.out));
    first_text = xstrdup(buf_text(&first.out));
    if (service_split(text, argv, &count, s, err) < 0 ||
        service_split(first_text, argv, &count, s, err) < 0)
        return -1;
    argv[count] = NULL;
    if (remote_run(n->remote, argv, err) < 0)
        return error_wrap(err, "%s: start", s->name);
    return 0;
}

int
service_stop(const struct system_node *n, const struct service *s,
             int64_t timeout_ns, struct error *err)
{
    int64_t seconds = (timeout_ns + NS_PER_S - 1) / NS_PER_S;
    CLEANUP_FREE char *timeout = xasprintf("%" PRId64, seconds);
    const char *argv[] = {"svc", "stop", s->name, "--timeout", timeout, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (service_exec(n, argv, timeout_ns + REMOTE_EXEC_TIMEOUT_NS, &result,
                     err) < 0)
        return error_wrap(err, "%s: stop", s->name);
    return 0;
}

int
service_signal(const struct system_node *n, const struct service *s, int signo,
               struct error *err)
{
    CLEANUP_FREE char *number = xasprintf("%d", signo);
    const char *argv[] = {"svc", "signal", s->name, number, NULL};

    if (remote_run(n->remote, argv, err) < 0)
        return error_wrap(err, "%s: signal %d", s->name, signo);
    return 0;
}

static int
service_parse_process(const char *line, struct process_id *ret,
                      struct error *err)
{
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const char *state = NULL, *boot_id = NULL;
    json_int_t pid = 0, start_ticks = 0, starts = 0;
    int result = 0;

    memset(ret, 0, sizeof(*ret));
    if (json_unpack(json, "{s:s}", "state", &state) < 0) {
        result = error_set(err, ERROR_ENVIRONMENT,
                           "svc status answered '%.100s'", line);
    } else if (strcmp(state, "running") == 0 || strcmp(state, "stopped") == 0) {
        if (json_unpack(json, "{s:I, s:I, s:s}", "pid", &pid, "start_ticks",
                        &start_ticks, "boot_id", &boot_id) < 0 ||
            pid <= 0 || pid > INT32_MAX || start_ticks < 0)
            result = error_set(err, ERROR_ENVIRONMENT,
                               "svc status answered '%.100s'", line);
        ret->stopped = strcmp(state, "stopped") == 0;
    }
    starts = json_integer_value(json_object_get(json, "starts"));
    if (result == 0 && starts > 0 && starts < UINT32_MAX)
        ret->starts = (uint32_t)starts;
    if (result == 0 && boot_id != NULL) {
        ret->pid = (int32_t)pid;
        ret->start_ticks = (uint64_t)start_ticks;
        snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", boot_id);
    }
    json_decref(json);
    return result;
}

int
service_process(const struct system_node *n, const struct service *s,
                struct process_id *ret, struct error *err)
{
    const char *const argv[] = {"svc", "status", s->name, NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    struct process_id id;

    exec_result_init(&result);
    if (service_exec(n, argv, 0, &result, err) < 0 ||
        service_parse_process(buf_text(&result.out), &id, err) < 0)
        return error_wrap(err, "%s: process", s->name);
    *ret = id;
    return 0;
}

int
service_collect(const struct system_node *n, const struct service *s,
                const char *dir, struct error *err)
{
    const char *const status[] = {"svc", "status", s->name, NULL};
    CLEANUP_FREE char *log = xasprintf("%s/%s.log", dir, s->name);
    CLEANUP_FREE char *svc = xasprintf("%s/svc-status.json", dir);
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (service_exec(n, status, 0, &result, err) < 0 ||
        file_write_atomic(svc, buf_text(&result.out), result.out.len, 0644,
                          err) < 0)
        return -1;
    return remote_get(n->remote, s->log, log, COLLECT_FILE_BYTES_MAX, err);
}
