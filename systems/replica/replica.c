/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference replica on a node with svc (docs/GUEST.md).
 *
 * install puts the daemon and its arguments (one a line) below /data/opt, on
 * the data disk, where they survive a reboot; start reads them back, so that
 * any thread, or another run of the driver, can start the daemon again the
 * same way.  A marker file says that the replica has never been started: the
 * first start takes it away and passes --new-cluster, no later one does, or a
 * replica that lost its disk would come back as if nothing had happened.
 *
 * Failure modes: what svc refuses comes back as its first line of standard
 * error.  A first start that fails after the marker is gone leaves a replica
 * that refuses to start: better than one that invents a history.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/file.h"
#include "systems/http.h"
#include "systems/replica/replica.h"

#define REPLICA_BINARY "/data/opt/ordeal-replica"
#define REPLICA_PRELOAD "/data/opt/preload.so"
#define REPLICA_ARGUMENTS "/data/opt/ordeal-replica.arguments"
#define REPLICA_NEW "/data/opt/ordeal-replica.new"
#define REPLICA_DATA "/data/replica"
#define REPLICA_LOG "/data/log/replica.log"

/* Peers, limits, and the words around them. */
#define REPLICA_ARGUMENT_COUNT_MAX 128
#define REPLICA_ARGUMENTS_BYTES_MAX 16384
#define REPLICA_DOOR_TIMEOUT_NS (2 * NS_PER_S)
#define REPLICA_METRICS_BYTES_MAX (1u << 20)

static const struct node *
replica_node(const struct system_node *n)
{
    return &n->cluster->nodes[n->index];
}

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
            const char *text = json_string_value(word);

            if (text == NULL || strchr(text, '\n') != NULL)
                return error_set(err, ERROR_CONFIG,
                                 "system replica: argument %zu is not a "
                                 "string of one line",
                                 i + 1);
            buf_printf(out, "%s\n", text);
        }
    }
    return 0;
}

static int
replica_check_params(const json_t *params, struct error *err)
{
    CLEANUP(buf_release) struct buf ignored;

    buf_init(&ignored, REPLICA_ARGUMENTS_BYTES_MAX);
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
    buf_puts(out, REPLICA_BINARY "\n");
    buf_printf(
        out, "--node\n%s\n--cluster\n%s\n--data\n%s\n--listen\n0.0.0.0:%d\n",
        replica_node(n)->name, c->run_id, REPLICA_DATA, REPLICA_CLIENT_PORT);
    for (unsigned i = 0; i < c->node_count; i++)
        buf_printf(out, "--peer\n%s=%s:%d\n", c->nodes[i].name,
                   c->nodes[i].cluster_address, REPLICA_PEER_PORT);
    if (strcmp(replica_engine(o->capability), "lease") != 0)
        buf_printf(out, "--engine\n%s\n", replica_engine(o->capability));
    if (o->bug != NULL)
        buf_printf(out, "--bug\n%s\n", o->bug);
    if (replica_append_params(out, o->params, err) < 0)
        return -1;
    if (out->truncated)
        return error_set(err, ERROR_CONFIG,
                         "system replica: more than %d bytes of arguments",
                         REPLICA_ARGUMENTS_BYTES_MAX);
    return 0;
}

/* A small file on the node, by way of one in our runtime directory. */
static int
replica_put_text(const struct system_node *n, const char *text,
                 const char *path, struct error *err)
{
    CLEANUP_FREE char *local =
        xasprintf("%s/%s.put", n->cluster->runtime_dir, replica_node(n)->name);
    int result = file_write_atomic(local, text, strlen(text), 0600, err);

    if (result == 0)
        result = remote_put(n->remote, local, path, 0644, err);
    unlink(local);
    return result;
}

static int
replica_install(const struct system_node *n, const struct system_options *o,
                struct error *err)
{
    static const char *const make[] = {"mkdir",     "-p",         "/data/opt",
                                       "/data/log", REPLICA_DATA, NULL};
    const char *preload = replica_preload(o);
    CLEANUP(buf_release) struct buf arguments;

    buf_init(&arguments, REPLICA_ARGUMENTS_BYTES_MAX);
    if (replica_arguments(n, o, &arguments, err) < 0 ||
        remote_run(n->remote, make, err) < 0 ||
        remote_put(n->remote, o->binary, REPLICA_BINARY, 0755, err) < 0 ||
        (preload != NULL &&
         remote_put(n->remote, preload, REPLICA_PRELOAD, 0644, err) < 0) ||
        replica_put_text(n, buf_text(&arguments), REPLICA_ARGUMENTS, err) < 0 ||
        replica_put_text(n, "never started\n", REPLICA_NEW, err) < 0)
        return error_wrap(err, "replica: install");
    return 0;
}

/* ---- svc ---- */

/* Runs argv; its standard output goes to 'out'. */
static int
replica_exec(const struct system_node *n, const char *const argv[],
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

/* Whether this is the first start; afterwards it no longer is. */
static int
replica_take_marker(const struct system_node *n, bool *ret, struct error *err)
{
    static const char *const test[] = {"test", "-e", REPLICA_NEW, NULL};
    static const char *const remove[] = {"rm", REPLICA_NEW, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (remote_exec(n->remote, test, NULL, &result, err) < 0)
        return -1;
    *ret = result.status == 0;
    return *ret ? remote_run(n->remote, remove, err) : 0;
}

static int
replica_start(const struct system_node *n, struct error *err)
{
    static const char *const cat[] = {"cat", REPLICA_ARGUMENTS, NULL};
    const char *argv[REPLICA_ARGUMENT_COUNT_MAX] = {
        "svc", "start", "replica", "--log", REPLICA_LOG, "--"};
    CLEANUP(exec_result_release) struct exec_result result;
    CLEANUP_FREE char *text = NULL;
    char *line, *rest;
    unsigned count = 6;
    bool first = false;

    exec_result_init(&result);
    if (replica_exec(n, cat, 0, &result, err) < 0 ||
        replica_take_marker(n, &first, err) < 0)
        return error_wrap(err, "replica: start");
    text = xstrdup(buf_text(&result.out));
    rest = text;
    while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
        if (count == REPLICA_ARGUMENT_COUNT_MAX - 2)
            return error_set(err, ERROR_CONFIG,
                             "node '%s': more than %u arguments in '%s'",
                             replica_node(n)->name, count, REPLICA_ARGUMENTS);
        argv[count++] = line;
    }
    if (first)
        argv[count++] = "--new-cluster";
    argv[count] = NULL;
    if (remote_run(n->remote, argv, err) < 0)
        return error_wrap(err, "replica: start");
    return 0;
}

static int
replica_stop(const struct system_node *n, int64_t timeout_ns, struct error *err)
{
    int64_t seconds = (timeout_ns + NS_PER_S - 1) / NS_PER_S;
    CLEANUP_FREE char *timeout = xasprintf("%" PRId64, seconds);
    const char *argv[] = {"svc", "stop", "replica", "--timeout", timeout, NULL};
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (replica_exec(n, argv, timeout_ns + REMOTE_EXEC_TIMEOUT_NS, &result,
                     err) < 0)
        return error_wrap(err, "replica: stop");
    return 0;
}

static int
replica_signal(const struct system_node *n, int signo, struct error *err)
{
    CLEANUP_FREE char *number = xasprintf("%d", signo);
    const char *argv[] = {"svc", "signal", "replica", number, NULL};

    if (remote_run(n->remote, argv, err) < 0)
        return error_wrap(err, "replica: signal %d", signo);
    return 0;
}

static int
replica_parse_process(const char *line, struct process_id *ret,
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

static int
replica_process(const struct system_node *n, struct process_id *ret,
                struct error *err)
{
    static const char *const argv[] = {"svc", "status", "replica", NULL};
    CLEANUP(exec_result_release) struct exec_result result;
    struct process_id id;

    exec_result_init(&result);
    if (replica_exec(n, argv, 0, &result, err) < 0 ||
        replica_parse_process(buf_text(&result.out), &id, err) < 0)
        return error_wrap(err, "replica: process");
    *ret = id;
    return 0;
}

/* ---- through the door ---- */

static struct way
replica_door(const struct cluster *c, unsigned node)
{
    return way_by_door(c, node, REPLICA_CLIENT_PORT);
}

static void
replica_parse_status(const char *body, size_t len, struct system_status *ret)
{
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const char *role = NULL, *recovery = NULL;
    json_int_t view = 0, commit = 0;

    memset(ret, 0, sizeof(*ret));
    if (json_unpack(json, "{s:s, s:I, s:I, s:s}", "role", &role, "view", &view,
                    "commit", &commit, "recovery", &recovery) == 0) {
        ret->role = strcmp(role, "primary") == 0  ? ROLE_PRIMARY
                    : strcmp(role, "backup") == 0 ? ROLE_BACKUP
                                                  : ROLE_OTHER;
        ret->term = (uint64_t)view;
        ret->commit_index = (uint64_t)commit;
        snprintf(ret->recovery, sizeof(ret->recovery), "%s", recovery);
    }
    json_decref(json);
}

static int
replica_status(const struct cluster *c, unsigned node, int64_t timeout_ns,
               struct system_status *ret, struct error *err)
{
    struct http_request request = {.way = replica_door(c, node),
                                   .path = "/v1/status",
                                   .timeout_ns = timeout_ns};
    struct http *http = http_new(err);
    struct http_reply reply;

    if (http == NULL)
        return -1;
    http_call(http, &request, &reply);
    memset(ret, 0, sizeof(*ret));
    if (reply.outcome == HTTP_ANSWERED && reply.status == 200)
        replica_parse_status(reply.body, reply.body_len, ret);
    http_free(http);
    return 0;
}

/* ---- what it reports of itself ---- */

enum replica_event {
    WATCH_VIEW_CHANGE,
    WATCH_NEW_PRIMARY,
    WATCH_SNAPSHOT_TRANSFER,
    WATCH_RECOVERY,
    WATCH_RESTART,
};

static const char *const replica_events[] = {
    [WATCH_VIEW_CHANGE] = "view-change",
    [WATCH_NEW_PRIMARY] = "new-primary",
    [WATCH_SNAPSHOT_TRANSFER] = "snapshot-transfer",
    [WATCH_RECOVERY] = "recovery",
    [WATCH_RESTART] = "restart",
    NULL};

/* What is kept between two looks: places in system_watch.seen. */
enum replica_seen {
    SEEN_VIEW,
    SEEN_CHANGING,
    SEEN_PRIMARY,
    SEEN_TRANSFER,
    SEEN_INSTALLED,
    SEEN_RECOVERING,
    SEEN_PID,
};

/* False when the body is not a status. */
static bool
replica_parse_watch(const char *body, size_t len, uint64_t now[static 8])
{
    json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const char *role = "";
    json_int_t view = 0, installed = 0, pid = 0;
    int transfer = 0;
    bool whole =
        json_unpack(json, "{s:s, s:I, s:b, s:I, s:I}", "role", &role, "view",
                    &view, "snapshot_transfer", &transfer,
                    "snapshots_installed", &installed, "pid", &pid) == 0;

    now[SEEN_VIEW] = (uint64_t)view;
    now[SEEN_CHANGING] = strcmp(role, "view_change") == 0;
    now[SEEN_PRIMARY] = strcmp(role, "primary") == 0;
    now[SEEN_TRANSFER] = transfer != 0;
    now[SEEN_INSTALLED] = (uint64_t)installed;
    now[SEEN_RECOVERING] = strcmp(role, "recovering") == 0;
    now[SEEN_PID] = (uint64_t)pid;
    json_decref(json);
    return whole;
}

static uint32_t
replica_compare(const uint64_t was[static 8], const uint64_t now[static 8])
{
    bool another = now[SEEN_PID] != was[SEEN_PID];
    bool view = now[SEEN_VIEW] != was[SEEN_VIEW];
    uint32_t ret = 0;

    if (view || (now[SEEN_CHANGING] && !was[SEEN_CHANGING]))
        ret |= 1u << WATCH_VIEW_CHANGE;
    if (now[SEEN_PRIMARY] && (view || !was[SEEN_PRIMARY]))
        ret |= 1u << WATCH_NEW_PRIMARY;
    if ((now[SEEN_TRANSFER] && !was[SEEN_TRANSFER]) ||
        (!was[SEEN_TRANSFER] && now[SEEN_INSTALLED] > was[SEEN_INSTALLED]))
        ret |= 1u << WATCH_SNAPSHOT_TRANSFER;
    if (now[SEEN_RECOVERING] && (another || !was[SEEN_RECOVERING]))
        ret |= 1u << WATCH_RECOVERY;
    if (another)
        ret |= 1u << WATCH_RESTART;
    return ret;
}

static int
replica_watch(const struct cluster *c, unsigned node, int64_t timeout_ns,
              struct system_watch *state, uint32_t *ret, struct error *err)
{
    struct http_request request = {.way = replica_door(c, node),
                                   .path = "/v1/status",
                                   .timeout_ns = timeout_ns};
    struct http *http = http_new(err);
    struct http_reply reply;
    uint64_t now[ARRAY_LEN(state->seen)] = {0};

    if (http == NULL)
        return -1;
    http_call(http, &request, &reply);
    if (reply.outcome == HTTP_ANSWERED && reply.status == 200 &&
        replica_parse_watch(reply.body, reply.body_len, now)) {
        if (state->looked)
            *ret = replica_compare(state->seen, now);
        memcpy(state->seen, now, sizeof(now));
        state->looked = true;
    }
    http_free(http);
    return 0;
}

/* ---- collect ---- */

/* What a daemon that is down does not answer is simply not there. */
static int
replica_digest(const struct cluster *c, unsigned node, uint64_t index,
               int64_t timeout_ns, char ret[static SYSTEM_DIGEST_SIZE],
               struct error *err)
{
    char path[64];
    struct http_request request = {
        .way = replica_door(c, node), .path = path, .timeout_ns = timeout_ns};
    struct http *http = http_new(err);
    struct http_reply reply;
    json_t *answer = NULL;
    const char *digest = NULL;

    if (http == NULL)
        return -1;
    snprintf(path, sizeof(path), "/v1/digest?index=%" PRIu64, index);
    http_call(http, &request, &reply);
    if (reply.outcome == HTTP_ANSWERED && reply.status == 200) {
        answer = json_loadb(reply.body, reply.body_len, 0, NULL);
        digest = json_string_value(json_object_get(answer, "digest"));
    }
    if (digest != NULL)
        snprintf(ret, SYSTEM_DIGEST_SIZE, "%s", digest);
    json_decref(answer);
    http_free(http);
    return digest != NULL ? 0
                          : error_set(err, ERROR_TRANSIENT,
                                      "%s: no digest at position %" PRIu64,
                                      c->nodes[node].name, index);
}

static int
replica_collect_door(const struct system_node *n, const char *dir,
                     struct error *err)
{
    static const struct {
        const char *path, *file;
    } pages[] = {{"/v1/status", "status.json"},
                 {"/v1/digest", "digest.json"},
                 {"/metrics", "metrics.txt"}};
    struct http *http = http_new(err);
    int result = 0;

    if (http == NULL)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(pages) && result == 0; i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, pages[i].file);
        struct http_request request = {.way =
                                           replica_door(n->cluster, n->index),
                                       .path = pages[i].path,
                                       .timeout_ns = REPLICA_DOOR_TIMEOUT_NS,
                                       .body_max = REPLICA_METRICS_BYTES_MAX};
        struct http_reply reply;

        http_call(http, &request, &reply);
        if (reply.outcome == HTTP_ANSWERED && reply.status == 200)
            result =
                file_write_atomic(path, reply.body, reply.body_len, 0644, err);
    }
    http_free(http);
    return result;
}

static int
replica_collect_files(const struct system_node *n, const char *dir,
                      struct error *err)
{
    static const char *const status[] = {"svc", "status", "replica", NULL};
    CLEANUP_FREE char *log = xasprintf("%s/replica.log", dir);
    CLEANUP_FREE char *svc = xasprintf("%s/svc-status.json", dir);
    CLEANUP(exec_result_release) struct exec_result result;

    exec_result_init(&result);
    if (replica_exec(n, status, 0, &result, err) < 0 ||
        file_write_atomic(svc, buf_text(&result.out), result.out.len, 0644,
                          err) < 0)
        return -1;
    return remote_get(n->remote, REPLICA_LOG, log, COLLECT_FILE_BYTES_MAX, err);
}

static int
replica_collect(const struct system_node *n, const char *dir, struct error *err)
{
    struct error door_err = {0}, files_err = {0};
    int door = replica_collect_door(n, dir, &door_err);
    int files = replica_collect_files(n, dir, &files_err);

    if (door == 0 && files == 0)
        return 0;
    *err = files < 0 ? files_err : door_err;
    return error_wrap(err, "replica: collect");
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

const struct system_ops system_replica_ops = {
    .name = "replica",
    .description = "the reference replica: leases, quotas, pools or blocks",
    .capabilities = replica_capabilities,
    .positions_total = true,
    .door_ports = replica_door_ports,
    .door_count = ARRAY_LEN(replica_door_ports),
    .peer_port = REPLICA_PEER_PORT,
    .check_params = replica_check_params,
    .limits = replica_limits,
    .install = replica_install,
    .start = replica_start,
    .stop = replica_stop,
    .signal = replica_signal,
    .process = replica_process,
    .status = replica_status,
    .events = replica_events,
    .watch = replica_watch,
    .digest = replica_digest,
    .collect = replica_collect,
    .client_new = replica_open_client,
};
