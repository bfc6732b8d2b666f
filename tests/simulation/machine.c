/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables are small and windows are long: a schedule fills the former and never
 * outlives the latter, so an operation has one answer for good.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "replica/bytes.h"
#include "replica/engine-lease.h"
#include "replica/engine-plain.h"
#include "tests/simulation/machine.h"

static const struct engine_limits limits = {
    .resources = 5,
    .reservations = 12,
    .bundle = MACHINE_LIST_MAX,
    .members = 20,
    .operations = 8192,
    .bucket = 4,
    .expirations_per_tick = MACHINE_DUE_MAX,
    .buckets = 2,
    .pools = 2,
    .holds = 64,
    .blocks = MACHINE_BLOCKS,
    .ttl_slots = 8,
    .retry_slots = MACHINE_SLOTS_MAX,
    .history_slots = 4,
};

static const struct engine_ops *
machine_ops(enum machine_kind kind)
{
    static const struct engine_ops *const ops[MACHINE_COUNT] = {
        [MACHINE_LEASE] = &engine_lease_ops,
        [MACHINE_QUOTA] = &engine_quota_ops,
        [MACHINE_POOL] = &engine_pool_ops,
        [MACHINE_BLOCK] = &engine_block_ops,
    };

    return ops[kind];
}

const char *
machine_name(enum machine_kind kind)
{
    return kind == MACHINE_TOY ? "toy" : machine_ops(kind)->name;
}

static enum bug
machine_bug(enum machine_bug bug)
{
    static const enum bug bugs[] = {
        [MACHINE_SOUND] = BUG_NONE,
        [MACHINE_DOUBLE_ALLOCATION] = BUG_DOUBLE_ALLOCATION,
        [MACHINE_PARTIAL_BUNDLE] = BUG_PARTIAL_BUNDLE,
        [MACHINE_OVERSPEND] = BUG_OVERSPEND,
        [MACHINE_OVERCOMMIT] = BUG_OVERCOMMIT,
        [MACHINE_STALE_CAS] = BUG_STALE_CAS,
    };

    return bugs[bug];
}

void
machine_init(struct machine *m, enum machine_kind kind, enum machine_bug bug)
{
    *m = (struct machine){.kind = kind, .bug = bug};
    toy_init(&m->toy);
    if (kind != MACHINE_TOY)
        m->engine = engine_new(machine_ops(kind), &limits, machine_bug(bug));
}

void
machine_release(struct machine *m)
{
    engine_free(m->engine);
    m->engine = NULL;
}

uint64_t
machine_digest(const struct machine *m)
{
    uint64_t words[2] = {m->index, 0};

    if (m->engine == NULL)
        return toy_digest(&m->toy);
    words[1] = m->engine->ops->digest(m->engine);
    return toy_hash(5, words, sizeof(words));
}

uint64_t
machine_version(const struct machine *m)
{
    return m->engine == NULL ? m->toy.version : m->index;
}

uint64_t
machine_slot(const struct machine *m)
{
    return m->engine == NULL ? m->toy.slot : m->engine->ops->slot(m->engine);
}

void
machine_save(const struct machine *m, struct buf *out)
{
    if (m->engine == NULL) {
        buf_append(out, &m->toy, sizeof(m->toy));
        return;
    }
    write_u64(out, m->index);
    m->engine->ops->save(m->engine, out);
}

bool
machine_load(struct machine *m, const void *data, size_t length)
{
    struct bytes_reader r = bytes_reader(data, length);
    struct error err;

    machine_release(m);
    machine_init(m, m->kind, m->bug);
    if (m->engine == NULL) {
        if (length != sizeof(m->toy))
            return false;
        memcpy(&m->toy, data, length);
        m->index = m->toy.index;
        return true;
    }
    m->index = read_u64(&r);
    return !r.failed && m->engine->ops->load(m->engine, r.p, r.left, &err) == 0;
}

/* ---- applying ------------------------------------------------------------ */

static void
apply_toy(struct machine *m, const struct vsr_entry *e,
          struct machine_result *ret)
{
    struct toy_result r = toy_apply(&m->toy, e);

    ret->client = r.command.client;
    ret->sequence = r.command.sequence;
    ret->value = r.command.value;
    ret->version = r.version;
    ret->cached = r.cached;
    ret->early = r.early;
    ret->malformed = r.malformed;
}

static void
take_list(const struct lease_view *l, unsigned *ret_count,
          uint64_t ret[static MACHINE_LIST_MAX])
{
    *ret_count = l->resource_count;
    for (uint32_t i = 0; i < l->resource_count; i++)
        ret[i] = l->resources[i].lo;
}

static void
take_outcome(const struct outcome *o, struct machine_answer *ret)
{
    ret->code = result_code_name(o->code);
    ret->recorded = o->recorded;
    ret->cached = o->cached;
    ret->view = o->view;
    ret->index = o->index;
    ret->slot = o->slot;
    ret->has_lease = (o->has & OUTCOME_LEASE) != 0;
    ret->has_deadline = (o->has & OUTCOME_DEADLINE) != 0;
    ret->lease = o->lease.lo;
    ret->epoch = o->epoch;
    ret->deadline = o->deadline;
    ret->balance = (o->has & OUTCOME_BALANCE) != 0 ? (int64_t)o->balance : -1;
    ret->version = (o->has & OUTCOME_VERSION) != 0 ? o->version : 0;
    ret->value = (o->has & OUTCOME_VALUE) != 0 ? o->value : 0;
}

/* Of an expire entry: late is allowed, early is not. */
static void
take_expired(const struct machine *m, const struct command *c,
             const struct outcome *o, struct machine_result *ret)
{
    struct machine_answer *a = &ret->answer;
    struct lease_view l;
    bool retired;

    ret->value = c->lease.lo;
    if (o->code != RESULT_OK ||
        !engine_lease_get_lease(m->engine, c->lease, &l, &retired))
        return;
    ret->early = l.deadline > machine_slot(m);
    a->expired_count = 1;
    a->expired[0] = (struct machine_expired){
        .lease = c->lease.lo, .deadline = l.deadline, .index = o->index};
    take_list(&l, &a->expired[0].list_count, a->expired[0].list);
}

/* Operation ids are client << 32 | sequence. */
static void
apply_engine(struct machine *m, const struct vsr_entry *e,
             struct machine_result *ret)
{
    struct engine_entry entry = {e->view, e->index, e->payload, e->length};
    struct bytes_reader r = bytes_reader(e->payload, e->length);
    struct command c;
    struct error ignored;
    struct outcome o;
    struct id128 operation;

    m->engine->ops->apply(m->engine, &entry, &o);
    take_outcome(&o, &ret->answer);
    ret->malformed = o.code == RESULT_INVALID_REQUEST;
    ret->cached = o.cached;
    ret->version = o.index;
    read_u8(&r);
    operation = read_id(&r);
    ret->client = operation.lo >> 32;
    ret->sequence = operation.lo & UINT32_MAX;
    if (e->kind == TOY_EXPIRE &&
        command_decode(e->payload, e->length, &c, &ignored) == 0)
        take_expired(m, &c, &o, ret);
}

struct machine_result
machine_apply(struct machine *m, const struct vsr_entry *e)
{
    struct machine_result r = {0};

    m->index = e->index;
    if (m->engine == NULL)
        apply_toy(m, e, &r);
    else if (e->kind != VSR_KIND_NOOP)
        apply_engine(m, e, &r);
    return r;
}

/* ---- operations ---------------------------------------------------------- */

static uint64_t
below(struct rng *r, uint64_t bound)
{
    return rng_below(r, bound);
}

static uint64_t
recent_of(struct rng *r, const uint64_t *recent, unsigned count)
{
    return count == 0 ? 1 + below(r, 5) : recent[below(r, count)];
}

static void
draw_lease(struct rng *r, const uint64_t *recent, unsigned count,
           struct machine_op *op)
{
    static const char *const mix[] = {
        "create_resource", "create_resource", "reserve", "reserve", "reserve",
        "reserve_bundle",  "reserve_bundle",  "confirm", "confirm", "confirm",
        "release",         "release",         "revoke",  "reclaim"};

    op->function = mix[below(r, ARRAY_LEN(mix))];
    op->list_count = 1;
    if (strcmp(op->function, "reserve_bundle") == 0)
        op->list_count = (unsigned)below(r, MACHINE_LIST_MAX + 1);
    for (unsigned i = 0; i < op->list_count; i++)
        op->list[i] = 1 + below(r, 5);
    op->a = recent_of(r, recent, count);
    op->b = 1 + below(r, 2); /* holder */
    op->n = 1 + below(r, 2); /* epoch */
    op->m = below(r, 9);     /* ttl */
}

static void
draw_plain(enum machine_kind kind, struct rng *r, const uint64_t *recent,
           unsigned count, struct machine_op *op)
{
    static const char *const ends[] = {"confirm_hold", "confirm_hold",
                                       "release_hold", "expire_hold"};

    op->a = 1 + below(r, 2);
    if (kind == MACHINE_QUOTA && below(r, 6) == 0) {
        op->function = "create_bucket";
        op->b = 3 + below(r, 6);
        op->n = below(r, op->b + 1);
        op->m = below(r, 3);
    } else if (kind == MACHINE_QUOTA) {
        op->function = "debit";
        op->n = 1 + below(r, 4);
    } else if (kind == MACHINE_BLOCK) {
        op->function = below(r, 3) == 0 ? "write" : "cas";
        op->a = below(r, MACHINE_BLOCKS);
        op->b = below(r, 3);
        op->n = below(r, 3);
    } else if (below(r, 8) == 0) {
        op->function = "create_pool";
        op->n = 2 + below(r, 6);
    } else if (below(r, 2) == 0) {
        op->function = "place_hold";
        op->b = 1 + below(r, 40);
        op->n = below(r, 4);
        op->m = below(r, 30);
    } else {
        op->function = ends[below(r, ARRAY_LEN(ends))];
        op->b = recent_of(r, recent, count);
    }
}

static bool
has_reads(enum machine_kind kind)
{
    return kind == MACHINE_LEASE || kind == MACHINE_BLOCK;
}

void
machine_draw(enum machine_kind kind, struct rng *r, const uint64_t *recent,
             unsigned recent_count, struct machine_op *ret)
{
    if (has_reads(kind) && below(r, 3) == 0) {
        bool lease = kind == MACHINE_LEASE && below(r, 2) == 0;

        ret->function = "read";
        ret->what = kind == MACHINE_BLOCK ? "block"
                    : lease               ? "lease"
                                          : "resource";
        ret->a = kind == MACHINE_BLOCK ? below(r, MACHINE_BLOCKS)
                 : lease               ? recent_of(r, recent, recent_count)
                                       : 1 + below(r, 5);
    } else if (below(r, 10) == 0) {
        ret->function = "tick";
    } else if (kind == MACHINE_LEASE) {
        draw_lease(r, recent, recent_count, ret);
    } else {
        draw_plain(kind, r, recent, recent_count, ret);
    }
}

static void
encode_lease(const struct machine_op *op, struct buf *out)
{
    struct command c;

    memset(&c, 0, offsetof(struct command, resources));
    if (!command_parse_name(op->function, &c.tag))
        abort();
    c.operation.lo = op->operation;
    c.client = op->client;
    c.slot = op->n;
    c.lease.lo = op->a;
    c.holder.lo = op->b;
    c.epoch = op->n;
    c.ttl = op->m;
    c.resource_count = op->list_count;
    for (unsigned i = 0; i < op->list_count; i++)
        c.resources[i] = (struct id128){0, op->list[i]};
    command_encode(&c, out);
}

/* Fields in the order of the shape: of a, b, n, m those that it has. */
static void
encode_plain(enum machine_kind kind, const struct machine_op *op,
             struct buf *out)
{
    static const struct plain_shape *const shapes[MACHINE_COUNT] = {
        [MACHINE_QUOTA] = quota_shapes,
        [MACHINE_POOL] = pool_shapes,
        [MACHINE_BLOCK] = block_shapes,
    };
    struct plain_command c = {.shape = shapes[kind],
                              .operation = {0, op->operation},
                              .client = op->client};

    while (strcmp(c.shape->name, op->function) != 0)
        c.shape++;
    for (unsigned i = 0; i < PLAIN_FIELDS_MAX; i++) {
        const char *name = c.shape->fields[i].name;
        uint64_t v;

        if (name == NULL)
            break;
        if (strcmp(name, "hold") == 0 || strcmp(name, "limit") == 0 ||
            strcmp(name, "expected") == 0)
            v = op->b;
        else if (strcmp(name, "refill") == 0 || strcmp(name, "deadline") == 0)
            v = op->m;
        else
            v = i == 0 ? op->a : op->n;
        if (c.shape->fields[i].is_id)
            c.fields[i].id = (struct id128){0, v};
        else
            c.fields[i].number = v;
    }
    plain_command_encode(&c, out);
}

uint32_t
machine_encode(enum machine_kind kind, const struct machine_op *op, void *buf)
{
    struct buf out;
    uint32_t length;

    buf_init(&out, COMMAND_BYTES_MAX);
    if (strcmp(op->function, "tick") == 0)
        machine_ops(kind)->tick(op->client, op->n, &out);
    else if (kind == MACHINE_LEASE)
        encode_lease(op, &out);
    else
        encode_plain(kind, op, &out);
    length = (uint32_t)out.len;
    memcpy(buf, out.data, length);
    buf_release(&out);
    return length;
}

/* ---- reads and plans ------------------------------------------------------
 */

static void
read_lease(const struct machine *m, uint64_t id, struct machine_answer *ret)
{
    struct lease_view l;

    ret->found = engine_lease_get_lease(m->engine, (struct id128){0, id}, &l,
                                        &ret->retired);
    if (!ret->found)
        return;
    ret->state = lease_state_name(l.state);
    ret->holder = l.holder.lo;
    ret->epoch = l.epoch;
    ret->deadline = l.deadline;
    ret->created = l.created;
    take_list(&l, &ret->list_count, ret->list);
}

static void
read_resource(const struct machine *m, uint64_t id, struct machine_answer *ret)
{
    struct resource_view v;

    ret->found =
        engine_lease_get_resource(m->engine, (struct id128){0, id}, &v);
    if (!ret->found)
        return;
    ret->state = resource_state_name(v.state);
    ret->version = v.version;
    ret->lease = v.lease.lo;
}

void
machine_read(const struct machine *m, const struct machine_op *op,
             struct machine_answer *ret)
{
    json_t *json;

    memset(ret, 0, sizeof(*ret));
    ret->index = m->index;
    ret->slot = machine_slot(m);
    ret->recorded = true;
    if (strcmp(op->what, "lease") == 0) {
        read_lease(m, op->a, ret);
    } else if (strcmp(op->what, "resource") == 0) {
        read_resource(m, op->a, ret);
    } else {
        json = json_object();
        m->engine->ops->query(m->engine, op->what, (struct id128){0, op->a},
                              json);
        ret->found = true;
        ret->value =
            (uint64_t)json_integer_value(json_object_get(json, "value"));
        ret->version =
            (uint64_t)json_integer_value(json_object_get(json, "version"));
        json_decref(json);
    }
}

struct plan {
    uint8_t (*payloads)[MACHINE_DUE_BYTES];
    uint32_t *lengths;
    unsigned count;
};

static void
plan_add(void *ctx, const void *payload, size_t len)
{
    struct plan *p = ctx;

    assert(p->count < MACHINE_DUE_MAX && len <= MACHINE_DUE_BYTES);
    memcpy(p->payloads[p->count], payload, len);
    p->lengths[p->count++] = (uint32_t)len;
}

unsigned
machine_plan(const struct machine *m, uint64_t slot,
             uint8_t payloads[][MACHINE_DUE_BYTES],
             uint32_t lengths[static MACHINE_DUE_MAX])
{
    struct plan p = {payloads, lengths, 0};
    struct toy_command c = {0};

    if (m->engine != NULL) {
        m->engine->ops->plan(m->engine, slot, plan_add, &p);
        return p.count;
    }
    while ((c.value = toy_due(&m->toy, slot, c.value)) != 0 &&
           p.count < MACHINE_DUE_MAX) {
        lengths[p.count] = toy_encode(&c, 0, payloads[p.count]);
        p.count++;
    }
    return p.count;
}
