/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failure modes of a snapshot: bytes of another version or of tables of other
 * sizes are refused by name; everything else that is not what save wrote fails
 * a bound check of the engine or the digest at the end.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "replica/command.h"
#include "replica/engine-state.h"

#define SNAPSHOT_VERSION 2u

void
engine_state_init(struct engine_state *s, const struct engine_limits *limits,
                  enum bug bug)
{
    s->limits = *limits;
    s->bug = bug;
    operations_init(&s->operations, limits->operations);
}

void
engine_state_release(struct engine_state *s)
{
    operations_release(&s->operations);
}

uint64_t
engine_state_slot(const struct engine *engine)
{
    return ((const struct engine_state *)engine)->slot;
}

void
engine_state_forget(struct engine *engine)
{
    operations_clear(&((struct engine_state *)engine)->operations);
}

void
engine_state_tick(uint64_t client, uint64_t slot, struct buf *out)
{
    struct command c;

    memset(&c, 0, offsetof(struct command, resources));
    c.tag = COMMAND_TICK;
    c.client = client;
    c.slot = slot;
    command_encode(&c, out);
}

uint64_t
engine_state_digest(const struct engine_state *s)
{
    uint64_t h = digest_mix(4, s->digest + s->operations.digest);

    h = digest_mix(h, s->slot);
    return digest_mix(h, s->refusals);
}

/* ---- an entry ---- */

void
engine_begin(struct engine_state *s, const struct engine_entry *entry,
             struct outcome *ret)
{
    assert(entry->index > s->applied ||
           (s->bug == BUG_TICK_ON_BACKUP && entry->index == s->applied));
    s->applied = entry->index;
    memset(ret, 0, sizeof(*ret));
    ret->view = entry->view;
    ret->index = entry->index;
    ret->slot = s->slot;
}

bool
engine_tick(struct engine_state *s, uint64_t slot, struct outcome *ret)
{
    /* Leaves room for the arithmetic of every later command. */
    if (slot > ENGINE_SLOT_MAX - s->horizon_slots) {
        ret->code = RESULT_SLOT_OVERFLOW;
        return false;
    }
    if (slot > s->slot)
        s->slot = slot;
    ret->slot = s->slot;
    ret->recorded = true;
    return true;
}

bool
engine_overflows(const struct engine_state *s, struct outcome *ret)
{
    if (s->slot <= ENGINE_SLOT_MAX - s->window_slots)
        return false;
    ret->code = RESULT_SLOT_OVERFLOW;
    return true;
}

void
engine_retire_operations(struct engine_state *s)
{
    operations_retire(&s->operations, s->slot + s->window_open);
}

bool
engine_admit(const struct engine_state *s,
             const struct operation_record *record, struct outcome *ret)
{
    return operations_admit(&s->operations, record, ret);
}

void
engine_record(struct engine_state *s, struct operation_record *record,
              struct outcome *ret)
{
    ret->recorded = true;
    record->retire_slot = s->slot + s->window_slots;
    record->outcome = *ret;
    operations_append(&s->operations, record);
}

bool
engine_grants_refusal(struct engine_state *s, enum bug bug)
{
    s->refusals++;
    return s->bug == bug && s->refusals % BUG_BUSY_GRANT_EVERY == 0;
}

/* ---- snapshot ---- */

static void
save_limits(const struct engine_limits *n, struct buf *out)
{
    write_u32(out, n->resources);
    write_u32(out, n->reservations);
    write_u32(out, n->bundle);
    write_u32(out, n->members);
    write_u32(out, n->operations);
    write_u32(out, n->bucket);
    write_u32(out, n->expirations_per_tick);
    write_u32(out, n->buckets);
    write_u32(out, n->pools);
    write_u32(out, n->holds);
    write_u32(out, n->blocks);
    write_u64(out, n->ttl_slots);
    write_u64(out, n->retry_slots);
    write_u64(out, n->history_slots);
}

static bool
load_limits(const struct engine_state *s, struct bytes_reader *r)
{
    struct buf ours;
    const uint8_t *theirs;
    bool equal;

    buf_init(&ours, 256);
    save_limits(&s->limits, &ours);
    theirs = read_bytes(r, ours.len);
    equal = theirs != NULL && memcmp(theirs, ours.data, ours.len) == 0;
    buf_release(&ours);
    return equal;
}

/* The engine's digest does not tell the last index. */
static uint64_t
state_digest(const struct engine_state *s)
{
    return s->base.ops->digest(&s->base) ^
           s->applied * UINT64_C(0x9e3779b97f4a7c15);
}

void
engine_save_begin(const struct engine_state *s, struct buf *out)
{
    write_u32(out, SNAPSHOT_VERSION);
    save_limits(&s->limits, out);
    write_u64(out, s->applied);
    write_u64(out, s->slot);
    write_u64(out, s->refusals);
}

void
engine_save_end(const struct engine_state *s, struct buf *out)
{
    operations_save(&s->operations, out);
    write_u64(out, state_digest(s));
}

int
engine_load_begin(struct engine_state *s, struct bytes_reader *r,
                  struct error *err)
{
    uint32_t version = read_u32(r);

    assert(s->applied == 0);
    if (version != SNAPSHOT_VERSION)
        return error_set(err, ERROR_CONFIG,
                         "state has version %u, this program reads %u", version,
                         SNAPSHOT_VERSION);
    if (!load_limits(s, r))
        return error_set(err, ERROR_CONFIG, "state was made with other limits");
    s->applied = read_u64(r);
    s->slot = read_u64(r);
    s->refusals = read_u64(r);
    if (s->slot > ENGINE_SLOT_MAX)
        return error_set(err, ERROR_CONFIG, "state has a slot beyond all");
    return 0;
}

int
engine_load_end(struct engine_state *s, struct bytes_reader *r, bool whole,
                struct error *err)
{
    const uint8_t *at = r->p;
    uint64_t digest;

    if (!whole || r->failed || !operations_load(&s->operations, r))
        return error_set(err, ERROR_CONFIG,
                         "state is malformed %zu bytes before its end",
                         r->left + (size_t)(r->p - at));
    digest = read_u64(r);
    if (!bytes_done(r) || digest != state_digest(s))
        return error_set(err, ERROR_CONFIG,
                         "state does not match its own digest");
    if (s->bug == BUG_FORGET_OPERATIONS ||
        s->bug == BUG_SNAPSHOT_DROPS_OPERATIONS)
        operations_clear(&s->operations);
    return 0;
}

/* ---- metrics ---- */

void
engine_state_metrics(const struct engine_state *s,
                     const struct engine_table *tables, size_t count,
                     struct buf *out)
{
    buf_puts(out, "# TYPE ordeal_replica_table_used gauge\n");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "ordeal_replica_table_used{table=\"%s\"} %u\n",
                   tables[i].name, tables[i].used);
    buf_printf(out, "ordeal_replica_table_used{table=\"operations\"} %u\n",
               operations_count(&s->operations));
    buf_puts(out, "# TYPE ordeal_replica_table_max gauge\n");
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "ordeal_replica_table_max{table=\"%s\"} %u\n",
                   tables[i].name, tables[i].max);
    buf_printf(out, "ordeal_replica_table_max{table=\"operations\"} %u\n",
               s->limits.operations);
}
