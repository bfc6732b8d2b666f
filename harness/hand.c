/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: accept, read one line, do what it says, answer one line.
 *
 * Failure modes: a request that is not understood is answered with an error;
 * a client that went away is nobody's loss, what it asked for is done and
 * recorded.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness/base/arena.h"
#include "harness/base/file.h"
#include "harness/base/log.h"
#include "harness/hand.h"
#include "harness/paths.h"
#include "nemesis/nemesis.h"

#define HAND_REQUEST_BYTES_MAX 65536
/* A client sends at once what it asks. */
#define HAND_READ_TIMEOUT_MS 2000

struct hand {
    struct site *site;
    struct fault_world world;
    struct plan plan;
    struct journal *journal;
    struct history_writer *history;
    FILE *faults;
    struct nemesis *nemesis;
    char *harm_program;
    char die_after[64]; /* stage after which this process dies, for tests */
    int fd;
};

/* ---- the socket ---- */

static int
hand_address(const char *dir, struct sockaddr_un *ret, struct error *err)
{
    int len;

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    len =
        snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/" HAND_SOCKET, dir);
    if (len < 0 || (size_t)len >= sizeof(ret->sun_path))
        return error_set(err, ERROR_CONFIG, "%s: too long for a socket", dir);
    return 0;
}

static int
hand_listen(const char *dir, struct error *err)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;
    int ret;

    if (hand_address(dir, &address, err) < 0)
        return -1;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 4) < 0)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s",
                           address.sun_path);
    ret = fd;
    fd = -1;
    return ret;
}

/* Up to the end of the line, or of the stream. */
static bool
hand_read(int fd, struct buf *text, int64_t timeout_ns)
{
    struct clock *clock = clock_monotonic();
    int64_t deadline_ns = clock_now_ns(clock) + timeout_ns;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ns = deadline_ns - clock_now_ns(clock);
        char bytes[4096];
        ssize_t n;

        if (left_ns <= 0 || poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1) < 0)
            return false;
        if (p.revents == 0)
            continue;
        n = read(fd, bytes, sizeof(bytes));
        if (n < 0)
            return false;
        if (n == 0)
            return text->len > 0;
        buf_append(text, bytes, (size_t)n);
        if (memchr(bytes, '\n', (size_t)n) != NULL)
            return true;
    }
}

/* Takes 'line'. */
static bool
hand_write(int fd, json_t *line)
{
    CLEANUP_FREE char *text = json_dumps(line, JSON_COMPACT);
    CLEANUP_FREE char *whole = xasprintf("%s\n", text == NULL ? "{}" : text);

    json_decref(line);
    return file_write_all(fd, whole, strlen(whole)) == 0;
}

/* ---- the holder ---- */

/* For tests of recovery: the driver is gone, right after this step. */
static void
hand_stepped(void *ctx, const char *stage)
{
    const struct hand *h = ctx;

    if (strcmp(h->die_after, stage) == 0)
        raise(SIGKILL);
}

static int
hand_open_records(struct hand *h, const struct system_ops *system,
                  struct error *err)
{
    const char *dir = h->site->runtime_dir;
    CLEANUP_FREE char *journal = xasprintf("%s/" HAND_JOURNAL, dir);
    CLEANUP_FREE char *history = xasprintf("%s/" HISTORY_FILE_NAME, dir);
    CLEANUP_FREE char *faults = xasprintf("%s/" HAND_FAULTS, dir);
    json_t *meta =
        json_pack("{s:s, s:s}", "system", system->name, "scenario", "by hand");

    h->journal = journal_open(journal, err);
    h->history = h->journal == NULL
                     ? NULL
                     : history_writer_open(history, meta, h->site->clock, err);
    json_decref(meta);
    if (h->history == NULL)
        return -1;
    h->faults = fopen(faults, "ae");
    if (h->faults == NULL)
        return error_errno(err, ERROR_ENVIRONMENT, errno, "%s", faults);
    return 0;
}

/* A person may break whatever is to be seen breaking. */
static void
hand_plan(struct hand *h, uint64_t seed)
{
    const struct fault_ops *const *all = fault_all();
    json_t *names = json_array();

    for (size_t i = 0; all[i] != NULL; i++)
        json_array_append_new(names, json_string(all[i]->name));
    h->plan = (struct plan){.seed = seed,
                            .node_count = h->site->cluster.node_count,
                            .concurrent_max = PLAN_CONCURRENT_MAX,
                            .nodes_down_max = NODE_COUNT_MAX,
                            .durability_max = NODE_COUNT_MAX,
                            .beyond_budget = true,
                            .share_nodes = json_pack("[o]", names)};
}

struct hand *
hand_new(struct site *site, const struct system_ops *system, uint64_t seed,
         struct error *err)
{
    struct hand *h = xcalloc(1, sizeof(*h));

    h->site = site;
    h->fd = -1;
    h->harm_program = paths_program("ordeal-harm");
    h->world = (struct fault_world){.harm_program = h->harm_program,
                                    .cluster = &site->cluster,
                                    .system = system,
                                    .remotes = site->remotes,
                                    .clock = site->clock,
                                    .provider = &site->provider,
                                    .fabric = provider_fabric(&site->provider)};
    hand_plan(h, seed);
    if (hand_open_records(h, system, err) < 0 ||
        (h->fd = hand_listen(site->runtime_dir, err)) < 0) {
        hand_free(h);
        return NULL;
    }
    h->nemesis = nemesis_new(&(struct nemesis_options){.world = &h->world,
                                                       .plan = &h->plan,
                                                       .journal = h->journal,
                                                       .history = h->history,
                                                       .faults = h->faults,
                                                       .stepped = hand_stepped,
                                                       .ctx = h});
    return h;
}

void
hand_free(struct hand *h)
{
    struct error err = {0};

    if (h == NULL)
        return;
    nemesis_free(h->nemesis);
    journal_close(h->journal);
    if (h->history != NULL && history_seal(h->history, &err) < 0)
        log_warning("fault", "%s, continuing", err.text);
    if (h->faults != NULL)
        fclose(h->faults);
    if (h->fd >= 0)
        close(h->fd);
    plan_release(&h->plan);
    free(h->harm_program);
    free(h);
}

json_t *
hand_list(const struct fault_world *w)
{
    const struct fault_ops *const *all = fault_all();
    json_t *list = json_array();

    for (size_t i = 0; all[i] != NULL; i++) {
        char keys[320];
        json_t *fault;

        fault_parameters(all[i], keys, sizeof(keys));
        fault =
            json_pack("{s:s, s:s, s:s, s:b, s:b, s:b}", "fault", all[i]->name,
                      "description", all[i]->description, "parameters", keys,
                      "takes_nodes_down", (int)all[i]->takes_nodes_down,
                      "breaks_durability", (int)all[i]->breaks_durability,
                      "reboots", (int)all[i]->reboots);
        if (w != NULL)
            json_object_set_new(fault, "available",
                                json_boolean(fault_available(all[i], w)));
        json_array_append_new(list, fault);
    }
    return list;
}

static json_t *
hand_facts(struct hand *h)
{
    const struct cluster *c = &h->site->cluster;
    json_t *nodes = json_array();

    for (unsigned i = 0; i < c->node_count; i++) {
        static const char *const roles[] = {"unreachable", "primary", "backup",
                                            "other"};
        struct system_node node = {c, i, &h->site->remotes[i]};
        struct system_status status = {0};
        struct process_id process = {0};
        struct error err = {0};
        bool known = h->world.system->process(&node, &process, &err) == 0;

        if (h->world.system->status(c, i, NS_PER_S, &status, &err) < 0)
            status.role = ROLE_UNKNOWN;
        json_array_append_new(
            nodes,
            json_pack("{s:s, s:s, s:I, s:I, s:i, s:b, s:s, s:s}", "node",
                      c->nodes[i].name, "role", roles[status.role], "term",
                      (json_int_t)status.term, "commit",
                      (json_int_t)status.commit_index, "pid", process.pid,
                      "stopped", (int)process.stopped, "boot_id",
                      process.boot_id, "error", known ? "" : err.text));
    }
    return json_pack("{s:o, s:o, s:s}", "nodes", nodes, "faults",
                     nemesis_hand_facts(h->nemesis), "records",
                     h->site->runtime_dir);
}

static json_t *
hand_inject(struct hand *h, const json_t *request, struct error *err)
{
    const char *fault = json_string_value(json_object_get(request, "fault"));
    const char *target = json_string_value(json_object_get(request, "target"));
    const char *die = json_string_value(json_object_get(request, "die_after"));
    json_t *params = json_object_get(request, "params");

    if (fault == NULL || target == NULL || !json_is_object(params)) {
        error_set(err, ERROR_CONFIG, "inject: fault, target or params missing");
        return NULL;
    }
    snprintf(h->die_after, sizeof(h->die_after), "%s", die == NULL ? "" : die);
    return nemesis_hand_inject(h->nemesis, fault, target, params, err);
}

static json_t *
hand_do(struct hand *h, const json_t *request, struct error *err)
{
    const char *what = json_string_value(json_object_get(request, "do"));

    if (what == NULL)
        what = "";
    if (strcmp(what, "list") == 0)
        return hand_list(&h->world);
    if (strcmp(what, "facts") == 0)
        return hand_facts(h);
    if (strcmp(what, "inject") == 0)
        return hand_inject(h, request, err);
    if (strcmp(what, "heal") == 0)
        return nemesis_hand_heal(
            h->nemesis,
            (uint64_t)json_integer_value(json_object_get(request, "id")), err);
    error_set(err, ERROR_CONFIG, "'%.32s' is not understood", what);
    return NULL;
}

static void
hand_answer(struct hand *h, int fd)
{
    CLEANUP(buf_release) struct buf text = {.max = HAND_REQUEST_BYTES_MAX};
    struct error err = {0};
    json_t *request, *answer;

    if (!hand_read(fd, &text, HAND_READ_TIMEOUT_MS * NS_PER_MS))
        return;
    request = json_loads(buf_text(&text), JSON_REJECT_DUPLICATES, NULL);
    answer = hand_do(h, request, &err);
    json_decref(request);
    if (answer != NULL)
        hand_write(fd, json_pack("{s:o}", "answer", answer));
    else
        hand_write(fd, json_pack("{s:s, s:i}", "error", err.text, "kind",
                                 (int)err.kind));
}

void
hand_serve(struct hand *h, int64_t timeout_ns)
{
    struct pollfd p = {.fd = h->fd, .events = POLLIN};
    CLEANUP_CLOSE int fd = -1;

    if (poll(&p, 1, (int)(timeout_ns / NS_PER_MS)) > 0)
        fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        hand_answer(h, fd);
    nemesis_hand_tend(h->nemesis);
}

/* ---- the client ---- */

static json_t *
hand_unpack(json_t *reply, struct error *err)
{
    const char *refused = json_string_value(json_object_get(reply, "error"));
    json_t *answer = json_incref(json_object_get(reply, "answer"));
    int kind = (int)json_integer_value(json_object_get(reply, "kind"));

    if (answer == NULL)
        error_set(err, kind == ERROR_CONFIG ? ERROR_CONFIG : ERROR_ENVIRONMENT,
                  "%s",
                  refused == NULL ? "the process that holds the cluster ended"
                                  : refused);
    json_decref(reply);
    return answer;
}

json_t *
hand_ask(const char *runtime_dir, json_t *request, struct error *err)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP(buf_release) struct buf text = {.max = 4u << 20};
    struct sockaddr_un address;

    if (hand_address(runtime_dir, &address, err) < 0)
        return NULL;
    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        error_errno(err, ERROR_ENVIRONMENT, errno,
                    "%s (nobody holds this cluster)", address.sun_path);
        return NULL;
    }
    if (!hand_write(fd, json_incref(request)) ||
        !hand_read(fd, &text, HAND_ASK_TIMEOUT_NS)) {
        error_set(err, ERROR_ENVIRONMENT,
                  "the process that holds the cluster does not answer");
        return NULL;
    }
    return hand_unpack(json_loads(buf_text(&text), 0, NULL), err);
}
