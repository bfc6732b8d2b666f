/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: the first replica that applies an index says what is committed
 * there; everybody after it must agree in view, bytes and resulting state, and
 * at that moment a majority must hold the entry durably.  Everything else is
 * checked against that record and against the platters of the disks.
 *
 * Failure modes: none of its own; it only reads.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "harness/base/arena.h"
#include "tests/simulation/oracle.h"

typedef unsigned long long ull;

void
oracle_init(struct oracle *o)
{
    *o = (struct oracle){0};
    o->entries = xcalloc(SIM_INDEX_MAX, sizeof(*o->entries));
    o->leaders = xcalloc(SIM_INDEX_MAX, sizeof(*o->leaders));
    for (unsigned i = 0; i < TOY_CLIENTS_MAX; i++)
        o->executed[i] = xcalloc(SIM_INDEX_MAX, sizeof(uint64_t));
}

void
oracle_release(struct oracle *o)
{
    free(o->entries);
    free(o->leaders);
    for (unsigned i = 0; i < TOY_CLIENTS_MAX; i++)
        free(o->executed[i]);
}

/* ---- messages ----------------------------------------------------------- */

static bool
is_vote(unsigned type)
{
    return type == VSR_PREPARE_OK || type == VSR_DO_VIEW_CHANGE ||
           type == VSR_START_VIEW_CHANGE || type == VSR_PREPARE;
}

static void
check_acknowledged(struct sim *s, unsigned i, const struct vsr_message *m)
{
    const struct node *n = &s->nodes[i], *p = &s->nodes[m->to];
    if (m->index == 0)
        return;
    if (!disk_holds(&n->disk, m->index)) {
        sim_violation(s, 2, "n%u acknowledges %llu, not durable there", i,
                      (ull)m->index);
        return;
    }
    struct vsr_entry mine, theirs;
    if (!p->up || p->status.role != VSR_ROLE_PRIMARY ||
        p->status.view != m->view || !vsr_entry_at(n->vsr, m->index, &mine) ||
        m->index <= n->status.commit)
        return;
    if (!vsr_entry_at(p->vsr, m->index, &theirs) && m->index > p->status.op)
        sim_violation(s, 4, "n%u acknowledges %llu, beyond the primary's log",
                      i, (ull)m->index);
    else if (vsr_entry_at(p->vsr, m->index, &theirs) &&
             theirs.view != mine.view)
        sim_violation(s, 4,
                      "n%u acknowledges %llu of view %llu, the primary "
                      "has one of view %llu",
                      i, (ull)m->index, (ull)mine.view, (ull)theirs.view);
}

void
oracle_sends(struct sim *s, unsigned i, const struct vsr_message *m,
             size_t length)
{
    struct node *n = &s->nodes[i];
    if (length == 0 || length > VSR_MESSAGE_BYTES_MAX)
        sim_violation(s, 13, "n%u sends %zu bytes", i, length);
    if (m->type == VSR_RECOVERY)
        return;
    if (m->view < n->spoken_view)
        sim_violation(s, 5, "n%u speaks in view %llu after view %llu", i,
                      (ull)m->view, (ull)n->spoken_view);
    if (m->view > n->spoken_view)
        n->acked = 0;
    n->spoken_view = m->view;
    if (m->type == VSR_PREPARE_OK && m->index > n->acked)
        n->acked = m->index;
    if (!n->disk.has_metadata || n->disk.metadata.view < m->view)
        if (m->view > 0)
            sim_violation(s, 5, "n%u speaks in view %llu, not durable", i,
                          (ull)m->view);
    if (n->must_recover && is_vote(m->type))
        sim_violation(s, 11, "n%u lost its disk and sends %s", i,
                      vsr_message_type_name(m->type));
    if (m->type == VSR_PREPARE_OK)
        check_acknowledged(s, i, m);
    struct vsr_position end = disk_end(&n->disk);
    if (m->type == VSR_DO_VIEW_CHANGE &&
        (end.index != m->prev.index || end.view != m->prev.view))
        sim_violation(s, 6, "n%u votes with log end %llu, durable is %llu", i,
                      (ull)m->prev.index, (ull)end.index);
}

/* ---- entries ------------------------------------------------------------ */

static unsigned
durable_copies(const struct sim *s, uint64_t index, uint64_t view)
{
    unsigned copies = 0;
    for (unsigned i = 0; i < s->profile.nodes; i++) {
        const struct disk *d = &s->nodes[i].disk;
        if (d->held[index] == view || d->snapshot.index >= index)
            copies++;
    }
    return copies;
}

static void
check_executed(struct sim *s, unsigned i, const struct machine_result *r)
{
    uint64_t sequence = r->sequence;
    if (sequence >= SIM_INDEX_MAX || r->client >= TOY_CLIENTS_MAX)
        return;
    uint64_t *version = &s->oracle.executed[r->client][sequence];
    if (*version == 0)
        *version = r->version;
    if (*version != r->version)
        sim_violation(s, 9,
                      "n%u answers %llu to operation %llu of client %llu, "
                      "which was answered %llu",
                      i, (ull)r->version, (ull)sequence, (ull)r->client,
                      (ull)*version);
}

static void
first_applied(struct sim *s, unsigned i, struct committed *c,
              const struct vsr_entry *e)
{
    struct oracle *o = &s->oracle;
    unsigned copies = durable_copies(s, e->index, e->view);
    if (copies < s->profile.nodes / 2u + 1)
        sim_violation(s, 2, "n%u applies %llu of view %llu, durable on %u", i,
                      (ull)e->index, (ull)e->view, copies);
    c->known = true;
    c->view = e->view;
    c->known_view = s->nodes[i].status.view;
    c->kind = e->kind;
    c->hash = toy_hash(3, e->payload, e->length);
    c->digest = machine_digest(&s->nodes[i].machine);
    if (e->index > o->last)
        o->last = e->index;
    if (e->view < o->view_last)
        sim_violation(s, 1, "entry %llu of view %llu behind one of view %llu",
                      (ull)e->index, (ull)e->view, (ull)o->view_last);
    o->view_last = e->view;
}

void
oracle_applied(struct sim *s, unsigned i, const struct vsr_entry *e,
               const struct machine_result *r)
{
    assert(e->index < SIM_INDEX_MAX);
    struct committed *c = &s->oracle.entries[e->index];
    if (r->malformed)
        sim_violation(s, 11, "n%u applies %llu, which nobody proposed", i,
                      (ull)e->index);
    if (r->early)
        sim_violation(s, 10, "n%u expires lease %llu early", i, (ull)r->value);
    if (e->kind == TOY_WRITE || e->kind == TOY_LEASE)
        check_executed(s, i, r);
    if (!c->known) {
        first_applied(s, i, c, e);
        return;
    }
    if (c->view != e->view || c->kind != e->kind ||
        c->hash != toy_hash(3, e->payload, e->length))
        sim_violation(s, 1,
                      "n%u applies %llu of view %llu, committed was one "
                      "of view %llu",
                      i, (ull)e->index, (ull)e->view, (ull)c->view);
    else if (c->digest != machine_digest(&s->nodes[i].machine))
        sim_violation(s, 7, "n%u has another state at %llu", i, (ull)e->index);
}

/* ---- answers ------------------------------------------------------------ */

void
oracle_answered(struct sim *s, unsigned i, uint64_t floor,
                struct vsr_position position)
{
    const struct node *n = &s->nodes[i];
    const struct machine_result *r = &n->result;
    if (n->machine.index != position.index)
        sim_violation(s, 2, "n%u answers %llu, applied is %llu", i,
                      (ull)position.index, (ull)n->machine.index);
    if (r->version != 0 && !r->cached && r->version <= floor)
        sim_violation(s, 8, "n%u: version %llu, %llu was known before", i,
                      (ull)r->version, (ull)floor);
    if (r->version > s->oracle.floor)
        s->oracle.floor = r->version;
}

void
oracle_read(struct sim *s, unsigned i, uint64_t floor)
{
    const struct node *n = &s->nodes[i];
    if (machine_version(&n->machine) < floor)
        sim_violation(s, 8, "n%u reads version %llu, %llu was known before", i,
                      (ull)machine_version(&n->machine), (ull)floor);
    if (machine_version(&n->machine) > s->oracle.floor)
        s->oracle.floor = machine_version(&n->machine);
}

/* ---- roles -------------------------------------------------------------- */

/* A late primary of a lower view need not have what a higher one committed. */
static void
check_new_primary(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    const struct oracle *o = &s->oracle;
    for (uint64_t k = n->status.base + 1; k <= o->last; k++) {
        const struct committed *c = &o->entries[k];
        struct vsr_entry e;
        if (!c->known || c->known_view >= n->status.view)
            continue;
        if (vsr_entry_at(n->vsr, k, &e) && e.view == c->view)
            continue;
        sim_violation(s, 6,
                      "n%u leads view %llu without entry %llu of view "
                      "%llu, committed in view %llu",
                      i, (ull)n->status.view, (ull)k, (ull)c->view,
                      (ull)c->known_view);
        return;
    }
}

static void
check_ready(struct sim *s, unsigned i)
{
    const struct vsr_status *now = &s->nodes[i].status;
    const struct oracle *o = &s->oracle;
    uint64_t k = o->last;
    while (k > now->applied && o->entries[k].known_view >= now->view)
        k--;
    if (k > now->applied)
        sim_violation(s, 8,
                      "n%u is ready in view %llu at %llu, before it "
                      "%llu was committed",
                      i, (ull)now->view, (ull)now->applied, (ull)k);
}

/* No two replicas ever commit in one view. */
static void
check_dual_primary(struct sim *s, unsigned i, uint64_t view)
{
    uint8_t *leader = &s->oracle.leaders[view % SIM_INDEX_MAX];

    if (*leader != 0 && *leader != i + 1)
        sim_violation(s, 1, "n%u commits in view %llu, as n%u did", i,
                      (ull)view, *leader - 1u);
    *leader = (uint8_t)(i + 1);
}

void
oracle_stepped(struct sim *s, unsigned i, const struct vsr_status *before)
{
    struct node *n = &s->nodes[i];
    const struct vsr_status *now = &n->status;
    struct vsr_entry e;
    bool primary = now->role == VSR_ROLE_PRIMARY;
    if (primary &&
        (before->role != VSR_ROLE_PRIMARY || before->view != now->view))
        check_new_primary(s, i);
    bool rises = primary && now->commit > before->commit;
    if (rises && vsr_entry_at(n->vsr, now->commit, &e) && e.view != now->view) {
        if (before->role == VSR_ROLE_PRIMARY)
            sim_violation(s, 3, "n%u counts copies of %llu of view %llu", i,
                          (ull)now->commit, (ull)e.view);
        else if (now->commit > s->oracle.commit_max)
            sim_violation(s, 3, "n%u opens view %llu and commits %llu", i,
                          (ull)now->view, (ull)now->commit);
    }
    if (primary && now->commit > before->commit)
        check_dual_primary(s, i, now->view);
    if (now->commit > s->oracle.commit_max)
        s->oracle.commit_max = now->commit;
    if (now->ready && (!before->ready || before->view != now->view))
        check_ready(s, i);
    if (now->commit < before->commit)
        sim_violation(s, 1, "n%u takes commit back to %llu", i,
                      (ull)now->commit);
    if (now->ready && primary && now->commit < now->op &&
        now->applied > now->commit)
        sim_violation(s, 2, "n%u applied %llu, committed is %llu", i,
                      (ull)now->applied, (ull)now->commit);
}

void
oracle_installs(struct sim *s, unsigned i, struct vsr_position position)
{
    const struct node *n = &s->nodes[i];
    if (n->acked > position.index && n->spoken_view == n->status.view)
        sim_violation(s, 13, "n%u acknowledged %llu and installs %llu", i,
                      (ull)n->acked, (ull)position.index);
}

void
oracle_installed(struct sim *s, unsigned i, struct vsr_position position)
{
    const struct committed *c = &s->oracle.entries[position.index];
    const struct node *n = &s->nodes[i];
    if (!c->known || c->view != position.view)
        sim_violation(s, 13, "n%u installs a snapshot of %llu, not committed",
                      i, (ull)position.index);
    else if (c->digest != machine_digest(&n->machine))
        sim_violation(s, 13, "n%u installs another state of %llu", i,
                      (ull)position.index);
}

void
oracle_started(struct sim *s, unsigned i)
{
    sim_violation(s, 11, "n%u starts on a damaged disk", i);
}

static void
compare_logs(struct sim *s, unsigned a, unsigned b)
{
    struct node *na = &s->nodes[a], *nb = &s->nodes[b];
    uint64_t last =
        na->status.op < nb->status.op ? na->status.op : nb->status.op;
    uint64_t low =
        na->status.base > nb->status.base ? na->status.base : nb->status.base;
    bool together = false;
    for (uint64_t k = last; k > low; k--) {
        struct vsr_entry ea, eb;
        if (!vsr_entry_at(na->vsr, k, &ea) || !vsr_entry_at(nb->vsr, k, &eb))
            return;
        bool same =
            ea.view == eb.view && ea.length == eb.length && ea.kind == eb.kind;
        if (ea.view == eb.view)
            together = true;
        if (!same && together) {
            sim_violation(s, 4,
                          "logs of n%u and n%u part at %llu and meet "
                          "again",
                          a, b, (ull)k);
            return;
        }
    }
}

void
oracle_compare(struct sim *s)
{
    for (unsigned a = 0; a < s->profile.nodes; a++)
        for (unsigned b = a + 1; b < s->profile.nodes; b++)
            if (s->nodes[a].up && s->nodes[b].up)
                compare_logs(s, a, b);
}
