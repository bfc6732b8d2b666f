/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replication core and the engines under 10,000 seeded schedules, and every
 * wrong line caught.
 *
 * Happy path: no schedule breaks a rule, is refused by the analyzer or stops
 * making progress; the faults that the schedules are about did happen, a crash
 * at every boundary among them; the same seed gives the same transcript; each
 * mutation (one wrong line in the core, its host or an engine) breaks a rule in
 * one of the schedules it is given; a failing schedule becomes smaller.
 *
 * ORDEAL_SCHEDULES says another number (the nightly run: more, and from another
 * seed, ORDEAL_SEED).
 *
 * Failure modes: a violation is printed with the command that replays it and
 * the smaller one.  Each mutation runs in a child process, because a
 * wrong core may also trip over its own assertions: that counts as caught.
 */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/lib/tap.h"
#include "tests/simulation/sim.h"

#define SCHEDULES 10000
/* Most wrong lines show within 10 schedules, the shyest after a few hundred. */
#define MUTATION_SCHEDULES 10000

static struct sim_report sum;
static uint64_t machines[MACHINE_COUNT], judged;
static unsigned mutation;

static uint64_t
environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void
add(const struct sim_report *r)
{
    for (unsigned i = 0; i < BOUNDARY_COUNT; i++)
        sum.boundaries[i] += r->boundaries[i];
    machines[r->machine]++;
    judged += r->history;
    sum.breaches += r->breaches;
    sum.stale += r->stale;
    sum.committed += r->committed;
    sum.reads += r->reads;
    sum.answers += r->answers;
    sum.crashes += r->crashes;
    sum.refusals += r->refusals;
    sum.recoveries += r->recoveries;
    sum.snapshots_installed += r->snapshots_installed;
    sum.discarded += r->discarded;
}

/* How to replay it, and a smaller one. */
static void
tell(uint64_t seed, const struct sim_report *r)
{
    struct sim_options o = {.seed = seed};
    struct sim_report smaller;
    char command[400];
    printf("# seed %llu: rule %u: %s\n", (unsigned long long)seed, r->rule,
           r->what);
    sim_command(&o, command, sizeof(command));
    printf("#   %s --verbose\n", command);
    sim_shrink(&o, &smaller);
    sim_command(&o, command, sizeof(command));
    printf("# smaller: rule %u: %s\n#   %s --verbose\n", smaller.rule,
           smaller.what, command);
}

static void
test_schedules_keep_every_rule(void)
{
    uint64_t first = environment("ORDEAL_SEED", 1);
    uint64_t count = environment("ORDEAL_SCHEDULES", SCHEDULES);
    printf("# seeds from %llu, %llu schedules\n", (unsigned long long)first,
           (unsigned long long)count);
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim_report r;
        sim_run(seed, VSR_MUTATION_NONE, false, &r);
        if (r.violated)
            tell(seed, &r);
        CHECK(!r.violated);
        add(&r);
    }
    printf("# %llu entries, %llu writes, %llu reads, %llu crashes, "
           "%llu recoveries, %llu snapshots installed\n",
           (unsigned long long)sum.committed, (unsigned long long)sum.answers,
           (unsigned long long)sum.reads, (unsigned long long)sum.crashes,
           (unsigned long long)sum.recoveries,
           (unsigned long long)sum.snapshots_installed);
    printf(
        "# %llu operations judged by the analyzer, %llu catch-ups beyond the "
        "budget, %llu stale transfers refused\n",
        (unsigned long long)judged, (unsigned long long)sum.breaches,
        (unsigned long long)sum.stale);
    for (unsigned i = 0; i < BOUNDARY_COUNT; i++)
        printf("# %llu crashes at %s\n", (unsigned long long)sum.boundaries[i],
               sim_boundary_name((enum sim_boundary)i));
}

static void
test_schedules_were_rough(void)
{
    CHECK(sum.answers > 10 * SCHEDULES);
    CHECK(sum.reads > 5 * SCHEDULES);
    CHECK(sum.crashes > SCHEDULES);
    CHECK(sum.refusals > SCHEDULES / 20);
    CHECK(sum.recoveries > SCHEDULES / 20);
    CHECK(sum.snapshots_installed > SCHEDULES / 20);
    CHECK(sum.discarded > SCHEDULES / 20);
    CHECK(sum.breaches > SCHEDULES / 100);
    CHECK(sum.stale > SCHEDULES / 100);
    for (unsigned i = 0; i < BOUNDARY_COUNT; i++)
        CHECK(sum.boundaries[i] > SCHEDULES / 500);
    for (unsigned i = 0; i < MACHINE_COUNT; i++)
        CHECK(machines[i] >= SCHEDULES / MACHINE_COUNT);
    CHECK(judged > 20 * SCHEDULES);
}

/* What is left out is not needed, and what remains breaks the same rule. */
static void
test_a_failing_schedule_shrinks(void)
{
    struct sim_options o = {.seed = 1, .mutation = SIM_MUTATION_EARLY_EXPIRY};
    struct sim_report before, after, again;
    char command[400];
    for (sim_run_with(&o, &before); !before.violated && o.seed < 1000;
         sim_run_with(&o, &before))
        o.seed++;
    CHECK(before.violated);
    sim_shrink(&o, &after);
    sim_command(&o, command, sizeof(command));
    printf("# %llu steps became %llu: %s\n", (unsigned long long)before.steps,
           (unsigned long long)after.steps, command);
    CHECK_INT(after.rule, before.rule);
    CHECK(o.without != 0);
    sim_run_with(&o, &again);
    CHECK(again.transcript == after.transcript && again.steps == after.steps);
}

static void
test_same_seed_same_transcript(void)
{
    struct sim_report a, b, c;
    sim_run(7, VSR_MUTATION_NONE, false, &a);
    sim_run(7, VSR_MUTATION_NONE, false, &b);
    sim_run(8, VSR_MUTATION_NONE, false, &c);
    CHECK(a.transcript == b.transcript);
    CHECK(a.steps == b.steps);
    CHECK(a.transcript != c.transcript);
}

/* In the child: ends with 1 when a schedule caught it. */
static void
hunt(void)
{
    for (uint64_t seed = 1; seed <= MUTATION_SCHEDULES; seed++) {
        struct sim_report r;
        sim_run(seed, mutation, false, &r);
        if (!r.violated)
            continue;
        /* Bugs of an engine are the same on all replicas: the analyzer's. */
        if (mutation >= SIM_BUG_DOUBLE_ALLOCATION && r.rule != SIM_RULE_HISTORY)
            _exit(0);
        printf("# %s: seed %llu: rule %u: %s\n", sim_mutation_name(mutation),
               (unsigned long long)seed, r.rule, r.what);
        fflush(stdout);
        _exit(1);
    }
    _exit(0);
}

static bool
caught(void)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        hunt();
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return false;
    return (WIFEXITED(status) && WEXITSTATUS(status) == 1) ||
           (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* One point each, named after the mutation. */
static void
run_mutations(void)
{
    for (mutation = 1; mutation < SIM_MUTATION_COUNT; mutation++) {
        bool ok = caught();
        tap_failures += !ok;
        printf("%s %d - mutation %s is caught\n", ok ? "ok" : "not ok",
               ++tap_count, sim_mutation_name(mutation));
        fflush(stdout);
    }
}

int
main(void)
{
    RUN(test_schedules_keep_every_rule);
    RUN(test_schedules_were_rough);
    RUN(test_same_seed_same_transcript);
    RUN(test_a_failing_schedule_shrinks);
    run_mutations();
    return tap_done();
}
