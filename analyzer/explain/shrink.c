/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cores.  A core that is found by erasing calls while the rest stays invalid is
 * a false witness: the last to go are writers, and what is left is a read of a
 * value that "nobody wrote".  So nothing is erased.  A call that is not in the
 * core becomes a maybe (explain/suppose.h): whoever reads the core may believe
 * of the rest what he likes.  With that,
 *
 *   firm calls   no part of the history that has them all can be explained, and
 *                with any one of them let go there is a part that can
 *   context      calls that such parts used: the writers of what was read
 *
 * Being contradictory is monotone here (more firm calls contradict more), so
 * QuickXplain (Junker, AAAI 2004), which needs few questions for a small core
 * among many calls, ends 1-minimal, as delta debugging would (Zeller and
 * Hildebrandt, 2002).  The prefix cut is part of the suppose: calls that ended
 * after the core's last answer cannot have been needed.
 *
 * What is in both parts as they are recorded is again invalid by itself: a part
 * of the history that has all firm calls.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/explain/explain.h"
#include "analyzer/explain/relevant.h"
#include "analyzer/explain/suppose.h"
#include "analyzer/models/lease-kernel.h"

/* The window of last answers that is looked at first, and doubled. */
#define WINDOW_FIRST 4u
/* Problems with more calls are cut down to what is relevant first. */
#define PROBLEM_LARGE 20000u
/* Cores this small are taken as the engine gave them. */
#define CORE_SMALL 8u
/* At least so many calls QuickXplain chooses from: the smallest window is all
 * reads at times, where a write just before it says more. */
#define WINDOW_WIDER 16u
/* The window in which an earlier contradiction is looked for. */
#define WINDOW_EARLIER 32u
/* The window that is tried everywhere when nothing is known. */
#define WINDOW_SCAN 8u
/* A core with its context has at most so many calls, if the firm ones leave
 * room: more is no explanation. */
#define CORE_CONTEXT_MAX 24u

struct shrink {
    const struct problem *p;
    struct suppose *s;
    struct budget *budget;
    uint8_t *role; /* FIRM: in the core; else OUT or MAYBE as is relevant */
    uint32_t *out; /* indexes of the problem */
    uint32_t out_count;
    uint32_t end;
    bool unsure;
    bool plain; /* candidates are plain calls alone */
    /* What went before a window: states that allow all that any does. */
    struct model_state *starts;
    uint32_t start_count;
};

static bool
shrink_is_definite(const struct shrink *sh, uint32_t index)
{
    uint32_t call = problem_call(sh->p, index);

    return sh->p->calls->complete[call] != CALL_OPEN &&
           sh->p->calls->complete[call] <= sh->end;
}

/* Whether the firm calls contradict each other. */
static bool
shrink_contradict(struct shrink *sh)
{
    relevant_maybes(sh->p, sh->role);
    suppose_set_starts(sh->s, sh->starts, sh->start_count);
    enum verdict v = suppose_decide(sh->s, sh->role, sh->budget, NULL, NULL);
    suppose_set_starts(sh->s, NULL, 0);
    if (v == VERDICT_UNKNOWN)
        sh->unsure = true;
    return v == VERDICT_INVALID;
}

static void
shrink_mark(struct shrink *sh, const uint32_t *calls, uint32_t count,
            enum supposed role)
{
    for (uint32_t i = 0; i < count; i++)
        sh->role[calls[i]] = (uint8_t)role;
}

/* QuickXplain: which of 'c', earlier ones preferred, are needed beside the
 * calls that are firm; appended to out.  The depth is the logarithm of count.
 */
static void
shrink_quick(struct shrink *sh, bool changed, const uint32_t *c, uint32_t count)
{
    uint32_t first = sh->out_count, half = (count + 1) / 2;

    if (count == 0 || (changed && shrink_contradict(sh)))
        return;
    if (count == 1) {
        sh->out[sh->out_count++] = c[0];
        return;
    }
    shrink_mark(sh, c, half, SUPPOSED_FIRM);
    shrink_quick(sh, true, c + half, count - half);
    shrink_mark(sh, c, half, SUPPOSED_MAYBE);
    uint32_t found = sh->out_count - first;
    shrink_mark(sh, sh->out + first, found, SUPPOSED_FIRM);
    shrink_quick(sh, found > 0, c, half);
    shrink_mark(sh, sh->out + first, found, SUPPOSED_MAYBE);
}

struct by_answer {
    uint32_t complete, index;
};

static int
by_answer_compare(const void *a, const void *b)
{
    const struct by_answer *x = a, *y = b;

    return x->complete < y->complete ? 1 : x->complete > y->complete ? -1 : 0;
}

/* A call that needs nobody but those it is about is a better witness than one
 * that was refused, whoever it was that stood in its way. */
static bool
shrink_is_plain(const struct shrink *sh, uint32_t index)
{
    const struct calls *c = sh->p->calls;
    struct model_stake stake = {.subject = VALUE_ABSENT};

    if (c->model->stake == NULL)
        return true;
    c->model->stake(c, problem_call(sh->p, index), &stake);
    return !stake.needs_places && !stake.needs_all;
}

/* Of 'count' calls (indexes) those that were answered, last answer first. */
static uint32_t
shrink_candidates(const struct shrink *sh, const uint32_t *from, uint32_t count,
                  uint32_t *ret)
{
    struct by_answer *sorted = xcalloc(count + 1, sizeof(*sorted));
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = from == NULL ? i : from[i];

        if (shrink_is_definite(sh, index) &&
            (!sh->plain || shrink_is_plain(sh, index)))
            sorted[n++] = (struct by_answer){
                sh->p->calls->complete[problem_call(sh->p, index)], index};
    }
    qsort(sorted, n, sizeof(*sorted), by_answer_compare);
    for (uint32_t i = 0; i < n; i++)
        ret[i] = sorted[i].index;
    free(sorted);
    return n;
}

/* The smallest window of last answers, doubling, that contradicts; 0: none. */
static uint32_t
shrink_window(struct shrink *sh, const uint32_t *candidates, uint32_t count)
{
    for (uint32_t n = WINDOW_FIRST;; n *= 2) {
        if (n > count)
            n = count;
        shrink_mark(sh, candidates, n, SUPPOSED_FIRM);
        bool found = shrink_contradict(sh);
        shrink_mark(sh, candidates, n, SUPPOSED_MAYBE);
        if (found)
            return n;
        if (n == count || budget_expired(sh->budget))
            return 0;
    }
}

/* The last answer stays in front; of the others those that change something
 * are the better explanation. */
static void
shrink_prefer(const struct shrink *sh, uint32_t *candidates, uint32_t count)
{
    const struct model_ops *m = sh->p->calls->model;
    uint32_t *sorted = xcalloc(count + 1, sizeof(*sorted)), n = 0;

    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < count; i++) {
            uint32_t call = problem_call(sh->p, candidates[i]);
            bool pure = m->pure != NULL && m->pure(sh->p->calls, call);

            if (pass == (i == 0 ? 0 : pure ? 2 : 1))
                sorted[n++] = candidates[i];
        }
    memcpy(candidates, sorted, count * sizeof(*sorted));
    free(sorted);
}

static void
shrink_begin(struct shrink *sh, uint32_t end)
{
    if (sh->s == NULL)
        sh->s = suppose_new(sh->p, end);
    suppose_set_end(sh->s, end);
    sh->end = end;
    memset(sh->role, SUPPOSED_MAYBE, sh->p->count);
    sh->out_count = 0;
    sh->unsure = false;
}

static bool
shrink_all_pure(const struct shrink *sh)
{
    const struct model_ops *m = sh->p->calls->model;

    for (uint32_t i = 0; i < sh->out_count; i++)
        if (m->pure == NULL ||
            !m->pure(sh->p->calls, problem_call(sh->p, sh->out[i])))
            return false;
    return true;
}

/* Reads that contradict each other are a worse explanation than a read and a
 * write: looks for one among more calls, as long as that is easy. */
static void
shrink_widen(struct shrink *sh, uint32_t *candidates, uint32_t count)
{
    uint32_t *before = sh->out, before_count = sh->out_count;

    if (before_count < 2 || sh->unsure || !shrink_all_pure(sh))
        return;
    sh->out = xcalloc(sh->p->count + 1, sizeof(*sh->out));
    sh->out_count = 0;
    shrink_prefer(sh, candidates, count);
    shrink_quick(sh, false, candidates, count);
    if (sh->unsure || sh->out_count > before_count) {
        free(sh->out);
        sh->out = before;
        sh->out_count = before_count;
        sh->unsure = false;
    } else {
        free(before);
    }
}

/* Fills out with firm calls that contradict; false: none were found. */
static bool
shrink_among_these(struct shrink *sh, const uint32_t *from, uint32_t count,
                   uint32_t end)
{
    uint32_t *candidates = xcalloc(count + 1, sizeof(*candidates));

    shrink_begin(sh, end);
    uint32_t n = shrink_candidates(sh, from, count, candidates);
    uint32_t window = n == 0 ? 0 : shrink_window(sh, candidates, n);
    if (window != 0) {
        sh->unsure = false;
        shrink_prefer(sh, candidates, window);
        shrink_quick(sh, false, candidates, window);
        if (window < WINDOW_WIDER && n > window)
            shrink_widen(sh, candidates, n < WINDOW_WIDER ? n : WINDOW_WIDER);
    }
    free(candidates);
    return window != 0;
}

static bool
shrink_among(struct shrink *sh, const uint32_t *from, uint32_t count,
             uint32_t end)
{
    if (sh->p->calls->model->stake == NULL)
        return shrink_among_these(sh, from, count, end);
    sh->plain = true;
    bool found = shrink_among_these(sh, from, count, end);
    sh->plain = false;
    return found || shrink_among_these(sh, from, count, end);
}

/* The prefix cut: by bisection the earliest answer up to which a window of
 * calls contradicts (a prefix of what has an order has one).  'end' is the
 * last one where that is known. */
static uint32_t
shrink_earliest(struct shrink *sh, uint32_t end)
{
    uint32_t *all = xcalloc(sh->p->count + 1, sizeof(*all));

    shrink_begin(sh, end);
    uint32_t n = shrink_candidates(sh, NULL, sh->p->count, all);
    uint32_t low = 0, high = n; /* all[low] contradicts, all[high] does not */
    while (low + 1 < high && !budget_expired(sh->budget)) {
        uint32_t middle = low + (high - low) / 2, left = n - middle;
        uint32_t at = sh->p->calls->complete[problem_call(sh->p, all[middle])];

        shrink_begin(sh, at);
        if (shrink_window(sh, all + middle,
                          left < WINDOW_EARLIER ? left : WINDOW_EARLIER) != 0)
            low = middle;
        else
            high = middle;
    }
    if (n > 0)
        end = sh->p->calls->complete[problem_call(sh->p, all[low])];
    free(all);
    return end;
}

/* The last answer among calls of the engine's core. */
static uint32_t
shrink_last_answer(const struct problem *p, const struct decision *d)
{
    uint32_t last = 0;

    for (uint32_t i = 0; i < d->core_count; i++) {
        uint32_t complete = p->calls->complete[d->core[i]];

        if (complete != CALL_OPEN && complete > last)
            last = complete;
    }
    return last;
}

static uint32_t
shrink_index(const struct problem *p, uint32_t call)
{
    if (p->members == NULL)
        return call;
    uint32_t low = 0, high = p->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (p->members[middle] < call)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low < p->count && p->members[low] == call);
    return low;
}

/* A last answer before which a window of calls contradicts, looked for at every
 * half window; CALL_OPEN: none. */
static uint32_t
shrink_scan(struct shrink *sh)
{
    uint32_t *all = xcalloc(sh->p->count + 1, sizeof(*all));
    uint32_t found = CALL_OPEN;

    shrink_begin(sh, CALL_OPEN - 1);
    uint32_t n = shrink_candidates(sh, NULL, sh->p->count, all);
    for (uint32_t at = 0; at < n && !budget_expired(sh->budget);
         at += WINDOW_SCAN / 2) {
        uint32_t left = n - at;
        uint32_t end = sh->p->calls->complete[problem_call(sh->p, all[at])];

        shrink_begin(sh, end);
        if (left > WINDOW_SCAN)
            left = WINDOW_SCAN;
        shrink_mark(sh, all + at, left, SUPPOSED_FIRM);
        if (shrink_contradict(sh)) {
            found = end;
            break;
        }
    }
    free(all);
    return found;
}

/* Whether a search of our own finds fewer calls than there are; true, for the
 * ones or the others are there. */
static bool
shrink_again(struct shrink *sh, uint32_t end)
{
    uint32_t *before = sh->out, before_count = sh->out_count;

    sh->out = xcalloc(sh->p->count + 1, sizeof(*sh->out));
    if (shrink_among(sh, NULL, sh->p->count, end) && !sh->unsure &&
        sh->out_count < before_count) {
        free(before);
        return true;
    }
    free(sh->out);
    sh->out = before;
    sh->out_count = before_count;
    sh->unsure = false;
    return true;
}

/* With the engine's core, if it is an honest one; else with what a search of
 * our own finds up to where the engine's ends, or anywhere. */
static bool
shrink_find(struct shrink *sh, const struct decision *d)
{
    uint32_t end = CALL_OPEN - 1;

    if (d->core_count > 0) {
        uint32_t *core = xcalloc(d->core_count, sizeof(*core));

        end = shrink_last_answer(sh->p, d);
        for (uint32_t i = 0; i < d->core_count; i++)
            core[i] = shrink_index(sh->p, d->core[i]);
        bool found = shrink_among(sh, core, d->core_count, end);
        free(core);
        if (found && d->core_count <= CORE_SMALL)
            return sh->out_count <= 2 || shrink_again(sh, end);
        if (!found && !shrink_among(sh, NULL, sh->p->count, end))
            end = CALL_OPEN - 1;
    }
    if (end == CALL_OPEN - 1 && !shrink_among(sh, NULL, sh->p->count, end) &&
        (end = shrink_scan(sh)) == CALL_OPEN)
        return false;
    return shrink_among(sh, NULL, sh->p->count, shrink_earliest(sh, end));
}

/* ---- context ---- */

struct context {
    uint32_t *calls; /* indexes */
    uint32_t count;
};

/* Whether the firm calls without 'gone' can be explained by a part of what is
 * marked in 'role'; the maybe calls that were used are left marked, all other
 * ones are out. */
static bool
context_explains(struct shrink *sh, uint8_t *role)
{
    CLEANUP_FREE uint32_t *order = NULL;
    uint32_t count = 0;

    if (suppose_decide(sh->s, role, sh->budget, &order, &count) !=
        VERDICT_VALID)
        return false;
    for (uint32_t i = 0; i < sh->p->count; i++)
        if (role[i] == SUPPOSED_MAYBE)
            role[i] = SUPPOSED_OUT;
    for (uint32_t i = 0; i < count; i++)
        if (role[order[i]] == SUPPOSED_OUT)
            role[order[i]] = SUPPOSED_MAYBE;
    return true;
}

/* Lets go of maybes, the oldest first, as long as it remains explained. */
static void
context_reduce(struct shrink *sh, uint8_t *role)
{
    for (uint32_t i = 0; i < sh->p->count; i++) {
        if (role[i] != SUPPOSED_MAYBE)
            continue;
        role[i] = SUPPOSED_OUT;
        if (suppose_decide(sh->s, role, sh->budget, NULL, NULL) !=
            VERDICT_VALID)
            role[i] = SUPPOSED_MAYBE;
    }
}

/* The roles from which context is taken: first what is context already, then
 * calls that were answered, then open ones too. */
static void
context_roles(struct shrink *sh, const struct context *x, uint32_t gone,
              int stage, uint8_t *role)
{
    relevant_maybes(sh->p, sh->role);
    memcpy(role, sh->role, sh->p->count);
    for (uint32_t i = 0; i < sh->p->count; i++)
        if (role[i] == SUPPOSED_MAYBE &&
            (stage == 0 || (stage == 1 && !shrink_is_definite(sh, i))))
            role[i] = SUPPOSED_OUT;
    for (uint32_t i = 0; i < x->count; i++)
        role[x->calls[i]] = SUPPOSED_MAYBE;
    role[gone] = SUPPOSED_OUT;
}

/* Adds what explains the firm calls when 'gone' is let go.  False: nothing
 * does, 'gone' is not needed; or it was not found in the limits. */
static bool
context_add(struct shrink *sh, struct context *x, uint32_t gone, uint32_t room)
{
    CLEANUP_FREE uint8_t *role = xcalloc(sh->p->count + 1, 1);

    for (int stage = 0; stage < 3; stage++) {
        context_roles(sh, x, gone, stage, role);
        if (!context_explains(sh, role))
            continue;
        if (stage == 0)
            return true;
        context_reduce(sh, role);
        uint32_t before = x->count;
        for (uint32_t i = 0; i < sh->p->count; i++) {
            bool known = role[i] != SUPPOSED_MAYBE;

            for (uint32_t k = 0; k < before; k++)
                known |= x->calls[k] == i;
            if (!known && x->count < room)
                x->calls[x->count++] = i;
        }
        return true;
    }
    return false;
}

/* Walks over the firm calls: drops those that are not needed after all, and
 * collects context for the others.  False: for some it is not known. */
static bool
shrink_prove(struct shrink *sh, struct context *x)
{
    bool sure = true;

    shrink_mark(sh, sh->out, sh->out_count, SUPPOSED_FIRM);
    for (uint32_t i = 0; i < sh->out_count;) {
        uint32_t gone = sh->out[i];
        uint32_t room = sh->out_count < CORE_CONTEXT_MAX
                            ? CORE_CONTEXT_MAX - sh->out_count
                            : 0;

        sh->role[gone] = SUPPOSED_MAYBE;
        if (shrink_contradict(sh)) {
            sh->out[i] = sh->out[--sh->out_count];
            i = 0;
            x->count = 0;
            continue;
        }
        sh->role[gone] = SUPPOSED_FIRM;
        sure &= context_add(sh, x, gone, room);
        i++;
    }
    return sure;
}

/* A lease is known by its grant: a core that names one without it would, read
 * as a history, speak of a lease that nobody has seen. */
static void
context_leases(struct shrink *sh, struct context *x)
{
    const struct calls *c = sh->p->calls;
    uint32_t count = x->count;

    if (strcmp(c->model->name, "lease-kernel") != 0)
        return;
    for (uint32_t i = 0; i < sh->out_count + count; i++) {
        uint32_t from =
            i < sh->out_count ? sh->out[i] : x->calls[i - sh->out_count];
        uint32_t lease = c->b[problem_call(sh->p, from)];

        for (uint32_t k = 0; k < sh->p->count && lease != VALUE_ABSENT; k++) {
            uint32_t call = problem_call(sh->p, k);
            bool known = c->function[call] != KERNEL_RESERVE ||
                         c->b[call] != lease || sh->role[k] == SUPPOSED_FIRM;

            for (uint32_t n = 0; n < x->count; n++)
                known |= x->calls[n] == k;
            if (!known)
                x->calls[x->count++] = k;
        }
    }
}

static int
firm_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Replaces the core; edges that speak of other calls are gone. */
static void
shrink_store(struct shrink *sh, const struct context *x, struct decision *d)
{
    uint32_t count = sh->out_count + x->count, kept = 0;

    free(d->core);
    free(d->core_firm);
    d->core = xcalloc(count, sizeof(*d->core));
    d->core_firm = xcalloc(count, sizeof(*d->core_firm));
    for (uint32_t i = 0; i < sh->out_count; i++)
        d->core[i] = sh->out[i];
    for (uint32_t i = 0; i < x->count; i++)
        d->core[sh->out_count + i] = x->calls[i];
    qsort(d->core, count, sizeof(*d->core), firm_compare);
    for (uint32_t i = 0; i < count; i++) {
        d->core_firm[i] = sh->role[d->core[i]] == SUPPOSED_FIRM;
        d->core[i] = problem_call(sh->p, d->core[i]);
    }
    d->core_count = count;
    for (uint32_t i = 0; i < d->edge_count; i++) {
        bool from = false, to = false;

        for (uint32_t k = 0; k < count; k++) {
            from |= d->core[k] == d->edges[i].from;
            to |= d->core[k] == d->edges[i].to;
        }
        if (from && to)
            d->edges[kept++] = d->edges[i];
        else
            free(d->edges[i].text);
    }
    d->edge_count = kept;
}

/* ---- windows of long histories ---- */

/* Histories with fewer calls are looked at as a whole at once. */
#define NEAR_CALLS 1024u
/* Answered calls of the first window before the end; four times as many in the
 * next one. */
#define NEAR_FIRST 64u
/* A history with more states to begin with is not one for windows. */
#define NEAR_STARTS_MAX 256u

static int
near_compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* The ranks of the answers up to 'end', the last one first. */
static uint32_t *
near_answers(const struct problem *p, uint32_t end, uint32_t *ret_count)
{
    uint32_t *answers = xcalloc((size_t)p->count + 1, sizeof(*answers));

    *ret_count = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t complete = p->calls->complete[problem_call(p, i)];

        if (complete != CALL_OPEN && complete <= end)
            answers[(*ret_count)++] = complete;
    }
    qsort(answers, *ret_count, sizeof(*answers), near_compare);
    return answers;
}

static bool
near_state_known(const struct shrink *sh, const struct model_state *s)
{
    for (uint32_t i = 0; i < sh->start_count; i++)
        if (sh->starts[i].count == s->count &&
            memcmp(sh->starts[i].words, s->words,
                   s->count * sizeof(*s->words)) == 0)
            return true;
    return false;
}

static void
near_start(struct shrink *sh, struct model_state *s)
{
    if (sh->start_count == NEAR_STARTS_MAX || near_state_known(sh, s))
        return;
    model_state_copy(&sh->starts[sh->start_count], s);
    sh->start_count++;
}

/* The calls that live at 'begin' or later, up to 'end', as 'members', and the
 * states that those before may have left.  False: there are too many. */
static bool
near_window(struct shrink *sh, const struct problem *p, uint32_t begin,
            uint32_t end, uint32_t *members, struct problem *ret)
{
    const struct calls *c = p->calls;
    struct model_state s = {0};

    for (uint32_t i = 0; i < sh->start_count; i++)
        sh->starts[i].count = 0;
    sh->start_count = 0;
    *ret = (struct problem){.calls = c, .members = members, .key = p->key};
    c->model->init(c, p->key, &s);
    near_start(sh, &s);
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t call = problem_call(p, i);

        if (c->invoke[call] < begin && c->model->anything(c, call, &s))
            near_start(sh, &s);
        if (c->invoke[call] <= end && c->complete[call] >= begin)
            members[ret->count++] = call;
    }
    model_state_release(&s);
    return sh->start_count < NEAR_STARTS_MAX;
}

/* One window: whether its core is proven to be minimal. */
static bool
near_try(struct shrink *sh, struct problem *part, uint32_t end,
         struct decision *d)
{
    struct context x = {.count = 0};
    bool minimal = false;

    sh->p = part;
    sh->role = xcalloc((size_t)part->count + 1, 1);
    sh->out = xcalloc((size_t)part->count + 1, sizeof(*sh->out));
    x.calls = xcalloc((size_t)part->count + 1, sizeof(*x.calls));
    if (shrink_among(sh, NULL, part->count, end) && !sh->unsure)
        minimal = shrink_prove(sh, &x);
    if (minimal)
        shrink_store(sh, &x, d);
    suppose_free(sh->s);
    sh->s = NULL;
    free(sh->role);
    free(sh->out);
    free(x.calls);
    return minimal;
}

/*
 * The engine's last answer ends the prefix that cannot be explained; what
 * contradicts it is mostly near.  So windows before it, each four times the
 * last, whatever went before them: what contradicts even then contradicts.
 * Context is asked for without that help, so that what is shown is a part of
 * the history.  False: no window decides.
 */
static bool
shrink_near(const struct problem *p, struct decision *d, struct budget *b)
{
    struct shrink sh = {.budget = b};
    uint32_t end = shrink_last_answer(p, d), count;
    bool minimal = false;

    if (p->calls->model->anything == NULL || p->count < NEAR_CALLS ||
        d->core_count == 0)
        return false;
    CLEANUP_FREE uint32_t *answers = near_answers(p, end, &count);
    CLEANUP_FREE uint32_t *members =
        xcalloc((size_t)p->count + 1, sizeof(*members));
    sh.starts = xcalloc(NEAR_STARTS_MAX, sizeof(*sh.starts));
    for (uint32_t n = NEAR_FIRST; n < count && !minimal && !budget_expired(b);
         n *= 4) {
        struct problem part;

        if (!near_window(&sh, p, answers[n], end, members, &part))
            break;
        minimal = near_try(&sh, &part, end, d);
    }
    for (uint32_t i = 0; i < NEAR_STARTS_MAX; i++)
        model_state_release(&sh.starts[i]);
    free(sh.starts);
    return minimal;
}

bool
explain_shrink(const struct problem *p, struct decision *d, struct budget *b)
{
    assert(d->verdict == VERDICT_INVALID);
    /* Those without steps make their own cores, a cycle for one. */
    if (p->calls->model->step == NULL)
        return d->core_count > 0;

    if (shrink_near(p, d, b))
        return true;

    CLEANUP_FREE uint32_t *members = NULL;
    struct problem part = *p;
    /* Of ten million calls, those that can matter to a small core. */
    if (d->core_count > 0 && d->core_count <= CORE_SMALL &&
        p->count > PROBLEM_LARGE)
        part = relevant_part(p, d->core, d->core_count, &members);
    struct shrink sh = {.p = &part, .budget = b};
    struct context x = {.count = 0};
    bool minimal = false;

    sh.role = xcalloc(part.count + 1, 1);
    sh.out = xcalloc(part.count + 1, sizeof(*sh.out));
    x.calls = xcalloc(part.count + 1, sizeof(*x.calls));
    if (shrink_find(&sh, d)) {
        minimal = shrink_prove(&sh, &x);
        context_leases(&sh, &x);
        shrink_store(&sh, &x, d);
    }
    suppose_free(sh.s);
    free(sh.role);
    free(sh.out);
    free(x.calls);
    return minimal;
}
