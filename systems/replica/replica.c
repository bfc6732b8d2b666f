/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference replica on a node with svc: the daemon and its words below
 * /data/opt, its state in /data/replica (systems/service.h).  Only the first
 * start passes --new-cluster.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/file.h"
#include "systems/replica/replica.h"
#include "systems/service.h"

#define REPLICA_BINARY "/data/opt/ordeal-replica"
#define REPLICA_PRELOAD "/data/opt/preload.so"
#define REPLICA_DATA "/data/replica"
#define REPLICA_RETRY_SLOTS_DEFAULT 128

static const struct service replica_service = {
    .name = "replica",
    .words = "/data/opt/ordeal-replica.arguments",
    .new_file = "/data/opt/ordeal-replica.new",
    .log = "/data/log/replica.log",
};

/* ---- install ---- */

/* The scenario's "system" object: {"arguments": ["--limit", ...], "preload":
 * "/a/shared/library.so"}; the arguments go to 'out'. */
static int
replica_append_params(struct buf *out, const json_t *params, struct error *err)
{
    const char *key;
    const json_t *word;
    json_t *v;
    size_t i;

    json_object_foreach ((json_t *)params, key, v) {
        if (strcmp(key, "preload") == 0) {
            if (json_is_string(v) && json_string_value(v)[0] == '/')
                continue;
            return error_set(err, ERROR_CONFIG,
                             "system replica: preload: not the absolute path "
                             "of a shared library on this host");
        }
        if (strcmp(key, "arguments") != 0 || !json_is_array(v))
            return error_set(err, ERROR_CONFIG,
                             "system replica: '%s' is not known; it takes "
                             "'arguments', a list of strings, and 'preload', "
                             "a path",
                             key);
        json_array_foreach (v, i, word) {
            if (service_add_word(out, json_string_value(word),
                                 "system replica: 'arguments'", err) < 0)
                return -1;
        }
    }
    return 0;
}

static int
replica_check_params(const json_t *params, struct error *err)
{
    CLEANUP(buf_release) struct buf ignored;

    buf_init(&ignored, SERVICE_WORDS_BYTES_MAX);
    return replica_append_params(&ignored, params, err);
}

/* The tables of the replica that the checkers want to know the size of. */
static const struct {
    const char *option, *limit;
} replica_limit_options[] = {
    {"--max-resources", "resources"},  {"--max-reservations", "reservations"},
    {"--max-bundle", "bundle"},        {"--max-members", "members"},
    {"--expiry-bucket", "bucket"},     {"--max-ttl", "ttl_slots"},
    {"--retry-window", "retry_slots"}, {"--history-window", "history_slots"},
};

/* The engine that serves each capability; the first is the default. */
static const struct {
    const char *capability, *engine;
} replica_engines[] = {
    {"allocator", "lease"},
    {"quota", "quota"},
    {"pool", "pool"},
    {"block", "block"},
};

const char *
replica_engine(const char *capability)
{
    for (size_t i = 0; capability != NULL && i < ARRAY_LEN(replica_engines);
         i++)
        if (strcmp(replica_engines[i].capability, capability) == 0)
            return replica_engines[i].engine;
    return replica_engines[0].engine;
}

/* The pool answers from a record while slot < its slot + window, one less than
 * the others. */
static void
replica_shorten_window(json_t *limits, const char *capability)
{
    const json_t *given = json_object_get(limits, "retry_slots");
    json_int_t slots =
        given == NULL ? REPLICA_RETRY_SLOTS_DEFAULT : json_integer_value(given);

    if (strcmp(replica_engine(capability), "pool") == 0)
        json_object_set_new(limits, "retry_slots",
                            json_integer(slots > 0 ? slots - 1 : 0));
}

/*
 * "--max-ttl" "64", or "--max-ttl=64"; the last one counts.  Only leases have a
 * time to live: the others' dedupe window is the retry window alone.
 */
static json_t *
replica_limits(const json_t *params, const char *capability)
{
    const json_t *words = json_object_get(params, "arguments");
    json_t *limits = json_object();

    if (strcmp(replica_engine(capability), "lease") != 0)
        json_object_set_new(limits, "ttl_slots", json_integer(0));

    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        size_t len = word == NULL ? 0 : strcspn(word, "=");

        for (size_t k = 0; k < ARRAY_LEN(replica_limit_options); k++) {
            const char *option = replica_limit_options[k].option, *value;
            char *end = NULL;
            long long n;

            if (len != strlen(option) || strncmp(word, option, len) != 0)
                continue;
            value = word[len] == '='
                        ? word + len + 1
                        : json_string_value(json_array_get(words, i + 1));
            n = value == NULL ? 0 : strtoll(value, &end, 10);
            if (value != NULL && end != value && *end == '\0')
                json_object_set_new(limits, replica_limit_options[k].limit,
                                    json_integer(n));
        }
    }
    replica_shorten_window(limits, capability);
    return limits;
}

/* The library on this host that the daemon is started with; NULL: none. */
static const char *
replica_preload(const struct system_options *o)
{
    return json_string_value(json_object_get(o->params, "preload"));
}

/* The whole command, a word a line. */
static int
replica_arguments(const struct system_node *n, const struct system_options *o,
                  struct buf *out, struct error *err)
{
    const struct cluster *c = n->cluster;

    if (replica_preload(o) != NULL)
        buf_puts(out, "/bin/busybox\nenv\nLD_PRELOAD=" REPLICA_PRELOAD "\n");
    buf_printf(
        out,
        REPLICA_BINARY "\n--node\n%s\n--cluster\n%s\n--data\n%s\n--listen\n"
                       "0.0.0.0:%d\n",
        service_node(n)->name, c->run_id, REPLICA_DATA, REPLICA_CLIENT_PORT);
    for (unsigned i = 0; i < c->node_count; i++)
        buf_printf(out, "--peer\n%s=%s:%d\n", c->nodes[i].name,
                   c->nodes[i].cluster_address, REPLICA_PEER_PORT);
    if (strcmp(replica_engine(o->capability), "lease") != 0)
        buf_printf(out, "--engine\n%s\n", replica_engine(o->capability));
    if (o->bug != NULL)
        buf_printf(out, "--bug\n%s\n", o->bug);
    return replica_append_params(out, o->params, err);
}

static int
replica_install(const struct system_node *n, const struct system_options *o,
                struct error *err)
{
    static const char *const dirs[] = {"/data/opt", "/data/log", REPLICA_DATA,
                                       NULL};
    const char *preload = replica_preload(o);
    CLEANUP(buf_release) struct buf words;
    CLEANUP(buf_release) struct buf first;

    buf_init(&words, SERVICE_WORDS_BYTES_MAX);
    buf_init(&first, SERVICE_WORDS_BYTES_MAX);
    buf_puts(&first, "--new-cluster\n");
    if (replica_arguments(n, o, &words, err) < 0 ||
        service_make_dirs(n, dirs, err) < 0 ||
        remote_put(n->remote, o->binary, REPLICA_BINARY, 0755, err) < 0 ||
        (preload != NULL &&
         remote_put(n->remote, preload, REPLICA_PRELOAD, 0644, err) < 0) ||
        service_install(n, &replica_service, &words, &first, err) < 0)
        return error_wrap(err, "replica: install");
    return 0;
}

static int
replica_start(const struct system_node *n, struct error *err)
{
    return service_start(n, &replica_service, err);
}

static int
replica_stop(const struct system_node *n, int64_t timeout_ns, struct error *err)
{
    return service_stop(n, &replica_service, timeout_ns, err);
}

static int
replica_signal(const struct system_node *n, int signo, struct error *err)
{
    return service_signal(n, &replica_service, signo, err);
}

static int
replica_process(const struct system_node *n, struct process_id *ret,
                struct error *err)
{
    return service_process(n, &replica_service, ret, err);
}

static int
replica_collect(const struct system_node *n, const char *dir, struct error *err)
{
    return replica_collect_daemon(n, &replica_service, dir, err);
}

static struct client *
replica_open_client(const struct cluster *c, const char *capability,
                    uint64_t client_id, struct error *err)
{
    if (system_offers(&system_replica_ops, capability))
        return replica_client_new(c, client_id, err);
    error_set(err, ERROR_CONFIG, "system replica has no capability '%s'",
              capability);
    return NULL;
}

static const char *const replica_capabilities[] = {"allocator", "quota", "pool",
                                                   "block", NULL};
static const uint16_t replica_door_ports[] = {REPLICA_CLIENT_PORT};

/* docs/REPLICA.md: the data directory. */
static const char *const replica_data_files[] = {"log/*.log", "log/mark",
                                                 "meta", "snapshot", NULL};

const struct system_ops system_replica_ops = {
    .name = "replica",
    .description = "the reference replica: leases, quotas, pools or blocks",
    .capabilities = replica_capabilities,
    .positions_total = true,
    .door_ports = replica_door_ports,
    .door_count = ARRAY_LEN(replica_door_ports),
    .peer_port = REPLICA_PEER_PORT,
    .data_dir = REPLICA_DATA,
    .data_files = replica_data_files,
    .refusals = replica_refusal_exits,
    .check_params = replica_check_params,
    .limits = replica_limits,
    .install = replica_install,
    .start = replica_start,
    .stop = replica_stop,
    .signal = replica_signal,
    .process = replica_process,
    .status = replica_status,
    .events = replica_events,
    .crash_points = replica_crash_points,
    .crash_exit = REPLICA_CRASH_EXIT,
    .crash_at = replica_crash_at,
    .watch = replica_watch,
    .digest = replica_digest,
    .collect = replica_collect,
    .client_new = replica_open_client,
};
