/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the replication core, shared by its files and by nobody else:
 *   vsr.c           start, step, normal operation, commit, reads
 *   vsr-view.c      suspicion and view change
 *   vsr-transfer.c  catch-up by suffix and snapshot, recovery of a lost disk
 *   vsr-log.c       the entries in memory, metadata, the disk FIFO
 *   vsr-wire.c      names, configuration, encoding of messages
 */
#ifndef ORDEAL_REPLICA_VSR_INTERNAL_H
#define ORDEAL_REPLICA_VSR_INTERNAL_H

#include <assert.h>
#include <string.h>

#include "harness/base/arena.h"
#include "harness/base/rng.h"
#include "replica/vsr.h"

/* Entries that the messages of one step can refer to: the batches of a flush
 * and one answer to a transfer. */
#define OUT_BATCHES_MAX 4u
#define OUT_ENTRIES_MAX ((OUT_BATCHES_MAX + 1u) * VSR_MESSAGE_ENTRIES_MAX)

/* Slots that clients cannot fill, so that a view can always be opened. */
#define LOG_RESERVE 64u

/* Asked in vain this often, a transfer starts again from the beginning. */
#define TRANSFER_RETRIES_MAX 8u

/* Views, incarnations and snapshots above are nonsense, and could wrap. */
#define VIEW_MAX (UINT64_MAX / 4)

/* A peer's snapshot that says to be longer is not fetched. */
#define SNAPSHOT_BYTES_MAX (UINT64_C(1) << 32)

#define MUTATED(v, m) __builtin_expect((v)->config.mutation == (m), 0)

enum status {
    STATUS_NORMAL,
    STATUS_VIEW_CHANGE,
    STATUS_RECOVERING,
};

struct slot {
    uint64_t view, token;
    uint32_t length;
    uint8_t kind;
    void *payload; /* owned; NULL when length is 0 */
};

struct vote {
    bool present;
    struct vsr_position end; /* of the voter's log */
    uint64_t commit, life;   /* life: the voter's incarnation */
};

struct answer { /* to our RECOVERY */
    bool present, normal;
    uint64_t view, incarnation;
    struct vsr_position end;
};

struct peer {
    uint64_t match; /* identical and durable there up to here (this view) */
    uint64_t round; /* newest heartbeat round it answered (this view) */
    uint64_t heard_ns;
    bool suspects; /* said so for our view, at suspects_ns */
    uint64_t suspects_ns;
    struct vote vote;
    struct answer answer;
};

struct read {
    uint64_t token;
    uint64_t round; /* must be confirmed */
    uint64_t index; /* must be applied */
};

enum transfer_kind {
    TRANSFER_NONE,
    TRANSFER_ENTRIES,
    TRANSFER_SNAPSHOT,
};

struct transfer {
    enum transfer_kind kind;
    uint8_t peer;
    uint64_t session;
    struct vsr_position prev;     /* ENTRIES: asked for what follows */
    struct vsr_position snapshot; /* SNAPSHOT: which, and how far */
    uint64_t offset;
    uint64_t retry_ns;
    unsigned retries;
};

enum recovery_phase {
    RECOVERY_NONE,
    RECOVERY_QUERY,    /* which life was the last one? */
    RECOVERY_ANNOUNCE, /* this one is; what is the view? */
    RECOVERY_FETCH,    /* take the primary's log */
};

struct vsr {
    struct vsr_config config;
    struct rng rng;
    unsigned quorum;
    bool restoring, started, halted;

    /* The log: entries (base.index, op] in slots[index % capacity]. */
    struct slot *slots;
    struct vsr_position base;
    uint64_t op, bytes;
    uint64_t synced; /* durable up to here */

    /* The disk FIFO. */
    uint64_t seq;                  /* last handed out */
    uint64_t sync_seq, sync_index; /* last SYNC */
    bool syncing;
    uint64_t metadata_seq; /* last METADATA */
    bool metadata_writing;
    struct vsr_metadata metadata; /* as last handed to the host */
    struct vsr_metadata durable;  /* as known to be on disk */
    uint64_t acked;               /* what metadata.acked will say next */
    uint64_t incarnation[VSR_REPLICAS_MAX];

    enum status status;
    uint64_t view;
    uint64_t lead_view_min; /* does not lead a view below */
    uint64_t commit, applied;
    uint64_t leader_commit; /* as the primary says */
    uint64_t matched; /* backup: identical to the primary's log up to here */
    bool suspecting;

    /* Primary. */
    uint64_t noop_index, sent;
    uint64_t round, round_confirmed, round_echoed;
    struct read *reads; /* FIFO ring of config.reads_max */
    unsigned read_head, read_count;
    unsigned request_count; /* tokens in slots */

    /* View change, on the primary to be. */
    bool elected; /* a majority voted, the best log is being fetched */
    struct vsr_position best;
    uint8_t best_peer;
    uint64_t best_commit;

    struct peer peers[VSR_REPLICAS_MAX];
    struct transfer transfer;
    uint64_t sessions;
    bool installing;
    struct vsr_position install;

    enum recovery_phase phase;
    uint64_t nonce;
    struct vsr_position target;

    struct vsr_position snapshot;
    bool snapshotting;
    enum vsr_recovery recovery;

    uint64_t now_ns, waits_ns, election_ns, beat_ns, suspicion_ns, metadata_ns;
    uint64_t recovery_ns;
    struct vsr_actions *out;
    struct vsr_entry out_entries[OUT_ENTRIES_MAX];
    unsigned out_entry_count;
    struct vsr_status counters; /* only the counting fields */
};

/* ---- vsr-log.c */
struct vsr_action *vsr_action(struct vsr *v, enum vsr_action_type type);
struct slot *vsr_slot(const struct vsr *v, uint64_t index);
uint64_t vsr_view_at(const struct vsr *v, uint64_t index);
struct vsr_position vsr_at(const struct vsr *v, uint64_t index);
bool vsr_has_room(const struct vsr *v, uint32_t length, unsigned reserve);
void vsr_store(struct vsr *v, const struct vsr_entry *e, uint64_t token);
void vsr_append(struct vsr *v, const struct vsr_entry *e, uint64_t token);
/* false: it would cut what is committed; the replica is halted. */
bool vsr_truncate(struct vsr *v, uint64_t index);
void vsr_drop_all(struct vsr *v, struct vsr_position base);
void vsr_drop_first(struct vsr *v);
void vsr_release(struct vsr *v, uint64_t index);
/* The largest index <= 'from' whose view is <= 'view'; not below the base. */
uint64_t vsr_last_not_above(const struct vsr *v, uint64_t from, uint64_t view);
void vsr_write_metadata(struct vsr *v);
void vsr_sync(struct vsr *v);
/* Entries after 'index' for a message; the number taken. */
unsigned vsr_batch(struct vsr *v, uint64_t index, uint64_t last,
                   const struct vsr_entry **ret);
void vsr_halt(struct vsr *v, const char *reason);

/* ---- vsr.c */
uint8_t vsr_primary_of(const struct vsr *v, uint64_t view);
bool vsr_is_primary(const struct vsr *v);
bool vsr_may_speak(const struct vsr *v);
struct vsr_message vsr_message_to(const struct vsr *v, uint8_t to,
                                  enum vsr_message_type type);
void vsr_send(struct vsr *v, const struct vsr_message *m);
void vsr_broadcast(struct vsr *v, struct vsr_message *m);
void vsr_complete(struct vsr *v, uint64_t token, enum vsr_outcome outcome,
                  struct vsr_position position);
void vsr_fail_requests(struct vsr *v);
void vsr_fail_reads(struct vsr *v, enum vsr_outcome outcome);
void vsr_become_primary(struct vsr *v);
void vsr_become_backup(struct vsr *v);
void vsr_commit_to(struct vsr *v, uint64_t index);
void vsr_heartbeat(struct vsr *v);
void vsr_acknowledge(struct vsr *v, uint64_t view);
/* Appends what is new of 'm' after its identical 'prev'. */
void vsr_accept_entries(struct vsr *v, const struct vsr_message *m);
bool vsr_entries_valid(const struct vsr_message *m);

/* ---- vsr-view.c */
void vsr_reset_election(struct vsr *v);
void vsr_adopt_view(struct vsr *v, uint64_t view);
void vsr_view_tick(struct vsr *v);
void vsr_vote(struct vsr *v);
void vsr_elect(struct vsr *v);
void vsr_on_start_view_change(struct vsr *v, const struct vsr_message *m);
void vsr_on_do_view_change(struct vsr *v, const struct vsr_message *m);
void vsr_on_view_notice(struct vsr *v, const struct vsr_message *m);

/* ---- vsr-transfer.c */
void vsr_transfer_start(struct vsr *v, uint8_t peer, uint64_t from_index);
void vsr_transfer_stop(struct vsr *v);
void vsr_transfer_tick(struct vsr *v);
void vsr_on_get_entries(struct vsr *v, const struct vsr_message *m);
void vsr_on_entries(struct vsr *v, const struct vsr_message *m);
void vsr_on_get_snapshot(struct vsr *v, const struct vsr_message *m);
void vsr_on_snapshot_chunk(struct vsr *v, const struct vsr_message *m);
void vsr_on_installed(struct vsr *v, const struct vsr_event *e);
void vsr_recovery_start(struct vsr *v, enum recovery_phase phase);
void vsr_recovery_tick(struct vsr *v);
void vsr_recovery_check(struct vsr *v);
void vsr_on_recovery(struct vsr *v, const struct vsr_message *m);
void vsr_on_recovery_response(struct vsr *v, const struct vsr_message *m);

#endif
