/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose files are in memory and whose svc says what the test wants: for
 * what systems say to nodes.
 *
 * Threads: one.
 */
#ifndef ORDEAL_TESTS_SCRIPTED_NODE_H
#define ORDEAL_TESTS_SCRIPTED_NODE_H

#include "harness/base/file.h"
#include "systems/replica/replica.h"
#include "tests/lib/tap.h"

#define FILES_MAX 8

struct fixture {
    char dir[64];
    struct cluster cluster;
    struct remote remote;
    struct system_node node;
    struct {
        char path[64];
        char *text;
    } files[FILES_MAX];
    char commands[32][1024]; /* all words of each, joined by blanks */
    unsigned command_count;
    int svc_exit;
    const char *svc_says;
};

static char *
file_at(struct fixture *f, const char *path)
{
    for (unsigned i = 0; i < FILES_MAX; i++)
        if (f->files[i].text != NULL && strcmp(f->files[i].path, path) == 0)
            return f->files[i].text;
    return NULL;
}

static void
file_remove(struct fixture *f, const char *path)
{
    for (unsigned i = 0; i < FILES_MAX; i++)
        if (strcmp(f->files[i].path, path) == 0)
            free(TAKE(f->files[i].text));
}

static int
scripted_open(struct remote *r, int64_t deadline_ns, struct error *err)
{
    return 0;
}

static int
scripted_exec(struct remote *r, const char *const argv[],
              const struct exec_options *options, struct exec_result *ret,
              struct error *err)
{
    struct fixture *f = r->state;
    CLEANUP(buf_release) struct buf line;

    buf_init(&line, sizeof(f->commands[0]) - 1);
    for (unsigned i = 0; argv[i] != NULL; i++)
        buf_printf(&line, "%s%s", i > 0 ? " " : "", argv[i]);
    if (f->command_count == ARRAY_LEN(f->commands))
        abort();
    snprintf(f->commands[f->command_count++], sizeof(f->commands[0]), "%s",
             buf_text(&line));
    ret->status = 0;
    if (strcmp(argv[0], "test") == 0)
        ret->status = file_at(f, argv[2]) == NULL;
    if (strcmp(argv[0], "rm") == 0)
        file_remove(f, argv[1]);
    if (strcmp(argv[0], "cat") == 0)
        buf_puts(&ret->out, file_at(f, argv[1]));
    if (strcmp(argv[0], "svc") == 0) {
        ret->status = f->svc_exit;
        buf_puts(f->svc_exit == 0 ? &ret->out : &ret->err, f->svc_says);
    }
    return 0;
}

static int
scripted_put(struct remote *r, const char *local, const char *path, mode_t mode,
             struct error *err)
{
    struct fixture *f = r->state;
    size_t len;
    char *text = file_read(local, 65536, &len, err);

    if (text == NULL)
        return -1;
    file_remove(f, path);
    for (unsigned i = 0; i < FILES_MAX; i++) {
        if (f->files[i].text == NULL) {
            snprintf(f->files[i].path, sizeof(f->files[i].path), "%s", path);
            f->files[i].text = text;
            return 0;
        }
    }
    abort();
}

static int
scripted_get(struct remote *r, const char *path, const char *local,
             size_t max_bytes, struct error *err)
{
    return file_write_atomic(local, "log\n", 4, 0644, err);
}

static void
scripted_close(struct remote *r)
{
    r->state = NULL;
}

static const struct remote_ops scripted_ops = {
    .name = "scripted",
    .open = scripted_open,
    .exec = scripted_exec,
    .put = scripted_put,
    .get = scripted_get,
    .close = scripted_close,
};

static void
setup(struct fixture *f)
{
    struct endpoint endpoint = {.node = "n2"};

    memset(f, 0, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "test-system-XXXXXX");
    CHECK(mkdtemp(f->dir) != NULL);
    f->cluster.node_count = 3;
    snprintf(f->cluster.runtime_dir, sizeof(f->cluster.runtime_dir), "%s",
             f->dir);
    snprintf(f->cluster.run_id, sizeof(f->cluster.run_id), "r-1");
    for (unsigned i = 0; i < 3; i++) {
        struct node *n = &f->cluster.nodes[i];

        n->index = i;
        n->door_count = 1;
        n->doors[0].guest_port = REPLICA_CLIENT_PORT;
        snprintf(n->name, NODE_NAME_MAX, "n%u", i + 1);
        snprintf(n->cluster_address, sizeof(n->cluster_address), "10.77.0.1%u",
                 i + 1);
    }
    remote_init(&f->remote, &scripted_ops, &endpoint, clock_monotonic());
    f->remote.state = f;
    f->node = (struct system_node){&f->cluster, 1, &f->remote};
    f->svc_says = "";
}

static void
teardown(struct fixture *f)
{
    struct error err = {0};

    for (unsigned i = 0; i < FILES_MAX; i++)
        free(f->files[i].text);
    remote_close(&f->remote);
    CHECK_OK(dir_remove(f->dir, &err), &err);
}

#endif
