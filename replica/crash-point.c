/* SPDX-License-Identifier: Apache-2.0 */
/* A table of names; the places are where the constants stand. */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/cleanup.h"
#include "harness/base/log.h"
#include "replica/crash-point.h"
#include "replica/json.h"
#include "replica/options.h"

static const struct {
    const char *name, *when;
} points[CRASH_POINT_COUNT] = {
    [CRASH_BEFORE_APPEND] = {"before-append", "before entries are written"},
    [CRASH_APPEND] = {"append", "half of the bytes of the entries are written"},
    [CRASH_BEFORE_SYNC] = {"before-sync", "entries are written, not synced"},
    [CRASH_AFTER_SYNC] = {"after-sync", "entries are synced, nobody knows"},
    [CRASH_BEFORE_QUORUM] = {"before-quorum",
                             "a primary's entries are durable here, it does "
                             "not know of a majority"},
    [CRASH_AFTER_COMMIT] = {"after-commit",
                            "a primary knows that a command is committed, "
                            "before it is executed"},
    [CRASH_BEFORE_REPLY] = {"before-reply",
                            "a command is executed, before its answer"},
    [CRASH_AFTER_REPLY] = {"after-reply", "the answer has gone to the socket"},
    [CRASH_CHECKPOINT_BEGIN] = {"checkpoint-begin",
                                "before a snapshot is written"},
    [CRASH_CHECKPOINT_END] = {"checkpoint-end",
                              "a snapshot is durable, the log still has all"},
    [CRASH_RECOVERY] = {"recovery",
                        "at start, when the durable state was read"},
    [CRASH_TRANSFER_SERVE] = {"transfer-serve",
                              "before a piece of a snapshot is sent"},
    [CRASH_TRANSFER_CHUNK] = {"transfer-chunk",
                              "a piece of a peer's snapshot has come"},
    [CRASH_INSTALL_BEGIN] = {"install-begin",
                             "a peer's snapshot is whole, nothing is written"},
    [CRASH_INSTALL] = {"install",
                       "a peer's snapshot is durable, the old log remains"},
    [CRASH_INSTALL_END] = {"install-end", "a peer's snapshot is installed"},
    [CRASH_VIEW_CHANGE] = {"view-change", "it leaves its view"},
    [CRASH_VIEW_START] = {"view-start", "it begins to lead a view"},
};

int
crash_place_parse(const char *text, struct crash_place *ret, struct error *err)
{
    const char *colon = strchr(text, ':');
    size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    uint64_t nth = 1;

    if (colon != NULL && (!text_to_u64(colon + 1, &nth) || nth == 0))
        return error_set(err, ERROR_CONFIG,
                         "crash point '%s': N is a number from 1", text);
    for (unsigned i = 1; i < CRASH_POINT_COUNT; i++) {
        if (strlen(points[i].name) == len &&
            strncmp(points[i].name, text, len) == 0) {
            *ret = (struct crash_place){(enum crash_point)i, nth};
            return 0;
        }
    }
    return error_set(err, ERROR_CONFIG,
                     "no crash point is named '%.*s'; see "
                     "--list-crash-points",
                     (int)len, text);
}

void
crash_plan_arm(struct crash_plan *p, const struct crash_place *place)
{
    atomic_store(&p->at, CRASH_NOWHERE);
    atomic_store(&p->passed, 0);
    atomic_store(&p->nth, place->nth);
    atomic_store(&p->at, (unsigned)place->at);
}

const char *
crash_point_name(enum crash_point at)
{
    return points[at].name;
}

void
crash_point_list(FILE *out)
{
    for (unsigned i = 1; i < CRASH_POINT_COUNT; i++)
        fprintf(out, "%s\t%s\n", points[i].name, points[i].when);
}

bool
crash_point_hit(struct crash_plan *p, enum crash_point at)
{
    return atomic_load(&p->at) == (unsigned)at &&
           atomic_fetch_add(&p->passed, 1) + 1 == atomic_load(&p->nth);
}

void
crash_now(const struct crash_plan *p)
{
    log_warning("crash", "%s:%" PRIu64 ": the process ends here",
                points[atomic_load(&p->at)].name, atomic_load(&p->nth));
    _exit(REPLICA_EXIT_CRASH_POINT);
}

void
crash_point_pass(struct crash_plan *p, enum crash_point at)
{
    if (crash_point_hit(p, at))
        crash_now(p);
}
