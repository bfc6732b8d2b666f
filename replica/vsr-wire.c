/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, configuration defaults, and the wire form of messages.
 *
 * Happy path: a fixed header of all scalar fields in little-endian order, then
 * the entries, then the data.  Failure modes: a message that is too short, too
 * long, of unknown type, or whose counts do not add up is refused whole.
 */
#include "config.h"

#include "replica/vsr-internal.h"

#define WIRE_VERSION 1u

struct writer {
    uint8_t *p;
    size_t len, cap;
    bool full;
};

struct reader {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static void
put_bytes(struct writer *w, const void *data, size_t n)
{
    if (w->full || w->cap - w->len < n) {
        w->full = true;
        return;
    }
    if (n > 0)
        memcpy(w->p + w->len, data, n);
    w->len += n;
}

static void
put(struct writer *w, uint64_t value, unsigned bytes)
{
    uint8_t b[8];
    for (unsigned i = 0; i < bytes; i++)
        b[i] = (uint8_t)(value >> (8 * i));
    put_bytes(w, b, bytes);
}

static const void *
get_bytes(struct reader *r, size_t n)
{
    static const uint8_t nothing[8];
    if (r->bad || r->left < n) {
        r->bad = true;
        return nothing;
    }
    const void *at = r->p;
    r->p += n;
    r->left -= n;
    return at;
}

static uint64_t
get(struct reader *r, unsigned bytes)
{
    const uint8_t *b = get_bytes(r, bytes);
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && !r->bad; i++)
        value |= (uint64_t)b[i] << (8 * i);
    return value;
}

static void
put_position(struct writer *w, struct vsr_position p)
{
    put(w, p.view, 8);
    put(w, p.index, 8);
}

static struct vsr_position
get_position(struct reader *r)
{
    uint64_t view = get(r, 8);
    return (struct vsr_position){view, get(r, 8)};
}

size_t
vsr_message_encode(const struct vsr_message *m, void *buf, size_t cap)
{
    struct writer w = {.p = buf, .cap = cap};
    put(&w, WIRE_VERSION, 1);
    put(&w, m->type, 1);
    put(&w, m->from, 1);
    put(&w, m->to, 1);
    put(&w, m->result, 1);
    put(&w, (uint64_t)m->normal | (uint64_t)m->last << 1, 1);
    put(&w, m->view, 8);
    put(&w, m->sender_incarnation, 8);
    put_position(&w, m->prev);
    put_position(&w, m->hint);
    put_position(&w, m->snapshot);
    put(&w, m->commit, 8);
    put(&w, m->index, 8);
    put(&w, m->round, 8);
    put(&w, m->session, 8);
    put(&w, m->incarnation, 8);
    for (unsigned i = 0; i < VSR_REPLICAS_MAX; i++)
        put(&w, m->incarnations[i], 8);
    put(&w, m->offset, 8);
    put(&w, m->total, 8);
    put(&w, m->entry_count, 4);
    put(&w, m->length, 4);
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct vsr_entry *e = &m->entries[i];
        put(&w, e->view, 8);
        put(&w, e->index, 8);
        put(&w, e->kind, 1);
        put(&w, e->length, 4);
        put_bytes(&w, e->payload, e->length);
    }
    put_bytes(&w, m->data, m->length);
    return w.full ? 0 : w.len;
}

static void
get_header(struct reader *r, struct vsr_message *m)
{
    m->from = (uint8_t)get(r, 1);
    m->to = (uint8_t)get(r, 1);
    m->result = (uint8_t)get(r, 1);
    uint64_t flags = get(r, 1);
    m->normal = flags & 1;
    m->last = flags & 2;
    r->bad = r->bad || flags > 3;
    m->view = get(r, 8);
    m->sender_incarnation = get(r, 8);
    m->prev = get_position(r);
    m->hint = get_position(r);
    m->snapshot = get_position(r);
    m->commit = get(r, 8);
    m->index = get(r, 8);
    m->round = get(r, 8);
    m->session = get(r, 8);
    m->incarnation = get(r, 8);
    for (unsigned i = 0; i < VSR_REPLICAS_MAX; i++)
        m->incarnations[i] = get(r, 8);
    m->offset = get(r, 8);
    m->total = get(r, 8);
    m->entry_count = (uint32_t)get(r, 4);
    m->length = (uint32_t)get(r, 4);
}

static void
get_entry(struct reader *r, struct vsr_entry *e)
{
    e->view = get(r, 8);
    e->index = get(r, 8);
    e->kind = (uint8_t)get(r, 1);
    e->length = (uint32_t)get(r, 4);
    if (e->length > VSR_PAYLOAD_BYTES_MAX)
        r->bad = true;
    e->payload = get_bytes(r, e->length);
}

int
vsr_message_decode(const void *buf, size_t length, struct vsr_message *ret,
                   struct vsr_entry *entries, struct error *err)
{
    struct reader r = {.p = buf, .left = length};
    struct vsr_message m = {0};
    uint64_t version = get(&r, 1);
    m.type = (uint8_t)get(&r, 1);
    if (r.bad || version != WIRE_VERSION)
        return error_set(err, ERROR_TRANSIENT, "peer message of version %u",
                         (unsigned)version);
    if (m.type == 0 || m.type >= VSR_MESSAGE_TYPE_COUNT)
        return error_set(err, ERROR_TRANSIENT, "peer message of type %u",
                         m.type);
    get_header(&r, &m);
    if (m.entry_count > VSR_MESSAGE_ENTRIES_MAX ||
        m.length > VSR_CHUNK_BYTES_MAX)
        r.bad = true;
    for (uint32_t i = 0; i < m.entry_count && !r.bad; i++)
        get_entry(&r, &entries[i]);
    m.entries = entries;
    if (!r.bad)
        m.data = get_bytes(&r, m.length);
    if (r.bad || r.left != 0)
        return error_set(err, ERROR_TRANSIENT,
                         "peer message %s of %zu bytes is malformed",
                         vsr_message_type_name(m.type), length);
    *ret = m;
    return 0;
}

void
vsr_actions_init(struct vsr_actions *a)
{
    *a = (struct vsr_actions){0};
    a->items = xcalloc(VSR_ACTIONS_MAX, sizeof(*a->items));
}

void
vsr_actions_release(struct vsr_actions *a)
{
    free(a->items);
    *a = (struct vsr_actions){0};
}

void
vsr_config_init(struct vsr_config *c, uint8_t replica, uint8_t replica_count,
                uint64_t seed)
{
    const uint64_t ms = 1000000;
    *c = (struct vsr_config){.replica = replica,
                             .replica_count = replica_count,
                             .seed = seed,
                             .election_timeout_ns = 300 * ms,
                             .heartbeat_ns = 60 * ms,
                             .retransmit_ns = 100 * ms,
                             .metadata_interval_ns = 500 * ms,
                             .pipeline_max = 1024,
                             .reads_max = 1024,
                             .log_entries_max = 65536,
                             .log_bytes_max = 64u << 20,
                             .snapshot_interval = 16384,
                             .retain_entries = 8192,
                             .catch_up_entries = 4096};
}

#define NAME_OF(names, value)                                                  \
    ((value) < ARRAY_LEN(names) && names[value] != NULL ? names[value] : "?")

const char *
vsr_message_type_name(unsigned type)
{
    static const char *const names[] = {
        [VSR_PREPARE] = "prepare",
        [VSR_PREPARE_OK] = "prepare_ok",
        [VSR_START_VIEW_CHANGE] = "start_view_change",
        [VSR_DO_VIEW_CHANGE] = "do_view_change",
        [VSR_VIEW_NOTICE] = "view_notice",
        [VSR_GET_ENTRIES] = "get_entries",
        [VSR_ENTRIES] = "entries",
        [VSR_GET_SNAPSHOT] = "get_snapshot",
        [VSR_SNAPSHOT_CHUNK] = "snapshot_chunk",
        [VSR_RECOVERY] = "recovery",
        [VSR_RECOVERY_RESPONSE] = "recovery_response",
    };
    return NAME_OF(names, type);
}

const char *
vsr_action_type_name(unsigned type)
{
    static const char *const names[] = {
        [VSR_ACTION_SEND] = "send",
        [VSR_ACTION_SEND_SNAPSHOT] = "send_snapshot",
        [VSR_ACTION_APPEND] = "append",
        [VSR_ACTION_TRUNCATE] = "truncate",
        [VSR_ACTION_METADATA] = "metadata",
        [VSR_ACTION_SYNC] = "sync",
        [VSR_ACTION_INSTALL_SNAPSHOT] = "install_snapshot",
        [VSR_ACTION_STAGE_SNAPSHOT] = "stage_snapshot",
        [VSR_ACTION_TAKE_SNAPSHOT] = "take_snapshot",
        [VSR_ACTION_RELEASE] = "release",
        [VSR_ACTION_APPLY] = "apply",
        [VSR_ACTION_REBUILD] = "rebuild",
        [VSR_ACTION_COMPLETE] = "complete",
        [VSR_ACTION_HALT] = "halt",
    };
    return NAME_OF(names, type);
}

const char *
vsr_outcome_name(unsigned outcome)
{
    static const char *const names[] = {
        [VSR_COMMITTED] = "committed",
        [VSR_REFUSED_NOT_PRIMARY] = "not_primary",
        [VSR_REFUSED_NOT_READY] = "not_ready",
        [VSR_REFUSED_OVERLOADED] = "overloaded",
        [VSR_REFUSED_EXHAUSTED] = "exhausted",
        [VSR_REFUSED_TOO_LARGE] = "too_large",
        [VSR_UNKNOWN_LEADERSHIP_LOST] = "leadership_lost",
    };
    return NAME_OF(names, outcome);
}

const char *
vsr_mutation_name(unsigned mutation)
{
    static const char *const names[] = {
        [VSR_MUTATION_NONE] = "none",
        [VSR_MUTATION_COMMIT_OLD_VIEW] = "commit-old-view",
        [VSR_MUTATION_ACK_UNSYNCED] = "ack-unsynced",
        [VSR_MUTATION_PRIMARY_UNSYNCED] = "primary-unsynced",
        [VSR_MUTATION_MINORITY_COMMIT] = "minority-commit",
        [VSR_MUTATION_SKIP_PREV_CHECK] = "skip-prev-check",
        [VSR_MUTATION_COUNT_STALE_TAIL] = "count-stale-tail",
        [VSR_MUTATION_LOWER_VIEW] = "lower-view",
        [VSR_MUTATION_SPEAK_BEFORE_DURABLE] = "speak-before-durable",
        [VSR_MUTATION_FORGET_VIEW] = "forget-view",
        [VSR_MUTATION_LEAD_AGAIN] = "lead-again",
        [VSR_MUTATION_OWN_LOG] = "own-log",
        [VSR_MUTATION_LONGEST_LOG] = "longest-log",
        [VSR_MUTATION_COMMIT_UNMATCHED] = "commit-unmatched",
        [VSR_MUTATION_APPLY_TWICE] = "apply-twice",
        [VSR_MUTATION_READ_UNCONFIRMED] = "read-unconfirmed",
        [VSR_MUTATION_READ_BEFORE_NOOP] = "read-before-noop",
        [VSR_MUTATION_OLD_ROUND] = "old-round",
        [VSR_MUTATION_READY_EARLY] = "ready-early",
        [VSR_MUTATION_VOTE_UNRECOVERED] = "vote-unrecovered",
        [VSR_MUTATION_STALE_TRANSFER] = "stale-transfer",
        [VSR_MUTATION_SERVE_UNOPENED] = "serve-unopened",
        [VSR_MUTATION_COUNT_OLD_LIFE] = "count-old-life",
    };
    return NAME_OF(names, mutation);
}

const char *
vsr_role_name(unsigned role)
{
    static const char *const names[] = {
        [VSR_ROLE_PRIMARY] = "primary",
        [VSR_ROLE_BACKUP] = "backup",
        [VSR_ROLE_VIEW_CHANGE] = "view_change",
        [VSR_ROLE_RECOVERING] = "recovering",
    };
    return NAME_OF(names, role);
}

const char *
vsr_recovery_name(unsigned recovery)
{
    static const char *const names[] = {
        [VSR_RECOVERY_FRESH] = "fresh",
        [VSR_RECOVERY_LOG] = "log",
        [VSR_RECOVERY_SNAPSHOT] = "snapshot",
        [VSR_RECOVERY_SNAPSHOT_AND_LOG] = "snapshot_and_log",
        [VSR_RECOVERY_SUFFIX] = "suffix",
        [VSR_RECOVERY_SNAPSHOT_INSTALL] = "snapshot_install",
        [VSR_RECOVERY_DIVERGENT_SUFFIX_DISCARDED] =
            "divergent_suffix_discarded",
    };
    return NAME_OF(names, recovery);
}
