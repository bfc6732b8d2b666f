/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate [--seed N] [--schedules N] [--mutation NAME] [--verbose]
 *
 * Runs schedules seed, seed + 1, ...; ends with 1 at the first violation and
 * says the seed.  With --verbose the transcript goes to standard output: the
 * same seed gives the same one.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/sim.h"

static int
usage(void)
{
    fprintf(stderr, "usage: simulate [--seed N] [--schedules N] "
                    "[--mutation NAME] [--keep-going] [--verbose]\n");
    return 64;
}

static int
mutation_of(const char *name)
{
    for (unsigned i = 0; i < SIM_MUTATION_COUNT; i++)
        if (strcmp(sim_mutation_name(i), name) == 0)
            return (int)i;
    return -1;
}

static void
add(struct sim_report *sum, const struct sim_report *r)
{
    sum->steps += r->steps;
    sum->messages += r->messages;
    sum->committed += r->committed;
    sum->views += r->views;
    sum->reads += r->reads;
    sum->answers += r->answers;
    sum->crashes += r->crashes;
    sum->wipes += r->wipes;
    sum->refusals += r->refusals;
    sum->recoveries += r->recoveries;
    sum->snapshots_installed += r->snapshots_installed;
    sum->discarded += r->discarded;
    sum->end_ns += r->end_ns;
}

static int
run(uint64_t seed, uint64_t schedules, unsigned mutation, bool verbose,
    bool keep_going)
{
    struct sim_report sum = {0}, r = {0};
    uint64_t violations = 0;
    for (uint64_t i = 0; i < schedules; i++) {
        sim_run(seed + i, mutation, verbose, &r);
        add(&sum, &r);
        if (!r.violated)
            continue;
        violations++;
        printf("seed %llu: rule %u: %s\n", (unsigned long long)(seed + i),
               r.rule, r.what);
        fflush(stdout);
        if (!keep_going)
            break;
    }
    printf("steps %llu messages %llu committed %llu views %llu reads %llu "
           "answers %llu crashes %llu wipes %llu refusals %llu recoveries %llu "
           "installs %llu discarded %llu seconds %.1f violations %llu "
           "transcript %016llx\n",
           (unsigned long long)sum.steps, (unsigned long long)sum.messages,
           (unsigned long long)sum.committed, (unsigned long long)sum.views,
           (unsigned long long)sum.reads, (unsigned long long)sum.answers,
           (unsigned long long)sum.crashes, (unsigned long long)sum.wipes,
           (unsigned long long)sum.refusals, (unsigned long long)sum.recoveries,
           (unsigned long long)sum.snapshots_installed,
           (unsigned long long)sum.discarded, (double)sum.end_ns / 1e9,
           (unsigned long long)violations, (unsigned long long)r.transcript);
    return violations != 0;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"schedules", required_argument, NULL, 'n'},
        {"mutation", required_argument, NULL, 'm'},
        {"verbose", no_argument, NULL, 'v'},
        {"keep-going", no_argument, NULL, 'k'},
        {NULL, 0, NULL, 0}};
    uint64_t seed = 1, schedules = 1;
    int mutation = 0, c;
    bool verbose = false, keep_going = false;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (c == 'n')
            schedules = strtoull(optarg, NULL, 0);
        else if (c == 'm')
            mutation = mutation_of(optarg);
        else if (c == 'v')
            verbose = true;
        else if (c == 'k')
            keep_going = true;
        else
            return usage();
    }
    if (optind != argc || mutation < 0 || schedules == 0)
        return usage();
    return run(seed, schedules, (unsigned)mutation, verbose, keep_going);
}
