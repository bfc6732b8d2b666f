/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system under test: how it is installed, started, stopped, killed and
 * asked; and the clients of the capabilities it offers.
 *
 *   install -> start -> (status | stop | kill | start)* -> collect
 *
 * Threads: each caller brings its own remotes (struct system_node); system
 * functions keep no mutable state, so any thread may call them.
 */
#ifndef ORDEAL_SYSTEMS_SYSTEM_H
#define ORDEAL_SYSTEMS_SYSTEM_H

#include "harness/base/history.h"
#include "harness/provider/provider.h"

/* What a system function works on: the cluster, and this thread's way in. */
struct system_node {
    const struct cluster *cluster;
    unsigned index;
    struct remote *remote;
};

enum node_role {
    ROLE_UNKNOWN, /* does not answer */
    ROLE_PRIMARY,
    ROLE_BACKUP,
    ROLE_OTHER, /* view change, recovering, refused to start */
};

/* A daemon process, named so that no restart can be mistaken for it. */
struct process_id {
    int32_t pid;          /* 0: not running */
    uint64_t start_ticks; /* /proc/PID/stat field 22 */
    char boot_id[40];
    bool stopped;    /* state T: SIGSTOP bit */
    uint32_t starts; /* how often it was started since boot, 0: not known */
};

struct system_status {
    enum node_role role;
    uint64_t term, commit_index;
    char recovery[32]; /* how it came back: "fresh", "log", ... */
};

/* What a watcher of one node keeps between two looks; zeroed at first. */
struct system_watch {
    bool looked;
    uint64_t seen[8]; /* the system's own */
};

struct system_options {
    const char *bug;    /* planted bug, NULL: none */
    const char *binary; /* host path of the daemon */
    uint64_t seed;
    const json_t *params; /* scenario's "system" object; borrowed */
    /* What clients will ask of it; NULL: the system's first. */
    const char *capability;
};

struct client;

#define SYSTEM_DIGEST_SIZE 65 /* hex digits and NUL */

struct system_ops {
    const char *name, *description;
    const char *const *capabilities; /* "allocator", ..., NULL */
    bool positions_total;            /* log order is one total order */
    const uint16_t *door_ports;      /* guest ports clients use */
    unsigned door_count;
    /* The system's own port between nodes, for probes of the network. */
    uint16_t peer_port;
    /*
     * The daemon's own directory on a node, and the files in it that hold what
     * it must not lose, as patterns of a shell ("log/N.log" is "log/[0-9]*");
     * a daemon that starts with an empty directory has lost its disk and must
     * recover.  NULL: nothing that faults of files could harm.
     */
    const char *data_dir;
    const char *const *data_files; /* NULL-terminated */
    /* Statuses with which a daemon ends that will not serve on what it found, 0
     * after the last; NULL: none tells. */
    const int *refusals;
    /* The scenario's parameters, before anything exists.  CONFIG errors. */
    int (*check_params)(const json_t *params, struct error *err);
    /*
     * The bounds and windows that these parameters give the system when it
     * serves the capability, for the history's meta (docs/CHECKERS.md): new
     * object; only what differs from the defaults.  NULL: it has none.
     */
    json_t *(*limits)(const json_t *params, const char *capability);
    int (*install)(const struct system_node *n, const struct system_options *o,
                   struct error *err);
    int (*start)(const struct system_node *n, struct error *err);
    int (*stop)(const struct system_node *n, int64_t timeout_ns,
                struct error *err); /* graceful; waits for the end */
    /* SIGKILL, SIGSTOP, SIGCONT by exact process. */
    int (*signal)(const struct system_node *n, int signo, struct error *err);
    int (*process)(const struct system_node *n, struct process_id *ret,
                   struct error *err);
    /* Through the client door; quick; ROLE_UNKNOWN is not an error. */
    int (*status)(const struct cluster *c, unsigned node, int64_t timeout_ns,
                  struct system_status *ret, struct error *err);
    /*
     * What watch() can report ("view-change", ...), NULL-terminated; NULL:
     * nothing.  At most 32.
     */
    const char *const *events;
    /*
     * Looks at a node through its door, quickly.  *ret: bit i when events[i]
     * happened there since the look before.  A first look reports nothing, nor
     * does a node that does not answer (which is no error).  Optional.
     */
    int (*watch)(const struct cluster *c, unsigned node, int64_t timeout_ns,
                 struct system_watch *state, uint32_t *ret, struct error *err);
    /*
     * Points at which it can be told to end, with the status crash_exit,
     * NULL-terminated; NULL: it cannot.  crash_at() tells it, through its door:
     * the n-th time from now on; point NULL: nowhere any more.
     */
    const char *const *crash_points;
    int crash_exit;
    int (*crash_at)(const struct cluster *c, unsigned node, const char *point,
                    unsigned nth, int64_t timeout_ns, struct error *err);
    /*
     * A digest of the node's state at one position, for comparison between
     * nodes; optional (NULL: the system has none).
     */
    int (*digest)(const struct cluster *c, unsigned node, uint64_t index,
                  int64_t timeout_ns, char ret[static SYSTEM_DIGEST_SIZE],
                  struct error *err);
    /* Logs, digests, metrics, exit records into dir (exists). */
    int (*collect)(const struct system_node *n, const char *dir,
                   struct error *err);
    struct client *(*client_new)(const struct cluster *c,
                                 const char *capability, uint64_t client_id,
                                 struct error *err);
};

const struct system_ops *system_find(const char *name); /* NULL: none */

/* Whether it offers clients of the capability. */
bool system_offers(const struct system_ops *s, const char *capability);

/* The same of a system with these parameters, whose "capabilities" (a list)
 * may be fewer. */
bool system_serves(const struct system_ops *s, const json_t *params,
                   const char *capability);
extern const struct system_ops system_replica_ops;
extern const struct system_ops system_custom_ops;

/* ---- clients ---- */

/* One logical command, the same over all its attempts. */
struct operation {
    struct id128 id; /* zero: none (reads, ticks) */
    const char *function;
    struct fields args;
    bool mutation; /* folds by id; reads and ticks do not */
};

/* What one attempt came to.  Strings and fields live in the arena given. */
struct attempt_result {
    enum event_kind kind; /* EVENT_OK, EVENT_FAIL or EVENT_UNKNOWN */
    const char *error;    /* class, for FAIL and UNKNOWN */
    struct fields fields;
    struct position position;
    int redirect; /* node the system points to, -1: none */
};

struct client_ops {
    /*
     * Sends the attempt: at most one request on the wire, ever.  Always fills
     * *ret; doubt is EVENT_UNKNOWN.  'node' as index in the cluster.
     */
    void (*invoke)(struct client *c, const struct operation *op, unsigned node,
                   int64_t timeout_ns, struct arena *a,
                   struct attempt_result *ret);
    void (*free)(struct client *c);
};

/* One client, one thread. */
struct client {
    const struct client_ops *ops;
};

#endif
