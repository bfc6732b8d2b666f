/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate [--seed N] [--schedules N] [--mutation NAME] [--verbose]
 *          [--keep-going] [--shrink] [--without FAULT,...] [--fault-ms N]
 *
 * Runs schedules seed, seed + 1, ...; ends with 1 at the first violation and
 * says the seed.  With --verbose the transcript goes to standard output: the
 * same seed gives the same one.  With --shrink a violation is made smaller, and
 * the command that replays the small one is told.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/sim.h"

static int
usage(void)
{
    fprintf(stderr,
            "usage: simulate [--seed N] [--schedules N] [--mutation NAME] "
            "[--keep-going] [--verbose]\n"
            "                [--shrink] [--without FAULT,...] [--fault-ms N]\n"
            "faults:");
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        fprintf(stderr, " %s", sim_fault_name((enum sim_fault)i));
    fprintf(stderr, "\n");
    return 64;
}

/* False: a name is none of a fault. */
static bool
parse_without(const char *text, uint32_t *ret)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        unsigned i = 0;
        while (i < SIM_FAULT_COUNT &&
               (strlen(sim_fault_name((enum sim_fault)i)) != len ||
                strncmp(sim_fault_name((enum sim_fault)i), text, len) != 0))
            i++;
        if (i == SIM_FAULT_COUNT)
            return false;
        *ret |= 1u << i;
        text += len + (text[len] == ',');
    }
    return true;
}

static void
shrink(struct sim_options o)
{
    struct sim_report r;
    char command[400];
    unsigned runs = sim_shrink(&o, &r);
    sim_command(&o, command, sizeof(command));
    printf("smaller, after %u runs: rule %u: %s\n  %s --verbose\n", runs,
           r.rule, r.what, command);
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
run(struct sim_options o, uint64_t schedules, bool keep_going, bool smaller)
{
    struct sim_report sum = {0}, r = {0};
    uint64_t violations = 0;
    for (uint64_t i = 0; i < schedules; i++, o.seed++) {
        sim_run_with(&o, &r);
        add(&sum, &r);
        if (!r.violated)
            continue;
        violations++;
        printf("seed %llu: rule %u: %s\n", (unsigned long long)o.seed, r.rule,
               r.what);
        if (smaller)
            shrink(o);
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
        {"shrink", no_argument, NULL, 'z'},
        {"without", required_argument, NULL, 'w'},
        {"fault-ms", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0}};
    struct sim_options o = {.seed = 1};
    uint64_t schedules = 1;
    int mutation = 0, c;
    bool keep_going = false, smaller = false;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 's')
            o.seed = strtoull(optarg, NULL, 0);
        else if (c == 'n')
            schedules = strtoull(optarg, NULL, 0);
        else if (c == 'm')
            mutation = mutation_of(optarg);
        else if (c == 'v')
            o.verbose = true;
        else if (c == 'k')
            keep_going = true;
        else if (c == 'z')
            smaller = true;
        else if (c == 'f')
            o.fault_ms = strtoull(optarg, NULL, 0);
        else if (c != 'w' || !parse_without(optarg, &o.without))
            return usage();
    }
    if (optind != argc || mutation < 0 || schedules == 0)
        return usage();
    o.mutation = (unsigned)mutation;
    return run(o, schedules, keep_going, smaller);
}
