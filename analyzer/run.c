/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the checkers over one table, as many at a time as there are processors,
 * and puts their findings together.
 *
 * Failure modes: a checker that does not finish in time says unknown; on a
 * table that was cut, valid becomes unknown, invalid stands (every checker is
 * sound on a prefix).  If no thread can be made, the caller's does the work.
 */
#include "config.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "analyzer/analyzer.h"
#include "analyzer/checker.h"
#include "analyzer/judge-model.h"
#include "analyzer/report.h"

/* The checker of a model's judgement, where the table has none of its own. */
#define RUN_LINEARIZABLE "linearizable"

#define CHECKERS_MAX 64
#define THREADS_MAX 8

struct work {
    struct checker_run runs[CHECKERS_MAX];
    const struct checker_ops *ops[CHECKERS_MAX];
    unsigned count;
    atomic_uint next;
};

static void *
work_thread(void *arg)
{
    struct work *w = arg;
    unsigned i;

    while ((i = atomic_fetch_add(&w->next, 1)) < w->count)
        w->ops[i]->check(&w->runs[i]);
    return NULL;
}

static void
work_run(struct work *w)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[THREADS_MAX];
    unsigned count = 0;

    while (count < THREADS_MAX && count + 1 < w->count &&
           (long)count + 1 < processors &&
           pthread_create(&threads[count], NULL, work_thread, w) == 0)
        count++;
    work_thread(w);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void
work_add(struct work *w, const struct checker_ops *ops,
         const struct checker_run *template)
{
    assert(w->count < CHECKERS_MAX);
    w->ops[w->count] = ops;
    w->runs[w->count++] = *template;
}

/* The one of that name for histories of this model; NULL: none. */
static const struct checker_ops *
choose_by_name(const char *name, const char *model)
{
    for (unsigned i = 0; checker_registry[i] != NULL; i++)
        if (strcmp(checker_registry[i]->name, name) == 0 &&
            checker_judges(checker_registry[i], model))
            return checker_registry[i];
    return NULL;
}

static int
choose(struct work *w, const struct analyzer_options *options,
       const struct checker_run *template, struct error *err)
{
    const char *const *names = options->checkers;
    const char *model = template->table->model;

    for (unsigned i = 0; names == NULL && checker_registry[i] != NULL; i++)
        if (checker_judges(checker_registry[i], model) &&
            (template->is_run || !checker_registry[i]->runs_only))
            work_add(w, checker_registry[i], template);
    for (; names != NULL && *names != NULL; names++) {
        const struct checker_ops *ops = choose_by_name(*names, model);
        bool twice = false;

        if (ops == NULL && strcmp(*names, RUN_LINEARIZABLE) == 0)
            continue; /* by the model itself */
        if (ops == NULL && checker_find(*names) != NULL)
            return error_set(err, ERROR_CONFIG,
                             "'%s' does not judge histories of model '%s'",
                             *names, model);
        if (ops == NULL)
            return error_set(err, ERROR_CONFIG,
                             "there is no checker '%s'; 'ordeal check --list' "
                             "shows all",
                             *names);
        for (unsigned i = 0; i < w->count; i++)
            twice |= w->ops[i] == ops;
        if (!twice)
            work_add(w, ops, template);
    }
    return 0;
}

/* What is not judged to its end cannot be valid. */
static void
apply_cut(struct checker_run *run)
{
    if (run->table->cut != NULL && run->finding.verdict == VERDICT_VALID)
        checker_unknown(run, "%s", run->table->cut);
}

int
analyzer_judge(const struct table *t, const struct analyzer_options *options,
               json_t **ret, struct error *err)
{
    struct clock *clock = clock_monotonic();
    int64_t deadline_ns = options->deadline_ns > 0
                              ? options->deadline_ns
                              : ANALYZER_DEADLINE_DEFAULT_NS;
    struct facts facts;
    struct checker_run template = {
        .table = t,
        .facts = &facts,
        .clock = clock,
        .deadline_ns = clock_now_ns(clock) + deadline_ns,
        .memory_bytes = options->memory_bytes,
        .stop = options->stop,
        .is_run = options->origin == ORIGIN_RUN ||
                  (options->origin == ORIGIN_FROM_META && t->is_run),
    };
    CLEANUP_FREE struct work *w = xcalloc(1, sizeof(*w));

    if (choose(w, options, &template, err) < 0)
        return -1;
    facts_init(&facts, t);
    work_run(w);
    *ret = report_new(t);
    for (unsigned i = 0; i < w->count; i++) {
        apply_cut(&w->runs[i]);
        report_add(*ret, w->ops[i], &w->runs[i].finding);
    }
    facts_release(&facts);
    return 0;
}

/* Whether the model has a word to say beside the checkers. */
static bool
run_asks_model(const struct table *t, const struct analyzer_options *options)
{
    const char *const *names = options->checkers;

    if (choose_by_name(RUN_LINEARIZABLE, t->model) != NULL)
        return false;
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, RUN_LINEARIZABLE) == 0)
            return true;
    return names == NULL;
}

/*
 * The model's own judgement as one more checker.  What cannot be read by it, or
 * was cut, is never valid.
 */
static void
run_ask_model(const char *path, const struct table *t,
              const struct analyzer_options *options, json_t *result)
{
    struct analyzer_options own = *options;
    struct error err = {0};
    json_t *judged = NULL, *checker;
    size_t i;

    own.checkers = NULL;
    own.model = t->model;
    if (t->cut != NULL) {
        report_add_unknown(result, RUN_LINEARIZABLE, t->cut);
        return;
    }
    if (judge_model(path, &own, &judged, &err) < 0) {
        report_add_unknown(result, RUN_LINEARIZABLE, err.text);
        return;
    }
    json_array_foreach (json_object_get(judged, "checkers"), i, checker) {
        report_add_judged(result, checker, judged);
    }
    json_decref(judged);
}

int
analyzer_run(const char *path, const struct analyzer_options *options,
             json_t **ret, struct error *err)
{
    CLEANUP(table_free_p) struct table *t = NULL;

    if (analyzer_load(path, &t, err) < 0 ||
        analyzer_judge(t, options, ret, err) < 0)
        return -1;
    if (run_asks_model(t, options))
        run_ask_model(path, t, options, *ret);
    return 0;
}
