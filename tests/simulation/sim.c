/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of a simulated cluster, its network, its hosts, its clients
 * and its faults.
 *
 * Happy path: draw a profile from the seed, start the replicas, let clients
 * write and read while faults come and go, heal everything, and see every
 * client and every replica get on within PROGRESS_NS.
 *
 * Failure modes: a rule is broken (the schedule ends, the report says which); a
 * replica halts; nothing moves after the heal.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/arena.h"
#include "tests/simulation/oracle.h"

#define MS UINT64_C(1000000)
#define PROGRESS_NS (8000 * MS)
/* Small, so that a snapshot takes several pieces. */
#define CHUNK_BYTES_TOY 150u
#define CHUNK_BYTES 8192u
/* As the daemon: so long after its last piece a snapshot is kept for a peer. */
#define SERVED_NS (400 * MS)
/* Token of an expire entry of a tick: this bit, and which one above bit 40. */
#define TOKEN_EXPIRE (UINT64_C(1) << 47)
#define TOKEN_SUB_SHIFT 40
#define STEPS_MAX 3000000u

typedef unsigned long long ull;

enum event_type {
    EV_MESSAGE,
    EV_DISK,
    EV_INSTALLED,
    EV_SNAPSHOT,
    EV_TICK,
    EV_CONTINUE,
    EV_REQUEST,
    EV_REPLY,
    EV_CLIENT,
    EV_CRASH,
    EV_CRASH_SPEAKER,
    EV_RESTART,
    EV_PARTITION,
    EV_MEND,
    EV_PAUSE,
    EV_HEAL,
    EV_CHECK,
};

struct sim_event {
    uint64_t time_ns, seq, boot;
    enum event_type type;
    uint8_t node, client;
    uint64_t a, b;
    struct vsr_position position;
    void *data; /* owned */
    size_t length;
};

/* ---- telling ------------------------------------------------------------ */

static void
note(struct sim *s, uint64_t what)
{
    s->report->transcript =
        toy_hash(s->report->transcript, &what, sizeof(what));
}

void
sim_say(struct sim *s, int node, const char *fmt, ...)
{
    if (!s->verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    printf("%10.3f ms  ", (double)s->now_ns / 1e6);
    if (node >= 0)
        printf("n%d ", node);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

void
sim_violation(struct sim *s, unsigned rule, const char *fmt, ...)
{
    if (s->report->violated)
        return;
    s->report->violated = true;
    s->report->rule = rule;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->report->what, sizeof(s->report->what), fmt, ap);
    va_end(ap);
    sim_say(s, -1, "VIOLATION of rule %u: %s", rule, s->report->what);
}

/* ---- the queue ---------------------------------------------------------- */

static bool
before(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->seq < b->seq;
}

static void
push(struct sim *s, struct sim_event e)
{
    if (s->heap_count == s->heap_cap) {
        s->heap_cap = s->heap_cap == 0 ? 1024 : 2 * s->heap_cap;
        s->heap = xrealloc(s->heap, s->heap_cap * sizeof(*s->heap));
    }
    e.seq = ++s->event_seq;
    unsigned i = s->heap_count++;
    while (i > 0 && before(&e, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = e;
}

static struct sim_event
pop(struct sim *s)
{
    struct sim_event top = s->heap[0], e = s->heap[--s->heap_count];
    unsigned i = 0;
    while (2 * i + 1 < s->heap_count) {
        unsigned child = 2 * i + 1;
        if (child + 1 < s->heap_count &&
            before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &e))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = e;
    return top;
}

static uint64_t
spread(struct rng *r, uint64_t mean)
{
    return mean / 4 + rng_below(r, mean * 3 / 2 + 1);
}

/* ---- network ------------------------------------------------------------ */

/* Crashes who votes or opens a view at once; a vote then arrives in its next
 * life, the no-op that opened the view may not have been synced. */
static bool
crash_speaker(struct sim *s, const struct vsr_message *m)
{
    bool vote = m->type == VSR_DO_VIEW_CHANGE;
    bool opens = m->type == VSR_PREPARE && m->entry_count > 0 &&
                 m->entries[0].kind == VSR_KIND_NOOP;
    double chance = vote    ? s->profile.crash_voter
                    : opens ? s->profile.crash_opener
                            : 0;
    if (s->healed || !rng_chance(&s->rng_fault, chance))
        return false;
    push(s, (struct sim_event){.type = EV_CRASH_SPEAKER,
                               .node = m->from,
                               .boot = s->nodes[m->from].boot,
                               .time_ns = s->now_ns});
    return vote;
}

static void
post(struct sim *s, const struct vsr_message *m, const void *data,
     size_t length)
{
    bool slow = crash_speaker(s, m);
    const struct profile *p = &s->profile;
    struct rng *r = &s->rng_net;
    s->report->messages++;
    if (s->blocked[m->from][m->to] || rng_chance(r, p->drop))
        return;
    unsigned copies = rng_chance(r, p->duplicate) ? 2 : 1;
    for (; copies > 0; copies--) {
        struct sim_event e = {.type = EV_MESSAGE,
                              .node = m->to,
                              .client = m->from,
                              .time_ns =
                                  s->now_ns + 50000 + rng_below(r, p->delay_ns),
                              .length = length};
        if (slow ||
            rng_chance(r, m->type == VSR_PREPARE_OK ? p->late_ok : p->late))
            e.time_ns += rng_below(r, 1500 * MS);
        e.data = xcalloc(1, length);
        memcpy(e.data, data, length);
        push(s, e);
    }
}

static void
send_message(struct sim *s, unsigned i, const struct vsr_message *m)
{
    size_t length = vsr_message_encode(m, s->wire, VSR_MESSAGE_BYTES_MAX);
    note(s, (uint64_t)m->type << 32 | (uint64_t)m->from << 8 | m->to);
    sim_say(s, (int)i,
            "-> n%u %s view %llu prev %llu/%llu entries %u index "
            "%llu commit %llu round %llu",
            m->to, vsr_message_type_name(m->type), (ull)m->view,
            (ull)m->prev.view, (ull)m->prev.index, m->entry_count,
            (ull)m->index, (ull)m->commit, (ull)m->round);
    oracle_sends(s, i, m, length);
    post(s, m, s->wire, length);
}

static void
send_snapshot(struct sim *s, unsigned i, const struct vsr_message *partial)
{
    struct node *n = &s->nodes[i];
    struct vsr_message m = *partial;
    const struct blob *state = NULL;
    uint32_t chunk =
        n->machine.kind == MACHINE_TOY ? CHUNK_BYTES_TOY : CHUNK_BYTES;

    if (m.snapshot.index == n->disk.snapshot.index)
        state = &n->disk.state;
    else if (m.snapshot.index == n->served_position.index)
        state = &n->served;
    if (state == NULL || state->length == 0 ||
        m.offset >= state->length + sizeof(state->digest))
        return;
    size_t total = state->length + sizeof(state->digest);
    CLEANUP_FREE uint8_t *bytes = xcalloc(1, total);
    n->served_until_ns = s->now_ns + SERVED_NS;
    memcpy(bytes, state->data, state->length);
    memcpy(bytes + state->length, &state->digest, sizeof(state->digest));
    if (rng_chance(&s->rng_net, s->profile.bad_chunk))
        bytes[m.offset] ^= 1;
    m.total = total;
    m.data = bytes + m.offset;
    m.length = (uint32_t)(total - m.offset);
    if (m.length > chunk)
        m.length = chunk;
    m.last = m.offset + m.length == m.total;
    send_message(s, i, &m);
}

/* ---- host: disk and snapshots ------------------------------------------- */

static void
disk_later(struct sim *s, unsigned i, enum event_type type, uint64_t seq,
           struct vsr_position position)
{
    struct node *n = &s->nodes[i];
    if (n->disk_free_ns < s->now_ns)
        n->disk_free_ns = s->now_ns;
    n->disk_free_ns += 20000 + rng_below(&s->rng_disk, s->profile.disk_ns);
    push(s, (struct sim_event){.type = type,
                               .node = (uint8_t)i,
                               .boot = n->boot,
                               .time_ns = n->disk_free_ns,
                               .a = seq,
                               .position = position});
}

static void
take_snapshot(struct sim *s, unsigned i, struct vsr_position position)
{
    struct node *n = &s->nodes[i];
    struct blob state = {0};
    blob_take(&state, &n->machine);
    if (s->mutation == SIM_MUTATION_DEDUPE_LOST) {
        struct toy_state *toy = state.data;
        memset(toy->sequences, 0, sizeof(toy->sequences));
    }
    push(s, (struct sim_event){.type = EV_SNAPSHOT,
                               .node = (uint8_t)i,
                               .boot = n->boot,
                               .time_ns =
                                   s->now_ns + rng_below(&s->rng_disk, 20 * MS),
                               .position = position,
                               .a = state.digest,
                               .data = state.data,
                               .length = state.length});
}

static void
stage(struct node *n, const struct vsr_action *a)
{
    if (a->offset == 0)
        buf_reset(&n->staging);
    n->staged = a->position;
    if (a->offset == n->staging.len)
        buf_append(&n->staging, a->data, a->length);
}

/* What was staged, borrowed; false: it is not a state with its digest. */
static bool
staged_state(const struct sim *s, struct node *n, const struct vsr_action *a,
             struct blob *ret)
{
    struct machine m;
    bool good;
    if (n->staging.len < sizeof(ret->digest))
        return false;
    ret->data = n->staging.data;
    ret->length = n->staging.len - sizeof(ret->digest);
    memcpy(&ret->digest, n->staging.data + ret->length, sizeof(ret->digest));
    machine_init(&m, n->machine.kind, n->machine.bug);
    good = machine_load(&m, ret->data, ret->length) &&
           (machine_digest(&m) == ret->digest ||
            s->mutation == SIM_MUTATION_SNAPSHOT_UNCHECKED) &&
           n->staged.index == a->position.index;
    machine_release(&m);
    return good;
}

static void
install(struct sim *s, unsigned i, const struct vsr_action *a)
{
    struct node *n = &s->nodes[i];
    struct blob state = {0};
    if (!staged_state(s, n, a, &state)) {
        push(s, (struct sim_event){.type = EV_INSTALLED,
                                   .node = (uint8_t)i,
                                   .boot = n->boot,
                                   .time_ns = s->now_ns + 1000,
                                   .position = a->position});
        return;
    }
    oracle_installs(s, i, a->position);
    disk_order(&n->disk, a);
    disk_order_state(&n->disk, &state);
    disk_later(s, i, EV_INSTALLED, a->seq, a->position);
}

/* ---- host: engine and answers ------------------------------------------- */

static void
plan_expiry(struct sim *s, struct node *n)
{
    uint64_t slot = machine_slot(&n->machine);
    if (s->mutation == SIM_MUTATION_EARLY_EXPIRY)
        slot += 2;
    if (n->status.role == VSR_ROLE_PRIMARY)
        n->proposal_count =
            machine_plan(&n->machine, slot, n->proposals, n->proposal_lengths);
    else if (s->mutation == SIM_MUTATION_EXPIRE_ON_BACKUP)
        toy_expire_all(&n->machine.toy);
}

static void
apply(struct sim *s, unsigned i, const struct vsr_entry *e)
{
    struct node *n = &s->nodes[i];
    if (e->index != n->machine.index + 1)
        sim_violation(s, 7, "n%u applies %llu after %llu", i, (ull)e->index,
                      (ull)n->machine.index);
    n->result = machine_apply(&n->machine, e);
    if (e->kind == TOY_TICK && n->machine.kind == MACHINE_TOY) {
        n->proposal_token = 0;
        plan_expiry(s, n);
    }
    note(s, e->index << 8 | i);
    sim_say(s, (int)i, "applies %llu/%llu kind %u version %llu%s", (ull)e->view,
            (ull)e->index, e->kind, (ull)n->result.version,
            n->result.cached ? " (cached)" : "");
    oracle_applied(s, i, e, &n->result);
}

static void
reply(struct sim *s, unsigned i, uint8_t client, uint64_t attempt,
      enum vsr_outcome outcome, const struct machine_answer *answer)
{
    struct machine_answer *copy = NULL;
    if (rng_chance(&s->rng_client, s->profile.drop))
        return;
    if (answer != NULL && s->profile.machine != MACHINE_TOY) {
        copy = xcalloc(1, sizeof(*copy));
        *copy = *answer;
    }
    push(s, (struct sim_event){
                .type = EV_REPLY,
                .client = client,
                .node = (uint8_t)i,
                .a = attempt,
                .b = outcome,
                .data = copy,
                .time_ns = s->now_ns + 50000 +
                           rng_below(&s->rng_client, s->profile.delay_ns)});
}

static void
tick_reply(struct sim *s, unsigned i, uint8_t client)
{
    struct tick_wait *w = &s->nodes[i].ticks[client];
    reply(s, i, client, w->attempt,
          w->lost ? VSR_UNKNOWN_LEADERSHIP_LOST : VSR_COMMITTED, &w->answer);
}

/* A tick is committed: what is due now is proposed, then it is answered.  With
 * two at once the second finds nothing left to do. */
static void
tick_committed(struct sim *s, unsigned i, uint8_t client, uint64_t attempt)
{
    struct node *n = &s->nodes[i];
    struct tick_wait *w = &n->ticks[client];
    *w = (struct tick_wait){.attempt = attempt, .answer = n->result.answer};
    if (n->proposal_count == 0) {
        plan_expiry(s, n);
        n->proposal_token = (uint64_t)client << 48 | TOKEN_EXPIRE | attempt;
        w->outstanding = n->proposal_count;
    }
    if (w->outstanding == 0)
        tick_reply(s, i, client);
}

/* A full pipeline leaves it to the next tick. */
static void
expire_completed(struct sim *s, unsigned i, const struct vsr_action *a)
{
    struct node *n = &s->nodes[i];
    uint8_t client = (uint8_t)(a->token >> 48);
    struct tick_wait *w = &n->ticks[client];
    uint64_t attempt = a->token & ((UINT64_C(1) << TOKEN_SUB_SHIFT) - 1);
    if (w->attempt != attempt || w->outstanding == 0)
        return;
    if (a->outcome == VSR_COMMITTED && n->result.answer.expired_count > 0)
        w->answer.expired[w->answer.expired_count++] =
            n->result.answer.expired[0];
    else if (a->outcome != VSR_COMMITTED &&
             a->outcome != VSR_REFUSED_OVERLOADED)
        w->lost = true;
    if (--w->outstanding == 0)
        tick_reply(s, i, client);
}

static void
complete_read(struct sim *s, unsigned i, uint8_t client, uint64_t attempt,
              enum vsr_outcome outcome)
{
    struct node *n = &s->nodes[i];
    const struct client *c = &s->clients[client];
    struct machine_answer answer = {0};
    if (outcome == VSR_COMMITTED && n->machine.kind != MACHINE_TOY &&
        attempt == c->attempt)
        machine_read(&n->machine, &c->op, &answer);
    reply(s, i, client, attempt, outcome, &answer);
}

static void
complete(struct sim *s, unsigned i, const struct vsr_action *a)
{
    uint8_t client = (uint8_t)(a->token >> 48);
    uint64_t attempt = a->token & 0xffffffffffff;
    bool reading = attempt & 1;
    struct client *c = &s->clients[client];
    bool fresh = attempt + SIM_OPS_MAX > c->attempt;
    uint64_t floor = c->floors[attempt % SIM_OPS_MAX];
    if ((a->token & TOKEN_EXPIRE) != 0) {
        expire_completed(s, i, a);
        return;
    }
    sim_say(s, (int)i, "completes client %u attempt %llu: %s", client,
            (ull)attempt, vsr_outcome_name(a->outcome));
    if (a->outcome == VSR_COMMITTED && reading && fresh)
        oracle_read(s, i, floor);
    else if (a->outcome == VSR_COMMITTED && !reading && fresh)
        oracle_answered(s, i, floor, a->position);
    if (reading)
        complete_read(s, i, client, attempt, a->outcome);
    else if (a->outcome == VSR_COMMITTED && c->kind == TOY_TICK &&
             attempt == c->attempt && s->profile.machine != MACHINE_TOY)
        tick_committed(s, i, client, attempt);
    else
        reply(s, i, client, attempt, a->outcome, &s->nodes[i].result.answer);
}

static void
rebuild(struct node *n)
{
    blob_restore(&n->disk.state, &n->machine);
}

/* ---- host: steps -------------------------------------------------------- */

static void
act(struct sim *s, unsigned i, const struct vsr_action *a)
{
    struct node *n = &s->nodes[i];
    switch (a->type) {
    case VSR_ACTION_SEND:
        send_message(s, i, &a->message);
        break;
    case VSR_ACTION_SEND_SNAPSHOT:
        send_snapshot(s, i, &a->message);
        break;
    case VSR_ACTION_APPEND:
        if (a->entry.index >= SIM_INDEX_MAX - 64)
            s->profile.clients = 0; /* enough */
        /* fall through */
    case VSR_ACTION_TRUNCATE:
        disk_order(&n->disk, a);
        break;
    case VSR_ACTION_METADATA:
    case VSR_ACTION_SYNC:
        disk_order(&n->disk, a);
        disk_later(s, i, EV_DISK, a->seq, (struct vsr_position){0});
        break;
    case VSR_ACTION_INSTALL_SNAPSHOT:
        install(s, i, a);
        break;
    case VSR_ACTION_STAGE_SNAPSHOT:
        stage(n, a);
        break;
    case VSR_ACTION_TAKE_SNAPSHOT:
        take_snapshot(s, i, a->position);
        break;
    case VSR_ACTION_RELEASE:
        disk_drop_front(&n->disk, a->index);
        break;
    case VSR_ACTION_APPLY:
        if (a->entry.index > n->machine.index ||
            s->mutation != SIM_BUG_ACK_BEFORE_COMMIT)
            apply(s, i, &a->entry);
        break;
    case VSR_ACTION_REBUILD:
        rebuild(n);
        break;
    case VSR_ACTION_COMPLETE:
        complete(s, i, a);
        break;
    case VSR_ACTION_HALT:
        sim_violation(s, 0, "n%u halts: %s", i, a->reason);
        break;
    }
}

/* ---- host: ends at a boundary -------------------------------------------- */

static void crash_and_restart(struct sim *s, unsigned i);

/* True: the replica ended here. */
static bool
ends_at(struct sim *s, unsigned i, enum sim_boundary b)
{
    if (b == BOUNDARY_COUNT || b != s->profile.boundary || s->healed ||
        s->report->violated ||
        !rng_chance(&s->rng_fault, s->profile.crash_boundary))
        return false;
    s->report->boundaries[b]++;
    sim_say(s, (int)i, "ends at %s", sim_boundary_name(b));
    crash_and_restart(s, i);
    return true;
}

static enum sim_boundary
boundary_before(enum vsr_action_type type)
{
    switch (type) {
    case VSR_ACTION_APPEND:
        return BOUNDARY_BEFORE_APPEND;
    case VSR_ACTION_SYNC:
        return BOUNDARY_BEFORE_SYNC;
    case VSR_ACTION_METADATA:
        return BOUNDARY_METADATA;
    case VSR_ACTION_SEND:
        return BOUNDARY_BEFORE_SEND;
    case VSR_ACTION_APPLY:
        return BOUNDARY_BEFORE_APPLY;
    case VSR_ACTION_COMPLETE:
        return BOUNDARY_BEFORE_REPLY;
    case VSR_ACTION_TAKE_SNAPSHOT:
        return BOUNDARY_CHECKPOINT_BEGIN;
    case VSR_ACTION_SEND_SNAPSHOT:
        return BOUNDARY_TRANSFER_SERVE;
    case VSR_ACTION_INSTALL_SNAPSHOT:
        return BOUNDARY_INSTALL_BEGIN;
    default:
        return BOUNDARY_COUNT;
    }
}

static enum sim_boundary
boundary_after(enum vsr_action_type type)
{
    switch (type) {
    case VSR_ACTION_APPEND:
        return BOUNDARY_AFTER_APPEND;
    case VSR_ACTION_COMPLETE:
        return BOUNDARY_AFTER_REPLY;
    case VSR_ACTION_STAGE_SNAPSHOT:
        return BOUNDARY_TRANSFER_CHUNK;
    case VSR_ACTION_INSTALL_SNAPSHOT:
        return BOUNDARY_INSTALL;
    default:
        return BOUNDARY_COUNT;
    }
}

/* False: it ended in the middle. */
static bool
act_list(struct sim *s, unsigned i)
{
    for (unsigned k = 0; k < s->actions.count && !s->report->violated; k++) {
        const struct vsr_action *a = &s->actions.items[k];
        if (ends_at(s, i, boundary_before(a->type)))
            return false;
        act(s, i, a);
        if (ends_at(s, i, boundary_after(a->type)))
            return false;
    }
    return true;
}

static bool
role_begins(const struct vsr_status *was, const struct vsr_status *now,
            enum vsr_role role)
{
    return now->role == role && (was->role != role || was->view != now->view);
}

/* False: it ended. */
static bool
act_all(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    struct vsr_status was = n->status;
    uint64_t boot = n->boot;
    bool more = s->actions.more;
    if (!act_list(s, i))
        return false;
    vsr_status(n->vsr, &n->status);
    if (n->status.view != was.view || n->status.role != was.role)
        sim_say(s, (int)i, "is %s in view %llu, op %llu commit %llu",
                vsr_role_name(n->status.role), (ull)n->status.view,
                (ull)n->status.op, (ull)n->status.commit);
    if (!s->report->violated)
        oracle_stepped(s, i, &was);
    if ((role_begins(&was, &n->status, VSR_ROLE_VIEW_CHANGE) &&
         ends_at(s, i, BOUNDARY_VIEW_CHANGE)) ||
        (role_begins(&was, &n->status, VSR_ROLE_PRIMARY) &&
         ends_at(s, i, BOUNDARY_VIEW_START)))
        return false;
    if (more)
        push(s, (struct sim_event){.type = EV_CONTINUE,
                                   .node = (uint8_t)i,
                                   .boot = boot,
                                   .time_ns = s->now_ns + 10000});
    return true;
}

static void
step(struct sim *s, unsigned i, struct vsr_event e)
{
    struct node *n = &s->nodes[i];
    e.now_ns = s->now_ns + n->clock_offset_ns;
    s->report->steps++;
    vsr_step(n->vsr, &e, &s->actions);
    bool up = act_all(s, i);
    while (up && n->proposal_count > 0 && !s->report->violated) {
        unsigned k = --n->proposal_count;
        struct vsr_event p = {.type = VSR_EVENT_REQUEST,
                              .now_ns = e.now_ns,
                              .kind = TOY_EXPIRE,
                              .payload = n->proposals[k],
                              .length = n->proposal_lengths[k]};
        if (n->proposal_token != 0)
            p.token = n->proposal_token | (uint64_t)(k + 1) << TOKEN_SUB_SHIFT;
        vsr_step(n->vsr, &p, &s->actions);
        up = act_all(s, i);
    }
}

/* ---- starting and crashing ---------------------------------------------- */

static void
restart_later(struct sim *s, unsigned i, uint64_t delay_ns)
{
    push(s, (struct sim_event){.type = EV_RESTART,
                               .node = (uint8_t)i,
                               .boot = s->nodes[i].boot,
                               .time_ns = s->now_ns + delay_ns});
}

static void
check_recovered(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    const struct vsr_metadata *m = &n->disk.metadata;
    if (!n->must_recover || !n->disk.has_metadata || m->recovering ||
        m->incarnation[i] <= n->lost_life)
        return;
    n->must_recover = false;
    s->report->recoveries++;
}

static void
count_status(struct sim *s, const struct node *n)
{
    s->report->discarded += n->status.entries_discarded;
    s->report->snapshots_installed += n->status.snapshots_installed;
    s->report->breaches += n->status.catch_up_breaches;
    s->report->stale += n->status.stale_refused;
}

static void
crash(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    if (!n->up)
        return;
    sim_say(s, (int)i, "crashes");
    s->report->crashes++;
    count_status(s, n);
    n->up = false;
    n->boot++;
    vsr_free(TAKE(n->vsr));
    disk_crash(&n->disk, &s->rng_disk);
    check_recovered(s, i);
    n->status.role = VSR_ROLE_RECOVERING;
}

static void
lose_disk(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    sim_say(s, (int)i, "loses its disk");
    s->report->wipes++;
    if (!n->must_recover) /* an announced life that never spoke is no loss */
        n->lost_life = n->disk.metadata.incarnation[i];
    disk_wipe(&n->disk);
    n->damaged = false;
    n->must_recover = true;
    n->spoken_view = 0;
}

/* Durable state may break its contract on a minority at a time. */
static bool
may_damage(const struct sim *s)
{
    unsigned damaged = 0;
    for (unsigned i = 0; i < s->profile.nodes; i++)
        damaged += s->nodes[i].damaged || s->nodes[i].must_recover;
    return damaged < (s->profile.nodes - 1u) / 2;
}

static void
damage(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    struct rng *r = &s->rng_fault;
    if (!n->disk.has_metadata)
        return;
    if (rng_chance(r, s->profile.wipe) && may_damage(s))
        lose_disk(s, i);
    if (rng_chance(r, s->profile.corrupt) && may_damage(s))
        n->damaged = disk_corrupt(&n->disk, r);
    else if (rng_chance(r, s->profile.chop) && may_damage(s))
        n->damaged = disk_chop(&n->disk, r);
    if (n->damaged)
        sim_say(s, (int)i, "has a damaged disk");
}

static void
tick_later(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    push(s, (struct sim_event){.type = EV_TICK,
                               .node = (uint8_t)i,
                               .boot = n->boot,
                               .time_ns = s->now_ns + 4 * MS +
                                          rng_below(&s->rng_net, 4 * MS)});
}

static void
start(struct sim *s, unsigned i)
{
    struct node *n = &s->nodes[i];
    struct vsr_config c = s->profile.config;
    struct disk_faults faults = {
        .keep_torn = s->mutation == SIM_MUTATION_KEEP_TORN,
        .cut_corrupt = s->mutation == SIM_MUTATION_CUT_CORRUPT,
        .ignore_marks = s->mutation == SIM_MUTATION_IGNORE_MARKS};
    struct error err;
    c.replica = (uint8_t)i;
    c.seed = rng_u64(&s->rng_net);
    c.bootstrap = !n->must_recover;
    n->boot++;
    n->clock_offset_ns = rng_below(&s->rng_net, 1u << 30);
    n->disk_free_ns = n->paused_until_ns = 0;
    buf_reset(&n->staging);
    blob_clear(&n->served);
    n->served_until_ns = 0;
    n->proposal_count = 0;
    memset(n->ticks, 0, sizeof(n->ticks));
    n->vsr = vsr_new(&c);
    if (disk_start(&n->disk, n->vsr, &faults, s->now_ns + n->clock_offset_ns,
                   &n->machine, &s->actions, &err) < 0) {
        sim_say(s, (int)i, "refuses to start: %s", err.text);
        s->report->refusals++;
        vsr_free(TAKE(n->vsr));
        if (!n->damaged)
            sim_violation(s, 11, "n%u refuses a sound disk: %s", i, err.text);
        lose_disk(s, i);
        restart_later(s, i, 20 * MS);
        return;
    }
    n->up = true;
    vsr_status(n->vsr, &n->status);
    sim_say(s, (int)i, "starts in view %llu, op %llu, recovery %s",
            (ull)n->status.view, (ull)n->status.op,
            vsr_recovery_name(n->status.recovery));
    if (n->damaged)
        oracle_started(s, i);
    if (!ends_at(s, i, BOUNDARY_RECOVERY) && act_all(s, i))
        tick_later(s, i);
}

/* ---- clients ------------------------------------------------------------ */

static void
client_later(struct sim *s, unsigned k, uint64_t delay_ns)
{
    struct client *c = &s->clients[k];
    c->deadline_ns = s->now_ns + delay_ns;
    push(s, (struct sim_event){.type = EV_CLIENT,
                               .client = (uint8_t)k,
                               .a = c->deadline_ns,
                               .time_ns = c->deadline_ns});
}

static void
choose_toy(struct sim *s, struct client *c)
{
    struct rng *r = &s->rng_client;
    uint64_t dice = rng_below(r, 100);
    c->reading = dice < 35;
    c->kind = dice < 75 ? TOY_WRITE : dice < 90 ? TOY_LEASE : TOY_TICK;
    c->value = c->kind == TOY_TICK ? ++s->slot : 1 + rng_below(r, 6);
}

static void
choose_operation(struct sim *s, struct client *c)
{
    struct machine_op *op = &c->op;
    *op = (struct machine_op){0};
    machine_draw(s->profile.machine, &s->rng_client, s->recent,
                 s->recent_count < ARRAY_LEN(s->recent)
                     ? s->recent_count
                     : (unsigned)ARRAY_LEN(s->recent),
                 op);
    c->reading = strcmp(op->function, "read") == 0;
    c->kind = strcmp(op->function, "tick") == 0 ? TOY_TICK : TOY_WRITE;
    op->client = (uint64_t)(c - s->clients) + 1;
    op->operation = op->client << 32 | (c->sequence + 1);
    if (c->kind == TOY_TICK)
        op->n = s->slot += 1 + rng_below(&s->rng_client, 2);
    c->number = history_invoke(&s->history, op);
}

static void
client_choose(struct sim *s, struct client *c)
{
    struct rng *r = &s->rng_client;
    c->busy = true;
    if (s->profile.machine == MACHINE_TOY)
        choose_toy(s, c);
    else
        choose_operation(s, c);
    c->padding = (uint32_t)rng_below(r, 40);
    if (rng_chance(r, s->profile.large_payload))
        c->padding = TOY_PAYLOAD_BYTES_MAX;
    c->floor = s->oracle.floor;
    if (!c->reading)
        c->sequence++;
}

/* A tick has no operation id: what is not answered is not asked again. */
static bool
gives_up(const struct sim *s, const struct client *c)
{
    return s->profile.machine != MACHINE_TOY && !c->reading &&
           c->kind == TOY_TICK;
}

static void
client_attempt(struct sim *s, unsigned k)
{
    struct client *c = &s->clients[k];
    struct rng *r = &s->rng_client;
    c->attempt += 2;
    c->attempt = (c->attempt & ~UINT64_C(1)) | c->reading;
    c->floors[c->attempt % SIM_OPS_MAX] = c->floor;
    if (!rng_chance(r, s->profile.drop))
        push(s,
             (struct sim_event){.type = EV_REQUEST,
                                .node = c->target,
                                .client = (uint8_t)k,
                                .a = c->attempt,
                                .time_ns = s->now_ns + 50000 +
                                           rng_below(r, s->profile.delay_ns)});
    client_later(s, k, 60 * MS + rng_below(r, 200 * MS));
}

static void
on_client(struct sim *s, const struct sim_event *e)
{
    struct client *c = &s->clients[e->client];
    if (e->client >= s->profile.clients || e->a != c->deadline_ns)
        return;
    if (!c->busy || gives_up(s, c))
        client_choose(s, c);
    else
        c->target = (uint8_t)rng_below(&s->rng_client, s->profile.nodes);
    client_attempt(s, e->client);
}

static void
on_request(struct sim *s, const struct sim_event *e)
{
    static uint8_t payload[TOY_PAYLOAD_BYTES_MAX + 64];
    struct client *c = &s->clients[e->client];
    if (!c->busy || e->a != c->attempt)
        return; /* its client gave this attempt up already */
    struct vsr_event v = {.type = VSR_EVENT_READ,
                          .token = (uint64_t)e->client << 48 | e->a};
    if (c->reading) {
        c->floors[e->a % SIM_OPS_MAX] = s->oracle.floor;
    } else {
        struct toy_command command = {
            .client = e->client, .sequence = c->sequence, .value = c->value};
        v.type = VSR_EVENT_REQUEST;
        v.kind = c->kind;
        v.payload = payload;
        v.length = s->profile.machine == MACHINE_TOY
                       ? toy_encode(&command, c->padding, payload)
                       : machine_encode(s->profile.machine, &c->op, payload);
    }
    step(s, e->node, v);
}

/* The client has its answer. */
static void
learn(struct sim *s, const struct client *c, const struct machine_answer *a)
{
    if (a == NULL)
        return;
    history_complete(&s->history, c->number, a);
    if (c->reading || strcmp(a->code, "ok") != 0)
        return;
    if (a->has_deadline)
        s->recent[s->recent_count++ % ARRAY_LEN(s->recent)] = a->lease;
    else if (strcmp(c->op.function, "place_hold") == 0)
        s->recent[s->recent_count++ % ARRAY_LEN(s->recent)] = c->op.b;
}

static void
on_reply(struct sim *s, const struct sim_event *e)
{
    struct client *c = &s->clients[e->client];
    struct rng *r = &s->rng_client;
    if (!c->busy || e->a != c->attempt)
        return;
    if (e->b == VSR_COMMITTED) {
        learn(s, c, e->data);
        c->busy = false;
        c->completed++;
        if (c->reading)
            s->report->reads++;
        else
            s->report->answers++;
        client_later(s, e->client, rng_below(r, 20 * MS));
        return;
    }
    if (e->b == VSR_UNKNOWN_LEADERSHIP_LOST && gives_up(s, c))
        c->busy = false;
    int primary = s->nodes[e->node].status.primary;
    c->target = (uint8_t)rng_below(r, s->profile.nodes);
    if (primary >= 0 && rng_chance(r, 0.7))
        c->target = (uint8_t)primary;
    client_later(s, e->client, 2 * MS + rng_below(r, 20 * MS));
}

/* ---- faults ------------------------------------------------------------- */

static void
fault_later(struct sim *s, enum event_type type, uint64_t mean_ns)
{
    if (mean_ns != 0)
        push(s, (struct sim_event){.type = type,
                                   .time_ns = s->now_ns +
                                              spread(&s->rng_fault, mean_ns)});
}

/* Half of all blows aim at a primary. */
static unsigned
victim(struct sim *s)
{
    unsigned i = (unsigned)rng_below(&s->rng_fault, s->profile.nodes);
    if (rng_chance(&s->rng_fault, 0.5))
        return i;
    for (unsigned k = 0; k < s->profile.nodes; k++) {
        const struct node *n = &s->nodes[(i + k) % s->profile.nodes];
        if (n->up && n->status.role == VSR_ROLE_PRIMARY)
            return (i + k) % s->profile.nodes;
    }
    return i;
}

static void
crash_and_restart(struct sim *s, unsigned i)
{
    if (!s->nodes[i].up)
        return;
    crash(s, i);
    if (!s->healed)
        damage(s, i);
    restart_later(s, i, spread(&s->rng_fault, 150 * MS));
}

static void
on_crash(struct sim *s)
{
    bool all = rng_chance(&s->rng_fault, 0.1);
    if (s->healed)
        return;
    unsigned i = victim(s);
    for (unsigned k = 0; k < s->profile.nodes; k++)
        if (all || k == i)
            crash_and_restart(s, k);
    fault_later(s, EV_CRASH, s->profile.crash_ns);
}

static void
on_partition(struct sim *s)
{
    struct rng *r = &s->rng_fault;
    unsigned n = s->profile.nodes, shape = (unsigned)rng_below(r, 4);
    unsigned alone = victim(s);
    uint64_t side = rng_below(r, 1u << n);
    if (s->healed)
        return;
    for (unsigned a = 0; a < n; a++)
        for (unsigned b = 0; b < n; b++) {
            bool cut = a != b;
            if (shape == 0) /* one alone */
                cut = cut && (a == alone || b == alone);
            else if (shape == 1) /* two sides */
                cut = cut && (side >> a & 1) != (side >> b & 1);
            else if (shape == 2) /* one is not heard, or hears nobody */
                cut = cut && (side & 1 ? a : b) == alone;
            else /* any directed links */
                cut = cut && rng_chance(r, 0.3);
            s->blocked[a][b] = cut;
        }
    sim_say(s, -1, "partition of shape %u around n%u, side %llx", shape, alone,
            (ull)side);
    fault_later(s, EV_MEND, s->profile.mend_ns);
}

static void
on_mend(struct sim *s)
{
    memset(s->blocked, 0, sizeof(s->blocked));
    sim_say(s, -1, "network whole");
    if (!s->healed)
        fault_later(s, EV_PARTITION, s->profile.partition_ns);
}

static void
on_pause(struct sim *s)
{
    if (s->healed)
        return;
    unsigned i = victim(s);
    s->nodes[i].paused_until_ns = s->now_ns + spread(&s->rng_fault, 250 * MS);
    sim_say(s, (int)i, "pauses");
    fault_later(s, EV_PAUSE, s->profile.pause_ns);
}

/* The others must get on without a primary that nobody can answer. */
static void
cut_off(struct sim *s)
{
    unsigned last = s->profile.nodes;
    for (unsigned i = 0; i < s->profile.nodes; i++) {
        const struct node *n = &s->nodes[i];
        if (n->damaged || n->must_recover)
            return; /* needs everybody */
        if (n->up && n->status.role == VSR_ROLE_PRIMARY)
            last = i;
    }
    const struct profile *p = &s->profile;
    if (last == p->nodes || !(p->deaf || p->mute || p->lame))
        return;
    s->cut_off = (int)last;
    sim_say(s, s->cut_off, "stays %s",
            p->deaf   ? "deaf"
            : p->mute ? "mute"
                      : "down");
    if (p->lame)
        crash(s, last);
    for (unsigned i = 0; i < p->nodes; i++) {
        s->blocked[i][last] = p->deaf;
        s->blocked[last][i] = p->mute;
    }
}

static void
on_heal(struct sim *s)
{
    struct profile *p = &s->profile;
    s->healed = true;
    s->last_at_heal = s->oracle.last;
    on_mend(s);
    cut_off(s);
    p->drop = p->duplicate = p->late = p->late_ok = 0;
    p->sync_failure = p->bad_chunk = 0;
    for (unsigned i = 0; i < p->nodes; i++) {
        s->nodes[i].paused_until_ns = 0;
        if (!s->nodes[i].up && (int)i != s->cut_off)
            restart_later(s, i, MS);
    }
    for (unsigned k = 0; k < p->clients; k++)
        s->clients[k].completed_at_heal = s->clients[k].completed;
    push(s,
         (struct sim_event){.type = EV_CHECK, .time_ns = s->now_ns + 200 * MS});
}

/* After the heal everybody must get on. */
static bool
progressed(struct sim *s)
{
    for (unsigned i = 0; i < s->profile.nodes; i++) {
        const struct node *n = &s->nodes[i];
        if ((int)i == s->cut_off)
            continue;
        if (!n->up || n->status.applied < s->last_at_heal ||
            (n->status.role != VSR_ROLE_PRIMARY &&
             n->status.role != VSR_ROLE_BACKUP))
            return false;
    }
    for (unsigned k = 0; k < s->profile.clients; k++)
        if (s->clients[k].completed < s->clients[k].completed_at_heal + 2)
            return false;
    return true;
}

static bool
on_check(struct sim *s)
{
    oracle_compare(s);
    if (progressed(s))
        return true;
    if (s->now_ns > s->profile.fault_ns + PROGRESS_NS) {
        sim_violation(s, 0, "no progress after the heal");
        return true;
    }
    push(s,
         (struct sim_event){.type = EV_CHECK, .time_ns = s->now_ns + 50 * MS});
    return false;
}

/* ---- events of a node ---------------------------------------------------- */

static void
on_wire(struct sim *s, const struct sim_event *e)
{
    struct vsr_message m;
    struct error err;
    if (vsr_message_decode(e->data, e->length, &m, s->entries, &err) < 0) {
        sim_violation(s, 0, "%s", err.text);
        return;
    }
    step(s, e->node,
         (struct vsr_event){.type = VSR_EVENT_MESSAGE, .message = &m});
}

static void
on_disk(struct sim *s, const struct sim_event *e)
{
    struct node *n = &s->nodes[e->node];
    if (rng_chance(&s->rng_disk, s->profile.sync_failure)) {
        sim_say(s, e->node, "a sync fails");
        if (s->mutation != SIM_MUTATION_CONTINUE_FAILED_SYNC) {
            crash_and_restart(s, e->node);
            return;
        }
        disk_lose(&n->disk, e->a);
    }
    disk_complete(&n->disk, e->a);
    check_recovered(s, e->node);
    if (ends_at(s, e->node, BOUNDARY_AFTER_SYNC))
        return;
    step(s, e->node,
         (struct vsr_event){.type = VSR_EVENT_DISK_DONE, .seq = e->a});
}

static void
on_installed(struct sim *s, const struct sim_event *e)
{
    struct node *n = &s->nodes[e->node];
    bool ok = e->a != 0;
    if (ok) {
        disk_complete(&n->disk, e->a);
        blob_restore(&n->disk.state, &n->machine);
        sim_say(s, e->node, "has installed snapshot %llu",
                (ull)e->position.index);
        oracle_installed(s, e->node, e->position);
        if (ends_at(s, e->node, BOUNDARY_INSTALL_END))
            return;
    }
    step(s, e->node,
         (struct vsr_event){.type = VSR_EVENT_SNAPSHOT_INSTALLED,
                            .position = e->position,
                            .ok = ok});
}

static void
on_snapshot(struct sim *s, const struct sim_event *e)
{
    struct node *n = &s->nodes[e->node];
    struct blob state = {e->data, e->length, e->a};
    if (s->now_ns >= n->served_until_ns)
        blob_clear(&n->served);
    if (s->now_ns < n->served_until_ns && n->served.length == 0) {
        blob_copy(&n->served, &n->disk.state);
        n->served_position = n->disk.snapshot;
    }
    disk_snapshot(&n->disk, e->position, &state);
    if (ends_at(s, e->node, BOUNDARY_CHECKPOINT_END))
        return;
    step(s, e->node,
         (struct vsr_event){.type = VSR_EVENT_SNAPSHOT_TAKEN,
                            .position = e->position});
}

static void
on_node_event(struct sim *s, const struct sim_event *e)
{
    note(s, (uint64_t)e->type << 8 | e->node);
    switch (e->type) {
    case EV_MESSAGE:
        on_wire(s, e);
        break;
    case EV_DISK:
        on_disk(s, e);
        break;
    case EV_INSTALLED:
        on_installed(s, e);
        break;
    case EV_SNAPSHOT:
        on_snapshot(s, e);
        break;
    case EV_REQUEST:
        on_request(s, e);
        break;
    case EV_TICK:
        step(s, e->node, (struct vsr_event){.type = VSR_EVENT_TICK});
        if (s->nodes[e->node].up)
            tick_later(s, e->node);
        break;
    default:
        step(s, e->node, (struct vsr_event){.type = VSR_EVENT_CONTINUE});
        break;
    }
}

/* Returns false when the schedule is over. */
static bool
dispatch(struct sim *s, struct sim_event *e)
{
    struct node *n = &s->nodes[e->node];
    switch (e->type) {
    case EV_REPLY:
        on_reply(s, e);
        break;
    case EV_CLIENT:
        on_client(s, e);
        break;
    case EV_CRASH:
        on_crash(s);
        break;
    case EV_CRASH_SPEAKER:
        if (n->boot == e->boot)
            crash_and_restart(s, e->node);
        break;
    case EV_RESTART:
        if (!n->up && n->boot == e->boot)
            start(s, e->node);
        break;
    case EV_PARTITION:
        on_partition(s);
        break;
    case EV_MEND:
        on_mend(s);
        break;
    case EV_PAUSE:
        on_pause(s);
        break;
    case EV_HEAL:
        on_heal(s);
        break;
    case EV_CHECK:
        return !on_check(s);
    default: {
        bool from_outside = e->type == EV_MESSAGE || e->type == EV_REQUEST;
        if (!n->up || (!from_outside && e->boot != n->boot))
            break;
        if (n->paused_until_ns > s->now_ns) {
            e->time_ns = n->paused_until_ns;
            struct sim_event later = *e;
            e->data = NULL;
            push(s, later);
            break;
        }
        on_node_event(s, e);
    }
    }
    return true;
}

/* ---- a schedule ---------------------------------------------------------- */

static void
begin(struct sim *s)
{
    const struct profile *p = &s->profile;
    for (unsigned i = 0; i < p->nodes; i++) {
        disk_init(&s->nodes[i].disk);
        machine_init(&s->nodes[i].machine, p->machine, p->bug);
        buf_init(&s->nodes[i].staging, 64u << 20);
    }
    for (unsigned i = 0; i < p->nodes; i++)
        start(s, i);
    for (unsigned k = 0; k < p->clients; k++) {
        s->clients[k].attempt = 2 * SIM_OPS_MAX;
        client_later(s, k, 100 * MS + rng_below(&s->rng_client, 100 * MS));
    }
    fault_later(s, EV_CRASH, p->crash_ns);
    fault_later(s, EV_PARTITION, p->partition_ns);
    fault_later(s, EV_PAUSE, p->pause_ns);
    if (p->deaf || p->mute || p->lame)
        s->profile.fault_ns += 300 * MS; /* so that there is a primary */
    push(s,
         (struct sim_event){.type = EV_HEAL, .time_ns = s->profile.fault_ns});
}

static void
finish(struct sim *s)
{
    s->report->committed = s->oracle.last;
    s->report->views = s->oracle.view_last;
    s->report->end_ns = s->now_ns;
    for (unsigned i = 0; i < s->profile.nodes; i++) {
        struct node *n = &s->nodes[i];
        if (n->up)
            count_status(s, n);
        vsr_free(n->vsr);
        disk_release(&n->disk);
        machine_release(&n->machine);
        buf_release(&n->staging);
        blob_clear(&n->served);
    }
    for (; s->heap_count > 0; s->heap_count--)
        free(s->heap[s->heap_count - 1].data);
    free(s->heap);
    free(s->wire);
    history_release(&s->history);
    oracle_release(&s->oracle);
    vsr_actions_release(&s->actions);
}

/* What the clients saw, by the analyzer. */
static void
judge_history(struct sim *s)
{
    char why[sizeof(s->report->what)] = "";
    s->report->machine = s->profile.machine;
    s->report->history = s->history.count;
    if (!s->report->violated &&
        !history_judge(&s->history, s->profile.machine, why, sizeof(why)))
        sim_violation(s, SIM_RULE_HISTORY, "%s", why);
}

void
sim_run(uint64_t seed, unsigned mutation, bool verbose, struct sim_report *ret)
{
    sim_run_with(&(struct sim_options){.seed = seed,
                                       .mutation = mutation,
                                       .verbose = verbose},
                 ret);
}

void
sim_run_with(const struct sim_options *o, struct sim_report *ret)
{
    CLEANUP_FREE struct sim *s = xcalloc(1, sizeof(*s));
    struct rng root;
    rng_init(&root, o->seed);
    *ret = (struct sim_report){0};
    s->report = ret;
    s->seed = o->seed;
    s->mutation = o->mutation;
    s->verbose = o->verbose;
    s->cut_off = -1;
    s->rng_net = rng_fork(&root, "net", 0);
    s->rng_disk = rng_fork(&root, "disk", 0);
    s->rng_fault = rng_fork(&root, "fault", 0);
    s->rng_client = rng_fork(&root, "client", 0);
    profile_draw(&s->profile, o->seed, o->mutation);
    profile_reduce(&s->profile, o);
    s->wire = xcalloc(1, VSR_MESSAGE_BYTES_MAX);
    vsr_actions_init(&s->actions);
    oracle_init(&s->oracle);
    begin(s);
    bool on = true;
    while (on && !ret->violated && s->heap_count > 0) {
        struct sim_event e = pop(s);
        s->now_ns = e.time_ns;
        on = dispatch(s, &e);
        free(e.data);
        if (ret->steps > STEPS_MAX)
            sim_violation(s, 0, "more than %u steps", STEPS_MAX);
    }
    judge_history(s);
    finish(s);
}
