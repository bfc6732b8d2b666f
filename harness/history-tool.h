/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into a history: 'ordeal history cat' and 'ordeal history stat'.
 * 'path' is a history in either form, or a bundle (its history is taken).
 * Times are counted from the first event.
 *
 * What stands before damage is printed before the error is returned.
 */
#ifndef ORDEAL_HARNESS_HISTORY_TOOL_H
#define ORDEAL_HARNESS_HISTORY_TOOL_H

#include "harness/base/history.h"

/* What cat prints: everything that agrees with all that is set. */
struct history_filter {
    const char *operation; /* the id's last hex digits, ".." in front or not */
    const char *node, *function;
    bool process_set;
    uint32_t process;
    unsigned kinds; /* 1 << enum event_kind; 0: all */
    bool from_set, to_set;
    int64_t from_ns, to_ns; /* both included */
    uint64_t limit;         /* events printed; 0: all */
};

/* "fault,note" or "invoke" into filter->kinds. */
int history_filter_kinds(struct history_filter *filter, const char *text,
                         struct error *err);

/* One aligned line per event, or JSONL that can be imported again. */
int history_cat(FILE *out, const char *path, bool json,
                const struct history_filter *filter, struct error *err);

/* Functions by outcome, errors, ambiguities, faults, span and rate. */
int history_stat(FILE *out, const char *path, bool json, struct error *err);

/*
 * The same as JSON: {"events","seconds","attempts_per_second","sealed",
 * "dropped_bytes","operations","ambiguous","resolved",
 * "functions":{NAME:{"attempts","ok","fail","unknown","open"}},
 * "errors":{CLASS:{"fail","unknown"}},"faults":{NAME:{STAGE:count}}}.
 * New reference; NULL and err, also on damage.
 */
json_t *history_stat_json(const char *path, struct error *err);

#endif
