/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario is data: system x provider x workload x fault schedule x window x
 * evidence.  It is a YAML file, or the id of one that ships in scenarios/, or
 * a family under a nemesis (harness/scenario-compose.h).
 * docs/SCENARIOS.md describes every key.
 */
#ifndef ORDEAL_HARNESS_SCENARIO_H
#define ORDEAL_HARNESS_SCENARIO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness/base/error.h"

/* Least evidence for 'passed', for the scenario's own window. */
struct scenario_evidence {
    uint64_t operations;       /* ended with a recorded answer */
    uint64_t faults;           /* with proven effect and proven heal */
    uint64_t primary_hits;     /* of these, on the primary */
    uint64_t unknown_attempts; /* ambiguities that the run produced */
    uint64_t leader_changes;
};

enum scenario_capture { CAPTURE_NONE, CAPTURE_NODES, CAPTURE_ALL };

/* What every link of the cluster network is like, faults apart; 0: no such
 * rule. */
struct scenario_links {
    uint64_t rate_bits; /* per second */
    int64_t queue_ns;   /* longest wait for the rate */
    int64_t delay_ns, jitter_ns;
};

struct scenario {
    char *path; /* the file it came from */
    char *text; /* its bytes, for the bundle */
    char *id, *description;
    char *system, *provider, *workload;
    json_t *system_params, *workload_params; /* objects, owned */
    json_t *schedule;                        /* nemesis object or NULL */
    uint64_t node_count, client_count;
    double rate; /* operations per second over all clients; 0: unlimited */
    int64_t window_ns;
    uint64_t memory_mib, vcpus, data_disk_mib;
    enum scenario_capture capture;
    struct scenario_links links;
    struct scenario_evidence evidence;
    char *expect;  /* checker that must find a violation, or NULL */
    char *failure; /* row of the failure matrix that it shows, or NULL */
};

/* 'name' is an id, or a path when it has a '/' or ends in .yaml. */
struct scenario *scenario_load(const char *name, struct error *err);
void scenario_free(struct scenario *s);

/*
 * Puts another system under the scenario: one by its name, or the user's own by
 * a YAML file (docs/SYSTEMS.md, "custom"), which it is when it has a '/' or
 * ends in .yaml.  CONFIG errors leave the scenario as it was.
 */
int scenario_use_system(struct scenario *s, const char *name,
                        struct error *err);

/* Ids of all scenarios that ship, files first: a JSON array of strings. */
json_t *scenario_ids(struct error *err);

/* Scales the evidence minimums to another window. */
struct scenario_evidence scenario_evidence_for(const struct scenario *s,
                                               int64_t window_ns);

/*
 * A suite is a list of scenarios with windows (scenarios/suites/ID.yaml):
 * {"id", "description", "runs": [{"scenario", "window"?}]}.  New reference.
 */
json_t *suite_load(const char *name, struct error *err);

#endif
