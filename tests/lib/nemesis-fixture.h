/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake cluster, a plan, a journal and a nemesis over them, in a directory of
 * their own.  before_harm checks that an undo is pending whenever a guest is
 * about to be harmed.
 */
#ifndef ORDEAL_TESTS_NEMESIS_FIXTURE_H
#define ORDEAL_TESTS_NEMESIS_FIXTURE_H

#include "harness/base/file.h"
#include "nemesis/nemesis.h"
#include "tests/lib/fake-remote.h"
#include "tests/lib/tap.h"

struct nemesis_fixture {
    char dir[64], journal_path[96], history_path[96], faults_path[96];
    struct fake *fake;
    struct plan plan;
    struct journal *journal;
    struct history_writer *history;
    FILE *faults;
    struct nemesis *nemesis;
    unsigned harm_count, unjournalled_count, down_max;
    struct error err;
};

/* What a fault must be told, beside its targets, to act on the fakes. */
UNUSED static const char *
fixture_params_of(const char *fault)
{
    return strcmp(fault, "crash-point") == 0 ? "{\"point\":\"soon\"}" : "{}";
}

UNUSED static void
fixture_before_harm(void *ctx)
{
    struct nemesis_fixture *f = ctx;
    struct journal_pending pending = {0};
    struct error err = {0};
    unsigned down = 1; /* the one about to be harmed */

    f->harm_count++;
    if (journal_pending(f->journal_path, &pending, &err) < 0 ||
        pending.record_count == 0)
        f->unjournalled_count++;
    journal_pending_release(&pending);
    for (unsigned i = 0; i < f->fake->cluster.node_count; i++)
        down += !f->fake->nodes[i].running || f->fake->nodes[i].stopped ||
                f->fake->nodes[i].table[0] != '\0';
    if (down > f->down_max)
        f->down_max = down;
}

UNUSED static void
fixture_setup(struct nemesis_fixture *f, const char *schedule, unsigned nodes,
              int64_t window_ns)
{
    json_t *json = json_loads(schedule, 0, NULL);

    *f = (struct nemesis_fixture){.fake = fake_new(nodes)};
    /* In memory where that is possible: thousands of runs sync here. */
    snprintf(f->dir, sizeof(f->dir), "%s/ordeal-nemesis-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(json != NULL && mkdtemp(f->dir) != NULL);
    snprintf(f->journal_path, sizeof(f->journal_path), "%s/undo.journal",
             f->dir);
    snprintf(f->history_path, sizeof(f->history_path), "%s/history", f->dir);
    snprintf(f->faults_path, sizeof(f->faults_path), "%s/faults.jsonl", f->dir);
    CHECK_OK(plan_build(json, 11, window_ns, nodes, &f->plan, &f->err),
             &f->err);
    json_decref(json);
    f->fake->before_harm = fixture_before_harm;
    f->fake->ctx = f;
}

/* Opens what setup only named; a child that is to die does this itself. */
UNUSED static void
fixture_open(struct nemesis_fixture *f)
{
    json_t *meta = json_pack("{s:s}", "system", "fake");

    if (f->journal == NULL)
        f->journal = journal_open(f->journal_path, &f->err);
    CHECK(f->journal != NULL);
    f->history = history_writer_open(f->history_path, meta,
                                     &f->fake->clock.clock, &f->err);
    json_decref(meta);
    CHECK(f->history != NULL);
    if (f->faults == NULL)
        f->faults = fopen(f->faults_path, "we");
    CHECK(f->faults != NULL);
    f->nemesis = nemesis_new(&(struct nemesis_options){
        .world = &f->fake->world,
        .plan = &f->plan,
        .journal = f->journal,
        .history = f->history,
        .faults = f->faults,
    });
}

/* Ends the driver: nothing of it is left but the files. */
UNUSED static void
fixture_close(struct nemesis_fixture *f)
{
    nemesis_free(TAKE(f->nemesis));
    journal_close(TAKE(f->journal));
    if (f->faults != NULL)
        fclose(TAKE(f->faults));
    if (f->history != NULL)
        CHECK_OK(history_seal(TAKE(f->history), &f->err), &f->err);
}

UNUSED static void
fixture_teardown(struct nemesis_fixture *f)
{
    fixture_close(f);
    CHECK_INT(f->unjournalled_count, 0);
    CHECK_INT(f->fake->unknown_count, 0);
    plan_release(&f->plan);
    fake_free(f->fake);
    CHECK_OK(dir_remove(f->dir, &f->err), &f->err);
}

UNUSED static size_t
fixture_pending(struct nemesis_fixture *f)
{
    struct journal_pending pending = {0};
    size_t count;

    CHECK_OK(journal_pending(f->journal_path, &pending, &f->err), &f->err);
    count = pending.record_count;
    journal_pending_release(&pending);
    return count;
}

#endif
