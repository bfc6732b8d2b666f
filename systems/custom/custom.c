/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon of the user's that speaks the replica's HTTP API
 * (docs/REPLICA-API.md), described by a YAML file (docs/SYSTEMS.md): which
 * program it is, with which words it starts, and what clients may ask of it.
 * Everything else (svc, status, digests, clients) is as for the replica.
 *
 * A word may hold {node} {address} {cluster} {data} {client_port} {peer_port}
 * {capability}; a list {each: [...]} stands for its words once per node, with
 * that node's {node} and {address}.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "systems/replica/replica.h"
#include "systems/service.h"

#define CUSTOM_BINARY "/data/opt/custom"
#define CUSTOM_DATA "/data/custom"
/* Of one word, with everything filled in. */
#define CUSTOM_WORD_MAX 1024

static const struct service custom_service = {
    .name = "custom",
    .words = "/data/opt/custom.arguments",
    .new_file = "/data/opt/custom.new",
    .log = "/data/log/custom.log",
};

static const char *const custom_keys[] = {
    "binary", "files", "arguments", "first_start", "capabilities", "limits",
};

/* What stands for {NAME} in a word. */
struct custom_place {
    const struct cluster *cluster;
    unsigned node;
    const char *capability;
};

/* ---- words ---- */

static const char *
custom_value(const struct custom_place *p, const char *name, size_t len,
             char number[static 8])
{
    const struct node *n = &p->cluster->nodes[p->node];
    const struct {
        const char *name, *value;
    } values[] = {
        {"node", n->name},
        {"address", n->cluster_address},
        {"cluster", p->cluster->run_id},
        {"data", CUSTOM_DATA},
        {"capability", p->capability == NULL ? "" : p->capability},
    };

    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (strlen(values[i].name) == len &&
            strncmp(values[i].name, name, len) == 0)
            return values[i].value;
    if (len == 11 && strncmp(name, "client_port", len) == 0)
        snprintf(number, 8, "%d", REPLICA_CLIENT_PORT);
    else if (len == 9 && strncmp(name, "peer_port", len) == 0)
        snprintf(number, 8, "%d", REPLICA_PEER_PORT);
    else
        return NULL;
    return number;
}

/* Adds the word with every {NAME} filled in.  "{{" stands for "{". */
static int
custom_fill(struct buf *out, const char *word, const struct custom_place *p,
            const char *where, struct error *err)
{
    CLEANUP(buf_release) struct buf filled;

    buf_init(&filled, CUSTOM_WORD_MAX);
    for (const char *c = word; c != NULL && *c != '\0'; c++) {
        const char *end, *value;
        char number[8];

        if (*c != '{' || c[1] == '{') {
            buf_append(&filled, c, 1);
            c += *c == '{';
            continue;
        }
        end = strchr(c, '}');
        value = end == NULL
                    ? NULL
                    : custom_value(p, c + 1, (size_t)(end - c - 1), number);
        if (value == NULL)
            return error_set(err, ERROR_CONFIG,
                             "%s: '%s' has a {NAME} that means nothing", where,
                             word);
        buf_puts(&filled, value);
        c = end;
    }
    if (filled.truncated)
        return error_set(err, ERROR_CONFIG, "%s: '%.40s...' is too long", where,
                         word);
    return service_add_word(out, word == NULL ? NULL : buf_text(&filled), where,
                            err);
}

static int
custom_fill_list(struct buf *out, const json_t *list,
                 const struct custom_place *p, const char *where,
                 struct error *err)
{
    size_t i;
    json_t *word;

    if (list != NULL && !json_is_array(list))
        return error_set(err, ERROR_CONFIG, "%s must be a list", where);
    json_array_foreach ((json_t *)list, i, word) {
        const json_t *each = json_object_get(word, "each");

        if (each == NULL) {
            if (custom_fill(out, json_string_value(word), p, where, err) < 0)
                return -1;
            continue;
        }
        for (unsigned node = 0; node < p->cluster->node_count; node++) {
            struct custom_place there = *p;

            there.node = node;
            if (custom_fill_list(out, each, &there, where, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* ---- params ---- */

static int
custom_check_files(const json_t *files, struct error *err)
{
    const char *to;
    json_t *from;

    if (files != NULL && !json_is_object(files))
        return error_set(err, ERROR_CONFIG,
                         "system custom: 'files' must be a map of paths on the "
                         "node to files here");
    json_object_foreach ((json_t *)files, to, from) {
        if (!json_is_string(from) || to[0] != '/' || strstr(to, "..") != NULL)
            return error_set(err, ERROR_CONFIG,
                             "system custom: 'files': '%s' must be an absolute "
                             "path on the node, with a file here",
                             to);
    }
    return 0;
}

static int
custom_check_keys(const json_t *params, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)params, key, value) {
        bool known = false;

        for (size_t i = 0; i < ARRAY_LEN(custom_keys); i++)
            known = known || strcmp(key, custom_keys[i]) == 0;
        if (!known)
            return error_set(err, ERROR_CONFIG,
                             "system custom: '%s' is not known "
                             "(docs/SYSTEMS.md)",
                             key);
    }
    if (!json_is_string(json_object_get(params, "binary")))
        return error_set(err, ERROR_CONFIG,
                         "system custom: 'binary' must name a program here");
    return custom_check_files(json_object_get(params, "files"), err);
}

/* Words of the daemon and those of its first start. */
static int
custom_words(const json_t *params, const struct custom_place *p,
             struct buf *words, struct buf *first, struct error *err)
{
    if (custom_fill_list(words, json_object_get(params, "arguments"), p,
                         "system custom: 'arguments'", err) < 0)
        return -1;
    return custom_fill_list(first, json_object_get(params, "first_start"), p,
                            "system custom: 'first_start'", err);
}

static int
custom_check_params(const json_t *params, struct error *err)
{
    struct cluster none = {.node_count = 1, .run_id = "r"};
    struct custom_place place = {.cluster = &none};
    CLEANUP(buf_release) struct buf words;
    CLEANUP(buf_release) struct buf first;

    snprintf(none.nodes[0].name, sizeof(none.nodes[0].name), "n1");
    snprintf(none.nodes[0].cluster_address,
             sizeof(none.nodes[0].cluster_address), "10.0.0.1");
    place.capability = "allocator";
    buf_init(&words, SERVICE_WORDS_BYTES_MAX);
    buf_init(&first, SERVICE_WORDS_BYTES_MAX);
    if (custom_check_keys(params, err) < 0)
        return -1;
    return custom_words(params, &place, &words, &first, err);
}

static json_t *
custom_limits(const json_t *params, const char *capability)
{
    const json_t *limits = json_object_get(params, "limits");

    (void)capability;
    return json_is_object(limits) ? json_deep_copy(limits) : json_object();
}

/* ---- the node ---- */

static int
custom_put_files(const struct system_node *n, const json_t *files,
                 struct error *err)
{
    const char *to;
    json_t *from;

    json_object_foreach ((json_t *)files, to, from) {
        if (remote_put(n->remote, json_string_value(from), to, 0644, err) < 0)
            return -1;
    }
    return 0;
}

static int
custom_install(const struct system_node *n, const struct system_options *o,
               struct error *err)
{
    static const char *const dirs[] = {"/data/opt", "/data/log", CUSTOM_DATA,
                                       NULL};
    struct custom_place place = {n->cluster, n->index, o->capability};
    const char *binary =
        json_string_value(json_object_get(o->params, "binary"));
    CLEANUP(buf_release) struct buf words;
    CLEANUP(buf_release) struct buf first;

    buf_init(&words, SERVICE_WORDS_BYTES_MAX);
    buf_init(&first, SERVICE_WORDS_BYTES_MAX);
    if (o->bug != NULL)
        return error_set(err, ERROR_CONFIG,
                         "system custom has no planted bugs ('%s')", o->bug);
    buf_puts(&words, CUSTOM_BINARY "\n");
    if (custom_check_params(o->params, err) < 0 ||
        custom_words(o->params, &place, &words, &first, err) < 0 ||
        service_make_dirs(n, dirs, err) < 0 ||
        remote_put(n->remote, binary, CUSTOM_BINARY, 0755, err) < 0 ||
        custom_put_files(n, json_object_get(o->params, "files"), err) < 0 ||
        service_install(n, &custom_service, &words, &first, err) < 0)
        return error_wrap(err, "custom: install");
    return 0;
}

static int
custom_start(const struct system_node *n, struct error *err)
{
    return service_start(n, &custom_service, err);
}

static int
custom_stop(const struct system_node *n, int64_t timeout_ns, struct error *err)
{
    return service_stop(n, &custom_service, timeout_ns, err);
}

static int
custom_signal(const struct system_node *n, int signo, struct error *err)
{
    return service_signal(n, &custom_service, signo, err);
}

static int
custom_process(const struct system_node *n, struct process_id *ret,
               struct error *err)
{
    return service_process(n, &custom_service, ret, err);
}

static int
custom_collect(const struct system_node *n, const char *dir, struct error *err)
{
    return replica_collect_daemon(n, &custom_service, dir, err);
}

static struct client *
custom_client_new(const struct cluster *c, const char *capability,
                  uint64_t client_id, struct error *err)
{
    if (system_offers(&system_custom_ops, capability))
        return replica_client_new(c, client_id, err);
    error_set(err, ERROR_CONFIG, "system custom has no capability '%s'",
              capability);
    return NULL;
}

static const char *const custom_capabilities[] = {"allocator", "quota", "pool",
                                                  "block", NULL};
static const uint16_t custom_door_ports[] = {REPLICA_CLIENT_PORT};

const struct system_ops system_custom_ops = {
    .name = "custom",
    .description = "a daemon of yours that speaks the replica's API",
    .capabilities = custom_capabilities,
    .positions_total = true,
    .door_ports = custom_door_ports,
    .door_count = ARRAY_LEN(custom_door_ports),
    .peer_port = REPLICA_PEER_PORT,
    .refusals = replica_refusal_exits,
    .check_params = custom_check_params,
    .limits = custom_limits,
    .install = custom_install,
    .start = custom_start,
    .stop = custom_stop,
    .signal = custom_signal,
    .process = custom_process,
    .status = replica_status,
    .watch = replica_watch,
    .events = replica_events,
    .digest = replica_digest,
    .collect = custom_collect,
    .client_new = custom_client_new,
};
