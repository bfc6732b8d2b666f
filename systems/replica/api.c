/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the replica's HTTP API tells the harness (docs/REPLICA-API.md, "Looking
 * in"), through the nodes' doors: any daemon that speaks it is asked like this.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/file.h"
#include "systems/http.h"
#include "systems/replica/replica.h"

#define REPLICA_DOOR_TIMEOUT_NS (2 * NS_PER_S)
#define REPLICA_METRICS_BYTES_MAX (1u << 20)

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

int
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

const char *const replica_events[] = {[WATCH_VIEW_CHANGE] = "view-change",
                                      [WATCH_NEW_PRIMARY] = "new-primary",
                                      [WATCH_SNAPSHOT_TRANSFER] =
                                          "snapshot-transfer",
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

int
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

/* Damaged state; state of another node, cluster or engine. */
const int replica_refusal_exits[] = {76, 77, 0};

/* ---- crash points ---- */

const char *const replica_crash_points[] = {
    "before-append",  "append",         "before-sync",
    "after-sync",     "before-quorum",  "after-commit",
    "before-reply",   "after-reply",    "checkpoint-begin",
    "checkpoint-end", "transfer-serve", "transfer-chunk",
    "install-begin",  "install",        "install-end",
    "view-change",    "view-start",     NULL,
};

int
replica_crash_at(const struct cluster *c, unsigned node, const char *point,
                 unsigned nth, int64_t timeout_ns, struct error *err)
{
    CLEANUP_FREE char *body = point == NULL
                                  ? xstrdup("{\"at\":null}")
                                  : xasprintf("{\"at\":\"%s:%u\"}", point, nth);
    struct http_request request = {.way = replica_door(c, node),
                                   .path = "/v1/crash-at",
                                   .body = body,
                                   .timeout_ns = timeout_ns};
    struct http *http = http_new(err);
    struct http_reply reply;
    bool done;

    if (http == NULL)
        return -1;
    http_call(http, &request, &reply);
    done = reply.outcome == HTTP_ANSWERED && reply.status == 200;
    if (!done && reply.outcome == HTTP_ANSWERED && reply.status == 404)
        error_set(err, ERROR_CONFIG,
                  "%s: its daemon was not started with --crash-points",
                  c->nodes[node].name);
    else if (!done)
        error_set(err, ERROR_ENVIRONMENT, "%s: /v1/crash-at: %s",
                  c->nodes[node].name, http_outcome_name(reply.outcome));
    http_free(http);
    return done ? 0 : -1;
}

/* ---- collect ---- */

/* What a daemon that is down does not answer is simply not there. */
int
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

int
replica_collect_daemon(const struct system_node *n, const struct service *s,
                       const char *dir, struct error *err)
{
    struct error door_err = {0}, files_err = {0};
    int door = replica_collect_door(n, dir, &door_err);
    int files = service_collect(n, s, dir, &files_err);

    if (door == 0 && files == 0)
        return 0;
    *err = files < 0 ? files_err : door_err;
    return error_wrap(err, "%s: collect", s->name);
}
