/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replication core under 1,000 seeded schedules, and every wrong line
 * caught.
 *
 * Happy path: no schedule breaks a rule or stops making progress; the faults
 * that the schedules are about did happen; the same seed gives the same
 * transcript; each mutation (one wrong line in the core or its host) breaks a
 * rule in one of the schedules it is given.
 *
 * Failure modes: a violation is printed with its seed ("simulate --seed N
 * --verbose" replays it).  Each mutation runs in a child process, because a
 * wrong core may also trip over its own assertions: that counts as caught.
 */
#include "config.h"

#include <signal.h>
#include <sys/wait.h>

#include "tests/lib/tap.h"
#include "tests/simulation/sim.h"

#define SCHEDULES 1000
/* Most wrong lines show within 10 schedules, the shyest after a few hundred. */
#define MUTATION_SCHEDULES 10000

static struct sim_report sum;
static unsigned mutation;

static void
add(const struct sim_report *r)
{
    sum.committed += r->committed;
    sum.reads += r->reads;
    sum.answers += r->answers;
    sum.crashes += r->crashes;
    sum.refusals += r->refusals;
    sum.recoveries += r->recoveries;
    sum.snapshots_installed += r->snapshots_installed;
    sum.discarded += r->discarded;
}

static void
test_schedules_keep_every_rule(void)
{
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        struct sim_report r;
        sim_run(seed, VSR_MUTATION_NONE, false, &r);
        if (r.violated)
            printf("# seed %llu: rule %u: %s\n", (unsigned long long)seed,
                   r.rule, r.what);
        CHECK(!r.violated);
        add(&r);
    }
    printf("# %llu entries, %llu writes, %llu reads, %llu crashes, "
           "%llu recoveries, %llu snapshots installed\n",
           (unsigned long long)sum.committed, (unsigned long long)sum.answers,
           (unsigned long long)sum.reads, (unsigned long long)sum.crashes,
           (unsigned long long)sum.recoveries,
           (unsigned long long)sum.snapshots_installed);
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
    run_mutations();
    return tap_done();
}
