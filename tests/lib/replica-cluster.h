/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three real replica processes on loopback, each with its own directory below
 * a temporary one in the working directory, and a small blocking HTTP client.
 * The processes die with the test.  Ports lie below the ephemeral range.
 */
#ifndef ORDEAL_TESTS_REPLICA_CLUSTER_H
#define ORDEAL_TESTS_REPLICA_CLUSTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CLUSTER_NODES 3
#define CLUSTER_ARGUMENTS_MAX 16

struct replica_cluster {
    char dir[96];
    unsigned base_port;
    int port_claim; /* the block of ports is this process's (tests/lib/ports.h)
                     */
    pid_t pids[CLUSTER_NODES]; /* 0: not running */
    bool started[CLUSTER_NODES];
    bool paused[CLUSTER_NODES];
    const char *arguments[CLUSTER_ARGUMENTS_MAX + 1]; /* NULL-terminated */
    const char *crash_at[CLUSTER_NODES]; /* of the next start; NULL: none */
    bool moved[CLUSTER_NODES]; /* its peer address is another; with direct */
    uint64_t file_bytes_max;   /* limit of a started process; 0: none */
    struct link_proxy *links;  /* between the replicas */
    bool direct; /* replicas reach each other without the links, which then cut
                  * nothing: for benchmarks; set before the first start */
};

/* Makes the directory; starts nothing.  'arguments' may be NULL. */
void cluster_init(struct replica_cluster *c, const char *const *arguments);

/* Kills what runs, removes the directory; twice is fine. */
void cluster_release(struct replica_cluster *c);

void cluster_start(struct replica_cluster *c, unsigned node);
void cluster_start_all(struct replica_cluster *c);

/* Starts all that do not run and waits for a primary; -1: there is none. */
int cluster_up(struct replica_cluster *c);

/* The same in a test (tests/lib/tap.h), which fails without a primary. */
#define CLUSTER_UP(c)                                                          \
    ({                                                                         \
        int cluster_up_primary = cluster_up(c);                                \
                                                                               \
        CHECK(cluster_up_primary >= 0);                                        \
        (unsigned)cluster_up_primary;                                          \
    })

/* Also after a test that failed in the middle nothing is left. */
#define RUN_CLUSTER(c, test)                                                   \
    do {                                                                       \
        RUN(test);                                                             \
        cluster_release(c);                                                    \
    } while (0)

/* Starts as if it never ran: with --new-cluster again or without, as told. */
void cluster_start_as(struct replica_cluster *c, unsigned node,
                      bool new_cluster);

void cluster_signal(struct replica_cluster *c, unsigned node, int signo);

/* SIGSTOP and SIGCONT; a paused node is not asked for anything meanwhile. */
void cluster_pause(struct replica_cluster *c, unsigned node);
void cluster_resume(struct replica_cluster *c, unsigned node);

/* Cuts all links of the node to the others, both ways; heals them. */
void cluster_isolate(struct replica_cluster *c, unsigned node);
void cluster_heal(struct replica_cluster *c);

/* One bit of each 'every'-th piece between replicas is wrong from now on; 0:
 * of none.  How many have been so far. */
void cluster_corrupt(struct replica_cluster *c, unsigned every);
uint64_t cluster_corrupted(const struct replica_cluster *c);

/* SIGKILL and reap. */
void cluster_kill(struct replica_cluster *c, unsigned node);

/* Exit status of a process that ends by itself; -1 after 10 s. */
int cluster_wait(struct replica_cluster *c, unsigned node);

/* The same at once; -1 while it runs, or when it did not. */
int cluster_ended(struct replica_cluster *c, unsigned node);

/* The path of a node's directory or of a file in it; a static buffer. */
const char *cluster_path(const struct replica_cluster *c, unsigned node,
                         const char *file);
unsigned cluster_client_port(const struct replica_cluster *c, unsigned node);

/* ---- HTTP ---- */

struct http_client {
    int fd; /* -1: not connected */
    unsigned port;
};

/*
 * One request on a kept connection.  0 and the status (body as JSON in
 * *ret_json when it is one, else NULL), or -1 on any doubt; then the
 * connection is closed.
 */
int http_client_call(struct http_client *h, const char *method,
                     const char *path, const char *body, int timeout_ms,
                     int *ret_status, json_t **ret_json);
void http_client_close(struct http_client *h);

/* The two halves of a call; -1 closes the connection. */
int http_client_send(struct http_client *h, const char *method,
                     const char *path, const char *body);
int http_client_receive(struct http_client *h, int timeout_ms, int *ret_status,
                        json_t **ret_json);

/* The same on a connection of its own; NULL on doubt. */
json_t *cluster_call(struct replica_cluster *c, unsigned node,
                     const char *method, const char *path, const char *body,
                     int *ret_status);

/*
 * Waits for a primary that accepts commands; -1 after 'timeout_ms'.  With
 * several the one of the highest view.
 */
int cluster_primary(struct replica_cluster *c, int timeout_ms);

/*
 * Sends a command (JSON without braces, operation excluded) to the primary,
 * with redirects and retries of the same operation for 5 s.  NULL: no answer.
 */
json_t *cluster_command(struct replica_cluster *c, uint64_t operation,
                        const char *fields);
json_t *cluster_tick(struct replica_cluster *c, uint64_t slot);

/* ---- answers ---- */

/* A field of an answer; "" and 0 when it is not there. */
const char *cluster_text(const json_t *json, const char *key);
int64_t cluster_integer(const json_t *json, const char *key);

/* The code of a command's answer (static); the answer in *ret when wanted. */
const char *cluster_code(struct replica_cluster *c, uint64_t operation,
                         const char *fields, json_t **ret);

/* A field of /v1/status as text (static); numbers in decimal. */
const char *cluster_status_field(struct replica_cluster *c, unsigned node,
                                 const char *key);
bool cluster_wait_status(struct replica_cluster *c, unsigned node,
                         const char *key, const char *wanted, int timeout_ms);

/* A number of /metrics without labels; -1: not there. */
int64_t cluster_metric(struct replica_cluster *c, unsigned node,
                       const char *name);

/* All running nodes have applied what the primary has, and agree on it. */
bool cluster_digests_agree(struct replica_cluster *c, unsigned primary);

/* Flips a bit of a file, or cuts it; 'at' from the end when negative. */
bool cluster_damage(const char *path, int64_t at, bool cut);

/* The node's log so far has the text. */
bool cluster_log_has(const struct replica_cluster *c, unsigned node,
                     const char *needle);

int64_t cluster_now_ms(void);
void cluster_sleep_ms(int ms);

#endif
