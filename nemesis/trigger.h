/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trigger aims a fault at an event instead of a moment: "right after an
 * invoke of reserve", "when the heal of a kill is proven", "when a view change
 * begins".
 *
 *   {"event":"invoke", "function":"reserve"}     what clients record
 *   {"fault":"kill", "step":"proved_healed"}     what the nemesis records
 *   {"system":"view-change"}                     what the system reports
 *
 * and with each "after", "every", "limit", "node", and "process" of clients.
 * Names are data: nothing here knows a workload or a system.
 *
 * Threads: pure.
 */
#ifndef ORDEAL_NEMESIS_TRIGGER_H
#define ORDEAL_NEMESIS_TRIGGER_H

#include <jansson.h>
#include <stdint.h>

#include "harness/base/history.h"
#include "harness/base/limits.h"

#define TRIGGER_WORD_MAX 64
/* Faults that one trigger may set off; each has a number in the plan. */
#define TRIGGER_LIMIT_MAX 1000

enum trigger_kind {
    TRIGGER_NONE,
    TRIGGER_EVENT,
    TRIGGER_FAULT,
    TRIGGER_SYSTEM
};

struct trigger {
    enum trigger_kind kind;
    enum event_kind outcome;     /* TRIGGER_EVENT: invoke, ok, fail, unknown */
    char name[TRIGGER_WORD_MAX]; /* function, fault or system event; "": any */
    char step[TRIGGER_WORD_MAX]; /* TRIGGER_FAULT: a stage of its life */
    char node[NODE_NAME_MAX];    /* "": any */
    int64_t process;             /* TRIGGER_EVENT: -1: any */
    int64_t after_ns;            /* from the event to the fault */
    uint32_t every;              /* the every-th such event only; from 1 */
    uint32_t limit;              /* faults set off at most */
};

/* What happened.  Strings are borrowed; NULL where there is none. */
struct nemesis_event {
    enum trigger_kind kind;
    enum event_kind outcome;
    const char *name, *step, *node;
    uint32_t process; /* HISTORY_PROCESS_NONE: no client's */
};

/* ERROR_CONFIG names the key and the value. */
int trigger_parse(const json_t *on, unsigned node_count, struct trigger *ret,
                  struct error *err);
json_t *trigger_to_json(const struct trigger *t);

bool trigger_matches(const struct trigger *t, const struct nemesis_event *e);

/* "5 ms after every 3rd invoke of reserve", for people. */
void trigger_describe(const struct trigger *t, char *buf, size_t size);
/* "invoke reserve at n2 by process 7": the event itself. */
void nemesis_event_describe(const struct nemesis_event *e, char *buf,
                            size_t size);

#endif
