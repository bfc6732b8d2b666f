/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Viewstamped replication as a pure step function.
 *
 *   vsr_step(state, event) -> actions
 *
 * After Liskov and Cowling, "Viewstamped Replication Revisited" (2012), with a
 * durable log; the prefix check and the commit rule are those of Ongaro and
 * Ousterhout's Raft (2014, 5.3 and 5.4.2); the incarnation numbers of the
 * recovery protocol follow Michael et al., "Recovering Shared Objects Without
 * Stable Storage" (DISC 2017).
 *
 * The core has no clock, does no I/O and knows nothing of what entries mean.
 * The host (the daemon, or the simulation) feeds it events, one at a time, and
 * carries out the actions of each step IN THE ORDER OF THE LIST before it feeds
 * the next event.
 *
 *            message  tick  request  read  disk done  snapshot taken/installed
 *                |      |      |      |        |               |
 *                v      v      v      v        v               v
 *              +--------------------------------------------------+
 *              |                     vsr_step                     |
 *              +--------------------------------------------------+
 *                |        |        |         |          |
 *                v        v        v         v          v
 *              send    disk FIFO  apply   complete   snapshot work
 *
 * Names.  A replica is its number 0..count-1 in the fixed membership; the
 * primary of view v is replica v % count.  An entry has a position: (view in
 * which it was created, index); indexes start at 1 and have no gaps, views
 * never fall along the log.  Index 0 with view 0 is the empty log.
 *
 * Log identity.  Only the primary of a view creates entries of that view, at
 * most one per index, and a backup appends only after its entry before is the
 * one the primary has there.  So two logs that hold the same (view, index) are
 * the same up to it, and "last normal view" is the view of the last entry: a
 * backup has been normal in a view once it holds the no-op which opens it.
 *
 * The life of a replica:
 *
 *   start, metadata found ---------------------> VIEW_CHANGE (its durable view)
 *   start, nothing there, bootstrap -----------> VIEW_CHANGE (view 0)
 *   start, nothing there, not bootstrap -------> RECOVERING (has no vote)
 *
 *   RECOVERING --majority of the others answered, log of the primary of the
 *                highest view held and synced--> NORMAL (backup)
 *   VIEW_CHANGE --its primary prepares---------> NORMAL (backup)
 *   VIEW_CHANGE --majority DoViewChange, best
 *                 log fetched, no-op appended--> NORMAL (primary)
 *   NORMAL, VIEW_CHANGE --majority suspects the
 *                 view, or a higher view seen--> VIEW_CHANGE (higher view)
 *
 * A replica never leads the view it restarted in.  A view change needs a
 * majority that has not heard its primary (StartViewChange is a suspicion, it
 * promises nothing and is not durable); then each moves, makes the new view
 * durable and only then sends DoViewChange, which is the vote.
 *
 * A fresh cluster is told apart from a lost disk by the caller alone:
 * 'bootstrap' (the daemon's --new-cluster) says that there never was anything
 * to lose.  It matters only when no metadata is found; giving it to a replica
 * that lost its disk forgets votes and is the operator's lie.
 *
 * Disk.  APPEND, TRUNCATE, METADATA, SYNC and INSTALL_SNAPSHOT form one FIFO.
 * METADATA, SYNC and INSTALL_SNAPSHOT carry a rising 'seq'; DISK_DONE(seq) says
 * that everything up to it is durable.  The host may do them at once (and feed
 * DISK_DONE after the list is done) or on a thread of its own, in order.  At
 * most one SYNC is in flight, entries that arrive meanwhile share the next
 * (group commit).  A failed write or sync never reaches the core: the process
 * ends.
 *
 * Memory.  The core owns copies of the payloads of all entries after its base
 * (see RELEASE), at most config.log_entries_max and config.log_bytes_max; the
 * host's log is read only at start.  Pointers in actions stay valid until the
 * next call of a function of this header with the same vsr.
 *
 * Bytes from peers are data: vsr_message_decode() checks their shape,
 * vsr_step() their meaning.  Assertions fire only for errors of the host or the
 * core.
 *
 * Threads: one vsr, one thread.
 */
#ifndef ORDEAL_REPLICA_VSR_H
#define ORDEAL_REPLICA_VSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/error.h"

/* 7 tolerates three failures; more only slows. */
#define VSR_REPLICAS_MAX 7
/* One command; a bundle of hundreds of resources fits. */
#define VSR_PAYLOAD_BYTES_MAX 65536u

/* Positions are numbers of JSON, which end at 2^63-1; the last 2^32 are for
 * entries that open views. */
#define VSR_POSITION_MAX ((uint64_t)INT64_MAX - (UINT64_C(1) << 32))
/* Entries and payload bytes of one PREPARE or ENTRIES message.  A message holds
 * at least one entry, whatever its size. */
#define VSR_MESSAGE_ENTRIES_MAX 256u
#define VSR_MESSAGE_PAYLOAD_MAX (256u << 10)
/* Bytes of one piece of a snapshot. */
#define VSR_CHUNK_BYTES_MAX (256u << 10)
/* Longest encoded message: the larger of the two bodies, and the headers. */
#define VSR_MESSAGE_BYTES_MAX (512u << 10)
/* Applied entries in one step; more is said by vsr_actions.more. */
#define VSR_APPLY_MAX 256u
/* Reads and requests whose token the core holds. */
#define VSR_READS_MAX 4096u
#define VSR_PIPELINE_MAX 4096u
/* Longest list a step returns: completing all tokens, and the rest. */
#define VSR_ACTIONS_MAX (VSR_READS_MAX + VSR_PIPELINE_MAX + 1024u)

/* An entry whose kind is VSR_KIND_NOOP was made by the core: it opens a view
 * and has no payload.  Every other value belongs to the host. */
#define VSR_KIND_NOOP 0

struct vsr_entry {
    uint64_t view, index;
    uint8_t kind;
    uint32_t length; /* <= VSR_PAYLOAD_BYTES_MAX */
    const void *payload;
};

struct vsr_position {
    uint64_t view, index;
};

/* What must survive a crash besides log and snapshot.  The host stores it in
 * one file that it replaces atomically, with version, checksum and cluster id.
 */
struct vsr_metadata {
    uint8_t replica, replica_count; /* must equal the configuration at start */
    bool recovering;                /* has no vote until recovered */
    uint64_t view;                  /* never takes part in a lower one */
    uint64_t last_normal_view;      /* view of the last durable entry */
    uint64_t commit;                /* known committed, at most */
    /* High-water mark: this replica acknowledged everything up to here as
     * durable.  A log that ends below it has lost something: do not start.
     * Written lazily (config.metadata_interval_ns), so it may be behind, never
     * ahead; a legitimate TRUNCATE below it is preceded by a lower mark. */
    uint64_t acked;
    /* Lives of each replica's disk, as far as known here; raised by recovery.
     */
    uint64_t incarnation[VSR_REPLICAS_MAX];
};

/* ---- messages ---------------------------------------------------------- */

enum vsr_message_type {
    /* Primary to backup: entries after 'prev', its commit, the round.  Without
     * entries it is the heartbeat.  The first of a view is VSR's StartView. */
    VSR_PREPARE = 1,
    /* Backup to primary: identical and durable up to 'index'; echoes 'round'.
     */
    VSR_PREPARE_OK,
    /* "I have not heard the primary of 'view'": a suspicion, not a promise. */
    VSR_START_VIEW_CHANGE,
    /* The vote, to the primary of 'view': log ends at 'prev'. */
    VSR_DO_VIEW_CHANGE,
    /* Answer to a message of a lower view. */
    VSR_VIEW_NOTICE,
    /* State transfer by log suffix: "what follows 'prev'?" and the answer. */
    VSR_GET_ENTRIES,
    VSR_ENTRIES,
    /* State transfer by snapshot, piece by piece. */
    VSR_GET_SNAPSHOT,
    VSR_SNAPSHOT_CHUNK,
    /* A replica that lost its disk: asks which life it is in ('incarnation' 0),
     * then announces the next, and gets the views of the others. */
    VSR_RECOVERY,
    VSR_RECOVERY_RESPONSE,
    VSR_MESSAGE_TYPE_COUNT,
};

enum vsr_transfer_result {
    VSR_TRANSFER_OK = 0,
    VSR_TRANSFER_MISMATCH, /* 'prev' is not in the log; 'hint' is the next try
                            */
    VSR_TRANSFER_SNAPSHOT, /* released already: take the snapshot 'snapshot' */
};

/* One flat record; fields that a type does not use are 0. */
struct vsr_message {
    uint8_t type;
    uint8_t from, to;
    uint8_t result; /* ENTRIES */
    bool normal;    /* RECOVERY_RESPONSE: sender is in status normal */
    bool last;      /* SNAPSHOT_CHUNK: nothing follows */
    uint64_t view;  /* the sender's, always */
    uint64_t sender_incarnation;  /* the life of the sender's disk, always */
    struct vsr_position prev;     /* PREPARE, *_ENTRIES: entry before;
                                     others: end of the log */
    struct vsr_position hint;     /* ENTRIES with MISMATCH */
    struct vsr_position snapshot; /* ENTRIES, GET_SNAPSHOT, SNAPSHOT_CHUNK */
    uint64_t commit;              /* PREPARE, DO_VIEW_CHANGE, ENTRIES */
    uint64_t index;               /* PREPARE_OK */
    uint64_t round;               /* PREPARE, PREPARE_OK */
    uint64_t session;     /* transfers: request and answer belong together;
                             RECOVERY: the nonce */
    uint64_t incarnation; /* RECOVERY, RECOVERY_RESPONSE: of the asker */
    uint64_t incarnations[VSR_REPLICAS_MAX]; /* DO_VIEW_CHANGE: as known */
    uint64_t offset, total; /* GET_SNAPSHOT, SNAPSHOT_CHUNK: bytes */
    uint32_t entry_count;
    const struct vsr_entry *entries; /* PREPARE, ENTRIES; borrowed */
    uint32_t length;
    const void *data; /* SNAPSHOT_CHUNK; borrowed */
};

/* Little-endian wire form, without framing.  Returns the length, 0 when 'cap'
 * is too small (never with VSR_MESSAGE_BYTES_MAX). */
size_t vsr_message_encode(const struct vsr_message *m, void *buf, size_t cap);

/* Reads what encode wrote.  Payloads and data point into 'buf'; the entries go
 * into the caller's 'entries' (VSR_MESSAGE_ENTRIES_MAX of them).  Anything else
 * than a well-formed message is an error of kind TRANSIENT. */
int vsr_message_decode(const void *buf, size_t length, struct vsr_message *ret,
                       struct vsr_entry *entries, struct error *err);

const char *vsr_message_type_name(unsigned type);

/* ---- events ------------------------------------------------------------ */

enum vsr_event_type {
    VSR_EVENT_TICK = 1, /* time has passed; about every 10 ms */
    VSR_EVENT_CONTINUE, /* the step before set 'more' */
    VSR_EVENT_MESSAGE,  /* 'message'; message->from is the authenticated link */
    VSR_EVENT_DISK_DONE, /* 'seq' and everything before is durable */
    /* Propose an entry: client command, tick, expire.  token 0: nobody waits.
     * Payload is copied.  Always answered by exactly one COMPLETE when the
     * token is not 0: at once when refused, later otherwise. */
    VSR_EVENT_REQUEST,
    /* A linearizable read.  Answered by exactly one COMPLETE. */
    VSR_EVENT_READ,
    VSR_EVENT_SNAPSHOT_TAKEN, /* TAKE_SNAPSHOT is durable, at 'position' */
    /* INSTALL_SNAPSHOT of 'position': 'ok', or the staged bytes were bad (then
     * nothing was changed).  An ok is fed when it is durable. */
    VSR_EVENT_SNAPSHOT_INSTALLED,
};

struct vsr_event {
    enum vsr_event_type type;
    uint64_t now_ns; /* monotonic, every event; never falls */
    const struct vsr_message *message;
    uint64_t seq;
    uint64_t token; /* REQUEST, READ; unique among those unanswered */
    uint8_t kind;   /* REQUEST; not VSR_KIND_NOOP */
    const void *payload;
    uint32_t length; /* REQUEST */
    struct vsr_position position;
    bool ok;
};

/* ---- actions ----------------------------------------------------------- */

enum vsr_action_type {
    VSR_ACTION_SEND = 1, /* 'message' to message.to; may be lost, never waits */
    /* The same, but the host fills in total, data, length and last from the
     * snapshot message.snapshot at message.offset (at most
     * VSR_CHUNK_BYTES_MAX); when it no longer has that snapshot it sends
     * nothing. */
    VSR_ACTION_SEND_SNAPSHOT,
    /* Disk FIFO. */
    VSR_ACTION_APPEND,   /* 'entry' */
    VSR_ACTION_TRUNCATE, /* drop the entries with index >= 'index' */
    VSR_ACTION_METADATA, /* 'metadata', 'seq' */
    VSR_ACTION_SYNC,     /* 'seq': all entries up to 'index' */
    /* Verify the staged snapshot 'position', make it the current one durably,
     * drop the whole log (it goes on at position.index + 1), load the engine
     * from it.  'seq'.  Answered by SNAPSHOT_INSTALLED, not DISK_DONE.  A crash
     * in between leaves a log that does not hold the snapshot's position: at
     * start the host drops such a log before it restores. */
    VSR_ACTION_INSTALL_SNAPSHOT,
    /* Stage 'length' bytes of 'data' at 'offset' of the incoming snapshot
     * 'position'; offset 0 discards what was staged before. */
    VSR_ACTION_STAGE_SNAPSHOT,
    /* Serialise the engine now (its state is that after 'position'), write it
     * durably, feed SNAPSHOT_TAKEN. */
    VSR_ACTION_TAKE_SNAPSHOT,
    VSR_ACTION_RELEASE, /* log entries with index <= 'index' are not needed */
    VSR_ACTION_APPLY,   /* 'entry' is committed; in index order, each once */
    /* Only with bug_ack_before_commit: the engine ran ahead of what was
     * committed.  Load it from the host's newest snapshot ('position', index 0:
     * empty); APPLY of the entries after it follows (a host whose newest is
     * already newer skips those that it holds). */
    VSR_ACTION_REBUILD,
    /* 'token', 'outcome'.  COMMITTED comes after the APPLY of 'position' in the
     * same or a later list than it; for reads, READ the engine now. */
    VSR_ACTION_COMPLETE,
    /* The peers contradict what is committed here: log 'reason', end with the
     * code of corrupt state.  Nothing follows. */
    VSR_ACTION_HALT,
};

enum vsr_outcome {
    VSR_COMMITTED = 0, /* request: at 'position'.  Read: go ahead */
    /* Certainty fail: never entered a log. */
    VSR_REFUSED_NOT_PRIMARY,
    VSR_REFUSED_NOT_READY,
    VSR_REFUSED_OVERLOADED,
    VSR_REFUSED_TOO_LARGE,
    VSR_REFUSED_EXHAUSTED, /* no positions are left for requests */
    /* Certainty unknown (for a read: told nothing). */
    VSR_UNKNOWN_LEADERSHIP_LOST,
};

struct vsr_action {
    enum vsr_action_type type;
    enum vsr_outcome outcome;
    uint64_t seq, index, token, offset;
    struct vsr_position position;
    struct vsr_entry entry;
    struct vsr_message message;
    struct vsr_metadata metadata;
    const void *data;
    uint32_t length;
    const char *reason;
};

/* Owned by the host, reused for every step; filled from the start each time. */
struct vsr_actions {
    unsigned count;
    bool more; /* feed VSR_EVENT_CONTINUE soon (after a look at the sockets) */
    struct vsr_action *items; /* VSR_ACTIONS_MAX, from vsr_actions_init */
};

void vsr_actions_init(struct vsr_actions *a);
void vsr_actions_release(struct vsr_actions *a);

const char *vsr_action_type_name(unsigned type);
const char *vsr_outcome_name(unsigned outcome); /* "not_primary", ... */

/* ---- configuration, life ----------------------------------------------- */

/* One wrong line each, for tests: the simulation must catch every one. */
enum vsr_mutation {
    VSR_MUTATION_NONE = 0,
    VSR_MUTATION_COMMIT_OLD_VIEW,  /* rule 3: counts copies of old views */
    VSR_MUTATION_ACK_UNSYNCED,     /* rule 2: PrepareOK before the sync */
    VSR_MUTATION_PRIMARY_UNSYNCED, /* rule 2: counts its own unsynced copy */
    VSR_MUTATION_MINORITY_COMMIT,  /* rule 2: one copy fewer is enough */
    VSR_MUTATION_SKIP_PREV_CHECK,  /* rule 4: appends after anything */
    VSR_MUTATION_COUNT_STALE_TAIL, /* rule 4: acknowledges its own end */
    VSR_MUTATION_LOWER_VIEW,       /* rule 5: answers a lower view */
    VSR_MUTATION_SPEAK_BEFORE_DURABLE, /* rule 5: votes, then writes */
    VSR_MUTATION_FORGET_VIEW,          /* rule 5: writes the view it left */
    VSR_MUTATION_LEAD_AGAIN,       /* rule 1: leads the view it restarted in */
    VSR_MUTATION_OWN_LOG,          /* rule 6: new primary keeps its own log */
    VSR_MUTATION_LONGEST_LOG,      /* rule 6: longest, not newest, wins */
    VSR_MUTATION_COMMIT_UNMATCHED, /* rule 4: commits its own stale entry */
    VSR_MUTATION_APPLY_TWICE,      /* rule 7 */
    VSR_MUTATION_READ_UNCONFIRMED, /* rule 8 */
    VSR_MUTATION_READ_BEFORE_NOOP, /* rule 8: commit position not known */
    VSR_MUTATION_OLD_ROUND,        /* rule 8: a round from before the read */
    VSR_MUTATION_READY_EARLY,      /* rule 8: says ready at once */
    VSR_MUTATION_VOTE_UNRECOVERED, /* rule 11: votes on what it forgot */
    VSR_MUTATION_STALE_TRANSFER,   /* rule 13: takes any session's pieces */
    VSR_MUTATION_SERVE_UNOPENED,   /* rule 13: hands out a log that is not its
                                      view's */
    VSR_MUTATION_COUNT_OLD_LIFE,   /* rule 11: a vote of a lost disk counts */
    VSR_MUTATION_COUNT,
};

const char *vsr_mutation_name(unsigned mutation);

struct vsr_config {
    uint8_t replica, replica_count; /* count odd, 3..VSR_REPLICAS_MAX */
    uint64_t seed;                  /* randomised timeouts, session numbers */
    bool bootstrap;                 /* see "fresh cluster" above */
    uint64_t election_timeout_ns;   /* each wait is 1..2 times this */
    uint64_t heartbeat_ns;
    uint64_t retransmit_ns;        /* transfers and recovery ask again */
    uint64_t metadata_interval_ns; /* commit and acked get durable */
    uint32_t pipeline_max;         /* uncommitted entries before 'overloaded' */
    /* The last position that a request may get, at most VSR_POSITION_MAX; 0:
     * that.  Entries that open a view may be beyond it. */
    uint64_t position_max;
    uint32_t reads_max;
    uint32_t log_entries_max;   /* entries in memory; a full log refuses */
    uint64_t log_bytes_max;     /* payload bytes in memory, the same */
    uint32_t snapshot_interval; /* entries between TAKE_SNAPSHOTs */
    uint32_t retain_entries;    /* kept behind the snapshot for slow peers */
    /* Budget of a catch-up by entries: who is further behind the snapshot
     * gets the snapshot, also where the entries are still there. */
    uint32_t catch_up_entries;
    bool bug_stale_read; /* planted bugs of the daemon */
    bool bug_ack_before_commit;
    enum vsr_mutation mutation;
};

/* Defaults: 300 ms, 60 ms, 100 ms, 500 ms; 1024 in flight, 1024 reads; 65536
 * entries, 64 MiB; snapshot each 16384, 8192 retained, catch-up up to 4096. */
void vsr_config_init(struct vsr_config *c, uint8_t replica,
                     uint8_t replica_count, uint64_t seed);

struct vsr;

/* Never NULL.  Aborts on a configuration that breaks its bounds. */
struct vsr *vsr_new(const struct vsr_config *config);
void vsr_free(struct vsr *v);

/*
 * Start, after log, snapshot and metadata were read and each was found whole by
 * the host: vsr_restore_snapshot() when there is one, then vsr_restore_entry()
 * for each log entry in order (the first at most one past the snapshot; entries
 * at or below it are kept for slow peers), then vsr_start() once with the
 * metadata or NULL.  The engine was loaded from the snapshot; the APPLYs up to
 * the durable commit position come with the actions.
 *
 * -1 when the parts contradict each other (rule 11): a gap, falling views, a
 * log below metadata.acked or metadata.commit, an entry of a view above
 * metadata.view, another replica's metadata, a log without metadata.
 */
int vsr_restore_snapshot(struct vsr *v, struct vsr_position position,
                         struct error *err);
int vsr_restore_entry(struct vsr *v, const struct vsr_entry *entry,
                      struct error *err);
int vsr_start(struct vsr *v, const struct vsr_metadata *metadata_or_null,
              uint64_t now_ns, struct vsr_actions *actions, struct error *err);

/* 'actions' is emptied first. */
void vsr_step(struct vsr *v, const struct vsr_event *event,
              struct vsr_actions *actions);

/* ---- looking in -------------------------------------------------------- */

enum vsr_role {
    VSR_ROLE_PRIMARY,
    VSR_ROLE_BACKUP,
    VSR_ROLE_VIEW_CHANGE,
    VSR_ROLE_RECOVERING,
};

enum vsr_recovery {
    VSR_RECOVERY_FRESH,
    VSR_RECOVERY_LOG,
    VSR_RECOVERY_SNAPSHOT,
    VSR_RECOVERY_SNAPSHOT_AND_LOG,
    VSR_RECOVERY_SUFFIX,           /* fetched entries from a peer since start */
    VSR_RECOVERY_SNAPSHOT_INSTALL, /* installed a peer's snapshot since start */
    VSR_RECOVERY_DIVERGENT_SUFFIX_DISCARDED, /* cut its own stale tail */
};

struct vsr_status {
    enum vsr_role role;
    enum vsr_recovery recovery; /* the most telling since start */
    uint64_t view, last_normal_view;
    /* Replica number of the primary of the view, -1 while none is known. */
    int primary;
    /* NORMAL, and has applied an entry of its view, so everything committed
     * before it: a 'claim=any' read may be answered.  On the primary: REQUEST
     * and READ are accepted (and a majority follows it). */
    bool ready;
    uint64_t op, synced, commit, applied;
    uint64_t snapshot; /* index of the newest own snapshot, 0 none */
    uint64_t base;     /* entries after it are in memory */
    unsigned pending_requests, pending_reads;
    uint64_t view_changes, entries_fetched, snapshots_installed;
    uint64_t entries_discarded; /* of its own divergent suffix */
    uint64_t stale_refused;     /* transfers of a wrong session or view */
    bool snapshot_transfer;     /* it fetches a snapshot now */
    uint64_t catch_up_breaches; /* catch-ups that were sent a snapshot */
};

void vsr_status(const struct vsr *v, struct vsr_status *ret);
const char *vsr_role_name(unsigned role);         /* "primary", ... */
const char *vsr_recovery_name(unsigned recovery); /* "suffix", ... */

/* Borrowed entry in memory, false when index is not in (base, op]. */
bool vsr_entry_at(const struct vsr *v, uint64_t index, struct vsr_entry *ret);

#endif
