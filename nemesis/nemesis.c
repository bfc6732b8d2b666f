/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one thread sleeps until the next thing is due, which is either
 * the next fault of the plan, one that an event set off, or the end of one
 * under way, and takes that step.
 *
 * Failure modes, by step:
 *  - no targets, or no room in the budget: tried again until the wait is over,
 *    then skipped;
 *  - the journal cannot be written: nothing is injected any more;
 *  - inject fails: it may have worked half; healed at once, never claimed;
 *  - a proof cannot be taken: inconclusive;
 *  - heal fails or is not proven: stays under way and is tried again;
 *  - the history cannot be written: nothing is injected any more, healing goes
 *    on.
 */
#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/file.h"
#include "harness/base/log.h"
#include "nemesis/nemesis-internal.h"

#define NEMESIS_STOP_POLL_NS (50 * NS_PER_MS)
/* With faults that wait for events: how late one may be seen. */
#define NEMESIS_EVENT_POLL_NS (1 * NS_PER_MS)

int64_t
nemesis_now_ns(struct nemesis *n)
{
    return clock_now_ns(n->options.world->clock);
}

bool
nemesis_stop_asked(void *ctx)
{
    return atomic_load(&((struct nemesis *)ctx)->stopping);
}

enum proof
nemesis_prove(struct nemesis *n, struct nemesis_active *a, const char *stage)
{
    enum proof proof = fault_prove(&a->fault, FAULT_EFFECT);
    int64_t now_ns = nemesis_now_ns(n);

    if (proof != PROOF_CONFIRMED) {
        a->proven_since_ns = 0;
    } else if (a->proven_since_ns == 0) {
        a->proven_since_ns = now_ns;
    } else if (a->ending || a->interrupted) {
        a->proven_ns += now_ns - a->proven_since_ns;
        a->proven_since_ns = 0;
    }
    nemesis_step(n, a, stage, proof_name(proof), NULL);
    return proof;
}

/* ---- the beginning of a fault ---- */

/* The undo goes to disk; only then a fault is under way. */
static int
nemesis_journal(struct nemesis *n, struct nemesis_active *a, struct error *err)
{
    json_t *undo;
    int result;

    if (fault_setup(&a->fault, err) < 0)
        return -1;
    undo = fault_undo_record(&a->fault);
    result = journal_begin(n->options.journal, a->entry->id, undo, err);
    json_decref(undo);
    if (result < 0) {
        nemesis_flag(n, &n->summary.journal_failed, err);
        return -1;
    }
    fault_journalled(&a->fault);
    return 0;
}

static void
nemesis_inject(struct nemesis *n, struct nemesis_active *a)
{
    struct error err = {0};

    nemesis_step(n, a, "journalled", NULL, NULL);
    if (fault_inject(&a->fault, &err) < 0) {
        snprintf(n->hand_error, sizeof(n->hand_error), "%s", err.text);
        nemesis_step(n, a, "injected", NULL, err.text);
        a->due_ns = nemesis_now_ns(n);
        return;
    }
    a->injected = true;
    if (fault_has_lease(&a->fault))
        a->renew_ns = nemesis_now_ns(n) + NEMESIS_RENEW_NS;
    nemesis_count(n, &n->summary.injected);
    nemesis_step(n, a, "injected", NULL, NULL);
    a->effect = nemesis_prove(n, a, "proved");
}

void
nemesis_begin(struct nemesis *n, const struct plan_entry *e, node_set targets,
              bool primary, int64_t heal_at_ns)
{
    struct nemesis_active *a = &n->active[n->active_count];
    struct rng rng = rng_fork(&n->rng, "fault", e->id);
    struct error err = {0};

    assert(n->active_count < PLAN_CONCURRENT_MAX);
    *a = (struct nemesis_active){.entry = e,
                                 .primary = primary,
                                 .effect = PROOF_INCONCLUSIVE,
                                 .due_ns = heal_at_ns,
                                 .renew_ns = INT64_MAX};
    fault_init(&a->fault, e->ops, n->options.world, e->params);
    a->fault.targets = targets;
    a->fault.lease_ns = NEMESIS_LEASE_NS;
    a->fault.seed = rng_u64(&rng);
    if (nemesis_journal(n, a, &err) < 0) {
        fault_release(&a->fault);
        nemesis_skip(n, e, err.text);
        return;
    }
    n->active_count++;
    nemesis_grant_exits(n, &a->fault);
    nemesis_show(n);
    nemesis_aim_broken(n, a);
    if (e->ops->reboots)
        nemesis_reboot_before(n, a);
    nemesis_inject(n, a);
    nemesis_show(n);
}

/* A fault is due: begin it, put it off, or skip it. */
static void
nemesis_try(struct nemesis *n, struct nemesis_pending *p)
{
    const struct plan *plan = n->options.plan;
    const struct plan_entry *e = p->entry;
    int64_t now = nemesis_now_ns(n);
    int64_t last = n->start_ns + plan->window_ns - PLAN_HEAL_RESERVE_NS;
    int64_t heal_at = now + e->duration_ns < last ? now + e->duration_ns : last;
    const char *reason;
    node_set targets = 0;
    bool primary = false;

    if (heal_at - now < e->duration_ns / 2) {
        nemesis_skip(n, e, "too little of the window is left");
    } else if ((reason = nemesis_aim(n, p, &targets, &primary)) == NULL) {
        nemesis_begin(n, e, targets, primary, heal_at);
    } else if (now < p->due_ns + NEMESIS_TARGET_WAIT_NS) {
        p->try_ns = now + NEMESIS_TRY_NS;
        return;
    } else {
        nemesis_skip(n, e, reason);
    }
    nemesis_aim_remove(n, p);
}

/* ---- leases ---- */

/* A guest that heals by itself says that we were too late. */
static void
nemesis_note_self_healed(struct nemesis *n, struct nemesis_active *a)
{
    bool any = false;

    for (unsigned i = 0; i < NODE_COUNT_MAX; i++)
        any |= a->fault.self_healed[i];
    if (!any || a->self_healed)
        return;
    a->self_healed = true;
    nemesis_count(n, &n->summary.self_healed);
    if (!a->ending)
        a->effect = proof_merge(a->effect, PROOF_MISMATCH);
    nemesis_step(n, a, "self_healed", NULL, NULL);
}

/* A renewal that fails is tried again long before the lease is over. */
static void
nemesis_renew(struct nemesis *n, struct nemesis_active *a)
{
    struct error err = {0};

    if (fault_renew(&a->fault, &err) < 0) {
        log_debug("nemesis", "fault %" PRIu64 ": %s, continuing", a->entry->id,
                  err.text);
        a->renew_ns = nemesis_now_ns(n) + NEMESIS_RENEW_NS / 4;
    } else {
        a->renew_ns = nemesis_now_ns(n) + NEMESIS_RENEW_NS;
    }
    nemesis_note_self_healed(n, a);
}

void
nemesis_renew_due(struct nemesis *n)
{
    for (unsigned i = 0; i < n->active_count; i++)
        if (n->active[i].renew_ns <= nemesis_now_ns(n))
            nemesis_renew(n, &n->active[i]);
}

static int64_t
nemesis_next_renewal_ns(const struct nemesis *n)
{
    int64_t next_ns = INT64_MAX;

    for (unsigned i = 0; i < n->active_count; i++)
        if (n->active[i].renew_ns < next_ns)
            next_ns = n->active[i].renew_ns;
    return next_ns;
}

/* ---- the end of a fault ---- */

static void
nemesis_conclude(struct nemesis *n, struct nemesis_active *a)
{
    enum proof proof = PROOF_INCONCLUSIVE;

    a->ending = true;
    if (a->injected)
        proof = nemesis_prove(n, a, "proved_before_heal");
    a->effect = proof_merge(a->effect, proof);
    nemesis_mark(n, a->entry, a, proof_name(a->effect), NULL);
    switch (a->effect) {
    case PROOF_CONFIRMED:
        nemesis_count(n, &n->summary.confirmed);
        if (a->primary)
            nemesis_count(n, &n->summary.primary_hits);
        break;
    case PROOF_MISMATCH:
        nemesis_count(n, &n->summary.mismatch);
        break;
    case PROOF_INCONCLUSIVE:
        nemesis_count(n, &n->summary.inconclusive);
        break;
    }
}

void
nemesis_end(struct nemesis *n, struct nemesis_active *a)
{
    struct error err = {0};
    enum proof proof;

    if (!a->ending)
        nemesis_conclude(n, a);
    nemesis_show(n);
    if (fault_heal(&a->fault, &err) < 0) {
        nemesis_step(n, a, "healed", NULL, err.text);
    } else {
        /* Disarmed: whatever comes now is no lease. */
        a->renew_ns = INT64_MAX;
        nemesis_step(n, a, "healed", NULL, NULL);
        nemesis_note_self_healed(n, a);
        proof = fault_prove(&a->fault, FAULT_HEALED);
        nemesis_step(n, a, "proved_healed", proof_name(proof), NULL);
        a->gone = proof == PROOF_CONFIRMED;
    }
    if (!a->gone) {
        a->due_ns = nemesis_now_ns(n) + NEMESIS_HEAL_RETRY_NS;
        return;
    }
    if (journal_done(n->options.journal, a->entry->id, &err) < 0) {
        /* Recovery will undo it once more, which is harmless. */
        nemesis_flag(n, &n->summary.journal_failed, &err);
    }
    nemesis_aim_mended(n, a);
    if (a->entry->ops->reboots)
        nemesis_reboot_after(n, a);
}

void
nemesis_sweep(struct nemesis *n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n->active_count; i++) {
        if (n->active[i].gone)
            fault_release(&n->active[i].fault);
        else
            n->active[kept++] = n->active[i];
    }
    n->active_count = kept;
    nemesis_show(n);
}

/* ---- the thread ---- */

/* A fault that is to be proven after a reboot ends after that. */
static struct nemesis_active *
nemesis_first_due(struct nemesis *n)
{
    struct nemesis_active *first = NULL;

    for (unsigned i = 0; i < n->active_count; i++) {
        struct nemesis_active *a = &n->active[i];

        if ((a->ending || !a->interrupted) &&
            (first == NULL || a->due_ns < first->due_ns))
            first = a;
    }
    return first;
}

static bool
nemesis_woken(void *ctx)
{
    struct nemesis *n = ctx;

    return atomic_load(&n->shot_new) || nemesis_stop_asked(n);
}

/* Waits for the next thing due and does it; false: nothing is left to do. */
static bool
nemesis_turn(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;
    struct nemesis_active *a = nemesis_first_due(n);
    int64_t end_ns = a == NULL ? INT64_MAX : a->due_ns, begin_ns = INT64_MAX;
    int64_t wake_ns = n->start_ns + plan->window_ns, next_ns;
    struct nemesis_pending *p;

    nemesis_aim_collect(n);
    p = nemesis_aim_first(n);
    if (p != NULL && n->active_count < plan->concurrent_max)
        begin_ns = p->try_ns;
    next_ns = n->pending_count < NEMESIS_PENDING_MAX ? nemesis_aim_next_ns(n)
                                                     : INT64_MAX;
    if (end_ns == INT64_MAX && begin_ns == INT64_MAX && next_ns == INT64_MAX &&
        n->active_count == 0 && !nemesis_aim_waits(n))
        return false;
    /* Heals that could not be proven by now are left to heal_all. */
    if (nemesis_now_ns(n) >= wake_ns)
        return false;
    if (end_ns < wake_ns)
        wake_ns = end_ns;
    if (begin_ns < wake_ns)
        wake_ns = begin_ns;
    if (next_ns < wake_ns)
        wake_ns = next_ns;
    if (nemesis_next_renewal_ns(n) < wake_ns)
        wake_ns = nemesis_next_renewal_ns(n);
    clock_poll(n->options.world->clock, wake_ns,
               n->trigger_count > 0 ? NEMESIS_EVENT_POLL_NS
                                    : NEMESIS_STOP_POLL_NS,
               nemesis_woken, n);
    if (nemesis_stop_asked(n))
        return false;
    nemesis_renew_due(n);
    if (end_ns <= begin_ns && end_ns <= nemesis_now_ns(n)) {
        nemesis_end(n, a);
        nemesis_sweep(n);
    } else if (begin_ns <= nemesis_now_ns(n)) {
        nemesis_try(n, p);
    }
    return true;
}

/* Latest first: what came on top of another is undone before it. */
static void
nemesis_end_all(struct nemesis *n)
{
    for (unsigned i = n->active_count; i > 0; i--)
        nemesis_end(n, &n->active[i - 1]);
    nemesis_sweep(n);
}

void
nemesis_run(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;

    for (size_t i = 0; i < plan->entry_count; i++)
        nemesis_record(n, &(struct nemesis_step){.entry = &plan->entries[i],
                                                 .stage = "planned"});
    n->start_ns = nemesis_now_ns(n);
    atomic_store(&n->armed, true);
    while (nemesis_turn(n))
        ;
    nemesis_end_all(n);
    nemesis_aim_skip_rest(n);
}

static void *
nemesis_thread(void *ctx)
{
    nemesis_run(ctx);
    return NULL;
}

/* ---- the owner's side ---- */

int
nemesis_check(const struct fault_world *w, const struct plan *plan,
              struct error *err)
{
    const struct fault_ops *const *all = fault_all();

    for (size_t i = 0; all[i] != NULL; i++) {
        size_t e = 0;

        while (e < plan->entry_count && plan->entries[e].ops != all[i])
            e++;
        if (e < plan->entry_count && !fault_available(all[i], w))
            return error_set(err, ERROR_ENVIRONMENT,
                             "fault '%s' does not work on these nodes",
                             all[i]->name);
    }
    for (size_t e = 0; e < plan->entry_count; e++)
        if (plan->entries[e].on.kind == TRIGGER_SYSTEM &&
            watch_event(w->system, plan->entries[e].on.name) < 0)
            return error_set(err, ERROR_ENVIRONMENT,
                             "system '%s' does not report '%s'",
                             w->system->name, plan->entries[e].on.name);
    return 0;
}

/* Whether somebody waits for what the system reports of itself. */
static bool
nemesis_watches(const struct nemesis *n)
{
    for (unsigned i = 0; i < n->trigger_count; i++)
        if (n->triggers[i].on != NULL &&
            n->triggers[i].on->kind == TRIGGER_SYSTEM)
            return true;
    return false;
}

static void
nemesis_watched(void *ctx, unsigned node, const char *event)
{
    struct nemesis *n = ctx;
    const struct nemesis_event e = {
        .kind = TRIGGER_SYSTEM,
        .name = event,
        .node = n->options.world->cluster->nodes[node].name,
        .process = HISTORY_PROCESS_NONE};

    nemesis_note_event(n, &e);
}

struct nemesis *
nemesis_new(const struct nemesis_options *options)
{
    struct nemesis *n = xcalloc(1, sizeof(*n));

    assert(options->world != NULL && options->plan != NULL &&
           options->journal != NULL);
    assert(options->plan->entry_count == 0 ||
           options->plan->node_count == options->world->cluster->node_count);
    n->options = *options;
    n->summary.planned = (unsigned)options->plan->entry_count;
    rng_init(&n->rng, options->plan->seed);
    pthread_mutex_init(&n->lock, NULL);
    atomic_init(&n->stopping, false);
    atomic_init(&n->armed, false);
    atomic_init(&n->shot_new, false);
    nemesis_aim_init(n);
    return n;
}

void
nemesis_free(struct nemesis *n)
{
    if (n == NULL)
        return;
    assert(!n->threaded);
    for (unsigned i = 0; i < n->active_count; i++)
        fault_release(&n->active[i].fault);
    nemesis_aim_release(n);
    nemesis_hand_release(n);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

int
nemesis_start(struct nemesis *n, struct error *err)
{
    int code;

    assert(!n->threaded);
    code = pthread_create(&n->thread, NULL, nemesis_thread, n);
    if (code != 0)
        return error_errno(err, ERROR_ENVIRONMENT, code, "nemesis thread");
    n->threaded = true;
    if (nemesis_watches(n))
        n->watch = watch_start(n->options.world, nemesis_watched, n);
    return 0;
}

void
nemesis_stop(struct nemesis *n)
{
    atomic_store(&n->stopping, true);
    if (n->threaded)
        pthread_join(n->thread, NULL);
    n->threaded = false;
    watch_stop(TAKE(n->watch));
}

int
nemesis_heal_all(struct nemesis *n, int64_t deadline_ns, struct error *err)
{
    struct clock *clock = n->options.world->clock;

    assert(!n->threaded);
    for (;;) {
        nemesis_renew_due(n);
        nemesis_end_all(n);
        if (n->active_count == 0)
            return 0;
        if (clock_now_ns(clock) + NEMESIS_HEAL_RETRY_NS > deadline_ns)
            break;
        clock_sleep_ns(clock, NEMESIS_HEAL_RETRY_NS);
    }
    return error_set(err, ERROR_ENVIRONMENT,
                     "fault %" PRIu64 " (%s): its heal is not proven%s",
                     n->active[0].entry->id, n->active[0].entry->ops->name,
                     n->active_count > 1 ? ", nor that of others" : "");
}
