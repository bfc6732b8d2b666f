/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normal operation of viewstamped replication, and the step function.
 *
 * Happy path: a request becomes the next entry of the primary's log; the entry
 * is appended, a SYNC is ordered, PREPAREs go out; backups append behind the
 * identical entry before it, sync, answer PREPARE_OK; once a majority (the
 * primary counts when its own SYNC is done) holds it, it is committed, applied
 * and its token completed.  A read waits for a heartbeat round that began after
 * it came, answered by a majority of the same view.
 *
 * Failure modes: a gap or a different entry before makes the backup fetch the
 * primary's log (vsr-transfer.c).  A primary that hears no majority fails what
 * it holds and serves nothing until it hears one again or the view changes
 * (vsr-view.c).  Nothing is said in a view before that view is durable.  A log
 * full in memory refuses requests; a backup then drops PREPAREs until a
 * snapshot makes room.
 */
#include "config.h"

#include "replica/vsr-internal.h"

uint8_t
vsr_primary_of(const struct vsr *v, uint64_t view)
{
    return (uint8_t)(view % v->config.replica_count);
}

bool
vsr_is_primary(const struct vsr *v)
{
    return v->status == STATUS_NORMAL &&
           vsr_primary_of(v, v->view) == v->config.replica;
}

bool
vsr_may_speak(const struct vsr *v)
{
    if (MUTATED(v, VSR_MUTATION_SPEAK_BEFORE_DURABLE))
        return true;
    return v->durable.view >= v->view;
}

/* ---- sending ------------------------------------------------------------ */

struct vsr_message
vsr_message_to(const struct vsr *v, uint8_t to, enum vsr_message_type type)
{
    return (struct vsr_message){.type = (uint8_t)type,
                                .from = v->config.replica,
                                .to = to,
                                .view = v->view,
                                .sender_incarnation =
                                    v->incarnation[v->config.replica]};
}

void
vsr_send(struct vsr *v, const struct vsr_message *m)
{
    assert(m->to != v->config.replica && m->to < v->config.replica_count);
    if (m->type != VSR_RECOVERY && !vsr_may_speak(v))
        return;
    vsr_action(v, m->type == VSR_SNAPSHOT_CHUNK ? VSR_ACTION_SEND_SNAPSHOT
                                                : VSR_ACTION_SEND)
        ->message = *m;
}

void
vsr_broadcast(struct vsr *v, struct vsr_message *m)
{
    for (uint8_t i = 0; i < v->config.replica_count; i++) {
        m->to = i;
        if (i != v->config.replica)
            vsr_send(v, m);
    }
}

static void
send_prepare(struct vsr *v, uint64_t last)
{
    struct vsr_message m = vsr_message_to(v, 0, VSR_PREPARE);
    m.prev = vsr_at(v, v->sent);
    m.commit = v->commit;
    m.round = v->round;
    m.entry_count = vsr_batch(v, v->sent, last, &m.entries);
    v->sent += m.entry_count;
    vsr_broadcast(v, &m);
}

/* New entries travel when their SYNC is ordered: both take one batch. */
static void
flush(struct vsr *v)
{
    vsr_sync(v);
    if (!vsr_is_primary(v))
        return;
    uint64_t last = v->syncing ? v->sync_index : v->op;
    for (unsigned i = 0; i < OUT_BATCHES_MAX && v->sent < last; i++)
        send_prepare(v, last);
    if (v->sent < last)
        v->out->more = true;
}

void
vsr_heartbeat(struct vsr *v)
{
    v->beat_ns = v->now_ns + v->config.heartbeat_ns;
    send_prepare(v, v->sent);
}

/* ---- completing --------------------------------------------------------- */

void
vsr_complete(struct vsr *v, uint64_t token, enum vsr_outcome outcome,
             struct vsr_position position)
{
    if (token == 0)
        return;
    struct vsr_action *a = vsr_action(v, VSR_ACTION_COMPLETE);
    a->token = token;
    a->outcome = outcome;
    a->position = position;
}

/* What is committed keeps its token: its answer is certain. */
void
vsr_fail_requests(struct vsr *v)
{
    uint64_t index = v->commit > v->base.index ? v->commit : v->base.index;
    while (v->request_count > 0 && index < v->op) {
        struct slot *s = vsr_slot(v, ++index);
        if (s->token == 0)
            continue;
        vsr_complete(v, s->token, VSR_UNKNOWN_LEADERSHIP_LOST,
                     (struct vsr_position){0});
        s->token = 0;
        v->request_count--;
    }
}

void
vsr_fail_reads(struct vsr *v, enum vsr_outcome outcome)
{
    for (; v->read_count > 0; v->read_count--) {
        vsr_complete(v, v->reads[v->read_head].token, outcome,
                     (struct vsr_position){0});
        v->read_head = (v->read_head + 1) % v->config.reads_max;
    }
}

static void
apply_one(struct vsr *v)
{
    struct vsr_action *a = vsr_action(v, VSR_ACTION_APPLY);
    bool found = vsr_entry_at(v, v->applied + 1, &a->entry);
    assert(found);
    if (MUTATED(v, VSR_MUTATION_APPLY_TWICE) && a->entry.index % 8 == 0) {
        struct vsr_entry again = a->entry;
        vsr_action(v, VSR_ACTION_APPLY)->entry = again;
    }
    v->applied++;
    struct slot *s = vsr_slot(v, v->applied);
    if (s->token == 0)
        return;
    vsr_complete(v, s->token, VSR_COMMITTED, vsr_at(v, v->applied));
    s->token = 0;
    v->request_count--;
}

static void
apply_committed(struct vsr *v)
{
    uint64_t last = v->commit;
    if (v->config.bug_ack_before_commit && vsr_is_primary(v))
        last = v->op;
    for (unsigned i = 0; i < VSR_APPLY_MAX && v->applied < last; i++)
        apply_one(v);
    if (v->applied < last)
        v->out->more = true;
}

void
vsr_commit_to(struct vsr *v, uint64_t index)
{
    assert(index <= v->op);
    if (index > v->commit)
        v->commit = index;
}

/* The largest value that at least 'quorum' of 'values' reach. */
static uint64_t
quorum_value(uint64_t *values, unsigned count, unsigned quorum)
{
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && values[j - 1] < values[j]; j--) {
            uint64_t swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[quorum - 1];
}

static void
advance_commit(struct vsr *v)
{
    uint64_t held[VSR_REPLICAS_MAX];
    unsigned quorum = v->quorum;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        held[i] = v->peers[i].match;
    held[v->config.replica] =
        MUTATED(v, VSR_MUTATION_PRIMARY_UNSYNCED) ? v->op : v->synced;
    if (MUTATED(v, VSR_MUTATION_MINORITY_COMMIT))
        quorum--;
    uint64_t index = quorum_value(held, v->config.replica_count, quorum);
    /* Copies of an earlier view's entry prove nothing (Raft, 5.4.2). */
    if (index < v->noop_index && !MUTATED(v, VSR_MUTATION_COMMIT_OLD_VIEW))
        return;
    vsr_commit_to(v, index);
}

/* ---- reads -------------------------------------------------------------- */

static bool
serving(const struct vsr *v)
{
    bool opened = v->commit >= v->noop_index && v->applied >= v->noop_index;
    if (MUTATED(v, VSR_MUTATION_READ_BEFORE_NOOP))
        opened = true;
    return vsr_is_primary(v) && vsr_may_speak(v) && opened;
}

static void
round_start(struct vsr *v)
{
    v->round++;
    vsr_heartbeat(v);
}

static void
reads_serve(struct vsr *v)
{
    while (v->read_count > 0) {
        const struct read *r = &v->reads[v->read_head];
        if (r->round > v->round_confirmed || r->index > v->applied)
            break;
        vsr_complete(v, r->token, VSR_COMMITTED, vsr_at(v, v->applied));
        v->read_head = (v->read_head + 1) % v->config.reads_max;
        v->read_count--;
    }
}

static void
confirm_round(struct vsr *v)
{
    uint64_t rounds[VSR_REPLICAS_MAX];
    for (unsigned i = 0; i < v->config.replica_count; i++)
        rounds[i] = v->peers[i].round;
    rounds[v->config.replica] = v->round;
    uint64_t round = quorum_value(rounds, v->config.replica_count, v->quorum);
    if (round > v->round_confirmed)
        v->round_confirmed = round;
    if (v->round_confirmed < v->round || v->read_count == 0)
        return;
    unsigned last = (v->read_head + v->read_count - 1) % v->config.reads_max;
    if (v->reads[last].round > v->round)
        round_start(v);
}

static void
on_read(struct vsr *v, const struct vsr_event *e)
{
    struct vsr_position none = {0};
    if (v->status == STATUS_NORMAL && !vsr_is_primary(v)) {
        vsr_complete(v, e->token, VSR_REFUSED_NOT_PRIMARY, none);
        return;
    }
    if ((v->config.bug_stale_read ||
         MUTATED(v, VSR_MUTATION_READ_UNCONFIRMED)) &&
        serving(v)) {
        vsr_complete(v, e->token, VSR_COMMITTED, vsr_at(v, v->applied));
        return;
    }
    if (!serving(v) || v->suspecting) {
        vsr_complete(v, e->token, VSR_REFUSED_NOT_READY, none);
        return;
    }
    if (v->read_count >= v->config.reads_max) {
        vsr_complete(v, e->token, VSR_REFUSED_OVERLOADED, none);
        return;
    }
    struct read r = {.token = e->token, .index = v->commit};
    if (v->round_confirmed >= v->round)
        round_start(v);
    else if (!MUTATED(v, VSR_MUTATION_OLD_ROUND))
        r.round = 1; /* the one under way began before this read */
    r.round += v->round;
    v->reads[(v->read_head + v->read_count++) % v->config.reads_max] = r;
}

static void
on_request(struct vsr *v, const struct vsr_event *e)
{
    struct vsr_position none = {0};
    enum vsr_outcome refusal = VSR_COMMITTED;
    assert(e->kind != VSR_KIND_NOOP);
    uint64_t last =
        v->config.position_max == 0 ? VSR_POSITION_MAX : v->config.position_max;
    if (e->length > VSR_PAYLOAD_BYTES_MAX)
        refusal = VSR_REFUSED_TOO_LARGE;
    else if (v->status == STATUS_NORMAL && !vsr_is_primary(v))
        refusal = VSR_REFUSED_NOT_PRIMARY;
    else if (!serving(v) || (v->suspecting && !v->config.bug_ack_before_commit))
        refusal = VSR_REFUSED_NOT_READY;
    else if (v->op >= last)
        refusal = VSR_REFUSED_EXHAUSTED;
    else if (v->op - v->commit >= v->config.pipeline_max ||
             !vsr_has_room(v, e->length, LOG_RESERVE))
        refusal = VSR_REFUSED_OVERLOADED;
    if (refusal != VSR_COMMITTED) {
        vsr_complete(v, e->token, refusal, none);
        return;
    }
    struct vsr_entry entry = {.view = v->view,
                              .index = v->op + 1,
                              .kind = e->kind,
                              .length = e->length,
                              .payload = e->payload};
    vsr_append(v, &entry, e->token);
}

/* ---- primary ------------------------------------------------------------ */

void
vsr_become_primary(struct vsr *v)
{
    if (v->op - v->base.index >= v->config.log_entries_max)
        return; /* no room to open the view; another will */
    v->status = STATUS_NORMAL;
    v->elected = false;
    vsr_transfer_stop(v);
    vsr_commit_to(v, v->best_commit < v->op ? v->best_commit : v->op);
    struct vsr_entry noop = {
        .view = v->view, .index = v->op + 1, .kind = VSR_KIND_NOOP};
    v->sent = v->op;
    vsr_append(v, &noop, 0);
    v->noop_index = v->op;
    v->round = v->round_confirmed = 0;
    v->suspecting = false;
    for (unsigned i = 0; i < v->config.replica_count; i++) {
        v->peers[i].match = v->peers[i].round = 0;
        v->peers[i].heard_ns = v->now_ns;
    }
    v->beat_ns = v->now_ns + v->config.heartbeat_ns;
}

static void
on_prepare_ok(struct vsr *v, const struct vsr_message *m)
{
    if (!vsr_is_primary(v) || m->index > v->op || m->round > v->round)
        return;
    struct peer *p = &v->peers[m->from];
    p->heard_ns = v->now_ns;
    if (m->index > p->match)
        p->match = m->index;
    if (m->round > p->round)
        p->round = m->round;
    advance_commit(v);
    confirm_round(v);
}

/* A primary that hears no majority serves nobody. */
static void
check_majority(struct vsr *v)
{
    unsigned heard = 1;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        if (i != v->config.replica &&
            v->now_ns - v->peers[i].heard_ns < v->config.election_timeout_ns)
            heard++;
    if (heard >= v->quorum) {
        v->suspecting = false;
    } else if (!v->suspecting) {
        v->suspecting = true;
        vsr_fail_requests(v);
        vsr_fail_reads(v, VSR_UNKNOWN_LEADERSHIP_LOST);
    }
}

/* ---- backup ------------------------------------------------------------- */

void
vsr_become_backup(struct vsr *v)
{
    v->status = STATUS_NORMAL;
    v->elected = false;
    vsr_transfer_stop(v);
    /* What is committed is the same in every later view. */
    v->matched = v->commit;
    v->leader_commit = 0;
    v->round_echoed = 0;
}

void
vsr_acknowledge(struct vsr *v, uint64_t view)
{
    struct vsr_message m =
        vsr_message_to(v, vsr_primary_of(v, view), VSR_PREPARE_OK);
    uint64_t held = v->matched < v->synced ? v->matched : v->synced;
    if (MUTATED(v, VSR_MUTATION_ACK_UNSYNCED))
        held = v->matched;
    if (MUTATED(v, VSR_MUTATION_COUNT_STALE_TAIL))
        held = v->synced;
    m.view = view;
    m.index = held;
    m.round = v->round_echoed;
    if (held > v->acked && held <= v->synced)
        v->acked = held;
    vsr_send(v, &m);
}

bool
vsr_entries_valid(const struct vsr_message *m)
{
    uint64_t view = m->prev.view;
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct vsr_entry *e = &m->entries[i];
        if (e->index != m->prev.index + 1 + i || e->view < view ||
            e->view > m->view || e->length > VSR_PAYLOAD_BYTES_MAX)
            return false;
        view = e->view;
    }
    return true;
}

void
vsr_accept_entries(struct vsr *v, const struct vsr_message *m)
{
    uint64_t held = m->prev.index;
    for (uint32_t i = 0; i < m->entry_count; i++) {
        const struct vsr_entry *e = &m->entries[i];
        if (e->index <= v->base.index) {
            held = e->index;
            continue;
        }
        if (e->index <= v->op && vsr_view_at(v, e->index) != e->view &&
            !vsr_truncate(v, e->index))
            return;
        if (e->index > v->op) {
            if (e->view < vsr_view_at(v, v->op)) {
                vsr_halt(v, "a peer's log contradicts the one here");
                return;
            }
            if (!vsr_has_room(v, e->length, 1))
                break;
            vsr_append(v, e, 0);
        }
        held = e->index;
    }
    if (held > v->matched)
        v->matched = held;
}

/* Is the entry before the new ones the one the primary has? */
static bool
prefix_matches(struct vsr *v, const struct vsr_message *m)
{
    if (m->prev.index > v->op)
        return false;
    if (MUTATED(v, VSR_MUTATION_SKIP_PREV_CHECK))
        return true;
    if (m->prev.index < v->base.index)
        return true; /* released, hence committed, hence identical */
    return vsr_view_at(v, m->prev.index) == m->prev.view;
}

static void
follow_commit(struct vsr *v)
{
    uint64_t known = v->matched;
    if (MUTATED(v, VSR_MUTATION_COMMIT_UNMATCHED))
        known = v->op;
    vsr_commit_to(v, v->leader_commit < known ? v->leader_commit : known);
}

static void
on_prepare(struct vsr *v, const struct vsr_message *m)
{
    if (m->from != vsr_primary_of(v, m->view) || !vsr_entries_valid(m) ||
        v->status == STATUS_RECOVERING || !vsr_may_speak(v))
        return;
    vsr_reset_election(v);
    v->suspecting = false;
    if (v->installing)
        return;
    if (v->status == STATUS_VIEW_CHANGE)
        vsr_become_backup(v);
    if (m->commit > v->leader_commit)
        v->leader_commit = m->commit;
    bool new_round = m->round > v->round_echoed;
    if (new_round)
        v->round_echoed = m->round;
    uint64_t matched = v->matched;
    if (prefix_matches(v, m)) {
        vsr_accept_entries(v, m);
        if (v->halted)
            return;
        if (v->transfer.kind == TRANSFER_ENTRIES &&
            v->matched >= v->transfer.prev.index && v->matched == v->op)
            vsr_transfer_stop(v);
    } else if (v->transfer.kind == TRANSFER_NONE) {
        vsr_transfer_start(v, m->from, v->op);
    }
    follow_commit(v);
    /* New entries are acknowledged by their sync. */
    if (new_round || v->matched == matched || v->matched <= v->synced)
        vsr_acknowledge(v, m->view);
}

/* ---- events ------------------------------------------------------------- */

/* Drops what is not for this view or this life of the sender; follows a higher
 * view.  True when the message is to be looked at. */
static bool
admit(struct vsr *v, const struct vsr_message *m)
{
    if (m->from >= v->config.replica_count || m->to != v->config.replica ||
        m->from == v->config.replica || m->view > VIEW_MAX ||
        m->sender_incarnation > VIEW_MAX || m->incarnation > VIEW_MAX)
        return false;
    if (m->type == VSR_RECOVERY || m->type == VSR_RECOVERY_RESPONSE)
        return true;
    uint64_t *life = &v->incarnation[m->from];
    if (m->sender_incarnation < *life &&
        !MUTATED(v, VSR_MUTATION_COUNT_OLD_LIFE))
        return false;
    if (m->sender_incarnation > *life)
        *life = m->sender_incarnation;
    if (v->status == STATUS_RECOVERING && v->phase != RECOVERY_FETCH)
        return false;
    if (m->view > v->view)
        vsr_adopt_view(v, m->view);
    if (m->view < v->view) {
        struct vsr_message notice = vsr_message_to(v, m->from, VSR_VIEW_NOTICE);
        vsr_send(v, &notice);
        return (MUTATED(v, VSR_MUTATION_LOWER_VIEW) &&
                m->type == VSR_PREPARE) ||
               (MUTATED(v, VSR_MUTATION_STALE_TRANSFER) &&
                m->type == VSR_ENTRIES);
    }
    return true;
}

static void
on_message(struct vsr *v, const struct vsr_message *m)
{
    if (!admit(v, m))
        return;
    switch (m->type) {
    case VSR_PREPARE:
        on_prepare(v, m);
        break;
    case VSR_PREPARE_OK:
        on_prepare_ok(v, m);
        break;
    case VSR_START_VIEW_CHANGE:
        vsr_on_start_view_change(v, m);
        break;
    case VSR_DO_VIEW_CHANGE:
        vsr_on_do_view_change(v, m);
        break;
    case VSR_VIEW_NOTICE:
        vsr_on_view_notice(v, m);
        break;
    case VSR_GET_ENTRIES:
        vsr_on_get_entries(v, m);
        break;
    case VSR_ENTRIES:
        vsr_on_entries(v, m);
        break;
    case VSR_GET_SNAPSHOT:
        vsr_on_get_snapshot(v, m);
        break;
    case VSR_SNAPSHOT_CHUNK:
        vsr_on_snapshot_chunk(v, m);
        break;
    case VSR_RECOVERY:
        vsr_on_recovery(v, m);
        break;
    case VSR_RECOVERY_RESPONSE:
        vsr_on_recovery_response(v, m);
        break;
    default:
        break;
    }
}

static void
metadata_done(struct vsr *v)
{
    bool new_view = v->durable.view != v->metadata.view;
    v->metadata_writing = false;
    v->durable = v->metadata;
    if (v->status == STATUS_RECOVERING && !v->durable.recovering) {
        v->phase = RECOVERY_NONE;
        vsr_become_backup(v);
        vsr_reset_election(v);
    }
    if (new_view)
        vsr_vote(v);
}

static void
on_disk_done(struct vsr *v, uint64_t seq)
{
    if (v->metadata_writing && seq >= v->metadata_seq)
        metadata_done(v);
    if (!v->syncing || seq < v->sync_seq)
        return;
    v->syncing = false;
    if (v->sync_index > v->synced)
        v->synced = v->sync_index;
    if (vsr_is_primary(v)) {
        if (v->synced > v->acked)
            v->acked = v->synced;
        advance_commit(v);
    } else if (v->status == STATUS_NORMAL) {
        vsr_acknowledge(v, v->view);
    } else if (v->status == STATUS_VIEW_CHANGE) {
        vsr_vote(v);
    } else {
        vsr_recovery_check(v);
    }
}

static void
on_tick(struct vsr *v)
{
    if (vsr_is_primary(v)) {
        check_majority(v);
        /* Without a majority it resigns: the backups may elect another. */
        if (v->now_ns >= v->beat_ns && !v->suspecting)
            vsr_heartbeat(v);
    }
    vsr_view_tick(v);
    vsr_transfer_tick(v);
    vsr_recovery_tick(v);
    uint64_t commit = v->commit < v->synced ? v->commit : v->synced;
    if (!v->metadata_writing && v->now_ns >= v->metadata_ns &&
        (commit > v->metadata.commit || v->acked > v->metadata.acked))
        vsr_write_metadata(v);
}

static void
on_snapshot_taken(struct vsr *v, struct vsr_position position)
{
    v->snapshotting = false;
    if (position.index <= v->snapshot.index || position.index > v->applied)
        return; /* an installed one is newer, or the engine was rebuilt */
    v->snapshot = position;
    uint64_t retain = v->config.retain_entries;
    if (v->op - v->base.index > v->config.log_entries_max / 2 ||
        v->bytes > v->config.log_bytes_max / 2)
        retain = 0;
    if (position.index > retain)
        vsr_release(v, position.index - retain);
}

static void
take_snapshot(struct vsr *v)
{
    uint64_t behind = v->applied - v->snapshot.index;
    bool crowded = v->op - v->base.index > v->config.log_entries_max / 2 ||
                   v->bytes > v->config.log_bytes_max / 2;
    if (v->snapshotting || v->installing || behind == 0 ||
        v->applied > v->synced || v->applied > v->commit)
        return;
    if (behind < v->config.snapshot_interval && !crowded)
        return;
    v->snapshotting = true;
    vsr_action(v, VSR_ACTION_TAKE_SNAPSHOT)->position = vsr_at(v, v->applied);
}

static void
step_event(struct vsr *v, const struct vsr_event *e)
{
    switch (e->type) {
    case VSR_EVENT_TICK:
        on_tick(v);
        break;
    case VSR_EVENT_CONTINUE:
        break;
    case VSR_EVENT_MESSAGE:
        on_message(v, e->message);
        break;
    case VSR_EVENT_DISK_DONE:
        on_disk_done(v, e->seq);
        break;
    case VSR_EVENT_REQUEST:
        on_request(v, e);
        break;
    case VSR_EVENT_READ:
        on_read(v, e);
        break;
    case VSR_EVENT_SNAPSHOT_TAKEN:
        on_snapshot_taken(v, e->position);
        break;
    case VSR_EVENT_SNAPSHOT_INSTALLED:
        vsr_on_installed(v, e);
        break;
    }
}

/* What every event may have made possible. */
static void
settle(struct vsr *v)
{
    apply_committed(v);
    reads_serve(v);
    flush(v);
    take_snapshot(v);
}

static void
begin(struct vsr *v, uint64_t now_ns, struct vsr_actions *actions)
{
    assert(now_ns >= v->now_ns);
    v->now_ns = now_ns;
    v->out = actions;
    v->out_entry_count = 0;
    actions->count = 0;
    actions->more = false;
}

void
vsr_step(struct vsr *v, const struct vsr_event *event,
         struct vsr_actions *actions)
{
    assert(v->started);
    begin(v, event->now_ns, actions);
    if (!v->halted)
        step_event(v, event);
    if (!v->halted)
        settle(v);
    v->out = NULL;
}

/* ---- start -------------------------------------------------------------- */

struct vsr *
vsr_new(const struct vsr_config *c)
{
    assert(c->replica_count >= 3 && c->replica_count % 2 == 1);
    assert(c->replica_count <= VSR_REPLICAS_MAX);
    assert(c->replica < c->replica_count);
    assert(c->position_max <= VSR_POSITION_MAX);
    assert(c->pipeline_max > 0 && c->pipeline_max <= VSR_PIPELINE_MAX);
    assert(c->reads_max > 0 && c->reads_max <= VSR_READS_MAX);
    assert(c->log_entries_max >= 4 * LOG_RESERVE);
    assert(c->log_bytes_max >= 4 * (uint64_t)VSR_PAYLOAD_BYTES_MAX);
    struct vsr *v = xcalloc(1, sizeof(*v));
    v->config = *c;
    v->quorum = c->replica_count / 2u + 1u;
    rng_init(&v->rng, c->seed);
    v->slots = xcalloc(c->log_entries_max, sizeof(*v->slots));
    v->reads = xcalloc(c->reads_max, sizeof(*v->reads));
    v->sessions = rng_u64(&v->rng) >> 8;
    return v;
}

void
vsr_free(struct vsr *v)
{
    if (v == NULL)
        return;
    for (unsigned i = 0; i < v->config.log_entries_max; i++)
        free(v->slots[i].payload);
    free(v->slots);
    free(v->reads);
    free(v);
}

int
vsr_restore_snapshot(struct vsr *v, struct vsr_position position,
                     struct error *err)
{
    assert(!v->started && v->op == 0);
    if (position.index == 0)
        return error_set(err, ERROR_ENVIRONMENT, "snapshot at index 0");
    v->snapshot = v->base = position;
    v->op = v->applied = v->commit = position.index;
    return 0;
}

static int
restore_first(struct vsr *v, const struct vsr_entry *e, struct error *err)
{
    if (e->index == 0 || e->index > v->snapshot.index + 1)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log begins at %llu, the snapshot ends at %llu",
                         (unsigned long long)e->index,
                         (unsigned long long)v->snapshot.index);
    if (e->index == 1)
        v->base = (struct vsr_position){0};
    else if (e->index <= v->snapshot.index)
        v->base = (struct vsr_position){e->view, e->index};
    v->op = v->base.index;
    return 0;
}

int
vsr_restore_entry(struct vsr *v, const struct vsr_entry *e, struct error *err)
{
    assert(!v->started);
    unsigned long long index = e->index;
    if (!v->restoring) {
        v->restoring = true;
        if (restore_first(v, e, err) < 0)
            return -1;
        if (e->index == v->base.index)
            return 0; /* its payload is not needed, its position is */
    }
    if (e->index != v->op + 1)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log entry %llu follows entry %llu", index,
                         (unsigned long long)v->op);
    if (e->view < vsr_view_at(v, v->op))
        return error_set(err, ERROR_ENVIRONMENT,
                         "log entry %llu is of an earlier view than the "
                         "entry before",
                         index);
    if (e->index == v->snapshot.index && e->view != v->snapshot.view)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log entry %llu is not the one in the snapshot",
                         index);
    while (!vsr_has_room(v, e->length, 0) &&
           v->base.index < v->snapshot.index && v->base.index < v->op)
        vsr_drop_first(v); /* kept for slow peers only */
    if (!vsr_has_room(v, e->length, 0))
        return error_set(err, ERROR_ENVIRONMENT,
                         "the log passes its limit at entry %llu", index);
    vsr_store(v, e, 0);
    return 0;
}

static int
check_metadata(const struct vsr *v, const struct vsr_metadata *m,
               struct error *err)
{
    unsigned long long op = v->op;
    if (m->replica != v->config.replica ||
        m->replica_count != v->config.replica_count)
        return error_set(err, ERROR_ENVIRONMENT, "metadata of replica %u of %u",
                         m->replica, m->replica_count);
    if (v->op < v->snapshot.index)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log ends at %llu, before the snapshot", op);
    if (v->op < m->acked)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log ends at %llu, but %llu was acknowledged", op,
                         (unsigned long long)m->acked);
    if (v->op < m->commit)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log ends at %llu, but %llu was committed", op,
                         (unsigned long long)m->commit);
    if (vsr_view_at(v, v->op) > m->view)
        return error_set(err, ERROR_ENVIRONMENT,
                         "log ends in view %llu, metadata says view %llu",
                         (unsigned long long)vsr_view_at(v, v->op),
                         (unsigned long long)m->view);
    return 0;
}

static void
start_with(struct vsr *v, const struct vsr_metadata *m)
{
    v->metadata = v->durable = *m;
    v->view = m->view;
    v->acked = m->acked;
    memcpy(v->incarnation, m->incarnation, sizeof(v->incarnation));
    if (m->commit > v->commit)
        v->commit = m->commit;
    v->lead_view_min = m->view + 1;
    if (MUTATED(v, VSR_MUTATION_LEAD_AGAIN))
        v->lead_view_min = m->view;
    v->status = STATUS_VIEW_CHANGE;
    if (v->snapshot.index > 0)
        v->recovery = v->op > v->snapshot.index ? VSR_RECOVERY_SNAPSHOT_AND_LOG
                                                : VSR_RECOVERY_SNAPSHOT;
    else if (v->op > 0)
        v->recovery = VSR_RECOVERY_LOG;
}

static void
start_fresh(struct vsr *v)
{
    v->status = STATUS_VIEW_CHANGE;
    v->lead_view_min = 1;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        v->incarnation[i] = 1;
    vsr_write_metadata(v);
}

int
vsr_start(struct vsr *v, const struct vsr_metadata *metadata_or_null,
          uint64_t now_ns, struct vsr_actions *actions, struct error *err)
{
    const struct vsr_metadata *m = metadata_or_null;
    assert(!v->started);
    if (m == NULL && v->op > 0)
        return error_set(err, ERROR_ENVIRONMENT,
                         "there is a log or a snapshot, but no metadata");
    if (m != NULL && check_metadata(v, m, err) < 0)
        return -1;
    begin(v, now_ns, actions);
    v->started = true;
    /* What was read may never have been synced. */
    v->synced = v->snapshot.index;
    v->metadata_ns = now_ns + v->config.metadata_interval_ns;
    if (m != NULL)
        start_with(v, m);
    bool forgot = m == NULL ? !v->config.bootstrap : m->recovering;
    if (MUTATED(v, VSR_MUTATION_VOTE_UNRECOVERED))
        forgot = false;
    if (forgot)
        vsr_recovery_start(v, RECOVERY_QUERY);
    else if (m == NULL)
        start_fresh(v);
    v->beat_ns = now_ns;
    vsr_reset_election(v);
    settle(v);
    v->out = NULL;
    return 0;
}

/* Everything committed before its view lies below the no-op that opened it. */
static bool
knows_commit(const struct vsr *v)
{
    return vsr_view_at(v, v->applied) == v->view ||
           MUTATED(v, VSR_MUTATION_READY_EARLY);
}

static enum vsr_role
role(const struct vsr *v)
{
    if (v->status == STATUS_VIEW_CHANGE)
        return VSR_ROLE_VIEW_CHANGE;
    if (v->status == STATUS_RECOVERING)
        return VSR_ROLE_RECOVERING;
    return vsr_is_primary(v) ? VSR_ROLE_PRIMARY : VSR_ROLE_BACKUP;
}

void
vsr_status(const struct vsr *v, struct vsr_status *ret)
{
    bool normal = v->status == STATUS_NORMAL;
    *ret = v->counters;
    ret->role = role(v);
    ret->recovery = v->recovery;
    ret->view = v->view;
    ret->last_normal_view = vsr_view_at(v, v->op);
    ret->primary = normal ? vsr_primary_of(v, v->view) : -1;
    ret->ready = normal && knows_commit(v) &&
                 (!vsr_is_primary(v) || (serving(v) && !v->suspecting));
    ret->op = v->op;
    ret->synced = v->synced;
    ret->commit = v->commit;
    ret->applied = v->applied;
    ret->snapshot = v->snapshot.index;
    ret->base = v->base.index;
    ret->pending_requests = v->request_count;
    ret->pending_reads = v->read_count;
    ret->snapshot_transfer = v->transfer.kind == TRANSFER_SNAPSHOT;
}
