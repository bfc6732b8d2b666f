/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact engines alone on the histories with known verdicts beside the tree,
 * when they are there: every line of VERDICTS.tsv about a queue, a stack, a
 * bank, a counter, a set-full or unique written values.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "harness/base/arena.h"
#include "tests/lib/exact-trial.h"

static const char *
corpora_path(void)
{
    static char path[4096];
    const char *shared = getenv("ORDEAL_SHARED");
    const char *tree = getenv("ORDEAL_SRCDIR");

    if (shared != NULL) {
        (void)snprintf(path, sizeof(path), "%s/corpora", shared);
    } else {
        (void)snprintf(path, sizeof(path), "%s/../shared/corpora",
                       tree == NULL ? "." : tree);
    }
    return access(path, R_OK) == 0 ? path : NULL;
}

/* The folder of the files, and the model that they are about. */
struct corpus {
    const char *prefix, *model;
    bool may_leave; /* to the general engines */
};

static const struct corpus corpora[] = {
    {"limo/queue/", "fifo-queue", false},
    {"limo/stack/", "stack", false},
    {"elle-cli/jepsen/bank", "bank", false},
    {"elle-cli/jepsen/counter", "counter", false},
    {"elle-cli/jepsen/set_full", "set-full", false},
    {"elle-cli/etcd.json", "mutex", true},
    {"synthetic-register/u", "register", false},
};

static const struct corpus *
corpus_of(const char *file)
{
    for (uint32_t i = 0; i < ARRAY_LEN(corpora); i++) {
        if (strncmp(file, corpora[i].prefix, strlen(corpora[i].prefix)) == 0) {
            return &corpora[i];
        }
    }
    return NULL;
}

static enum verdict
corpus_judge(const char *path, const struct corpus *corpus,
             struct decision *ret, struct calls **ret_calls)
{
    struct calls_options options = {.model = model_find(corpus->model)};
    struct record_file file = {0};
    const struct format_ops *format;
    struct error err = {0};
    struct budget b = agree_budget();

    *ret_calls = calls_new(&options, &err);
    CHECK(*ret_calls != NULL);
    CHECK_OK(
        format_read(path, NULL, &format, &file, calls_add, *ret_calls, &err),
        &err);
    CHECK_OK(calls_finish(*ret_calls, &err), &err);
    struct problem p = {
        .calls = *ret_calls, .count = (*ret_calls)->count, .key = VALUE_ABSENT};
    engine_decide(options.model->exact[0], &p, &b, ret);
    return ret->verdict;
}

static uint32_t files, wrong;

static void
corpus_line(char *line, const char *folder)
{
    char path[8192];
    const char *file = strsep(&line, "\t");
    const struct corpus *corpus = file == NULL ? NULL : corpus_of(file);
    const char *expected = NULL;
    struct decision d;
    struct calls *c;

    for (uint32_t i = 0; corpus != NULL && i < 4; i++) {
        expected = strsep(&line, "\t");
    }
    if (corpus == NULL || expected == NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    enum verdict v = corpus_judge(path, corpus, &d, &c);
    files++;
    if (strcmp(verdict_name(v), expected) != 0 &&
        (v != VERDICT_UNKNOWN || !corpus->may_leave)) {
        wrong++;
        printf("# %s: %s, expected %s: %s%s\n", file, verdict_name(v), expected,
               d.headline, d.reason);
    }
    decision_release(&d);
    calls_free(c);
}

static void
test_corpora(void)
{
    char line[4096], path[8192];
    const char *folder = corpora_path();

    (void)snprintf(path, sizeof(path), "%s/VERDICTS.tsv", folder);
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        corpus_line(line, folder);
    }
    (void)fclose(f);
    printf("# %u files, %u judged otherwise\n", files, wrong);
    CHECK(files > 0);
    CHECK_INT(wrong, 0);
}

int
main(void)
{
    if (corpora_path() == NULL) {
        SKIP(test_corpora, "no histories beside the tree");
    } else {
        RUN(test_corpora);
    }
    return tap_done();
}
