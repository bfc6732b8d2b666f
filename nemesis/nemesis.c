/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Happy path: one thread sleeps until the next thing is due, which is either
 * the next fault of the plan or the end of one under way, and takes that step.
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
#include "nemesis/nemesis.h"

#define NEMESIS_STOP_POLL_NS (50 * NS_PER_MS)
#define NEMESIS_TRY_NS (200 * NS_PER_MS)
#define NEMESIS_HEAL_RETRY_NS (1 * NS_PER_S)

/* One fault between its journal entry and the proof that it is healed. */
struct nemesis_active {
    const struct plan_entry *entry;
    struct fault fault;
    bool primary;  /* the primary was hit */
    bool injected; /* inject said so */
    bool ending;   /* the proof before the heal is taken */
    bool gone;     /* healed and proven */
    enum proof effect;
    int64_t due_ns;   /* heal, or try again to */
    int64_t renew_ns; /* the lease; INT64_MAX: never */
    bool self_healed; /* recorded */
};

struct nemesis {
    struct nemesis_options options;
    struct rng rng;
    int64_t start_ns;
    size_t next;        /* in the plan */
    int64_t try_ns;     /* when to try the next fault (again) */
    const char *reason; /* why it could not begin yet */
    struct nemesis_active active[PLAN_CONCURRENT_MAX];
    unsigned active_count;
    bool threaded;
    pthread_t thread;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards what follows */
    struct nemesis_summary summary;
    char current[NEMESIS_CURRENT_MAX];
};

static int64_t
nemesis_now_ns(struct nemesis *n)
{
    return clock_now_ns(n->options.world->clock);
}

static bool
nemesis_stop_asked(void *ctx)
{
    return atomic_load(&((struct nemesis *)ctx)->stopping);
}

/* ---- what others see ---- */

static void
nemesis_count(struct nemesis *n, unsigned *counter)
{
    pthread_mutex_lock(&n->lock);
    (*counter)++;
    pthread_mutex_unlock(&n->lock);
}

/* Something of ours is broken: no more faults.  Logged the first time. */
static void
nemesis_flag(struct nemesis *n, bool *flag, const struct error *err)
{
    bool first;

    pthread_mutex_lock(&n->lock);
    first = !*flag;
    *flag = true;
    pthread_mutex_unlock(&n->lock);
    atomic_store(&n->stopping, true);
    if (first)
        log_warning("nemesis", "%s, no more faults, continuing", err->text);
}

static void
nemesis_show(struct nemesis *n)
{
    const struct cluster *c = n->options.world->cluster;
    CLEANUP(buf_release) struct buf text = {.max = NEMESIS_CURRENT_MAX - 1};

    for (unsigned i = 0; i < n->active_count; i++) {
        const struct nemesis_active *a = &n->active[i];

        buf_printf(&text, "%s%s%s", i == 0 ? "" : ", ",
                   a->ending ? "healing " : "", a->entry->ops->name);
        for (unsigned node = 0; node < c->node_count; node++)
            if (a->fault.targets >> node & 1)
                buf_printf(&text, " %s", c->nodes[node].name);
        buf_puts(&text, a->primary ? " (primary)" : "");
    }
    pthread_mutex_lock(&n->lock);
    snprintf(n->current, sizeof(n->current), "%s", buf_text(&text));
    n->summary.under_way = n->active_count;
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_current(struct nemesis *n, char ret[static NEMESIS_CURRENT_MAX])
{
    pthread_mutex_lock(&n->lock);
    memcpy(ret, n->current, NEMESIS_CURRENT_MAX);
    pthread_mutex_unlock(&n->lock);
}

void
nemesis_summary(struct nemesis *n, struct nemesis_summary *ret)
{
    pthread_mutex_lock(&n->lock);
    *ret = n->summary;
    pthread_mutex_unlock(&n->lock);
}

json_t *
nemesis_summary_to_json(const struct nemesis_summary *s)
{
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}", "planned",
        (int)s->planned, "skipped", (int)s->skipped, "injected",
        (int)s->injected, "confirmed", (int)s->confirmed, "mismatch",
        (int)s->mismatch, "inconclusive", (int)s->inconclusive, "primary_hits",
        (int)s->primary_hits, "not_healed", (int)s->under_way, "self_healed",
        (int)s->self_healed, "journal_failed", (int)s->journal_failed,
        "record_failed", (int)s->record_failed);
}

/* ---- the record ---- */

/* What one line says; members that do not apply are NULL. */
struct nemesis_step {
    const struct plan_entry *entry;
    const char *stage;
    const struct nemesis_active *active;
    const char *result;
    const char *error;
};

static void
nemesis_record_nodes(struct nemesis *n, struct arena *a, struct fields *fields,
                     const struct nemesis_active *active)
{
    const struct cluster *c = n->options.world->cluster;
    struct value *names = arena_alloc(a, c->node_count * sizeof(*names));
    size_t count = 0;

    for (unsigned i = 0; i < c->node_count; i++) {
        if (!(active->fault.targets >> i & 1))
            continue;
        names[count].type = VALUE_STRING;
        names[count].string.text = c->nodes[i].name;
        names[count++].string.len = strlen(c->nodes[i].name);
    }
    fields_set_list(a, fields, "nodes", names, count);
    fields_set_bool(a, fields, "primary", active->primary);
}

/* *ret_time_ns: the moment on the history's clock. */
static int
nemesis_record_history(struct nemesis *n, const struct nemesis_step *s,
                       int64_t *ret_time_ns, struct error *err)
{
    CLEANUP(arena_release) struct arena a;
    struct event event = {.process = HISTORY_PROCESS_NONE,
                          .kind = EVENT_FAULT,
                          .function = s->entry->ops->name};

    arena_init(&a);
    if (n->options.history == NULL) {
        *ret_time_ns = nemesis_now_ns(n);
        return 0;
    }
    fields_set_int(&a, &event.fields, "id", (int64_t)s->entry->id);
    fields_set_string(&a, &event.fields, "stage", s->stage);
    if (s->active != NULL)
        nemesis_record_nodes(n, &a, &event.fields, s->active);
    if (s->result != NULL)
        fields_set_string(&a, &event.fields, "result", s->result);
    if (s->error != NULL)
        fields_set_string(&a, &event.fields, "error", s->error);
    if (history_append(n->options.history, &event, HISTORY_BUFFERED, err) < 0)
        return -1;
    *ret_time_ns = event.time_ns;
    return 0;
}

static int
nemesis_record_line(struct nemesis *n, const struct nemesis_step *s,
                    int64_t time_ns, struct error *err)
{
    CLEANUP_FREE char *text = NULL;
    const struct nemesis_active *a = s->active;
    json_t *line =
        json_pack("{s:I, s:I, s:s, s:s}", "time_ns", (json_int_t)time_ns, "id",
                  (json_int_t)s->entry->id, "fault", s->entry->ops->name,
                  "stage", s->stage);

    if (a == NULL) {
        json_object_set_new(line, "target", json_string(s->entry->target));
        json_object_set(line, "params", s->entry->params);
    } else {
        json_object_set_new(
            line, "nodes",
            node_set_to_json(n->options.world->cluster, a->fault.targets));
        json_object_set_new(line, "primary", json_boolean(a->primary));
    }
    if (s->result != NULL) {
        json_object_set_new(line, "result", json_string(s->result));
        json_object_set(line, "evidence", a->fault.evidence);
    }
    if (s->error != NULL)
        json_object_set_new(line, "error", json_string(s->error));
    text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text == NULL || fprintf(n->options.faults, "%s\n", text) < 0 ||
        fflush(n->options.faults) != 0)
        return error_set(err, ERROR_ENVIRONMENT, "faults.jsonl: write failed");
    return 0;
}

static void
nemesis_record(struct nemesis *n, const struct nemesis_step *s)
{
    struct error err = {0};
    int64_t time_ns;

    if (nemesis_record_history(n, s, &time_ns, &err) < 0 ||
        (n->options.faults != NULL &&
         nemesis_record_line(n, s, time_ns, &err) < 0)) {
        nemesis_flag(n, &n->summary.record_failed, &err);
    }
    log_debug("nemesis", "fault %" PRIu64 " %s: %s%s%s%s%s", s->entry->id,
              s->entry->ops->name, s->stage, s->result == NULL ? "" : " ",
              s->result == NULL ? "" : s->result, s->error == NULL ? "" : ": ",
              s->error == NULL ? "" : s->error);
}

static void
nemesis_step(struct nemesis *n, const struct nemesis_active *a,
             const char *stage, const char *result, const char *error)
{
    nemesis_record(n, &(struct nemesis_step){.entry = a->entry,
                                             .stage = stage,
                                             .active = a,
                                             .result = result,
                                             .error = error});
}

/* ---- the beginning of a fault ---- */

static void
nemesis_skip(struct nemesis *n, const struct plan_entry *e, const char *reason)
{
    nemesis_count(n, &n->summary.skipped);
    nemesis_record(n, &(struct nemesis_step){
                          .entry = e, .stage = "skipped", .error = reason});
}

/* Resolves targets; NULL when it may begin, else why not yet. */
static const char *
nemesis_aim(struct nemesis *n, const struct plan_entry *e, node_set *ret,
            bool *ret_primary)
{
    const struct plan *plan = n->options.plan;
    struct rng rng = rng_fork(&n->rng, "target", e->id);
    node_set busy = 0, down = 0;
    struct target_view view;
    unsigned limit = plan->node_count;

    for (unsigned i = 0; i < n->active_count; i++) {
        const struct nemesis_active *a = &n->active[i];

        if (a->entry->ops == e->ops)
            return "another fault of its kind is not healed yet";
        busy |= a->fault.targets;
        if (a->entry->ops->takes_nodes_down)
            down |= a->fault.targets;
    }
    target_look(n->options.world, &view);
    if (e->ops->takes_nodes_down) {
        down |= view.silent;
        busy |= view.silent;
        limit = node_set_count(down) < plan->nodes_down_max
                    ? plan->nodes_down_max - node_set_count(down)
                    : 0;
    }
    if (!target_resolve(&e->spec, plan->node_count, &view, busy, limit, &rng,
                        ret))
        return e->spec.kind == TARGET_PRIMARY && view.primary < 0
                   ? "no node says that it is primary"
                   : "the nodes it needs are under a fault or do not answer";
    if (node_set_count(*ret) > limit)
        return "the budget of nodes down is used up";
    *ret_primary = view.primary >= 0 && (*ret >> view.primary & 1);
    return NULL;
}

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
        nemesis_step(n, a, "injected", NULL, err.text);
        a->due_ns = nemesis_now_ns(n);
        return;
    }
    a->injected = true;
    if (fault_has_lease(&a->fault))
        a->renew_ns = nemesis_now_ns(n) + NEMESIS_RENEW_NS;
    nemesis_count(n, &n->summary.injected);
    nemesis_step(n, a, "injected", NULL, NULL);
    a->effect = fault_prove(&a->fault, FAULT_EFFECT);
    nemesis_step(n, a, "proved", proof_name(a->effect), NULL);
}

static void
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
    nemesis_show(n);
    nemesis_inject(n, a);
    nemesis_show(n);
}

/* The next fault is due: begin it, put it off, or skip it. */
static void
nemesis_try_next(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;
    const struct plan_entry *e = &plan->entries[n->next];
    int64_t now = nemesis_now_ns(n), due = n->start_ns + e->at_ns;
    int64_t last = n->start_ns + plan->window_ns - PLAN_HEAL_RESERVE_NS;
    int64_t heal_at = now + e->duration_ns < last ? now + e->duration_ns : last;
    const char *reason;
    node_set targets = 0;
    bool primary = false;

    if (heal_at - now < e->duration_ns / 2) {
        nemesis_skip(n, e, "too little of the window is left");
    } else if ((reason = nemesis_aim(n, e, &targets, &primary)) == NULL) {
        nemesis_begin(n, e, targets, primary, heal_at);
    } else if (now < due + NEMESIS_TARGET_WAIT_NS) {
        n->try_ns = now + NEMESIS_TRY_NS;
        return;
    } else {
        nemesis_skip(n, e, reason);
    }
    n->next++;
    n->try_ns = 0;
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

static void
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
    if (a->injected) {
        proof = fault_prove(&a->fault, FAULT_EFFECT);
        nemesis_step(n, a, "proved_before_heal", proof_name(proof), NULL);
    }
    a->effect = proof_merge(a->effect, proof);
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

/* One attempt to heal and prove; 'gone' when both succeeded. */
static void
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
}

static void
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

static struct nemesis_active *
nemesis_first_due(struct nemesis *n)
{
    struct nemesis_active *first = NULL;

    for (unsigned i = 0; i < n->active_count; i++)
        if (first == NULL || n->active[i].due_ns < first->due_ns)
            first = &n->active[i];
    return first;
}

/* Waits for the next thing due and does it; false: nothing is left to do. */
static bool
nemesis_turn(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;
    struct nemesis_active *a = nemesis_first_due(n);
    int64_t end_ns = a == NULL ? INT64_MAX : a->due_ns, begin_ns = INT64_MAX;
    int64_t renew_ns = nemesis_next_renewal_ns(n), next_ns;

    if (n->next < plan->entry_count && n->active_count < plan->concurrent_max) {
        begin_ns = n->start_ns + plan->entries[n->next].at_ns;
        if (n->try_ns > begin_ns)
            begin_ns = n->try_ns;
    }
    if (begin_ns == INT64_MAX && end_ns == INT64_MAX)
        return false;
    /* Heals that could not be proven by now are left to heal_all. */
    if (nemesis_now_ns(n) >= n->start_ns + plan->window_ns)
        return false;
    next_ns = end_ns < begin_ns ? end_ns : begin_ns;
    if (renew_ns < next_ns)
        next_ns = renew_ns;
    if (clock_poll(n->options.world->clock, next_ns, NEMESIS_STOP_POLL_NS,
                   nemesis_stop_asked, n))
        return false;
    nemesis_renew_due(n);
    if (next_ns == renew_ns && next_ns != end_ns && next_ns != begin_ns)
        return true;
    if (end_ns <= begin_ns) {
        nemesis_end(n, a);
        nemesis_sweep(n);
    } else {
        nemesis_try_next(n);
    }
    return true;
}

void
nemesis_run(struct nemesis *n)
{
    const struct plan *plan = n->options.plan;

    n->start_ns = nemesis_now_ns(n);
    for (size_t i = 0; i < plan->entry_count; i++)
        nemesis_record(n, &(struct nemesis_step){.entry = &plan->entries[i],
                                                 .stage = "planned"});
    while (nemesis_turn(n))
        ;
    for (unsigned i = 0; i < n->active_count; i++)
        nemesis_end(n, &n->active[i]);
    nemesis_sweep(n);
    for (; n->next < plan->entry_count; n->next++)
        nemesis_skip(n, &plan->entries[n->next],
                     nemesis_stop_asked(n) ? "stopped" : "the window is over");
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
    return 0;
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
    return 0;
}

void
nemesis_stop(struct nemesis *n)
{
    atomic_store(&n->stopping, true);
    if (n->threaded)
        pthread_join(n->thread, NULL);
    n->threaded = false;
}

int
nemesis_heal_all(struct nemesis *n, int64_t deadline_ns, struct error *err)
{
    struct clock *clock = n->options.world->clock;

    assert(!n->threaded);
    for (;;) {
        nemesis_renew_due(n);
        for (unsigned i = 0; i < n->active_count; i++)
            nemesis_end(n, &n->active[i]);
        nemesis_sweep(n);
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

int
nemesis_recover(const char *journal_path, const struct fault_world *w,
                unsigned *ret_count, struct error *err)
{
    CLEANUP(journal_pending_release) struct journal_pending pending = {0};
    struct journal *journal;
    int result = 0;

    *ret_count = 0;
    if (!path_exists(journal_path))
        return 0;
    journal = journal_open(journal_path, err);
    if (journal == NULL)
        return -1;
    if (journal_pending_open(journal, &pending, err) < 0) {
        journal_close(journal);
        return -1;
    }
    *ret_count = (unsigned)pending.record_count;
    for (size_t i = 0; i < pending.record_count; i++) {
        const struct journal_record *record = &pending.records[i];
        struct error one = {0};

        if (fault_undo(w, record->undo, &one) == 0 &&
            journal_done(journal, record->id, &one) == 0)
            continue;
        if (result == 0)
            *err = one;
        result = -1;
    }
    if (result == 0 && pending.damaged_count > 0)
        result = error_set(err, ERROR_ENVIRONMENT,
                           "%s: %zu damaged lines; their faults may not be "
                           "undone",
                           journal_path, pending.damaged_count);
    journal_close(journal);
    return result;
}
