/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suspicion and view change.
 *
 * Happy path: a replica that has not heard its primary suspects the view and
 * says so; when a majority does, each moves to the next view, makes that
 * durable, lets its log become durable and votes (DO_VIEW_CHANGE).  The primary
 * of the view takes the log with the highest (view of last entry, index) among
 * a majority, fetches what it lacks of it and opens the view with a no-op.
 *
 * Failure modes: votes missing, the best log's holder gone, no room for the
 * no-op: the view is suspected in its turn and the next primary tries.  A vote
 * given in an earlier life of a disk does not count.  A replica never leads the
 * view it restarted in: it may have led it before and lost unsynced entries.
 */
#include "config.h"

#include "replica/vsr-internal.h"

void
vsr_reset_election(struct vsr *v)
{
    uint64_t base = v->config.election_timeout_ns;
    v->waits_ns = v->now_ns;
    v->election_ns = v->now_ns + base + rng_below(&v->rng, base);
}

/* Only a planted bug applies what is not committed; it is undone here. */
static void
rebuild(struct vsr *v)
{
    if (v->applied <= v->commit)
        return;
    vsr_action(v, VSR_ACTION_REBUILD)->position = v->snapshot;
    v->applied = v->snapshot.index;
}

static void
forget_peers(struct vsr *v)
{
    for (unsigned i = 0; i < v->config.replica_count; i++) {
        struct peer *p = &v->peers[i];
        p->match = p->round = 0;
        p->suspects = false;
        p->vote = (struct vote){0};
    }
}

void
vsr_adopt_view(struct vsr *v, uint64_t view)
{
    assert(view > v->view);
    vsr_fail_requests(v);
    vsr_fail_reads(v, VSR_UNKNOWN_LEADERSHIP_LOST);
    rebuild(v);
    vsr_transfer_stop(v);
    forget_peers(v);
    v->view = view;
    v->matched = 0;
    v->elected = v->suspecting = false;
    v->counters.view_changes++;
    vsr_reset_election(v);
    if (v->status == STATUS_RECOVERING && v->metadata.recovering) {
        vsr_recovery_start(v, RECOVERY_ANNOUNCE);
        return;
    }
    v->status = STATUS_VIEW_CHANGE;
    v->phase = RECOVERY_NONE;
    vsr_write_metadata(v);
    if (MUTATED(v, VSR_MUTATION_SPEAK_BEFORE_DURABLE))
        vsr_vote(v);
}

static void
check_suspicion(struct vsr *v)
{
    if (!v->suspecting || v->status == STATUS_RECOVERING)
        return;
    unsigned count = 1;
    for (unsigned i = 0; i < v->config.replica_count; i++) {
        const struct peer *p = &v->peers[i];
        if (i != v->config.replica && p->suspects &&
            v->now_ns - p->suspects_ns < v->config.election_timeout_ns)
            count++;
    }
    if (count >= v->quorum)
        vsr_adopt_view(v, v->view + 1);
}

void
vsr_view_tick(struct vsr *v)
{
    if (v->status == STATUS_RECOVERING)
        return;
    if (!vsr_is_primary(v) && v->now_ns >= v->election_ns)
        v->suspecting = true;
    if (v->status == STATUS_VIEW_CHANGE && v->now_ns >= v->beat_ns) {
        v->beat_ns = v->now_ns + v->config.heartbeat_ns;
        vsr_vote(v);
    }
    if (v->suspecting && v->now_ns >= v->suspicion_ns) {
        v->suspicion_ns = v->now_ns + v->config.heartbeat_ns;
        struct vsr_message m = vsr_message_to(v, 0, VSR_START_VIEW_CHANGE);
        vsr_broadcast(v, &m);
    }
    check_suspicion(v);
}

void
vsr_on_start_view_change(struct vsr *v, const struct vsr_message *m)
{
    v->peers[m->from].suspects = true;
    v->peers[m->from].suspects_ns = v->now_ns;
    /* The primary itself has resigned; or a peer was the first to give up
     * waiting, and it has been long enough here too. */
    if (m->from == vsr_primary_of(v, v->view) ||
        (!vsr_is_primary(v) &&
         v->now_ns - v->waits_ns >= v->config.election_timeout_ns))
        v->suspecting = v->status != STATUS_RECOVERING;
    check_suspicion(v);
}

/* A vote speaks for a log that will not change before the view opens. */
void
vsr_vote(struct vsr *v)
{
    if (v->status != STATUS_VIEW_CHANGE || !vsr_may_speak(v) || v->installing ||
        v->elected || v->synced != v->op)
        return;
    uint8_t primary = vsr_primary_of(v, v->view);
    struct vsr_position end = vsr_at(v, v->op);
    if (primary == v->config.replica) {
        if (v->view < v->lead_view_min)
            return;
        v->peers[primary].vote = (struct vote){.present = true,
                                               .end = end,
                                               .commit = v->commit,
                                               .life = v->incarnation[primary]};
        vsr_elect(v);
        return;
    }
    struct vsr_message m = vsr_message_to(v, primary, VSR_DO_VIEW_CHANGE);
    m.prev = end;
    m.commit = v->commit;
    memcpy(m.incarnations, v->incarnation, sizeof(m.incarnations));
    vsr_send(v, &m);
}

static bool
position_above(const struct vsr *v, struct vsr_position a,
               struct vsr_position b)
{
    if (MUTATED(v, VSR_MUTATION_LONGEST_LOG))
        return a.index > b.index;
    return a.view != b.view ? a.view > b.view : a.index > b.index;
}

static bool
vote_counts(const struct vsr *v, unsigned i)
{
    const struct vote *vote = &v->peers[i].vote;
    if (MUTATED(v, VSR_MUTATION_COUNT_OLD_LIFE))
        return vote->present;
    return vote->present && vote->life >= v->incarnation[i];
}

void
vsr_elect(struct vsr *v)
{
    uint8_t self = v->config.replica;
    if (v->status != STATUS_VIEW_CHANGE || v->elected || !vote_counts(v, self))
        return;
    unsigned count = 0;
    uint8_t best = self;
    uint64_t commit = v->commit;
    for (uint8_t i = 0; i < v->config.replica_count; i++) {
        const struct vote *vote = &v->peers[i].vote;
        if (!vote_counts(v, i))
            continue;
        count++;
        if (vote->commit > commit)
            commit = vote->commit;
        if (position_above(v, vote->end, v->peers[best].vote.end) &&
            !MUTATED(v, VSR_MUTATION_OWN_LOG))
            best = i;
    }
    if (count < v->quorum)
        return;
    v->elected = true;
    v->best = v->peers[best].vote.end;
    v->best_peer = best;
    v->best_commit = commit;
    if (best == self)
        vsr_become_primary(v);
    else
        vsr_transfer_start(v, best, v->op);
}

void
vsr_on_do_view_change(struct vsr *v, const struct vsr_message *m)
{
    if (vsr_primary_of(v, v->view) != v->config.replica ||
        v->view < v->lead_view_min)
        return;
    if (vsr_is_primary(v)) {
        vsr_heartbeat(v); /* the voter has not noticed yet */
        return;
    }
    for (unsigned i = 0; i < v->config.replica_count; i++)
        if (m->incarnations[i] > v->incarnation[i])
            v->incarnation[i] = m->incarnations[i];
    if (!v->elected)
        v->peers[m->from].vote = (struct vote){.present = true,
                                               .end = m->prev,
                                               .commit = m->commit,
                                               .life = m->sender_incarnation};
    vsr_elect(v);
}

/* From the primary to be: it is making progress. */
void
vsr_on_view_notice(struct vsr *v, const struct vsr_message *m)
{
    if (v->status == STATUS_VIEW_CHANGE &&
        m->from == vsr_primary_of(v, v->view)) {
        vsr_reset_election(v);
        v->suspecting = false;
    }
}
