/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each part: the exact engines of the model, then the order that positions
 * suggest, then both general searches; the first verdict that can be proven
 * stands.
 *
 *   VALID    its order replays.  If not, that is our bug, said in the reason,
 *            and the next engine is asked
 *   INVALID  its core is made small and judged again by another engine.  If
 *            that one finds an order, the verdict is UNKNOWN
 *
 * Parts are invalid on their own (engines/parts.c), so the worst part is the
 * verdict.  Where the model has calls that touch several keys it may have rules
 * between parts as well: when all parts are VALID their orders are replayed as
 * one, and if that fails the whole is judged as one part.  Orders of parts are
 * merged: each call gets the latest invocation up to it in the order of its
 * part; these numbers rise along each order, and along real time between parts
 * (Herlihy and Wing 1990, locality).
 */
#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/check.h"
#include "analyzer/explain/explain.h"

/* Parts with fewer calls altogether than this are not worth a thread. */
#define CALLS_PER_THREAD 4096
/* What a person would wait for a smaller core. */
#define SHRINK_NS (10 * NS_PER_S)
/* A second opinion of a core may take so long, and twice as long as the first
 * verdict took. */
#define CONFIRM_NS (2 * NS_PER_S)

struct judged {
    enum verdict verdict;
    bool ordered;
    uint32_t *order, order_count;
};

struct check {
    const struct calls *c;
    const struct check_options *options;
    struct check_result *ret;
    struct clock *clock;
    int64_t begin_ns, deadline_ns;
    size_t memory_bytes;
    unsigned jobs;
    atomic_bool never; /* when the caller has no stop */
    struct judged *judged;
    atomic_uint next;
    pthread_mutex_t lock; /* of what follows, and of *ret */
    uint32_t worst;       /* part of ret->decision, or none */
    bool has_worst;
};

static struct budget
check_budget(struct check *k, int64_t most_ns)
{
    struct budget b = {
        .clock = k->clock,
        .deadline_ns = k->deadline_ns,
        .memory_bytes = k->memory_bytes / k->jobs,
        .cancel = k->options->stop != NULL ? (atomic_bool *)k->options->stop
                                           : &k->never,
    };

    if (most_ns > 0) {
        int64_t end = clock_now_ns(k->clock) + most_ns;
        b.deadline_ns = end < b.deadline_ns ? end : b.deadline_ns;
    }
    return b;
}

/* ---- one part ---- */

/* Turns a verdict that turned out wrong into UNKNOWN. */
static void
part_bug(struct decision *d, const char *engine, const char *what)
{
    char reason[REASON_TEXT_MAX];

    snprintf(reason, sizeof(reason),
             "internal: engine '%s' %.300s; please report this history", engine,
             what);
    decision_release(d);
    d->verdict = VERDICT_UNKNOWN;
    d->engine = engine;
    snprintf(d->reason, sizeof(d->reason), "%s", reason);
}

/* Somebody else than 'engine' who can judge the core. */
static const struct engine_ops *
part_second(const struct problem *core, const char *engine)
{
    const struct engine_ops *const all[] = {&engine_txn_orders, &engine_brute,
                                            &engine_configurations,
                                            &engine_depth};

    for (uint32_t i = 0; i < ARRAY_LEN(all); i++) {
        if (strcmp(all[i]->name, engine) != 0 &&
            (all[i]->applies == NULL || all[i]->applies(core))) {
            return all[i];
        }
    }
    return NULL;
}

/* A second opinion of an INVALID.  Returns who agrees, or NULL; when somebody
 * disagrees the verdict is gone. */
static const char *
part_confirm(struct check *k, const struct problem *p, struct decision *d,
             int64_t took_ns)
{
    struct problem core = {p->calls, d->core, d->core_count, p->key};

    if (d->core_count == 0) {
        return NULL;
    }
    const struct engine_ops *second = part_second(&core, d->engine);
    if (second == NULL) {
        return NULL;
    }
    struct budget b = check_budget(k, CONFIRM_NS + 2 * took_ns);
    struct decision again;
    engine_decide(second, &core, &b, &again);
    enum verdict verdict = again.verdict;
    decision_release(&again);
    if (verdict == VERDICT_VALID) {
        part_bug(d, d->engine, "says invalid where another finds an order");
    }
    return verdict == VERDICT_INVALID ? second->name : NULL;
}

/* One engine's verdict, proven if it is VALID. */
static void
part_ask(struct check *k, const struct engine_ops *e, const struct problem *p,
         struct decision *ret)
{
    struct budget b = check_budget(k, 0);
    char reason[REASON_TEXT_MAX];

    engine_decide(e, p, &b, ret);
    if (ret->verdict == VERDICT_VALID && ret->order != NULL &&
        p->calls->model->step != NULL &&
        !problem_replay(p, ret->order, ret->order_count, reason)) {
        part_bug(ret, ret->engine, reason);
    }
}

/* Keeps in *ret what says more: a verdict, else our own bug, else the later
 * engine, which is the more general one. */
static void
part_keep(struct decision *ret, struct decision *d)
{
    bool bug = strncmp(ret->reason, "internal:", 9) == 0;

    if (d->verdict == VERDICT_UNKNOWN && bug) {
        decision_release(d);
        return;
    }
    decision_release(ret);
    *ret = *d;
}

static void
part_decide(struct check *k, const struct problem *p, struct decision *ret)
{
    const struct model_ops *m = p->calls->model;
    const struct engine_ops *const general[] = {&engine_witness,
                                                &engine_portfolio, NULL};
    const struct engine_ops *const *const lists[] = {m->exact, general};

    *ret = (struct decision){.verdict = VERDICT_UNKNOWN, .engine = "none"};
    snprintf(ret->reason, sizeof(ret->reason),
             "no engine of model '%s' applies to these calls", m->name);
    for (uint32_t l = 0; l < ARRAY_LEN(lists); l++) {
        for (uint32_t i = 0; lists[l] != NULL && lists[l][i] != NULL; i++) {
            const struct engine_ops *e = lists[l][i];
            struct decision d;
            if (e->applies != NULL && !e->applies(p)) {
                continue;
            }
            part_ask(k, e, p, &d);
            part_keep(ret, &d);
            if (ret->verdict != VERDICT_UNKNOWN) {
                return;
            }
        }
    }
}

/* ---- all parts ---- */

/* Whether a part is to be shown instead of the one so far: the worst, and of
 * those the first. */
static bool
check_worse(const struct check *k, uint32_t part, enum verdict verdict)
{
    enum verdict so_far = k->ret->decision.verdict;

    if (!k->has_worst || so_far == verdict) {
        return !k->has_worst || part < k->worst;
    }
    return verdict_worst(so_far, verdict) == verdict;
}

static void
check_note(struct check *k, uint32_t part, struct decision *d)
{
    struct check_result *r = k->ret;
    struct judged *j = &k->judged[part];

    j->verdict = d->verdict;
    j->ordered = d->verdict == VERDICT_VALID && d->order != NULL;
    j->order = d->order;
    j->order_count = d->order_count;
    d->order = NULL;
    d->order_count = 0;
    pthread_mutex_lock(&k->lock);
    r->invalid_parts += d->verdict == VERDICT_INVALID;
    r->unknown_parts += d->verdict == VERDICT_UNKNOWN;
    if (d->peak_bytes * k->jobs > r->peak_bytes) {
        r->peak_bytes = d->peak_bytes * k->jobs;
    }
    if (check_worse(k, part, d->verdict)) {
        decision_release(&r->decision);
        r->decision = *d;
        k->worst = part;
        k->has_worst = true;
        *d = (struct decision){.verdict = VERDICT_UNKNOWN};
    }
    pthread_mutex_unlock(&k->lock);
    decision_release(d);
}

static void *
check_thread(void *arg)
{
    struct check *k = arg;

    for (;;) {
        uint32_t part = atomic_fetch_add(&k->next, 1);
        if (part >= k->ret->parts.count) {
            return NULL;
        }
        const struct problem *p = &k->ret->parts.problems[part];
        struct decision d;
        part_decide(k, p, &d);
        check_note(k, part, &d);
    }
}

static void
check_parts(struct check *k)
{
    pthread_t threads[CHECK_JOBS_MAX];
    unsigned started = 0;

    while (started + 1 < k->jobs &&
           pthread_create(&threads[started], NULL, check_thread, k) == 0) {
        started++;
    }
    check_thread(k);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Whether the core's calls are all of the problem.  An engine may look beyond
 * its part, where leases of different resources come in one order. */
static bool
check_holds_core(const struct problem *p, const struct decision *d)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < d->core_count; i++) {
        while (at < p->count && problem_call(p, at) < d->core[i]) {
            at++;
        }
        if (at == p->count || problem_call(p, at) != d->core[i]) {
            return false;
        }
    }
    return true;
}

/* Whether one of the core's calls is in the problem; both rise. */
static bool
check_has_of_core(const struct problem *p, const struct decision *d)
{
    for (uint32_t i = 0, at = 0; i < d->core_count && at < p->count;) {
        uint32_t call = problem_call(p, at);

        if (call == d->core[i]) {
            return true;
        }
        if (call < d->core[i]) {
            at++;
        } else {
            i++;
        }
    }
    return false;
}

/* All parts that the core has calls of, as one problem.  Not the core alone:
 * what it does without (a resource that was created) would seem to be
 * missing. */
static void
check_problem_of_core(struct check_result *r)
{
    const struct decision *d = &r->decision;
    CLEANUP_FREE bool *taken = NULL;
    uint32_t last = 0, count = 0;
    uint32_t *members;

    for (uint32_t i = 0; i < r->parts.count; i++) {
        const struct problem *p = &r->parts.problems[i];

        if (p->count > 0 && problem_call(p, p->count - 1) >= last) {
            last = problem_call(p, p->count - 1) + 1;
        }
    }
    taken = xcalloc((size_t)last + 1, sizeof(*taken));
    for (uint32_t i = 0; i < r->parts.count; i++) {
        const struct problem *p = &r->parts.problems[i];
        bool has = check_has_of_core(p, d);

        for (uint32_t k = 0; has && k < p->count; k++) {
            taken[problem_call(p, k)] = true;
            count++;
        }
    }
    members = arena_alloc(&r->arena, ((size_t)count + 1) * sizeof(*members));
    r->problem.members = members;
    r->problem.count = 0;
    for (uint32_t call = 0; call < last; call++) {
        if (taken[call]) {
            members[r->problem.count++] = call;
        }
    }
}

/* The part that is shown as INVALID: a small core, judged twice. */
static void
check_prove_part(struct check *k)
{
    struct check_result *r = k->ret;
    struct decision *d = &r->decision;
    int64_t took_ns = clock_now_ns(k->clock) - k->begin_ns;

    if (!check_holds_core(&r->problem, d)) {
        check_problem_of_core(r);
    }
    if (!k->options->no_shrink && d->core_count > 0) {
        /* Half of what is left: the second opinion needs time too. */
        int64_t left_ns = (k->deadline_ns - clock_now_ns(k->clock)) / 2;
        struct budget b = check_budget(k, left_ns < 1           ? 1
                                          : left_ns < SHRINK_NS ? left_ns
                                                                : SHRINK_NS);
        r->unfinished = !explain_shrink(&r->problem, d, &b);
    }
    r->confirmed_by = part_confirm(k, &r->problem, d, took_ns);
    r->confirmed = r->confirmed_by != NULL;
    if (d->verdict == VERDICT_INVALID) {
        explain_words(&r->problem, d);
    } else {
        r->invalid_parts--;
        r->unknown_parts++;
    }
}

/* A part whose core another engine explains is one of our bugs, and says
 * nothing of the other parts: the next invalid one is shown instead.  If there
 * is none, the first of these bugs is the verdict. */
static void
check_prove_invalid(struct check *k)
{
    struct check_result *r = k->ret;

    check_prove_part(k);
    for (uint32_t i = 0;
         r->decision.verdict != VERDICT_INVALID && i < r->parts.count; i++) {
        struct decision bug = r->decision, d;
        struct problem shown = r->problem;
        if (k->judged[i].verdict != VERDICT_INVALID || i == k->worst) {
            continue;
        }
        part_decide(k, &r->parts.problems[i], &d);
        if (d.verdict != VERDICT_INVALID) {
            decision_release(&d);
            continue;
        }
        r->decision = d;
        r->problem = r->parts.problems[i];
        check_prove_part(k);
        if (r->decision.verdict == VERDICT_INVALID) {
            decision_release(&bug);
        } else {
            decision_release(&r->decision);
            r->decision = bug;
            r->problem = shown;
        }
    }
}

/* ---- merging orders ---- */

struct merge_head {
    uint32_t invoke; /* latest in its order up to the next call */
    uint32_t part, at;
};

static bool
merge_before(const struct merge_head *x, const struct merge_head *y)
{
    return x->invoke != y->invoke ? x->invoke < y->invoke : x->part < y->part;
}

static void
merge_sift(struct merge_head *heap, uint32_t count, uint32_t i)
{
    struct merge_head item = heap[i];

    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < count && merge_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= count || !merge_before(&heap[child], &item)) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = item;
}

/* The latest invocation up to the call that comes next. */
static void
merge_look(const struct check *k, struct merge_head *head)
{
    uint32_t call = k->judged[head->part].order[head->at];

    if (k->c->invoke[call] > head->invoke) {
        head->invoke = k->c->invoke[call];
    }
}

static void
check_merge(struct check *k)
{
    struct check_result *r = k->ret;
    uint64_t total = 0;
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->parts.count; i++) {
        if (!k->judged[i].ordered) {
            return;
        }
        total += k->judged[i].order_count;
    }
    if (r->parts.count == 1) {
        r->order = TAKE(k->judged[0].order);
        r->order_count = (uint32_t)total;
        return;
    }
    r->order = xcalloc(total + 1, sizeof(*r->order));
    CLEANUP_FREE struct merge_head *heap =
        xcalloc(r->parts.count, sizeof(*heap));
    for (uint32_t i = 0; i < r->parts.count; i++) {
        if (k->judged[i].order_count > 0) {
            heap[count] = (struct merge_head){.part = i};
            merge_look(k, &heap[count++]);
        }
    }
    for (uint32_t i = count; i-- > 0;) {
        merge_sift(heap, count, i);
    }
    while (count > 0) {
        const struct judged *j = &k->judged[heap->part];
        r->order[r->order_count++] = j->order[heap->at++];
        if (heap->at < j->order_count) {
            merge_look(k, heap);
        } else {
            *heap = heap[--count];
        }
        if (count > 0) {
            merge_sift(heap, count, 0);
        }
    }
    assert(r->order_count == total);
}

/* ---- the whole ---- */

/* All parts are VALID; whether they are so together. */
static void
check_together(struct check *k)
{
    struct check_result *r = k->ret;
    struct problem whole = {k->c, NULL, k->c->count, VALUE_ABSENT};
    struct budget b = check_budget(k, 0);
    char reason[REASON_TEXT_MAX];
    struct decision d;

    if (r->order == NULL ||
        problem_replay_within(&whole, r->order, r->order_count, &b, reason)) {
        return;
    }
    part_decide(k, &whole, &d);
    free(r->order);
    r->order = TAKE(d.order);
    r->order_count = d.order_count;
    d.order_count = 0;
    decision_release(&r->decision);
    r->decision = d;
    r->problem = whole;
    r->invalid_parts += d.verdict == VERDICT_INVALID;
    r->unknown_parts += d.verdict == VERDICT_UNKNOWN;
    if (d.peak_bytes > r->peak_bytes) {
        r->peak_bytes = d.peak_bytes;
    }
}

/*
 * All keys at once, where an exact engine can: to gather the calls of each key
 * costs more than to judge them where they stand.  False: it does not say VALID
 * with an order that replays, and the parts are judged one by one.
 */
static bool
check_keyed(struct check *k)
{
    const struct engine_ops *const *e = k->c->model->exact;
    struct problem whole = {k->c, NULL, k->c->count, VALUE_ABSENT};
    struct check_result *r = k->ret;
    char reason[REASON_TEXT_MAX];
    struct decision d;

    while (e != NULL && *e != NULL && !(*e)->keyed) {
        e++;
    }
    if (e == NULL || *e == NULL || k->c->model->step == NULL ||
        (r->parts.count = parts_keys(k->c)) < 2) {
        return false;
    }
    k->jobs = 1;
    struct budget b = check_budget(k, 0);
    engine_decide(*e, &whole, &b, &d);
    r->peak_bytes = d.peak_bytes;
    if (d.verdict != VERDICT_VALID ||
        !problem_replay_keyed(&whole, d.order, d.order_count, &b, reason)) {
        decision_release(&d);
        return false;
    }
    r->verdict = d.verdict;
    r->problem = whole;
    r->order = TAKE(d.order);
    r->order_count = d.order_count;
    d.order_count = 0;
    r->decision = d;
    return true;
}

/* What folding found already: one operation id, two answers. */
static void
check_contradiction(const struct calls *c, struct check_result *r)
{
    struct decision *d = &r->decision;

    if (c->model->forgets) {
        r->verdict = d->verdict = VERDICT_UNKNOWN;
        r->unknown_parts = 1;
        d->engine = "folding";
        snprintf(d->reason, sizeof(d->reason),
                 "%s (lines %u and %u): it may have been executed twice, which "
                 "this model allows after a while and cannot follow",
                 c->contradiction, c->contradiction_lines[0],
                 c->contradiction_lines[1]);
        return;
    }
    r->verdict = VERDICT_INVALID;
    r->invalid_parts = 1;
    d->verdict = VERDICT_INVALID;
    d->engine = "folding";
    snprintf(d->headline, sizeof(d->headline), "%s (lines %u and %u)",
             c->contradiction, c->contradiction_lines[0],
             c->contradiction_lines[1]);
    d->core = xcalloc(2, sizeof(*d->core));
    for (uint32_t i = 0; i < c->count && d->core_count < 2; i++) {
        for (uint32_t j = 0; j < 2; j++) {
            if (c->line[i] == c->contradiction_lines[j] ||
                c->end_line[i] == c->contradiction_lines[j]) {
                d->core[d->core_count++] = i;
                break;
            }
        }
    }
}

static unsigned
check_jobs(const struct check *k)
{
    long jobs = k->options->jobs > 0 ? (long)k->options->jobs
                                     : sysconf(_SC_NPROCESSORS_ONLN);
    long useful = (long)(k->c->count / CALLS_PER_THREAD) + 1;

    if (jobs > useful) {
        jobs = useful;
    }
    if (jobs > (long)k->ret->parts.count) {
        jobs = (long)k->ret->parts.count;
    }
    return jobs < 1                ? 1
           : jobs > CHECK_JOBS_MAX ? CHECK_JOBS_MAX
                                   : (unsigned)jobs;
}

static void
check_judge(struct check *k)
{
    struct check_result *r = k->ret;

    k->judged = xcalloc((size_t)r->parts.count + 1, sizeof(*k->judged));
    k->jobs = check_jobs(k);
    pthread_mutex_init(&k->lock, NULL);
    check_parts(k);
    pthread_mutex_destroy(&k->lock);
    k->jobs = 1;
    r->problem = r->parts.problems[k->worst];
    if (r->decision.verdict == VERDICT_VALID) {
        check_merge(k);
        if (k->c->model->touches != NULL && r->parts.count > 1) {
            check_together(k);
        }
    }
    if (r->decision.verdict == VERDICT_INVALID) {
        check_prove_invalid(k);
    }
    r->verdict = r->decision.verdict;
    for (uint32_t i = 0; i < r->parts.count; i++) {
        free(k->judged[i].order);
    }
    free(k->judged);
}

void
check_calls(const struct calls *c, const struct check_options *options,
            struct check_result *ret)
{
    struct check k = {.c = c, .options = options, .ret = ret};

    memset(ret, 0, sizeof(*ret));
    arena_init(&ret->arena);
    k.clock = clock_monotonic();
    k.begin_ns = clock_now_ns(k.clock);
    k.deadline_ns =
        k.begin_ns + (options->deadline_ns > 0 ? options->deadline_ns
                                               : CHECK_DEADLINE_DEFAULT_NS);
    k.memory_bytes = options->memory_bytes > 0 ? options->memory_bytes
                                               : CHECK_MEMORY_DEFAULT;
    if (c->contradiction == NULL && check_keyed(&k)) {
        ret->elapsed_ns = clock_now_ns(k.clock) - k.begin_ns;
        return;
    }
    parts_make(c, &ret->arena, &ret->parts);
    ret->problem = ret->parts.problems[0];
    if (c->contradiction != NULL) {
        check_contradiction(c, ret);
    } else {
        check_judge(&k);
    }
    ret->elapsed_ns = clock_now_ns(k.clock) - k.begin_ns;
}

void
check_result_release(struct check_result *r)
{
    decision_release(&r->decision);
    free(r->order);
    arena_release(&r->arena);
    memset(r, 0, sizeof(*r));
}
