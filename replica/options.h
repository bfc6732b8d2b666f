/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's command line (docs/REPLICA-API.md). */
#ifndef ORDEAL_REPLICA_OPTIONS_H
#define ORDEAL_REPLICA_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "harness/base/error.h"
#include "harness/base/log.h"
#include "replica/bugs.h"
#include "replica/crash-point.h"
#include "replica/engine.h"
#include "replica/vsr.h"

/* How the daemon ends. */
enum replica_exit {
    REPLICA_EXIT_OK = 0,
    REPLICA_EXIT_USAGE = 64,    /* also: address or directory in use */
    REPLICA_EXIT_IO = 74,       /* a write or sync failed */
    REPLICA_EXIT_CORRUPT = 76,  /* durable state is damaged */
    REPLICA_EXIT_IDENTITY = 77, /* durable state of another node or cluster */
    REPLICA_EXIT_CRASH_POINT = 86, /* --crash-at, /v1/crash-at */
};

#define REPLICA_NAME_SIZE 64

struct address {
    struct sockaddr_storage sockaddr;
    char text[64];
};

struct peer_options {
    char name[REPLICA_NAME_SIZE];
    struct address address;
    char client_address[64]; /* "": unknown */
};

struct replica_options {
    char node[REPLICA_NAME_SIZE], cluster[REPLICA_NAME_SIZE];
    const char *data; /* borrowed from argv */
    struct address listen;
    struct peer_options peers[VSR_REPLICAS_MAX]; /* sorted by name, self too */
    unsigned peer_count, self;
    bool new_cluster;
    const struct engine_ops *engine;
    enum bug bug;
    struct crash_place crash;
    bool crash_points; /* POST /v1/crash-at is served */
    enum log_level log_level;
    struct engine_limits limits;
    uint64_t election_timeout_ms, heartbeat_ms, request_timeout_ms;
    uint64_t snapshot_interval, retain_entries, catch_up_entries, pipeline_max;
    uint64_t position_max;       /* of requests in the log */
    uint64_t disk_reserve_bytes; /* less free space: 'overloaded' */
};

/*
 * 0 to run with *ret; 1 when --help, --version or --list-bugs was served; -1
 * with a CONFIG error.  'ret' borrows from argv.
 */
int replica_options_parse(int argc, char **argv, struct replica_options *ret,
                          struct error *err);

#endif
