/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of the lease kernel in columns, between lease-kernel-decode.c, which
 * fills them, lease-kernel.c, which steps, and engines/lease-kernel.c.
 *
 *   function   a         b               result     list
 *   reserve    holder    lease told      code       KERNEL_RESERVE_*
 *   get        resource  lease told      state      KERNEL_GET_*
 *   create     resource                  code
 *   get_lease            lease meant     state      KERNEL_COMMAND_*
 *   tick       slot
 *   others     holder    lease meant     code       KERNEL_COMMAND_*
 *
 * All lists begin with two numbers of two words: the slot that was told, or -1;
 * and the highest slot that any tick can have brought by the time of the call,
 * or -1.
 *
 * What was not said is VALUE_ABSENT.  Leases are integers that grow with every
 * grant; a grant whose answer was lost has one that nobody knows, until a get
 * shows it.
 *
 * Threads: constants and pure functions.
 */
#ifndef ORDEAL_ANALYZER_MODELS_LEASE_KERNEL_H
#define ORDEAL_ANALYZER_MODELS_LEASE_KERNEL_H

#include "analyzer/models/decode.h"

enum kernel_function {
    KERNEL_RESERVE,
    KERNEL_ACTIVATE,
    KERNEL_RELEASE,
    KERNEL_REVOKE,
    KERNEL_RECLAIM,
    KERNEL_EXPIRE,
    KERNEL_GET,
    /* of the allocator alone */
    KERNEL_CREATE,
    KERNEL_GET_LEASE,
    KERNEL_TICK,
};

enum kernel_code {
    KERNEL_OK,
    KERNEL_BUSY,
    KERNEL_NOT_FOUND,
    KERNEL_HOLDER_MISMATCH,
    KERNEL_STALE_EPOCH,
    KERNEL_RETIRED,
    KERNEL_INVALID_STATE,
    KERNEL_NOOP,
    KERNEL_EXISTS,
    KERNEL_NO_RESOURCE,
    KERNEL_OTHER, /* a full table and the like: changes and tells nothing */
    KERNEL_CODES,
};

enum kernel_state {
    KERNEL_AVAILABLE,
    KERNEL_RESERVED,
    KERNEL_ACTIVE,
    KERNEL_REVOKING,
    KERNEL_ENDED,   /* a lease that is released, expired, revoked, retired */
    KERNEL_MISSING, /* no such resource or lease */
    KERNEL_STATES,
};

enum { KERNEL_SLOT = 0, KERNEL_UPPER = 2, KERNEL_COMMON_WORDS = 4 };

/* Words of a reserve's list, then the resources, rising, each once. */
enum kernel_reserve_words {
    KERNEL_RESERVE_EPOCH = KERNEL_COMMON_WORDS, /* told, or ABSENT */
    KERNEL_RESERVE_FLAGS,
    KERNEL_RESERVE_DEADLINE, /* two words: told, or -1 */
    KERNEL_RESERVE_TTL = 8,  /* two words: asked for, or -1: for ever */
    KERNEL_RESERVE_RESOURCES = 10,
};
#define KERNEL_TWICE 1u /* a resource is named twice */
#define KERNEL_WATCH 2u /* a get shows a lease that may be this one */

/* Of a command's list, then the resources that the lease is known to have. */
enum kernel_command_words {
    KERNEL_COMMAND_EPOCH = KERNEL_COMMON_WORDS, /* argument, or ABSENT */
    KERNEL_COMMAND_TOLD,                        /* epoch told, or ABSENT */
    KERNEL_COMMAND_KNOWN,                       /* enum kernel_known */
    KERNEL_COMMAND_OWNER, /* of a granted lease: who reserved it */
    KERNEL_COMMAND_RESOURCES,
};

enum kernel_known {
    KERNEL_NEVER_SEEN, /* no answer ever named this lease */
    KERNEL_GRANTED,    /* a reserve was answered with it */
    KERNEL_SHOWN,      /* only gets have shown it */
};

/* Of a get's list: enum kernel_known of the lease it shows. */
enum { KERNEL_GET_KNOWN = KERNEL_COMMON_WORDS, KERNEL_GET_WORDS };

static inline uint32_t
kernel_word(const struct calls *c, uint32_t call, uint32_t at)
{
    return call_list(c, call)[at];
}

static inline int64_t
kernel_number(const struct calls *c, uint32_t call, uint32_t at)
{
    return model_get64(call_list(c, call) + at);
}

enum decoded kernel_decode(struct calls *c, const struct record *invoke,
                           const struct record *end, struct call *ret,
                           struct error *err);
void kernel_prepare(struct calls *c);
uint32_t kernel_touches(const struct calls *c, uint32_t call, uint32_t *ret,
                        uint32_t cap);
void kernel_describe(const struct calls *c, uint32_t call, struct buf *out);
/* lease-kernel.c, for the allocator. */
void kernel_init(const struct calls *c, uint32_t key, struct model_state *out);
bool kernel_step(const struct calls *c, uint32_t call,
                 const struct model_state *in, struct model_state *out);
void kernel_stake(const struct calls *c, uint32_t call,
                  struct model_stake *ret);
bool kernel_pure(const struct calls *c, uint32_t call);
void kernel_describe_state(const struct calls *c, const struct model_state *s,
                           struct buf *out);
const char *kernel_code_name(uint32_t code);
const char *kernel_state_name(uint32_t state);

#endif
