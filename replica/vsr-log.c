/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries in memory and the orders to the disk.
 *
 * Happy path: an entry is stored in its slot and handed to the host with
 * APPEND; one SYNC at a time covers everything appended before it; a snapshot
 * lets the oldest entries go (RELEASE).
 *
 * Failure modes: a stale tail is cut (TRUNCATE), after the metadata that lowers
 * the acknowledged mark; the SYNC in flight then counts only for what was left.
 * An order to cut what is committed means that peers contradict durable state:
 * the replica halts.
 */
#include "config.h"

#include "replica/vsr-internal.h"

struct vsr_action *
vsr_action(struct vsr *v, enum vsr_action_type type)
{
    struct vsr_actions *out = v->out;
    assert(out->count < VSR_ACTIONS_MAX);
    struct vsr_action *a = &out->items[out->count++];
    *a = (struct vsr_action){.type = type};
    return a;
}

void
vsr_halt(struct vsr *v, const char *reason)
{
    if (v->halted)
        return;
    vsr_action(v, VSR_ACTION_HALT)->reason = reason;
    v->halted = true;
}

struct slot *
vsr_slot(const struct vsr *v, uint64_t index)
{
    assert(index > v->base.index && index <= v->op);
    return &v->slots[index % v->config.log_entries_max];
}

uint64_t
vsr_view_at(const struct vsr *v, uint64_t index)
{
    if (index == v->base.index)
        return v->base.view;
    return vsr_slot(v, index)->view;
}

struct vsr_position
vsr_at(const struct vsr *v, uint64_t index)
{
    return (struct vsr_position){vsr_view_at(v, index), index};
}

bool
vsr_has_room(const struct vsr *v, uint32_t length, unsigned reserve)
{
    return v->op - v->base.index + reserve < v->config.log_entries_max &&
           v->bytes + length <= v->config.log_bytes_max;
}

void
vsr_store(struct vsr *v, const struct vsr_entry *e, uint64_t token)
{
    assert(e->index == v->op + 1 && e->view >= vsr_view_at(v, v->op));
    assert(v->op - v->base.index < v->config.log_entries_max);
    v->op++;
    struct slot *s = vsr_slot(v, e->index);
    *s = (struct slot){
        .view = e->view, .token = token, .length = e->length, .kind = e->kind};
    if (e->length > 0) {
        s->payload = xcalloc(1, e->length);
        memcpy(s->payload, e->payload, e->length);
    }
    v->bytes += e->length;
    if (token != 0)
        v->request_count++;
}

void
vsr_append(struct vsr *v, const struct vsr_entry *e, uint64_t token)
{
    vsr_store(v, e, token);
    bool found =
        vsr_entry_at(v, e->index, &vsr_action(v, VSR_ACTION_APPEND)->entry);
    assert(found);
}

static void
slot_clear(struct vsr *v, uint64_t index)
{
    struct slot *s = vsr_slot(v, index);
    if (s->token != 0) {
        uint64_t token = s->token;
        s->token = 0;
        v->request_count--;
        if (v->out != NULL)
            vsr_complete(v, token, VSR_UNKNOWN_LEADERSHIP_LOST,
                         (struct vsr_position){0});
    }
    v->bytes -= s->length;
    free(s->payload);
    *s = (struct slot){0};
}

bool
vsr_truncate(struct vsr *v, uint64_t index)
{
    if (index <= v->commit || index <= v->base.index) {
        vsr_halt(v, "a peer's log contradicts an entry committed here");
        return false;
    }
    assert(v->applied < index);
    if (v->metadata.acked >= index) {
        v->acked = index - 1;
        vsr_write_metadata(v);
    }
    if (v->acked >= index)
        v->acked = index - 1;
    v->counters.entries_discarded += v->op - index + 1;
    v->recovery = VSR_RECOVERY_DIVERGENT_SUFFIX_DISCARDED;
    while (v->op >= index) {
        slot_clear(v, v->op);
        v->op--;
    }
    if (v->matched > v->op)
        v->matched = v->op;
    if (v->synced > v->op)
        v->synced = v->op;
    if (v->sync_index > v->op)
        v->sync_index = v->op;
    vsr_action(v, VSR_ACTION_TRUNCATE)->index = index;
    return true;
}

void
vsr_drop_all(struct vsr *v, struct vsr_position base)
{
    for (; v->op > v->base.index; v->op--)
        slot_clear(v, v->op);
    v->base = base;
    v->op = v->synced = v->sync_index = base.index;
    v->bytes = 0;
}

void
vsr_drop_first(struct vsr *v)
{
    struct vsr_position base = vsr_at(v, v->base.index + 1);
    slot_clear(v, base.index);
    v->base = base;
}

void
vsr_release(struct vsr *v, uint64_t index)
{
    if (index <= v->base.index)
        return;
    assert(index <= v->snapshot.index && index <= v->applied);
    while (v->base.index < index)
        vsr_drop_first(v);
    vsr_action(v, VSR_ACTION_RELEASE)->index = index;
}

uint64_t
vsr_last_not_above(const struct vsr *v, uint64_t from, uint64_t view)
{
    uint64_t low = v->base.index, high = from;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (vsr_view_at(v, middle) <= view)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t
lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
vsr_write_metadata(struct vsr *v)
{
    struct vsr_metadata *m = &v->metadata;
    m->replica = v->config.replica;
    m->replica_count = v->config.replica_count;
    m->view = v->view;
    m->last_normal_view = vsr_view_at(v, v->synced);
    /* What others have made durable for us may not be here yet. */
    uint64_t commit = lesser(v->commit, v->synced);
    m->commit = commit > m->commit ? commit : m->commit;
    m->acked = lesser(v->acked, v->synced);
    memcpy(m->incarnation, v->incarnation, sizeof(m->incarnation));
    struct vsr_action *a = vsr_action(v, VSR_ACTION_METADATA);
    a->seq = v->metadata_seq = ++v->seq;
    a->metadata = *m;
    if (MUTATED(v, VSR_MUTATION_FORGET_VIEW) && m->view > 0)
        a->metadata.view--;
    v->metadata_writing = true;
    v->metadata_ns = v->now_ns + v->config.metadata_interval_ns;
}

void
vsr_sync(struct vsr *v)
{
    if (v->syncing || v->installing || v->synced >= v->op)
        return;
    struct vsr_action *a = vsr_action(v, VSR_ACTION_SYNC);
    a->seq = v->sync_seq = ++v->seq;
    a->index = v->sync_index = v->op;
    v->syncing = true;
}

unsigned
vsr_batch(struct vsr *v, uint64_t index, uint64_t last,
          const struct vsr_entry **ret)
{
    unsigned count = 0;
    uint64_t bytes = 0;
    *ret = &v->out_entries[v->out_entry_count];
    while (index < last && count < VSR_MESSAGE_ENTRIES_MAX &&
           v->out_entry_count < OUT_ENTRIES_MAX) {
        struct vsr_entry e;
        bool found = vsr_entry_at(v, index + 1, &e);
        assert(found);
        if (count > 0 && bytes + e.length > VSR_MESSAGE_PAYLOAD_MAX)
            break;
        bytes += e.length;
        v->out_entries[v->out_entry_count++] = e;
        count++;
        index++;
    }
    return count;
}

bool
vsr_entry_at(const struct vsr *v, uint64_t index, struct vsr_entry *ret)
{
    if (index <= v->base.index || index > v->op)
        return false;
    const struct slot *s = vsr_slot(v, index);
    *ret = (struct vsr_entry){.view = s->view,
                              .index = index,
                              .kind = s->kind,
                              .length = s->length,
                              .payload = s->payload};
    return true;
}
