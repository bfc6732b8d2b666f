/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where positions are one total order, as the system declares, calls stand in
 * it, and only what has none is looked for: little enough to be decided almost
 * always.  Without such positions, or where they contradict real time, real
 * time alone binds: part by part for a contradiction, then the whole.
 *
 * VALID has an order that was replayed by the model; INVALID a core that a
 * second engine confirmed (analyzer/check.h).  Everything else is "unknown",
 * also a history that has an order but whose positions contradict real time:
 * position_conflict judges those.
 */
#include "config.h"

#include <stdio.h>

#include "analyzer/allocation.h"
#include "analyzer/check.h"

/* What the search of one run may take beside the other checkers. */
#define MEMORY_DEFAULT ((size_t)1 << 30)
/* Lines of a witness that a person still reads. */
#define WITNESS_CALLS_MAX 12

struct search {
    struct checker_run *run;
    const struct allocation_source *source;
    const char *hint; /* where the replay stuck */
    bool disordered;  /* positions contradict real time */
    char reason[REASON_TEXT_MAX];
};

static int64_t
time_left(const struct search *s)
{
    return s->run->deadline_ns - clock_now_ns(s->run->clock);
}

/* Where the calls stand one after the other the last of the core is the one
 * that nothing explains; the replay said why. */
static void
accuse_last(struct search *s, const struct allocation *a,
            const struct check_result *r)
{
    const struct decision *d = &r->decision;
    uint32_t op = a->operation[d->core[d->core_count - 1]];
    struct text who = describe_operation(s->run->table, op);

    checker_violation(s->run,
                      "no order that keeps positions and real time explains "
                      "the operations up to %s, whatever was not answered did "
                      "(%s; found by %s, confirmed by %s)",
                      who.s, s->hint, d->engine, r->confirmed_by);
    witness_operation(s->run, op);
}

/* The operations of the core that contradict each other, in order. */
static void
accuse(struct search *s, const struct allocation *a,
       const struct check_result *r)
{
    const struct decision *d = &r->decision;
    struct checker_run *run = s->run;
    uint32_t last = TABLE_NONE, shown = 0;
    struct buf text;

    buf_init(&text, WITNESS_TEXT_MAX);
    for (uint32_t i = 0; i < d->core_count; i++) {
        uint32_t op = a->operation[d->core[i]];
        struct text who = describe_operation(run->table, op);
        if ((d->core_firm != NULL && !d->core_firm[i]) || op == last) {
            continue;
        }
        last = op;
        if (shown++ < WITNESS_CALLS_MAX) {
            buf_printf(&text, "%s%s", shown == 1 ? "" : "; ", who.s);
        }
        witness_operation(run, op);
    }
    checker_violation(
        run,
        "no order that keeps real time explains %u operation%s together: "
        "%s%s (found by %s, confirmed by %s)",
        shown, shown == 1 ? "" : "s", buf_text(&text),
        shown > WITNESS_CALLS_MAX ? "; ..." : "", d->engine, r->confirmed_by);
    buf_release(&text);
}

/* One set of calls; an INVALID that nobody confirmed is UNKNOWN. */
static enum verdict
judge_calls(struct search *s, uint32_t part, bool positions, int64_t most_ns)
{
    const struct checker_run *run = s->run;
    struct check_options options = {
        .deadline_ns = most_ns,
        .memory_bytes =
            run->memory_bytes > 0 ? run->memory_bytes : MEMORY_DEFAULT,
        .jobs = 1,
        .no_shrink = positions,
        .stop = run->stop,
    };
    struct check_result r;
    struct allocation a;

    if (most_ns <= 0) {
        snprintf(s->reason, sizeof(s->reason), "there was no time to search");
        return VERDICT_UNKNOWN;
    }
    if (!allocation_make(s->source, part, positions, &a, s->reason)) {
        s->disordered = true;
        return VERDICT_UNKNOWN;
    }
    check_calls(a.calls, &options, &r);
    enum verdict verdict = r.verdict;
    if (verdict == VERDICT_INVALID && !r.confirmed) {
        snprintf(s->reason, sizeof(s->reason),
                 "a contradiction that no second engine confirmed");
        verdict = VERDICT_UNKNOWN;
    } else if (verdict == VERDICT_UNKNOWN) {
        snprintf(s->reason, sizeof(s->reason), "%s", r.decision.reason);
    } else if (verdict == VERDICT_INVALID) {
        (positions ? accuse_last : accuse)(s, &a, &r);
    }
    check_result_release(&r);
    allocation_release(&a);
    return verdict;
}

/* A contradiction in a part is one in the whole. */
static enum verdict
judge_parts(struct search *s)
{
    uint32_t parts = allocation_parts(s->source);
    enum verdict worst = VERDICT_VALID;

    if (parts < 2) {
        return VERDICT_VALID; /* the whole says it */
    }
    for (uint32_t i = 0; i < parts && worst != VERDICT_INVALID; i++) {
        int64_t left_ns = time_left(s);
        worst = verdict_worst(worst, judge_calls(s, i, false, left_ns / 2));
    }
    return worst;
}

/* By real time alone. */
static enum verdict
judge_whole(struct search *s)
{
    enum verdict verdict = judge_parts(s);

    return verdict == VERDICT_VALID
               ? judge_calls(s, ALLOCATION_NONE, false, time_left(s))
               : verdict;
}

void
allocation_search(struct checker_run *run, const char *hint)
{
    struct search s = {.run = run, .hint = hint};
    CLEANUP(allocation_source_free_p)
    struct allocation_source *source =
        allocation_source_new(run->facts, s.reason);
    enum verdict verdict = VERDICT_UNKNOWN;
    bool positions = run->table->positions_total;

    if (source != NULL) {
        s.source = source;
        if (positions) {
            verdict = judge_calls(&s, ALLOCATION_NONE, true, time_left(&s));
        }
        if (!positions || s.disordered) {
            verdict = judge_whole(&s);
        }
    }
    if (verdict == VERDICT_VALID && s.disordered) {
        snprintf(s.reason, sizeof(s.reason),
                 "in another order all is explained");
        verdict = VERDICT_UNKNOWN;
    }
    if (verdict == VERDICT_UNKNOWN) {
        checker_unknown(run, "%s%s%s", hint, hint[0] == '\0' ? "" : "; ",
                        s.reason);
    }
}
