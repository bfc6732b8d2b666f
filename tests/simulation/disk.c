/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: orders wait in the FIFO until a completion moves them to the
 * platter; disk_start() reads the platter into a fresh core.
 *
 * Failure modes are the point: crash (prefix and torn record), failed sync
 * (orders vanish), wipe, damage in the middle, a lost synced tail.
 */
#include "config.h"

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "tests/simulation/disk.h"

void
disk_init(struct disk *d)
{
    memset(d, 0, sizeof(*d));
    d->log = xcalloc(SIM_INDEX_MAX, sizeof(*d->log));
    d->held = xcalloc(SIM_INDEX_MAX, sizeof(*d->held));
    d->pending = xcalloc(DISK_PENDING_MAX, sizeof(*d->pending));
    d->first = 1;
}

/* ---- states ---- */

void
blob_clear(struct blob *b)
{
    free(b->data);
    *b = (struct blob){0};
}

void
blob_copy(struct blob *to, const struct blob *from)
{
    struct blob old = *to;

    *to = *from;
    to->data = NULL;
    if (from->length > 0) {
        to->data = xcalloc(1, from->length);
        memcpy(to->data, from->data, from->length);
    }
    free(old.data);
}

void
blob_take(struct blob *b, const struct machine *m)
{
    struct buf out;

    buf_init(&out, 64u << 20);
    machine_save(m, &out);
    blob_clear(b);
    b->length = out.len;
    b->data = buf_take(&out);
    b->digest = machine_digest(m);
}

void
blob_restore(const struct blob *b, struct machine *m)
{
    if (b->length == 0) {
        machine_release(m);
        machine_init(m, m->kind, m->bug);
    } else if (!machine_load(m, b->data, b->length)) {
        abort();
    }
}

/* ---- orders ---- */

static void
record_clear(struct record *r)
{
    free(r->payload);
    *r = (struct record){0};
}

static struct disk_order *
order_at(struct disk *d, unsigned i)
{
    assert(i < d->count);
    return &d->pending[(d->head + i) % DISK_PENDING_MAX];
}

static void
order_pop(struct disk *d)
{
    record_clear(&order_at(d, 0)->record);
    blob_clear(&order_at(d, 0)->state);
    d->head = (d->head + 1) % DISK_PENDING_MAX;
    d->count--;
}

void
disk_release(struct disk *d)
{
    while (d->count > 0)
        order_pop(d);
    for (unsigned i = 0; i < SIM_INDEX_MAX; i++)
        record_clear(&d->log[i]);
    free(d->log);
    free(d->held);
    free(d->pending);
    blob_clear(&d->state);
}

void
disk_order(struct disk *d, const struct vsr_action *a)
{
    assert(d->count < DISK_PENDING_MAX);
    struct disk_order *o =
        &d->pending[(d->head + d->count++) % DISK_PENDING_MAX];
    o->type = a->type;
    o->seq = a->seq;
    o->index = a->type == VSR_ACTION_APPEND ? a->entry.index : a->index;
    o->metadata = a->metadata;
    o->position = a->position;
    o->record = (struct record){0};
    o->state = (struct blob){0};
    if (a->type != VSR_ACTION_APPEND)
        return;
    o->record = (struct record){.view = a->entry.view,
                                .kind = a->entry.kind,
                                .length = a->entry.length};
    if (a->entry.length > 0) {
        o->record.payload = xcalloc(1, a->entry.length);
        memcpy(o->record.payload, a->entry.payload, a->entry.length);
    }
}

void
disk_order_state(struct disk *d, const struct blob *state)
{
    blob_copy(&order_at(d, d->count - 1)->state, state);
}

/* 'held' is left alone: what is lost now was held once. */
static void
cut(struct disk *d, uint64_t index)
{
    for (; d->last >= index && d->last >= d->first; d->last--)
        record_clear(&d->log[d->last]);
}

static void
reset_log(struct disk *d)
{
    for (; d->last >= d->first; d->last--)
        record_clear(&d->log[d->last]);
    d->first = d->snapshot.index + 1;
    d->last = d->mark = d->snapshot.index;
}

void
disk_snapshot(struct disk *d, struct vsr_position position,
              const struct blob *state)
{
    if (position.index <= d->snapshot.index)
        return;
    d->snapshot = position;
    blob_copy(&d->state, state);
}

static void
execute(struct disk *d, struct disk_order *o)
{
    switch (o->type) {
    case VSR_ACTION_APPEND:
        assert(o->index == d->last + 1 && o->index < SIM_INDEX_MAX);
        d->last++;
        d->log[d->last] = o->record;
        d->held[d->last] = o->record.view;
        o->record.payload = NULL;
        break;
    case VSR_ACTION_TRUNCATE:
        for (uint64_t i = o->index; i <= d->last; i++)
            d->held[i] = 0;
        cut(d, o->index);
        if (d->mark >= o->index)
            d->mark = o->index - 1;
        break;
    case VSR_ACTION_METADATA:
        d->metadata = o->metadata;
        d->has_metadata = true;
        break;
    case VSR_ACTION_INSTALL_SNAPSHOT:
        disk_snapshot(d, o->position, &o->state);
        reset_log(d);
        break;
    default:
        break;
    }
}

void
disk_complete(struct disk *d, uint64_t seq)
{
    bool done = false;
    while (d->count > 0 && !done) {
        struct disk_order *o = order_at(d, 0);
        if (o->seq > seq)
            return;
        done = o->seq == seq;
        execute(d, o);
        order_pop(d);
    }
    d->mark = d->last;
}

void
disk_lose(struct disk *d, uint64_t seq)
{
    for (unsigned i = 0; i < d->count; i++) {
        struct disk_order *o = order_at(d, i);
        if (o->type == VSR_ACTION_APPEND)
            o->record.state = RECORD_TORN;
        if (o->seq == seq)
            return;
    }
}

void
disk_crash(struct disk *d, struct rng *r)
{
    uint64_t keep = d->count;
    if (!rng_chance(r, 0.3))
        keep = rng_below(r, d->count + 1u);
    for (; keep > 0; keep--) {
        execute(d, order_at(d, 0));
        order_pop(d);
    }
    struct disk_order *next = d->count > 0 ? order_at(d, 0) : NULL;
    if (next != NULL && next->type == VSR_ACTION_APPEND && rng_chance(r, 0.5)) {
        next->record.state = RECORD_TORN;
        next->record.length /= 2;
        execute(d, next);
        d->held[d->last] = 0;
    } else if (next != NULL && next->type == VSR_ACTION_INSTALL_SNAPSHOT &&
               rng_chance(r, 0.5)) {
        disk_snapshot(d, next->position, &next->state);
    }
    while (d->count > 0)
        order_pop(d);
}

void
disk_wipe(struct disk *d)
{
    while (d->count > 0)
        order_pop(d);
    for (; d->last >= d->first; d->last--)
        record_clear(&d->log[d->last]);
    d->first = 1;
    d->last = d->mark = 0;
    d->has_metadata = false;
    d->metadata = (struct vsr_metadata){0};
    d->snapshot = (struct vsr_position){0};
    blob_clear(&d->state);
}

bool
disk_corrupt(struct disk *d, struct rng *r)
{
    if (d->last < d->first + 1)
        return false;
    uint64_t index = d->first + rng_below(r, d->last - d->first);
    d->log[index].state = RECORD_CORRUPT;
    return true;
}

bool
disk_chop(struct disk *d, struct rng *r)
{
    uint64_t low = d->first - 1;
    if (low < d->snapshot.index)
        low = d->snapshot.index;
    if (d->mark <= low)
        return false;
    cut(d, low + 1 + rng_below(r, d->mark - low));
    return true;
}

void
disk_drop_front(struct disk *d, uint64_t index)
{
    for (; d->first <= index && d->first <= d->last; d->first++)
        record_clear(&d->log[d->first]);
}

bool
disk_holds(const struct disk *d, uint64_t index)
{
    if (index <= d->snapshot.index)
        return true;
    return index >= d->first && index <= d->last &&
           d->log[index].state == RECORD_GOOD;
}

struct vsr_position
disk_end(const struct disk *d)
{
    if (d->last < d->first || d->last <= d->snapshot.index)
        return d->snapshot;
    return (struct vsr_position){d->log[d->last].view, d->last};
}

/* A crash while a snapshot was installed leaves a log that does not hold it. */
static void
drop_superseded(struct disk *d)
{
    uint64_t index = d->snapshot.index;
    if (index == 0 || index + 1 == d->first)
        return;
    if (d->last < index || d->log[index].view != d->snapshot.view)
        reset_log(d);
}

static int
check_records(struct disk *d, const struct disk_faults *faults,
              struct error *err)
{
    for (uint64_t i = d->first; i <= d->last; i++) {
        struct record *r = &d->log[i];
        bool tail = i == d->last && r->state == RECORD_TORN;
        if (r->state == RECORD_GOOD || (tail && faults->keep_torn))
            continue;
        if (!tail && !faults->cut_corrupt)
            return error_set(err, ERROR_ENVIRONMENT,
                             "log entry %llu is damaged",
                             (unsigned long long)i);
        cut(d, i);
    }
    return 0;
}

int
disk_start(struct disk *d, struct vsr *v, const struct disk_faults *faults,
           uint64_t now_ns, struct machine *engine, struct vsr_actions *actions,
           struct error *err)
{
    blob_restore(&d->state, engine);
    if (check_records(d, faults, err) < 0)
        return -1;
    drop_superseded(d);
    if (d->last < d->mark && !faults->ignore_marks)
        return error_set(
            err, ERROR_ENVIRONMENT, "log ends at %llu, synced was %llu",
            (unsigned long long)d->last, (unsigned long long)d->mark);
    if (d->snapshot.index > 0 && vsr_restore_snapshot(v, d->snapshot, err) < 0)
        return -1;
    for (uint64_t i = d->first; i <= d->last; i++) {
        const struct record *r = &d->log[i];
        struct vsr_entry e = {.view = r->view,
                              .index = i,
                              .kind = r->kind,
                              .length = r->length,
                              .payload = r->payload};
        if (vsr_restore_entry(v, &e, err) < 0)
            return -1;
    }
    struct vsr_metadata m = d->metadata;
    if (faults->ignore_marks)
        m.acked = m.commit = 0;
    return vsr_start(v, d->has_metadata ? &m : NULL, now_ns, actions, err);
}
