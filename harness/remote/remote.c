/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks and the bookkeeping around every remote: callers come in here,
 * implementations are reached from here only.
 *
 * Failures are wrapped with the node's name and what was asked for.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/limits.h"
#include "harness/base/log.h"
#include "harness/remote/remote.h"

#define EXEC_ARGUMENT_COUNT_MAX 1024

void
exec_result_init(struct exec_result *r)
{
    memset(r, 0, sizeof(*r));
    r->status = -1;
    buf_init(&r->out, EXEC_OUTPUT_BYTES_MAX);
    buf_init(&r->err, EXEC_OUTPUT_BYTES_MAX);
}

void
exec_result_release(struct exec_result *r)
{
    buf_release(&r->out);
    buf_release(&r->err);
}

void
remote_init(struct remote *r, const struct remote_ops *ops,
            const struct endpoint *endpoint, struct clock *clock)
{
    assert(ops != NULL);
    assert(endpoint->node != NULL);
    memset(r, 0, sizeof(*r));
    r->ops = ops;
    r->endpoint = *endpoint;
    r->clock = clock;
}

void
remote_close(struct remote *r)
{
    if (r->ops != NULL && r->state != NULL)
        r->ops->close(r);
    assert(r->state == NULL);
}

int
remote_open(struct remote *r, int64_t deadline_ns, struct error *err)
{
    if (r->ops->open(r, deadline_ns, err) < 0)
        return error_wrap(err, "node '%s': %s", r->endpoint.node, r->ops->name);
    return 0;
}

int
remote_exec(struct remote *r, const char *const argv[],
            const struct exec_options *options, struct exec_result *ret,
            struct error *err)
{
    struct exec_options o = {0};
    size_t count = 0;

    assert(argv != NULL && argv[0] != NULL);
    while (argv[count] != NULL)
        count++;
    assert(count <= EXEC_ARGUMENT_COUNT_MAX);
    if (options != NULL)
        o = *options;
    assert(o.input != NULL || o.input_len == 0);
    assert(o.timeout_ns >= 0);
    if (o.timeout_ns == 0)
        o.timeout_ns = REMOTE_EXEC_TIMEOUT_NS;
    if (o.output_max == 0)
        o.output_max = EXEC_OUTPUT_BYTES_MAX;
    exec_result_release(ret);
    exec_result_init(ret);
    ret->out.max = ret->err.max = o.output_max;
    if (argv[0][0] == '\0' || argv[0][0] == '-')
        return error_set(err, ERROR_CONFIG,
                         "node '%s': '%s' cannot be a program's name",
                         r->endpoint.node, argv[0]);
    if (r->ops->exec(r, argv, &o, ret, err) < 0)
        return error_wrap(err, "node '%s': exec '%s'", r->endpoint.node,
                          argv[0]);
    log_debug("remote", "node '%s': exec '%s': status %d%s%s", r->endpoint.node,
              argv[0], ret->status, ret->signal[0] != '\0' ? ", signal " : "",
              ret->signal);
    return 0;
}

int
remote_run(struct remote *r, const char *const argv[], struct error *err)
{
    CLEANUP(exec_result_release) struct exec_result result;
    const char *text;
    int len;

    exec_result_init(&result);
    if (remote_exec(r, argv, NULL, &result, err) < 0)
        return -1;
    if (result.status == 0)
        return 0;
    text = buf_text(&result.err);
    len = (int)strcspn(text, "\n");
    if (len > 300)
        len = 300;
    if (result.signal[0] != '\0')
        return error_set(err, ERROR_ENVIRONMENT,
                         "node '%s': '%s' was ended by signal %s: %.*s",
                         r->endpoint.node, argv[0], result.signal, len, text);
    return error_set(err, ERROR_ENVIRONMENT,
                     "node '%s': '%s' exited with %d: %.*s", r->endpoint.node,
                     argv[0], result.status, len, text);
}

int
remote_put(struct remote *r, const char *local, const char *path, mode_t mode,
           struct error *err)
{
    assert(local != NULL && path != NULL && path[0] == '/');
    assert((mode & ~(mode_t)07777) == 0);
    if (r->ops->put(r, local, path, mode, err) < 0)
        return error_wrap(err, "node '%s': put '%s'", r->endpoint.node, path);
    return 0;
}

int
remote_get(struct remote *r, const char *path, const char *local,
           size_t max_bytes, struct error *err)
{
    assert(local != NULL && path != NULL && path[0] == '/');
    if (r->ops->get(r, path, local, max_bytes, err) < 0)
        return error_wrap(err, "node '%s': get '%s'", r->endpoint.node, path);
    return 0;
}

/*
 * In single quotes a POSIX shell interprets nothing but the closing quote;
 * a quote in the word closes, stands escaped, and opens again.
 */
void
remote_quote(struct buf *out, const char *word)
{
    buf_puts(out, "'");
    for (const char *p = word; *p != '\0'; p++) {
        if (*p == '\'')
            buf_puts(out, "'\\''");
        else
            buf_append(out, p, 1);
    }
    buf_puts(out, "'");
}
