/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes and answers of the client API (docs/REPLICA-API.md).
 *
 * A command, a tick or a linearizable read takes a slot of the pending table;
 * its token names the slot and the slot's generation, so that the core's
 * answer to a request that met its deadline finds nobody and is dropped.  A
 * tick that was committed asks the engine what is due, feeds those expire
 * entries with tokens of its own slot and answers after the last of them.
 *
 * Failure modes: everything that is refused before the core took it is certain
 * ("fail"); everything later is "unknown".
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/clock.h"
#include "replica/command.h"
#include "replica/json.h"
#include "replica/server.h"

/* Token: generation, slot, and which entry of a tick (0: the tick). */
#define TOKEN_SUB_BITS 8
#define TOKEN_SLOT_BITS 12
static_assert(PENDING_MAX == 1u << TOKEN_SLOT_BITS, "slots fit the token");

struct refusal {
    unsigned status;
    const char *error;
    bool unknown;
    enum server_counter counter;
};

static const struct refusal refusal_invalid = {400, "invalid_request", false,
                                               COUNTER_INVALID};
static const struct refusal refusal_route = {404, "no_such_route", false,
                                             COUNTER_INVALID};
static const struct refusal refusal_too_large = {413, "too_large", false,
                                                 COUNTER_INVALID};
static const struct refusal refusal_fence = {409, "fence_not_applied", false,
                                             COUNTER_FENCE};
static const struct refusal refusal_not_primary = {421, "not_primary", false,
                                                   COUNTER_NOT_PRIMARY};
static const struct refusal refusal_overloaded = {429, "overloaded", false,
                                                  COUNTER_OVERLOADED};
static const struct refusal refusal_exhausted = {507, "positions_exhausted",
                                                 false, COUNTER_EXHAUSTED};
static const struct refusal refusal_not_ready = {503, "not_ready", false,
                                                 COUNTER_NOT_READY};
static const struct refusal refusal_lost = {504, "leadership_lost", true,
                                            COUNTER_LEADERSHIP_LOST};
static const struct refusal refusal_deadline = {504, "deadline", true,
                                                COUNTER_DEADLINE};

static const struct refusal *
refusal_of(enum vsr_outcome outcome)
{
    switch (outcome) {
    case VSR_REFUSED_NOT_PRIMARY:
        return &refusal_not_primary;
    case VSR_REFUSED_NOT_READY:
        return &refusal_not_ready;
    case VSR_REFUSED_OVERLOADED:
        return &refusal_overloaded;
    case VSR_REFUSED_TOO_LARGE:
        return &refusal_too_large;
    case VSR_REFUSED_EXHAUSTED:
        return &refusal_exhausted;
    case VSR_COMMITTED:
    case VSR_UNKNOWN_LEADERSHIP_LOST:
        break;
    }
    return &refusal_lost;
}

static void
set_u64(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_from_u64(value));
}

static void
set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key,
                        text == NULL ? json_null() : json_string(text));
}

static void
refuse(struct server *s, struct http_request *r, const struct refusal *why,
       const char *message)
{
    json_t *body = json_object();
    int primary;

    vsr_status(s->vsr, &s->status);
    primary = s->status.primary;
    s->counters[why->counter]++;
    set_text(body, "error", why->error);
    set_text(body, "certainty", why->unknown ? "unknown" : "fail");
    set_u64(body, "view", s->status.view);
    set_text(body, "primary",
             primary < 0 ? NULL : s->options->peers[primary].name);
    if (primary >= 0 && s->options->peers[primary].client_address[0] != '\0')
        set_text(body, "address", s->options->peers[primary].client_address);
    if (why == &refusal_fence)
        set_u64(body, "applied", s->applied.index);
    if (message != NULL)
        set_text(body, "message", message);
    http_respond(r, why->status, body);
}

/* ---- the pending table ---- */

/* NULL when it is full; the request was refused then. */
static struct pending *
pending_take(struct server *s, struct http_request *r, enum pending_kind kind)
{
    struct pending *p;

    if (s->pending_free == PENDING_MAX) {
        refuse(s, r, &refusal_overloaded, "too many requests wait");
        return NULL;
    }
    p = &s->pending[s->pending_free];
    s->pending_free = p->next_free;
    s->pending_count++;
    p->kind = kind;
    p->generation++;
    p->request = r;
    p->deadline_ns =
        uv_hrtime() + s->options->request_timeout_ms * (uint64_t)NS_PER_MS;
    p->expired = NULL;
    p->outstanding = 0;
    p->lost = false;
    p->required = 0;
    return p;
}

static void
pending_drop(struct server *s, struct pending *p)
{
    json_decref(p->expired);
    p->expired = NULL;
    p->request = NULL;
    p->kind = PENDING_FREE;
    p->next_free = s->pending_free;
    s->pending_free = (uint32_t)(p - s->pending);
    s->pending_count--;
}

static uint64_t
pending_token(const struct server *s, const struct pending *p, unsigned sub)
{
    return (p->generation << TOKEN_SLOT_BITS | (uint64_t)(p - s->pending))
               << TOKEN_SUB_BITS |
           sub;
}

static struct pending *
pending_find(struct server *s, uint64_t token)
{
    uint64_t slot = token >> TOKEN_SUB_BITS & (PENDING_MAX - 1);
    struct pending *p = &s->pending[slot];

    if (p->kind == PENDING_FREE ||
        p->generation != token >> (TOKEN_SUB_BITS + TOKEN_SLOT_BITS))
        return NULL;
    return p;
}

static void
pending_refuse(struct server *s, struct pending *p, const struct refusal *why)
{
    refuse(s, p->request, why, NULL);
    pending_drop(s, p);
}

/* ---- answers ---- */

static void
set_outcome_fields(json_t *body, const struct outcome *o)
{
    if ((o->has & OUTCOME_LEASE) != 0) {
        json_object_set_new(body, "lease", json_from_lease(o->lease));
        set_u64(body, "epoch", o->epoch);
    }
    if ((o->has & OUTCOME_DEADLINE) != 0)
        set_u64(body, "deadline", o->deadline);
    if ((o->has & OUTCOME_BUCKET) != 0)
        json_object_set_new(body, "bucket", json_from_id(o->bucket));
    if ((o->has & OUTCOME_BALANCE) != 0)
        set_u64(body, "balance", o->balance);
    if ((o->has & OUTCOME_POOL) != 0)
        json_object_set_new(body, "pool", json_from_id(o->pool));
    if ((o->has & OUTCOME_HOLD) != 0)
        json_object_set_new(body, "hold", json_from_id(o->hold));
    if ((o->has & OUTCOME_VERSION) != 0)
        set_u64(body, "version", o->version);
    if ((o->has & OUTCOME_VALUE) != 0)
        set_u64(body, "value", o->value);
}

static void
set_outcome(json_t *body, const struct outcome *o)
{
    set_text(body, "code", result_code_name(o->code));
    json_object_set_new(body, "recorded", json_boolean(o->recorded));
    json_object_set_new(body, "cached", json_boolean(o->cached));
    set_u64(body, "view", o->view);
    set_u64(body, "index", o->index);
    set_u64(body, "slot", o->slot);
    set_outcome_fields(body, o);
}

static void
answer_command(struct server *s, struct pending *p, const struct outcome *o)
{
    json_t *body = json_object();

    s->counters[o->cached ? COUNTER_CACHED : COUNTER_COMMITTED]++;
    set_outcome(body, o);
    set_text(body, "node", s->options->node);
    crash_point_pass(&s->crash, CRASH_BEFORE_REPLY);
    http_respond(p->request, 200, body);
    s->replied = true;
    pending_drop(s, p);
}

static void
answer_tick(struct server *s, struct pending *p)
{
    json_t *body;

    if (p->lost) {
        pending_refuse(s, p, &refusal_lost);
        return;
    }
    s->counters[COUNTER_COMMITTED]++;
    body = json_object();
    set_text(body, "code", result_code_name(p->tick.code));
    set_u64(body, "view", p->tick.view);
    set_u64(body, "index", p->tick.index);
    set_u64(body, "slot", p->tick.slot);
    json_object_set_new(body, "expired",
                        p->expired == NULL ? json_array() : p->expired);
    p->expired = NULL;
    set_text(body, "node", s->options->node);
    http_respond(p->request, 200, body);
    pending_drop(s, p);
}

static void
answer_read(struct server *s, struct http_request *r, const char *what,
            struct id128 id, uint64_t required)
{
    json_t *body;

    if (s->applied.index < required) {
        refuse(s, r, &refusal_fence, NULL);
        return;
    }
    s->counters[COUNTER_READ]++;
    body = json_object();
    s->engine->ops->query(s->engine, what, id, body);
    vsr_status(s->vsr, &s->status);
    set_u64(body, "view", s->status.view);
    set_u64(body, "applied", s->applied.index);
    set_u64(body, "slot", s->engine->ops->slot(s->engine));
    set_text(body, "node", s->options->node);
    http_respond(r, 200, body);
}

/* ---- completion ---- */

struct due {
    struct server *server;
    struct pending *pending;
};

static void
feed_due(void *ctx, const void *payload, size_t len)
{
    struct due *due = ctx;
    struct vsr_event e = {.type = VSR_EVENT_REQUEST,
                          .kind = ENTRY_KIND_COMMAND,
                          .payload = payload,
                          .length = (uint32_t)len};

    due->pending->outstanding++;
    assert(due->pending->outstanding < 1u << TOKEN_SUB_BITS);
    e.token =
        pending_token(due->server, due->pending, due->pending->outstanding);
    server_followup(due->server, &e);
}

/* Bug wall-clock-expiry: slots that passed beside those that ticks say. */
static uint64_t
bug_wall_slots(struct server *s, uint64_t slot)
{
    int64_t now_ns, slots = 0;

    if (s->options->bug != BUG_WALL_CLOCK_EXPIRY)
        return 0;
    now_ns = clock_wall_ns();
    if (s->bug_wall_ns != 0)
        slots = (now_ns - s->bug_wall_ns) / (BUG_WALL_SLOT_MS * NS_PER_MS) -
                (int64_t)(slot - s->bug_wall_slot);
    s->bug_wall_ns = now_ns;
    s->bug_wall_slot = slot;
    return slots > BUG_WALL_SLACK_SLOTS ? (uint64_t)slots : 0;
}

static void
tick_committed(struct server *s, struct pending *p, const struct outcome *o)
{
    struct due due = {s, p};

    p->tick = *o;
    p->expired = json_array();
    if (o->code == RESULT_OK)
        s->engine->ops->plan(s->engine, o->slot + bug_wall_slots(s, o->slot),
                             feed_due, &due);
    if (p->outstanding == 0)
        answer_tick(s, p);
}

/* An expire entry of a tick.  One that was refused is left to the next tick. */
static void
expire_complete(struct server *s, struct pending *p, enum vsr_outcome outcome,
                struct applied_outcome *o)
{
    if (outcome == VSR_COMMITTED && o->expired != NULL) {
        json_array_append_new(p->expired, o->expired);
        o->expired = NULL;
    } else if (outcome != VSR_COMMITTED && outcome != VSR_REFUSED_OVERLOADED &&
               outcome != VSR_REFUSED_EXHAUSTED) {
        p->lost = true;
    }
    if (--p->outstanding == 0)
        answer_tick(s, p);
}

void
api_complete(struct server *s, const struct vsr_action *a)
{
    struct pending *p = pending_find(s, a->token);
    struct applied_outcome *o = NULL;

    if (p == NULL)
        return; /* answered by its deadline */
    if (a->outcome == VSR_COMMITTED && p->kind != PENDING_READ) {
        o = &s->outcomes[a->position.index % OUTCOMES_MAX];
        assert(o->index == a->position.index);
    }
    if ((a->token & ((1u << TOKEN_SUB_BITS) - 1)) != 0) {
        expire_complete(s, p, a->outcome, o);
    } else if (a->outcome != VSR_COMMITTED) {
        pending_refuse(s, p, refusal_of(a->outcome));
    } else if (p->kind == PENDING_READ) {
        answer_read(s, p->request, p->what, p->id, p->required);
        pending_drop(s, p);
    } else if (p->kind == PENDING_TICK) {
        tick_committed(s, p, &o->outcome);
    } else {
        answer_command(s, p, &o->outcome);
    }
}

void
api_tick(struct server *s, uint64_t now_ns)
{
    if (s->pending_count == 0)
        return;
    for (unsigned i = 0; i < PENDING_MAX; i++)
        if (s->pending[i].kind != PENDING_FREE &&
            now_ns >= s->pending[i].deadline_ns)
            pending_refuse(s, &s->pending[i], &refusal_deadline);
}

void
api_abandon(struct server *s)
{
    for (unsigned i = 0; i < PENDING_MAX; i++)
        if (s->pending[i].kind != PENDING_FREE)
            pending_refuse(s, &s->pending[i], &refusal_lost);
}

/* ---- routes ---- */

static void
feed_request(struct server *s, struct pending *p, const struct buf *payload)
{
    struct vsr_event e = {.type = VSR_EVENT_REQUEST,
                          .kind = ENTRY_KIND_COMMAND,
                          .payload = payload->data,
                          .length = (uint32_t)payload->len,
                          .token = pending_token(s, p, 0)};

    server_step(s, &e);
}

/* The body as a JSON object, or NULL and the request is refused. */
static json_t *
parse_body(struct server *s, struct http_request *r)
{
    json_error_t why;
    json_t *body;

    if (r->body_too_long) {
        refuse(s, r, &refusal_too_large, NULL);
        return NULL;
    }
    body = json_loadb(r->body, r->body_length, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(body))
        return body;
    refuse(s, r, &refusal_invalid,
           body == NULL ? why.text : "the body must be a JSON object");
    json_decref(body);
    return NULL;
}

/* No room on the disk: refused while it is still certain. */
static bool
refuse_when_full(struct server *s, struct http_request *r)
{
    if (s->disk_full)
        refuse(s, r, &refusal_overloaded, "disk space reserve reached");
    return s->disk_full;
}

static void
submit(struct server *s, struct http_request *r, enum pending_kind kind,
       const struct buf *payload)
{
    struct pending *p;

    if (refuse_when_full(s, r))
        return;
    p = pending_take(s, r, kind);
    if (p != NULL)
        feed_request(s, p, payload);
}

static void
route_command(struct server *s, struct http_request *r)
{
    json_t *body = parse_body(s, r);
    struct error err;
    struct buf payload;

    if (body == NULL)
        return;
    buf_init(&payload, VSR_PAYLOAD_BYTES_MAX);
    if (s->engine->ops->parse(body, &payload, &err) < 0)
        refuse(s, r, &refusal_invalid, err.text);
    else
        submit(s, r, PENDING_COMMAND, &payload);
    buf_release(&payload);
    json_decref(body);
}

/* An entry that is in no log: bug tick-on-backup only. */
static void
apply_beside_log(struct server *s, const void *payload, size_t len,
                 struct outcome *ret)
{
    struct engine_entry entry = {s->applied.view, s->applied.index, payload,
                                 len};

    s->engine->ops->apply(s->engine, &entry, ret);
}

struct local_tick {
    struct server *server;
    json_t *expired;
};

static void
expire_beside_log(void *ctx, const void *payload, size_t len)
{
    struct local_tick *t = ctx;
    struct engine *e = t->server->engine;
    struct outcome o;
    json_t *item;

    apply_beside_log(t->server, payload, len, &o);
    item = e->ops->expired(e, payload, len, &o);
    if (item != NULL)
        json_array_append_new(t->expired, item);
}

/* Bug tick-on-backup: true, and the tick is answered from here alone. */
static bool
bug_ticks_here(struct server *s, struct http_request *r,
               const struct buf *payload)
{
    struct local_tick t = {s, NULL};
    struct pending *p;

    vsr_status(s->vsr, &s->status);
    if (s->options->bug != BUG_TICK_ON_BACKUP ||
        s->status.role != VSR_ROLE_BACKUP)
        return false;
    p = pending_take(s, r, PENDING_TICK);
    if (p == NULL)
        return true;
    t.expired = p->expired = json_array();
    apply_beside_log(s, payload->data, payload->len, &p->tick);
    s->engine->ops->plan(s->engine, p->tick.slot, expire_beside_log, &t);
    answer_tick(s, p);
    return true;
}

static void
route_tick(struct server *s, struct http_request *r)
{
    json_t *body = parse_body(s, r);
    uint64_t client, slot;
    struct error err;
    struct buf payload;

    if (body == NULL)
        return;
    buf_init(&payload, VSR_PAYLOAD_BYTES_MAX);
    if (json_get_u64(body, "client", &client, &err) < 0 ||
        json_get_u64(body, "slot", &slot, &err) < 0) {
        refuse(s, r, &refusal_invalid, err.text);
    } else {
        s->engine->ops->tick(client, slot, &payload);
        if (!bug_ticks_here(s, r, &payload))
            submit(s, r, PENDING_TICK, &payload);
    }
    buf_release(&payload);
    json_decref(body);
}

static void
read_linearizable(struct server *s, struct http_request *r, const char *what,
                  struct id128 id, uint64_t required)
{
    struct vsr_event e = {.type = VSR_EVENT_READ};
    struct pending *p = pending_take(s, r, PENDING_READ);

    if (p == NULL)
        return;
    snprintf(p->what, sizeof(p->what), "%s", what);
    p->id = id;
    p->required = required;
    e.token = pending_token(s, p, 0);
    server_step(s, &e);
}

static void
route_read(struct server *s, struct http_request *r, const char *what,
           const char *id_text)
{
    const char *claim = http_argument(r, "claim");
    const char *required_text = http_argument(r, "required");
    uint64_t required = 0;
    struct id128 id;

    if (!text_to_id(id_text, &id)) {
        refuse(s, r, &refusal_invalid, JSON_ID_EXPECTED);
    } else if (required_text != NULL &&
               !text_to_u64(required_text, &required)) {
        refuse(s, r, &refusal_invalid,
               "'required' must be an integer from 0 to 2^63-1");
    } else if (claim == NULL || strcmp(claim, "linearizable") == 0) {
        read_linearizable(s, r, what, id, required);
    } else if (strcmp(claim, "any") != 0) {
        refuse(s, r, &refusal_invalid, "'claim' must be linearizable or any");
    } else {
        vsr_status(s->vsr, &s->status);
        if (s->status.ready)
            answer_read(s, r, what, id, required);
        else
            refuse(s, r, &refusal_not_ready, NULL);
    }
}

static void
route_status(struct server *s, struct http_request *r)
{
    json_t *body = json_object();
    struct vsr_status v;
    char detail[320];

    vsr_status(s->vsr, &v);
    snprintf(detail, sizeof(detail),
             "start: %s; since: %" PRIu64 " entries fetched, %" PRIu64
             " discarded, %" PRIu64 " snapshots installed",
             s->start_detail, v.entries_fetched, v.entries_discarded,
             v.snapshots_installed);
    set_text(body, "node", s->options->node);
    set_text(body, "engine", s->options->engine->name);
    set_text(body, "role", vsr_role_name(v.role));
    json_object_set_new(body, "ready", json_boolean(v.ready));
    set_u64(body, "view", v.view);
    set_u64(body, "last_normal_view", v.last_normal_view);
    set_text(body, "primary",
             v.primary < 0 ? NULL : s->options->peers[v.primary].name);
    set_u64(body, "op", v.op);
    set_u64(body, "commit", v.commit);
    set_u64(body, "applied", s->applied.index);
    set_u64(body, "slot", s->engine->ops->slot(s->engine));
    set_text(body, "recovery", vsr_recovery_name(v.recovery));
    set_text(body, "recovery_start", vsr_recovery_name(s->recovery_start));
    set_text(body, "recovery_detail", detail);
    set_u64(body, "snapshot", v.snapshot);
    json_object_set_new(body, "snapshot_transfer",
                        json_boolean(v.snapshot_transfer));
    set_u64(body, "snapshots_installed", v.snapshots_installed);
    set_text(body, "boot", s->boot);
    set_u64(body, "pid", (uint64_t)getpid());
    set_text(body, "bug", bug_name(s->options->bug));
    http_respond(r, 200, body);
}

static void
route_digest(struct server *s, struct http_request *r)
{
    const char *text = http_argument(r, "index");
    const struct applied_digest *d;
    uint64_t index = s->applied.index;
    char hex[17];
    json_t *body;

    if (text != NULL && !text_to_u64(text, &index)) {
        refuse(s, r, &refusal_invalid, "'index' must be an integer");
        return;
    }
    d = &s->digests[index % DIGESTS_MAX];
    body = json_object();
    if (d->index != index || (index == 0 && s->applied.index > 0)) {
        set_text(body, "error", "no_such_index");
        set_text(body, "certainty", "fail");
        set_u64(body, "applied", s->applied.index);
        http_respond(r, 404, body);
        return;
    }
    set_u64(body, "index", index);
    snprintf(hex, sizeof(hex), "%016" PRIx64, d->digest);
    set_text(body, "digest", hex);
    snprintf(hex, sizeof(hex), "%016" PRIx64, d->chain);
    set_text(body, "chain", hex);
    http_respond(r, 200, body);
}

static void
metrics_counters(const struct server *s, struct buf *out)
{
    static const char *const names[COUNTER_COUNT] = {
        [COUNTER_COMMITTED] = "committed",
        [COUNTER_CACHED] = "cached",
        [COUNTER_READ] = "read",
        [COUNTER_INVALID] = "invalid",
        [COUNTER_NOT_PRIMARY] = "not_primary",
        [COUNTER_NOT_READY] = "not_ready",
        [COUNTER_OVERLOADED] = "overloaded",
        [COUNTER_EXHAUSTED] = "positions_exhausted",
        [COUNTER_FENCE] = "fence_not_applied",
        [COUNTER_LEADERSHIP_LOST] = "leadership_lost",
        [COUNTER_DEADLINE] = "deadline",
    };

    buf_puts(out, "# TYPE ordeal_replica_requests_total counter\n");
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        buf_printf(out,
                   "ordeal_replica_requests_total{result=\"%s\"} %" PRIu64 "\n",
                   names[i], s->counters[i]);
}

static void
metrics_peers(const struct server *s, struct buf *out)
{
    static const char *const names[] = {"connected", "sent_total",
                                        "dropped_total", "received_total",
                                        "connections_total"};

    for (unsigned n = 0; n < ARRAY_LEN(names); n++) {
        buf_printf(out, "# TYPE ordeal_replica_peer_%s %s\n", names[n],
                   n == 0 ? "gauge" : "counter");
        for (unsigned i = 0; i < s->options->peer_count; i++) {
            struct peer_counters c;

            if (i == s->options->self)
                continue;
            peers_count(s->peers, i, &c);
            buf_printf(out, "ordeal_replica_peer_%s{peer=\"%s\"} %" PRIu64 "\n",
                       names[n], s->options->peers[i].name,
                       n == 0   ? (uint64_t)c.connected
                       : n == 1 ? c.sent
                       : n == 2 ? c.dropped
                       : n == 3 ? c.received
                                : c.connections);
        }
    }
}

static void
route_metrics(struct server *s, struct http_request *r)
{
    struct vsr_status v;
    struct buf out;

    vsr_status(s->vsr, &v);
    {
        const struct {
            const char *name, *type;
            uint64_t value;
        } plain[] = {
            {"view", "gauge", v.view},
            {"is_primary", "gauge", v.role == VSR_ROLE_PRIMARY},
            {"ready", "gauge", v.ready},
            {"op", "gauge", v.op},
            {"synced", "gauge", v.synced},
            {"commit", "gauge", v.commit},
            {"applied", "gauge", s->applied.index},
            {"slot", "gauge", s->engine->ops->slot(s->engine)},
            {"snapshot", "gauge", v.snapshot},
            {"log_bytes", "gauge", disk_log_bytes(s->disk)},
            {"connections", "gauge", http_connections(s->http)},
            {"pending_requests", "gauge", s->pending_count},
            {"view_changes_total", "counter", v.view_changes},
            {"entries_fetched_total", "counter", v.entries_fetched},
            {"entries_discarded_total", "counter", v.entries_discarded},
            {"snapshots_installed_total", "counter", v.snapshots_installed},
            {"stale_transfers_total", "counter", v.stale_refused},
            {"catch_up_breaches_total", "counter", v.catch_up_breaches},
            {"peer_frames_corrupt_total", "counter", peers_corrupt(s->peers)},
        };

        buf_init(&out, 64u << 10);
        for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
            buf_printf(&out,
                       "# TYPE ordeal_replica_%s %s\n"
                       "ordeal_replica_%s %" PRIu64 "\n",
                       plain[i].name, plain[i].type, plain[i].name,
                       plain[i].value);
    }
    metrics_counters(s, &out);
    metrics_peers(s, &out);
    s->engine->ops->metrics(s->engine, &out);
    http_respond_text(r, 200, buf_text(&out));
    buf_release(&out);
}

/* GET /v1/KIND/ID; false: the engine knows no such kind. */
static bool
route_record(struct server *s, struct http_request *r)
{
    static const char prefix[] = "/v1/";
    const char *at = r->path + sizeof(prefix) - 1, *slash;
    char kind[sizeof(((struct pending *)0)->what)];
    json_t *ignored;
    bool known;

    if (strncmp(r->path, prefix, sizeof(prefix) - 1) != 0)
        return false;
    slash = strchr(at, '/');
    if (slash == NULL || (size_t)(slash - at) >= sizeof(kind))
        return false;
    memcpy(kind, at, (size_t)(slash - at));
    kind[slash - at] = '\0';
    ignored = json_object();
    known =
        s->engine->ops->query(s->engine, kind, (struct id128){0, 0}, ignored);
    json_decref(ignored);
    if (known)
        route_read(s, r, kind, slash + 1);
    return known;
}

/*
 * {"at": "NAME:N"}, or {"at": null}: nowhere.  A test's order, obeyed only with
 * --crash-points.
 */
static void
route_crash_at(struct server *s, struct http_request *r)
{
    struct crash_place place = {CRASH_NOWHERE, 0};
    json_t *request = parse_body(s, r), *body;
    const json_t *at = json_object_get(request, "at");
    struct error err = {0};

    if (request == NULL)
        return;
    if (!s->options->crash_points) {
        refuse(s, r, &refusal_route, NULL);
    } else if (!json_is_string(at) && !json_is_null(at)) {
        refuse(s, r, &refusal_invalid, "'at' must be NAME:N, or null");
    } else if (json_is_string(at) &&
               crash_place_parse(json_string_value(at), &place, &err) < 0) {
        refuse(s, r, &refusal_invalid, err.text);
    } else {
        crash_plan_arm(&s->crash, &place);
        body = json_object();
        json_object_set(body, "at", (json_t *)at);
        http_respond(r, 200, body);
    }
    json_decref(request);
}

static void
route_get(struct server *s, struct http_request *r)
{
    if (strcmp(r->path, "/v1/status") == 0)
        route_status(s, r);
    else if (strcmp(r->path, "/v1/digest") == 0)
        route_digest(s, r);
    else if (strcmp(r->path, "/metrics") == 0)
        route_metrics(s, r);
    else if (!route_record(s, r))
        refuse(s, r, &refusal_route, NULL);
}

void
api_request(void *server, struct http_request *r)
{
    struct server *s = server;

    if (s->stopping)
        refuse(s, r, &refusal_not_ready, "the replica is ending");
    else if (strcmp(r->method, "GET") == 0)
        route_get(s, r);
    else if (strcmp(r->method, "POST") != 0)
        refuse(s, r, &refusal_route, NULL);
    else if (strcmp(r->path, "/v1/command") == 0)
        route_command(s, r);
    else if (strcmp(r->path, "/v1/tick") == 0)
        route_tick(s, r);
    else if (strcmp(r->path, "/v1/crash-at") == 0)
        route_crash_at(s, r);
    else
        refuse(s, r, &refusal_route, NULL);
}
