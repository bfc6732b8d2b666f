/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several checkers want to know about a table, worked out once: who made a
 * lease and what was done to it, who was granted a resource, which ticks may
 * have expired leases unseen, which events belong to a sweep.
 *
 * And the one question all of them ask: seen from a point of the history, what
 * may have happened to a lease by then (lease_outlook)?  The answer is always
 * on the safe side: WHEN_BEFORE is certain in every correct execution,
 * everything that some correct execution allows is WHEN_MAYBE.
 *
 * Threads: built by one, then immutable.
 */
#ifndef ORDEAL_ANALYZER_FACTS_H
#define ORDEAL_ANALYZER_FACTS_H

#include "analyzer/table.h"

/* A lease that some answer named, or that some command meant. */
struct lease_fact {
    uint32_t id;      /* in table->ids */
    uint32_t creator; /* answer of the reserve that made it, or NONE */
    uint32_t shown;   /* first answer of a lease read that found it, or NONE */
    uint32_t command_first; /* operations on it; facts->command_next */
    uint32_t expired_first; /* rows naming it; facts->expired_next */
    bool answered_ok;       /* some command on it was answered ok */
};

/* A resource was given to a lease by an answered reserve. */
struct grant {
    uint32_t resource; /* in facts->resources */
    uint32_t lease;    /* in facts->leases */
    uint32_t answer, operation, invoke, end;
    uint64_t index; /* or INDEX_NONE */
};

struct resource_fact {
    uint32_t id;
    uint32_t grant_first, grant_count; /* in facts->grants, in order */
    uint32_t create_first; /* create operations; facts_create_next */
    uint32_t loose_first;  /* facts->loose */
};

/* A reserve that may have made leases nobody was told of. */
struct loose {
    uint32_t operation, next;
};

/* An answer showed a slot higher than all before it. */
struct slot_rise {
    int64_t slot;
    uint32_t event;
};

struct facts {
    const struct table *table;
    struct lease_fact *leases;
    uint32_t lease_count, *lease_of_id;
    struct resource_fact *resources;
    uint32_t resource_count, *resource_of_id;
    struct grant *grants;
    uint32_t grant_count;
    struct loose *loose;
    uint32_t loose_count;
    uint32_t loose_event;   /* the first that invoked one of them, or NONE */
    uint32_t *command_next; /* by operation */
    uint32_t *create_after; /* by operation: facts_create_next */
    uint32_t *expired_next; /* by row */
    uint32_t unknown_tick;  /* first event that invoked one, or NONE */
    uint32_t *tick_invokes; /* events, rising */
    int64_t *tick_slots;    /* highest slot asked for up to there */
    uint32_t tick_count;
    int64_t slot_max;        /* highest slot asked for or answered */
    struct slot_rise *rises; /* of the slots that were answered */
    uint32_t rise_count;
    uint32_t *sweep_events; /* [begin, end) pairs of the sweep phases */
    uint32_t sweep_count;
    bool creates; /* the history creates its resources itself */
};

void facts_init(struct facts *f, const struct table *t);
void facts_release(struct facts *f);

/* The next operation that creates the same resource, or NONE.  Few do: numbers
 * are one more than they are, and what is not written costs no memory. */
static inline uint32_t
facts_create_next(const struct facts *f, uint32_t op)
{
    return f->create_after[op] - 1u;
}

bool facts_in_sweep(const struct facts *f, uint32_t event);

/* Highest slot that can have been reached before 'event'; SLOT_NONE: none. */
int64_t facts_slot_before(const struct facts *f, uint32_t event);

/* The slot that was certainly reached when 'event' happened. */
int64_t facts_slot_reached(const struct facts *f, uint32_t event);

/*
 * Whether the operation may have executed at another time than its first
 * recorded answer says, too: another attempt of it may have arrived when the
 * dedupe record of the one was not there, or no longer there, for the other.
 */
bool facts_may_repeat(const struct facts *f, uint32_t op);

/* ---- view.c ---- */

enum when { WHEN_NEVER, WHEN_AFTER, WHEN_MAYBE, WHEN_BEFORE };

/* A point of the history from which effects are seen. */
struct viewpoint {
    uint32_t self;        /* operation that does not count, or NONE */
    uint32_t invoke, end; /* events of the observer; end NONE: open */
    uint64_t index;       /* effects up to here are seen; INDEX_NONE: use
                             real time */
    int64_t slot;         /* slot of that state, or SLOT_NONE */
};

/* Before a recorded mutation; at a read's state. */
struct viewpoint viewpoint_before(const struct facts *f, uint32_t answer);
struct viewpoint viewpoint_of_read(const struct facts *f, uint32_t answer);

/* When the operation took effect (code ok), seen from there. */
enum when when_operation(const struct facts *f, uint32_t op,
                         const struct viewpoint *vp);
enum when when_answer(const struct facts *f, uint32_t answer,
                      const struct viewpoint *vp);
enum when when_expired(const struct facts *f, uint32_t row,
                       const struct viewpoint *vp);

/* What can have become of a lease.  *_by: the operation (or row) that did. */
struct lease_outlook {
    enum when created, confirmed, revoked, released, reclaimed, expired;
    uint32_t confirmed_by, revoked_by, released_by, reclaimed_by, expired_row;
    unsigned states;  /* bit per possible enum state */
    bool may_be_gone; /* ended so long ago that it may be retired */
};
#define STATE_BIT(state) (1u << (state))
#define STATES_HELD                                                            \
    (STATE_BIT(STATE_RESERVED) | STATE_BIT(STATE_ACTIVE) |                     \
     STATE_BIT(STATE_REVOKING))
#define STATES_ENDED                                                           \
    (STATE_BIT(STATE_RELEASED) | STATE_BIT(STATE_EXPIRED) |                    \
     STATE_BIT(STATE_REVOKED))

void lease_outlook(const struct facts *f, uint32_t lease,
                   const struct viewpoint *vp, struct lease_outlook *ret);

/* The last grant of the resource that is certain there; NULL: none. */
const struct grant *last_grant(const struct facts *f, uint32_t resource,
                               const struct viewpoint *vp);

/* Whether two grants are of one resource, one certainly before the other; and
 * whether then the lease of the first cannot have ended at the second, with
 * what can have become of it. */
bool grant_precedes(const struct grant *a, const struct grant *b);
bool grant_still_held(const struct facts *f, const struct grant *a,
                      const struct grant *b, struct lease_outlook *ret);

#endif
