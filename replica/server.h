/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: one loop that feeds the replication core and carries out what it
 * asks for.
 *
 *   clients --http--> pending --request, read--> vsr <--messages--> peers
 *                        ^                        |
 *                        +------ complete --------+---> disk, engine
 *
 * server.c has the loop and the actions, server-api.c the routes and answers.
 * Everything here belongs to the loop's thread.
 */
#ifndef ORDEAL_REPLICA_SERVER_H
#define ORDEAL_REPLICA_SERVER_H

#include "replica/disk.h"
#include "replica/engine.h"
#include "replica/http.h"
#include "replica/options.h"
#include "replica/peer.h"

/* Runs until a signal, or until it cannot go on; says why on the log. */
enum replica_exit server_run(const struct replica_options *o);

/* ---- between server.c and server-api.c ---- */

/* Requests that wait for the core; more answer 'overloaded'. */
#define PENDING_MAX 4096u
/* Outcomes kept between apply and complete: more than a pipeline holds. */
#define OUTCOMES_MAX (2 * VSR_PIPELINE_MAX)
/* Digests that GET /v1/digest?index= can still tell. */
#define DIGESTS_MAX 4096u

/* The only kind of entry beside the core's no-op: a command of the engine. */
#define ENTRY_KIND_COMMAND 1u

enum pending_kind {
    PENDING_FREE = 0,
    PENDING_COMMAND,
    PENDING_TICK,
    PENDING_READ,
};

struct pending {
    enum pending_kind kind;
    uint64_t generation; /* grows with each use of the slot */
    struct http_request *request;
    uint64_t deadline_ns;
    uint32_t next_free;
    /* tick */
    struct outcome tick;
    json_t *expired;
    unsigned outstanding; /* expire entries not completed */
    bool lost;            /* one of them is unknown */
    /* read */
    char what[16]; /* "resource", "lease", "bucket", ... */
    struct id128 id;
    uint64_t required;
};

struct applied_outcome {
    uint64_t index;
    struct outcome outcome;
    json_t *expired; /* item of a tick's list, on the primary; owned */
};

struct applied_digest {
    uint64_t index, digest, chain;
};

/* Something to feed when the list at hand is done. */
struct followup {
    struct vsr_event event;
    uint8_t payload[64]; /* of an expire entry */
};

enum server_counter {
    COUNTER_COMMITTED,
    COUNTER_CACHED,
    COUNTER_READ,
    COUNTER_INVALID,
    COUNTER_NOT_PRIMARY,
    COUNTER_NOT_READY,
    COUNTER_OVERLOADED,
    COUNTER_EXHAUSTED,
    COUNTER_FENCE,
    COUNTER_LEADERSHIP_LOST,
    COUNTER_DEADLINE,
    COUNTER_COUNT,
};

struct server {
    const struct replica_options *options;
    struct crash_plan crash;
    bool replied; /* an answer to a command waits to be sent */
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t timer;
    uv_signal_t signals[2];
    bool stopping, disk_full;
    enum replica_exit exit_code;

    struct vsr *vsr;
    struct vsr_actions actions;
    struct vsr_status status; /* after the last step */
    bool more;                /* the core wants to go on */
    uint8_t *message;         /* VSR_MESSAGE_BYTES_MAX, for encoding */
    struct followup *followups;
    size_t followup_count, followup_cap;

    struct engine *engine;
    struct vsr_position applied;
    uint64_t chain;
    uint64_t log_end_at_start; /* for planted bugs */
    int64_t bug_wall_ns; /* bug wall-clock-expiry: of the last tick, 0: none */
    uint64_t bug_wall_slot;
    struct applied_outcome *outcomes;
    struct applied_digest *digests;

    struct disk *disk;
    char start_detail[160];
    enum vsr_recovery recovery_start; /* before anything came from a peer */
    struct image newest, served, taking, staging;
    struct vsr_position staging_position;
    uint64_t served_until_ns;
    struct engine *installing;
    uint64_t installing_chain;

    struct peers *peers;
    struct http *http;
    struct pending *pending;
    uint32_t pending_free;
    uint32_t pending_count;
    uint64_t disk_checked_ns, decode_refusals;
    uint64_t counters[COUNTER_COUNT];
    char boot[ID128_TEXT_SIZE];
};

/* One event, its actions, and the events that follow from them. */
void server_step(struct server *s, struct vsr_event *event);
void server_followup(struct server *s, const struct vsr_event *event);

/* server-api.c */
void api_request(void *server, struct http_request *r);
void api_complete(struct server *s, const struct vsr_action *a);
void api_tick(struct server *s, uint64_t now_ns); /* deadlines */
void api_abandon(struct server *s); /* answers all that wait: unknown */

#endif
