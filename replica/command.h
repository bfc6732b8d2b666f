/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the lease engine and their bytes, as they stand in the log.
 * A payload is a tag byte and fixed little-endian fields (ids 16 bytes, low
 * half first); client commands begin with the operation id and the client.
 * The encoding of a command is unique: decoding accepts exactly what encoding
 * makes.
 *
 *   tag  command          fields after the tag
 *   1    create_resource  operation client resource
 *   2    reserve          operation client resource holder ttl
 *   3    reserve_bundle   operation client count:u32 resource... holder ttl
 *   4,5  confirm release  operation client lease holder epoch
 *   6,7  revoke reclaim   operation client lease
 *   16   tick             client slot
 *   17   expire           lease deadline       (made by the primary only)
 */
#ifndef ORDEAL_REPLICA_COMMAND_H
#define ORDEAL_REPLICA_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness/base/buf.h"
#include "harness/base/error.h"
#include "harness/base/id128.h"

enum command_tag {
    COMMAND_CREATE_RESOURCE = 1,
    COMMAND_RESERVE = 2,
    COMMAND_RESERVE_BUNDLE = 3,
    COMMAND_CONFIRM = 4,
    COMMAND_RELEASE = 5,
    COMMAND_REVOKE = 6,
    COMMAND_RECLAIM = 7,
    COMMAND_TICK = 16,
    COMMAND_EXPIRE = 17,
};

/*
 * Most resources a command may name: more than any sensible bundle limit, so
 * that 'bundle_too_large' stays an answer of the engine.
 */
#define COMMAND_RESOURCES_MAX 256u

/* Longest encoding: a bundle of COMMAND_RESOURCES_MAX. */
#define COMMAND_BYTES_MAX (1u + 24u + 4u + 16u * COMMAND_RESOURCES_MAX + 24u)

struct command {
    enum command_tag tag;
    struct id128 operation; /* zero for tick and expire */
    uint64_t client;
    struct id128 holder, lease;
    uint64_t ttl, epoch, slot, deadline;
    uint32_t resource_count; /* 1 for create_resource and reserve */
    struct id128 resources[COMMAND_RESOURCES_MAX];
};

bool command_is_client(enum command_tag tag); /* has an operation id */
const char *command_name(enum command_tag tag);
bool command_parse_name(const char *name, enum command_tag *ret);

/* Appends the payload.  The command must be well-formed (asserted). */
void command_encode(const struct command *c, struct buf *out);

/* Strict: any other bytes fail with CONFIG and a reason. */
int command_decode(const void *data, size_t len, struct command *ret,
                   struct error *err);

/*
 * 128-bit fingerprint of what an encoded client command asks for: everything
 * but operation and client.  Not cryptographic.
 */
struct id128 command_fingerprint(const void *data, size_t len);

#endif
