/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Catch-up and recovery.
 *
 * Happy path of catch-up: ask the primary (a primary to be asks the holder of
 * the best log) for what follows the own last entry; entries come in pieces,
 * one outstanding request at a time, until the end of the other's log.  If the
 * other has a different entry there, go back by views until one agrees: all
 * after it is cut when the first different entry comes.  If the other has
 * released those entries, or they are more than the budget of a catch-up, its
 * snapshot is fetched in pieces, staged, installed, and the suffix follows.
 *
 * Happy path of recovery (a disk was lost): ask all which life of this disk
 * they know; announce the next one, which a majority of the others makes
 * durable and so counts no vote of the earlier life any more; their answers
 * tell the highest view; take the log of its primary; only then take part.  Any
 * vote of the earlier life that could still count belongs to a view which one
 * of the answering replicas had reached.
 *
 * Failure modes: lost pieces are asked for again, after a bounded number of
 * times the transfer starts over; an answer of another session, peer, view or
 * piece is refused and counted; bad snapshot bytes are found by the host and
 * fetched anew; a disagreement about what is committed here halts the replica;
 * a view change during recovery asks for the views anew.
 */
#include "config.h"

#include "replica/vsr-internal.h"

static bool
same(struct vsr_position a, struct vsr_position b)
{
    return a.view == b.view && a.index == b.index;
}

static void
transfer_ask(struct vsr *v)
{
    struct transfer *t = &v->transfer;
    t->retry_ns = v->now_ns + v->config.retransmit_ns;
    struct vsr_message m = vsr_message_to(
        v, t->peer,
        t->kind == TRANSFER_ENTRIES ? VSR_GET_ENTRIES : VSR_GET_SNAPSHOT);
    m.session = t->session;
    m.prev = t->prev;
    m.snapshot = t->snapshot;
    m.offset = t->offset;
    vsr_send(v, &m);
}

void
vsr_transfer_start(struct vsr *v, uint8_t peer, uint64_t from_index)
{
    assert(peer != v->config.replica && !v->installing);
    v->transfer = (struct transfer){.kind = TRANSFER_ENTRIES,
                                    .peer = peer,
                                    .session = ++v->sessions,
                                    .prev = vsr_at(v, from_index)};
    transfer_ask(v);
}

void
vsr_transfer_stop(struct vsr *v)
{
    v->transfer = (struct transfer){0};
}

void
vsr_transfer_tick(struct vsr *v)
{
    struct transfer *t = &v->transfer;
    if (t->kind == TRANSFER_NONE || v->now_ns < t->retry_ns)
        return;
    if (t->retries++ < TRANSFER_RETRIES_MAX)
        transfer_ask(v);
    else if (v->status == STATUS_RECOVERING)
        vsr_recovery_start(v, RECOVERY_ANNOUNCE);
    else
        vsr_transfer_start(v, t->peer, v->op);
}

/* ---- serving ------------------------------------------------------------ */

/* The log of a view is its primary's; before the view is open, what a voter has
 * is for the primary to be alone.  A primary that restarted in its view is not
 * its primary any more: it may have lost the unsynced end of that log. */
static bool
may_serve(const struct vsr *v, const struct vsr_message *m)
{
    if (v->installing || v->status == STATUS_RECOVERING)
        return false;
    return vsr_is_primary(v) || MUTATED(v, VSR_MUTATION_SERVE_UNOPENED) ||
           (v->status == STATUS_VIEW_CHANGE &&
            m->from == vsr_primary_of(v, v->view));
}

static void
offer_snapshot(const struct vsr *v, struct vsr_message *answer)
{
    answer->result = VSR_TRANSFER_SNAPSHOT;
    answer->snapshot = v->snapshot;
}

/* Too far behind for entries: it would fall back further meanwhile.  Judged by
 * the snapshot, so that taking it is always progress. */
static bool
beyond_budget(const struct vsr *v, uint64_t index)
{
    return v->snapshot.index > index &&
           v->snapshot.index - index > v->config.catch_up_entries;
}

void
vsr_on_get_entries(struct vsr *v, const struct vsr_message *m)
{
    if (!may_serve(v, m))
        return;
    struct vsr_message a = vsr_message_to(v, m->from, VSR_ENTRIES);
    a.session = m->session;
    a.prev = m->prev;
    a.commit = v->commit;
    a.index = v->op;
    if (m->prev.index > v->op) {
        a.result = VSR_TRANSFER_MISMATCH;
        a.hint = vsr_at(v, v->op);
    } else if (m->prev.index < v->base.index) {
        offer_snapshot(v, &a);
    } else if (beyond_budget(v, m->prev.index)) {
        v->counters.catch_up_breaches++;
        offer_snapshot(v, &a);
    } else if (vsr_view_at(v, m->prev.index) != m->prev.view) {
        uint64_t hint = vsr_last_not_above(v, m->prev.index, m->prev.view);
        a.result = VSR_TRANSFER_MISMATCH;
        a.hint = vsr_at(v, hint);
        if (hint == v->base.index && a.hint.view > m->prev.view)
            offer_snapshot(v, &a);
    } else {
        a.entry_count = vsr_batch(v, m->prev.index, v->op, &a.entries);
    }
    vsr_send(v, &a);
}

void
vsr_on_get_snapshot(struct vsr *v, const struct vsr_message *m)
{
    if (!may_serve(v, m) || v->snapshot.index == 0)
        return;
    /* One that was begun may go on as long as the host keeps it. */
    bool current = same(m->snapshot, v->snapshot) || m->offset > 0;
    struct vsr_message a =
        vsr_message_to(v, m->from, current ? VSR_SNAPSHOT_CHUNK : VSR_ENTRIES);
    a.session = m->session;
    a.offset = m->offset;
    a.prev = m->prev;
    if (current)
        a.snapshot = m->snapshot;
    else
        offer_snapshot(v, &a);
    vsr_send(v, &a);
}

/* ---- taking ------------------------------------------------------------- */

/* A view change that moves along is not to be suspected. */
static void
show_progress(struct vsr *v)
{
    if (v->status == STATUS_NORMAL)
        return;
    vsr_reset_election(v);
    if (!v->elected || v->now_ns < v->beat_ns)
        return;
    v->beat_ns = v->now_ns + v->config.heartbeat_ns;
    struct vsr_message m = vsr_message_to(v, 0, VSR_VIEW_NOTICE);
    vsr_broadcast(v, &m);
}

static void
transfer_done(struct vsr *v)
{
    vsr_transfer_stop(v);
    if (v->status == STATUS_RECOVERING)
        vsr_recovery_check(v);
    else if (v->status == STATUS_NORMAL)
        vsr_acknowledge(v, v->view);
    else if (v->elected && same(vsr_at(v, v->op), v->best))
        vsr_become_primary(v);
}

static void
take_entries(struct vsr *v, const struct vsr_message *m)
{
    uint64_t before = v->op;
    vsr_accept_entries(v, m);
    if (v->halted)
        return;
    if (v->op > before)
        v->counters.entries_fetched += v->op - before;
    if (m->entry_count > 0 && v->recovery < VSR_RECOVERY_SUFFIX)
        v->recovery = VSR_RECOVERY_SUFFIX;
    if (v->status == STATUS_NORMAL) {
        if (m->commit > v->leader_commit)
            v->leader_commit = m->commit;
        vsr_commit_to(v, v->leader_commit < v->matched ? v->leader_commit
                                                       : v->matched);
    }
    uint64_t reached = m->prev.index + m->entry_count;
    if (reached > v->op)
        return; /* no room: asked again when a snapshot has made some */
    show_progress(v);
    if (reached >= m->index) {
        transfer_done(v);
        return;
    }
    if (reached < v->base.index)
        reached = v->base.index;
    v->transfer.prev = vsr_at(v, reached);
    v->transfer.retries = 0;
    transfer_ask(v);
}

static void
step_back(struct vsr *v, const struct vsr_message *m)
{
    struct transfer *t = &v->transfer;
    if (t->prev.index <= v->commit) {
        vsr_halt(v, "a peer lacks an entry committed here");
        return;
    }
    uint64_t index = t->prev.index - 1;
    if (m->hint.index < index)
        index = m->hint.index;
    uint64_t low = v->commit > v->base.index ? v->commit : v->base.index;
    if (index > low)
        index = vsr_last_not_above(v, index, m->hint.view);
    if (index < low)
        index = low;
    t->prev = vsr_at(v, index);
    t->retries = 0;
    transfer_ask(v);
}

static void
turn_to_snapshot(struct vsr *v, const struct vsr_message *m)
{
    struct transfer *t = &v->transfer;
    if (m->snapshot.index <= v->commit || m->snapshot.index > VIEW_MAX ||
        m->snapshot.view > m->view ||
        m->snapshot.view < vsr_view_at(v, v->commit)) {
        v->counters.stale_refused++;
        return;
    }
    *t = (struct transfer){.kind = TRANSFER_SNAPSHOT,
                           .peer = t->peer,
                           .session = ++v->sessions,
                           .snapshot = m->snapshot};
    transfer_ask(v);
}

/* Is this the answer to what was asked last? */
static bool
expected(struct vsr *v, const struct vsr_message *m)
{
    const struct transfer *t = &v->transfer;
    bool fits = t->kind != TRANSFER_NONE && m->from == t->peer &&
                m->session == t->session;
    if (fits && m->type == VSR_ENTRIES && t->kind == TRANSFER_ENTRIES)
        fits = same(m->prev, t->prev);
    else if (fits && m->type == VSR_ENTRIES)
        fits = m->result == VSR_TRANSFER_SNAPSHOT;
    else if (fits)
        fits = t->kind == TRANSFER_SNAPSHOT && same(m->snapshot, t->snapshot) &&
               m->offset == t->offset;
    if (!fits)
        v->counters.stale_refused++;
    return fits;
}

/* A piece of any session, appended wherever it fits. */
static void
take_stale(struct vsr *v, const struct vsr_message *m)
{
    if (m->result == VSR_TRANSFER_OK && m->prev.index <= v->op &&
        m->prev.index >= v->base.index && v->status == STATUS_NORMAL &&
        !vsr_is_primary(v))
        vsr_accept_entries(v, m);
}

void
vsr_on_entries(struct vsr *v, const struct vsr_message *m)
{
    if (!vsr_entries_valid(m))
        return;
    if (!expected(v, m)) {
        if (MUTATED(v, VSR_MUTATION_STALE_TRANSFER))
            take_stale(v, m);
        return;
    }
    struct transfer *t = &v->transfer;
    if (t->kind == TRANSFER_ENTRIES && t->prev.index >= v->base.index &&
        (t->prev.index > v->op || !same(vsr_at(v, t->prev.index), t->prev))) {
        vsr_transfer_start(v, t->peer, v->op); /* cut meanwhile */
        return;
    }
    switch (m->result) {
    case VSR_TRANSFER_OK:
        take_entries(v, m);
        break;
    case VSR_TRANSFER_MISMATCH:
        step_back(v, m);
        break;
    case VSR_TRANSFER_SNAPSHOT:
        turn_to_snapshot(v, m);
        break;
    default:
        break;
    }
}

static void
install(struct vsr *v)
{
    struct vsr_position position = v->transfer.snapshot;
    vsr_transfer_stop(v);
    /* A late PREPARE may have brought the entries meanwhile, and they may have
     * been acknowledged: then they are not given up. */
    if (position.index <= v->commit || position.index <= v->matched)
        return;
    /* The log goes; what was acknowledged beyond the common prefix is not in
     * the log of a later view, so it was never committed. */
    if (v->acked > v->commit)
        v->acked = v->commit;
    vsr_write_metadata(v);
    v->installing = true;
    v->install = position;
    struct vsr_action *a = vsr_action(v, VSR_ACTION_INSTALL_SNAPSHOT);
    a->seq = ++v->seq;
    a->position = position;
}

void
vsr_on_snapshot_chunk(struct vsr *v, const struct vsr_message *m)
{
    if (!expected(v, m))
        return;
    struct transfer *t = &v->transfer;
    bool ends = m->offset + m->length == m->total;
    if (m->total > SNAPSHOT_BYTES_MAX || m->length > VSR_CHUNK_BYTES_MAX ||
        m->offset + m->length > m->total || m->last != ends ||
        (m->length == 0 && !m->last) || (m->last && v->snapshotting))
        return;
    struct vsr_action *a = vsr_action(v, VSR_ACTION_STAGE_SNAPSHOT);
    a->position = t->snapshot;
    a->offset = m->offset;
    a->data = m->data;
    a->length = m->length;
    t->offset += m->length;
    t->retries = 0;
    show_progress(v);
    if (m->last)
        install(v);
    else
        transfer_ask(v);
}

void
vsr_on_installed(struct vsr *v, const struct vsr_event *e)
{
    assert(v->installing && same(e->position, v->install));
    v->installing = false;
    if (e->ok) {
        vsr_drop_all(v, v->install);
        v->snapshot = v->install;
        v->commit = v->applied = v->install.index;
        if (v->matched < v->commit)
            v->matched = v->commit;
        v->counters.snapshots_installed++;
        if (v->recovery < VSR_RECOVERY_SNAPSHOT_INSTALL)
            v->recovery = VSR_RECOVERY_SNAPSHOT_INSTALL;
    }
    if (v->status == STATUS_VIEW_CHANGE && v->elected)
        vsr_transfer_start(v, v->best_peer, v->op);
    else if (v->status == STATUS_VIEW_CHANGE)
        vsr_vote(v);
    else if (v->status == STATUS_NORMAL || v->phase == RECOVERY_FETCH)
        vsr_transfer_start(v, vsr_primary_of(v, v->view), v->op);
}

/* ---- recovery of a replica that lost its disk ---------------------------- */

static void
recovery_ask(struct vsr *v)
{
    v->recovery_ns = v->now_ns + v->config.retransmit_ns;
    struct vsr_message m = vsr_message_to(v, 0, VSR_RECOVERY);
    m.session = v->nonce;
    if (v->phase == RECOVERY_ANNOUNCE)
        m.incarnation = v->incarnation[v->config.replica];
    vsr_broadcast(v, &m);
}

void
vsr_recovery_start(struct vsr *v, enum recovery_phase phase)
{
    vsr_transfer_stop(v);
    v->status = STATUS_RECOVERING;
    v->phase = phase;
    v->nonce = rng_u64(&v->rng);
    v->metadata.recovering = true;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        v->peers[i].answer = (struct answer){0};
    vsr_write_metadata(v);
    recovery_ask(v);
}

void
vsr_on_recovery(struct vsr *v, const struct vsr_message *m)
{
    uint64_t *life = &v->incarnation[m->from];
    if (v->status == STATUS_RECOVERING)
        return;
    if (m->incarnation != 0 && m->incarnation < *life)
        return;
    if (m->incarnation > *life)
        *life = m->incarnation;
    if (m->incarnation != 0 &&
        v->durable.incarnation[m->from] < m->incarnation) {
        /* Answered when it asks again and this is durable. */
        if (!v->metadata_writing)
            vsr_write_metadata(v);
        return;
    }
    struct vsr_message a = vsr_message_to(v, m->from, VSR_RECOVERY_RESPONSE);
    a.session = m->session;
    a.incarnation = *life;
    a.normal = v->status == STATUS_NORMAL;
    a.prev = vsr_at(v, v->op);
    memcpy(a.incarnations, v->incarnation, sizeof(a.incarnations));
    vsr_send(v, &a);
}

/* The next life: above all that a majority of the others has heard of. */
static void
announce(struct vsr *v)
{
    uint64_t life = 1;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        if (v->peers[i].answer.present && v->peers[i].answer.incarnation > life)
            life = v->peers[i].answer.incarnation;
    if (v->incarnation[v->config.replica] > life)
        life = v->incarnation[v->config.replica];
    v->incarnation[v->config.replica] = life + 1;
    vsr_recovery_start(v, RECOVERY_ANNOUNCE);
}

static void
follow_answers(struct vsr *v)
{
    uint64_t view = v->view;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        if (v->peers[i].answer.present && v->peers[i].answer.view > view)
            view = v->peers[i].answer.view;
    uint8_t primary = vsr_primary_of(v, view);
    const struct answer *a = &v->peers[primary].answer;
    if (primary == v->config.replica || !a->present || !a->normal ||
        a->view != view)
        return;
    v->view = view;
    v->lead_view_min = view + 1;
    v->target = a->end;
    v->matched = v->commit;
    v->phase = RECOVERY_FETCH;
    vsr_write_metadata(v);
    if (!v->installing)
        vsr_transfer_start(v, primary, v->op);
}

void
vsr_on_recovery_response(struct vsr *v, const struct vsr_message *m)
{
    if (v->status != STATUS_RECOVERING || m->session != v->nonce ||
        v->phase == RECOVERY_FETCH)
        return;
    if (v->phase == RECOVERY_ANNOUNCE &&
        m->incarnation != v->incarnation[v->config.replica])
        return;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        if (i != v->config.replica && m->incarnations[i] > v->incarnation[i])
            v->incarnation[i] = m->incarnations[i];
    v->peers[m->from].answer = (struct answer){.present = true,
                                               .normal = m->normal,
                                               .view = m->view,
                                               .incarnation = m->incarnation,
                                               .end = m->prev};
    unsigned count = 0;
    for (unsigned i = 0; i < v->config.replica_count; i++)
        count += v->peers[i].answer.present;
    if (count < v->quorum)
        return;
    if (v->phase == RECOVERY_QUERY)
        announce(v);
    else
        follow_answers(v);
}

void
vsr_recovery_check(struct vsr *v)
{
    if (v->status != STATUS_RECOVERING || v->phase != RECOVERY_FETCH ||
        v->transfer.kind != TRANSFER_NONE || v->installing ||
        !v->metadata.recovering || v->matched < v->target.index ||
        v->synced < v->op)
        return;
    v->metadata.recovering = false;
    vsr_write_metadata(v);
}

void
vsr_recovery_tick(struct vsr *v)
{
    if (v->status != STATUS_RECOVERING)
        return;
    if (v->phase != RECOVERY_FETCH) {
        if (v->now_ns >= v->recovery_ns)
            recovery_ask(v);
    } else if (v->transfer.kind == TRANSFER_NONE && !v->installing &&
               v->matched < v->target.index) {
        vsr_transfer_start(v, vsr_primary_of(v, v->view), v->op);
    }
}
