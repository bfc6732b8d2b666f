/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines quota, pool and block against a specification that is as simple
 * as can be (linear scans, no digest, nothing retired but by definition), on
 * random commands with small tables: every field of every answer and every
 * read, live, after a load of a snapshot in the middle, and when the log is
 * applied again.  What quota and pool executed must also be legal to the
 * analyzer's models, and an answer that was changed must not.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>

#include "analyzer/models/decode.h"
#include "analyzer/models/registry.h"
#include "harness/base/arena.h"
#include "harness/base/rng.h"
#include "replica/engine-plain.h"
#include "tests/lib/tap.h"

#define STEPS 600
#define SEEDS 40
#define ROWS_MAX 64
#define RETRY_SLOTS 6

static const struct engine_limits limits = {.operations = 24,
                                            .buckets = 3,
                                            .pools = 3,
                                            .holds = 20,
                                            .blocks = 4,
                                            .retry_slots = RETRY_SLOTS};

/* ---- the specification ---- */

struct request {
    const char *command; /* NULL: a tick to numbers[0] */
    uint64_t operation, client;
    uint64_t a, b, n, m; /* what they mean depends on the command */
};

struct answer {
    const char *code;
    bool recorded, cached;
    uint64_t index, slot;
    int64_t bucket, balance, pool, hold, version, value; /* -1: not carried */
};

struct spec_operation {
    struct request request;
    struct answer answer;
    uint64_t until; /* answers up to this slot */
};

struct spec {
    enum { QUOTA, POOL, BLOCK } kind;
    uint64_t slot;
    struct spec_operation operations[STEPS];
    unsigned operation_count;
    struct {
        uint64_t id, limit, refill, balance, since;
    } buckets[ROWS_MAX];
    struct {
        uint64_t id, total;
    } pools[ROWS_MAX];
    struct {
        uint64_t id, pool, quantity, deadline;
        const char *state;
    } holds[ROWS_MAX];
    struct {
        uint64_t value, version;
    } blocks[ROWS_MAX];
    unsigned bucket_count, pool_count, hold_count;
};

static bool
is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void
spec_quota(struct spec *s, const struct request *r, struct answer *ret)
{
    unsigned i = 0;

    while (i < s->bucket_count && s->buckets[i].id != r->a)
        i++;
    if (is(r->command, "create_bucket")) {
        ret->code = i < s->bucket_count   ? "already_exists"
                    : i == limits.buckets ? "bucket_table_full"
                                          : "ok";
        if (!is(ret->code, "ok"))
            return;
        s->buckets[s->bucket_count].id = r->a;
        s->buckets[s->bucket_count].limit = r->b;
        s->buckets[s->bucket_count].balance = r->n;
        s->buckets[s->bucket_count].refill = r->m;
        s->buckets[s->bucket_count++].since = s->slot;
        ret->bucket = (int64_t)r->a;
        return;
    }
    ret->code = "bucket_not_found";
    if (i == s->bucket_count)
        return;
    for (; s->buckets[i].since < s->slot; s->buckets[i].since++) {
        s->buckets[i].balance += s->buckets[i].refill;
        if (s->buckets[i].balance > s->buckets[i].limit)
            s->buckets[i].balance = s->buckets[i].limit;
    }
    ret->code = "insufficient_funds";
    if (s->buckets[i].balance >= r->n) {
        ret->code = "ok";
        ret->bucket = (int64_t)r->a;
        s->buckets[i].balance -= r->n;
    }
    ret->balance = (int64_t)s->buckets[i].balance;
}

static uint64_t
spec_sum(const struct spec *s, uint64_t pool, const char *state)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->hold_count; i++)
        if (s->holds[i].pool == pool && is(s->holds[i].state, state))
            sum += s->holds[i].quantity;
    return sum;
}

static void
spec_place(struct spec *s, const struct request *r, struct answer *ret)
{
    unsigned p = 0, h = 0;

    while (p < s->pool_count && s->pools[p].id != r->a)
        p++;
    while (h < s->hold_count && s->holds[h].id != r->b)
        h++;
    if (r->n == 0 || r->m <= s->slot) {
        *ret = (struct answer){"invalid_state", .pool = (int64_t)r->a,
                               .hold = (int64_t)r->b};
    } else if (p == s->pool_count) {
        *ret = (struct answer){"pool_not_found", .pool = (int64_t)r->a,
                               .hold = -1};
    } else if (h < s->hold_count) {
        *ret = (struct answer){"already_exists", .pool = -1,
                               .hold = (int64_t)r->b};
    } else if (h == limits.holds) {
        *ret = (struct answer){"hold_table_full", .pool = -1, .hold = -1};
    } else if (spec_sum(s, r->a, "held") + spec_sum(s, r->a, "confirmed") +
                   r->n >
               s->pools[p].total) {
        *ret = (struct answer){"insufficient_capacity", .pool = (int64_t)r->a,
                               .hold = -1};
    } else {
        *ret =
            (struct answer){"ok", .pool = (int64_t)r->a, .hold = (int64_t)r->b};
        s->holds[h].id = r->b;
        s->holds[h].pool = r->a;
        s->holds[h].quantity = r->n;
        s->holds[h].deadline = r->m;
        s->holds[h].state = "held";
        s->hold_count++;
    }
}

static void
spec_end(struct spec *s, const struct request *r, struct answer *ret)
{
    bool confirm = is(r->command, "confirm_hold");
    bool expire = is(r->command, "expire_hold");
    unsigned h = 0;

    *ret = (struct answer){"hold_not_found", .pool = -1, .hold = -1};
    while (h < s->hold_count && s->holds[h].id != r->b)
        h++;
    if (h == s->hold_count)
        return;
    if (confirm && is(s->holds[h].state, "expired")) {
        ret->code = "hold_expired";
        return;
    }
    ret->code = "invalid_state";
    if (!is(s->holds[h].state, "held") ||
        (expire && s->slot < s->holds[h].deadline))
        return;
    ret->code = "ok";
    ret->pool = (int64_t)s->holds[h].pool;
    ret->hold = (int64_t)r->b;
    if (confirm && s->slot >= s->holds[h].deadline) {
        ret->code = "hold_expired";
        s->holds[h].state = "expired";
        return;
    }
    s->holds[h].state = confirm ? "confirmed" : expire ? "expired" : "released";
}

static void
spec_pool(struct spec *s, const struct request *r, struct answer *ret)
{
    unsigned p = 0;

    if (is(r->command, "place_hold")) {
        spec_place(s, r, ret);
        return;
    }
    if (!is(r->command, "create_pool")) {
        spec_end(s, r, ret);
        return;
    }
    while (p < s->pool_count && s->pools[p].id != r->a)
        p++;
    ret->code = p < s->pool_count   ? "already_exists"
                : p == limits.pools ? "pool_table_full"
                                    : "ok";
    if (p < s->pool_count || p < limits.pools)
        ret->pool = (int64_t)r->a;
    if (is(ret->code, "ok")) {
        s->pools[p].id = r->a;
        s->pools[s->pool_count++].total = r->n;
    }
}

static void
spec_block(struct spec *s, const struct request *r, struct answer *ret)
{
    ret->code = "block_not_found";
    if (r->a >= limits.blocks)
        return;
    if (is(r->command, "cas") && s->blocks[r->a].value != r->b) {
        ret->code = "value_mismatch";
        ret->value = (int64_t)s->blocks[r->a].value;
        return;
    }
    ret->code = "ok";
    s->blocks[r->a].value = r->n;
    ret->version = (int64_t)++s->blocks[r->a].version;
}

static bool
same_request(const struct request *x, const struct request *y)
{
    return is(x->command, y->command) && x->a == y->a && x->b == y->b &&
           x->n == y->n && x->m == y->m;
}

/* False: 'ret' came from the table, or is not recorded. */
static bool
spec_admit(const struct spec *s, const struct request *r, struct answer *ret)
{
    unsigned living = 0;

    for (unsigned i = 0; i < s->operation_count; i++) {
        const struct spec_operation *o = &s->operations[i];

        if (o->until < s->slot)
            continue;
        living++;
        if (o->request.operation != r->operation ||
            (s->kind == POOL && o->request.client != r->client))
            continue;
        if (!same_request(&o->request, r)) {
            ret->code = "operation_conflict";
            return false;
        }
        *ret = o->answer;
        ret->cached = true;
        return false;
    }
    ret->code = "operation_table_full";
    return living < limits.operations;
}

static struct answer
spec_apply(struct spec *s, const struct request *r, uint64_t index)
{
    struct answer a = {"ok",         .index = index, .slot = s->slot,
                       .bucket = -1, .balance = -1,  .pool = -1,
                       .hold = -1,   .version = -1,  .value = -1};
    struct answer done = a;

    if (r->command == NULL && r->a > s->slot)
        a.slot = s->slot = r->a;
    for (unsigned i = 0; i < s->hold_count; i++)
        if (is(s->holds[i].state, "held") && s->holds[i].deadline < s->slot)
            s->holds[i].state = "expired";
    if (r->command == NULL) {
        a.recorded = true;
        return a;
    }
    if (!spec_admit(s, r, &a))
        return a;
    if (s->kind == QUOTA)
        spec_quota(s, r, &done);
    else if (s->kind == BLOCK)
        spec_block(s, r, &done);
    else
        spec_pool(s, r, &done);
    done.index = index;
    done.slot = s->slot;
    done.recorded = true;
    if (s->kind == POOL)
        done.bucket = done.balance = done.version = done.value = -1;
    /* The pool's window is one slot shorter. */
    s->operations[s->operation_count++] = (struct spec_operation){
        *r, done, s->slot + RETRY_SLOTS - (s->kind == POOL)};
    return done;
}

/* ---- random requests ---- */

static uint64_t
below(struct rng *r, uint64_t bound)
{
    return rng_below(r, bound);
}

static struct request
draw(const struct spec *s, struct rng *r)
{
    static const char *const ends[] = {"confirm_hold", "release_hold",
                                       "expire_hold"};
    struct request q = {.operation = 1 + below(r, 100000),
                        .client = below(r, 3),
                        .a = 1 + below(r, 5)};

    if (s->kind == QUOTA && below(r, 8) == 0) {
        q.command = "create_bucket";
        q.b = 1 + below(r, 20);
        q.n = below(r, q.b + 1);
        q.m = below(r, 3);
    } else if (s->kind == QUOTA) {
        q.command = "debit";
        q.n = 1 + below(r, 6);
    } else if (s->kind == BLOCK) {
        q.command = below(r, 2) == 0 ? "write" : "cas";
        q.n = below(r, 3);
        q.a--;
        q.b = is(q.command, "cas") ? below(r, 3) : 0;
    } else if (below(r, 8) == 0) {
        q.command = "create_pool";
        q.n = below(r, 12);
    } else if (below(r, 2) == 0) {
        q.command = "place_hold";
        q.b = 1 + below(r, 24);
        q.n = below(r, 4);
        q.m = s->slot + below(r, 6);
    } else {
        q.command = ends[below(r, 3)];
        q.a = 0;
        q.b = 1 + below(r, 24);
    }
    return q;
}

/* New, repeated, an id used again for something else, or a tick. */
static struct request
next_request(const struct spec *s, struct rng *r)
{
    uint64_t dice = below(r, 20);
    struct request q = draw(s, r);

    if (dice < 3)
        return (struct request){.a = s->slot + below(r, 3)};
    if (dice < 7 && s->operation_count > 0) {
        uint64_t back =
            below(r, s->operation_count < 40 ? s->operation_count : 40);
        const struct request *old =
            &s->operations[s->operation_count - 1 - back].request;

        if (dice == 3)
            q.operation = old->operation;
        else
            q = *old;
        if (dice == 4)
            q.client = below(r, 3);
    }
    return q;
}

static json_t *
request_json(const struct request *q)
{
    char operation[33];
    json_t *json;

    snprintf(operation, sizeof(operation), "%032" PRIx64, q->operation);
    json = json_pack("{s:s, s:I, s:s}", "operation", operation, "client",
                     (json_int_t)q->client, "command", q->command);
    if (is(q->command, "create_bucket"))
        json_object_update_new(
            json, json_pack("{s:I,s:I,s:I,s:I}", "bucket", (json_int_t)q->a,
                            "limit", (json_int_t)q->b, "initial",
                            (json_int_t)q->n, "refill", (json_int_t)q->m));
    else if (is(q->command, "debit"))
        json_object_update_new(json, json_pack("{s:I,s:I}", "bucket",
                                               (json_int_t)q->a, "amount",
                                               (json_int_t)q->n));
    else if (is(q->command, "create_pool"))
        json_object_update_new(json,
                               json_pack("{s:I,s:I}", "pool", (json_int_t)q->a,
                                         "total", (json_int_t)q->n));
    else if (is(q->command, "place_hold"))
        json_object_update_new(
            json, json_pack("{s:I,s:I,s:I,s:I}", "pool", (json_int_t)q->a,
                            "hold", (json_int_t)q->b, "quantity",
                            (json_int_t)q->n, "deadline", (json_int_t)q->m));
    else if (is(q->command, "write"))
        json_object_update_new(json,
                               json_pack("{s:I,s:I}", "block", (json_int_t)q->a,
                                         "value", (json_int_t)q->n));
    else if (is(q->command, "cas"))
        json_object_update_new(json, json_pack("{s:I,s:I,s:I}", "block",
                                               (json_int_t)q->a, "expected",
                                               (json_int_t)q->b, "value",
                                               (json_int_t)q->n));
    else
        json_object_set_new(json, "hold", json_integer((json_int_t)q->b));
    return json;
}

/* ---- the engine ---- */

static const struct engine_ops *const engines[] = {[QUOTA] = &engine_quota_ops,
                                                   [POOL] = &engine_pool_ops,
                                                   [BLOCK] = &engine_block_ops};

struct world {
    struct spec spec;
    struct rng rng;
    struct engine *engine;
    struct buf log[STEPS]; /* payload of index i + 1 */
    uint64_t digests[STEPS];
    unsigned steps;
    /* The analyzer's model, stepped along the log. */
    struct calls *calls;
    struct model_state states[8];
    unsigned changed, caught;
};

static bool
payload_of(struct world *w, const struct request *q, struct buf *out)
{
    struct error err;
    json_t *json;
    int rc;

    buf_init(out, PLAIN_BYTES_MAX);
    if (q->command == NULL) {
        w->engine->ops->tick(1, q->a, out);
        return true;
    }
    json = request_json(q);
    rc = w->engine->ops->parse(json, out, &err);
    json_decref(json);
    if (rc < 0)
        printf("# %s\n", err.text);
    return rc == 0;
}

static bool
carried(const struct outcome *o, enum outcome_field field, uint64_t got,
        int64_t wanted)
{
    return (o->has & field) == 0 ? wanted < 0 : (int64_t)got == wanted;
}

static bool
same_answer(const struct outcome *o, const struct answer *a)
{
    bool same = is(result_code_name(o->code), a->code) &&
                o->recorded == a->recorded && o->cached == a->cached &&
                (a->cached || o->index == a->index) && o->slot == a->slot &&
                carried(o, OUTCOME_BUCKET, o->bucket.lo, a->bucket) &&
                carried(o, OUTCOME_BALANCE, o->balance, a->balance) &&
                carried(o, OUTCOME_POOL, o->pool.lo, a->pool) &&
                carried(o, OUTCOME_HOLD, o->hold.lo, a->hold) &&
                carried(o, OUTCOME_VERSION, o->version, a->version) &&
                carried(o, OUTCOME_VALUE, o->value, a->value);

    if (!same)
        printf("# %s (has %x) at %" PRIu64 ", expected %s at %" PRIu64 "\n",
               result_code_name(o->code), o->has, o->index, a->code, a->index);
    return same;
}

static json_t *
query(const struct world *w, const char *kind, uint64_t id)
{
    json_t *json = json_object();

    CHECK(w->engine->ops->query(w->engine, kind, (struct id128){0, id}, json));
    return json;
}

static bool
tells(json_t *got, json_t *wanted)
{
    bool same = json_equal(got, wanted) == 1;

    if (!same) {
        char *text = json_dumps(got, JSON_COMPACT);
        printf("# read: %s\n", text);
        free(text);
    }
    json_decref(got);
    json_decref(wanted);
    return same;
}

#define NOT_FOUND json_pack("{s:b,s:b}", "found", 0, "retired", 0)

/* Each record as the specification has it; none that it has not. */
static void
check_reads(const struct world *w)
{
    const struct spec *s = &w->spec;

    if (s->kind == QUOTA)
        CHECK(tells(query(w, "bucket", 99), NOT_FOUND));
    if (s->kind == BLOCK)
        CHECK(tells(query(w, "block", limits.blocks), NOT_FOUND));
    if (s->kind == POOL)
        CHECK(tells(query(w, "hold", 99), NOT_FOUND) &&
              tells(query(w, "pool", 99), NOT_FOUND));
    for (unsigned i = 0; i < s->bucket_count; i++)
        CHECK(tells(query(w, "bucket", s->buckets[i].id),
                    json_pack("{s:b,s:I,s:I,s:I,s:I}", "found", 1, "limit",
                              (json_int_t)s->buckets[i].limit, "refill",
                              (json_int_t)s->buckets[i].refill, "balance",
                              (json_int_t)s->buckets[i].balance, "since",
                              (json_int_t)s->buckets[i].since)));
    for (unsigned i = 0; i < s->pool_count; i++)
        CHECK(tells(
            query(w, "pool", s->pools[i].id),
            json_pack("{s:b,s:I,s:I,s:I}", "found", 1, "total",
                      (json_int_t)s->pools[i].total, "held",
                      (json_int_t)spec_sum(s, s->pools[i].id, "held"),
                      "consumed",
                      (json_int_t)spec_sum(s, s->pools[i].id, "confirmed"))));
    for (unsigned i = 0; i < s->hold_count; i++)
        CHECK(tells(query(w, "hold", s->holds[i].id),
                    json_pack("{s:b,s:I,s:I,s:I,s:s}", "found", 1, "pool",
                              (json_int_t)s->holds[i].pool, "quantity",
                              (json_int_t)s->holds[i].quantity, "deadline",
                              (json_int_t)s->holds[i].deadline, "state",
                              s->holds[i].state)));
    for (unsigned i = 0; s->kind == BLOCK && i < limits.blocks; i++)
        CHECK(tells(query(w, "block", i),
                    json_pack("{s:b,s:I,s:I}", "found", 1, "value",
                              (json_int_t)s->blocks[i].value, "version",
                              (json_int_t)s->blocks[i].version)));
}

/* ---- the analyzer's models ---- */

static uint32_t
model_result(const struct spec *s, const char *code)
{
    static const char *const quota[] = {
        "ok", "already_exists", "bucket_not_found", "insufficient_funds", NULL};
    static const char *const pool[] = {"ok",
                                       "already_exists",
                                       "pool_not_found",
                                       "hold_not_found",
                                       "invalid_state",
                                       "insufficient_capacity",
                                       "hold_expired",
                                       NULL};
    const char *const *codes = s->kind == QUOTA ? quota : pool;
    uint32_t i = 0;

    while (codes[i] != NULL && !is(codes[i], code))
        i++;
    return codes[i] == NULL ? 99 : i;
}

static uint32_t
model_call(struct world *w, const struct request *q, const struct answer *a)
{
    static const char *const functions[] = {"create_pool", "place_hold",
                                            "confirm_hold", "release_hold",
                                            "expire_hold"};
    struct model_words words = {0};
    uint8_t f = 0;
    uint32_t i;

    if (w->spec.kind == QUOTA)
        f = is(q->command, "debit");
    else
        while (!is(functions[f], q->command))
            f++;
    i = calls_append(w->calls, f, 0, 2 * w->calls->count,
                     2 * w->calls->count + 1);
    model_words_add64(&words, (int64_t)a->slot);
    if (w->spec.kind == QUOTA) {
        w->calls->key[i] = (uint32_t)q->a;
        model_words_add64(&words, (int64_t)(f == 0 ? q->b : q->n));
        model_words_add64(&words, f == 0 ? (int64_t)q->n : a->balance);
        model_words_add64(&words, (int64_t)q->m);
    } else {
        w->calls->a[i] = f <= 1 ? 100 + (uint32_t)q->a : VALUE_ABSENT;
        w->calls->b[i] = f != 0 ? (uint32_t)q->b : VALUE_ABSENT;
        model_words_add64(&words, (int64_t)q->n);
        model_words_add64(&words, (int64_t)q->m);
    }
    w->calls->list[i] = model_words_list(w->calls, &words);
    w->calls->result[i] = model_result(&w->spec, a->code);
    return i;
}

/* What was executed is legal; with another code it is not (but for codes that
 * tell a model nothing). */
static void
check_model(struct world *w, const struct request *q, const struct answer *a)
{
    struct model_state *in, next = {0}, other = {0};
    uint32_t i;

    if (w->spec.kind == BLOCK || q->command == NULL || a->cached ||
        !a->recorded)
        return;
    in = &w->states[w->spec.kind == QUOTA ? q->a : 0];
    i = model_call(w, q, a);
    CHECK(w->calls->model->step(w->calls, i, in, &next));
    if (w->calls->result[i] != 99) {
        w->calls->result[i] = (w->calls->result[i] + 1) % 4;
        w->changed++;
        w->caught += !w->calls->model->step(w->calls, i, in, &other);
        w->calls->result[i] = model_result(&w->spec, a->code);
    }
    model_state_copy(in, &next);
    model_state_release(&next);
    model_state_release(&other);
}

/* ---- playing ---- */

/* The engine that a restart from its snapshot, or an installation of a peer's,
 * would have. */
static void
reload(struct world *w)
{
    struct engine *e = engine_new(w->engine->ops, &limits, BUG_NONE);
    struct error err;
    struct buf image, again;

    buf_init(&image, 1u << 20);
    buf_init(&again, 1u << 20);
    w->engine->ops->save(w->engine, &image);
    CHECK_OK(e->ops->load(e, image.data, image.len, &err), &err);
    CHECK(e->ops->digest(e) == w->engine->ops->digest(w->engine));
    e->ops->save(e, &again);
    CHECK(again.len == image.len &&
          memcmp(again.data, image.data, image.len) == 0);
    engine_free(w->engine);
    w->engine = e;
    buf_release(&image);
    buf_release(&again);
}

static void
play_step(struct world *w, const char *codes[static 32])
{
    uint64_t index = ++w->steps;
    struct buf *payload = &w->log[index - 1];
    struct request q = next_request(&w->spec, &w->rng);
    struct outcome o;
    struct answer a;

    CHECK(payload_of(w, &q, payload));
    w->engine->ops->apply(
        w->engine,
        &(struct engine_entry){1, index, payload->data, payload->len}, &o);
    a = spec_apply(&w->spec, &q, index);
    CHECK(same_answer(&o, &a));
    CHECK(w->engine->ops->slot(w->engine) == w->spec.slot);
    codes[o.code] = a.code;
    w->digests[index - 1] = w->engine->ops->digest(w->engine);
    check_model(w, &q, &a);
}

/* The log again, from the start. */
static void
replay(struct world *w)
{
    struct engine *e = engine_new(w->engine->ops, &limits, BUG_NONE);

    for (unsigned i = 0; i < w->steps; i++) {
        struct outcome o;

        e->ops->apply(
            e, &(struct engine_entry){1, i + 1, w->log[i].data, w->log[i].len},
            &o);
        CHECK(e->ops->digest(e) == w->digests[i]);
    }
    engine_free(e);
}

static void
world_init(struct world *w, int kind, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    rng_init(&w->rng, seed);
    w->spec.kind = kind;
    w->engine = engine_new(engines[kind], &limits, BUG_NONE);
    w->calls = calls_new_raw(kind == QUOTA ? &model_quota : &model_pool);
    for (unsigned i = 0; i < ARRAY_LEN(w->states); i++)
        w->calls->model->init(w->calls, VALUE_ABSENT, &w->states[i]);
}

static void
world_release(struct world *w)
{
    for (unsigned i = 0; i < STEPS; i++)
        buf_release(&w->log[i]);
    for (unsigned i = 0; i < ARRAY_LEN(w->states); i++)
        model_state_release(&w->states[i]);
    calls_free(w->calls);
    engine_free(w->engine);
}

/* 'codes': how many different answers the engine has. */
static void
agree(int kind, unsigned codes)
{
    CLEANUP_FREE struct world *w = xcalloc(1, sizeof(*w));
    const char *seen[32] = {NULL};
    unsigned count = 0, changed = 0, caught = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_init(w, kind, seed);
        for (unsigned i = 0; i < STEPS; i++) {
            play_step(w, seen);
            if (rng_below(&w->rng, 25) == 0) {
                reload(w);
                check_reads(w);
            }
        }
        check_reads(w);
        replay(w);
        changed += w->changed;
        caught += w->caught;
        world_release(w);
    }
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++)
        count += seen[i] != NULL;
    printf("# %u codes; %u of %u changed answers refused by the model\n", count,
           caught, changed);
    CHECK_INT(count, codes);
    CHECK(caught == changed);
}

static void
test_quota(void)
{
    agree(QUOTA, 7);
}

static void
test_pool(void)
{
    agree(POOL, 11);
}

static void
test_block(void)
{
    agree(BLOCK, 5);
}

/* ---- by hand ---- */

static struct engine *engine;
static uint64_t next_index;

static void
setup(int kind, enum bug bug)
{
    engine_free(engine);
    engine = engine_new(engines[kind], &limits, bug);
    next_index = 0;
}

static void
teardown(void)
{
    engine_free(engine);
    engine = NULL;
}

/* The answer's code; 'fields' is the request without operation and client. */
static const char *
command(uint64_t operation, const char *fields)
{
    char text[200];
    struct outcome o;
    struct buf payload;
    struct error err;
    json_t *json;
    int rc;

    snprintf(text, sizeof(text), "{\"operation\":%" PRIu64 ",\"client\":1,%s}",
             operation, fields);
    json = json_loads(text, 0, NULL);
    buf_init(&payload, PLAIN_BYTES_MAX);
    rc = engine->ops->parse(json, &payload, &err);
    json_decref(json);
    if (rc == 0)
        engine->ops->apply(
            engine,
            &(struct engine_entry){1, ++next_index, payload.data, payload.len},
            &o);
    buf_release(&payload);
    return rc < 0 ? "invalid_request" : result_code_name(o.code);
}

static struct outcome
tick(uint64_t slot)
{
    struct outcome o;
    struct buf payload;

    buf_init(&payload, PLAIN_BYTES_MAX);
    engine->ops->tick(1, slot, &payload);
    engine->ops->apply(
        engine,
        &(struct engine_entry){1, ++next_index, payload.data, payload.len}, &o);
    buf_release(&payload);
    return o;
}

static int64_t
told(const char *kind, uint64_t id, const char *field)
{
    json_t *json = json_object();
    int64_t v;

    CHECK(engine->ops->query(engine, kind, (struct id128){0, id}, json));
    v = json_integer_value(json_object_get(json, field));
    json_decref(json);
    return v;
}

static void
test_requests_that_are_refused(void)
{
    setup(QUOTA, BUG_NONE);
    CHECK_STR(command(1, "\"command\":\"create_bucket\",\"bucket\":1,"
                         "\"limit\":3,\"initial\":4,\"refill\":1"),
              "invalid_request");
    CHECK_STR(command(1, "\"command\":\"debit\",\"bucket\":1,\"amount\":0"),
              "invalid_request");
    CHECK_STR(command(1, "\"command\":\"debit\",\"bucket\":1"),
              "invalid_request");
    CHECK_STR(command(1, "\"command\":\"debit\",\"bucket\":1,\"amount\":1,"
                         "\"slot\":1"),
              "invalid_request");
    CHECK_STR(command(0, "\"command\":\"debit\",\"bucket\":1,\"amount\":1"),
              "invalid_request");
    CHECK_STR(command(1, "\"command\":\"write\",\"block\":1,\"value\":1"),
              "invalid_request");
    setup(BLOCK, BUG_NONE);
    CHECK_STR(command(1, "\"command\":\"write\",\"block\":1,"
                         "\"value\":9007199254740993"),
              "invalid_request");
    CHECK_STR(command(1, "\"command\":\"write\",\"block\":1,"
                         "\"value\":9007199254740992"),
              "ok");
    teardown();
}

/* Numbers up to 2^63-1, and slots up to the end. */
static void
test_great_numbers(void)
{
    setup(QUOTA, BUG_NONE);
    CHECK_STR(command(1, "\"command\":\"create_bucket\",\"bucket\":1,"
                         "\"limit\":9223372036854775807,\"initial\":5,"
                         "\"refill\":9223372036854775807"),
              "ok");
    CHECK_INT(tick(INT64_MAX - RETRY_SLOTS + 1).code, RESULT_SLOT_OVERFLOW);
    CHECK_INT(tick(INT64_MAX - RETRY_SLOTS).code, RESULT_OK);
    CHECK_STR(command(2, "\"command\":\"debit\",\"bucket\":1,\"amount\":1"),
              "ok");
    CHECK(told("bucket", 1, "balance") == INT64_MAX - 1);
    setup(POOL, BUG_NONE);
    CHECK_STR(command(1, "\"command\":\"create_pool\",\"pool\":1,"
                         "\"total\":9223372036854775807"),
              "ok");
    CHECK_STR(command(2, "\"command\":\"place_hold\",\"pool\":1,\"hold\":1,"
                         "\"quantity\":9223372036854775807,\"deadline\":9"),
              "ok");
    CHECK_STR(command(3, "\"command\":\"place_hold\",\"pool\":1,\"hold\":2,"
                         "\"quantity\":9223372036854775807,\"deadline\":9"),
              "insufficient_capacity");
    teardown();
}

/* A later hold with an earlier deadline does not wait behind an earlier one. */
static void
test_pool_expires_by_deadline(void)
{
    setup(POOL, BUG_NONE);
    command(1, "\"command\":\"create_pool\",\"pool\":1,\"total\":9");
    command(2, "\"command\":\"place_hold\",\"pool\":1,\"hold\":1,"
               "\"quantity\":1,\"deadline\":50");
    command(3, "\"command\":\"place_hold\",\"pool\":1,\"hold\":2,"
               "\"quantity\":2,\"deadline\":4");
    tick(4);
    CHECK_INT(told("pool", 1, "held"), 3);
    tick(5);
    CHECK_INT(told("pool", 1, "held"), 1);
    CHECK_STR(command(4, "\"command\":\"confirm_hold\",\"hold\":2"),
              "hold_expired");
    teardown();
}

/* Damaged, cut or of another engine: refused, and nothing is read beyond. */
static void
test_snapshots_of_nobody(void)
{
    for (int kind = QUOTA; kind <= BLOCK; kind++) {
        CLEANUP_FREE struct world *w = xcalloc(1, sizeof(*w));
        const char *seen[32];
        struct buf image;

        world_init(w, kind, 77);
        for (unsigned i = 0; i < 60; i++)
            play_step(w, seen);
        buf_init(&image, 1u << 20);
        w->engine->ops->save(w->engine, &image);
        for (size_t at = 0; at < image.len; at++) {
            struct error err = {0};

            setup(kind, BUG_NONE);
            CHECK(engine->ops->load(engine, image.data, at, &err) < 0);
            image.data[at] ^= 0x41;
            setup(kind, BUG_NONE);
            CHECK(engine->ops->load(engine, image.data, image.len, &err) < 0);
            CHECK(err.kind == ERROR_CONFIG);
            image.data[at] ^= 0x41;
            setup((kind + 1) % 3, BUG_NONE);
            CHECK(at > 0 ||
                  engine->ops->load(engine, image.data, image.len, &err) < 0);
        }
        buf_release(&image);
        world_release(w);
    }
    teardown();
}

static void
test_planted_bugs(void)
{
    setup(QUOTA, BUG_OVERSPEND);
    command(1, "\"command\":\"create_bucket\",\"bucket\":1,\"limit\":3,"
               "\"initial\":3,\"refill\":0");
    for (uint64_t i = 2; i < 6; i++)
        CHECK_STR(command(i, "\"command\":\"debit\",\"bucket\":1,"
                             "\"amount\":4"),
                  "insufficient_funds");
    CHECK_STR(command(6, "\"command\":\"debit\",\"bucket\":1,\"amount\":4"),
              "ok");
    setup(POOL, BUG_OVERCOMMIT);
    command(1, "\"command\":\"create_pool\",\"pool\":1,\"total\":1");
    for (uint64_t i = 2; i < 6; i++)
        CHECK_STR(command(i, "\"command\":\"place_hold\",\"pool\":1,"
                             "\"hold\":1,\"quantity\":2,\"deadline\":9"),
                  "insufficient_capacity");
    CHECK_STR(command(6, "\"command\":\"place_hold\",\"pool\":1,"
                         "\"hold\":1,\"quantity\":2,\"deadline\":9"),
              "ok");
    CHECK_INT(told("pool", 1, "held"), 2);
    setup(BLOCK, BUG_STALE_CAS);
    for (uint64_t i = 2; i < 6; i++)
        CHECK_STR(command(i, "\"command\":\"cas\",\"block\":1,"
                             "\"expected\":7,\"value\":8"),
                  "value_mismatch");
    CHECK_STR(command(6, "\"command\":\"cas\",\"block\":1,\"expected\":7,"
                         "\"value\":8"),
              "ok");
    teardown();
}

int
main(void)
{
    RUN(test_quota);
    RUN(test_pool);
    RUN(test_block);
    RUN(test_requests_that_are_refused);
    RUN(test_great_numbers);
    RUN(test_pool_expires_by_deadline);
    RUN(test_snapshots_of_nobody);
    RUN(test_planted_bugs);
    return tap_done();
}
